"""Runs a benchmark: asks about every sample that has no prediction yet, and writes what comes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from unipixel.core.progress import OnProgress, Progress
from unipixel.core.response import Response
from unipixel.core.sampling import uniform_indices
from unipixel.data.sample import Sample
from unipixel.errors import ConfigError, DataError, UniPixelError
from unipixel.evaluation.benchmark import (
    PUBLISHED,
    Answers,
    Benchmark,
    Opened,
    Predictor,
    Protocol,
    Setting,
    Step,
    Talk,
)
from unipixel.evaluation.benchmarks import find_protocol
from unipixel.evaluation.predictions import Prediction, Predictions, Shard, appending, forget_failed
from unipixel.evaluation.provenance import Manifest, Model, Settings, versions

SAMPLE_ERRORS = (UniPixelError, RuntimeError, OSError)
"""What may go wrong with one sample and leave the others alone: bad data, or a machine that is too small for
it (torch's errors of memory and devices are RuntimeErrors)."""
MOST_FAILURES = 20
"""So many failures in a row are no accident."""


@dataclass(frozen=True)
class Plan:
    """What is run, and where.

    Attributes:
        benchmark: the row.
        root: the `data` folder.
        folder: where predictions and results go: one for each benchmark and way to ask.
        protocol: which way to ask; one that does not ask apart is "published".
        setting: words and seed.
        limit: how many samples at most, spread evenly; None is all.
    """

    benchmark: Benchmark
    root: Path
    folder: Path
    protocol: str = PUBLISHED
    setting: Setting = field(default_factory=Setting)
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"A limit of {self.limit} leaves nothing to ask; give at least 1.")

    def open(self, protocol: Protocol | None = None) -> Opened:
        """The samples, as they are asked, or as a protocol scores them."""
        protocol = protocol or self._asking
        root = self.root if self.benchmark.data.needs_root else self.folder / "data"
        return self.benchmark.data.open(root, protocol.options if protocol is not None else {})

    @property
    def _asking(self) -> Protocol | None:
        if not self.benchmark.protocols:
            return None
        return find_protocol(self.benchmark, self.protocol)

    def chosen(self, opened: Opened) -> list[int]:
        """Places of the samples that are asked."""
        total = len(opened.samples)
        return list(range(total)) if self.limit is None else uniform_indices(total, self.limit)

    def samples(self) -> tuple[Sample, ...]:
        """The samples that are asked; DataError if one of them is broken."""
        opened = self.open()
        return tuple(opened.samples[place] for place in self.chosen(opened))

    def usable_samples(self) -> tuple[Sample, ...]:
        """The same without broken ones, which scoring names."""
        opened = self.open()
        found: list[Sample] = []
        for place in self.chosen(opened):
            with suppress(DataError):
                found.append(opened.samples[place])
        return tuple(found)

    def manifest(self, opened: Opened, model: Model) -> Manifest:
        """What is written beside the predictions."""
        settings = Settings(
            benchmark=self.benchmark.name,
            model=model.name,
            fingerprint=model.fingerprint,
            dtype=model.dtype,
            prompts=self.setting.wording.hash,
            data=dict(opened.choices),
            seed=self.setting.seed,
            limit=self.limit,
        )
        return Manifest(settings, versions(), model.device, str(self.root.absolute()))


@dataclass(frozen=True)
class Manner:
    """How a run goes about it, which changes nothing about its numbers.

    Attributes:
        shard: which part of the samples this process asks.
        batch: how many samples are asked together.
        retry: ask samples again that failed before.
        on_progress: hears of every batch.
    """

    shard: Shard = field(default_factory=Shard)
    batch: int = 1
    retry: bool = False
    on_progress: OnProgress | None = None

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ConfigError(f"A batch of {self.batch} samples is impossible; give at least 1.")


