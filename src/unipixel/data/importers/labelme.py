"""LabelMe: a JSON file for each picture, with labelled shapes."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from unipixel.core.masks import RLE
from unipixel.core.prompts import Box, Point
from unipixel.data.files import Node, list_numbered, read_json
from unipixel.data.importers.common import (
    OnNote,
    about,
    box_shape,
    check_numbers,
    facts_of,
    items_by_name,
    named_file,
    relative,
    unheard,
)
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.parts import ItemMedia, ItemObject, Outline, Region, Shape
from unipixel.data.sample import Facts
from unipixel.errors import DataError

_GROUP = "group "
_CIRCLE = 64  # corners that stand for a circle
_SHAPE = ("label", "points", "group_id", "shape_type", "mask")
_FILE = ("version", "shapes", "imagePath", "imageData", "imageWidth", "imageHeight")


def import_labelme(sources: Sequence[Path], root: Path, on_note: OnNote = unheard) -> Iterator[Item]:
    """One item for each picture: each label is an expression for all its shapes.

    Polygons, circles (as polygons of 64 corners) and masks are masks; rectangles and points can only point.
    Shapes with one label and one `group_id` are one object.

    Args:
        sources: JSON files, and folders of them.
        root: the folder that written paths are relative to.
        on_note: told which files have no shapes and are left out.

    Raises:
        DataError: a file is missing or damaged, or has a shape that is neither; with file and place.
        ConfigError: a picture is not inside the root.
    """
    files = [file for source in sources for file in (_listed(source) if source.is_dir() else [source])]
    for path in files:
        with about(path, ""):
            items = list(_items(read_json(path), root))
        if not items:
            on_note(f"{path.name}: no shapes, left out")
        yield from items


def _listed(folder: Path) -> list[Path]:
    found = list_numbered(folder, (".json",))
    if not found:
        raise DataError(folder, "", "no .json in this folder", "LabelMe files")
    return found


def _items(file: Node, root: Path) -> Iterator[Item]:
    size = file["imageWidth"].integer(), file["imageHeight"].integer()
    path = named_file(file.file.parent, file["imagePath"])
    media = ItemMedia("image", (relative(path, root),), size=size)
    name = relative(file.file.with_suffix(""), root)
    yield from items_by_name(name, media, _objects(file["shapes"], size), (), facts_of(file, _FILE))


def _objects(shapes: Node, size: tuple[int, int]) -> list[ItemObject]:
    """Shapes of one group are one object."""
    groups: dict[tuple[str, str], list[Node]] = {}
    for number, shape in enumerate(shapes.list()):
        group = shape.get("group_id")
        key = f"{_GROUP}{group.name()}" if group is not None else f"shape {number}"
        groups.setdefault((_label(shape), key), []).append(shape)
    objects = []
    for id, ((label, key), members) in enumerate(groups.items()):
        regions = tuple(Region(_shape(shape, size), facts=_shape_facts(shape)) for shape in members)
        facts = Facts({"group_id": key[len(_GROUP) :]} if key.startswith(_GROUP) else {})
        objects.append(ItemObject(id, label, regions, facts=facts))
    return objects


def _label(shape: Node) -> str:
    if not shape["label"].text().strip():
        raise shape["label"].error("a label")
    return shape["label"].text()


def _shape_facts(shape: Node) -> Facts:
    """What a region does not say: flags, a description; of circles what was drawn."""
    kind = _kind(shape)
    facts = {name: text for name, text in facts_of(shape, _SHAPE).items() if text not in ("", "{}")}
    if kind == "circle":
        facts |= {"shape_type": kind, "points": str(shape["points"].value)}
    return Facts(facts)


def _kind(shape: Node) -> str:
    kind = shape.get("shape_type")
    return kind.text() if kind is not None else "polygon"


def _shape(shape: Node, size: tuple[int, int]) -> Shape:
    kind, points = _kind(shape), _points(shape["points"])
    if kind == "polygon" and len(points) >= 3:
        return Outline((tuple(value for point in points for value in point),))
    if kind == "circle" and len(points) == 2:
        return _circle(points[0], points[1])
    if kind == "rectangle" and len(points) == 2:
        return _rectangle(shape, points, size)
    if kind == "point" and len(points) == 1:
        return Point(*points[0])
    if kind == "mask" and len(points) == 2:
        return _mask(shape, points, size)
    raise DataError(
        shape.file,
        shape.place,
        f"a {kind} of {len(points)} points",
        "a polygon of 3 or more, a rectangle, circle or mask of 2, or a point of 1",
    )


def _points(node: Node) -> list[tuple[float, float]]:
    found = []
    for point in node.list():
        values = [value.number() for value in point.list()]
        check_numbers(values, point)
        if len(values) != 2:
            raise point.error("x, y")
        found.append((values[0], values[1]))
    return found


def _circle(centre: tuple[float, float], rim: tuple[float, float]) -> Outline:
    radius = math.dist(centre, rim)
    angles = [2 * math.pi * step / _CIRCLE for step in range(_CIRCLE)]
    corners = [
        (centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)) for angle in angles
    ]
    return Outline((tuple(value for corner in corners for value in corner),))


def _rectangle(shape: Node, points: Sequence[tuple[float, float]], size: tuple[int, int]) -> Box:
    """Any two opposite corners, in continuous coordinates."""
    (x1, x2), (y1, y2) = sorted(point[0] for point in points), sorted(point[1] for point in points)
    box = box_shape(x1, y1, x2 - x1, y2 - y1, size)
    if box is None:
        found = f"a rectangle {shape['points'].value}"
        raise DataError(shape.file, shape.place, found, f"a rectangle in the {size[0]}x{size[1]} picture")
    return box


def _mask(shape: Node, points: Sequence[tuple[float, float]], size: tuple[int, int]) -> RLE:
    """A PNG in base64 whose top-left pixel lies at the first point."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(shape["mask"].text(), validate=True))) as picture:
            part = np.asarray(picture.convert("L")) > 0
    except (binascii.Error, OSError, SyntaxError, ValueError) as error:
        place = shape["mask"].place
        raise DataError(shape.file, place, f"no picture ({error})", "a PNG in base64") from error
    left, top = (round(value) for value in points[0])
    mask = np.zeros((size[1], size[0]), dtype=np.bool_)
    if left < 0 or top < 0 or left + part.shape[1] > size[0] or top + part.shape[0] > size[1]:
        found = f"a mask of {part.shape[1]}x{part.shape[0]} at {left}, {top}"
        raise DataError(shape.file, shape.place, found, f"one in the picture of {size[0]}x{size[1]}")
    mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    return RLE.from_mask(mask)
