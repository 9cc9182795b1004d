"""Which objects of two overlapping windows are the same: by their masks on the frames that both saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from unipixel.archive.units import FoundObject
from unipixel.core.masks import RLE
from unipixel.evaluation.metrics.matching import best_pairs

SAME = 0.3
"""Mean IoU on the frames of the overlap from which two objects are one."""

Tracks = Mapping[int, RLE]


@dataclass
class _Known:
    """What one query has found so far: all numbers given, and the objects of the window before."""

    numbers: list[int] = field(default_factory=list)
    before: dict[int, Tracks] = field(default_factory=dict)


class Linker:
    """Gives the objects that words find numbers that last through a recording.

    1. Objects of two neighbouring windows are compared on the frames that both windows saw: the mean IoU over
       those on which either is seen. Pairs are chosen one to one so that the sum is highest (the assignment
       problem), and count from SAME on.
    2. Where the words have found one object only, so far and here, it is the same one, unless the two were
       seen in different places at one time: so an object that was out of sight keeps its number.
    3. Everything else is new.
    """

    def __init__(self, first_free: int, same: float = SAME) -> None:
        self._next = first_free
        self._same = same
        self._known: dict[int, _Known] = {}

    def number(self, query: int, objects: Sequence[FoundObject], shared: Sequence[int]) -> list[int]:
        """Numbers of the objects of the next window; `shared` are the frames that it has in common with the
        window before."""
        known = self._known.setdefault(query, _Known())
        tracks = [one.by_frame for one in objects]
        found = self._matched(known, tracks, shared)
        if len(objects) == 1 and found[0] is None and len(known.numbers) == 1:
            only = known.numbers[0]
            if not _contradict(known.before.get(only, {}), tracks[0], shared):
                found = [only]
        numbers = [self._new(known) if number is None else number for number in found]
        known.before = dict(zip(numbers, tracks, strict=True))
        return numbers

    def _matched(self, known: _Known, tracks: Sequence[Tracks], shared: Sequence[int]) -> list[int | None]:
        before = list(known.before)
        if not before or not tracks:
            return [None] * len(tracks)
        # A column of its own for each object lets it stay without a partner.
        worth = [
            [overlap(known.before[number], track, shared) for number in before] + [0.0] * len(tracks)
            for track in tracks
        ]
        pairs = best_pairs(worth)
        return [
            before[column] if column < len(before) and row[column] >= self._same else None
            for row, column in zip(worth, pairs, strict=True)
        ]

    def _new(self, known: _Known) -> int:
        number, self._next = self._next, self._next + 1
        known.numbers.append(number)
        return number


def overlap(first: Tracks, second: Tracks, shared: Sequence[int]) -> float:
    """Mean IoU of two objects over the shared frames on which either is seen; 0 if neither ever is."""
    seen = [frame for frame in shared if frame in first or frame in second]
    both = [first[frame].iou(second[frame]) for frame in seen if frame in first and frame in second]
    return sum(both) / len(seen) if seen else 0.0


def _contradict(first: Tracks, second: Tracks, shared: Sequence[int]) -> bool:
    """Whether both are seen on a shared frame: what was not matched is then in two places at one time."""
    return any(frame in first and frame in second for frame in shared)
