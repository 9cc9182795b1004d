"""J and F of whole clips, and of many clips on all cores.

One object of one clip is scored frame by frame; every frame counts, the first and the last included, as in
the published evaluation of MeViS, ReVOS, Ref-DAVIS17 and Ref-SAV (J_e, F_e = means over frames).
"""

import multiprocessing
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unipixel.core.masks import RLE
from unipixel.core.pages import keep_pages
from unipixel.core.pixels import Mask, mask_to_box
from unipixel.errors import PromptError, UniPixelError
from unipixel.evaluation.metrics.boundary import around, boundary_matches, boundary_radius
from unipixel.evaluation.metrics.region import as_masks

Masks = NDArray[Any] | Sequence[RLE]
"""One object in one clip: an array [T, H, W], or run-length masks of one size, one for each frame."""


@dataclass(frozen=True, eq=False)
class ClipScore:
    """J and F of one object on each frame, two arrays [T] of numbers in [0, 1]."""

    j: NDArray[np.float64]
    f: NDArray[np.float64]

    def __post_init__(self) -> None:
        assert self.j.shape == self.f.shape and self.j.ndim == 1 and len(self.j), "one J and one F per frame"

    @property
    def mean_j(self) -> float:
        """J of the clip: mean over all frames."""
        return float(self.j.mean())

    @property
    def mean_f(self) -> float:
        """F of the clip: mean over all frames."""
        return float(self.f.mean())

    @property
    def j_and_f(self) -> float:
        """(J + F) / 2."""
        return (self.mean_j + self.mean_f) / 2


def score_clip(predicted: Masks, truth: Masks) -> ClipScore:
    """J and F of one object on every frame of a clip.

    Args:
        predicted: array [T, H, W] or T run-length masks.
        truth: the same object, as many frames of the same size, in either form. Take void pixels out of both
            beforehand.

    Raises:
        PromptError: numbers of frames or sizes differ, or there is no frame.
    """
    if len(predicted) != len(truth) or len(truth) == 0:
        raise PromptError(
            f"{len(predicted)} predicted and {len(truth)} true masks; give one of each for every frame."
        )
    scores = [_score_frame(*pair) for pair in zip(predicted, truth, strict=True)]
    return ClipScore(np.array([j for j, _ in scores]), np.array([f for _, f in scores]))


def score_clips(pairs: Iterable[tuple[Masks, Masks]], processes: int | None = None) -> list[ClipScore]:
    """`score_clip` of every (predicted, truth) pair, in order, on several cores.

    Args:
        pairs: clips; run-length masks travel to other processes much faster than arrays.
        processes: how many to use; None means as many as this process may use cores. One means no other
            process. Others are started afresh ("spawn"), so a script that calls this needs the usual
            `if __name__ == "__main__":`.

    Raises:
        UniPixelError: fewer than one process.
        PromptError: as `score_clip`.
    """
    processes = _num_cores() if processes is None else processes
    if processes < 1:
        raise UniPixelError(f"{processes} processes cannot score anything; give at least 1.")
    if processes == 1:
        return [score_clip(*pair) for pair in pairs]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=keep_pages) as pool:
        return list(pool.map(_score_pair, pairs))


def _num_cores() -> int:
    # Where a process may be kept to some cores, the others are no help.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _score_pair(pair: tuple[Masks, Masks]) -> ClipScore:
    return score_clip(*pair)


def _score_frame(predicted: RLE | NDArray[Any], truth: RLE | NDArray[Any]) -> tuple[float, float]:
    """(J, F) of masks [H, W], from the part of the frame that holds them."""
    if isinstance(predicted, RLE) and isinstance(truth, RLE) and _size(predicted) == _size(truth):
        (height, width), cut = _size(predicted), _cut_runs(predicted, truth)
    else:
        shown, true = as_masks(_decoded(predicted), _decoded(truth))
        if shown.ndim != 2:
            raise PromptError(
                f"A clip's masks are [frames, height, width]; a frame of this one is {shown.shape}."
            )
        (height, width), cut = shown.shape, _cut(shown, true)
    if cut is None:
        return 1.0, 1.0
    shown, true = cut
    j = np.count_nonzero(shown & true) / np.count_nonzero(shown | true)
    return j, boundary_matches(shown, true, boundary_radius(height, width)).f


def _cut(shown: Mask, true: Mask) -> tuple[Mask, Mask] | None:
    """What `around` the box of both there is; None if both are empty."""
    box = mask_to_box(shown | true)
    if box is None:
        return None
    part = around(box, *shown.shape)
    return shown[part], true[part]


def _cut_runs(shown: RLE, true: RLE) -> tuple[Mask, Mask] | None:
    """The same of run lengths: whole frames are never there, which costs a third (benchmarks/README.md)."""
    boxes = np.array([box for box in (shown.box, true.box) if box is not None])
    if len(boxes) == 0:
        return None
    x1, y1 = (int(least) for least in boxes[:, :2].min(axis=0))
    x2, y2 = (int(most) for most in boxes[:, 2:].max(axis=0))
    rows, columns = around((x1, y1, x2, y2), *_size(shown))
    parts = (mask.decode_columns(columns.start, columns.stop)[rows] for mask in (shown, true))
    first, second = (np.ascontiguousarray(part) for part in parts)
    return first, second


def _decoded(mask: RLE | NDArray[Any]) -> NDArray[Any]:
    return mask.decode() if isinstance(mask, RLE) else mask


def _size(mask: RLE) -> tuple[int, int]:
    return mask.height, mask.width
