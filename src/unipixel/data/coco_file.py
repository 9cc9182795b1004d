"""Files in the layout of COCO: one JSON object with long lists of images, annotations and categories.

PACO's is too long to be parsed at once, so the lists are walked over when the file is opened, and their items
parsed when they are asked for. What was found is kept, as for those of `data.long_json`.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from json.decoder import WHITESPACE  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unipixel.data.annotations import decode_region
from unipixel.data.files import Node, parse_json, reading
from unipixel.data.long_json import may_go_on, remembered
from unipixel.data.registry import Source
from unipixel.data.sample import Masks
from unipixel.errors import DataError

ABSENT = int(np.iinfo(np.int64).min)
"""Stands in a column for a value that could not be read."""

_LISTS = ("images", "annotations", "categories")
_COLUMNS = ("id", "image_id")
_WINDOW = 1 << 24  # bytes that are looked at together


@dataclass(frozen=True, eq=False)
class Section:
    """One of the lists; items are parsed when they are asked for.

    Attributes:
        source: where the file belongs.
        file: the file.
        name: of the list.
        spans: first and last-plus-one byte of each item [N, 2].
        ids: the field `id` of each item [N]; ABSENT where it is no plain whole number.
        image_ids: the field `image_id`, likewise.
    """

    source: Source
    file: Path
    name: str
    spans: NDArray[np.int64]
    ids: NDArray[np.int64]
    image_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, index: int) -> Node:
        """Item `index`, 0 <= index < len."""
        return next(self.pick([index]))

    def __iter__(self) -> Iterator[Node]:
        """All items in one pass over the file."""
        return self.pick(range(len(self)))

    def pick(self, indices: Sequence[int]) -> Iterator[Node]:
        """The items at some places, in that order."""
        with reading(self.file, self.name), self.file.open("rb") as stream:
            for index in indices:
                start, stop = self.spans[index].tolist()
                stream.seek(start)
                place = f"{self.name}[{index}]"
                yield Node(self.file, place, parse_json(stream.read(stop - start), self.file, place))

    def numbers(self, field: Literal["id", "image_id"]) -> list[int]:
        """A field of all items, whole numbers; ABSENT where there is a problem with one.

        Raises:
            DataError: it is missing or no whole number, and nobody listens.
        """
        values: list[int] = (self.ids if field == "id" else self.image_ids).tolist()
        for index in (index for index, value in enumerate(values) if value == ABSENT):
            with self.source.part():
                values[index] = self[index][field].integer()
        return values

    def places(self) -> dict[int, int]:
        """The place of each item by its `id`; of those with the same one, a problem, the first counts."""
        found: dict[int, int] = {}
        for place, id in enumerate(self.numbers("id")):
            if id != ABSENT and found.setdefault(id, place) != place:
                with self.source.part():
                    where = f"{self.name}[{place}].id"
                    raise DataError(self.file, where, f"{id}, as {self.name}[{found[id]}] has", "another id")
        return found


@dataclass(frozen=True, eq=False)
class CocoFile:
    """The lists of one file."""

    images: Section
    annotations: Section
    categories: Section

    @property
    def file(self) -> Path:
        """Where it lies."""
        return self.images.file

    @classmethod
    def open(cls, source: Source, *parts: str) -> CocoFile:
        """Find the items of a file below the root; a list that it does not have is empty.

        Raises:
            DataError: the file is missing, no JSON, or no object.
        """
        file = source.path(*parts)
        found = remembered(file, source.cache, "coco", lambda: _scan(file))
        none = np.zeros((0, 4), dtype=np.int64)
        tables = [found.get(name, none) for name in _LISTS]
        return cls(
            *(
                Section(source, file, name, table[:, :2], table[:, 2], table[:, 3])
                for name, table in zip(_LISTS, tables, strict=True)
            )
        )


@dataclass(frozen=True, eq=False)
class CocoMasks:
    """Masks of some annotations of a still, each an object.

    Attributes:
        annotations: the list they are in.
        places: theirs in it.
        canvas: (height, width) of the image as the file has it, which polygons are drawn in.
    """

    annotations: Section
    places: tuple[int, ...]
    canvas: tuple[int, int]

    @property
    def num_objects(self) -> int:
        return len(self.places)

    def only(self, objects: Sequence[int]) -> CocoMasks:
        """Some of the objects; see SelectiveMasks."""
        return replace(self, places=tuple(self.places[place] for place in objects))

    def read(self, frames: Sequence[int], height: int, width: int) -> Masks:
        """The masks, repeated for each of `frames`: bool [O, len(frames), height, width]; see ObjectMasks."""
        result = np.zeros((self.num_objects, len(frames), height, width), dtype=np.bool_)
        for masks, annotation in zip(result, self.annotations.pick(self.places), strict=True):
            masks[:] = decode_region(annotation["segmentation"], height, width, self.canvas)
        return result


def canvas(image: Node) -> tuple[int, int]:
    """(height, width) of an entry of `images`."""
    sides = image["height"].integer(), image["width"].integer()
    if min(sides) < 1:
        raise DataError(image.file, image.place, f"height and width {sides}", "at least one pixel")
    return sides


# Finding the items


def _scan(file: Path) -> dict[str, NDArray[Any]]:
    """For each list int64 [N, 4]: first and last-plus-one byte of the items, their `id`, their `image_id`."""
    with reading(file), file.open("rb") as stream:
        if stream.seek(0, 2) == 0:
            raise DataError(file, "", "an empty file", "JSON")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return _lists(_Walk(file, view))


def _lists(walk: _Walk) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    walk.take("{")
    mark = "," if walk.peek() != "}" else walk.take("}")
    while mark == ",":
        name = walk.name()
        walk.take(":")
        if name in _LISTS:
            found[name] = np.asarray(_items(walk), dtype=np.int64).reshape(-1, 4)
        else:
            walk.value()
        mark = walk.take(",}")
    if walk.peek():
        raise walk.error("more behind the end of the JSON", "one JSON value")
    return found


def _items(walk: _Walk) -> list[int]:
    found: list[int] = []
    walk.take("[")
    mark = "," if walk.peek() != "]" else walk.take("]")
    while mark == ",":
        start, stop, value = walk.value()
        found += (start, stop, *(_number(value, field) for field in _COLUMNS))
        mark = walk.take(",]")
    return found


def _number(value: object, field: str) -> int:
    number = value.get(field) if isinstance(value, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or abs(number) >= -ABSENT:
        return ABSENT
    return number


class _Walk:
    """Goes along the JSON text of a file, of which it has a window at a time.

    Bytes are looked at as Latin-1, so that characters and bytes count alike; what has a meaning in JSON is
    ASCII.
    """

    def __init__(self, file: Path, view: mmap.mmap) -> None:
        self.file, self.view, self.at = file, view, 0
        self.parse = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
        self._move(3 if view[:3] == b"\xef\xbb\xbf" else 0, _WINDOW)

    def peek(self) -> str:
        """The next character that is no space, empty at the end."""
        self.at = WHITESPACE.match(self.text, self.at).end()
        while self.at == len(self.text) and not self._is_last:
            self._move(self.base + self.at, _WINDOW)
            self.at = WHITESPACE.match(self.text, 0).end()
        return self.text[self.at : self.at + 1]

    def take(self, wanted: str) -> str:
        """Go behind the next character, which must be one of those."""
        found = self.peek()
        if not found or found not in wanted:
            raise self.error(f"{found!r}" if found else "the end", " or ".join(repr(mark) for mark in wanted))
        self.at += 1
        return found

    def name(self) -> str:
        """Go behind the name of a field."""
        if self.peek() != '"':
            raise self.error(f"{self.peek()!r}", "a name in quotes")
        start, stop, _ = self.value()
        return str(parse_json(self.view[start:stop], self.file, f"byte {start}"))

    def value(self) -> tuple[int, int, Any]:
        """Go behind a value: its first and last-plus-one byte, and what it is, with text as Latin-1."""
        self.peek()
        while True:
            try:
                value, stop = self.parse(self.text, self.at)
            except (ValueError, StopIteration, RecursionError):
                value, stop = None, -1
            if stop >= 0 and (self._is_last or not may_go_on(self.text, stop)):
                start, self.at = self.at, stop
                return self.base + start, self.base + stop, value
            if self._is_last:
                raise self.error("a value that is no JSON, or breaks off", "JSON")
            self._move(self.base + self.at, self.size * 2 if self.at == 0 else _WINDOW)

    def error(self, found: str, expected: str) -> DataError:
        """A DataError with line and column."""
        at = self.base + self.at
        before = self.view[:at]
        where = f"line {before.count(10) + 1} column {at - before.rfind(10)}"
        return DataError(self.file, where, found, expected)

    @property
    def _is_last(self) -> bool:
        return self.base + len(self.text) >= len(self.view)

    def _move(self, base: int, size: int) -> None:
        self.base, self.size = base, size
        self.text = str(self.view[base : base + size], "latin-1")
        self.at = 0
