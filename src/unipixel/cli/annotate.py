"""`unipixel annotate`: folders of pictures and hours of video."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum
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
from unipixel.cli.terminal import INTERRUPTED, ProgressLine, introduce, manners, note

if TYPE_CHECKING:
    from unipixel.archive.items import Item
    from unipixel.archive.run import ArchiveProgress, Report, Spread
    from unipixel.archive.settings import ModelName, Output, Settings
    from unipixel.archive.worker import Happened

EVERY = 10.0
"""Seconds between two notes on progress, where stderr is no terminal."""
NOT_ALL = 1
"""Exit code where items failed, or other shards have not finished."""


class Layout(StrEnum):
    """Files whose boxes are followed."""

    COCO = "coco"
    YOLO = "yolo"
    MOT = "mot"


class Format(StrEnum):
    """Of the result."""

    JSONL = "jsonl"
    PARQUET = "parquet"


def annotate(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT…", help="Folders, files, patterns, or manifests (.jsonl, .csv, .parquet)."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where results go.")],
    asks: Annotated[
        list[str] | None, typer.Option("--ask", metavar="TEXT", help="A question about every item.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="More questions, one in each line.")
    ] = None,
    boxes: Annotated[
        Layout | None, typer.Option(help="INPUT is in this layout; each of its boxes is followed.")
    ] = None,
    clips: Annotated[bool, typer.Option("--clips", help="A folder of pictures is one clip.")] = False,
    model: Annotated[
        str, typer.Option("--model", "-m", help="A bundled name, a folder or a hub id.")
    ] = "unipixel-tiny",
    fps: Annotated[
        float | None, typer.Option(help="Look at so many frames a second at most; the rest has no masks.")
    ] = None,
    window: Annotated[int, typer.Option(help="Frames that are worked on together.")] = 64,
    overlap: Annotated[int, typer.Option(help="Frames that two windows share.")] = 16,
    frames: Annotated[
        int | None, typer.Option(help="Frames of a window that the language model sees.")
    ] = None,
    start: StartName = Start.CLEAREST,
    propagate_with: PropagateWith = None,
    language_frames: LanguageFramesName = LanguageFrames.UNIFORM,
    split: Split = False,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 512,
    require_mask: Annotated[
        bool, typer.Option("--require-mask", help="Every answer holds at least one mask.")
    ] = False,
    batch: Annotated[int, typer.Option(help="Questions that are answered together.")] = 8,
    format: Annotated[Format, typer.Option(help="Of the result; Parquet needs unipixel[archive].")] = (
        Format.JSONL
    ),
    overlay: Annotated[bool, typer.Option("--overlay", help="Also draw the masks over the clips.")] = False,
    coco: Annotated[bool, typer.Option("--coco", help="Also write coco.json.")] = False,
    png: Annotated[bool, typer.Option("--png", help="Also write palette PNGs.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps …")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="Of each process, on a CPU.")] = None,
    gpus: Annotated[
        str | None, typer.Option(metavar="all|0,2", help="One worker process for each of these GPUs.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="So many worker processes; on a CPU, or on Ray.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A Ray cluster: its address, `auto`, or `local` to start one."),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only this part of the items, from 0, as in 0/4.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try items again that failed, wholly or in part.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Time a sample, say what all would cost, and stop.")
    ] = False,
) -> None:
    """Annotate pictures and videos, as many as there are. Stopped at any time, the same command goes on."""
    with manners():
        from unipixel.archive.settings import ModelName, Output, Settings
        from unipixel.archive.windows import Cut
        from unipixel.core.request import Decoding

        extras = {name for name, wanted in (("overlay", overlay), ("coco", coco), ("png", png)) if wanted}
        target = Output(output, format.value, frozenset(extras))  # type: ignore[arg-type]
        settings = Settings(
            cut=Cut(window, overlap),
            fps=fps,
            num_frames=frames,
            decoding=Decoding(max_new_tokens=max_new_tokens, require_mask=require_mask),
            masks=mask_options(start, propagate_with, language_frames, split),
            batch=batch,
        )
        _check_spread(gpus, workers, ray)
        items = _items(sources, asks or [], prompts, boxes, clips)
        named = ModelName(model, device, dtype, threads)
        if plan:
            typer.echo(_plan(named, items, settings, _count_workers(gpus, workers)))
            return
        spread = _spread(gpus, workers, ray, device)
        report = _run(named, items, target, settings, spread, shard, retry_failed)
    if report.failed or report.failed_before or not report.complete:
        raise typer.Exit(NOT_ALL)


def _items(
    sources: Sequence[str],
    asks: Sequence[str],
    prompts: Path | None,
    boxes: Layout | None,
    clips: bool,
) -> tuple[Item, ...]:
    """Everything that is to be annotated, found before any model is opened."""
    from unipixel.archive.boxes import import_marked
    from unipixel.archive.inputs import Asked, find_items, read_prompts
    from unipixel.archive.items import check_distinct

    asked = Asked((*asks, *(read_prompts(prompts) if prompts is not None else ())), clips)
    if boxes is None:
        return find_items(sources, asked)
    paths = [Path(source) for source in sources]
    return check_distinct(import_marked(boxes.value, paths, asked.words, note))


def _check_spread(gpus: str | None, workers: int | None, ray: str | None) -> None:
    """ConfigError for options that contradict each other."""
    from unipixel.errors import ConfigError

    if workers is not None and workers < 1:
        raise ConfigError(f"{workers} workers do nothing; give at least 1")
    if gpus is not None and (workers is not None or ray is not None):
        raise ConfigError(
            "--gpus starts a worker for each GPU of this machine; leave out --workers and --ray"
        )


def _spread(gpus: str | None, workers: int | None, ray: str | None, device: str) -> Spread | None:
    """Who does the work; None is this process."""
    if ray is not None:
        from unipixel.archive.on_ray import OnRay

        return OnRay(None if ray == "local" else ray, workers)
    if gpus is not None:
        from unipixel.archive.processes import Processes
        from unipixel.archive.processes import gpus as find_gpus

        return Processes(find_gpus(gpus))
    if workers is not None:
        from unipixel.archive.processes import Processes

        return Processes((device,) * workers)
    return None


def _count_workers(gpus: str | None, workers: int | None) -> int:
    from unipixel.archive.processes import gpus as find_gpus

    return len(find_gpus(gpus)) if gpus is not None else workers or 1


def _plan(model: ModelName, items: Sequence[Item], settings: Settings, workers: int) -> str:
    from unipixel.archive.planning import plan
    from unipixel.archive.run import open_model

    opened = open_model(model)
    introduce(opened, model.name)
    with ProgressLine() as line:
        return plan(opened, items, settings, on_progress=line.show).text(workers)


def _run(
    model: ModelName,
    items: Sequence[Item],
    output: Output,
    settings: Settings,
    spread: Spread | None,
    shard: str | None,
    retry_failed: bool,
) -> Report:
    from unipixel.archive.run import Manner, annotate
    from unipixel.evaluation.predictions import Shard

    told = _Told()
    manner = Manner(Shard.parse(shard) if shard else Shard(), retry_failed, told.progress, told.failure)
    try:
        report = annotate(model, items, output, settings, spread=spread, manner=manner)
    except KeyboardInterrupt:
        told.clear()
        note("stopped; the same command goes on")
        raise typer.Exit(INTERRUPTED) from None
    told.clear()
    _conclude(report, output)
    return report


def _conclude(report: Report, output: Output) -> None:
    before = f", {report.before} were done before" if report.before else ""
    seconds = f"{report.seconds:.0f} s"
    note(f"{report.done} of {report.total} items in {seconds}{before}; {report.windows} windows")
    if failed := report.failed + report.failed_before:
        note(
            f"{failed} items failed, wholly or in part; their lines say why, and --retry-failed tries them "
            "again"
        )
    if report.complete:
        note(f"written to {output.folder}: annotations.jsonl")
    else:
        note(
            f"other items are not done yet; what is done lies in {output.folder}/parts, and the run that "
            "finishes the last one puts all together"
        )


class _Told:
    """Progress and failures on stderr: one line that is drawn anew on a terminal, notes elsewhere."""

    def __init__(self) -> None:
        import sys

        self._line = ProgressLine()
        self._watched = sys.stderr.isatty()
        self._last = time.monotonic()

    def progress(self, now: ArchiveProgress) -> None:
        if self._watched:
            self._line.show(now)
        elif time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            note(str(now))

    def failure(self, happened: Happened) -> None:
        self.clear()
        note(f"{happened.item}: {happened.status}: {happened.reason}")

    def clear(self) -> None:
        self._line.clear()
