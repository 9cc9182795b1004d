"""Masks as pixels: what an array must be to be a mask, another size, the tight box, the deepest pixel.

A mask is a boolean array [H, W]. Pixel coordinates are (x right, y down), (0, 0) is the top-left pixel; boxes
are (x1, y1, x2, y2) with both corners inside the object.
"""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unipixel.core.frames import MAX_PIXELS
from unipixel.errors import PromptError

Mask: TypeAlias = NDArray[np.bool_]
"""Boolean [H, W]."""
Bounds: TypeAlias = tuple[int, int, int, int]
"""A box (x1, y1, x2, y2), corners inside the object."""

_BATCH = 4096  # pixels whose depth is worked out together


def as_mask(mask: ArrayLike) -> Mask:
    """The array as a mask: boolean, or integers of which every non-zero one is object; PromptError for
    others."""
    array = np.asarray(mask)
    if (
        array.ndim != 2
        or array.size == 0
        or not (array.dtype == np.bool_ or np.issubdtype(array.dtype, np.integer))
    ):
        raise PromptError(
            f"A mask must be a boolean or integer array [height, width]; found shape {array.shape}, "
            f"{array.dtype}."
        )
    return array.astype(np.bool_, copy=False)


def check_mask_size(height: int, width: int) -> None:
    """PromptError for masks without pixels or with more than MAX_PIXELS."""
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise PromptError(
            f"A mask cannot be {width}x{height}; each side must be at least 1 and the area at most "
            f"{MAX_PIXELS} pixels."
        )


def resize_mask(mask: ArrayLike, height: int, width: int) -> Mask:
    """The mask [H, W] at another size: each new pixel takes the old one under its centre (nearest)."""
    array = as_mask(mask)
    check_mask_size(height, width)
    rows = (2 * np.arange(height) + 1) * array.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * array.shape[1] // (2 * width)
    resized: Mask = array[rows[:, None], columns]
    return resized


def mask_to_box(mask: ArrayLike) -> Bounds | None:
    """The tight box (x1, y1, x2, y2), corners inside the object; None when the mask is empty."""
    array = as_mask(mask)
    rows, columns = np.flatnonzero(array.any(axis=1)), np.flatnonzero(array.any(axis=0))
    if len(rows) == 0:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def mask_center(mask: ArrayLike) -> tuple[int, int] | None:
    """The pixel (x, y) of the object that is farthest from its border, first in raster order; None when the
    mask is empty.

    Distances are Euclidean to the nearest pixel outside the object, and everything beyond the picture is
    outside.
    """
    array = as_mask(mask)
    box = mask_to_box(array)
    if box is None:
        return None
    x1, y1, x2, y2 = box
    inside = np.pad(array[y1 : y2 + 1, x1 : x2 + 1], 1)
    row, column = _deepest_pixel(inside)
    return column - 1 + x1, row - 1 + y1


def _deepest_pixel(inside: Mask) -> tuple[int, int]:
    """(row, column) of the largest exact distance to the outside in a mask whose outermost ring is outside.

    The distance along the axes bounds the true one from above, so only pixels whose bound beats the best
    depth found so far are worked out.
    """
    vertical = _steps_to_outside(inside)
    bound = np.minimum(vertical, _steps_to_outside(inside.T).T)
    rows, columns = np.nonzero(inside)
    order = np.argsort(-bound[rows, columns], kind="stable")
    best, best_depth = (int(rows[order[0]]), int(columns[order[0]])), -1
    for first in range(0, len(order), _BATCH):
        batch = order[first : first + _BATCH]
        limit = int(bound[rows[batch[0]], columns[batch[0]]]) ** 2
        if limit < best_depth:
            break
        depths = _squared_depths(vertical, rows[batch], columns[batch], limit)
        winner = batch[depths == depths.max()].min()
        place = (int(rows[winner]), int(columns[winner]))
        if (int(depths.max()), -place[0], -place[1]) > (best_depth, -best[0], -best[1]):
            best, best_depth = place, int(depths.max())
    return best


def _squared_depths(
    vertical: NDArray[np.int64], rows: NDArray[np.intp], columns: NDArray[np.intp], limit: int
) -> NDArray[np.int64]:
    """Squared distance of the given pixels to the outside, at most `limit`, from the vertical distances."""
    last = vertical.shape[1] - 1
    depths = vertical[rows, columns] ** 2
    for offset in range(1, math.isqrt(limit) + 1):
        for side in (np.maximum(columns - offset, 0), np.minimum(columns + offset, last)):
            # A column clipped to the padded border keeps its true distance: (side - columns), not the offset.
            depths = np.minimum(depths, vertical[rows, side] ** 2 + (side - columns) ** 2)
    return depths


def _steps_to_outside(inside: Mask) -> NDArray[np.int64]:
    """For each pixel, the number of rows up or down to the nearest pixel outside; 0 outside."""
    rows = np.arange(inside.shape[0])[:, None]
    above = np.maximum.accumulate(np.where(inside, -1, rows), axis=0)
    below = np.minimum.accumulate(np.where(inside, len(rows), rows)[::-1], axis=0)[::-1]
    return np.minimum(rows - above, below - rows)
