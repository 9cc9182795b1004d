"""Two systems on the same questions: paired differences, with intervals clustered by video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unipixel.errors import ConfigError
from unipixel.evaluation import results
from unipixel.evaluation.benchmark import Case, Metric
from unipixel.evaluation.benchmarks import find_benchmarks, find_protocol
from unipixel.evaluation.metrics.intervals import Bootstrap, Interval, Numbers, bootstrap_score


@dataclass(frozen=True)
class Difference:
    """One metric of both systems; `change` is the second minus the first, in the metric's own units."""

    metric: str
    first: float
    second: float
    change: Interval


@dataclass(frozen=True)
class Comparison:
    """A benchmark under one protocol: differences over the questions that both systems have.

    only_first, only_second: questions that the other one does not have, which are left out.
    """

    benchmark: str
    protocol: str
    count: int
    clips: int
    differences: tuple[Difference, ...]
    only_first: tuple[str, ...] = ()
    only_second: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether both systems have the same questions."""
        return not self.only_first and not self.only_second


def compare_folders(first: Path, second: Path, how: Bootstrap | None = None) -> list[Comparison]:
    """Compare all results of two folders: of one benchmark each, or of several in folders of equal names.

    Raises:
        ConfigError: a folder has no results, or the two have none in common.
    """
    pairs = _pairs(first, second)
    found: list[Comparison] = []
    for one, other in pairs:
        documents = results.load_document(one), results.load_document(other)
        names = [document["benchmark"] for document in documents]
        if names[0] != names[1]:
            raise ConfigError(f"{one} is of {names[0]} and {other} of {names[1]}; compare one benchmark.")
        protocols = [[entry["protocol"] for entry in document["protocols"]] for document in documents]
        for protocol in [name for name in protocols[0] if name in protocols[1]]:
            cases = results.load_cases(one, protocol), results.load_cases(other, protocol)
            found.append(compare(names[0], protocol, *cases, how))
    if not found:
        raise ConfigError(f"{first} and {second} have no benchmark and protocol in common.")
    return found


def _pairs(first: Path, second: Path) -> list[tuple[Path, Path]]:
    if (first / results.FILE).is_file() and (second / results.FILE).is_file():
        return [(first, second)]
    names = [_results_in(folder) for folder in (first, second)]
    return [(first / name, second / name) for name in names[0] if name in names[1]]


def _results_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; give one that `unipixel eval` wrote.")
    return sorted(path.parent.name for path in folder.glob(f"*/{results.FILE}"))


def compare(
    benchmark: str,
    protocol: str,
    first: Sequence[Case],
    second: Sequence[Case],
    how: Bootstrap | None = None,
) -> Comparison:
    """Compare the cases of two systems, question by question."""
    metrics = find_protocol(find_benchmarks([benchmark])[0], protocol).metrics
    ours, theirs = _keyed(first), _keyed(second)
    common = [key for key in ours if key in theirs]
    if not common:
        raise ConfigError(f"{benchmark}, {protocol}: the two systems have no question in common.")
    paired = [ours[key] for key in common], [theirs[key] for key in common]
    found = [_difference(metric, *paired, how) for metric in metrics]
    return Comparison(
        benchmark,
        protocol,
        len(common),
        len({case.clip for case in paired[0]}),
        tuple(difference for difference in found if difference is not None),
        tuple(sorted({key[0] for key in ours if key not in theirs})),
        tuple(sorted({key[0] for key in theirs if key not in ours})),
    )


def _keyed(cases: Sequence[Case]) -> dict[tuple[str, str, int], Case]:
    """Cases by sample, kind, and a count where a sample has several of a kind."""
    keyed: dict[tuple[str, str, int], Case] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for case in cases:
        keyed[case.sample, case.kind, seen[case.sample, case.kind]] = case
        seen[case.sample, case.kind] += 1
    return keyed


def _difference(
    metric: Metric, first: Sequence[Case], second: Sequence[Case], how: Bootstrap | None
) -> Difference | None:
    scores = metric.score(first, Bootstrap(draws=100)), metric.score(second, Bootstrap(draws=100))
    if scores[0] is None or scores[1] is None:
        return None
    columns = [column for cases in (first, second) for part in metric.parts for column in part.columns(cases)]
    half = len(columns) // 2
    if any(column.sum() == 0 for column in columns[1::2]):
        return None

    def change(sums: Numbers) -> Numbers:
        return np.asarray(metric.combine(sums[half:]) - metric.combine(sums[:half]), np.float64)

    groups = [case.clip for case in first]
    interval = bootstrap_score(columns, change, groups, how)
    return Difference(metric.name, scores[0].value, scores[1].value, interval)


# Showing


def as_text(comparisons: Sequence[Comparison], first: str, second: str) -> str:
    """A table for the screen; a star where the interval does not hold 0."""
    lines = [f"A = {first}", f"B = {second}", ""]
    lines.append(f"{'benchmark (protocol)':<34}{'metric':<28}{'A':>9}{'B':>9}{'B - A':>9}   95 % interval")
    for one in comparisons:
        for place, row in enumerate(one.differences):
            name = "" if place else f"{one.benchmark} ({one.protocol})"
            bounds = (
                f"[{row.change.low:+.2f}, {row.change.high:+.2f}]{' *' if row.change.excludes_zero else ''}"
            )
            numbers = f"{row.first:>9.2f}{row.second:>9.2f}{row.change.value:>+9.2f}"
            lines.append(f"{name:<34}{row.metric:<28}{numbers}   {bounds}")
        lines.append(f"{'':<34}{one.count} questions in {one.clips} clips{_missing(one)}")
    lines.append("* the interval (drawn by clip) does not hold 0")
    return "\n".join(lines)


def _missing(one: Comparison) -> str:
    parts = [("A", one.only_first), ("B", one.only_second)]
    texts = [f"{len(names)} only in {who}: {', '.join(names[:3])}" for who, names in parts if names]
    return f"; left out, {'; '.join(texts)}" if texts else ""


def as_latex(comparisons: Sequence[Comparison], first: str, second: str) -> str:
    """The same as a LaTeX tabular (plain LaTeX, no package)."""
    lines = [
        r"\begin{tabular}{llrrrl}",
        r"\hline",
        rf"Benchmark & Metric & {_tex(first)} & {_tex(second)} & $\Delta$ & 95\,\% interval \\",
        r"\hline",
    ]
    for one in comparisons:
        for place, row in enumerate(one.differences):
            name = "" if place else _tex(f"{one.benchmark} ({one.protocol})")
            star = "$^*$" if row.change.excludes_zero else ""
            change = f"${row.change.value:+.2f}${star} & $[{row.change.low:+.2f}, {row.change.high:+.2f}]$"
            lines.append(rf"{name} & {_tex(row.metric)} & {row.first:.2f} & {row.second:.2f} & {change} \\")
        lines.append(r"\hline")
    return "\n".join([*lines, r"\end{tabular}"])


def _tex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(letter, rf"\{letter}" if letter in "_&%$#{}" else letter) for letter in text)
