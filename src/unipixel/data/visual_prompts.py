"""Clicks and boxes for training the language side.

`data.pointing` draws those of the made-up world, as people correct masks.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unipixel.core.pixels import Mask, mask_center, mask_to_box
from unipixel.core.prompts import Box, Point, SlotPrompt
from unipixel.data.annotations import resize_region
from unipixel.data.policy import PointerPolicy

PointedBy: TypeAlias = Literal["point", "box"]

NOISE_SHARE = 0.1
"""A box's corners move by at most this share of its sides."""


def draw_pointer(
    mask: Mask, frame: int, pointed_by: PointedBy, rng: Generator, policy: PointerPolicy
) -> SlotPrompt:
    """A click or box on an object on one frame, in the clip's pixels.

    mask: bool [H, W], not empty; frame: its number in the clip.
    """
    height, width = mask.shape
    if policy.grid == "view":
        mask = resize_region(mask, policy.side, policy.side)
    scale = np.array([width / mask.shape[1], height / mask.shape[0]])
    if pointed_by == "point":
        x, y = _click(mask, rng, policy) * scale
        return Point(float(x), float(y), frame)
    x1, y1, x2, y2 = _box(mask, rng, policy) * np.tile(scale, 2)
    return Box(float(x1), float(y1), float(x2), float(y2), frame)


def _click(mask: Mask, rng: Generator, policy: PointerPolicy) -> NDArray[np.float64]:
    if policy.click == "center":
        return np.array(mask_center(mask), dtype=np.float64)
    pixels = np.flatnonzero(mask)
    row, column = divmod(int(pixels[rng.integers(len(pixels))]), mask.shape[1])
    return np.array([column, row], dtype=np.float64)


def _box(mask: Mask, rng: Generator, policy: PointerPolicy) -> NDArray[np.float64]:
    """(x1, y1, x2, y2), both corners inside; the noise is measured in pixels of the mask view."""
    box = np.array(mask_to_box(mask), dtype=np.float64)
    if policy.box_noise <= 0:
        return box
    size = np.array(mask.shape[::-1], dtype=np.float64)
    most = np.minimum(NOISE_SHARE * (box[2:] - box[:2]), policy.box_noise * size / policy.side)
    moved = box + rng.uniform(-1, 1, 4) * np.tile(most, 2)
    clipped: NDArray[np.float64] = np.clip(moved, 0, np.tile(size - 1, 2))
    return clipped
