"""The six ways in which published data sets write masks, each one class.

All satisfy `ObjectMasks`: `num_objects` and `read(frames, height, width)` -> bool [O, T, H, W]. None opens a
file before it reads.

| published as | class |
|---|---|
| `image` | `LabelMaps`: one picture of ids for all objects of a frame |
| `image_sep` | `MaskFiles`: one picture for each object and frame, 255 is object |
| `rle` | `RegionMasks`: run lengths and polygons, in memory or in files |
| `polygon` | `Shapes`: LabelMe outlines of one still |
| `vicas` | `RegionMasks` of `StoredTrack`s in one file for each object (`vicas_masks`) |
| `sav` | `Masklet`: one object of a SA-V file |

Resizing. A region of another size than the frame is scaled as a picture of 0 and 1, bilinear with antialias,
and every pixel above 0 is object, so that it grows by up to a pixel. Which pixels these are follows from the
reach of the filter alone; here it is worked out in whole numbers, so that no rounding can hide a pixel or
make one up (floating-point libraries differ from it, and from each other, on about one pixel in a thousand).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from unipixel.core.masks import RLE, polygons_to_mask
from unipixel.core.pictures import open_picture
from unipixel.core.pixels import Mask
from unipixel.data.files import Node, read_json
from unipixel.data.long_json import JsonTable
from unipixel.data.sample import Masks
from unipixel.errors import DataError, PromptError

OBJECT = 255
"""Value of an object's pixels in a picture of its own (`image_sep`)."""


# Resizing and single regions


def resize_region(mask: Mask, height: int, width: int) -> Mask:
    """A mask [H, W] at another size by the published rule (see above): it may grow, never vanish."""
    if mask.shape == (height, width):
        return mask
    return _reached(_reached(mask, height).T, width).T


