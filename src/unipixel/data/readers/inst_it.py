"""Inst-IT: captions of, and questions about, numbered objects in pictures and short videos.

Text mentions objects as `[3]` and frames as `<2>`. The videos are folders of few frames, all of which are
seen. How many frames a video has is told by its annotation, so that no folder is looked at before its turn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from unipixel.data.annotations import GivenTrack, RegionMasks, is_empty_region
from unipixel.data.files import Node, list_numbered
from unipixel.data.long_json import JsonArray
from unipixel.data.readers.listed import ID_ORDER, PICTURES, Part, count_left_out, in_order, kept_parts
from unipixel.data.registry import Rows, Source, dataset
from unipixel.data.sample import Caption, Exchange, Media, Sample, Task, mentions

MAX_IDS = 5
LICENCE = "Apache-2.0"
_FOLDER = ("inst_it", "Inst-IT-Dataset")
_IMAGES = "inst_it_dataset_image_51k_w_mask.json"
_VIDEOS = "inst_it_dataset_video_21k_w_mask.json"


def clean(text: str) -> str:
    """Frames count from 1, and numbers have no leading zero."""
    return re.sub(r"\[0(\d)\]", r"[\1]", text.replace("<0>", "<1>"))


def _below(path: Node) -> tuple[str, ...]:
    """A published path without its first folder."""
    parts = path.text().split("/")
    if len(parts) < 2:
        raise path.error("FOLDER/...")
    return tuple(parts[1:])


# Pictures


@dataset(
    "inst_it_image_short_caption_raw_ref",
    task="refer",
    splits=("train",),
    licence=LICENCE,
    annotations=f"inst_it/Inst-IT-Dataset/{_IMAGES}",
    media="inst_it/Inst-IT-Dataset/images_raw",
    repeats=(1, 0, 0),
)
def read_pictures(source: Source) -> Rows[Part]:
    """One sample for each captioned object of a picture."""
    array = source.array(*_FOLDER, _IMAGES)
    kept = kept_parts(source, array, _all_captions, "1")
    return Rows(array.file, kept, partial(_make_caption, source, array), count_left_out(array, kept))


def _all_captions(item: Node) -> Sequence[int]:
    return range(len(item["instance_level_caption"].mapping()))


def _make_caption(source: Source, array: JsonArray, part: Part) -> Sample:
    place, number = (int(value) for value in part)
    item = array[place]
    name, caption = list(item["instance_level_caption"].items())[number]
    id = Node(item.file, f"{caption.place} (its name)", name).integer()
    path = _below(item["image_path"])
    region = item["segmentations"][name]["mask"]
    return Sample(
        dataset=source.name,
        id=f"{place}/{name}",
        task="refer",
        media=Media("/".join(path), (source.path(*_FOLDER, "images_raw", *path),)),
        rounds=(Caption(caption["short"].text(), 0, "brief", id=name),),
        object_ids=(id,),
        masks=RegionMasks(((GivenTrack(Node(region.file, region.place, [region.value])),),)),
    )


# Videos


@dataclass(frozen=True)
class Limits:
    """What the two data sets of videos leave out.

    Attributes:
        task: what the samples teach.
        frames: videos with more are left out.
        per: whether the limit on different ids counts those of a "video" or of a "question".
    """

    task: Task
    frames: int
    per: Literal["video", "question"]


def read_videos(limits: Limits, source: Source) -> Rows[Part]:
    """One sample for each question that mentions an object."""
    array = source.array(*_FOLDER, _VIDEOS)
    choose = partial(_chosen, limits)
    kept = kept_parts(source, array, choose, f"1 {limits.frames} {limits.per}")
    return Rows(array.file, kept, partial(_make_video, limits, source, array), count_left_out(array, kept))


def _chosen(limits: Limits, item: Node) -> Sequence[int]:
    """Numbers of the questions that count."""
    if len(item["segmentations"].mapping()) > limits.frames:
        return ()
    ids = [mentions("\n".join(_said(pair))) for pair in item["question_answer_pairs"].list()]
    if limits.per == "video" and len({id for each in ids for id in each}) > MAX_IDS:
        return ()
    return [number for number, each in enumerate(ids) if 0 < len(each) <= MAX_IDS]


def _said(pair: Node) -> tuple[str, str]:
    return clean(pair["question"].text()), clean(pair["answer"].text())


def _make_video(limits: Limits, source: Source, array: JsonArray, part: Part) -> Sample:
    place, number = (int(value) for value in part)
    item = array[place]
    path = _below(item["video_path"])
    frames = tuple(list_numbered(source.path(*_FOLDER, "videos_raw", *path), PICTURES))
    said = _said(item["question_answer_pairs"][number])
    ids = in_order(said, source.choices["id_order"])
    return Sample(
        dataset=source.name,
        id=f"{place}/{number}",
        task=limits.task,
        media=Media("/".join(path), frames),
        rounds=(Exchange(*said, id=str(number)),),
        object_ids=ids,
        masks=_masks(item["segmentations"], ids, [frame.name for frame in frames]),
        every_frame=True,
    )


def _masks(segmentations: Node, ids: Sequence[int], names: Sequence[str]) -> RegionMasks:
    """Masks of objects on the frames `names`, by `segmentations[frame][object].mask`."""
    strange = sorted(segmentations.mapping().keys() - set(names))
    if strange:
        raise segmentations.error(f"frames that are in the folder, not {strange[0]!r}")
    tracks = []
    for id in ids:
        regions = [_region(segmentations, name, id) for name in names]
        if is_empty_region(regions):
            raise segmentations.error(f"masks of object {id}, which the text mentions")
        tracks.append((GivenTrack(Node(segmentations.file, f"{segmentations.place}.*.{id}", regions)),))
    return RegionMasks(tuple(tracks))


def _region(segmentations: Node, name: str, id: int) -> object:
    objects = segmentations.get(name)
    found = objects.get(str(id)) if objects is not None else None
    mask = found.get("mask") if found is not None else None
    return None if mask is None else mask.value


INST_IT_VIDEO_QA_RAW = dataset(
    "inst_it_video_qa_raw",
    task="describe",
    splits=("train",),
    licence=LICENCE,
    annotations=f"inst_it/Inst-IT-Dataset/{_VIDEOS}",
    media="inst_it/Inst-IT-Dataset/videos_raw",
    repeats=(0, 0, 5),
    options=(ID_ORDER,),
)(partial(read_videos, Limits("describe", frames=10, per="video")))

INST_IT_VIDEO_QA_RAW_MEM = dataset(
    "inst_it_video_qa_raw_mem",
    task="remember",
    splits=("train",),
    licence=LICENCE,
    annotations=f"inst_it/Inst-IT-Dataset/{_VIDEOS}",
    media="inst_it/Inst-IT-Dataset/videos_raw",
    repeats=(0, 0, 3),
    options=(ID_ORDER,),
)(partial(read_videos, Limits("remember", frames=8, per="question")))
