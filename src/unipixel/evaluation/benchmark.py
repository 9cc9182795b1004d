"""A benchmark is a row: data, how to ask, how to score, published figures.

Everything behind a row is generic. A sample and its prediction make one or more *cases* with named values
(J, F, intersection, ...); a metric is a ratio of sums over cases, or a mean of such ratios, so that scores,
intervals, comparisons and the parts of a report all come from the same cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol as Interface
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from unipixel.core.media import Clip
from unipixel.core.request import Request
from unipixel.core.response import Response
from unipixel.data.sample import Sample
from unipixel.data.wording import Wording
from unipixel.evaluation.clicks import Pointing
from unipixel.evaluation.metrics.intervals import Bootstrap, Interval, bootstrap_score
from unipixel.evaluation.predictions import Prediction, Problem, Status

Numbers: TypeAlias = NDArray[np.float64]

PUBLISHED = "published"
"""The protocol that every benchmark has which is scored here."""


# Asking


class Answers(Interface):
    """What is asked of a model."""

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        """Answer requests as one batch; each answer is the same as alone."""
        ...


class Predictor(Answers, Interface):
    """A model that can also be pointed at things; only the made-up world's clicks need that."""

    def session(self, clip: Clip) -> Pointing:
        """A session about one clip."""
        ...


@dataclass(frozen=True)
class Step:
    """A request, and what to do with its answer: another step, or the prediction."""

    request: Request
    then: Callable[[Response], Step | Prediction]


@dataclass(frozen=True)
class Setting:
    """How all samples of a run are asked: in which words, and the seed of what is drawn."""

    wording: Wording = field(default_factory=Wording.default)
    seed: int = 0


@dataclass(frozen=True)
class Talk:
    """A sample that takes a session: what is pointed at there depends on what comes back."""

    clip: Clip
    hold: Callable[[Pointing], Prediction]


class Ask(Interface):
    """Begins to ask about a sample. Raises DataError or MediaError where its files are damaged, and
    SampleUnusable where it cannot be asked."""

    def __call__(self, sample: Sample, setting: Setting) -> Step | Talk: ...


# Data


class Samples(Interface):
    """Samples by place, the same at every call."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Sample: ...


@dataclass(frozen=True)
class Opened:
    """A benchmark's data, and how it was read."""

    samples: Samples
    choices: Mapping[str, str] = field(default_factory=dict)


class Data(Interface):
    """Opens a benchmark's samples below `root`; `choices` are values for the data set's options.

    `needs_root` is False for data that is made up, to which `root` is a folder to write to.
    """

    @property
    def needs_root(self) -> bool: ...
    def open(self, root: Path, choices: Mapping[str, str]) -> Opened: ...


# Scoring


@dataclass(frozen=True)
class Case:
    """One thing that is scored.

    Attributes:
        sample: id of its sample, with a suffix where a sample makes several cases.
        clip: the clip; cases of one clip are drawn together for intervals.
        kind: which type of question it is; "" where there are none.
        status: whether it was answered; an unscored case has values by the protocol's convention.
        reason: why not.
        values: numbers by name; a name that is missing does not count.
        problems: what is wrong with the prediction.
    """

    sample: str
    clip: str
    kind: str
    status: Status
    values: Mapping[str, float]
    reason: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Part:
    """Sum of value `top` over cases of `kinds` (all if empty), over the sum of value `below`, or their
    number."""

    top: str
    below: str = ""
    kinds: tuple[str, ...] = ()

    def columns(self, cases: Sequence[Case]) -> tuple[Numbers, Numbers]:
        """Numerators and denominators, [cases]; cases without the value have 0 and 0."""
        counts = [self.top in case.values and (not self.kinds or case.kind in self.kinds) for case in cases]
        pairs = list(zip(cases, counts, strict=True))
        tops = [case.values[self.top] if counted else 0.0 for case, counted in pairs]
        belows = [
            (case.values[self.below] if self.below else 1.0) if counted else 0.0 for case, counted in pairs
        ]
        return np.array(tops, np.float64), np.array(belows, np.float64)


