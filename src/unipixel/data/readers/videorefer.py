"""VideoRefer: captions of, and questions about, objects in videos; for training and for evaluation.

Objects are `<region>` in the text, or `<object3><region>` where they are first mentioned and `<object3>`
later. Here they become `[3]`; where they have no number they get the first ones, and training may draw
others. Every object has masks on frames of its own; frame numbers are those of the video.

For training the masks are in a file for each item, beside an annotation without them. Where that is not
there, the file with both that the authors publish is read; it has no `ratio`, so nothing is left out by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Literal, TypeAlias, cast

from unipixel.data.annotations import GivenTrack, RegionMasks, StoredTrack, Track
from unipixel.data.files import Node
from unipixel.data.long_json import JsonArray
from unipixel.data.readers.listed import count_left_out, kept_items, locate, read_turns, without_media_tag
from unipixel.data.registry import Option, Rows, Source, dataset
from unipixel.data.sample import Caption, Choice, Exchange, Facts, Sample, Task, mentions

MIN_RATIO = 0.3
MAX_OBJECTS = 5
LICENCE = "not stated; videos are those of Panda-70M"
_FOLDER = ("videorefer", "VideoRefer-700K")
_BENCH = ("videorefer", "VideoRefer-Bench")

_REGION = re.compile(r"(?:<object(\d+)>)?<region>")
_OBJECT = re.compile(r"<object(\d+)>")
_INTRODUCTION = re.compile(r"There\b[^\n]*<object\d+><region>[^\n]*\n(?=\s*\S)")

Texts: TypeAlias = tuple[str, ...]
"""Question, answer, question, answer, ..."""

INTRODUCTION = Option(
    "introduction",
    ("kept", "dropped"),
    "Whether a question keeps its first line, which names the objects (`There are <object1><region>, ...`). "
    "kept is the default because there each object is mentioned with its region, and so has a place to be "
    "pointed at; dropped leaves the question alone, as it is described without masks, and with it only the "
    "objects that it or its answer mentions.",
)

MODE = Option(
    "mode",
    ("multi_frame", "single_frame"),
    "Which masks are given: multi_frame, the default, all that are annotated, single_frame only those of the "
    "frame `frame_idx`. Both see the same frames. Both are published figures.",
)


# Text


@dataclass(frozen=True)
class Regions:
    """Text with numbered objects.

    Attributes:
        texts: with `[id]` for every object.
        ids: the objects' numbers, in the order of the annotation.
        are_free: whether the text had none.
    """

    texts: Texts
    ids: tuple[int, ...]
    are_free: bool


def number_regions(texts: Sequence[str]) -> Regions:
    """Put numbers in the place of tags: the text's own, or those from 0 where it has none."""
    own = {int(number) for text in texts for number in _REGION.findall(text) if number}
    ids: list[int] = []

    def numbered(match: re.Match[str]) -> str:
        number = int(match[1]) if match[1] else next(n for n in count() if n not in own and n not in ids)
        if number not in ids:
            ids.append(number)
        return f"[{number}]"

    named = tuple(_OBJECT.sub(r"[\1]", _REGION.sub(numbered, text)) for text in texts)
    return Regions(named, tuple(ids), not own)


def _texts(item: Node) -> Texts:
    """What is said, without the place for the video."""
    turns = read_turns(item["conversations"])
    texts = [value.text() for turn in turns for value in turn]
    return (without_media_tag(texts[0]), *texts[1:])


# Which items count


def _has_one_caption(item: Node) -> bool:
    texts = _texts(item)
    return len(texts) == 2 and _count_regions(texts) == 1 == len(item["annotation"].list())


def _is_plain(item: Node) -> bool:
    """Enough of the video shows the objects, and they are not too many."""
    ratio = item.get("ratio")
    is_inside = 1 <= len(item["annotation"].list()) <= MAX_OBJECTS
    if ratio is None and not _is_inline(item):
        raise item["ratio"].error("a number")
    return is_inside and (ratio is None or ratio.number() >= MIN_RATIO)


