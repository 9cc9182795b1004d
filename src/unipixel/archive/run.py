"""Annotates an archive: what is left to do, done here or spread over workers, and put together in the end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

import torch

from unipixel.archive.exports import check_exports, export
from unipixel.archive.items import Item, check_distinct
from unipixel.archive.lines import Place
from unipixel.archive.settings import ModelName, Output, Settings, keep_settings
from unipixel.archive.store import Store, check_same, is_left
from unipixel.archive.worker import Chunk, Happened, Worker
from unipixel.errors import ConfigError
from unipixel.evaluation.predictions import Shard
from unipixel.evaluation.provenance import fingerprint
from unipixel.hub import find_checkpoint
from unipixel.loading import load
from unipixel.predictor import Predictor

MOST_FAILURES = 20
"""So many failures in a row are no accident."""


@dataclass(frozen=True)
class ArchiveProgress:
    """How far a run is.

    Attributes:
        done: items finished in this run.
        total: items that it has to do.
        failed: items of which nothing, or not everything, could be done.
        windows: finished in this run.
        part: of the items in hand that are not finished, in items.
        seconds: since the work was handed out; opening the model counts.
    """

    done: int
    total: int
    failed: int
    windows: int
    part: float
    seconds: float

    @property
    def rate(self) -> float:
        """Items a second; 0 before anything is done."""
        return (self.done + self.part) / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; None before anything is done."""
        return (self.total - self.done - self.part) / self.rate if self.rate > 0 else None

    def __str__(self) -> str:
        failed = f" ({self.failed} failed)" if self.failed else ""
        left = "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"
        done = f"{self.done} of {self.total} items{failed}, {self.windows} windows"
        return f"{done}, {self.rate:.2f} items/s{left}"


def duration(seconds: float) -> str:
    """For people: 42 s, 3 min, 5.2 h, 3.1 days."""
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (48 * 3600, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}" if size < 3600 else f"{seconds / size:.1f} {unit}"
    return f"{seconds / 86400:.1f} days"


OnProgress: TypeAlias = Callable[[ArchiveProgress], None]
OnFailure: TypeAlias = Callable[[Happened], None]


@dataclass(frozen=True)
class Report:
    """What a run did.

    Attributes:
        total: items of the archive (of the shard).
        before: of them, finished before.
        done: finished in this run, with or without failures.
        failed: of those finished in this run, how many not wholly.
        failed_before: of those finished before, how many not wholly; they were not tried again.
        windows: finished in this run.
        seconds: that it took.
        complete: whether all items are finished and put together.
    """

    total: int
    before: int
    done: int
    failed: int
    failed_before: int
    windows: int
    seconds: float
    complete: bool


@dataclass(frozen=True)
class Job:
    """Everything that whoever does the work must know; it may be sent to another process. `part`: how the
    names of the parts begin that it writes, so that shards do not write the same ones."""

    model: ModelName
    settings: Settings
    output: Output
    part: str = "part"


class Spread(Protocol):
    """Does chunks of work, somewhere."""

    def work(self, job: Job, chunks: Sequence[Chunk]) -> Iterator[Happened]:
        """Tells of what is safe on the disk, in any order."""
        ...


@dataclass(frozen=True)
class Here:
    """In this process; `predictor` takes the place of the model that the job names."""

    predictor: Predictor | None = None

    def work(self, job: Job, chunks: Sequence[Chunk]) -> Iterator[Happened]:
        predictor = self.predictor or open_model(job.model)
        store = Store(job.output.folder)
        with store.appending(job.part) as part:
            worker = Worker(predictor, job.settings, store, part)
            for chunk in chunks:
                yield from worker.work(chunk)


def open_model(model: ModelName) -> Predictor:
    """Load it, and set how many threads it may use."""
    if model.threads is not None:
        torch.set_num_threads(model.threads)
    return load(model.name, device=model.device, dtype=model.dtype)


def _folder(predictor: Predictor) -> Path | None:
    """From which it was loaded, if it was."""
    return predictor.sources[0] if predictor.sources else None