@dataclass(frozen=True)
class Metric:
    """Mean of its parts, times `scale`; empty is what a part without any pixels counts.

    `main` metrics are shown on the screen, others only in reports and `results.json`.
    """

    name: str
    parts: tuple[Part, ...]
    scale: float = 100.0
    empty: float | None = None
    main: bool = True

    def score(self, cases: Sequence[Case], how: Bootstrap | None = None) -> Interval | None:
        """The score of cases and its interval, clips drawn together; None where a part has no case."""
        if not cases:
            return None
        columns = [column for part in self.parts for column in part.columns(cases)]
        if self.empty is not None and any(column.sum() == 0 for column in columns[1::2]):
            value = self.scale * self.empty
            return Interval(value, value, value)
        if any(column.sum() == 0 for column in columns[1::2]):
            return None
        return bootstrap_score(columns, self.combine, [case.clip for case in cases], how)

    def combine(self, sums: Numbers) -> Numbers:
        """Sums [2 * parts, draws] to scores [draws]; nan where a denominator is 0."""
        tops, belows = sums[0::2], sums[1::2]
        ratios = np.divide(tops, belows, out=np.full(tops.shape, np.nan), where=belows != 0)
        return np.asarray(self.scale * ratios.mean(axis=0), np.float64)


Pair: TypeAlias = tuple[Sample, Prediction]
Units: TypeAlias = Callable[[Sequence[Pair]], Iterator[Sequence[Pair]]]


def one_by_one(pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
    """Every sample is scored alone."""
    return ([pair] for pair in pairs)


def by_clip(pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
    """All samples of a clip are scored together."""
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(clip_of(pair[0]), []).append(pair)
    return iter(groups.values())


def clip_of(sample: Sample) -> str:
    """The name of the clip that a sample is about."""
    return sample.media.vid if sample.media is not None else sample.id


@dataclass(frozen=True)
class Protocol:
    """A way to score, and where it differs, to ask.

    Attributes:
        name: "published", or what it is called where a benchmark has several.
        about: what it does, in a sentence.
        cases: the cases of samples that are scored together (picklable: it is sent to other processes).
        metrics: in the order in which they are shown.
        unscored: what a sample without an answer counts as.
        options: values for the data set's options.
        asks_apart: whether predictions have to be made for it; otherwise those of "published" are scored.
        units: which samples are scored together.
    """

    name: str
    about: str
    cases: Callable[[Sequence[Pair]], list[Case]]
    metrics: tuple[Metric, ...]
    unscored: str
    options: Mapping[str, str] = field(default_factory=dict)
    asks_apart: bool = False
    units: Units = one_by_one


@dataclass(frozen=True)
class Figure:
    """A published figure of UniPixel 3B and 7B; None where there is none."""

    metric: str
    small: float | None
    large: float | None


@dataclass(frozen=True)
class Benchmark:
    """One row.

    Attributes:
        name: what it is called on the command line.
        group: several rows that are run by one name.
        title: for people.
        data: where the samples come from.
        ask: how they are asked.
        protocols: how they are scored, "published" first; empty where only a server can.
        figures: what the paper's authors publish.
        server: which archive its server takes; "" if none.
        judged: whether a judge has to read the answers before they are scored.
        has_masks: whether answers are masks, which other systems may give as folders of PNGs.
    """

    name: str
    group: str
    title: str
    data: Data
    ask: Ask
    protocols: tuple[Protocol, ...] = ()
    figures: tuple[Figure, ...] = ()
    server: str = ""
    judged: bool = False
    has_masks: bool = True

    def figure(self, metric: str, protocol: str = PUBLISHED) -> Figure | None:
        """The published figure of a metric; second protocols have none."""
        known = self.figures if protocol == PUBLISHED else ()
        return next((figure for figure in known if figure.metric == metric), None)

    def __post_init__(self) -> None:
        assert self.protocols or self.server, f"{self.name} can be scored neither here nor on a server"
        names = [protocol.name for protocol in self.protocols]
        assert names[:1] in ([], [PUBLISHED]) and len(set(names)) == len(names), f"{self.name}: {names}"
