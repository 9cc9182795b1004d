"""F: how well the outlines of two masks agree (DAVIS 2017; Perazzi et al. 2016, after Martin et al. 2004).

A boundary pixel is one that differs from its right, lower or lower right neighbour. Precision is the share of
predicted boundary pixels within `r` pixels of a true one, recall the other way round, and F = 2PR / (P + R).
`r` is 0.8 % of the diagonal, rounded up.

The definition dilates both boundaries with a disk. Here only the boundary pixels themselves are asked whether
the other boundary has a pixel within the disk around them, row by row of the disk, from running sums: the
same numbers without touching the rest of the picture.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unipixel.core.pixels import Bounds, Mask
from unipixel.evaluation.metrics.region import as_masks

BOUND = 0.008
"""Reach of a boundary pixel, as a fraction of the diagonal."""


@dataclass(frozen=True)
class Matches:
    """Boundary pixels of one frame: how many there are, and how many are near the other boundary."""

    predicted: int
    predicted_near: int
    truth: int
    truth_near: int

    @property
    def f(self) -> float:
        """F in [0, 1]: 1 without any boundary, 0 with only one of the two."""
        if self.predicted == 0 or self.truth == 0:
            return float(self.predicted == self.truth)
        precision, recall = self.predicted_near / self.predicted, self.truth_near / self.truth
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_radius(height: int, width: int) -> int:
    """r = ceil(0.008 * diagonal) in pixels, e.g. 8 for 480 x 854; at least 1."""
    return math.ceil(BOUND * float(np.linalg.norm((height, width))))


def boundary_map(mask: ArrayLike) -> Mask:
    """Pixels [H, W] that differ from their right, lower or lower right neighbour; beyond the picture lies a
    copy of its edge, so an object that ends there has no boundary there."""
    array = as_masks(mask, mask)[0]
    edges = np.zeros(array.shape, np.bool_)
    edges[:-1] |= array[:-1] ^ array[1:]
    edges[:, :-1] |= array[:, :-1] ^ array[:, 1:]
    edges[:-1, :-1] |= array[:-1, :-1] ^ array[1:, 1:]
    return edges


def around(box: Bounds, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of a box (x1, y1, x2, y2) and one pixel around it, within the picture: all that the
    boundaries of masks inside the box depend on."""
    x1, y1, x2, y2 = box
    return slice(max(y1 - 1, 0), min(y2 + 2, height)), slice(max(x1 - 1, 0), min(x2 + 2, width))


def boundary_matches(predicted: Mask, truth: Mask, radius: int) -> Matches:
    """Compare the boundaries of two masks [h, w]: whole pictures, or the part of them that `around` cuts out.

    Args:
        predicted: predicted mask.
        truth: true mask of the same shape.
        radius: how far a boundary pixel reaches, in pixels, at least 1.
    """
    shown, true = _padded(boundary_map(predicted), radius), _padded(boundary_map(truth), radius)
    shown_at, true_at = np.flatnonzero(shown), np.flatnonzero(true)
    if len(shown_at) == 0 or len(true_at) == 0:
        return Matches(len(shown_at), 0, len(true_at), 0)
    return Matches(
        len(shown_at), _num_near(shown_at, true, radius), len(true_at), _num_near(true_at, shown, radius)
    )


def _padded(edges: Mask, radius: int) -> Mask:
    height, width = edges.shape
    padded = np.zeros((height + 2 * radius, width + 2 * radius), np.bool_)
    padded[radius:-radius, radius:-radius] = edges
    return padded


def _num_near(places: NDArray[np.intp], edges: Mask, radius: int) -> int:
    """How many of the flat positions `places`, all at least `radius` from the rim, have an edge in the disk
    around them.

    A row of the disk is a range of flat positions, and its edges are a difference of running sums. Rows
    nearest to the centre come first: most places of a good prediction are settled there.
    """
    num_before = np.cumsum(edges.ravel(), dtype=np.int32)
    stride, far = edges.shape[1], places
    for row in sorted(range(-radius, radius + 1), key=abs):
        reach = math.isqrt(radius * radius - row * row)
        last = far + (row * stride + reach)
        far = far[num_before[last] == num_before[last - (2 * reach + 1)]]
        if len(far) == 0:
            break
    return len(places) - len(far)
