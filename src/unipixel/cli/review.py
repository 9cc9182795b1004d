"""`unipixel review`: what people decided about annotations (made with `unipixel serve --review`)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from unipixel.cli.terminal import manners, note

app = typer.Typer(no_args_is_help=True, help="Annotations that people have reviewed.", rich_markup_mode=None)

Folders = Annotated[
    list[Path], typer.Argument(metavar="OUT…", help="Folders of `unipixel annotate`, reviewed on the page.")
]


class Only(StrEnum):
    """What is exported, if not both."""

    ACCEPTED = "accepted"
    CORRECTED = "corrected"


@app.command()
def export(
    folders: Folders,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.jsonl", help="What is written.")],
    root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="What paths are relative to; default: the folder of FILE.jsonl."),
    ] = None,
    only: Annotated[Only | None, typer.Option(help="Default: both; what was rejected is left out.")] = None,
) -> None:
    """Write accepted and corrected objects as one JSONL file, ready for `unipixel train` (docs/data.md)."""
    with manners():
        from unipixel.archive import export_review
        from unipixel.archive.review_export import USABLE

        verdicts = USABLE if only is None else USABLE & {only.value}
        told = export_review(folders, output, root=root, verdicts=frozenset(verdicts), on_note=note)
        where = "" if root is None else f"; paths in it are relative to {root} (--root)"
        typer.echo(f"{output}: {told}{where}")


@app.command()
def stats(folders: Folders) -> None:
    """Count what is decided, and what is not."""
    with manners():
        from collections import Counter

        from unipixel.archive import Review
        from unipixel.archive.review import STATES

        for folder in folders:
            counts = Counter(one.state for one in Review(folder))
            told = ", ".join(f"{counts[state]} {state}" for state in STATES)
            typer.echo(f"{folder}: {counts.total()} objects: {told}")
