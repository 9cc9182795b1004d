"""What a person sees of a command beside its result: notes, warnings and errors, all on stderr."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from unipixel.errors import UniPixelError

if TYPE_CHECKING:
    from unipixel.predictor import Predictor

USER_ERROR = 2
INTERRUPTED = 130


def note(message: str) -> None:
    """A line for people; stdout stays free for the result."""
    typer.echo(message, err=True)


@contextmanager
def manners() -> Iterator[None]:
    """Inside, errors that a user can mend end the command with one line and exit code 2, an interruption with
    130; warnings are one line each."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            yield
        except UniPixelError as error:
            note(f"error: {error}")
            raise typer.Exit(USER_ERROR) from error
        except KeyboardInterrupt:
            note("interrupted")
            raise typer.Exit(INTERRUPTED) from None


def _show_warning(message: Warning | str, *_where: Any, **_options: Any) -> None:
    note(f"warning: {message}")


def introduce(opened: Predictor, model: str) -> None:
    """Say what was opened and under which terms."""
    kind = str(opened.dtype).removeprefix("torch.")
    terms = opened.config.licences
    note(f"model: {model} ({kind} on {opened.device}); licences: weights {terms.weights}; base {terms.base}")
