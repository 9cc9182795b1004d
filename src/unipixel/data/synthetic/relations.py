"""How the things of a scene stand to each other, with margins: what is not clear is not said.

Functions take the facts of a scene and numbers of things; a thing that is not visible on a frame has no place
there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from unipixel.data.synthetic.facts import SceneFacts

APART = 0.1  # of the shorter side, between two centres
DOMINANT = 2.0  # one clear word for two places: so much more along than across
OUTERMOST = 0.08  # of the shorter side, to the next
NEARER = 0.75  # of the next thing's distance
LARGER, FASTER = 1.5, 1.4  # times the next one's area and speed
PASSED = 0.25  # of a thing is covered when another passes over it
LEAST_PIXELS = 16  # of a thing that has a place

SIDES = {"left": (0, 1), "right": (0, -1), "top": (1, 1), "bottom": (1, -1)}
"""Axis (0 is x) and sign of each side of the picture."""

EXTREMES = ("largest", "smallest", "fastest", "slowest")
"""What `extreme` looks for."""

Things = Iterable[int] | None


@dataclass(frozen=True)
class Passage:
    """Thing `over` lies on thing `under` from frame `first` to `last`, both included, and covers at most the
    `share` of it."""

    over: int
    under: int
    first: int
    last: int
    share: float


def left_of(facts: SceneFacts, a: int, b: int, frame: int = 0) -> bool:
    """Whether thing a is wholly to the left of thing b, with a margin between their centres."""
    return _before(facts, a, b, frame, axis=0)


def right_of(facts: SceneFacts, a: int, b: int, frame: int = 0) -> bool:
    """Whether thing a is wholly to the right of thing b."""
    return _before(facts, b, a, frame, axis=0)


def above(facts: SceneFacts, a: int, b: int, frame: int = 0) -> bool:
    """Whether thing a is wholly above thing b in the picture."""
    return _before(facts, a, b, frame, axis=1)


def below(facts: SceneFacts, a: int, b: int, frame: int = 0) -> bool:
    """Whether thing a is wholly below thing b in the picture."""
    return _before(facts, b, a, frame, axis=1)


def relation(facts: SceneFacts, a: int, b: int, frame: int = 0) -> str | None:
    """Where thing a is, seen from b: "left of", "right of", "above" or "below"; None if no one word is
    clear."""
    if not (has_place(facts, a, frame) and has_place(facts, b, frame)):
        return None
    along = np.abs(facts.things[a].seen.centres[frame] - facts.things[b].seen.centres[frame])
    if along[0] >= DOMINANT * along[1]:
        words = {"left of": left_of, "right of": right_of}
    elif along[1] >= DOMINANT * along[0]:
        words = {"above": above, "below": below}
    else:
        return None
    return next((word for word, holds in words.items() if holds(facts, a, b, frame)), None)


def has_place(facts: SceneFacts, index: int, frame: int) -> bool:
    """Whether enough of a thing is visible on a frame to say where it is."""
    seen = facts.things[index].seen
    return bool(seen.area[frame] >= LEAST_PIXELS and seen.share[frame] >= 0.4)


def outermost(facts: SceneFacts, side: str, frame: int = 0, among: Things = None) -> int | None:
    """The thing that is clearly the farthest to the "left", "right", "top" or "bottom"; None if there is
    none, or if not all things in question can be seen there and then."""
    axis, sign = SIDES[side]
    numbers = _numbers(facts, among)
    if len(numbers) < 2 or not all(has_place(facts, number, frame) for number in numbers):
        return None
    places = sorted((sign * float(facts.things[i].seen.centres[frame, axis]), i) for i in numbers)
    return places[0][1] if places[1][0] - places[0][0] >= OUTERMOST * facts.side else None


def nearest(facts: SceneFacts, a: int, frame: int = 0, among: Things = None) -> int | None:
    """The thing that is clearly the nearest to thing a, centre to centre; None if two are about as near."""
    numbers = [i for i in _numbers(facts, among) if i != a and has_place(facts, i, frame)]
    if not numbers or not has_place(facts, a, frame):
        return None
    here = facts.things[a].seen.centres[frame]
    distances = sorted((float(np.hypot(*(facts.things[i].seen.centres[frame] - here))), i) for i in numbers)
    clear = len(distances) == 1 or distances[0][0] <= NEARER * distances[1][0]
    return distances[0][1] if clear else None


def extreme(facts: SceneFacts, which: str, among: Things = None) -> int | None:
    """The thing that is clearly the "largest", "smallest", "fastest" or "slowest" (of those that move); None
    if two are about equal."""
    ranges: list[tuple[float, float, int]] = []
    for thing in (facts.things[i] for i in _numbers(facts, among)):
        bounds = thing.span if which in ("largest", "smallest") else thing.rate
        if bounds is None and "moving" in thing.unclear:
            return None
        if bounds is not None:
            ranges.append((*bounds, thing.index))
    if len(ranges) < 2:
        return None
    margin = LARGER if which in ("largest", "smallest") else FASTER
    if which in ("largest", "fastest"):
        first, second = sorted(ranges, key=lambda item: -item[1])[:2]
        return first[2] if first[0] >= margin * second[1] else None
    first, second = sorted(ranges)[:2]
    return first[2] if first[1] * margin <= second[0] else None


def passages(facts: SceneFacts) -> tuple[Passage, ...]:
    """Every time that one thing comes to lie over a good part of another, in order of frames."""
    found: list[Passage] = []
    for under, over in np.argwhere(facts.covered.any(axis=2)):
        share = facts.covered[under, over] / np.maximum(facts.things[under].seen.whole, 1)
        for first, last in _runs(share > 0):
            if share[first : last + 1].max() >= PASSED:
                most = float(share[first : last + 1].max())
                found.append(Passage(int(over), int(under), first, last, most))
    return tuple(sorted(found, key=lambda passage: (passage.first, passage.over, passage.under)))


def _before(facts: SceneFacts, a: int, b: int, frame: int, axis: int) -> bool:
    """Whether a ends before b begins along an axis, in the picture."""
    if not (has_place(facts, a, frame) and has_place(facts, b, frame)):
        return False
    first, second = facts.things[a].seen, facts.things[b].seen
    apart = second.centres[frame, axis] - first.centres[frame, axis]
    clear = first.boxes[frame, axis + 2] <= second.boxes[frame, axis]
    return bool(clear and apart >= APART * facts.side)


def _numbers(facts: SceneFacts, among: Things) -> list[int]:
    numbers = range(len(facts.things)) if among is None else among
    return [number for number in numbers if facts.things[number].ever_visible]


def _runs(flags: np.typing.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last frame of each stretch of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(after) - 1) for first, after in zip(edges[::2], edges[1::2], strict=True)]
