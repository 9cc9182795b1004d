"""Shapes as CVAT writes them, and masks: both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, TypeAlias

import numpy as np

from unipixel.core.masks import RLE, mask_to_polygons, polygons_to_mask
from unipixel.core.prompts import Box, Prompt, RegionMask
from unipixel.errors import ConfigError, PromptError

ShapeType: TypeAlias = Literal["mask", "polygon", "rectangle"]
SHAPES: tuple[ShapeType, ...] = ("mask", "polygon", "rectangle")


def cvat(module: str) -> Any:
    """A module of CVAT's library; ConfigError if that is not installed."""
    try:
        return import_module(f"cvat_sdk.{module}")
    except ModuleNotFoundError as error:
        if error.name != "cvat_sdk":
            raise
        raise ConfigError("cvat_sdk is not installed; pip install 'unipixel[cvat]'") from error


@dataclass(frozen=True)
class Shape:
    """A shape of CVAT: points are x, y, x, y, … in pixels from the corner of the picture; those of a mask are
    CVAT's own run lengths, and its box behind them."""

    type: ShapeType
    points: tuple[float, ...]


def shape_of(rle: RLE, kind: ShapeType) -> Shape | None:
    """A mask as a shape; of one in several parts a polygon is the outline of the largest, without holes. None
    where there is nothing."""
    if rle.box is None:
        return None
    if kind == "mask":
        points = cvat("masks").encode_mask(rle.decode())
    elif kind == "rectangle":
        x1, y1, x2, y2 = rle.box
        points = (x1, y1, x2 + 1, y2 + 1)
    else:
        points = max(polygons_of(rle), key=_area)
    return Shape(kind, tuple(float(number) for number in points))


def polygons_of(rle: RLE) -> list[list[float]]:
    """Outlines of a mask along its pixels' edges."""
    return mask_to_polygons(rle.decode())


def _area(polygon: Sequence[float]) -> float:
    x, y = np.asarray(polygon, np.float64).reshape(-1, 2).T
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def prompt_of(shape: Shape, width: int, height: int) -> Prompt:
    """What points an object out on a picture of this size. PromptError for a shape that does not fit it, or
    of a type that nothing can be followed from."""
    if shape.type == "rectangle":
        x1, y1, x2, y2 = shape.points
        return Box(max(x1, 0), max(y1, 0), min(x2, width), min(y2, height))
    if shape.type == "polygon":
        return RegionMask(polygons_to_mask([shape.points], height, width))
    if shape.type != "mask":
        raise PromptError(f"a {shape.type} cannot be followed; give a {', '.join(SHAPES)}")
    try:
        mask = cvat("masks").decode_mask(shape.points, image_width=width, image_height=height)
    except ValueError as error:
        raise PromptError(f"the mask does not fit a picture of {width}x{height}: {error}") from error
    return RegionMask(mask)
