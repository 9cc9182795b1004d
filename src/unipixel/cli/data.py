"""`unipixel data`: bring data in, look at it, and find what is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unipixel.cli.data_get import get
from unipixel.cli.data_show import show
from unipixel.cli.data_target import Root, Split, Target, is_file, needed, open_target, printable
from unipixel.cli.terminal import manners, note

if TYPE_CHECKING:
    from unipixel.core.progress import Progress
    from unipixel.data.checking import Checked
    from unipixel.data.jsonl import Item
    from unipixel.data.overview import Counts
    from unipixel.data.registry import Dataset
    from unipixel.data.sample import Sample
    from unipixel.errors import DataError

EVERY = 2.0
"""Seconds between two notes on how far a long scan is."""

app = typer.Typer(no_args_is_help=True, help="Data sets, and your own data.", rich_markup_mode=None)
app.command()(get)
app.command()(show)


class Kind(StrEnum):
    """Layouts that can be imported."""

    COCO = "coco"
    REFCOCO = "refcoco"
    VOS = "vos"
    LABELME = "labelme"
    MOT = "mot"
    YOLO = "yolo"


SOURCES = {
    Kind.COCO: ("instances.json", "PICTURES"),
    Kind.REFCOCO: ("refs.json", "instances.json", "PICTURES"),
    Kind.VOS: ("JPEGImages", "Annotations", "[meta.json]", "[meta_expressions.json]"),
    Kind.LABELME: ("FILE.json or FOLDER ...",),
    Kind.MOT: ("SEQUENCE ...",),
    Kind.YOLO: ("PICTURES", "LABELS", "classes.txt"),
}
SOURCES_HELP = "; ".join(f"{kind}: {' '.join(names)}" for kind, names in SOURCES.items())


@app.command("import")
def import_(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help=", ".join(Kind) + ".")],
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help=SOURCES_HELP + ".")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.jsonl", help="What is written.")],
    root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="What paths are relative to; default: the folder of FILE.jsonl."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of refcoco: only this split.")] = None,
) -> None:
    """Write other layouts as one JSONL file (docs/data.md). DAVIS and YouTube-VOS are vos."""
    with manners():
        from unipixel.data.jsonl import write_jsonl

        _check_sources(kind, sources, split)
        base = root or output.parent
        items = _importer(kind, sources, base, split)
        number = write_jsonl(output, _noted(items))
        where = "" if root is None else f"; paths in it are relative to {root} (--root)"
        typer.echo(f"{output}: {number} items{where}")


def _check_sources(kind: Kind, sources: Sequence[Path], split: str | None) -> None:
    from unipixel.errors import ConfigError

    names = SOURCES[kind]
    needed = sum(not name.startswith("[") for name in names)
    most = len(sources) if names[-1].endswith("...") else len(names)
    if not needed <= len(sources) <= most:
        raise ConfigError(f"{kind} is made from {' '.join(names)}; found {len(sources)} sources")
    if split is not None and kind != Kind.REFCOCO:
        raise ConfigError(f"{kind} has no splits; --split is for refcoco")


def _importer(kind: Kind, sources: Sequence[Path], root: Path, split: str | None) -> Iterator[Item]:
    from unipixel.data import importers

    first, *others = sources
    if kind == Kind.COCO:
        return importers.import_coco(first, others[0], root, note)
    if kind == Kind.REFCOCO:
        return importers.import_refcoco(first, others[0], others[1], root, split, note)
    if kind == Kind.VOS:
        return importers.import_vos(first, others[0], root, others[1:], note)
    if kind == Kind.LABELME:
        return importers.import_labelme(sources, root, note)
    if kind == Kind.MOT:
        return importers.import_mot(sources, root, note)
    return importers.import_yolo(first, others[0], others[1], root, note)


def _noted(items: Iterable[Item]) -> Iterator[Item]:
    """The items; how many there were so far is told now and then."""
    due = time.monotonic() + EVERY
    for number, item in enumerate(items, 1):
        yield item
        if time.monotonic() >= due:
            note(f"importing: {number} items")
            due = time.monotonic() + EVERY


@app.command()
def check(
    target: Target,
    root: Root = None,
    split: Annotated[str | None, typer.Option(help="Of a name: only this split. Default: all.")] = None,
) -> None:
    """Find everything that is wrong, and say where and what was expected. Exit code 1 if anything is."""
    with manners():
        problems = _Problems()
        if is_file(target):
            checked = _check_file(Path(target), root, split, problems)
        else:
            checked = _check_name(target, root, split, problems)
        plural = "" if problems.count == 1 else "s"
        found = f"{problems.count} problem{plural}" if problems.count else "no problems"
        empty = f", {checked.left_out} with nothing to ask for" if checked.left_out else ""
        typer.echo(f"{target}: {checked.items} items, {found}{empty}")
        if checked.known:
            note(f"{checked.known} of them are as they were when they were last checked")
    if problems.count:
        raise typer.Exit(1)


class _Problems:
    """Prints problems as they come, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, problem: DataError) -> None:
        self.count += 1
        typer.echo(printable(str(problem)))


