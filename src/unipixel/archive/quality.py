"""How good a mask seems: one number for each, from what is at hand when its object was followed.

A logistic function of what `Signs` tells. Its constants were fitted on made-up clips so that it estimates the
mask's IoU with the truth (benchmarks/quality.py fit); what it is worth is in docs/archives.md.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import pairwise
from statistics import fmean, median
from typing import TypeAlias

from unipixel.core.masks import RLE, FrameMask

LARGEST_JUMP = math.log(4)
"""A mask four times as large as its neighbour, or a quarter of it, jumps as far as counts."""
DIGITS = 4


@dataclass(frozen=True)
class Observed(FrameMask):
    """A mask with what else the decoder told of it.

    Attributes:
        object_score: logit of the object being there.
        stability: IoU of the mask cut at a higher and at a lower logit, 0 to 1.
        agreement: the larger IoU of the mask with another of the decoder's candidates, 0 to 1.
    """

    object_score: float = 0.0
    stability: float = 0.0
    agreement: float = 0.0


@dataclass(frozen=True)
class Signs:
    """What speaks for a mask, and against it. All are 0 to 1.

    Attributes:
        score: the decoder's own estimate of its IoU.
        presence: the decoder's probability that the object is there.
        stability: see `Observed`.
        agree: its agreement, see `Observed`: a decoder that does not know has candidates that differ.
        agree_all: the mean of that over all frames of the window on which the object is seen.
        jump: how far its area is from that of its neighbours in time: the larger of |ln(area / neighbour)|,
            as a share of LARGEST_JUMP; 1 beside a frame on which the object is not seen.
        shift: 1 less the smaller IoU with a neighbour; 1 beside a frame on which it is not seen.
        off: how far its area is from the middle one of all frames of the window on which the object is seen,
            as `jump` is counted.
        off_start: the same, from that on the frame from which the object was followed; 1 if it is not seen
            there.
        looked: 1 if the object was also looked for on single frames, without following; else 0.
        differs: 1 less the IoU of the mask followed to the nearest such frame and the mask found there; 0 if
            there is none.
        differs_all: the mean of that over all such frames on which either is seen; 0 if there is none.
        small: 1 less the square root of the mask's share of the picture.
    """

    score: float
    presence: float
    stability: float
    agree: float
    agree_all: float
    jump: float
    shift: float
    off: float
    off_start: float
    looked: float
    differs: float
    differs_all: float
    small: float

    def __post_init__(self) -> None:
        for name, value in zip(NAMES, astuple(self), strict=True):
            assert 0 <= value <= 1, f"{name} is {value}; expected 0 to 1"


NAMES = tuple(one.name for one in fields(Signs))

Rate: TypeAlias = Callable[[Sequence[Signs]], Sequence[float]]
"""Qualities (0 to 1) of one object's masks in a window."""


@dataclass(frozen=True)
class Logistic:
    """1 / (1 + exp(-(constant + sum of weight times sign))); a weight for each of NAMES."""

    constant: float
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        assert len(self.weights) == len(NAMES), f"{len(self.weights)} weights for {len(NAMES)} signs"

    def __call__(self, masks: Sequence[Signs]) -> list[float]:
        return [self.one(signs) for signs in masks]

    def one(self, signs: Signs) -> float:
        """The quality of a mask, 0 to 1."""
        return _sigmoid(self.constant + math.fsum(map(operator.mul, self.weights, astuple(signs))))


RATE: Rate = Logistic(
    -0.805,
    (
        0.454,  # score
        0.115,  # presence
        0.175,  # stability
        1.151,  # agree
        1.293,  # agree_all
        0.0,  # jump
        -0.107,  # shift
        -0.506,  # off
        -1.225,  # off_start
        0.310,  # looked
        -0.942,  # differs
        -0.969,  # differs_all
        0.0,  # small
    ),
)
"""Fitted on 2,719 masks of 80 made-up clips: benchmarks/quality.py fit --clips 80. A weight of 0: see
`fit_directed` there."""


def observe(masks: Sequence[Observed], looks: Mapping[int, RLE | None], start: int) -> list[Signs]:
    """Signs of each mask of one object that is seen.

    Args:
        masks: of every frame of the window, in order; those that are not `present`, or empty, get none.
        looks: where the object was looked for on single frames, what was found there (None: nothing).
        start: the frame from which it was followed.
    """
    seen = [mask for mask in masks if is_seen(mask)]
    if not seen:
        return []
    found = {mask.index: mask.rle for mask in seen}
    agreement = fmean(mask.agreement for mask in seen)
    middle = median(mask.rle.area for mask in seen)
    at_start = found[start].area if start in found else 0
    neighbours = _neighbours([mask.index for mask in masks])
    differences = _differences(found, looks)
    mean = sum(differences.values()) / len(differences) if differences else 0.0
    return [
        Signs(
            score=min(max(mask.score, 0.0), 1.0),
            presence=_sigmoid(mask.object_score),
            stability=mask.stability,
            agree=mask.agreement,
            agree_all=min(agreement, 1.0),
            jump=max((_jump(mask.rle, found.get(one)) for one in neighbours[mask.index]), default=0.0),
            shift=max((_shift(mask.rle, found.get(one)) for one in neighbours[mask.index]), default=0.0),
            off=_apart(mask.rle.area, middle),
            off_start=_apart(mask.rle.area, at_start),
            looked=float(bool(differences)),
            differs=_nearest(differences, mask.index),
            differs_all=mean,
            small=1 - math.sqrt(mask.rle.area / (mask.rle.height * mask.rle.width)),
        )
        for mask in seen
    ]


def is_seen(mask: FrameMask) -> bool:
    """Whether there is anything of the object on a frame."""
    return mask.present and mask.rle.area > 0


def _neighbours(frames: Sequence[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {frame: [] for frame in frames}
    for before, after in pairwise(frames):
        found[before].append(after)
        found[after].append(before)
    return found


def _jump(mask: RLE, neighbour: RLE | None) -> float:
    return 1.0 if neighbour is None else _apart(mask.area, neighbour.area)


def _apart(area: int, other: float) -> float:
    """How far two areas are from each other, 0 to 1; 1 from nothing."""
    return min(1.0, abs(math.log(area / other)) / LARGEST_JUMP) if other else 1.0


def _shift(mask: RLE, neighbour: RLE | None) -> float:
    return 1.0 if neighbour is None else 1 - mask.iou(neighbour)


def _differences(found: Mapping[int, RLE], looks: Mapping[int, RLE | None]) -> dict[int, float]:
    """By frame, how little what was followed there and what was found there have in common. Where neither is
    seen they agree, which says nothing of a mask."""
    differences = {}
    for frame, look in looks.items():
        followed = found.get(frame)
        if followed is not None or look is not None:
            differences[frame] = 1.0 if followed is None or look is None else 1 - followed.iou(look)
    return differences


def _nearest(differences: Mapping[int, float], frame: int) -> float:
    """At the nearest frame; of two the worse."""
    nearest = min((abs(one - frame) for one in differences), default=0)
    return max((value for one, value in differences.items() if abs(one - frame) == nearest), default=0.0)


def _sigmoid(value: float) -> float:
    return 0.5 * (1 + math.tanh(value / 2))
