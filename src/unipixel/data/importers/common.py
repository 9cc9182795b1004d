"""What importers share: paths, boxes, facts, and the questions that follow from names."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from unipixel.core.masks import RLE
from unipixel.core.prompts import Box
from unipixel.data.files import Node, inside
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.parts import Describe, Find, ItemMedia, ItemObject, Outline, Region, Shape
from unipixel.data.sample import Facts
from unipixel.errors import ConfigError, DataError, PromptError

OnNote: TypeAlias = Callable[[str], None]
"""Told what is left out, and why."""


def unheard(_note: str) -> None:
    """For callers who do not want to know."""


def relative(path: Path, root: Path) -> str:
    """A path as the JSONL file writes it.

    Raises:
        ConfigError: the path is not inside the root.
    """
    way = os.path.relpath(os.path.abspath(path), os.path.abspath(root))
    if way.split(os.sep)[0] == os.pardir or os.path.isabs(way):
        raise ConfigError(
            f"{path} is not inside {root}, which paths are relative to; write the file into a folder above "
            "the pictures, or name such a folder as root"
        )
    return Path(way).as_posix()


@contextmanager
def about(file: Path, place: str) -> Iterator[None]:
    """Inside, a DataError that does not know its file stands at `place` of `file`."""
    try:
        yield
    except DataError as error:
        if error.file:
            raise
        where = ", ".join(part for part in (place, error.place) if part)
        raise DataError(file, where, error.found, error.expected) from error


def named_file(folder: Path, name: Node) -> Path:
    """A file that an annotation names, inside a folder."""
    try:
        return inside(folder, name.text())
    except DataError as error:
        raise name.error(error.expected) from None


def facts_of(node: Node, known: Collection[str]) -> Facts:
    """All fields but the known ones, as text."""
    found = {}
    for name, value in node.items():
        if name not in known and value.value is not None:
            text = value.value
            found[name] = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
    return Facts(found)


def mask_shape(node: Node) -> Shape:
    """A COCO segmentation: polygons, or run lengths.

    Raises:
        DataError: it is neither, or damaged.
    """
    try:
        if isinstance(node.value, dict):
            return RLE.from_coco(node.value)
        return Outline(tuple(tuple(value.number() for value in part.list()) for part in node.list()))
    except PromptError as error:
        raise DataError(node.file, node.place, str(error).removesuffix("."), "run lengths") from error
    except DataError as error:
        if error.file:
            raise
        raise DataError(node.file, node.place + error.place, error.found, error.expected) from error


def box_shape(left: float, top: float, width: float, height: float, size: tuple[int, int]) -> Box | None:
    """A box of continuous coordinates as corners inside it, cut off at the picture; None if it is outside.

    Args:
        left, top: of the box, 0 is the picture's edge.
        width, height: of the box.
        size: (width, height) of the picture.
    """
    x1, x2 = _cut(left, width, size[0])
    y1, y2 = _cut(top, height, size[1])
    return Box(x1, y1, x2, y2) if x1 <= x2 and y1 <= y2 else None


def _cut(start: float, length: float, side: int) -> tuple[float, float]:
    """First and last pixel of a stretch; they cross where it lies outside."""
    if start >= side or start + length <= 0 or not length > 0:
        return 1.0, 0.0
    last = min(start + max(length - 1.0, 0.0), side - 1.0)
    first = max(start, 0.0)
    return min(first, side - 1.0), max(last, min(first, side - 1.0))


def check_numbers(values: Sequence[float], where: Node) -> None:
    """DataError unless all are finite."""
    if not all(math.isfinite(value) for value in values):
        raise where.error("finite numbers")


def items_by_name(
    id: str,
    media: ItemMedia,
    objects: Sequence[ItemObject],
    ignored: Sequence[Region] = (),
    facts: Facts | None = None,
) -> Iterator[Item]:
    """What follows from objects with names and nothing else.

    A name whose objects all have masks is an expression for their union. The others have boxes or points,
    which can only point: they are asked about one by one, and the answer is the name, in an item of its own.
    """
    pointed = {thing.name for thing in objects if not thing.has_mask}
    masked = [thing for thing in objects if thing.name not in pointed]
    others = [thing for thing in objects if thing.name in pointed]
    if masked:
        names = dict.fromkeys(thing.name for thing in masked)
        rounds = tuple(
            Find(name, tuple(thing.id for thing in masked if thing.name == name)) for name in names
        )
        yield Item(
            id, "segment", rounds, media, tuple(masked), ignored=tuple(ignored), facts=facts or Facts()
        )
    if others:
        yield Item(
            id=f"{id}/pointed" if masked else id,
            task="refer",
            rounds=tuple(Describe(thing.id, thing.name, "brief") for thing in others),
            media=media,
            objects=tuple(others),
            free_ids=True,
            ignored=() if masked else tuple(ignored),
            facts=facts or Facts(),
        )