def _is_description(item: Node) -> bool:
    return _is_plain(item) and _count_regions(_texts(item)) == 1


def _is_question(item: Node) -> bool:
    texts = _texts(item)
    return _is_plain(item) and (_INTRODUCTION.match(texts[0]) is not None or _count_regions(texts) == 1)


def _is_longer_question(item: Node) -> bool:
    return _is_question(item) and len(_annotated(item)) > 1


def _count_regions(texts: Iterable[str]) -> int:
    return sum(text.count("<region>") for text in texts)


def _is_inline(item: Node) -> bool:
    """Whether the masks stand in the annotation."""
    frames = (frame for track in item["annotation"].list() for frame in track.mapping().values())
    return any(isinstance(frame, dict) and frame.get("segmentation") is not None for frame in frames)


# Masks


def _annotated(item: Node) -> tuple[int, ...]:
    """Frames on which any of the objects is annotated."""
    frames = {frame for track in item["annotation"].list() for frame in _frames(track)}
    if not frames:
        raise item["annotation"].error("objects with frames")
    return tuple(sorted(frames))


def _frames(track: Node) -> dict[int, str]:
    """Frame numbers of one object, with their spelling."""
    names = track.mapping()
    for name in names:
        if not name.isdecimal():
            raise Node(track.file, f"{track.place} (its name)", name).error("the number of a frame")
    return {int(name): name for name in names}


def _inline_track(track: Node, frames: tuple[int, ...]) -> Track:
    names = _frames(track)
    regions = [track[names[frame]]["segmentation"].value if frame in names else None for frame in frames]
    return GivenTrack(Node(track.file, track.place, regions))


def _inline_masks(item: Node, frames: tuple[int, ...], only: int | None = None) -> RegionMasks:
    """Masks that stand in the annotation; with `only`, those of one frame."""
    tracks = tuple((_inline_track(track, frames),) for track in item["annotation"].list())
    return RegionMasks(tracks, _only(frames, only))


def _only(frames: tuple[int, ...], only: int | None) -> tuple[int, ...]:
    return frames if only is None else tuple(frame if frame == only else -1 for frame in frames)


def _check_count(item: Node, ids: tuple[int, ...]) -> None:
    if len(item["annotation"].list()) != len(ids):
        raise item["annotation"].error(f"as many objects as the text has regions, {len(ids)}")


# For training


@dataclass(frozen=True)
class Layout:
    """Where one of the training sets differs from the others.

    Attributes:
        file: the annotations' name, without `-wo-masks.json` or `.json`.
        masks: folder of the files with masks.
        task: what the samples teach.
        keep: which items count.
        single: whether only the first annotated frame counts.
        introduction: what becomes of a first line that names the objects, where that is no option.
    """

    file: str
    masks: str
    task: Task
    keep: Callable[[Node], bool]
    single: bool = False
    introduction: Literal["kept", "dropped"] = "kept"


def read_videorefer(layout: Layout, source: Source) -> Rows[int]:
    """One sample for each item that counts."""
    name = f"{layout.file}-wo-masks.json"
    if not source.path(*_FOLDER, name).is_file() and source.path(*_FOLDER, f"{layout.file}.json").is_file():
        name = f"{layout.file}.json"
    array = source.array(*_FOLDER, name)
    introduction = source.choices.get("introduction", layout.introduction)
    must_mention = layout.task == "remember" and introduction == "dropped"
    keep = partial(_mentions_objects, layout.keep) if must_mention else layout.keep
    kept = kept_items(source, array, keep, f"1 {introduction}")
    make = partial(_make, layout, source, array, introduction)
    return Rows(array.file, kept, make, count_left_out(array, kept))


def _mentions_objects(keep: Callable[[Node], bool], item: Node) -> bool:
    """Whether an item that counts still mentions an object without its first line."""
    if not keep(item):
        return False
    regions = number_regions(_texts(item))
    return bool(mentions("\n".join(_without_introduction(_texts(item), regions))))


