"""Stored predictions to results: without a model, and as often as wanted."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol as Interface

from unipixel.core.progress import OnProgress, watched
from unipixel.errors import UniPixelError
from unipixel.evaluation.benchmark import Case, Metric, Opened, Pair, Part, Protocol, clip_of
from unipixel.evaluation.metrics.intervals import Bootstrap, Interval
from unipixel.evaluation.predictions import Prediction, Problem

MISSING = "no prediction"


class Source(Interface):
    """Where predictions come from: our files, or another system's folders of pictures."""

    @property
    def problems(self) -> list[Problem]: ...
    def __contains__(self, sample: object) -> bool: ...
    def read(self, sample: str) -> Prediction: ...


@dataclass(frozen=True)
class Items:
    """The samples of a protocol's data that are scored, by place; `limit` is that of the run."""

    opened: Opened
    places: Sequence[int]
    limit: int | None = None


@dataclass(frozen=True)
class Score:
    """One metric: over all cases, and over those that were answered; None where there is nothing to score.
    `decimals` is how many are worth showing."""

    name: str
    all: Interval | None
    answered: Interval | None
    main: bool = True
    decimals: int = 2


@dataclass(frozen=True)
class Result:
    """A benchmark scored under one protocol.

    Attributes:
        benchmark: name of the row.
        protocol: name of the protocol.
        about: what it does.
        unscored: what a sample without an answer counts as.
        scores: in the protocol's order.
        by_kind: the same for each type of question, where there are several.
        cases: everything that was scored.
        statuses: how many samples were answered, unanswered, failed, missing.
        total: how many samples were to be asked.
        limit: of the run; with one it is no reproduction.
        problems: all that is wrong with the predictions.
    """

    benchmark: str
    protocol: str
    about: str
    unscored: str
    scores: tuple[Score, ...]
    by_kind: Mapping[str, tuple[Score, ...]]
    cases: tuple[Case, ...]
    statuses: Mapping[str, int]
    total: int
    limit: int | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong with the predictions, and no sample failed or is missing."""
        return not self.problems and not self.statuses.get("failed") and not self.statuses.get("missing")

    def score(self, name: str) -> Score | None:
        """The score of a metric, None for an unknown one."""
        return next((score for score in self.scores if score.name == name), None)


@dataclass(frozen=True)
class HowToScore:
    """How intervals are drawn, and on how many processes cases are made; None of these changes a score."""

    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    processes: int = 1
    on_progress: OnProgress | None = None


def score(
    name: str, protocol: Protocol, items: Items, source: Source, how: HowToScore | None = None
) -> Result:
    """Score the predictions of some samples of the benchmark `name`.

    What is wrong with a prediction (missing, of another size, without some frames, ...) is listed, and counts
    as the protocol says of samples without an answer; it never stops the scoring of the others.
    """
    how = how or HowToScore()
    problems: list[Problem] = []
    pairs = _pairs(items, source, problems)
    problems = [*source.problems, *problems]  # some are only found when predictions are read
    cases = _cases(protocol, pairs, how, problems)
    problems += [problem for case in cases for problem in case.problems]
    kinds = sorted({case.kind for case in cases} - {""})
    groups = {kind: [case for case in cases if case.kind == kind] for kind in kinds}
    plain = _plain(protocol.metrics)
    return Result(
        benchmark=name,
        protocol=protocol.name,
        about=protocol.about,
        unscored=protocol.unscored,
        scores=_scores(protocol.metrics, cases, how.bootstrap),
        by_kind={kind: _scores(plain, group, how.bootstrap) for kind, group in groups.items()},
        cases=tuple(cases),
        statuses=dict(Counter(prediction.status for _, prediction in pairs)),
        total=len(items.places),
        limit=items.limit,
        problems=tuple(problems),
    )


def _pairs(items: Items, source: Source, problems: list[Problem]) -> list[Pair]:
    """Every sample with its prediction, by the convention "missing" where there is none."""
    pairs: list[Pair] = []
    for place in items.places:
        try:
            sample = items.opened.samples[place]
        except UniPixelError as error:
            problems.append(Problem("broken sample", f"#{place}", str(error)))
            continue
        if sample.id in source:
            pairs.append((sample, source.read(sample.id)))
        else:
            problems.append(Problem("missing prediction", sample.id, "nothing was predicted for it"))
            pairs.append((sample, Prediction(sample.id, "missing", reason=MISSING)))
    return pairs


def _cases(protocol: Protocol, pairs: Sequence[Pair], how: HowToScore, problems: list[Problem]) -> list[Case]:
    """Cases of all samples, in their order."""
    units = list(protocol.units(pairs))
    found: list[Case] = []
    outcomes = _mapped(_Attempt(protocol.cases), units, how.processes)
    for cases, error, unit in watched(outcomes, "scoring", len(units), how.on_progress):
        found += cases
        if error:
            problems.append(Problem("not scored", unit, error))
    return found


@dataclass(frozen=True)
class _Attempt:
    """Cases of a unit, or why there are none; may be sent to other processes."""

    cases: Callable[[Sequence[Pair]], list[Case]]

    def __call__(self, unit: Sequence[Pair]) -> tuple[list[Case], str, str]:
        first = unit[0][0]
        where = first.id if len(unit) == 1 else clip_of(first)
        try:
            return self.cases(unit), "", where
        except UniPixelError as error:
            return [], str(error), where


def _mapped(
    attempt: _Attempt, units: Sequence[Sequence[Pair]], processes: int
) -> Iterator[tuple[list[Case], str, str]]:
    if processes == 1 or len(units) < 2:
        yield from map(attempt, units)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        yield from pool.map(attempt, units, chunksize=max(1, min(16, len(units) // (4 * processes))))


def _scores(metrics: Sequence[Metric], cases: Sequence[Case], how: Bootstrap) -> tuple[Score, ...]:
    answered = [case for case in cases if case.status == "answered"]
    found = []
    for metric in metrics:
        everything = metric.score(cases, how)
        only = everything if len(answered) == len(cases) else metric.score(answered, how)
        decimals = 2 if metric.scale > 1 else 3
        found.append(Score(metric.name, everything, only, metric.main, decimals))
    return tuple(found)


def _plain(metrics: Sequence[Metric]) -> list[Metric]:
    """Metrics for one type of question: means over types become plain means, each once."""
    plain: dict[tuple[tuple[str, str], ...], Metric] = {}
    for metric in metrics:
        parts = tuple(dict.fromkeys((part.top, part.below) for part in metric.parts))
        name = metric.name if not metric.parts[0].kinds else parts[0][0]
        plain[parts] = replace(metric, name=name, parts=tuple(Part(*part) for part in parts))
    return list(plain.values())
