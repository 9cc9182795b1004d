"""Scores that count pixels: intersection and union, boxes, robustness, volumes.

P is a predicted mask, G the true one; |.| counts pixels. Masks are boolean arrays [..., H, W], or integers
of which every non-zero one is object.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unipixel.core.pixels import Bounds, Mask, mask_to_box
from unipixel.errors import PromptError, UniPixelError

Box = tuple[float, float, float, float]
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
SMALLEST_PART = 10
"""Pixels below which a part of a prediction does not count for its box."""
_TINY = 1e-6


@dataclass(frozen=True)
class Overlap:
    """|P and G| and |P or G| of one sentence, in pixels.

    Raises:
        UniPixelError: a negative count, or more pixels in both than in either.
    """

    intersection: int
    union: int

    def __post_init__(self) -> None:
        if not 0 <= self.intersection <= self.union:
            raise UniPixelError(
                f"{self.intersection} pixels in both masks and {self.union} in either cannot be; count again."
            )

    @property
    def iou(self) -> float:
        """I / U in [0, 1]; 1.0 where both masks are empty."""
        return self.intersection / self.union if self.union else 1.0

    @property
    def lisa_iou(self) -> float:
        """LISA's I / (U + 1e-5); 1.0 where both masks are empty.

        LISA asks only the first sentence of a picture, and where polygons of one picture overlap counts the
        pixels as background; both are matters of the data.
        """
        return self.intersection / (self.union + 1e-5) if self.union else 1.0


def as_masks(predicted: ArrayLike, truth: ArrayLike) -> tuple[Mask, Mask]:
    """Both as boolean arrays of one shape [..., H, W].

    Raises:
        PromptError: shapes differ, fewer than two axes, no pixels, or neither booleans nor integers.
    """
    both = np.asarray(predicted), np.asarray(truth)
    for array in both:
        if array.ndim < 2 or array.size == 0 or array.dtype.kind not in "biu":
            raise PromptError(
                f"Masks to compare are boolean or integer arrays [..., height, width] with pixels; found "
                f"shape {array.shape}, {array.dtype}."
            )
    if both[0].shape != both[1].shape:
        raise PromptError(
            f"The prediction has shape {both[0].shape} and the truth {both[1].shape}; resize the prediction "
            "to the size of the picture, and give as many frames."
        )
    return both[0].astype(np.bool_, copy=False), both[1].astype(np.bool_, copy=False)


def overlap(predicted: ArrayLike, truth: ArrayLike, ignore: ArrayLike | None = None) -> Overlap:
    """I and U of one sentence over all axes of the masks.

    Args:
        predicted: mask [H, W].
        truth: mask of the same shape.
        ignore: pixels left out of both counts. The published evaluation of ReasonSeg counts its "ignore"
            polygons as background (give None); LISA leaves them out (give them).
    """
    shown, true = as_masks(predicted, truth)
    if ignore is not None:
        counted = ~as_masks(ignore, truth)[0]
        shown, true = shown & counted, true & counted
    return Overlap(int(np.count_nonzero(shown & true)), int(np.count_nonzero(shown | true)))


def without_specks(mask: ArrayLike, smallest: int = SMALLEST_PART) -> Mask:
    """The mask [H, W] without parts of fewer than `smallest` pixels; pixels that touch at a corner are one
    part (8-connected)."""
    array = as_masks(mask, mask)[0]
    starts, lengths, rows = _row_runs(array)
    parts = _parts(starts, starts + lengths, rows)
    kept = np.bincount(parts, weights=lengths, minlength=1)[parts] >= smallest
    steps = np.zeros((array.shape[0], array.shape[1] + 1), np.int8)
    steps[rows[kept], starts[kept]] = 1
    # Two runs of a row never touch, so no end falls on another's start.
    steps[rows[kept], (starts + lengths)[kept]] = -1
    return np.cumsum(steps, axis=1, dtype=np.int8)[:, :-1].astype(np.bool_)


def predicted_box(mask: ArrayLike, smallest: int = SMALLEST_PART) -> Bounds | None:
    """(x1, y1, x2, y2) around the parts of a mask [H, W] that have at least `smallest` pixels, corners
    inside; None without such a part."""
    return mask_to_box(without_specks(mask, smallest))


def box_iou(first: Box, second: Box) -> float:
    """IoU of two boxes (x1, y1, x2, y2) as continuous rectangles of size (x2 - x1) x (y2 - y1); 0 if both
    have no area."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    either = sum(areas) - shared
    return shared / either if either > 0 else 0.0


def box_hit(predicted: ArrayLike, truth: Box, threshold: float = 0.5) -> bool:
    """Whether a predicted mask [H, W] finds a box of RefCOCO (x1, y1, x2, y2): IoU of its box >= `threshold`.

    As published: the box of the pixels, without adding one to its far corner; a mask without a part of ten
    pixels is wrong. The accuracy is the mean of the hits.
    """
    box = predicted_box(predicted)
    return box is not None and box_iou(box, truth) >= threshold


