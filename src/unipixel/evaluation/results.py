"""Results on disk: `results.json` for people and programs, `cases.PROTOCOL.jsonl` for comparisons."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unipixel.core.writing import replacing
from unipixel.data.wording import Wording
from unipixel.errors import ConfigError
from unipixel.evaluation.benchmark import Benchmark, Case, Figure
from unipixel.evaluation.metrics.intervals import Interval
from unipixel.evaluation.provenance import Manifest
from unipixel.evaluation.scoring import Result, Score

FILE = "results.json"
CASES = "cases.{protocol}.jsonl"
_LISTED = 1000


@dataclass(frozen=True)
class Scored:
    """A benchmark with its results under one or more protocols, and how its predictions were made (None for
    another system's)."""

    benchmark: Benchmark
    results: tuple[Result, ...]
    manifest: Manifest | None = None

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong with the predictions."""
        return all(result.is_sound for result in self.results)

    @property
    def claim(self) -> str:
        """What these results may be called."""
        return claim_of(self.results[0]) if self.results else "not scored here"

    @property
    def wording(self) -> str:
        """Whose words the questions were in."""
        if self.manifest is None:
            return "another system's"
        prompts = self.manifest.settings.prompts
        ours = Wording.default().hash == prompts
        return f"the project's own ({prompts})" if ours else f"a file's ({prompts})"


def claim_of(result: Result) -> str:
    """A run with a limit is a trial and nothing else."""
    if result.limit is not None:
        return f"a trial with {result.total} samples (--limit {result.limit}), no reproduction"
    if not result.is_sound:
        return "incomplete: predictions are missing or wrong"
    return f"complete: all {result.total} samples, protocol {result.protocol}"


def save(scored: Scored, folder: Path) -> None:
    """Write `results.json` and the cases of every protocol."""
    for result in scored.results:
        lines = (json.dumps(_case_entry(case), ensure_ascii=False) for case in result.cases)
        with replacing(folder / CASES.format(protocol=result.protocol)) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with replacing(folder / FILE) as temporary:
        content = json.dumps(document(scored), indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(content + "\n", encoding="utf-8")


def document(scored: Scored) -> dict[str, Any]:
    """Everything but the cases."""
    manifest = scored.manifest
    return {
        "benchmark": scored.benchmark.name,
        "title": scored.benchmark.title,
        "claim": scored.claim,
        "wording": scored.wording,
        "settings": asdict(manifest.settings) if manifest else None,
        "versions": dict(manifest.versions) if manifest else None,
        "protocols": [_result_entry(scored.benchmark, result) for result in scored.results],
    }


def _result_entry(benchmark: Benchmark, result: Result) -> dict[str, Any]:
    unscored = [case for case in result.cases if case.status != "answered"]
    problems = [asdict(problem) for problem in result.problems]
    return {
        "protocol": result.protocol,
        "about": result.about,
        "claim": claim_of(result),
        "samples": result.total,
        "counts": dict(sorted(result.statuses.items())),
        "unscored counts as": result.unscored,
        "scores": [
            _score_entry(score, benchmark.figure(score.name, result.protocol)) for score in result.scores
        ],
        "by kind": {
            kind: [_score_entry(score) for score in scores] for kind, scores in result.by_kind.items()
        },
        "unscored": [
            {"sample": case.sample, "status": case.status, "reason": case.reason}
            for case in unscored[:_LISTED]
        ],
        "num problems": len(problems),
        "problems": problems[:_LISTED],
    }


def _score_entry(score: Score, figure: Figure | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": score.name, **_interval_entry(score.all)}
    if score.answered != score.all:
        entry["answered only"] = _interval_entry(score.answered)
    if figure is not None:
        entry["published"] = {"3B": figure.small, "7B": figure.large}
    return entry


def _interval_entry(interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {"value": None, "low": None, "high": None}
    bounds = (interval.value, interval.low, interval.high)
    value, low, high = (bound if math.isfinite(bound) else None for bound in bounds)
    return {"value": value, "low": low, "high": high}


def _case_entry(case: Case) -> dict[str, Any]:
    entry = {"sample": case.sample, "clip": case.clip, "kind": case.kind, "status": case.status}
    return {**entry, "values": dict(case.values)}


def load_cases(folder: Path, protocol: str) -> list[Case]:
    """The cases of stored results; ConfigError if there are none."""
    file = folder / CASES.format(protocol=protocol)
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
        entries: Sequence[dict[str, Any]] = [json.loads(line) for line in lines if line]
        return [
            Case(
                entry["sample"],
                entry["clip"],
                entry["kind"],
                entry["status"],
                {name: float(value) for name, value in entry["values"].items()},
            )
            for entry in entries
        ]
    except OSError as error:
        raise ConfigError(f"{file} is not there; score that folder first (`unipixel score`).") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} is damaged ({error}); score that folder again.") from error


def load_document(folder: Path) -> dict[str, Any]:
    """`results.json` of a folder; ConfigError if it is missing or damaged."""
    file = folder / FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} is not there; score that folder first (`unipixel score`).") from error
    except ValueError as error:
        raise ConfigError(f"{file} is damaged ({error}); score that folder again.") from error
    if not isinstance(content, dict) or "benchmark" not in content:
        raise ConfigError(f"{file} is no file of results; score that folder again.")
    return content
