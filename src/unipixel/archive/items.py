"""What is annotated: items (a picture or video each), and what is asked about them."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from unipixel.core.conversation import check_text
from unipixel.core.masks import RLE
from unipixel.core.media import Clip
from unipixel.core.objects import check_id
from unipixel.core.prompts import Box, Point
from unipixel.errors import PromptError, RequestError

LONGEST_ID = 1000


@dataclass(frozen=True)
class Words:
    """A question; every mask of its answer becomes an object."""

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise RequestError(f"a question is a text with words in it; found {self.text!r:.80}")
        check_text(self.text)


@dataclass(frozen=True)
class Mark:
    """Where an object is on one frame of the item: a click or box (its own frame number is not looked at),
    or its mask."""

    frame: int
    shape: Box | Point | RLE

    def __post_init__(self) -> None:
        if self.frame < 0:
            raise PromptError(f"an object is marked on frame {self.frame}; frames count from 0")


@dataclass(frozen=True)
class Marked:
    """An object that is known by its place: it becomes one tracked object, under its own number.

    One mark: it is followed through the whole item. Marks on several frames also say when it is there: it is
    followed from the first of them to the last.
    """

    id: int
    marks: tuple[Mark, ...]
    name: str = ""

    def __post_init__(self) -> None:
        check_id(self.id)
        object.__setattr__(self, "marks", tuple(sorted(self.marks, key=lambda mark: mark.frame)))
        frames = [mark.frame for mark in self.marks]
        if not frames or len(set(frames)) < len(frames):
            raise PromptError(
                f"object [{self.id}] is marked on frames {frames}; expected one mark on each, at least one"
            )

    @property
    def reach(self) -> tuple[int, int] | None:
        """First and last frame on which it may be; None for the whole item."""
        return (self.marks[0].frame, self.marks[-1].frame) if len(self.marks) > 1 else None


Query: TypeAlias = Words | Marked
"""What is done about one object of the work: the third part of the unit of resume."""


@dataclass(frozen=True)
class Item:
    """One picture or video and what is asked about it.

    Attributes:
        id: a name that no other item has.
        media: its file or folder; several are its frames.
        queries: questions and objects, in the order of the output.
        fps: the clock of frames that have none.
        step: of a video only frames 0, step, 2·step, … count.
    """

    id: str
    media: tuple[Path, ...]
    queries: tuple[Query, ...]
    fps: float | None = None
    step: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "media", tuple(Path(path) for path in self.media))
        object.__setattr__(self, "queries", tuple(self.queries))
        if not self.id or len(self.id) > LONGEST_ID or not _is_line(self.id):
            raise RequestError(
                f"an item's id is a line of 1 to {LONGEST_ID} letters that can be written as UTF-8; found "
                f"{self.id!r:.80}; rename the file, or give an id in a manifest"
            )
        if not self.media or not self.queries:
            raise RequestError(f"item {self.id} needs a file, and a question or an object to ask about")
        if self.step < 1:
            raise RequestError(f"item {self.id}: a step of {self.step} is impossible; give 1 or more")
        numbers = [query.id for query in self.queries if isinstance(query, Marked)]
        if len(set(numbers)) < len(numbers):
            raise PromptError(f"item {self.id}: two objects have one number; found {numbers}")

    @property
    def first_free(self) -> int:
        """The number of the first object that words find: those of marked objects are taken."""
        return 1 + max((query.id for query in self.queries if isinstance(query, Marked)), default=-1)

    @property
    def digest(self) -> str:
        """Tells whether an item is still the one that was annotated: its files and what is asked."""
        told = [[str(path) for path in self.media], [_told(query) for query in self.queries]]
        told += [self.fps, self.step] if (self.fps, self.step) != (None, 1) else []
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def open(self) -> Clip:
        """Its clip; MediaError."""
        source = self.media[0] if len(self.media) == 1 else list(self.media)
        return Clip.open(source, self.fps)


def _is_line(text: str) -> bool:
    """Neither control characters, line ends nor halves of surrogate pairs; odd spaces may be (names of macOS
    screenshots have them)."""
    return not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text)


def _told(query: Query) -> list[Any]:
    if isinstance(query, Words):
        return [query.text]
    return [query.id, query.name, [[mark.frame, repr(mark.shape)] for mark in query.marks]]


def check_distinct(items: Iterable[Item]) -> tuple[Item, ...]:
    """The items; RequestError if two have one id."""
    found = tuple(items)
    seen: dict[str, Item] = {}
    for item in found:
        other = seen.setdefault(item.id, item)
        if other is not item:
            raise RequestError(
                f"two items are called {item.id!r} ({other.media[0]} and {item.media[0]}); give one of them "
                "an id of its own"
            )
    return found
