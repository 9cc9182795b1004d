"""MOT challenge: a folder for each sequence, with boxes of numbered objects in `gt/gt.txt`."""

from __future__ import annotations

import configparser
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unipixel.core.media import Clip
from unipixel.data.files import list_numbered, read_bytes
from unipixel.data.importers.common import OnNote, about, box_shape, relative, unheard
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.parts import Describe, FrameSpan, ItemMedia, ItemObject, Region
from unipixel.data.sample import Facts
from unipixel.errors import DataError

CLASSES = {
    1: "pedestrian",
    2: "person on vehicle",
    3: "car",
    4: "bicycle",
    5: "motorbike",
    6: "non-motorized vehicle",
    7: "static person",
    8: "distractor",
    9: "occluder",
    10: "occluder on the ground",
    11: "occluder full",
    12: "reflection",
    13: "crowd",
}
"""What the numbers of MOT16 to MOT20 mean. Lines without a class are pedestrians, as in MOT15."""

_LAST_THING = 7
"""Classes up to here are what a person would say when asked what an object is."""

_COLUMNS = ("confidence", "class", "visibility")
_COLUMNS_2015 = ("confidence", "x", "y", "z")


def import_mot(sequences: Sequence[Path], root: Path, on_note: OnNote = unheard) -> Iterator[Item]:
    """One item for each sequence: each object has a box on each of its frames, and is asked about once.

    Boxes can only point. Numbers of the file count from 1, frames and pixels here from 0; a box that leaves
    the picture is cut off, and its own numbers stay in the region's facts. Objects that do not count
    (confidence 0 throughout) or are no things (occluders, reflections) are kept without a question.

    Args:
        sequences: folders with `gt/gt.txt`, the frames (`img1`), and maybe `seqinfo.ini`.
        root: the folder that written paths are relative to.
        on_note: told which boxes and sequences are left out.

    Raises:
        DataError: a file is missing or damaged; with file and line.
        ConfigError: the frames are not inside the root.
    """
    for folder in sequences:
        sequence = _Sequence.of(folder, root)
        rows = list(_rows(folder / "gt" / "gt.txt", len(sequence.media.paths)))
        with about(folder / "gt" / "gt.txt", ""):
            item = _item(sequence, rows, on_note)
        if item is None:
            on_note(f"{sequence.name}: no objects to ask about, left out")
        else:
            yield item


def _item(sequence: _Sequence, rows: Sequence[_Row], on_note: OnNote) -> Item | None:
    objects = _objects(rows, sequence, on_note)
    asked = {row.id for row in rows if row.counts and row.kind <= _LAST_THING}
    rounds = [Describe(one.id, one.name, "brief") for one in objects if one.id in asked and one.regions]
    if not rounds:
        return None
    return Item(
        id=sequence.name,
        task="refer",
        rounds=tuple(rounds),
        media=sequence.media,
        objects=tuple(objects),
        annotated="all",
        facts=sequence.facts,
    )


@dataclass(frozen=True)
class _Sequence:
    name: str
    media: ItemMedia
    size: tuple[int, int]
    facts: Facts

    @classmethod
    def of(cls, folder: Path, root: Path) -> _Sequence:
        info = _info(folder / "seqinfo.ini")
        pictures = list_numbered(folder / info.get("imDir", "img1"), (".jpg", ".jpeg", ".png"))
        if not pictures:
            raise DataError(folder, "img1", "no pictures", "the frames of this sequence")
        clip = Clip.open(pictures[0])
        size = clip.width, clip.height
        name = info.get("name", folder.name)
        fps = _rate(folder / "seqinfo.ini", info.get("frameRate"))
        media = ItemMedia("frames", tuple(relative(path, root) for path in pictures), name, fps, size=size)
        return cls(name, media, size, Facts(info))