def _fingerprint(folder: Path | None) -> str:
    """Of a model's files: equal files have equal ones."""
    if folder is None or not folder.is_dir():
        return ""
    return fingerprint(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors"))


@dataclass(frozen=True)
class Manner:
    """How a run goes about it, which changes nothing about its results.

    Attributes:
        shard: which chunks it does; the run whose items complete the archive puts everything together.
        retry_failed: do items again that were not finished wholly.
        on_progress, on_failure: hear of it.
    """

    shard: Shard = field(default_factory=Shard)
    retry_failed: bool = False
    on_progress: OnProgress | None = None
    on_failure: OnFailure | None = None


def annotate(
    model: str | ModelName | Predictor,
    items: Iterable[Item],
    output: Output | str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    spread: Spread | None = None,
    manner: Manner | None = None,
) -> Report:
    """Annotate all items that are not annotated yet, and put the results together when the last one is done.

    model: a name, folder or hub id, or an opened model (for work in this process). items: see
    `inputs.find_items`. output: a folder. spread: who does the work; by default this process.

    It may be killed at any time: called again with the same arguments it goes on, and repeats at most one
    window of each process. Raises ConfigError for a folder that was begun otherwise, or if nothing but
    failures comes; RequestError for items that share an id; OutputError.
    """
    settings, manner = settings or Settings(), manner or Manner()
    found = check_distinct(items)
    output = output if isinstance(output, Output) else Output(Path(output))
    check_exports(output)
    job, spread = _job(model, settings, output, spread, manner.shard)
    folder = _folder(model) if isinstance(model, Predictor) else find_checkpoint(job.model.name)
    keep_settings(output.folder, settings, job.model.name, _fingerprint(folder))
    store = Store(output.folder)
    known = store.known()
    check_same(found, known)
    all_chunks = chunks_of(found, settings.chunk)
    mine = [chunk for place, chunk in enumerate(all_chunks) if manner.shard.takes(place)]
    failed = sum(item.id in known and not known[item.id].is_done for chunk in mine for item in chunk)
    left = [cut for chunk in mine if (cut := _wanted(chunk, known, manner.retry_failed)) is not None]
    count = _Count(sum(len(chunk.wanted) for chunk in left), manner)
    if left:
        for happened in spread.work(job, left):
            count.hear(happened)
    total = sum(len(chunk) for chunk in mine)
    complete = finish(store, found, output)
    seconds = time.monotonic() - count.start
    before = total - count.total
    failed_before = 0 if manner.retry_failed else failed
    return Report(total, before, count.done, count.failed, failed_before, count.windows, seconds, complete)


def finish(store: Store, items: Sequence[Item], output: Output) -> bool:
    """Put everything together if all items are done, and make what else is wanted; whether it was."""
    if not store.assemble(items):
        return False
    export(store, output)
    return True


def _job(
    model: str | ModelName | Predictor,
    settings: Settings,
    output: Output,
    spread: Spread | None,
    shard: Shard,
) -> tuple[Job, Spread]:
    part = f"shard-{shard.number}-of-{shard.total}"
    if isinstance(model, Predictor):
        if spread is not None:
            raise ConfigError("an opened model works in this process; give its name to spread the work")
        name = str(model.sources[0]) if model.sources else "model"
        return Job(ModelName(name), settings, output, part), Here(model)
    named = model if isinstance(model, ModelName) else ModelName(model)
    return Job(named, settings, output, part), spread or Here()


def chunks_of(items: Sequence[Item], size: int) -> list[tuple[Item, ...]]:
    """Neighbouring items, always the same ones together."""
    return [tuple(items[first : first + size]) for first in range(0, len(items), size)]


def _wanted(items: tuple[Item, ...], known: dict[str, Place], retry: bool) -> Chunk | None:
    left = frozenset(item.id for item in items if is_left(item, known, retry))
    return Chunk(items, left, retry) if left else None


class _Count:
    """Counts what happens, and tells."""

    def __init__(self, total: int, manner: Manner) -> None:
        self.total, self.done, self.failed, self.windows = total, 0, 0, 0
        self.start = time.monotonic()
        self._manner = manner
        self._begun: dict[str, float] = {}
        self._in_a_row = 0

    def hear(self, happened: Happened) -> None:
        """ConfigError after too many failures in a row."""
        if happened.what == "window":
            self.windows += 1
            self._begun[happened.item] = happened.done / happened.total
        else:
            self.windows += happened.in_one
            self._begun.pop(happened.item, None)
            self.done += 1
            self._fail(happened)
        if self._manner.on_progress is not None:
            seconds = time.monotonic() - self.start
            part = sum(self._begun.values())
            self._manner.on_progress(
                ArchiveProgress(self.done, self.total, self.failed, self.windows, part, seconds)
            )

    def _fail(self, happened: Happened) -> None:
        self._in_a_row = self._in_a_row + 1 if happened.status == "failed" else 0
        if happened.status == "done":
            return
        self.failed += 1
        if self._manner.on_failure is not None:
            self._manner.on_failure(happened)
        if self._in_a_row >= MOST_FAILURES:
            raise ConfigError(
                f"{self._in_a_row} items in a row failed, the last one {happened.item}: {happened.reason}. "
                "Mend that, then go on with --retry-failed."
            )
