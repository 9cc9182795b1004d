"""Prompts as they stand on the command line: `X,Y[@FRAME]` and its relatives."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from unipixel.errors import PromptError

if TYPE_CHECKING:
    from unipixel.core.prompts import Prompt

FORMS = {
    "point": "X,Y[@FRAME], for example 120,80 or 120,80@5",
    "box": "X1,Y1,X2,Y2[@FRAME], for example 40,30,200,160 or 40,30,200,160@5",
    "mask": "FILE[@FRAME], for example mask.png or mask.png@5",
    "scribble": "X,Y;X,Y…[@FRAME], for example '40,30;60,35;80,50@5'",
}
"""How each kind of prompt is written."""


def parse_prompt(kind: str, text: str) -> Prompt:
    """One prompt of a kind in `FORMS`.

    Raises PromptError for malformed text, MediaError for a mask that cannot be read.
    """
    return _PARSERS[kind](text)


def _point(text: str) -> Prompt:
    from unipixel.core.prompts import Point

    place, frame = _split_frame("point", text)
    x, y = _numbers("point", text, place, 2)
    return Point(x, y, frame)


def _box(text: str) -> Prompt:
    from unipixel.core.prompts import Box

    place, frame = _split_frame("box", text)
    x1, y1, x2, y2 = _numbers("box", text, place, 4)
    return Box(x1, y1, x2, y2, frame)


def _scribble(text: str) -> Prompt:
    from unipixel.core.prompts import Scribble

    place, frame = _split_frame("scribble", text)
    corners = [_numbers("scribble", text, corner, 2) for corner in place.split(";")]
    return Scribble(tuple((x, y) for x, y in corners), frame)


def _mask(text: str) -> Prompt:
    from unipixel.core.masks import read_mask
    from unipixel.core.prompts import RegionMask

    # A file's name may hold an "@" of its own. os.path: no error for a name that cannot be.
    file, frame = (text, 0) if os.path.exists(text) else _split_frame("mask", text)
    return RegionMask(read_mask(Path(file)), frame)


_PARSERS: dict[str, Callable[[str], Prompt]] = {
    "point": _point,
    "box": _box,
    "mask": _mask,
    "scribble": _scribble,
}


def _split_frame(kind: str, text: str) -> tuple[str, int]:
    place, at, frame = text.rpartition("@")
    if not at:
        return text, 0
    try:
        return place, int(frame)
    except ValueError as error:
        raise PromptError(f"--{kind} {text!r}: {frame!r} is no frame number; write {FORMS[kind]}") from error


def _numbers(kind: str, text: str, place: str, count: int) -> list[float]:
    try:
        numbers = [float(number) for number in place.split(",")]
    except ValueError as error:
        raise PromptError(
            f"--{kind} {text!r} has something that is no number; write {FORMS[kind]}"
        ) from error
    if len(numbers) != count:
        raise PromptError(f"--{kind} {text!r} has {len(numbers)} numbers, not {count}; write {FORMS[kind]}")
    return numbers
