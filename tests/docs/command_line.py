"""The `unipixel` commands that stand in the documentation, and those that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer

from unipixel.cli.main import app

WIDTH = 100
"""Columns of a help text."""

# typer has a copy of click inside, or in earlier versions is built on click: classes are told by their names.
_Refused: type[Exception] = next(
    one for one in typer.BadParameter.__mro__ if one.__name__ == "ClickException"
)


def problem_of(arguments: list[str]) -> str | None:
    """What is wrong with the form of a `unipixel` command; nothing is done, and files need not exist."""
    command: Any = typer.main.get_command(app)
    context: Any = None
    try:
        while True:
            context = command.make_context(command.name, list(arguments), parent=context)
            if not hasattr(command, "commands"):
                return None
            _, command, arguments = command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
    except typer.Exit:
        return None
    except _Refused as error:
        said: str = error.format_message()  # type: ignore[attr-defined]
        return None if "does not exist" in said else said


def every_command() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command by its words, `("data", "check")`, with its context."""
    yield from _commands(typer.main.get_command(app), (), None)


def _commands(command: Any, words: tuple[str, ...], parent: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    name = words[-1] if words else "unipixel"
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    yield words, context
    for inner, found in getattr(command, "commands", {}).items():
        yield from _commands(found, (*words, inner), context)


def options() -> dict[str, set[str]]:
    """Every command by its words (`data check`), with the names of its options."""
    return {
        " ".join(words): {
            name
            for one in context.command.get_params(context)
            for name in (*one.opts, *one.secondary_opts)
            if name.startswith("-")
        }
        for words, context in every_command()
    }


def commands(text: str) -> Iterator[list[str]]:
    """The `unipixel` commands of some lines of shell, as arguments behind the name."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in joined.splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if "unipixel.cli.main" in words:
            yield words[words.index("unipixel.cli.main") + 1 :]
        while words and "=" in words[0] and not words[0].startswith("-"):
            words = words[1:]
        if words[:1] == ["unipixel"]:
            yield words[1:]


def help_texts() -> str:
    """The help of every command, as a page."""
    return "\n\n".join(
        f"## {' '.join(words)}\n\n```text\n{_help(context)}\n```"
        for words, context in every_command()
        if words and not hasattr(context.command, "commands")
    )


def _help(context: Any) -> str:
    context.max_content_width = context.terminal_width = WIDTH
    text: str = context.command.get_help(context)
    return text.strip()
