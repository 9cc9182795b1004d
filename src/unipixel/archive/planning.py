"""What a run would cost: a sample of windows is timed, and the rest is reckoned from it, with intervals."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unipixel.archive.finding import ITEM_ERRORS, Finder
from unipixel.archive.items import Item
from unipixel.archive.lines import LineHead, to_lines
from unipixel.archive.recording import Recording
from unipixel.archive.run import duration
from unipixel.archive.settings import Settings
from unipixel.archive.units import Unit
from unipixel.core.progress import OnProgress, Progress
from unipixel.errors import ConfigError
from unipixel.evaluation.metrics.intervals import Bootstrap, Interval, bootstrap_ratio
from unipixel.predictor import Predictor


@dataclass(frozen=True)
class Sampling:
    """How much is looked at: items that are opened, and of each the windows that are timed. The same seed
    takes the same ones."""

    items: int = 24
    windows: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.items < 2 or self.windows < 1:
            raise ConfigError(
                f"{self.items} items with {self.windows} windows tell no interval; take 2 and 1 or more"
            )


@dataclass(frozen=True)
class Plan:
    """What a run would cost. The intervals (95 %) say how sure the sample makes it: items are drawn again,
    with replacement. They cannot know of items unlike all that were looked at.

    Attributes:
        items: in all.
        sampled: items that were opened.
        unreadable: of those, how many could not be.
        timed: windows that were timed.
        device: where.
        windows, video_seconds, work_seconds, bytes: of the whole archive.
    """

    items: int
    sampled: int
    unreadable: int
    timed: int
    device: str
    windows: Interval
    video_seconds: Interval
    work_seconds: Interval
    bytes: Interval

    def text(self, workers: int = 1) -> str:
        """For people."""
        unit = "GPU-days" if self.device.startswith("cuda") else "days of this processor"
        work = _scaled(self.work_seconds, 1 / 86400)
        wall = _scaled(self.work_seconds, 1 / workers)
        lines = [
            f"items      {self.items} ({self.sampled} opened, {self.unreadable} of them unreadable)",
            f"video      {_span(_scaled(self.video_seconds, 1 / 3600), 'h')}",
            f"windows    {_span(self.windows)} ({self.timed} timed on {self.device})",
            f"work       {_span(work)} {unit}",
            f"time       {duration(wall.value)} (95 %: {duration(wall.low)} to {duration(wall.high)}) with "
            f"{workers} worker{'s' if workers > 1 else ''}",
            f"disk       {_span(_scaled(self.bytes, 1e-6), 'MB')}",
        ]
        return "\n".join(lines)


def _scaled(interval: Interval, factor: float) -> Interval:
    return Interval(interval.value * factor, interval.low * factor, interval.high * factor)


def _span(interval: Interval, unit: str = "") -> str:
    unit = f" {unit}" if unit else ""
    return f"{interval.value:.4g}{unit} (95 %: {interval.low:.4g} to {interval.high:.4g})"


@dataclass(frozen=True)
class _Measured:
    """One item of the sample."""

    windows: int = 0
    video: float = 0.0
    work: float = 0.0
    nbytes: float = 0.0
    timed: int = 0
    readable: bool = True


def plan(
    predictor: Predictor,
    items: Sequence[Item],
    settings: Settings | None = None,
    sampling: Sampling | None = None,
    on_progress: OnProgress | None = None,
) -> Plan:
    """Open a sample of items, time some windows of each, and reckon what all would cost. Nothing is written.

    Short items are timed one by one, though a run asks several together: the plan errs to the careful side.
    """
    settings, sampling = settings or Settings(), sampling or Sampling()
    random = np.random.default_rng(sampling.seed)
    count = min(sampling.items, len(items))
    chosen = sorted(random.choice(len(items), count, replace=False).tolist())
    finder = Finder(predictor, settings)
    _measure(finder, items[chosen[0]], settings, 1, random)  # the first call warms up; it does not count
    start, found = time.monotonic(), list[_Measured]()
    for done, place in enumerate(chosen, 1):
        found.append(_measure(finder, items[place], settings, sampling.windows, random))
        if on_progress is not None:
            on_progress(Progress("timing items", done, count, time.monotonic() - start))
    return Plan(
        items=len(items),
        sampled=count,
        unreadable=sum(not one.readable for one in found),
        timed=sum(one.timed for one in found),
        device=str(predictor.device),
        windows=_total([one.windows for one in found], len(items), is_exact=True),
        video_seconds=_total([one.video for one in found], len(items), is_exact=True),
        work_seconds=_total([one.work for one in found], len(items), is_exact=False),
        bytes=_total([one.nbytes for one in found], len(items), is_exact=False),
    )


def _total(values: Sequence[float], items: int, *, is_exact: bool) -> Interval:
    """The sum over all items, from those of a sample. `is_exact`: each value is known, not estimated from
    some windows of its item."""
    mean = bootstrap_ratio(values, [1] * len(values), how=Bootstrap(draws=2000))
    if is_exact and len(values) == items:  # nothing was left to chance
        return Interval(mean.value * items, mean.value * items, mean.value * items)
    return _scaled(mean, items)


def _measure(
    finder: Finder, item: Item, settings: Settings, windows: int, random: np.random.Generator
) -> _Measured:
    """Time opening an item and some of its steps; masks carried between windows are not there."""
    start = time.perf_counter()
    try:
        one = Recording.open(item, settings)
    except ITEM_ERRORS:
        return _Measured(work=time.perf_counter() - start, nbytes=len(item.id) + 300, readable=False)
    opening = time.perf_counter() - start
    steps = one.steps
    chosen = sorted(random.choice(len(steps), min(windows, len(steps)), replace=False).tolist())
    spent, nbytes = 0.0, 0
    for place in chosen:
        start = time.perf_counter()
        units = finder.find([one.task(steps[place], lambda window: {})])[0]
        nbytes += _nbytes(one, units)
        spent += time.perf_counter() - start
    share = len(steps) / max(1, len(chosen))
    clip = one.clip
    video = 0.0 if clip.is_image else clip.times[-1] + 1 / clip.fps
    return _Measured(len(one.windows), video, opening + share * spent, share * nbytes, len(chosen))


def _nbytes(one: Recording, units: Sequence[Unit]) -> int:
    """Of the lines that would be written for some units."""
    found = {unit.query: unit for unit in units}
    window = units[0].window if units else 0
    head = LineHead(one.item.id, 0, False, "done", one.item.digest)
    entries = one.entries(lambda number: found if number == window else {})
    return sum(len(line) for line in to_lines(head, one.about(), entries))