def _make(layout: Layout, source: Source, array: JsonArray, introduction: str, place: int) -> Sample:
    index = int(place)
    item = array[index]
    regions = number_regions(_texts(item))
    _check_count(item, regions.ids)
    texts, ids = regions.texts, regions.ids
    if introduction == "dropped":
        texts = _without_introduction(_texts(item), regions)
    if layout.task == "remember":
        ids = tuple(id for id in mentions("\n".join(texts)) if id in regions.ids)
    frames = _annotated(item)
    only = frames[0] if layout.single else None
    tracks = _tracks(layout, source, item, index, frames)
    name = item["video"].text()
    return Sample(
        dataset=source.name,
        id=str(index),
        task=layout.task,
        media=locate(name, source.path(*_FOLDER, "videos", name)),
        rounds=tuple(Exchange(*pair) for pair in zip(texts[::2], texts[1::2], strict=True)),
        object_ids=ids,
        masks=RegionMasks(tuple((tracks[regions.ids.index(id)],) for id in ids), _only(frames, only)),
        annotated=frames if only is None else (only,),
        free_ids=regions.are_free,
    )


def _without_introduction(original: Texts, regions: Regions) -> Texts:
    """The first line goes if it named the objects, tags and all."""
    first = regions.texts[0]
    if _INTRODUCTION.match(original[0]):
        first = first.partition("\n")[2]
    return (first, *regions.texts[1:])


def _tracks(layout: Layout, source: Source, item: Node, index: int, frames: tuple[int, ...]) -> list[Track]:
    objects = item["annotation"].list()
    if _is_inline(item):
        return [_inline_track(track, frames) for track in objects]
    file = source.path(*_FOLDER, layout.masks, f"{index}.json")
    return [StoredTrack(file, (number,)) for number in range(len(objects))]


# For evaluation


def read_bench_q(source: Source) -> Rows[Node]:
    """One sample for each question."""
    return _read_bench(source, "VideoRefer-Bench-Q.json", partial(_make_question, source))


def read_bench_d(source: Source) -> Rows[Node]:
    """One sample for each description."""
    return _read_bench(source, "VideoRefer-Bench-D.json", partial(_make_description, source))


def _read_bench(source: Source, name: str, make: Callable[[Node], Sample]) -> Rows[Node]:
    array = source.array(*_BENCH, name)
    return Rows(array.file, cast(Sequence[Node], array), make, {"samples": str(len(array))})


def _make_question(source: Source, item: Node) -> Sample:
    options = [_option(node, number) for number, node in enumerate(item["options"].list())]
    key = ord(_option_letter(item["Answer"])) - ord("A")
    if not 0 <= key < len(options):
        raise item["Answer"].error(f"one of the {len(options)} options")
    regions = number_regions((item["Question"].text(), *options))
    choice = Choice(regions.texts[0], regions.texts[1:], key, id=item["id"].name() if item.get("id") else "")
    facts = Facts({"type": item["type"].name()})
    return _bench_sample(source, item, Asked("choose", choice, regions, ("videos",), facts))


def _make_description(source: Source, item: Node) -> Sample:
    caption = Caption(item["caption"].text(), 0, "detailed", id=item["id"].name() if item.get("id") else "")
    regions = Regions((), (0,), are_free=False)
    where = ("videos", "Panda-70M-part")
    return _bench_sample(source, item, Asked("describe", caption, regions, where, Facts()))


@dataclass(frozen=True)
class Asked:
    """What differs between the two benchmarks."""

    task: Task
    said: Choice | Caption
    regions: Regions
    folder: tuple[str, ...]
    facts: Facts


def _bench_sample(source: Source, item: Node, asked: Asked) -> Sample:
    _check_count(item, asked.regions.ids)
    frames = _annotated(item)
    key = item["frame_idx"].integer()
    if key not in frames:
        raise item["frame_idx"].error("one of the annotated frames")
    only = key if source.choices["mode"] == "single_frame" else None
    name = item["video"].text()
    return Sample(
        dataset=source.name,
        id=item.place.strip("[]"),
        task=asked.task,
        media=locate(name, source.path(*_BENCH, *asked.folder, name)),
        rounds=(asked.said,),
        object_ids=asked.regions.ids,
        masks=_inline_masks(item, frames, only),
        annotated=frames,
        key_frame=key,
        facts=asked.facts,
    )


