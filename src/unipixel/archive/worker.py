"""Works through items with one model, and appends what is finished to one part of the results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from unipixel.archive.finding import ITEM_ERRORS, Finder, why
from unipixel.archive.items import Item, Marked
from unipixel.archive.lines import Entry, LineHead, Status, to_lines
from unipixel.archive.recording import ReadWindow, Recording, Step, Units, asked
from unipixel.archive.settings import Settings
from unipixel.archive.store import Journal, Part, Store
from unipixel.archive.units import Unit
from unipixel.predictor import Predictor


@dataclass(frozen=True)
class Happened:
    """Something that progress wants to know.

    Attributes:
        item: which item.
        what: "window" (one more is kept) or "item" (it is finished).
        done, total: windows of the item.
        status: of a finished item.
        reason: why it failed, if it did.
        in_one: whether its only window was finished with it, and not told of before.
    """

    item: str
    what: Literal["window", "item"]
    done: int = 1
    total: int = 1
    status: Status = "done"
    reason: str = ""
    in_one: bool = False


@dataclass(frozen=True)
class Chunk:
    """Neighbouring items. Those that are short are asked together, all of them even if only some are still
    `wanted`: the sums of a batch depend on who is in it, and a repeated run shall give the same to the last
    bit."""

    items: tuple[Item, ...]
    wanted: frozenset[str]
    retry: bool = False


Outcome: TypeAlias = Iterator[Happened]


class Worker:
    """One model at work. `part` is written by nobody else."""

    def __init__(self, predictor: Predictor, settings: Settings, store: Store, part: Part) -> None:
        self._settings = settings
        self._store = store
        self._part = part
        self._finder = Finder(predictor, settings)

    def work(self, chunk: Chunk) -> Outcome:
        """Finish the wanted items of a chunk. Tells of everything that is safe on the disk."""
        opened: list[Recording] = []
        for item in chunk.items:
            try:
                opened.append(Recording.open(item, self._settings))
            except ITEM_ERRORS as error:
                if item.id in chunk.wanted:
                    yield self.fail(item, why(error))
        yield from self._short([one for one in opened if one.is_short], chunk)
        for one in opened:
            if not one.is_short and one.item.id in chunk.wanted:
                yield from self._long(one, chunk.retry)

    def fail(self, item: Item, reason: str) -> Happened:
        """Record that nothing can be done about an item, and why."""
        head = LineHead(item.id, 0, False, "failed", item.digest)
        entries: list[Entry] = [*asked(item), ("failures", {"reason": reason})]
        self._part.write(to_lines(head, {}, entries))
        return Happened(item.id, "item", status="failed", reason=reason)

    def _short(self, recordings: Sequence[Recording], chunk: Chunk) -> Outcome:
        if not any(one.item.id in chunk.wanted for one in recordings):
            return
        tasks = [one.task(one.steps[0], _nothing) for one in recordings]
        for one, units in zip(recordings, self._finder.find(tasks), strict=True):
            if one.item.id in chunk.wanted:
                found = {unit.query: unit for unit in units}
                failed = [unit for unit in units if unit.failed]
                self._write(one, {0: found}.__getitem__, len(failed))
                yield self._finished(one, failed)

    def _long(self, one: Recording, retry: bool) -> Outcome:
        total = len(one.steps)
        queries = range(len(one.item.queries))
        with self._store.journal(one.item) as journal:

            def read(window: int) -> Units:
                return journal.window(window, queries)

            left = _left(one, journal, retry)
            for done, step in enumerate(left, total - len(left) + 1):
                journal.add(step.number, self._finder.find([one.task(step, read)])[0])
                yield Happened(one.item.id, "window", done, total)
            failed = [unit for key in sorted(journal.failed) if (unit := journal.read(*key)) is not None]
            self._write(one, read, len(failed))
        if not failed:
            journal.delete()
        yield self._finished(one, failed)

    def _write(self, one: Recording, read: ReadWindow, failed: int) -> None:
        head = LineHead(one.item.id, 0, False, one.status(failed), one.item.digest)
        self._part.write(to_lines(head, one.about(), one.entries(read)))

    def _finished(self, one: Recording, failed: Sequence[Unit]) -> Happened:
        total = len(one.steps)
        reason = failed[0].reason if failed else ""
        return Happened(
            one.item.id, "item", total, total, one.status(len(failed)), reason, in_one=one.is_short
        )


def _nothing(_window: int) -> Units:
    return {}


def _left(one: Recording, journal: Journal, retry: bool) -> list[Step]:
    """The steps that are still to be done: with `retry` also those with failures, and all behind the first of
    them if masks are carried on from step to step."""
    left = [step for step in one.steps if step.number not in journal.steps]
    if not retry or not journal.failed:
        return left
    again = [step for step in one.steps if any((step.window, q) in journal.failed for q in step.queries)]
    if any(isinstance(query, Marked) for query in one.item.queries):
        again = list(one.steps[one.steps.index(again[0]) :])
    return [step for step in one.steps if step in left or step in again]
