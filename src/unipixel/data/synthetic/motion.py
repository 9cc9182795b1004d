"""How things move: one row a kind of motion, each a path of centres over the frames of a clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Points = NDArray[np.float64]  # [..., 2] as (x, y) in pixels

GRID = 64  # paths are rounded to 1/64 pixel: invisible, and it hides the last digit of a machine's sine
TRIES = 12


@dataclass(frozen=True)
class Walk:
    """What a path is made from, in pixels and frames.

    The centre is at `start` (x, y) in frame 0 and, while the whole thing is in sight, between the corners
    `low` and `high`; the thing takes `reach` around it, and covers `speed` pixels per frame for so many
    `frames`.
    """

    start: Points
    low: Points
    high: Points
    reach: float
    speed: float
    frames: int

    @property
    def times(self) -> Points:
        """Frame numbers as a column [T, 1]."""
        return np.arange(self.frames, dtype=np.float64)[:, None]

    def contains(self, point: Points) -> bool:
        return bool(np.all(point >= self.low) and np.all(point <= self.high))


@dataclass(frozen=True)
class Track:
    """Where a thing is: `centres` [T, 2] as (x, y) in pixels, `angles` [T] in radians."""

    centres: Points
    angles: NDArray[np.float64]


Path = Callable[[Generator, Walk], Points]


@dataclass(frozen=True)
class MotionKind:
    """A kind of motion, how often it is drawn beside the others, and its path [T, 2]."""

    name: str
    weight: float
    path: Path


def _direction(rng: Generator) -> Points:
    turn = 2 * pi * rng.random()
    return np.array([cos(turn), sin(turn)])


def _reflect(points: Points, walk: Walk) -> Points:
    """Fold a path that runs out of the box back into it, as if its walls were mirrors."""
    span = np.maximum(walk.high - walk.low, 1e-6)
    folded: Points = walk.low + span - np.abs((points - walk.low) % (2 * span) - span)
    return folded


def _way(rng: Generator, walk: Walk, distance: float) -> Points:
    """A straight way (dx, dy) of `distance` that ends inside the box, or a shorter one if tries fail."""
    way = np.zeros(2)
    for _ in range(TRIES):
        way = _direction(rng) * distance
        if walk.contains(walk.start + way):
            return way
    return np.clip(walk.start + way, walk.low, walk.high) - walk.start


def _still(rng: Generator, walk: Walk) -> Points:
    return walk.start + 0 * walk.times


def _linear(rng: Generator, walk: Walk) -> Points:
    last = max(walk.frames - 1, 1)
    return walk.start + _way(rng, walk, walk.speed * last) * (walk.times / last)


def _bounce(rng: Generator, walk: Walk) -> Points:
    return _reflect(walk.start + _direction(rng) * (1.5 * walk.speed) * walk.times, walk)


def _circling(rng: Generator, walk: Walk) -> Points:
    across = float(min(walk.high - walk.low))
    radius = max(rng.uniform(0.1, 0.35) * across, 1.0)
    # The far side of the circle is in the box, so most of the circle is.
    spoke = _way(rng, walk, 2 * radius) / 2
    sense = 1.0 if rng.random() < 0.5 else -1.0
    turn = sense * min(walk.speed / radius, pi / 5) * walk.times
    normal = np.array([-spoke[1], spoke[0]])
    return _reflect(walk.start + spoke - spoke * np.cos(turn) - normal * np.sin(turn), walk)


def _stop(rng: Generator, walk: Walk) -> Points:
    moving = max(rng.uniform(0.3, 0.7) * (walk.frames - 1), 1.0)
    return walk.start + _way(rng, walk, walk.speed * moving) * np.minimum(walk.times / moving, 1.0)


def _leave(rng: Generator, walk: Walk) -> Points:
    """Straight out over one of the four borders, gone after a part of the clip."""
    axis, side = int(rng.integers(2)), int(rng.integers(2))
    goal = rng.uniform(walk.low, walk.high)
    # `low` lies one reach inside the frame, so two reaches beyond it the thing is just out of sight.
    goal[axis] = walk.high[axis] + 2 * walk.reach if side else walk.low[axis] - 2 * walk.reach
    gone = max(rng.uniform(0.4, 0.95) * (walk.frames - 1), 1.0)
    return walk.start + (goal - walk.start) * (walk.times / gone)


def _enter(rng: Generator, walk: Walk) -> Points:
    """The way out, backwards. A clip of one frame is all before the entrance."""
    longer = Walk(walk.start, walk.low, walk.high, walk.reach, walk.speed, max(walk.frames, 2))
    return _leave(rng, longer)[::-1][: walk.frames]


MOTION_KINDS = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            MotionKind("still", 1.0, _still),
            MotionKind("linear", 3.0, _linear),
            MotionKind("bounce", 2.0, _bounce),
            MotionKind("circling", 1.5, _circling),
            MotionKind("stop", 1.5, _stop),
            MotionKind("leave", 0.0, _leave),
            MotionKind("enter", 0.0, _enter),
        )
    }
)
"""Every kind of motion by name. A new motion is a new row; weight 0 means that it is drawn by a probability
of its own."""

ROAMING = tuple(kind.name for kind in MOTION_KINDS.values() if kind.weight > 0)
"""The motions that stay in the frame."""


def choose_motion(rng: Generator, names: tuple[str, ...]) -> str:
    """One of the roaming motions `names`, drawn by weight."""
    ends = np.cumsum([MOTION_KINDS[name].weight for name in names])
    return names[int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))]


def make_track(rng: Generator, motion: str, walk: Walk) -> Track:
    """Follow the path of `motion`; half of the things also turn slowly, up to 10 degrees per frame."""
    centres = MOTION_KINDS[motion].path(rng, walk)
    spin = 0.0 if rng.random() < 0.5 else rng.uniform(-pi / 18, pi / 18)
    angles = 2 * pi * rng.random() + spin * np.arange(walk.frames, dtype=np.float64)
    return Track(np.rint(centres * GRID) / GRID, angles)
