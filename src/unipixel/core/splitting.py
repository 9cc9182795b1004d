"""One mask of several things as several: connected parts, followed through time.

A heuristic: it knows nothing of what things are. One thing behind a post becomes two; two that touch from
their first frame to their last stay one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.pixels import Mask

SPECK = 0.02
"""A part with less than this share of a frame's mask is none; neither is an object with less than this share
of all pixels of the track."""
NEAR = 2.0
"""A part that overlaps nothing goes on with an object whose middle is at most so many times its own extent
(the square root of its pixels) away."""


def split_track(track: MaskTrack) -> tuple[MaskTrack, ...]:
    """The connected parts of a mask, each followed through time on all frames of the track, the largest
    first; the track itself if there is only one.

    It begins on the frame with the most parts, and goes forward and backward from there. A part goes on with
    the object whose mask on the neighbouring frame it overlaps; one that overlaps several is divided among
    them, each pixel going to the one that reaches it first through the part. Of several parts that overlap
    one object the one with the largest overlap goes on with it, and the others are new.
    """
    parts = {frame.index: connected_parts(frame.rle.decode()) for frame in track if frame.rle.area}
    if not any(len(found) > 1 for found in parts.values()):
        return (track,)
    start = max(parts, key=lambda index: (len(parts[index]), sum(int(one.sum()) for one in parts[index])))
    first = [_Thing({start: mask}, mask) for mask in parts[start]]
    things = _follow(first, parts, [index for index in sorted(parts) if index > start])
    for thing in things:
        thing.last = thing.masks.get(start, thing.last)
    backward = [index for index in sorted(parts, reverse=True) if index < start]
    things = _follow(things[: len(first)], parts, backward) + things[len(first) :]
    kept = [thing for thing in things if thing.area >= SPECK * track.area]
    if len(kept) < 2:
        return (track,)
    return tuple(_track(thing, track) for thing in sorted(kept, key=lambda thing: -thing.area))


@dataclass
class _Thing:
    """What goes on from frame to frame: its masks so far, and the latest of them."""

    masks: dict[int, Mask]
    last: Mask = field(repr=False)

    @property
    def area(self) -> int:
        return sum(int(mask.sum()) for mask in self.masks.values())

    def go_on(self, index: int, mask: Mask) -> None:
        self.masks[index] = self.last = mask


def _follow(things: list[_Thing], parts: dict[int, list[Mask]], indices: Iterable[int]) -> list[_Thing]:
    """The things, and those that are new on the way."""
    things = list(things)
    for index in indices:
        claims: dict[int, list[Mask]] = {}
        strange: list[Mask] = []
        for part in parts[index]:
            overlapping = [place for place, thing in enumerate(things) if (thing.last & part).any()]
            for place, mask in zip(
                overlapping, _divide(part, [things[k].last for k in overlapping]), strict=True
            ):
                claims.setdefault(place, []).append(mask)
            if not overlapping:
                strange.append(part)
        for place, masks in claims.items():
            masks.sort(key=lambda mask, last=things[place].last: -int((mask & last).sum()))  # type: ignore[misc]
            things[place].go_on(index, masks[0])
            strange += masks[1:]
        lost = [thing for place, thing in enumerate(things) if place not in claims]
        things += _rejoin(index, strange, lost)
    return things


def _rejoin(index: int, strange: list[Mask], lost: list[_Thing]) -> list[_Thing]:
    """Parts that overlap nothing go on with what was lost near them; the others are new."""
    fresh: list[_Thing] = []
    for part in sorted(strange, key=lambda part: -int(part.sum())):
        middle, reach = _middle(part), NEAR * float(np.sqrt(part.sum()))
        near = [(float(np.hypot(*(_middle(thing.last) - middle))), k) for k, thing in enumerate(lost)]
        distance, place = min(near, default=(reach + 1, -1))
        if distance <= reach:
            lost.pop(place).go_on(index, part)
        else:
            fresh.append(_Thing({index: part}, part))
    return fresh


def _middle(mask: Mask) -> NDArray[np.float64]:
    middle: NDArray[np.float64] = np.argwhere(mask).mean(axis=0)
    return middle


def _divide(part: Mask, lasts: list[Mask]) -> list[Mask]:
    """A part among things that it overlaps: all grow through it, pixel by pixel, until it is full."""
    if len(lasts) < 2:
        return [part] * len(lasts)
    rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    room = part[box]
    owner = np.zeros(room.shape, np.int32)
    for number, last in enumerate(lasts, 1):
        owner[room & last[box] & (owner == 0)] = number
    while (free := room & (owner == 0)).any():
        padded = np.pad(owner, 1)
        near = np.maximum.reduce([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
        diagonal = np.maximum.reduce([padded[:-2, :-2], padded[2:, 2:], padded[2:, :-2], padded[:-2, 2:]])
        owner = np.where(free, np.where(near > 0, near, diagonal), owner)
    found = []
    for number in range(1, len(lasts) + 1):
        mask = np.zeros_like(part)
        mask[box] = owner == number
        found.append(mask)
    return found


def connected_parts(mask: Mask) -> list[Mask]:
    """The parts of a mask [H, W] whose pixels touch, at corners too, the largest first, without specks."""
    runs = _runs(mask)
    parent = list(range(len(runs)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    by_row: dict[int, list[int]] = {}
    for number, (row, _, _) in enumerate(runs):
        by_row.setdefault(row, []).append(number)
    for row, here in by_row.items():
        above = by_row.get(row - 1, [])
        for one in here:
            for other in above:
                if runs[other][1] <= runs[one][2] and runs[one][1] <= runs[other][2]:
                    parent[root(one)] = root(other)
    parts: dict[int, Mask] = {}
    for number, (row, start, stop) in enumerate(runs):
        parts.setdefault(root(number), np.zeros_like(mask))[row, start:stop] = True
    least = SPECK * int(mask.sum())
    kept = [part for part in parts.values() if part.sum() >= least]
    return sorted(kept, key=lambda part: -int(part.sum()))


def _runs(mask: Mask) -> list[tuple[int, int, int]]:
    """Runs of pixels in a row: (row, first column, column behind the last)."""
    padded = np.pad(mask.astype(np.int8), ((0, 0), (1, 1)))
    steps = np.diff(padded, axis=1)
    starts, stops = np.argwhere(steps == 1), np.argwhere(steps == -1)
    return [(int(row), int(start), int(stop)) for (row, start), (_, stop) in zip(starts, stops, strict=True)]


def _track(thing: _Thing, track: MaskTrack) -> MaskTrack:
    """A thing on all frames of the track; where it has no mask it is not seen."""
    nothing = RLE.from_mask(np.zeros((track.height, track.width), bool))
    masks = {index: RLE.from_mask(mask) for index, mask in thing.masks.items()}
    return MaskTrack(
        tuple(
            FrameMask(one.index, masks.get(one.index, nothing), one.score, one.index in masks and one.present)
            for one in track
        )
    )
