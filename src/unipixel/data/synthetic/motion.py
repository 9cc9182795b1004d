"""How things move: one row a kind of motion, each a path of centres over the frames of a clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, pi, sin
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Points = NDArray[np.float64]  # [..., 2] as (x, y) in pixels

GRID = 64  # paths are rounded to 1/64 pixel: invisible, and it hides the last digit of a machine's sine
TRIES = 12
TILT = pi / 12  # a straight way is tilted by at most this against its axis
LONG = (0.3, 0.75)  # length of a way that is meant to be seen, as a share of the room
LEAST_REACH = 8.0  # pixels; nothing shrinks below


@dataclass(frozen=True)
class Walk:
    """What a path is made from, in pixels and frames.

    The centre is at `start` (x, y) in frame 0 and, while the whole thing is in sight, between the corners
    `low` and `high`; the thing takes `reach` around it, and covers `speed` pixels per frame for so many
    `frames`. `goal` is a place to pass over, for the motion that does.
    """

    start: Points
    low: Points
    high: Points
    reach: float
    speed: float
    frames: int
    goal: Points | None = None

    @property
    def times(self) -> Points:
        """Frame numbers as a column [T, 1]."""
        return np.arange(self.frames, dtype=np.float64)[:, None]

    def contains(self, point: Points) -> bool:
        return bool(np.all(point >= self.low) and np.all(point <= self.high))


@dataclass(frozen=True)
class Track:
    """Where a thing is: `centres` [T, 2] as (x, y) in pixels, `angles` [T] in radians, and how many times its
    radius it is large, `scales` [T], None if it keeps its size."""

    centres: Points
    angles: NDArray[np.float64]
    scales: NDArray[np.float64] | None = None

    def shifted(self, by: NDArray[np.intp]) -> Track:
        """The same track moved by (x, y) pixels in each frame, `by` [T, 2]."""
        return replace(self, centres=self.centres + by)


Path = Callable[[Generator, Walk], Points]
Growth = Callable[[Walk], NDArray[np.float64]]


@dataclass(frozen=True)
class MotionKind:
    """A kind of motion, how often it is drawn beside the others, its path [T, 2], and how the thing grows or
    shrinks on it (factors [T], 1 in frame 0), if it does."""

    name: str
    weight: float
    path: Path
    growth: Growth | None = None


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


def _room(walk: Walk, way: Points) -> float:
    """How many times `way` fits from the start into the box; infinite for no way at all."""
    bounds = np.where(way > 0, walk.high, walk.low) - walk.start
    moving = np.abs(way) > 1e-9
    return float(np.min(bounds[moving] / way[moving])) if moving.any() else float("inf")


def _heading(rng: Generator, walk: Walk, tilt: float) -> Points:
    """A unit way along one of the four axis directions, tilted a little, where the room is best of three."""
    ways = []
    for side in rng.permutation(4)[:3]:
        turn = pi / 2 * int(side) + rng.uniform(-tilt, tilt)
        ways.append(np.array([cos(turn), sin(turn)]))
    return max(ways, key=lambda way: _room(walk, way))


def _straight(rng: Generator, walk: Walk) -> Points:
    """Clearly to the left or right, or up or down."""
    way, last = _heading(rng, walk, TILT), max(walk.frames - 1, 1)
    distance = max(walk.speed * last, rng.uniform(*LONG) * float(min(walk.high - walk.low)))
    return walk.start + way * min(distance, 0.98 * _room(walk, way)) * (walk.times / last)


def _turn_back(rng: Generator, walk: Walk) -> Points:
    """Out, and the same way back."""
    way, last = _heading(rng, walk, pi / 4), max(walk.frames - 1, 1)
    distance = min(rng.uniform(*LONG) * float(min(walk.high - walk.low)), 0.98 * _room(walk, way))
    turn = max(round(rng.uniform(0.4, 0.6) * last), 1)
    share = np.minimum(walk.times / turn, np.maximum(2 - walk.times / turn, 0.0))
    return walk.start + way * distance * share


def _loop(rng: Generator, walk: Walk) -> Points:
    """Once or a little more around a circle that is wholly in the box where tries find one."""
    across, last = float(min(walk.high - walk.low)), max(walk.frames - 1, 1)
    radius, spoke = max(rng.uniform(0.14, 0.24) * across, 1.0), np.zeros(2)
    for _ in range(TRIES):
        spoke = _direction(rng) * radius
        middle = walk.start + spoke
        if walk.contains(middle - radius) and walk.contains(middle + radius):
            break
    sense = 1.0 if rng.random() < 0.5 else -1.0
    turn = sense * 2 * pi * rng.uniform(0.95, 1.3) * walk.times / last
    normal = np.array([-spoke[1], spoke[0]])
    circle: Points = walk.start + spoke - spoke * np.cos(turn) - normal * np.sin(turn)
    return np.clip(circle, walk.low, walk.high)


def _stand(rng: Generator, walk: Walk) -> Points:
    """Forward for half the clip, then at rest for the other half."""
    way, last = _heading(rng, walk, pi / 4), max(walk.frames - 1, 1)
    moving = max(round(rng.uniform(0.35, 0.6) * last), 1)
    distance = min(rng.uniform(*LONG) * float(min(walk.high - walk.low)), 0.98 * _room(walk, way))
    return walk.start + way * distance * np.minimum(walk.times / moving, 1.0)


def _approach(rng: Generator, walk: Walk) -> Points:
    """While it grows, inwards as far as it must to stay in sight."""
    more = (_growing(walk)[-1] - 1) * walk.reach
    low, high = walk.low + more, walk.high - more
    middle = (low + high) / 2
    goal = np.clip(walk.start, np.minimum(low, middle), np.maximum(high, middle))
    return walk.start + (goal - walk.start) * (walk.times / max(walk.frames - 1, 1))


def _growing(walk: Walk) -> NDArray[np.float64]:
    """To 1.75 times its radius, as far as that stays in the frame."""
    most = float(min(walk.high - walk.low)) / 2 / walk.reach + 1
    last = 1 + (min(1.75, max(most, 1.0)) - 1) * min(walk.frames - 1, 1)
    return np.rint(np.linspace(1.0, last, walk.frames) * GRID) / GRID


def _shrinking(walk: Walk) -> NDArray[np.float64]:
    """To 1 / 1.75 of its radius, as far as it stays large enough to see."""
    last = max(1 / 1.75, min(LEAST_REACH / walk.reach, 1.0)) if walk.frames > 1 else 1.0
    return np.rint(np.linspace(1.0, last, walk.frames) * GRID) / GRID


def _cross(rng: Generator, walk: Walk) -> Points:
    """Straight over `goal` and, if there is room, as far again."""
    way = (walk.start if walk.goal is None else walk.goal) - walk.start
    far = min(rng.uniform(1.7, 2.0), max(0.98 * _room(walk, way), 1.0))
    return walk.start + way * far * (walk.times / max(walk.frames - 1, 1))


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
            MotionKind("straight", 5.0, _straight),
            MotionKind("turn_back", 1.5, _turn_back),
            MotionKind("loop", 1.5, _loop),
            MotionKind("stand", 1.5, _stand),
            MotionKind("approach", 1.2, _approach, _growing),
            MotionKind("recede", 1.2, _still, _shrinking),
            MotionKind("cross", 0.0, _cross),
        )
    }
)
"""Every kind of motion by name. A new motion is a new row; weight 0 means that it is drawn by a probability
of its own."""

ALL_MOTIONS = tuple(kind.name for kind in MOTION_KINDS.values() if kind.weight > 0)
"""Every motion that stays in the frame."""

ROAMING = ("still", "linear", "bounce", "circling", "stop")
"""Those that a world has unless its configuration says otherwise."""


def choose_motion(rng: Generator, names: tuple[str, ...]) -> str:
    """One of the roaming motions `names`, drawn by weight."""
    ends = np.cumsum([MOTION_KINDS[name].weight for name in names])
    return names[int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))]


def make_track(rng: Generator, motion: str, walk: Walk) -> Track:
    """Follow the path of `motion`; half of the things also turn slowly, up to 10 degrees per frame."""
    centres = MOTION_KINDS[motion].path(rng, walk)
    spin = 0.0 if rng.random() < 0.5 else rng.uniform(-pi / 18, pi / 18)
    angles = 2 * pi * rng.random() + spin * np.arange(walk.frames, dtype=np.float64)
    growth = MOTION_KINDS[motion].growth
    return Track(np.rint(centres * GRID) / GRID, angles, growth(walk) if growth else None)