def _check_file(file: Path, root: Path | None, split: str | None, problems: _Problems) -> Checked:
    from unipixel.data.checking import Checked, check_jsonl
    from unipixel.data.long_json import default_cache
    from unipixel.errors import ConfigError, DataError

    if split is not None:
        raise ConfigError(f"a file has no splits; check {file} without --split")
    try:
        return check_jsonl(file, root, problems, _progress(), default_cache())
    except DataError as error:  # of the file as a whole
        problems(error)
        return Checked(0)


def _check_name(name: str, root: Path | None, split: str | None, problems: _Problems) -> Checked:
    from unipixel.data.checking import Checked, check_dataset
    from unipixel.data.long_json import default_cache
    from unipixel.data.registry import get_dataset, open_dataset
    from unipixel.errors import DataError

    info, total = get_dataset(name), Checked(0)
    for part in info.splits if split is None else (split,):
        try:
            data = open_dataset(info, part, needed(root, name), on_problem=problems)
        except DataError as error:
            problems(error)
            continue
        total += check_dataset(data, problems, _progress(), default_cache())
    return total


def _progress() -> Callable[[Progress], None]:
    """Notes on how far a scan is, now and then; none for a short one."""
    due = time.monotonic() + EVERY

    def tell(progress: Progress) -> None:
        nonlocal due
        if time.monotonic() >= due:
            note(str(progress))
            due = time.monotonic() + EVERY

    return tell


@app.command("list")
def list_(
    root: Annotated[Path | None, typer.Option(metavar="DIR", help="The `data` folder to look in.")] = None,
    count: Annotated[bool, typer.Option("--count", help="Open what is found, and count samples.")] = False,
) -> None:
    """What data sets there are: task, splits, licence; under a root, which are found."""
    with manners():
        from unipixel.data.overview import presence
        from unipixel.data.registry import datasets
        from unipixel.errors import ConfigError

        if count:
            needed(root, "the data to count")
        if root is not None and not root.is_dir():
            raise ConfigError(f"--root {root}: there is no such folder; give the `data` folder")
        rows = [("name", "task", "splits", *(() if root is None else ("here",)), "licence")]
        for info in datasets():
            here = () if root is None else (presence(info, root),)
            splits = ",".join(info.splits)
            if count and root is not None and here != ("missing",):
                splits = ", ".join(f"{part} {_length(info.name, part, root)}" for part in info.splits)
            rows.append((info.name, info.task, splits, *here, info.licence))
        typer.echo(_table(rows))


def _length(name: str, split: str, root: Path) -> str:
    """How many samples there are; "-" where the split is not there, or broken."""
    from unipixel.data.registry import open_dataset
    from unipixel.errors import DataError

    try:
        return str(len(open_dataset(name, split, root)))
    except DataError as error:
        note(f"{name} {split}: {error}")
        return "-"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)


@app.command()
def stats(target: Target, root: Root = None, split: Split = None) -> None:
    """Counts: samples, clips, tasks, what is said, objects, words."""
    with manners():
        from unipixel.core.progress import watched
        from unipixel.data.overview import count

        data = open_target(target, root, split)
        left_out: list[str] = []
        samples = watched(_asking(data, left_out), f"counting {target}", len(data), _progress())
        typer.echo(_counted(count(samples)))
        if left_out:
            typer.echo(f"nothing to ask for: {len(left_out)}, such as {printable(left_out[0])}")
        for name, value in data.notes.items():
            typer.echo(f"note: {name}: {value}")


def _asking(data: Dataset, left_out: list[str]) -> Iterator[Sample]:
    """The samples in which something is asked for; the names of others are put aside."""
    from unipixel.errors import LeftOut

    for index in range(len(data)):
        try:
            yield data[index]
        except LeftOut as error:
            left_out.append(error.sample)


def _counted(counts: Counts) -> str:
    objects = {f"{number} objects": times for number, times in sorted(counts.objects.items())}
    lines = [f"samples: {counts.samples}", f"clips: {counts.clips}", f"words: {counts.words}"]
    tables = {
        "tasks": counts.tasks,
        "shows": counts.media,
        "said": counts.rounds,
        "marked by": counts.masks,
        "objects": objects,
    }
    for name, table in tables.items():
        lines.append(f"{name}: " + ", ".join(f"{key} {times}" for key, times in sorted(table.items())))
    return "\n".join(lines)
