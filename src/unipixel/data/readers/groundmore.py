"""GroundMoRe: questions about motions whose answer is an object."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from unipixel.data.annotations import LabelMaps
from unipixel.data.files import Node, list_numbered
from unipixel.data.registry import Option, Rows, Source, dataset
from unipixel.data.sample import Expression, Facts, Media, Sample

TEST_FRAMES = 20
FRAMES_PER_SECOND = 6
_FILES = {"train": "trainval_v2.json", "test": "test_v2.json"}

ACTION_WINDOW = Option(
    "action_window",
    ("scored", "ignored"),
    "Masks of the test split outside of the time that the question is about. scored leaves them empty, as "
    "the published scores do, and is the default because that is what predictions are compared with; ignored "
    "keeps every mask file, as the published loader does.",
)


@dataclass(frozen=True)
class Asked:
    """One question and the frames on which it is asked."""

    vid: str
    id: str
    question: str
    answer: str
    ids: tuple[int, ...]
    frames: tuple[Path, ...]
    masks: tuple[Path | None, ...]
    facts: Facts


@dataset(
    "groundmore",
    task="segment",
    splits=("train", "test"),
    licence="not stated",
    annotations="groundmore/{trainval_v2,test_v2}.json, groundmore/annotations/*/masks",
    media="groundmore/annotations/*/images",
    repeats=(0, 0, 3),
    options=(ACTION_WINDOW,),
)
def read_groundmore(source: Source) -> Rows[Asked]:
    """One sample for each question; train keeps the frames that have masks, test takes 20 of all."""
    file = source.json("groundmore", _FILES[source.split])
    found: list[Asked] = []
    absent = unmasked = 0
    for vid, video in file["videos"].items():
        with source.part():
            folder = source.path("groundmore", "annotations", vid)
            if not folder.is_dir():
                absent += 1
                continue
            numbers, frames, masks = _frames(folder, source.split)
            if not frames:
                unmasked += 1
                continue
            for id, question in video["questions"].items():
                with source.part():
                    found.append(_asked(source, vid, id, question, (numbers, frames, masks)))
    notes = {
        "expressions": str(len(found)),
        "videos left out without folder": str(absent),
        "videos left out without masks": str(unmasked),
    }
    return Rows(file.file, found, partial(_make, source), notes)


_Chosen = tuple[tuple[int, ...], tuple[Path, ...], tuple[Path | None, ...]]
"""Numbers of the chosen frames among all, their pictures, their masks."""


def _frames(folder: Path, split: str) -> _Chosen:
    pictures = list_numbered(folder / "images", (".jpg",))
    has_masks = (folder / "masks").is_dir()
    masks = {path.stem: path for path in list_numbered(folder / "masks", (".png",))} if has_masks else {}
    numbers: Sequence[int] = range(len(pictures))
    if split == "train":
        numbers = [number for number in numbers if pictures[number].stem in masks]
    elif pictures:
        numbers = spread(len(pictures))
    frames = tuple(pictures[number] for number in numbers)
    return tuple(numbers), frames, tuple(masks.get(frame.stem) for frame in frames)


def spread(num_frames: int) -> list[int]:
    """The frames of the test: 20 from first to last, cut to whole numbers; short videos repeat some."""
    return [int(number) for number in np.linspace(0, num_frames - 1, TEST_FRAMES)]


def _asked(source: Source, vid: str, id: str, question: Node, chosen: _Chosen) -> Asked:
    numbers, frames, masks = chosen
    text = question["question"].text().strip()
    facts = {"q_type": question["q_type"].name(), "obj_id": question["obj_id"].name()}
    if source.split == "test":
        first, last = _action(vid, question)
        facts |= {"action_first": str(first), "action_last": str(last)}
        facts["frame_numbers"] = " ".join(str(number) for number in numbers)
        if source.choices["action_window"] == "scored":
            masks = tuple(
                mask if first <= number <= last else None for number, mask in zip(numbers, masks, strict=True)
            )
    return Asked(
        vid=vid,
        id=id,
        question=text if text.endswith("?") else f"{text}?",
        answer=question["answer"].text().strip(),
        ids=_ids(question["obj_id"]),
        frames=frames,
        masks=masks,
        facts=Facts(facts),
    )


def _ids(node: Node) -> tuple[int, ...]:
    """ "1" or "1, 2"."""
    numbers = re.split(r"\s*,\s*", node.name().strip())
    if not all(number.isdecimal() for number in numbers):
        raise node.error('numbers of objects: "1" or "1, 2"')
    return tuple(int(number) for number in numbers)


def _action(vid: str, question: Node) -> tuple[int, int]:
    """First and last frame that the question is about; clips begin at the MMSS of `..._MMSS_MMSS`."""
    match = re.fullmatch(r"(\d\d)(\d\d)_\d{4}", vid[-9:])
    if match is None:
        raise Node(question.file, question.place, vid).error("a video whose name ends in MMSS_MMSS")
    begin = 60 * int(match[1]) + int(match[2])
    start, end = (_seconds(question[name]) for name in ("action_start", "action_end"))
    return (start - begin) * FRAMES_PER_SECOND, (end - begin) * FRAMES_PER_SECOND - 1


def _seconds(node: Node) -> int:
    """mm:ss or hh:mm:ss."""
    if not re.fullmatch(r"(\d+:)?\d+:\d+", node.text().strip()):
        raise node.error("a time, mm:ss or hh:mm:ss")
    seconds = 0
    for part in node.text().split(":"):
        seconds = 60 * seconds + int(part)
    return seconds


def _make(source: Source, item: Asked) -> Sample:
    return Sample(
        dataset=source.name,
        id=f"{item.vid}/{item.id}",
        task="segment",
        media=Media(item.vid, item.frames),
        rounds=(Expression(item.question, "question", answer=item.answer, id=item.id),),
        object_ids=(0,),
        masks=LabelMaps(item.masks, (item.ids,)),
        facts=item.facts,
    )
