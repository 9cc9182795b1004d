"""What a person sees of a command beside its result: notes, warnings and errors, all on stderr."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from unipixel.errors import UniPixelError

if TYPE_CHECKING:
    from unipixel.predictor import Predictor

START_OF_LINE = "\r\x1b[K"
"""Goes back to the beginning of a terminal's line and wipes it."""
TALKATIVE = ("torchao", "torch.utils._pytree")
"""Libraries that warn of their own affairs whenever torchao is installed, since transformers imports it."""
USER_ERROR = 2
INTERRUPTED = 130


def note(message: str) -> None:
    """A line for people; stdout stays free for the result."""
    typer.echo(message, err=True)


@contextmanager
def manners() -> Iterator[None]:
    """Inside, errors that a user can mend end the command with one line and exit code 2, an interruption with
    130; warnings are one line each."""
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
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


class ProgressLine:
    """How far the work is and how long it will take, in the last line of stderr if that is a terminal."""

    def __init__(self) -> None:
        self.drawn = False
        self._watched = sys.stderr.isatty()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, progress: object) -> None:
        """Write it anew, as its text."""
        if self._watched:
            self.drawn = True
            typer.echo(f"{START_OF_LINE}{progress}", nl=False, err=True)

    def clear(self) -> None:
        """Wipe the line."""
        if self.drawn:
            typer.echo(START_OF_LINE, nl=False, err=True)
        self.drawn = False


def introduce(opened: Predictor, model: str) -> None:
    """Say what was opened and under which terms."""
    kind = str(opened.dtype).removeprefix("torch.")
    terms = opened.config.licences
    note(f"model: {model} ({kind} on {opened.device}); licences: weights {terms.weights}; base {terms.base}")
