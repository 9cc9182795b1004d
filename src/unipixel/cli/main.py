"""The `unipixel` command."""

from __future__ import annotations

from typing import Annotated

import typer

from unipixel.cli import data, review
from unipixel.cli.annotate import annotate
from unipixel.cli.ask import PromptOrder, ask
from unipixel.cli.chat import chat
from unipixel.cli.convert import convert
from unipixel.cli.doctor import doctor
from unipixel.cli.evaluate import compare, evaluate, judge, score
from unipixel.cli.serve import serve
from unipixel.cli.train import train

# Plain help: with markup, "[0]" in a help text would vanish.
app = typer.Typer(
    name="unipixel",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=PromptOrder)(ask)
app.command()(annotate)
app.command()(chat)
app.command()(convert)
app.command()(doctor)
app.command(name="eval")(evaluate)
app.command()(score)
app.command()(judge)
app.command()(compare)
app.command()(train)
app.add_typer(data.app, name="data")
app.add_typer(review.app, name="review")
app.command()(serve)


def _show_version(wanted: bool) -> None:
    if wanted:
        from unipixel import __version__

        typer.echo(f"unipixel {__version__}")
        raise typer.Exit


@app.callback()
def _describe(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Point at things in pictures and videos, ask about them, get text and masks."""


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
