"""Manifests: a table of items, as JSONL, CSV or Parquet (docs/archives.md).

    {"media": "a.mp4", "id": "a", "ask": ["…", "…"], "fps": 5,
     "objects": [{"id": 3, "name": "car", "box": [10, 20, 60, 70], "frame": 12}]}

Rows of one `id` (in CSV, where a row has one question or one object) are one item. A JSONL file of the
project's own form (docs/data.md) is read too: its objects are followed, its questions asked.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unipixel.archive.items import Item, Mark, Marked, Query, Words
from unipixel.core.masks import RLE
from unipixel.core.prompts import Box, Point
from unipixel.data.importers.common import about
from unipixel.errors import ConfigError, DataError

MANIFESTS = (".jsonl", ".csv", ".parquet")
_OF_ITEM = ("media", "image", "video", "frames", "id", "ask", "objects", "fps")
_OF_OBJECT = ("object", "name", "box", "point", "rle", "frame", "x1", "y1", "x2", "y2", "x", "y")
_FIELDS = frozenset((*_OF_ITEM, *_OF_OBJECT))
_EXPECTED = "media, id, ask, objects, fps; or for one object a row: object, name, frame, and x1, y1, x2, y2"


def read_manifest(file: Path, words: Sequence[Query] = ()) -> Iterator[Item]:
    """Items in the order in which they first occur; `words` are asked about each before its own questions.

    Raises:
        DataError: the file is damaged; with line and field. ConfigError: pyarrow is needed and not there.
    """
    items: dict[str, _Row] = {}
    for place, row in _rows(file):
        if "task" in row and "conversation" in row:
            yield from _own_form(file, words)
            return
        with about(file, place):
            parsed = _checked(row, file.parent)
        known = items.setdefault(parsed.id, parsed)
        if known is not parsed:
            known.join(parsed, file, place)
    for known in items.values():
        yield known.item(words, file)


@dataclass
class _Row:
    """What is known of an item so far."""

    id: str
    media: tuple[Path, ...]
    asks: list[str] = field(default_factory=list)
    marks: dict[int, list[Mark]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    fps: float | None = None

    def join(self, other: _Row, file: Path, place: str) -> None:
        """Take what another row of the same item says."""
        if other.media != self.media:
            raise DataError(file, place, f"item {self.id} with another file", f"{self.media[0]} as before")
        self.asks += [ask for ask in other.asks if ask not in self.asks]
        for number, marks in other.marks.items():
            self.marks.setdefault(number, []).extend(marks)
        self.names.update(other.names)

    def item(self, words: Sequence[Query], file: Path) -> Item:
        asked = [Words(ask) for ask in self.asks]
        marked = [
            Marked(number, tuple(marks), self.names.get(number, "")) for number, marks in self.marks.items()
        ]
        if not (words or asked or marked):
            raise ConfigError(f"{file}: nothing is asked about {self.id}; give it an ask, or --ask for all")
        return Item(self.id, self.media, (*words, *asked, *marked), self.fps)


def _checked(row: Mapping[str, Any], root: Path) -> _Row:
    """A row; DataError for whatever is wrong with it."""
    try:
        return _parse(row, root)
    except DataError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError("", "", f"{error}".removesuffix("."), _EXPECTED) from error


def _parse(row: Mapping[str, Any], root: Path) -> _Row:
    unknown = sorted(name for name in row if name not in _FIELDS)
    if unknown:
        raise DataError("", "", f"the fields {', '.join(map(str, unknown))}", _EXPECTED)
    media = _media(row, root)
    number = row.get("id")
    name = str(number) if number not in (None, "") else _first_path(row)
    found = _Row(name, media, _asks(row.get("ask")), fps=_maybe_float(row.get("fps")))
    objects = _listed(row.get("objects"))
    if any(_has(row, key) for key in ("box", "x1", "point", "x", "rle")):
        objects = [*objects, {**row, "id": row.get("object", 0)}]
    for place, one in enumerate(objects):
        _add_object(found, one, place)
    return found


def _add_object(found: _Row, one: Mapping[str, Any], place: int) -> None:
    number = int(one["id"]) if _has(one, "id") else place
    found.marks.setdefault(number, [])
    if _has(one, "name"):
        found.names[number] = str(one["name"])
    boxes = one.get("boxes")
    if boxes:
        pairs = boxes.items() if isinstance(boxes, Mapping) else boxes
        found.marks[number] += [Mark(int(frame), _box(box)) for frame, box in pairs]
        return
    found.marks[number].append(Mark(int(one.get("frame") or 0), _shape(one)))


def _shape(one: Mapping[str, Any]) -> Box | Point | RLE:
    if _has(one, "rle"):
        rle = one["rle"]
        return RLE.from_coco(json.loads(rle) if isinstance(rle, str) else rle)
    if _has(one, "box"):
        corners = one["box"].replace(",", " ").split() if isinstance(one["box"], str) else one["box"]
        return _box(corners)
    if _has(one, "x1"):
        return _box([one[key] for key in ("x1", "y1", "x2", "y2")])
    point = one["point"] if _has(one, "point") else (one["x"], one["y"])
    x, y = point.replace(",", " ").split() if isinstance(point, str) else point
    return Point(float(x), float(y))


def _box(corners: Sequence[Any]) -> Box:
    x1, y1, x2, y2 = (float(value) for value in corners)
    return Box(x1, y1, x2, y2)


def _has(row: Mapping[str, Any], key: str) -> bool:
    return row.get(key) not in (None, "")


def _media(row: Mapping[str, Any], root: Path) -> tuple[Path, ...]:
    named = next((row[key] for key in ("media", "image", "video", "frames") if _has(row, key)), None)
    if isinstance(named, Mapping):
        return _media(named, root)
    paths = [named] if isinstance(named, str) else list(named or ())
    if not paths:
        raise DataError("", "", "no file", "media: a path, or a list of the paths of frames")
    return tuple(root / str(path) for path in paths)


def _first_path(row: Mapping[str, Any]) -> str:
    named: Any = next(row[key] for key in ("media", "image", "video", "frames") if _has(row, key))
    if isinstance(named, Mapping):
        return _first_path(named)
    return named if isinstance(named, str) else str(named[0])


def _asks(value: object) -> list[str]:
    if value in (None, ""):
        return []
    return [value] if isinstance(value, str) else [str(one) for one in _listed(value)]


def _listed(value: Any) -> list[Any]:
    if value in (None, ""):
        return []
    return list(json.loads(value) if isinstance(value, str) else value)


def _maybe_float(value: object) -> float | None:
    return None if value in (None, "") else float(value)  # type: ignore[arg-type]


# Files


def _rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    kind = file.suffix.lower()
    readers = {".jsonl": _json_rows, ".csv": _csv_rows, ".parquet": _parquet_rows}
    try:
        yield from readers[kind](file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(file, "", f"a file that cannot be read ({error})", "a manifest") from error


def _json_rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(file, f"line {number}", f"no JSON ({error})", "one object a line") from error
            if not isinstance(row, dict):
                raise DataError(file, f"line {number}", f"{row!r:.60}", f"an object with {_EXPECTED}")
            yield f"line {number}", row


def _csv_rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream, restkey="more columns than the first line"), 2):
            yield f"line {number}", row


def _parquet_rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        from pyarrow import ArrowInvalid, parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(
            f"{file}: Parquet is read with pyarrow; install it: pip install 'unipixel[archive]'"
        ) from error
    try:
        number = 0
        for batch in parquet.ParquetFile(file).iter_batches():
            for row in batch.to_pylist():
                yield f"row {number}", {name: value for name, value in row.items() if value is not None}
                number += 1
    except ArrowInvalid as error:
        raise DataError(file, "", f"no Parquet ({error})", "a Parquet file") from error


def _own_form(file: Path, words: Sequence[Query]) -> Iterator[Item]:
    from unipixel.archive.boxes import from_data
    from unipixel.data.jsonl import read_items

    for _, item in read_items(file):
        found = from_data(item, file.parent, words)
        if found is not None:
            yield found