def _info(file: Path) -> dict[str, str]:
    """The fields of `seqinfo.ini`; empty where there is none."""
    if not file.is_file():
        return {}
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(read_bytes(file).decode("utf-8-sig"), str(file))
        return dict(parser["Sequence"])
    except (configparser.Error, UnicodeDecodeError, KeyError) as error:
        raise DataError(file, "", f"no sequence ({error})", "a section [Sequence]") from error


def _rate(file: Path, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise DataError(file, "frameRate", repr(text), "frames per second") from None


@dataclass(frozen=True)
class _Row:
    """A line of `gt.txt`: frame from 0, and left, top, width, height with the picture's edge at 0."""

    line: int
    frame: int
    id: int
    box: tuple[float, float, float, float]
    counts: bool
    kind: int
    facts: Facts


def _rows(file: Path, total: int) -> Iterator[_Row]:
    try:
        text = read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(file, "", f"bytes that are no text ({error.reason})", "UTF-8") from None
    seen: dict[tuple[int, int], int] = {}
    for number, cells in enumerate(csv.reader(text.splitlines()), 1):
        if not cells:
            continue
        row = _row(file, number, cells)
        if not 0 <= row.frame < total:
            raise DataError(file, f"line {number}", f"frame {row.frame + 1}", f"frames 1 to {total}")
        first = seen.setdefault((row.frame, row.id), number)
        if first != number:
            found = f"object {row.id} on frame {row.frame + 1} again"
            raise DataError(
                file, f"line {number}", found, f"one box on a frame; the first is in line {first}"
            )
        yield row


def _row(file: Path, number: int, cells: Sequence[str]) -> _Row:
    try:
        values = [float(cell) for cell in cells]
        frame, id = int(values[0]), int(values[1])
        left, top, width, height = values[2:6]
        if (frame, id) != (values[0], values[1]) or id < 0 or not all(abs(value) < 1e9 for value in values):
            raise ValueError
    except (ValueError, OverflowError, IndexError):
        expected = "frame, id, left, top, width, height, confidence, class, visibility"
        raise DataError(file, f"line {number}", f"{','.join(cells)!r:.80}", expected) from None
    is_old = len(values) > 9
    kind = int(values[7]) if len(values) > 7 and not is_old else -1
    names = _COLUMNS_2015 if is_old else _COLUMNS
    facts = Facts(dict(zip(names, (cell.strip() for cell in cells[6:]), strict=False)))
    counts = len(values) < 7 or values[6] != 0
    return _Row(number, frame - 1, id, (left - 1, top - 1, width, height), counts, kind, facts)


def _objects(rows: Sequence[_Row], sequence: _Sequence, on_note: OnNote) -> list[ItemObject]:
    tracks: dict[int, list[_Row]] = {}
    for row in rows:
        tracks.setdefault(row.id, []).append(row)
    outside = 0
    objects = []
    for id in sorted(tracks):
        regions = [_region(row, sequence.size) for row in sorted(tracks[id], key=lambda row: row.frame)]
        shown = tuple(region for region in regions if region is not None)
        outside += len(regions) - len(shown)
        kinds = {row.kind for row in tracks[id]}
        name = CLASSES.get(min(kinds), "pedestrian" if min(kinds) < 1 else f"class {min(kinds)}")
        objects.append(ItemObject(id, name, shown))
    if outside:
        on_note(f"{sequence.name}: {outside} boxes outside of the picture are left out")
    return objects


def _region(row: _Row, size: tuple[int, int]) -> Region | None:
    """The box of a line; None where no part of it is in the picture."""
    left, top, width, height = row.box
    box = box_shape(left, top, width, height, size)
    if box is None:
        return None
    is_cut = left < 0 or top < 0 or left + width > size[0] or top + height > size[1]
    own = {"source_box": f"{left + 1:g},{top + 1:g},{width:g},{height:g}"} if is_cut else {}
    return Region(box, FrameSpan(row.frame, row.frame), Facts({**row.facts, **own}))
