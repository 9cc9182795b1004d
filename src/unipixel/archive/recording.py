"""One item as it is worked through: its frames, windows and steps, and in the end its entries."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unipixel.archive.finding import Task
from unipixel.archive.items import Item, Mark, Marked, Words
from unipixel.archive.lines import Entry, ItemMask, ObjectHead, Status
from unipixel.archive.linking import Linker
from unipixel.archive.settings import Settings
from unipixel.archive.units import FoundObject, Unit
from unipixel.archive.windows import Window, looked_at, spans
from unipixel.core.media import Clip

Units = Mapping[int, Unit]
ReadWindow = Callable[[int], Units]
"""The units of a window, by query."""


@dataclass(frozen=True)
class Step:
    """Queries that are worked on together in one window: first all windows forward; then, backward, those
    before the first mark of an object."""

    number: int
    window: int
    queries: tuple[int, ...]
    backward: bool = False

    @property
    def neighbour(self) -> int:
        """The window from which masks are carried on."""
        return self.window + (1 if self.backward else -1)


@dataclass(frozen=True, eq=False)
class Recording:
    """An opened item: the frames that are looked at, its windows and the steps to be done."""

    item: Item
    clip: Clip
    frames: tuple[int, ...]
    windows: tuple[Window, ...]
    steps: tuple[Step, ...]

    @classmethod
    def open(cls, item: Item, settings: Settings) -> Recording:
        """MediaError; PromptError for marks that lie behind the end."""
        clip = item.open()
        frames = _with_marks(looked_at(clip, settings.fps, item.step), item, clip)
        windows = tuple(settings.cut.windows(len(frames)))
        return cls(item, clip, frames, windows, _steps(item, frames, windows))

    @property
    def is_short(self) -> bool:
        """Whether it is done in one step, and has no other window."""
        return len(self.steps) == len(self.windows) == 1

    def numbers(self, window: Window) -> tuple[int, ...]:
        """The frames of a window."""
        return self.frames[window.first : window.last + 1]

    def shared(self, window: int) -> tuple[int, ...]:
        """The frames that a window has in common with the one before it."""
        if window == 0:
            return ()
        return self.frames[self.windows[window].first : self.windows[window - 1].last + 1]

    def task(self, step: Step, read: ReadWindow) -> Task:
        """What is to be found in a step; `read` gives earlier ones."""
        window = self.windows[step.window]
        return Task(
            self.item, self.clip, self.numbers(window), window, step.queries, self._carried(step, read)
        )

    def _carried(self, step: Step, read: ReadWindow) -> dict[int, Mark]:
        """For marked objects without a mark in the window: what the neighbouring window found of them on a
        shared frame; of those that it saw on none, the nearest mark."""
        here = self.numbers(self.windows[step.window])
        known = {number: self._nearest(number, here) for number in step.queries}
        found = {number: mark for number, mark in known.items() if mark is not None}
        if not found or not 0 <= step.neighbour < len(self.windows):
            return found
        shared = set(self.shared(max(step.window, step.neighbour)))
        for number, unit in read(step.neighbour).items():
            masks = [mask for one in unit.objects for mask in one.masks if mask.frame in shared]
            if number in found and masks:
                best = max(masks, key=lambda mask: (mask.score, mask.frame))
                found[number] = Mark(best.frame, best.rle)
        return found

    def _nearest(self, number: int, here: Sequence[int]) -> Mark | None:
        """The mark of an object that lies nearest to a window; None if it needs none, or has none."""
        query, total = self.item.queries[number], self.clip.num_frames
        marks = [mark for mark in query.marks if mark.frame < total] if isinstance(query, Marked) else []
        if any(here[0] <= mark.frame <= here[-1] for mark in marks):
            looked = set(here)
            if any(mark.frame in looked for mark in marks):
                return None
        return min(marks, key=lambda mark: max(here[0] - mark.frame, mark.frame - here[-1]), default=None)

    # What comes of it ------------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """What the first line tells of the clip, beside the lists of its files and frames."""
        return {
            "size": [self.clip.height, self.clip.width],
            "num_frames": self.clip.num_frames,
            "fps": round(self.clip.fps, 6),
        }

    def status(self, failed: int) -> Status:
        """By how many units failed."""
        total = sum(len(step.queries) for step in self.steps)
        return "done" if not failed else "failed" if failed >= total else "partly"

    def entries(self, read: ReadWindow) -> Iterator[Entry]:
        """Everything that was found, window by window, under numbers that last."""
        yield from (("frames", span) for span in spans(self.frames))
        yield from asked(self.item)
        linker = Linker(self.item.first_free)
        for window in self.windows:
            units = read(window.number)
            for number, unit in sorted(units.items()):
                yield from self._of_unit(number, unit, window, linker)

    def _of_unit(self, number: int, unit: Unit, window: Window, linker: Linker) -> Iterator[Entry]:
        query = self.item.queries[number]
        where = {"query": number, "window": window.number}
        if unit.failed:
            yield "failures", {**where, "reason": unit.reason}
            return
        seen = [one for one in unit.objects if one.masks]
        if isinstance(query, Words):
            numbers = linker.number(number, seen, self.shared(window.number))
            heads = [ObjectHead(id, number) for id in numbers]
            given = iter(numbers)
            named = [next(given) if one.masks else None for one in unit.objects]
            own = [self.frames[window.own_first], self.frames[window.own_last]]
            parts = [id for id, one in zip(numbers, seen, strict=True) if one.part_of is not None]
            split = {"split": parts} if parts else {}
            yield "answers", {**where, "frames": own, "text": unit.said(named), **split}
        else:
            heads = [ObjectHead(query.id, number, query.name)] * len(seen)
        for head, one in zip(heads, seen, strict=True):
            yield from self._of_object(head, one, window)

    def _of_object(self, head: ObjectHead, one: FoundObject, window: Window) -> Iterator[Entry]:
        first, last = self.frames[window.own_first], self.frames[window.own_last]
        for mask in one.masks:
            if first <= mask.frame <= last:
                time = self.clip.times[mask.frame]
                yield head, ItemMask(mask.frame, time, mask.rle, mask.score, mask.quality)


def asked(item: Item) -> Iterator[Entry]:
    """Its files and what it asks, as entries of its lines."""
    yield from (("media", str(path)) for path in item.media)
    for query in item.queries:
        if isinstance(query, Words):
            yield "queries", {"ask": query.text}
        else:
            yield "queries", {"object": query.id, **({"name": query.name} if query.name else {})}


def _with_marks(numbers: Sequence[int], item: Item, clip: Clip) -> tuple[int, ...]:
    """The frames that are looked at, and the first mark of each object that is marked on none of them."""
    found = set(numbers)
    for query in item.queries:
        if isinstance(query, Marked) and not any(mark.frame in found for mark in query.marks):
            frame = query.marks[0].frame
            if frame < clip.num_frames:  # else it fails alone
                found.add(frame)
    return tuple(sorted(found))


def _steps(item: Item, frames: Sequence[int], windows: Sequence[Window]) -> tuple[Step, ...]:
    looked, lasts = set(frames), [frames[window.last] for window in windows]
    first_window = {
        number: _first_window(query, looked, lasts)
        for number, query in enumerate(item.queries)
        if isinstance(query, Marked)
    }
    steps: list[Step] = []
    for window in windows:
        here = tuple(
            number
            for number, query in enumerate(item.queries)
            if isinstance(query, Words)
            or (first_window[number] <= window.number and _reaches(query, frames[window.first]))
        )
        steps.append(Step(len(steps), window.number, here))
    latest = max(first_window.values(), default=0)
    for before in range(latest - 1, -1, -1):
        here = tuple(
            number
            for number, first in first_window.items()
            if before < first and _has_no_reach(item.queries[number])
        )
        if here:
            steps.append(Step(len(steps), before, here, backward=True))
    return tuple(step for step in steps if step.queries)


def _first_window(query: Marked, looked: Container[int], lasts: Sequence[int]) -> int:
    """The first window that holds a mark, by the last frame of each; 0 for an object whose marks all lie
    behind the end, so that it fails there."""
    first = next((mark.frame for mark in query.marks if mark.frame in looked), None)
    return 0 if first is None else bisect_left(lasts, first)


def _reaches(query: Marked, frame: int) -> bool:
    """Whether an object may still be there on a frame."""
    return query.reach is None or frame <= query.reach[1]


def _has_no_reach(query: object) -> bool:
    return isinstance(query, Marked) and query.reach is None
