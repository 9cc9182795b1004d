"""`unipixel chat`: a conversation about a picture or video, line by line."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unipixel.cli.conversation import Conversation
from unipixel.cli.result import printable
from unipixel.cli.terminal import ProgressLine, introduce, manners, note
from unipixel.errors import RequestError

if TYPE_CHECKING:
    from unipixel.core.media import Clip
    from unipixel.core.progress import Progress
    from unipixel.inference.session import Session
    from unipixel.predictor import Predictor


def chat(
    media: Annotated[
        Path | None, typer.Argument(metavar="MEDIA", help="A picture, a video or a folder of frames.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="A bundled name, a folder or a hub id.")
    ] = "unipixel-tiny",
    frames: Annotated[
        int | None,
        typer.Option(min=1, help="How many frames the language model sees (default: the model's own)."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps …")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    load: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Go on with what /keep wrote; MEDIA may be left out.",
        ),
    ] = None,
) -> None:
    """Talk about a picture or video: a question a line; /help lists the commands."""
    with manners():
        from unipixel.core.media import Clip, check_sides
        from unipixel.hub import find_checkpoint

        if media is None and load is None:
            raise RequestError("nothing to talk about; give a picture, a video or a folder of frames")
        if load is not None and frames is not None:
            raise RequestError("a session that was kept has its number of frames; leave out --frames")
        clip = Clip.open(media) if media is not None else None
        if clip is not None:
            check_sides(clip)
        checkpoint = find_checkpoint(model)
        from unipixel.loading import load as open_model

        opened = open_model(checkpoint, device=device, dtype=dtype)
        introduce(opened, model)
        screen = Screen()
        with _session(opened, clip, load, frames, screen) as session:
            note(f"{printable(session.clip.name)}: {_size(session.clip)}; /help lists the commands")
            Conversation(session, screen).hold(typed())


def _session(
    opened: Predictor, clip: Clip | None, kept: Path | None, frames: int | None, screen: Screen
) -> Session:
    if kept is not None:
        return opened.load_session(kept, clip, on_progress=screen.show)
    assert clip is not None, "there is a clip where no session is loaded"
    return opened.session(clip, num_frames=frames, on_progress=screen.show)


def _size(clip: Clip) -> str:
    return f"{clip.width}x{clip.height}, {clip.num_frames} frame{'s' if clip.num_frames != 1 else ''}"


def typed() -> Iterator[str]:
    """The lines of standard input. On a terminal they are asked for, and an interruption drops the line."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    with suppress(ImportError):
        import readline  # noqa: F401  importing it gives `input` its keys and history
    while True:
        try:
            line = input("> " if sys.stdout.isatty() else "")
        except EOFError:
            typer.echo()
            return
        except KeyboardInterrupt:
            typer.echo()
            continue
        yield line


class Screen:
    """Answers on stdout, written as they come where that is a terminal; on stderr, if that is one, how far
    the following of objects is."""

    def __init__(self) -> None:
        self._writes = sys.stdout.isatty()
        self._progress = ProgressLine()
        self._line = ""  # the answer so far, as it stands on the terminal
        self._below = False  # whether the cursor stands below it

    def write(self, piece: str) -> None:
        """A piece of an answer."""
        if self._writes:
            self._line += piece
            typer.echo(printable(piece), nl=False)

    def show(self, progress: Progress) -> None:
        """How far the work is, below the answer."""
        self._end_line()
        self._progress.show(progress)

    def end(self, text: str = "") -> None:
        """The work is over, and this is its whole answer: it is written unless it stands there already."""
        self._progress.clear()
        self._end_line()
        if text and text != self._line:
            typer.echo(printable(text))
        self._line, self._below = "", False

    def _end_line(self) -> None:
        if self._line and not self._below:
            typer.echo()
        self._below = True