def run(plan: Plan, predictor: Predictor, model: Model, manner: Manner | None = None) -> int:
    """Ask about all samples of a shard that have no prediction yet; how many were asked.

    Raises:
        ConfigError: the folder holds predictions under other settings, or nothing but failures came.
        OutputError: the folder cannot be written, or another process writes this shard.
        DataError: the annotations are missing or broken as a whole.
    """
    manner = manner or Manner()
    opened = plan.open()
    plan.manifest(opened, model).keep(plan.folder)
    if manner.retry:
        forget_failed(plan.folder, manner.shard)
    with appending(plan.folder, manner.shard) as writer:
        known = Predictions.open(plan.folder)
        mine = [place for number, place in enumerate(plan.chosen(opened)) if manner.shard.takes(number)]
        left = [(place, name) for place in mine if (name := _name(opened, place)) not in known]
        start, failures = time.monotonic(), 0
        for done in range(0, len(left), manner.batch):
            batch = left[done : done + manner.batch]
            predictions = ask_batch(plan, opened, predictor, batch)
            writer.write(predictions)
            failures = _count(failures, predictions)
            if manner.on_progress is not None:
                finished = done + len(batch)
                what = plan.benchmark.name
                manner.on_progress(Progress(what, finished, len(left), time.monotonic() - start))
    return len(left)


def _name(opened: Opened, place: int) -> str:
    """A sample's id; one that cannot even be made is called by its place."""
    try:
        return opened.samples[place].id
    except UniPixelError:
        return f"#{place}"


def _count(failures: int, predictions: Sequence[Prediction]) -> int:
    """Failures in a row; ConfigError for too many."""
    for prediction in predictions:
        failures = failures + 1 if prediction.status == "failed" else 0
        if failures >= MOST_FAILURES:
            raise ConfigError(
                f"{failures} samples in a row could not be asked, the last one {prediction.sample}: "
                f"{prediction.reason}. Mend that, then go on with --retry-failed."
            )
    return failures


def ask_batch(
    plan: Plan, opened: Opened, predictor: Predictor, batch: Sequence[tuple[int, str]]
) -> list[Prediction]:
    """Predictions for some samples (place, id), asked together; what fails alone fails alone."""
    results: dict[int, Prediction] = {}
    steps: dict[int, Step] = {}
    names = dict(batch)
    for place, name in batch:
        begun = _begin(plan, opened, place, predictor, name)
        if isinstance(begun, Step):
            steps[place] = begun
        else:
            results[place] = begun
    while steps:
        following: dict[int, Step] = {}
        for place, outcome in _answers(predictor, steps):
            after = _then(steps[place], outcome, names[place])
            if isinstance(after, Step):
                following[place] = after
            else:
                results[place] = after
        steps = following
    return [results[place] for place, _ in batch]


def _begin(plan: Plan, opened: Opened, place: int, predictor: Predictor, name: str) -> Step | Prediction:
    try:
        begun = plan.benchmark.ask(opened.samples[place], plan.setting)
        return begun.hold(predictor.session(begun.clip)) if isinstance(begun, Talk) else begun
    except SAMPLE_ERRORS as error:
        return failed(name, error)


def _then(step: Step, outcome: Response | Exception, name: str) -> Step | Prediction:
    if isinstance(outcome, Exception):
        return failed(name, outcome)
    try:
        return step.then(outcome)
    except SAMPLE_ERRORS as error:
        return failed(name, error)


def _answers(predictor: Answers, steps: dict[int, Step]) -> Iterator[tuple[int, Response | Exception]]:
    """Answers of a batch; if it fails as a whole, one by one."""
    places = list(steps)
    try:
        yield from zip(places, predictor.answer([steps[place].request for place in places]), strict=True)
        return
    except SAMPLE_ERRORS as error:
        if len(places) == 1:
            yield places[0], error
            return
    for place in places:
        yield from _answers(predictor, {place: steps[place]})


def failed(sample: str, error: Exception) -> Prediction:
    """A sample that could not be asked, and why."""
    return Prediction(sample, "failed", reason=f"{type(error).__name__}: {error}"[:500])
