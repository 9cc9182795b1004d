"""YOLO: a text file for each picture, with a class and a box (or an outline) in each line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from unipixel.core.media import Clip
from unipixel.core.pictures import SUFFIXES
from unipixel.data.files import list_numbered, read_bytes
from unipixel.data.importers.common import OnNote, about, box_shape, items_by_name, relative, unheard
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.parts import ItemMedia, ItemObject, Outline, Region, Shape
from unipixel.data.sample import Facts
from unipixel.errors import DataError

_SLACK = 1e-3  # how far rounded numbers may leave 0..1


def import_yolo(
    pictures: Path, labels: Path, classes: Path, root: Path, on_note: OnNote = unheard
) -> Iterator[Item]:
    """One item for each picture. Boxes can only point; outlines (YOLO's segmentation) are masks.

    Args:
        pictures: the folder of pictures.
        labels: the folder of `.txt` files, named like the pictures.
        classes: a text file with the name of a class in each line.
        root: the folder that written paths are relative to.
        on_note: told how many pictures have no labels and are left out.

    Raises:
        DataError: a file is missing or damaged, or belongs to no picture; with file and line.
        MediaError: a picture cannot be read; its size is needed.
        ConfigError: the pictures are not inside the root.
    """
    names = [line for line in _lines(classes) if line.strip()]
    found = {path.stem: path for path in list_numbered(pictures, SUFFIXES)}
    files = {path.stem: path for path in list_numbered(labels, (".txt",)) if path != classes}
    for stem, file in files.items():
        if stem not in found:
            raise DataError(file, "", "labels of no picture", f"a picture {stem}.* in {pictures}")
    empty = 0
    for stem, picture in found.items():
        lines = _lines(files[stem]) if stem in files else []
        clip = Clip.open(picture)
        size = clip.width, clip.height
        objects = [
            _thing(files[stem], number, line, names, size)
            for number, line in enumerate(lines, 1)
            if line.strip()
        ]
        empty += not objects
        media = ItemMedia("image", (relative(picture, root),), size=size)
        with about(files.get(stem, picture), ""):
            yield from items_by_name(stem, media, objects)
    if empty:
        on_note(f"{empty} pictures without labels are left out")


def _lines(file: Path) -> list[str]:
    try:
        return read_bytes(file).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(file, "", f"bytes that are no text ({error.reason})", "UTF-8") from None


def _thing(file: Path, number: int, line: str, names: Sequence[str], size: tuple[int, int]) -> ItemObject:
    place = f"line {number}"
    try:
        values = [float(cell) for cell in line.split()]
        kind = int(values[0])
        if kind != values[0] or not all(math.isfinite(value) for value in values):
            raise ValueError
    except (ValueError, OverflowError):
        raise DataError(file, place, f"{line!r:.80}", "numbers: class, x, y, width, height") from None
    if not 0 <= kind < len(names):
        raise DataError(file, place, f"class {kind}", f"a class from 0 to {len(names) - 1}")
    shape = _shape(file, place, values[1:], size)
    return ItemObject(number - 1, names[kind].strip(), (Region(shape, facts=Facts({"yolo": line.strip()})),))


def _shape(file: Path, place: str, values: Sequence[float], size: tuple[int, int]) -> Shape:
    """A box of 4 numbers (a fifth is its confidence), or an outline of at least 3 points, in 0 to 1."""
    is_box = len(values) in (4, 5)
    if not is_box and (len(values) < 6 or len(values) % 2):
        expected = "4 of a box (centre x, y, width, height), or x, y of at least 3 points"
        raise DataError(file, place, f"{len(values)} numbers behind the class", expected)
    for value in values:
        if not -_SLACK <= value <= 1 + _SLACK:
            raise DataError(file, place, f"{value:g}", "parts of the picture's size, from 0 to 1")
    width, height = size
    if not is_box:
        scaled = (value * side for value, side in zip(values, (width, height) * len(values), strict=False))
        return Outline((tuple(scaled),))
    x, y, w, h = values[:4]
    box = box_shape((x - w / 2) * width, (y - h / 2) * height, w * width, h * height, size)
    if box is None:
        raise DataError(file, place, "a box without a pixel of the picture", "a width and height above 0")
    return box
