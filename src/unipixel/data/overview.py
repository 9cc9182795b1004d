"""What data sets there are, what of them is on disk, and what is in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from unipixel.data.registry import DatasetInfo
from unipixel.data.sample import Caption, Choice, Exchange, Expression, Round, Sample

Presence: TypeAlias = Literal["found", "partly", "missing"]

_BRACES = re.compile(r"\{([^{}]*)\}")
_COMMA = re.compile(r",\s*(?![^{]*\})")


def presence(info: DatasetInfo, root: Path) -> Presence:
    """Whether the files that a data set names are below a root. No file is opened.

    Of a name with several spellings (`{train,val}`) one is enough. What is drawn needs none.
    """
    if info.drawn:
        return "found"
    groups = [*_COMMA.split(info.annotations), info.media]
    there = [
        any(_exists(root, way) for choice in group.split(" or ") for way in _ways(choice)) for group in groups
    ]
    if all(there):
        return "found"
    return "partly" if any(there) else "missing"


def _ways(pattern: str) -> Iterator[str]:
    """`a/{b,c}` -> `a/b`, `a/c`."""
    braces = _BRACES.search(pattern)
    if braces is None:
        yield pattern.strip()
        return
    for choice in braces[1].split(","):
        yield from _ways(pattern[: braces.start()] + choice.strip() + pattern[braces.end() :])


def _exists(root: Path, way: str) -> bool:
    if way in ("", "."):
        return root.is_dir()
    return next(iter(root.glob(way)), None) is not None


@dataclass(frozen=True)
class Counts:
    """What is in some samples; each counter has names and how often they are there.

    Attributes:
        samples: how many there are.
        clips: how many different ones.
        tasks: samples by task.
        rounds: rounds by kind, expressions with their form.
        media: samples by what they show.
        objects: samples by their number of objects.
        masks: samples with masks, with pointers only, and with neither.
        words: in questions and answers together.
    """

    samples: int
    clips: int
    tasks: Counter[str]
    rounds: Counter[str]
    media: Counter[str]
    objects: Counter[int]
    masks: Counter[str]
    words: int


def count(samples: Iterable[Sample]) -> Counts:
    """Count what is in samples; no picture and no mask is opened."""
    tasks, rounds, media, masks = (Counter[str]() for _ in range(4))
    objects: Counter[int] = Counter()
    clips: set[str] = set()
    words = 0
    for sample in samples:
        tasks[sample.task] += 1
        rounds.update(map(_kind, sample.rounds))
        words += sum(len(text.split()) for said in sample.rounds for text in texts(said))
        objects[len(sample.object_ids)] += 1
        masks["masks" if sample.masks is not None else "pointers" if sample.pointers else "neither"] += 1
        media[_shows(sample)] += 1
        if sample.media is not None:
            clips.add(sample.media.vid)
    return Counts(tasks.total(), len(clips), tasks, rounds, media, objects, masks, words)


def texts(said: Round) -> tuple[str, str]:
    """A round as question and answer, for people."""
    if isinstance(said, Expression):
        part = f" ({said.part})" if said.part else ""
        return f"<{said.form}> {said.text}{part}", said.answer
    if isinstance(said, Caption):
        return f"<{said.style} description>", said.text
    if isinstance(said, Choice):
        options = " ".join(f"({chr(ord('A') + place)}) {text}" for place, text in enumerate(said.options))
        return f"{said.question} {options}", said.letter or ""
    return said.question, said.answer


def _kind(said: Round) -> str:
    if isinstance(said, Expression):
        return f"expression ({said.form})"
    return {Exchange: "exchange", Caption: "description", Choice: "choice"}[type(said)]


def _shows(sample: Sample) -> str:
    if sample.media is None:
        return "nothing"
    if sample.media.video is not None:
        return "video"
    return "picture" if sample.media.is_still else "frames"