def _reached(mask: Mask, rows: int) -> Mask:
    """The mask [H, W] with `rows` rows, each the union of those that the triangle filter weighs for it.

    In units in which an old row is 2 * rows thick and a new one 2 * H, old row j has its centre at
    (2j + 1) * rows, new row i at (2i + 1) * H, and the filter reaches `max(H, rows)` rows of either kind.
    """
    old = mask.shape[0]
    centres, reach = (2 * np.arange(rows) + 1) * old, 2 * max(old, rows)
    first = np.clip((centres - reach - rows) // (2 * rows) + 1, 0, old)
    behind = np.clip(-((rows - centres - reach) // (2 * rows)), 0, old)
    sums = np.zeros((old + 1, mask.shape[1]), dtype=np.int32)
    np.cumsum(mask, axis=0, out=sums[1:])
    reached: Mask = sums[behind] > sums[first]
    return reached


def decode_region(region: Node, height: int, width: int, canvas: tuple[int, int] | None = None) -> Mask:
    """The union of what an annotation has on one frame: bool [height, width].

    Args:
        region: None (nothing), a COCO run-length object (`counts` compressed or a list), a list of COCO
            polygons, or a list of any of these.
        height: rows of the frame.
        width: columns of the frame.
        canvas: (height, width) that polygons are drawn in, if it is not the frame's.

    Raises:
        DataError: a region is damaged or of another kind.
    """
    result = np.zeros((height, width), dtype=np.bool_)
    value = region.value
    try:
        if value is None:
            return result
        if isinstance(value, dict):
            return resize_region(RLE.from_coco(value).decode(), height, width)
        if _is_polygons(value):
            return resize_region(polygons_to_mask(value, *(canvas or (height, width))), height, width)
    except PromptError as error:
        raise DataError(region.file, region.place, str(error), "a mask that can be decoded") from error
    if not isinstance(value, list | tuple):
        raise region.error("a run-length mask, polygons, a list of them, or null")
    for part in region.list():
        result |= decode_region(part, height, width, canvas)
    return result


def _is_polygons(value: object) -> bool:
    """Whether this is a list of flat lists of numbers."""
    return (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(isinstance(item, list | tuple) and item for item in value)
        and all(isinstance(item[0], int | float) for item in value)
    )


def is_empty_region(value: object) -> bool:
    """Whether an annotation says that the object is not on this frame: null, or a list of nothing but nulls.

    A run-length mask without pixels is not empty in this sense (the published loaders do not look inside).
    """
    return value is None or (isinstance(value, list | tuple) and all(is_empty_region(item) for item in value))


# `rle` and `vicas`


class Track(Protocol):
    """Regions of one annotated thing along a clip."""

    def read(self) -> Node:
        """The list of its regions, one entry for each annotated frame."""
        ...


@dataclass(frozen=True)
class GivenTrack:
    """Regions that were read with the annotations."""

    regions: Node

    def read(self) -> Node:
        return self.regions


@dataclass(frozen=True, eq=False)
class TableTrack:
    """Regions under one name of a long file (`mask_dict.json`), or at `way` inside its value."""

    table: JsonTable
    key: str
    way: tuple[str | int, ...] = ()

    def read(self) -> Node:
        return _follow(self.table[self.key], self.way)


@dataclass(frozen=True)
class StoredTrack:
    """Regions in a JSON file of their own, or at `way` inside it (`(0,)` is its first list)."""

    file: Path
    way: tuple[str | int, ...] = ()

    def read(self) -> Node:
        return _follow(read_json(self.file), self.way)


def _follow(node: Node, way: tuple[str | int, ...]) -> Node:
    for step in way:
        node = node[step]
    return node


@dataclass(frozen=True, eq=False)
class RegionMasks:
    """`rle`: run lengths and polygons.

    Attributes:
        objects: for each object the tracks whose union it is; none at all is an object that is never seen.
        frames: the clip's frame number of each entry of a track, -1 for entries that lie outside the clip;
            None when entry i belongs to frame i. Frames that are not named are empty.
        canvas: (height, width) that polygons are drawn in (the sample's own, where it is published); None
            means the frame's size.
    """

    objects: tuple[tuple[Track, ...], ...]
    frames: tuple[int, ...] | None = None
    canvas: tuple[int, int] | None = None

    @property
    def num_objects(self) -> int:
        return len(self.objects)

    @cached_property
    def _entries(self) -> dict[int, int] | None:
        if self.frames is None:
            return None
        return {frame: entry for entry, frame in enumerate(self.frames) if frame >= 0}

    def only(self, objects: Sequence[int]) -> RegionMasks:
        """Some of the objects; see SelectiveMasks."""
        return replace(self, objects=tuple(self.objects[place] for place in objects))

    def read(self, frames: Sequence[int], height: int, width: int) -> Masks:
        """Masks of all objects: bool [O, len(frames), height, width]; see ObjectMasks."""
        result = np.zeros((self.num_objects, len(frames), height, width), dtype=np.bool_)
        for masks, tracks in zip(result, self.objects, strict=True):
            for track in tracks:
                regions = track.read()
                self._check_length(regions)
                for mask, frame in zip(masks, frames, strict=True):
                    entry = frame if self._entries is None else self._entries.get(frame)
                    if entry is not None:
                        mask |= decode_region(regions[entry], height, width, self.canvas)
        return result

    def _check_length(self, regions: Node) -> None:
        length = len(regions.list()) if self.frames is not None else None
        if self.frames is not None and length != len(self.frames):
            raise regions.error(f"one entry for each of {len(self.frames)} frames")


def vicas_masks(files: Sequence[Path], frames: tuple[int, ...] | None = None) -> RegionMasks:
    """`vicas`: a JSON file for each object, which lists for each frame a region, null or several of them."""
    return RegionMasks(tuple((StoredTrack(file),) for file in files), frames)


# `image` and `image_sep`


def read_labels(file: Path) -> NDArray[np.int64]:
    """The raw values (palette indices, grey values) of a picture [H, W].

    Raises:
        DataError: it has several channels.
        MediaError: it is missing or damaged.
    """
    with open_picture(file) as picture:
        labels = np.asarray(picture)
    if labels.ndim != 2:
        raise DataError(file, "", f"a picture with {labels.shape[-1]} channels", "one value for each pixel")
    return labels.astype(np.int64)


@dataclass(frozen=True)
class LabelMaps:
    """`image`: pictures whose values are ids, one for each frame, shared by all objects.

    Attributes:
        files: one for each frame of the clip; None where nothing is annotated.
        ids: for each object the ids whose union it is.
    """

    files: tuple[Path | None, ...]
    ids: tuple[tuple[int, ...], ...]

    @property
    def num_objects(self) -> int:
        return len(self.ids)

    def only(self, objects: Sequence[int]) -> LabelMaps:
        """Some of the objects; see SelectiveMasks."""
        return replace(self, ids=tuple(self.ids[place] for place in objects))

    def read(self, frames: Sequence[int], height: int, width: int) -> Masks:
        """Masks of all objects: bool [O, len(frames), height, width]; see ObjectMasks.

        The pictures must have the frames' size; nothing is resized here.
        """
        result = np.zeros((self.num_objects, len(frames), height, width), dtype=np.bool_)
        for place, frame in enumerate(frames):
            file = self.files[frame]
            if file is None:
                continue
            labels = _sized(file, height, width)
            for number, ids in enumerate(self.ids):
                result[number, place] = np.isin(labels, ids)
        return result


@dataclass(frozen=True)
class MaskFiles:
    """`image_sep`: a picture for each object and frame (`files[object][frame]`, None where it is absent), in
    which 255 is object. No published data set uses it; users' own folders do."""

    files: tuple[tuple[Path | None, ...], ...]

    @property
    def num_objects(self) -> int:
        return len(self.files)

    def only(self, objects: Sequence[int]) -> MaskFiles:
        """Some of the objects; see SelectiveMasks."""
        return replace(self, files=tuple(self.files[place] for place in objects))

    def read(self, frames: Sequence[int], height: int, width: int) -> Masks:
        """Masks of all objects: bool [O, len(frames), height, width]; see ObjectMasks. Nothing is resized."""
        result = np.zeros((self.num_objects, len(frames), height, width), dtype=np.bool_)
        for masks, files in zip(result, self.files, strict=True):
            for place, frame in enumerate(frames):
                file = files[frame]
                if file is not None:
                    masks[place] = _sized(file, height, width) == OBJECT
        return result


def _sized(file: Path, height: int, width: int) -> NDArray[np.int64]:
    labels = read_labels(file)
    if labels.shape != (height, width):
        found = f"a picture of {labels.shape[1]}x{labels.shape[0]}"
        raise DataError(file, "", found, f"{width}x{height}, the size of its frame")
    return labels


# `polygon`


@dataclass(frozen=True)
class Shapes:
    """`polygon`: LabelMe outlines of one still, as ReasonSeg has them.

    Shapes are drawn from the largest to the smallest, each over what is there: "target" is object, "ignore"
    is not, and "flag" is left out. So an ignored region inside a target is a hole in it. That is the target
    both as published and in LISA; they differ in what the ignored pixels mean when masks are scored (quirk
    Q1): published, they are plain background; LISA leaves them out. For the latter, `of="ignore"` reads them.

    Attributes:
        file: the JSON file.
        of: whose pixels are read.
    """

    file: Path
    of: Literal["target", "ignore"] = "target"

    @property
    def num_objects(self) -> int:
        return 1

    def read(self, frames: Sequence[int], height: int, width: int) -> Masks:
        """The mask, repeated for each of `frames`: bool [1, len(frames), height, width]; see ObjectMasks."""
        drawn = _draw_shapes(read_json(self.file, SHAPES_FALLBACK), height, width) == _LABELS[self.of]
        return np.repeat(drawn[None, None], len(frames), axis=1)


_LABELS = {"target": 1, "ignore": 2}

SHAPES_FALLBACK = "cp1252"
"""Encoding of those ReasonSeg files that are not UTF-8, as their authors' own script reads them."""


def _draw_shapes(file: Node, height: int, width: int) -> NDArray[np.uint8]:
    """0 background, 1 target, 2 ignore: uint8 [height, width]."""
    drawn: list[tuple[Mask, int]] = []
    for shape in file["shapes"].list():
        label = shape["label"].text()
        if label == "flag":
            continue
        if label not in _LABELS:
            raise shape["label"].error("target, ignore or flag")
        drawn.append((_outline(shape["points"], height, width), _LABELS[label]))
    drawn.sort(key=lambda item: int(item[0].sum()), reverse=True)
    canvas = np.zeros((height, width), dtype=np.uint8)
    for mask, value in drawn:
        canvas[mask] = value
    return canvas


def _outline(points: Node, height: int, width: int) -> Mask:
    """A polygon with its border, corners cut to whole pixels."""
    corners = [(int(point[0].number()), int(point[1].number())) for point in points.list()]
    if not corners:
        raise points.error("at least one point")
    picture = Image.new("1", (width, height))
    pen = ImageDraw.Draw(picture)
    if len(corners) > 2:
        pen.polygon(corners, fill=1)
    pen.line([*corners, corners[0]], fill=1)
    return np.array(picture, dtype=np.bool_)


# `sav`


@dataclass(frozen=True)
class Masklet:
    """`sav`: one object of a SA-V file, whose `masklet` lists every fourth frame, and in it the objects.

    Frame numbers are those of the list, so the clip must be thinned to match (`Media.step` 4).
    """

    file: Path
    object: int

    @property
    def num_objects(self) -> int:
        return 1

    def read(self, frames: Sequence[int], height: int, width: int) -> Masks:
        """The object's masks: bool [1, len(frames), height, width]; see ObjectMasks."""
        masklet = read_json(self.file)["masklet"]
        masks = [decode_region(masklet[frame][self.object], height, width) for frame in frames]
        return np.stack(masks)[None] if masks else np.zeros((1, 0, height, width), dtype=np.bool_)
