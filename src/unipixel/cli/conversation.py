"""What a person may say in `unipixel chat`, and what that does to a session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import typer

from unipixel.cli.folder import output_folder
from unipixel.cli.prompts import FORMS, parse_prompt
from unipixel.cli.result import describe, note_written, printable, write_result
from unipixel.cli.terminal import note
from unipixel.errors import PromptError, RequestError, SessionError, UniPixelError

if TYPE_CHECKING:
    from unipixel.core.objects import SessionObject
    from unipixel.core.prompts import Prompt
    from unipixel.inference.session import By, Session

OVERWRITE = "--overwrite"


class Paper(Protocol):
    """Where answers are written."""

    def write(self, piece: str) -> None:
        """A piece of an answer."""

    def end(self, text: str = "") -> None:
        """The work is over; this is its whole answer."""


class Conversation:
    """Lines of a person, and what they do to a session. A line that begins with `/` is one of `COMMANDS`,
    every other line is a question."""

    def __init__(self, session: Session, paper: Paper) -> None:
        self.session = session
        self.by: By = "decoder"
        self.follow_up = False
        self.over = False
        self._paper = paper

    def hold(self, lines: Iterable[str]) -> None:
        """Take line after line, up to the last one or `/quit`."""
        for line in lines:
            said = line.replace("\0", " ").strip()
            if said:
                self.turn(said)
            if self.over:
                return

    def turn(self, line: str) -> None:
        """Do what a line says, then tell which objects are new or other than before.

        Errors that a person can mend, and interruptions, end the line and not the conversation.
        """
        before = {known.id: known for known in self.session.objects}
        trouble = ""
        try:
            (self._command if line.startswith("/") else self._ask)(line)
        except UniPixelError as error:
            trouble = f"error: {printable(str(error))}"
        except KeyboardInterrupt:
            trouble = "interrupted; what was found so far is kept"
        self._paper.end()
        if trouble:
            note(trouble)
        self._tell_changes(before)

    def tell(self, known: SessionObject) -> None:
        """One line about an object."""
        typer.echo(describe(self.session.clip, known.id, known.name, known.masks))

    def _ask(self, text: str) -> None:
        stream = self.session.stream(text, follow_up=self.follow_up)
        said = ""
        try:
            for piece in stream:
                said += piece
                self._paper.write(piece)
            said = stream.response.text
        finally:
            self._paper.end(said)

    def _command(self, line: str) -> None:
        name, rest = first_word(line)
        command = COMMANDS.get(name)
        if command is None:
            near = get_close_matches(name, COMMANDS, 1)
            raise RequestError(
                f"there is no command {name}; {f'did you mean {near[0]}?' if near else '/help lists them'}"
            )
        if command.needs_more and not rest:
            raise RequestError(f"{name} needs more; write {name} {command.form}")
        command.run(self, rest)

    def _tell_changes(self, before: Mapping[int, SessionObject]) -> None:
        now = {known.id: known for known in self.session.objects}
        for number, known in now.items():
            if before.get(number) is not known:
                self.tell(known)
        for number in sorted(before.keys() - now.keys()):
            typer.echo(f"[{number}]: gone")


def _refer(kind: str) -> Callable[[Conversation, str], None]:
    def refer(talk: Conversation, rest: str) -> None:
        place, name = first_word(rest)
        talk.session.refer(_prompt(kind, place), name or None, by=talk.by)

    return refer


def _correct(talk: Conversation, rest: str) -> None:
    number, rest = first_word(rest)
    talk.session.correct(talk.session[_id(number)].id, _corrections(rest))


def _track(talk: Conversation, rest: str) -> None:
    for _ in talk.session.track(_ids(rest) if rest else None):
        pass


def _by(talk: Conversation, rest: str) -> None:
    talk.by = "language" if _choice(rest, ("decoder", "language")) else "decoder"


def _objects(talk: Conversation, _rest: str) -> None:
    for known in talk.session.objects:
        talk.tell(known)
    if not talk.session.objects:
        typer.echo("no objects yet: ask for one, or point at one with /point")


def _rename(talk: Conversation, rest: str) -> None:
    number, name = first_word(rest)
    talk.session.rename(_id(number), name or None)


def _remove(talk: Conversation, rest: str) -> None:
    talk.session.remove(_id(rest))


def _merge(talk: Conversation, rest: str) -> None:
    talk.session.merge(_ids(rest))


def _save(talk: Conversation, rest: str) -> None:
    """The files of `unipixel ask -o`, for all objects."""
    folder, overwrite = _path("/save", rest, OVERWRITE)
    tracks = {known.id: known.masks for known in talk.session.objects if known.masks is not None}
    names = {known.id: known.name for known in talk.session.objects if known.name}
    if not tracks:
        raise SessionError("no object has masks yet; ask for one, or point at one with /point")
    with output_folder(folder, overwrite=overwrite) as scratch:
        write_result(scratch, talk.session.clip, tracks, names)
    note_written(folder)


def _keep(talk: Conversation, rest: str) -> None:
    file, _ = _path("/keep", rest)
    talk.session.save(file)
    note(f"kept in {file}; go on with --load")


def _follow_up(talk: Conversation, rest: str) -> None:
    talk.follow_up = bool(_choice(rest, ("off", "on")))


def _help(_talk: Conversation, _rest: str) -> None:
    typer.echo("A line is a question; [0], [1] … in it speak of objects. A line with / is a command:")
    for name, command in COMMANDS.items():
        typer.echo(f"  {f'{name} {command.form}':<42}{command.about}")


def _quit(talk: Conversation, _rest: str) -> None:
    talk.over = True


@dataclass(frozen=True)
class Command:
    """What stands behind a command's name ([…] may be left out), what it does, and how."""

    form: str
    about: str
    run: Callable[[Conversation, str], None]

    @property
    def needs_more(self) -> bool:
        return bool(self.form) and not self.form.startswith("[")