def _option(node: Node, number: int) -> str:
    """An option's text without its letter, which must be the one of its place."""
    if _option_letter(node) != chr(ord("A") + number):
        raise node.error(f"an option that begins with ({chr(ord('A') + number)})")
    return node.text()[3:].strip()


def _option_letter(node: Node) -> str:
    match = re.match(r"\(([A-Z])\)", node.text())
    if match is None:
        raise node.error("(A) ...")
    return match[1]


# The data sets


def _annotations(layout: Layout) -> str:
    folder = "/".join(_FOLDER)
    return f"{folder}/{layout.file}-wo-masks.json, {folder}/{layout.masks}/*.json (or {layout.file}.json)"


_SHORT = Layout("videorefer-short-caption-500k", "masks_short_caption", "describe", _is_plain, single=True)
_SHORT_REF = Layout(_SHORT.file, _SHORT.masks, "refer", _has_one_caption, single=True)
_DETAILED = Layout("videorefer-detailed-caption-125k", "masks_detailed_caption", "describe", _is_description)
_QA = Layout("videorefer-qa-75k", "masks_qa", "describe", _is_question, introduction="dropped")
_QA_MEM = Layout(_QA.file, _QA.masks, "remember", _is_longer_question)

VIDEOREFER_SHORT_CAPTION_REF = dataset(
    "videorefer_short_caption_ref",
    task="refer",
    splits=("train",),
    licence=LICENCE,
    annotations=_annotations(_SHORT_REF),
    media="/".join((*_FOLDER, "videos")),
    repeats=(1, 0, 0),
)(partial(read_videorefer, _SHORT_REF))

VIDEOREFER_SHORT_CAPTION = dataset(
    "videorefer_short_caption",
    task="describe",
    splits=("train",),
    licence=LICENCE,
    annotations=_annotations(_SHORT),
    media="/".join((*_FOLDER, "videos")),
)(partial(read_videorefer, _SHORT))

VIDEOREFER_DETAILED_CAPTION = dataset(
    "videorefer_detailed_caption",
    task="describe",
    splits=("train",),
    licence=LICENCE,
    annotations=_annotations(_DETAILED),
    media="/".join((*_FOLDER, "videos")),
    repeats=(0, 0, 5),
)(partial(read_videorefer, _DETAILED))

VIDEOREFER_QA = dataset(
    "videorefer_qa",
    task="describe",
    splits=("train",),
    licence=LICENCE,
    annotations=_annotations(_QA),
    media="/".join((*_FOLDER, "videos")),
    repeats=(0, 0, 5),
)(partial(read_videorefer, _QA))

VIDEOREFER_QA_MEM = dataset(
    "videorefer_qa_mem",
    task="remember",
    splits=("train",),
    licence=LICENCE,
    annotations=_annotations(_QA_MEM),
    media="/".join((*_FOLDER, "videos")),
    repeats=(0, 0, 3),
    options=(INTRODUCTION,),
)(partial(read_videorefer, _QA_MEM))

VIDEOREFER_BENCH_Q = dataset(
    "videorefer_bench_q",
    task="choose",
    splits=("test",),
    licence="Apache-2.0",
    annotations="videorefer/VideoRefer-Bench/VideoRefer-Bench-Q.json",
    media="videorefer/VideoRefer-Bench/videos",
    options=(MODE,),
)(read_bench_q)

VIDEOREFER_BENCH_D = dataset(
    "videorefer_bench_d",
    task="describe",
    splits=("test",),
    licence="Apache-2.0",
    annotations="videorefer/VideoRefer-Bench/VideoRefer-Bench-D.json",
    media="videorefer/VideoRefer-Bench/videos/Panda-70M-part",
    options=(MODE,),
)(read_bench_d)