def robustness(predicted: ArrayLike, truth: ArrayLike, foreground: ArrayLike) -> NDArray[np.float64]:
    """R of ReVOS for each frame [...]: max(0, 1 - |P and not G| / (|foreground| + 1e-6)), with masks as truth
    values (the reading of Sa2VA).

    Args:
        predicted: masks [..., H, W].
        truth: masks of the same shape.
        foreground: union of all annotated things of the video, same shape.
    """
    shown, true = as_masks(predicted, truth)
    positive = np.count_nonzero(as_masks(foreground, truth)[0], axis=(-2, -1))
    negative = np.count_nonzero(shown & ~true, axis=(-2, -1))
    return _one_minus(negative, positive)


def robustness_as_shipped(
    predicted: ArrayLike, truth: ArrayLike, foreground: ArrayLike
) -> NDArray[np.float64]:
    """R as ReVOS's own script computes it, in the 8-bit numbers of its files.

    A false pixel of value 255 counts 255 times, and products wrap around at 256: where two annotated things
    overlap (G = 2) each predicted pixel counts once.

    Args:
        predicted: grey pictures [..., H, W], 0 or 255.
        truth: how many annotated things cover each pixel, same shape.
        foreground: how many annotated things of the video cover each pixel, same shape.
    """
    shown, true, all_things = _as_bytes(predicted, truth, foreground)
    negative = ((np.uint8(1) - true) * shown).sum(axis=(-2, -1), dtype=np.int64)
    positive = all_things.sum(axis=(-2, -1), dtype=np.int64)
    return _one_minus(negative, positive)


def pixel_accuracy(predicted: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """A of ReVOS for each frame [...]: the share of pixels that are object, or not, in both masks."""
    shown, true = as_masks(predicted, truth)
    return np.asarray((shown == true).mean(axis=(-2, -1)), np.float64)


def pixel_accuracy_as_shipped(predicted: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """A as ReVOS's own script computes it: the share of pixels with equal 8-bit values. Predictions are 0 or
    255 and truths count things, so only common background is equal."""
    shown, true = _as_bytes(predicted, truth)
    return np.asarray((shown == true).mean(axis=(-2, -1)), np.float64)


def volume_iou(predicted: ArrayLike, truth: ArrayLike) -> float:
    """J of PixelQA, over the whole volume [T, H, W] of one object: |P and G| / (|P or G| + 1e-6); 0 where
    both are empty."""
    counts = overlap(predicted, truth)
    return counts.intersection / (counts.union + _TINY)


def volume_dice(predicted: ArrayLike, truth: ArrayLike) -> float:
    """F of PixelQA, over the whole volume [T, H, W] of one object: 2 p r / (p + r + 1e-6) with precision
    p = TP / (|P| + 1e-6) and recall r = TP / (|G| + 1e-6); 0 where both are empty. No boundary is
    involved."""
    shown, true = as_masks(predicted, truth)
    right = np.count_nonzero(shown & true)
    precision = right / (np.count_nonzero(shown) + _TINY)
    recall = right / (np.count_nonzero(true) + _TINY)
    return float(2 * precision * recall / (precision + recall + _TINY))


def _one_minus(negative: NDArray[np.int64], positive: NDArray[np.int64]) -> NDArray[np.float64]:
    left = 1.0 - negative / (positive + _TINY)
    return np.asarray(np.maximum(left, 0.0), np.float64)


def _as_bytes(*pictures: ArrayLike) -> list[NDArray[np.uint8]]:
    arrays = [np.asarray(picture) for picture in pictures]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1 or arrays[0].ndim < 2 or arrays[0].size == 0:
        raise PromptError(f"Masks to compare have one shape [..., height, width]; found {sorted(shapes)}.")
    kinds = {str(array.dtype) for array in arrays}
    if not kinds <= {"uint8", "bool"}:
        raise PromptError(
            f"The script's own arithmetic is on 8-bit numbers; found {', '.join(sorted(kinds))}."
        )
    return [array.astype(np.uint8, copy=False) for array in arrays]


def _row_runs(mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """First column, length and row of each run of object pixels, row by row."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    return starts, ends - starts, rows


def _parts(starts: NDArray[np.intp], ends: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """A number for each run, equal for runs of one 8-connected part."""
    leader = list(range(len(starts)))

    def find(run: int) -> int:
        while leader[run] != run:
            leader[run] = leader[leader[run]]
            run = leader[run]
        return run

    # Runs of the row above, moved one column outwards: all those that overlap touch, corners included. Every
    # position is made unique to its row by a stride, so one search finds the first and last of them.
    stride = int(ends.max(initial=0)) + 2
    first = np.searchsorted(rows * stride + ends, (rows - 1) * stride + starts, side="left")
    last = np.searchsorted(rows * stride + starts, (rows - 1) * stride + ends, side="right")
    for run, (low, high) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        for above in range(low, high):
            leader[find(above)] = find(run)
    return np.array([find(run) for run in range(len(leader))], dtype=np.intp)
