"""From names on a command line to results in folders: what is asked where, and what is scored from it.

Below the folder of a run, every benchmark has a folder of its own, and every protocol that asks differently
another one, `BENCHMARK@PROTOCOL`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unipixel.data.sample import Sample
from unipixel.errors import ConfigError
from unipixel.evaluation import judge_client
from unipixel.evaluation.benchmark import PUBLISHED, Benchmark, Protocol, Setting
from unipixel.evaluation.benchmarks import find_benchmarks, find_protocol
from unipixel.evaluation.foreign import PictureFolders
from unipixel.evaluation.page import Look, write_page
from unipixel.evaluation.predictions import Prediction, Predictions
from unipixel.evaluation.provenance import Manifest, read_manifest
from unipixel.evaluation.results import Scored, save
from unipixel.evaluation.runner import Plan
from unipixel.evaluation.scoring import HowToScore, Items, Source, score
from unipixel.evaluation.submission import Archive, write_archive

ALL = "all"
PAGE, ARCHIVE = "report.html", "submission.zip"


@dataclass(frozen=True)
class Work:
    """A plan, and the protocols under which its predictions are scored (none where only a server can)."""

    plan: Plan
    protocols: tuple[Protocol, ...]


def plan_work(
    rows: Sequence[Benchmark],
    protocol: str,
    root: Path,
    folder: Path,
    setting: Setting | None = None,
    limit: int | None = None,
) -> list[Work]:
    """What has to be done for some rows.

    Args:
        rows: the benchmarks.
        protocol: the name of one, or "all"; rows without it are left out where others have it.
        root: the `data` folder.
        folder: of the run.
        setting: words and seed.
        limit: of samples.

    Raises:
        ConfigError: no row has such a protocol.
    """
    found: list[Work] = []
    for row in rows:
        wanted = [one for one in row.protocols if protocol in (one.name, ALL)]
        together = tuple(one for one in wanted if not one.asks_apart)
        plan = Plan(row, root, folder / row.name, PUBLISHED, setting or Setting(), limit)
        if together or (not row.protocols and protocol in (PUBLISHED, ALL)):
            found.append(Work(plan, together))
        for one in wanted:
            if one.asks_apart:
                apart = replace(plan, folder=folder / f"{row.name}@{one.name}", protocol=one.name)
                found.append(Work(apart, (one,)))
    if not found:
        for row in rows[:1]:
            find_protocol(row, protocol)
    return found


def stored_work(folder: Path, root: Path | None, protocol: str = ALL) -> list[Work]:
    """The work whose predictions lie in a folder, or in the folders inside it; [] if there are none.

    root: the `data` folder, if it is another one than when predictions were made.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        inside = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        return [work for path in inside if read_manifest(path) for work in stored_work(path, root, protocol)]
    row = find_benchmarks([manifest.settings.benchmark])[0]
    _, _, apart = folder.name.partition("@")
    asked = apart if apart in {one.name for one in row.protocols if one.asks_apart} else PUBLISHED
    plan = Plan(row, root or Path(manifest.root), folder, asked, limit=manifest.settings.limit)
    scored = tuple(
        one
        for one in row.protocols
        if protocol in (ALL, one.name) and (one.name if one.asks_apart else PUBLISHED) == asked
    )
    return [Work(plan, scored)]


def is_complete(work: Work) -> bool:
    """Whether every sample of the plan has a prediction."""
    known = Predictions.open(work.plan.folder)
    return all(sample.id in known for sample in work.plan.usable_samples())


def descriptions(work: Work) -> list[tuple[Sample, Prediction]]:
    """What a judge has to read."""
    known = Predictions.open(work.plan.folder)
    return [(sample, known.read(sample.id)) for sample in work.plan.usable_samples() if sample.id in known]


@dataclass(frozen=True)
class _Stored:
    """Predictions that can be scored, and where their results go (None keeps nothing)."""

    plan: Plan
    source: Source
    samples: tuple[Sample, ...]
    output: Path | None
    manifest: Manifest | None = None

    def score(self, protocols: Sequence[Protocol], how: HowToScore | None, look: Look | None) -> Scored:
        """Score under all protocols; write results and page."""
        plan, known = self.plan, len(self.source.problems)
        results = []
        for protocol in protocols:
            opened = plan.open(protocol)
            items = Items(opened, plan.chosen(opened), plan.limit)
            results.append(score(plan.benchmark.name, protocol, items, self.source, how))
            del self.source.problems[known:]  # what reading found is the result's own, and is found again
        scored = Scored(plan.benchmark, tuple(results), self.manifest)
        if self.output is not None and results:
            save(scored, self.output)
            write_page(scored, self.samples, self.source, self.output / PAGE, look)
        return scored


def score_work(
    work: Work, how: HowToScore | None = None, *, judge: str | None = None, look: Look | None = None
) -> Scored:
    """Score stored predictions under all protocols of the work; write results and page beside them.

    judge: which judge's replies count, the only one if None.
    """
    plan, protocols = work.plan, work.protocols
    samples = plan.usable_samples()
    source: Source = Predictions.open(plan.folder)
    if plan.benchmark.judged:
        joined = judge_client.WithVerdicts.open(source, samples, plan.folder, judge)
        about = f"judge: {joined.judge or 'none yet'}"
        protocols = tuple(replace(one, about=f"{one.about}; {about}") for one in protocols)
        source = joined
    stored = _Stored(plan, source, samples, plan.folder, read_manifest(plan.folder))
    return stored.score(protocols, how, look)


def score_pictures(
    row: Benchmark,
    folder: Path,
    root: Path,
    output: Path | None = None,
    how: HowToScore | None = None,
    protocol: str = ALL,
) -> Scored:
    """Score another system's `{video}/{expression}/{frame}.png` under all protocols that ask alike.

    output: where results and page go; None keeps nothing.

    Raises:
        ConfigError: the benchmark's answers are no masks.
    """
    if not row.has_masks or not row.data.needs_root:
        raise ConfigError(f"{row.name} cannot be scored from folders of pictures.")
    plan = Plan(row, root, folder)
    samples = plan.usable_samples()
    chosen = [one for one in row.protocols if not one.asks_apart and protocol in (ALL, one.name)]
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    return _Stored(plan, PictureFolders.open(folder, samples), samples, output).score(chosen, how, None)


def make_archive(work: Work, output: Path | None = None) -> Archive:
    """The archive for a benchmark's server, beside the predictions or at `output`.

    Raises:
        ConfigError: only a part of the samples was asked.
    """
    plan = work.plan
    if plan.limit is not None:
        raise ConfigError(
            f"{plan.benchmark.name} was asked with --limit {plan.limit}; its server takes all samples."
        )
    source = Predictions.open(plan.folder)
    file = output or plan.folder / ARCHIVE
    return write_archive(plan.benchmark.server, plan.samples(), source, file, plan.root)


def archive_pictures(row: Benchmark, folder: Path, root: Path, output: Path) -> Archive:
    """The archive of another system's pictures."""
    samples = Plan(row, root, folder).samples()
    return write_archive(row.server, samples, PictureFolders.open(folder, samples), output, root)
