"""Which frames of a recording are looked at, and the overlapping windows into which they are cut."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from unipixel.core.frames import Frame
from unipixel.core.media import Clip
from unipixel.errors import ConfigError

BLOCK = 8
"""Frames without a common distance that are read together."""
_TICK = 1e-6


@dataclass(frozen=True)
class Window:
    """Places `first` to `last` among the frames that are looked at, both included.

    `own_first` to `own_last` are those whose masks it gives: where two windows overlap, each gives the half
    that lies farther from its own edge.
    """

    number: int
    first: int
    last: int
    own_first: int
    own_last: int

    @property
    def places(self) -> range:
        return range(self.first, self.last + 1)


@dataclass(frozen=True)
class Cut:
    """How a recording is cut: places that a window holds, and how many it shares with the next."""

    size: int = 64
    overlap: int = 16

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 <= self.overlap < self.size:
            raise ConfigError(
                f"windows of {self.size} frames that share {self.overlap} are impossible; give a window of "
                "at least 1 frame and an overlap smaller than it"
            )

    def windows(self, num_places: int) -> list[Window]:
        """The windows of so many places, at least one; the last ends with them and is as long as the
        others."""
        stride = self.size - self.overlap
        count = 1 + max(0, math.ceil((num_places - self.size) / stride))
        latest = max(0, num_places - self.size)
        firsts = [min(number * stride, latest) for number in range(count)]
        lasts = [min(first + self.size, num_places) - 1 for first in firsts]
        # The border lies in the middle of what two windows share.
        borders = [(first + last + 1) // 2 for first, last in zip(firsts[1:], lasts, strict=False)]
        starts, stops = [0, *borders], [*(border - 1 for border in borders), num_places - 1]
        parts = zip(firsts, lasts, starts, stops, strict=True)
        return [Window(number, *part) for number, part in enumerate(parts)]


def looked_at(clip: Clip, fps: float | None, step: int = 1) -> list[int]:
    """The frames that are looked at: every `step`-th, or at most `fps` a second: for each tick of that clock
    the first frame that is not earlier. No frame is looked at twice, and none is made up."""
    numbers = list(range(0, clip.num_frames, step))
    if fps is None:
        return numbers
    if not (math.isfinite(fps) and fps > 0):
        raise ConfigError(f"{fps} frames a second are impossible; give a number above 0")
    times = [clip.times[number] for number in numbers]
    found, tick = [], 0
    while (place := bisect_left(times, tick / fps - _TICK)) < len(times):
        found.append(numbers[place])
        tick = max(tick + 1, math.floor(times[place] * fps + _TICK) + 1)
    return found


def part_of(clip: Clip, frames: Sequence[int]) -> Clip:
    """Some frames of a clip (increasing) as a clip of its own, read when needed."""
    if len(frames) == clip.num_frames:
        return clip
    start = clip.times[frames[0]]
    times = tuple(clip.times[frame] - start for frame in frames)
    fps = (len(frames) - 1) / times[-1] if len(frames) > 1 and times[-1] > 0 else clip.fps
    return replace(clip, times=times, fps=fps, _frames=_Part(clip, tuple(frames)))


@dataclass(frozen=True, eq=False)
class _Part:
    """Reads the frames of a part."""

    clip: Clip
    numbers: tuple[int, ...]

    def pick(self, wanted: Sequence[int]) -> Iterator[Frame]:
        numbers = [self.numbers[place] for place in wanted]
        steps = {after - before for before, after in pairwise(numbers)}
        if len(steps) == 1:  # one pass
            for _, frame in self.clip.walk(numbers[0], numbers[-1] + 1, steps.pop()):
                yield frame
            return
        for first in range(0, len(numbers), BLOCK):
            yield from self.clip.read(numbers[first : first + BLOCK])


def spans(numbers: Sequence[int]) -> list[tuple[int, int, int]]:
    """Increasing numbers as (first, last, step), few for regular ones; see `from_spans`."""
    found: list[tuple[int, int, int]] = []
    for number in numbers:
        first, last, step = found[-1] if found else (0, 0, 0)
        if found and (first == last or number - last == step):
            found[-1] = (first, number, number - last)
        else:
            found.append((number, number, 1))
    return found


def from_spans(found: Sequence[Sequence[int]]) -> list[int]:
    """The numbers that `spans` told."""
    return [number for first, last, step in found for number in range(first, last + 1, step)]
