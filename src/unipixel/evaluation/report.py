"""Results as a table on the screen: score, count, interval, and the published figures beside it."""

from __future__ import annotations

from collections.abc import Sequence

from unipixel.evaluation.benchmark import PUBLISHED, Benchmark
from unipixel.evaluation.metrics.intervals import Interval
from unipixel.evaluation.results import Scored, claim_of
from unipixel.evaluation.scoring import Result, Score

HEAD = ("benchmark", "protocol", "metric", "score", "95 % interval", "samples", "3B", "7B")
_SHOWN = 10


def table(scored: Sequence[Scored]) -> str:
    """All results, one line for each main metric; what is unscored, claimed and wrong below."""
    rows: list[tuple[str, ...]] = [HEAD]
    notes: list[str] = []
    for one in scored:
        for result in one.results:
            rows += _rows(one.benchmark, result)
            notes += _notes(result)
        if one.results:
            notes.append(f"{one.benchmark.name}: wording of the questions is {one.wording}")
        if not one.results:
            rows.append(
                (
                    one.benchmark.name,
                    "",
                    "",
                    "-",
                    "scored by its server",
                    "",
                    *_published(one.benchmark, "J&F"),
                )
            )
    return "\n".join([*_aligned(rows), *notes])


def _rows(benchmark: Benchmark, result: Result) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for score in result.scores:
        if score.main:
            first = (benchmark.name, result.protocol) if not rows else ("", "")
            count = str(result.total) if not rows else ""
            figures = _published(benchmark, score.name, result.protocol)
            rows.append((*first, score.name, _value(score), _bounds(score), count, *figures))
    return rows


def _published(benchmark: Benchmark, metric: str, protocol: str = PUBLISHED) -> tuple[str, str]:
    figure = benchmark.figure(metric, protocol)
    if figure is None:
        return "", ""
    small, large = (f"{value:g}" if value is not None else "" for value in (figure.small, figure.large))
    return small, large


def _value(score: Score) -> str:
    return shown_value(score.all, score.decimals) or "-"


def _bounds(score: Score) -> str:
    return shown_bounds(score.all, score.decimals)


def shown_value(interval: Interval | None, decimals: int) -> str:
    """A score; nothing where there is none."""
    return "" if interval is None else f"{interval.value:.{decimals}f}"


def shown_bounds(interval: Interval | None, decimals: int) -> str:
    """The bounds of a score."""
    return "" if interval is None else f"{interval.low:.{decimals}f} - {interval.high:.{decimals}f}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    left = {0, 1, 2, 4}
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if column in left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _notes(result: Result) -> list[str]:
    name = f"{result.benchmark} ({result.protocol})"
    lines = [f"{name}: {claim_of(result)}"]
    unscored = {status: count for status, count in result.statuses.items() if status != "answered"}
    if unscored:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(unscored.items()))
        lines.append(f"{name}: {counts} of {result.total}; each counts as {result.unscored}")
        lines += [f"  {_answered_only(score)}" for score in result.scores if score.main and score.answered]
        reasons: dict[str, list[str]] = {}
        for case in result.cases:
            if case.reason:
                reasons.setdefault(case.reason, []).append(case.sample)
        lines += [f"  {_listed(samples)}: {reason}" for reason, samples in list(reasons.items())[:_SHOWN]]
    if result.problems:
        lines.append(f"{name}: {len(result.problems)} problems")
        lines += [f"  {problem}" for problem in result.problems[:_SHOWN]]
        if len(result.problems) > _SHOWN:
            lines.append(f"  and {len(result.problems) - _SHOWN} more in results.json")
    return lines


def _answered_only(score: Score) -> str:
    return f"{score.name} of those that were answered: {shown_value(score.answered, score.decimals)}"


def _listed(samples: Sequence[str]) -> str:
    shown = ", ".join(dict.fromkeys(samples[:3]))
    return shown if len(samples) <= 3 else f"{shown} and {len(samples) - 3} more"