CLICKS = "ID +X,Y[@FRAME] -X,Y[@FRAME] …"
COMMANDS = {
    "/point": Command("X,Y[@FRAME] [NAME]", "click on an object", _refer("point")),
    "/box": Command("X1,Y1,X2,Y2[@FRAME] [NAME]", "a box around an object", _refer("box")),
    "/mask": Command("FILE[@FRAME] [NAME]", "a picture, not black where it is", _refer("mask")),
    "/scribble": Command("X,Y;X,Y…[@FRAME] [NAME]", "a stroke over an object", _refer("scribble")),
    "/by": Command("decoder|language", "who makes masks of what is pointed at (decoder)", _by),
    "/correct": Command(CLICKS, "click on it (+) and beside it (-); or ID mask FILE[@FRAME]", _correct),
    "/track": Command("[ID …]", "follow objects again through all frames", _track),
    "/objects": Command("", "all objects", _objects),
    "/rename": Command("ID [NAME]", "give or take a name", _rename),
    "/remove": Command("ID", "forget an object", _remove),
    "/merge": Command("ID ID …", "one object of several", _merge),
    "/save": Command(f"DIR [{OVERWRITE}]", "write overlay, palette PNGs and masks.json", _save),
    "/keep": Command("FILE.unipixel", "write the session, for --load", _keep),
    "/follow-up": Command("on|off", "questions know those before them (off)", _follow_up),
    "/help": Command("", "this list", _help),
    "/quit": Command("", "end, as the end of the input does", _quit),
}
"""What a line may begin with."""


def first_word(line: str) -> tuple[str, str]:
    """The first word, which may stand in quotation marks to hold spaces, and the rest."""
    for mark in ('"', "'"):
        if line.startswith(mark) and mark in line[1:]:
            word, _, rest = line[1:].partition(mark)
            return word, rest.strip()
    word, *rests = line.split(maxsplit=1) or [""]
    return word, "".join(rests)


def _path(command: str, text: str, option: str = "") -> tuple[Path, bool]:
    """Where to write, and whether the option stands behind it."""
    word, rest = first_word(text)
    if rest not in ("", option):
        raise RequestError(
            f"write {command} {COMMANDS[command].form}; a name with spaces stands in quotation marks"
        )
    return Path(os.path.expanduser(word)), bool(rest)


def _id(text: str) -> int:
    """`3` or `[3]`."""
    number = text.removeprefix("[").removesuffix("]")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        raise RequestError(f"{text!r} is no object's number; /objects lists them")
    return int(number)


def _ids(text: str) -> list[int]:
    return [_id(word) for word in text.split()]


def _choice(text: str, words: tuple[str, str]) -> int:
    if text not in words:
        raise RequestError(f"{text!r} is neither {words[0]!r} nor {words[1]!r}")
    return words.index(text)


def _prompt(kind: str, text: str) -> Prompt:
    try:
        return parse_prompt(kind, os.path.expanduser(text) if kind == "mask" else text)
    except PromptError as error:  # it speaks of an option, which is a command here
        raise PromptError(str(error).removeprefix("--")) from error


def _corrections(text: str) -> list[Prompt]:
    """`mask FILE[@FRAME]` and its like, or clicks with their signs."""
    kind, rest = first_word(text)
    if kind in FORMS:
        return [_prompt(kind, first_word(rest)[0])]
    if not text:
        raise RequestError(f"what is to be corrected? write /correct {CLICKS}")
    return [_click(word) for word in text.split()]


def _click(word: str) -> Prompt:
    from unipixel.core.prompts import Point

    click = _prompt("point", word.lstrip("+-"))
    assert isinstance(click, Point), "a click is a point"
    return replace(click, positive=not word.startswith("-"))
