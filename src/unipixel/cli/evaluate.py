"""`unipixel eval`, `score`, `judge` and `compare`: benchmarks from samples to numbers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unipixel.cli.mask_choices import (
    LanguageFrames,
    LanguageFramesName,
    PropagateWith,
    Split,
    Start,
    StartName,
    mask_options,
)
from unipixel.cli.opening import Compiled, DeviceName, DtypeName, LanguageForm, Opening, TrustCode
from unipixel.cli.terminal import introduce, manners, note

if TYPE_CHECKING:
    from unipixel.core.progress import Progress
    from unipixel.evaluation.judge_client import Judge
    from unipixel.evaluation.provenance import Model
    from unipixel.evaluation.results import Scored
    from unipixel.evaluation.runner import Manner
    from unipixel.evaluation.scoring import HowToScore
    from unipixel.evaluation.submission import Archive
    from unipixel.evaluation.work import Work
    from unipixel.predictor import Predictor

WRONG = 1
"""Exit code where a number cannot be trusted: something is missing, wrong or failed."""
EVERY = 5.0
"""Seconds between two notes on how far it is."""

Root = Annotated[
    Path | None,
    typer.Option("--data", metavar="ROOT", envvar="UNIPIXEL_DATA", help="The folder of all data sets."),
]
ProtocolName = Annotated[str, typer.Option(help="`published`, another one, or `all` side by side.")]
Processes = Annotated[int, typer.Option(help="How many processes score.")]
JudgeName = Annotated[
    str | None, typer.Option("--judge-model", help="Name of the judge of VideoRefer-Bench-D.")
]


def evaluate(
    names: Annotated[
        list[str], typer.Argument(metavar="BENCHMARK...", help="Names or groups; `all`; `list` shows them.")
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", help="A bundled name, a folder or a hub id.")
    ] = "unipixel-tiny",
    data: Root = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where results go.")] = Path(
        "evaluation"
    ),
    limit: Annotated[
        int | None, typer.Option(help="Ask only so many samples of each, spread evenly: a trial.")
    ] = None,
    protocol: ProtocolName = "published",
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Ask every N-th sample from the I-th on (from 0).")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON with templates that replace ours.")
    ] = None,
    batch: Annotated[int, typer.Option(help="How many samples are asked together.")] = 1,
    seed: Annotated[int, typer.Option(help="Of what is drawn (PixelQA mix).")] = 0,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Ask failed samples again.")] = False,
    processes: Processes = 1,
    device: DeviceName = "auto",
    dtype: DtypeName = "auto",
    trust_code: TrustCode = False,
    language: LanguageForm = "full",
    compiled: Compiled = False,
    start: StartName = Start.FIRST,
    propagate_with: PropagateWith = None,
    language_frames: LanguageFramesName = LanguageFrames.UNIFORM,
    split: Split = False,
) -> None:
    """Run benchmarks: ask, store, score and report. Exit code 1 if a number cannot be trusted."""
    with manners():
        if names == ["list"]:
            typer.echo(_list())
            return
        from unipixel.data.wording import Wording
        from unipixel.evaluation.benchmark import Setting
        from unipixel.evaluation.benchmarks import find_benchmarks
        from unipixel.evaluation.predictions import Shard
        from unipixel.evaluation.runner import Manner
        from unipixel.evaluation.work import plan_work

        rows = find_benchmarks(names)
        setting = Setting(Wording.open(prompts) if prompts else Wording.default(), seed)
        root = _root(data, any(row.data.needs_root for row in rows))
        works = plan_work(rows, protocol, root, output, setting, limit)
        part = Shard.parse(shard) if shard else Shard.here()
        manner = Manner(part, batch, retry_failed, _note_progress())
        masks = mask_options(start, propagate_with, language_frames, split)
        opening = Opening(_device(device), dtype, trust_code, language, compiled, masks)
        run = _Run(*_open(model, opening), manner, _how(processes), _judge_or_none())
        raise typer.Exit(run.work_off(works))


def score(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Stored predictions, or VIDEO/EXPRESSION/FRAME.png.")
    ],
    data: Root = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Which benchmark pictures of another system are of.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Results for such pictures.")
    ] = None,
    protocol: ProtocolName = "all",
    judge_model: JudgeName = None,
    processes: Processes = 1,
) -> None:
    """Score predictions without a model. Exit code 1 if anything is missing or wrong."""
    with manners():
        from unipixel.evaluation.work import stored_work

        if benchmark is not None:
            root = _root(data, True)
            raise typer.Exit(_score_pictures(benchmark, folder, root, output, protocol, _how(processes)))
        works = stored_work(folder, data, protocol)
        if not works:
            from unipixel.errors import ConfigError

            raise ConfigError(
                f"{folder} holds no predictions of ours; for pictures of another system say which benchmark "
                "they are of (--benchmark NAME --data ROOT)"
            )
        scored: list[Scored] = []
        archives: list[Archive] = []
        for work in works:
            _finish(work, _how(processes), judge_model, scored, archives)
        raise typer.Exit(_show(scored, archives))


def judge(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Stored descriptions.")],
    data: Root = None,
    url: Annotated[str | None, typer.Option(help="An OpenAI-compatible endpoint, up to /v1.")] = None,
    judge_model: JudgeName = None,
    rubric: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What the judge is told, in place of ours.")
    ] = None,
    price: Annotated[str, typer.Option(metavar="READ,WRITTEN", help="Per million tokens.")] = "0,0",
    most: Annotated[float | None, typer.Option(help="Send nothing if it would cost more.")] = None,
    per_minute: Annotated[float | None, typer.Option(help="Ask at most so often a minute.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would take.")] = False,
) -> None:
    """Have descriptions judged, then score them. The key comes from UNIPIXEL_JUDGE_KEY or OPENAI_API_KEY."""
    with manners():
        from unipixel.errors import ConfigError
        from unipixel.evaluation.judge_client import Judge, Price, check_cost, estimate, judge_all
        from unipixel.evaluation.work import descriptions, stored_work

        where = url or ("http://localhost" if dry_run else None)
        asked = Judge.from_environment(where, judge_model, rubric, per_minute=per_minute)
        cost = Price.parse(price)
        works = [work for work in stored_work(folder, data) if work.plan.benchmark.judged]
        if not works:
            raise ConfigError(f"{folder} holds no descriptions; run `unipixel eval videorefer_d` first")
        scored: list[Scored] = []
        for work in works:
            pairs, name = descriptions(work), work.plan.benchmark.name
            needed = estimate(asked, pairs, work.plan.folder)
            tokens = f"about {needed.read} tokens to read and {needed.written} to write"
            note(f"{name}: {needed.questions} to judge by {asked.model} ({needed.known} known), {tokens}")
            if any((cost.read, cost.written)):
                note(f"{name}: about {needed.cost(cost):.2f} at {price} per million tokens")
            check_cost(needed, cost, most)
            if not dry_run:
                judge_all(asked, pairs, work.plan.folder, on_progress=_note_progress())
                _finish(work, _how(1), asked.model, scored, [])
        raise typer.Exit(0 if dry_run else _show(scored, []))


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Results of one system.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Results of the other.")],
    latex: Annotated[bool, typer.Option("--latex", help="As a LaTeX tabular.")] = False,
) -> None:
    """Compare two systems question by question; exit code 1 if they were not asked the same ones."""
    with manners():
        from unipixel.evaluation.compare import as_latex, as_text, compare_folders

        found = compare_folders(first, second)
        typer.echo((as_latex if latex else as_text)(found, str(first), str(second)))
        raise typer.Exit(0 if all(one.is_complete for one in found) else WRONG)


# Running


@dataclass(frozen=True)
class _Run:
    """What all benchmarks of one command share."""

    predictor: Predictor
    model: Model
    manner: Manner
    how: HowToScore
    judge: Judge | None

    def work_off(self, works: Sequence[Work]) -> int:
        """Ask, judge and score; the exit code. A data set that is not there stops only its own benchmark."""
        from unipixel.errors import DataError

        scored: list[Scored] = []
        archives: list[Archive] = []
        skipped = 0
        for work in works:
            try:
                self._one(work, scored, archives)
            except DataError as error:
                if len(works) == 1:
                    raise
                note(f"error: {work.plan.benchmark.name}: {error}")
                skipped += 1
        code = _show(scored, archives)
        return WRONG if skipped else code

    def _one(self, work: Work, scored: list[Scored], archives: list[Archive]) -> None:
        from unipixel.evaluation.judge_client import judge_all
        from unipixel.evaluation.runner import run
        from unipixel.evaluation.work import descriptions, is_complete

        run(work.plan, self.predictor, self.model, self.manner)
        if self.manner.shard.total > 1 and not is_complete(work):
            shard = f"{self.manner.shard.number}/{self.manner.shard.total}"
            note(f"{work.plan.benchmark.name}: shard {shard} is done; the last one to end scores them all")
            return
        if work.plan.benchmark.judged and self.judge is not None:
            judge_all(self.judge, descriptions(work), work.plan.folder, on_progress=_note_progress())
        name = self.judge.model if self.judge is not None else None
        _finish(work, self.how, name, scored, archives)


def _finish(
    work: Work, how: HowToScore, judge_name: str | None, scored: list[Scored], archives: list[Archive]
) -> None:
    """Score what is stored, or make the archive for the server."""
    from unipixel.evaluation.work import make_archive, score_work

    scored.append(score_work(work, how, judge=judge_name))
    if not work.plan.benchmark.server:
        return
    if work.plan.limit is None:
        archives.append(make_archive(work))
    else:
        note(f"{work.plan.benchmark.name}: no archive of a trial; its server takes all samples")


def _score_pictures(
    name: str, folder: Path, root: Path, output: Path | None, protocol: str, how: HowToScore
) -> int:
    from unipixel.errors import ConfigError
    from unipixel.evaluation.benchmarks import find_benchmarks
    from unipixel.evaluation.work import ARCHIVE, archive_pictures, score_pictures

    rows = find_benchmarks([name])
    if len(rows) != 1:
        raise ConfigError(f"{name} is several benchmarks: {', '.join(row.name for row in rows)}; name one")
    scored = score_pictures(rows[0], folder, root, output, how, protocol)
    archives = []
    if rows[0].server:
        archives.append(archive_pictures(rows[0], folder, root, (output or Path()) / ARCHIVE))
    return _show([scored], archives)


def _show(scored: Sequence[Scored], archives: Iterable[Archive]) -> int:
    """Print tables and archives; the exit code."""
    from unipixel.evaluation.report import table

    if scored:
        typer.echo(table(scored))
    sound = all(one.is_sound for one in scored)
    for archive in archives:
        for line in (*archive.notes, *map(str, archive.problems[:10])):
            typer.echo(f"{archive.file}: {line}")
        counts = f"{archive.videos} videos, {archive.expressions} expressions, {archive.frames} frames"
        typer.echo(f"{archive.file}: {'written and checked' if archive.written else 'not written'}; {counts}")
        sound = sound and archive.written
    return 0 if sound else WRONG


def _open(name: str, opening: Opening) -> tuple[Predictor, Model]:
    """The model, and what names it in manifests."""
    from unipixel.evaluation.provenance import Model, fingerprint
    from unipixel.hub import find_checkpoint

    folder = find_checkpoint(name)
    opened = opening.open(folder)
    introduce(opened, name)
    files = [path for path in folder.iterdir() if path.suffix in (".json", ".safetensors")]
    kind = str(opened.dtype).removeprefix("torch.")
    kind += "" if opening.language == "full" else f", language model {opening.language}"
    kind += f", {opening.masks}" if str(opening.masks) else ""
    return opened, Model(name, fingerprint(files), kind, str(opened.device))


def _device(device: str) -> str:
    """Under torchrun every process takes a GPU of its own, if there are any."""
    import torch

    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{local}" if device == "auto" and local and torch.cuda.is_available() else device


def _judge_or_none() -> Judge | None:
    """The judge that the environment names."""
    from unipixel.evaluation.judge_client import URL_VARIABLE, Judge

    return Judge.from_environment() if os.environ.get(URL_VARIABLE) else None


def _root(data: Path | None, needed: bool) -> Path:
    from unipixel.errors import ConfigError

    if data is None and needed:
        raise ConfigError("say where the data sets are: --data ROOT (the folder that holds mevis, lisa, ...)")
    return data or Path()


def _how(processes: int) -> HowToScore:
    from unipixel.evaluation.scoring import HowToScore

    return HowToScore(processes=processes, on_progress=_note_progress())


def _note_progress() -> Callable[[Progress], None]:
    """Notes on stderr, not too many."""
    last = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            note(str(progress))

    return tell


def _list() -> str:
    from unipixel.evaluation.benchmarks import BENCHMARKS

    rows = [("name", "group", "title", "protocols")]
    for row in BENCHMARKS:
        protocols = ", ".join(one.name for one in row.protocols) or "scored by its server"
        rows.append((row.name, row.group, row.title, protocols))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
