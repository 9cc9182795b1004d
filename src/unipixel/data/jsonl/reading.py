"""From a line of JSON to an item. Strict: every field is known, of its kind, and in its range."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from unipixel.core.masks import RLE
from unipixel.core.prompts import Box, Point
from unipixel.data.files import Node
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.parts import (
    Describe,
    Draft,
    Find,
    FrameSpan,
    ItemMedia,
    ItemObject,
    Kind,
    MaskPicture,
    Outline,
    Region,
    Round,
    Shape,
    TimeSpan,
    When,
)
from unipixel.data.jsonl.rules import contradictions
from unipixel.data.sample import Choice, Exchange, Facts, Form, Style, Task
from unipixel.errors import DataError, PromptError

_LARGEST = 1e15  # no pixel and no second lies beyond; whole numbers stay whole as floats

Report: TypeAlias = Callable[[DataError], None]
"""Told of every problem."""


def read_line(line: bytes, file: Path, number: int, report: Report | None = None) -> Item | None:
    """The item in line `number` (from 1) of a file.

    Args:
        line: the line, UTF-8.
        file: for errors.
        number: for errors.
        report: told of every problem that the line has; None raises the first.

    Returns:
        The item; None if problems were reported.
    """
    reading = _Reading(file, number, report)
    draft: Draft | None = None
    with reading.part():
        draft = _item(Node(file, "", _parse(line)), reading)
    if draft is None or reading.failed:
        return None
    for wrong in contradictions(draft):
        with reading.part():
            raise wrong.error()
    return None if reading.failed else Item.of(draft)


class _Reading:
    """Collects the problems of one line."""

    def __init__(self, file: Path, number: int, report: Report | None) -> None:
        self.file, self.number, self.report = file, number, report
        self.failed = False
        self.raised: DataError | None = None

    @contextmanager
    def part(self, within: str = "") -> Iterator[None]:
        """What is wrong inside ends only the block; `within` is where errors without file stand."""
        try:
            yield
        except DataError as error:
            if error is self.raised:
                raise
            self.failed = True
            place = f"{within}{_dot(within, error.place)}{error.place}" if not error.file else error.place
            where = f"line {self.number}, {place}" if place else f"line {self.number}"
            problem = DataError(self.file, where, error.found, error.expected)
            if self.report is None:
                self.raised = problem
                raise problem from error
            self.report(problem)

    def each(self, node: Node, read: Callable[[Node, _Reading], Any]) -> list[Any]:
        """The items of a list that can be read."""
        found = []
        for entry in node.list():
            with self.part(entry.place):
                found.append(read(entry, self))
        return found


def _dot(before: str, after: str) -> str:
    return "." if before and after and not after.startswith("[") else ""


# JSON


def _parse(line: bytes) -> Any:
    try:
        text = line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        found = f"byte {error.start + 1} of the line, {line[error.start : error.start + 1]!r}"
        raise DataError("", "", f"no UTF-8 ({found})", "text in UTF-8") from None
    if not text.strip():
        raise DataError("", "", "an empty line", "an item, or the end of the file")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise DataError("", f"column {error.colno}", f"no JSON ({error.msg})", "one JSON object") from None
    except RecursionError:
        raise DataError("", "", "lists within lists without end", "one JSON object") from None
    except DataError:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise DataError("", "", f"no JSON ({error})", "one JSON object") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise DataError("", name, f"the field {name!r} twice in one object", "each field once")
        found[name] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise DataError("", "", f"the number {name}", "finite numbers")


# Values


def _check_fields(node: Node, reading: _Reading, known: Sequence[str], needed: Sequence[str] = ()) -> None:
    """Problems of an object's fields; DataError if it is none."""
    for name, value in node.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {close[0]!r}? " if close else ""
            with reading.part():
                raise DataError(
                    node.file, value.place, f"the unknown field {name!r}", f"{meant}one of {list(known)}"
                )
    for name in needed:
        if node.get(name) is None:
            place = f"{node.place}.{name}" if node.place else name
            with reading.part():
                raise DataError(node.file, place, "nothing", "this field")


def _text(node: Node) -> str:
    """Text that can be written again: no halves of characters."""
    text = node.text()
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise node.error("whole characters")
    return text


def _words(node: Node) -> str:
    text = _text(node)
    if not text.strip():
        raise node.error("words")
    return text


def _whole(node: Node, least: int = 0) -> int:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 10**9:
        raise node.error(f"a whole number from {least}")
    return value


def _finite(node: Node) -> float:
    value = node.value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not -_LARGEST <= value <= _LARGEST:
        raise node.error("a finite number")
    return float(value)


def _flag(node: Node) -> bool:
    if not isinstance(node.value, bool):
        raise node.error("true or false")
    return node.value


def _path(node: Node) -> str:
    """A relative path that leads nowhere out of the data's folder, by its spelling."""
    text = _words(node)
    pieces = re.split(r"[/\\]", text)
    if not pieces[0] or ".." in pieces or "\0" in text or re.match(r"[A-Za-z]:", text):
        raise node.error("a path relative to this file, that stays in its folder")
    return text


def _chosen(node: Node, values: Sequence[str]) -> str:
    text = node.text()
    if text not in values:
        close = difflib.get_close_matches(text, values, n=1)
        raise node.error(f"{f'did you mean {close[0]!r}? ' if close else ''}one of {list(values)}")
    return text


def _facts(node: Node | None) -> Facts:
    found = {}
    for name, value in node.items() if node is not None else ():
        _text(Node(value.file, value.place, name))
        if not isinstance(value.value, str | int | float) or value.value != value.value:
            raise value.error("text, a number, true or false")
        found[name] = _text(value) if isinstance(value.value, str) else json.dumps(value.value)
    return Facts(found)


# The item

_ITEM = (
    *("id", "task", "media", "conversation", "objects", "annotated"),
    *("key_frame", "free_ids", "ignored", "facts"),
)


def _item(node: Node, reading: _Reading) -> Draft | None:
    _check_fields(node, reading, _ITEM, ("id", "task", "conversation"))
    found: dict[str, Any] = {"rounds": [], "objects": [], "ignored": []}
    for name, field, read in _READERS:
        value = node.get(name)
        if value is not None:
            with reading.part():
                found[field] = read(value, reading)
    return None if reading.failed else Draft(**found)


def _task(node: Node, _reading: _Reading) -> Task:
    return cast(Task, _chosen(node, get_args(Task)))


def _annotated(node: Node, _reading: _Reading) -> tuple[int, ...] | Literal["all"]:
    if isinstance(node.value, str):
        _chosen(node, ("all",))
        return "all"
    return tuple(_whole(entry) for entry in node.list())


def _media(node: Node, reading: _Reading) -> ItemMedia | None:
    _check_fields(node, reading, (*get_args(Kind), "name", "fps", "step", "width", "height"))
    kind = _only(node, get_args(Kind))
    paths = [_path(entry) for entry in node[kind].list()] if kind == "frames" else [_path(node[kind])]
    name, fps, step = (node.get(field) for field in ("name", "fps", "step"))
    width, height = node.get("width"), node.get("height")
    if (width is None) != (height is None):
        raise node.error("both width and height, or neither")
    return ItemMedia(
        kind=cast(Kind, kind),
        paths=tuple(paths),
        name=_words(name) if name else "",
        fps=_finite(fps) if fps else None,
        step=_whole(step, 1) if step else 1,
        size=(_whole(width, 1), _whole(height, 1)) if width and height else None,
    )


def _only(node: Node, names: Sequence[str]) -> str:
    """Which of some fields an object has; exactly one it must have."""
    given = [name for name in names if node.get(name) is not None]
    if len(given) != 1:
        raise DataError(
            node.file, node.place, f"{given or 'none'} of {list(names)}", "exactly one of these fields"
        )
    return given[0]


# Objects


def _objects(node: Node, reading: _Reading) -> list[ItemObject]:
    return reading.each(node, _thing)


def _thing(node: Node, reading: _Reading) -> ItemObject:
    _check_fields(node, reading, ("id", "name", "regions", "exists", "facts"), ("id",))
    name, regions, exists = (node.get(field) for field in ("name", "regions", "exists"))
    return ItemObject(
        id=_whole(node["id"]),
        name=_words(name) if name else "",
        regions=tuple(reading.each(regions, _region)) if regions else (),
        exists=tuple(reading.each(exists, _span)) if exists else None,
        facts=_facts(node.get("facts")),
    )


_TIMES = ("frame", "frames", "seconds")
_SHAPES = ("rle", "polygons", "png", "box", "point")


def _regions(node: Node, reading: _Reading) -> list[Region]:
    return reading.each(node, _region)


def _region(node: Node, reading: _Reading) -> Region:
    _check_fields(node, reading, (*_SHAPES, *_TIMES, "value", "facts"))
    kind = _only(node, _SHAPES)
    if node.get("value") and kind != "png":
        raise node["value"].error("no value: only pictures (png) have values")
    timed = [name for name in _TIMES if node.get(name)]
    if len(timed) > 1:
        raise DataError(node.file, node.place, f"{timed}", f"one of {list(_TIMES)}")
    return Region(_shape(node, kind), _when(node, timed[0]) if timed else None, _facts(node.get("facts")))


def _span(node: Node, reading: _Reading) -> When:
    _check_fields(node, reading, _TIMES)
    return _when(node, _only(node, _TIMES))


def _when(node: Node, kind: str) -> When:
    value = node[kind]
    try:
        if kind == "frame":
            return FrameSpan(_whole(value), _whole(value))
        first, last = _numbers(value, 2)
        if kind == "seconds":
            return TimeSpan(first, last)
        return FrameSpan(_whole(value[0]), _whole(value[1]))
    except DataError as error:
        raise _moved(error, value) from None


def _shape(node: Node, kind: str) -> Shape:
    value = node[kind]
    try:
        if kind == "rle":
            return _rle(value)
        if kind == "polygons":
            return Outline(tuple(tuple(map(_finite, polygon.list())) for polygon in value.list()))
        if kind == "png":
            chosen = node.get("value")
            return MaskPicture(_path(value), None if chosen is None else _whole(chosen))
        if kind == "box":
            x1, y1, x2, y2 = _numbers(value, 4)
            return Box(x1, y1, x2, y2)
        x, y = _numbers(value, 2)
        return Point(x, y)
    except DataError as error:
        raise _moved(error, value) from None
    except PromptError as error:
        raise DataError(value.file, value.place, f"a damaged {kind}: {error}"[:-1], _ORDERS[kind]) from None


_ORDERS = {
    "rle": 'COCO run lengths: {"size": [height, width], "counts": ...}',
    "box": "[x1, y1, x2, y2] with x1 <= x2 and y1 <= y2",
}


def _rle(node: Node) -> RLE:
    for name in node.mapping():
        if name not in ("size", "counts"):
            raise DataError(
                node.file, f"{node.place}.{name}", f"the unknown field {name!r}", "size and counts"
            )
    height, width = (_whole(side, 1) for side in _pair(node["size"]))
    counts = node["counts"]
    return RLE.from_coco(
        {"size": [height, width], "counts": _text(counts) if isinstance(counts.value, str) else counts.value}
    )


def _pair(node: Node) -> Sequence[Node]:
    if len(node.list()) != 2:
        raise node.error("[height, width]")
    return node.list()


def _numbers(node: Node, count: int) -> list[float]:
    entries = node.list()
    if len(entries) != count:
        raise node.error(f"{count} numbers")
    return [_finite(entry) for entry in entries]


def _moved(error: DataError, node: Node) -> DataError:
    """An error of a part that does not know its file stands at `node`."""
    if error.file:
        return error
    return DataError(
        node.file, f"{node.place}{_dot(node.place, error.place)}{error.place}", error.found, error.expected
    )


# The conversation


def _conversation(node: Node, reading: _Reading) -> list[Round]:
    turns = node.list()
    if not turns:
        raise node.error("a question and its answer")
    rounds: list[Round] = []
    for place in range(0, len(turns), 2):
        with reading.part(turns[place].place):
            _check_role(turns[place], "user")
            if place + 1 == len(turns):
                raise turns[place].error("an assistant's turn behind this one")
            _check_role(turns[place + 1], "assistant")
            rounds.append(_round(turns[place], turns[place + 1], reading))
    return rounds


def _check_role(turn: Node, role: str) -> None:
    if turn["role"].text() != role:
        raise turn["role"].error(f"{role!r}: turns alternate, and the user begins")


def _round(asked: Node, said: Node, reading: _Reading) -> Round:
    kind = _only(asked, ("text", "expression", "describe"))
    name = asked.get("id")
    id = _text(name) if name and isinstance(name.value, str) else name.name() if name else ""
    if kind == "expression":
        return _find(asked, said, id, reading)
    if kind == "describe":
        _check_fields(asked, reading, ("role", "describe", "style", "id"))
        _check_fields(said, reading, ("role", "text"))
        style = asked.get("style")
        chosen = _chosen(style, get_args(Style)) if style else "detailed"
        return Describe(_whole(asked["describe"]), _words(said["text"]), cast(Style, chosen), id)
    if asked.get("options"):
        return _choice(asked, said, id, reading)
    _check_fields(asked, reading, ("role", "text", "id"))
    _check_fields(said, reading, ("role", "text"))
    return Exchange(_words(asked["text"]), _words(said["text"]), id)


def _find(asked: Node, said: Node, id: str, reading: _Reading) -> Find:
    _check_fields(asked, reading, ("role", "expression", "form", "part", "id"))
    _check_fields(said, reading, ("role", "masks", "text"), ("masks",))
    form, part, text = asked.get("form"), asked.get("part"), said.get("text")
    return Find(
        text=_words(asked["expression"]),
        masks=tuple(_whole(entry) for entry in said["masks"].list()),
        form=cast(Form, _chosen(form, get_args(Form))) if form else "query",
        answer=_words(text) if text else "",
        part=_words(part) if part else "",
        id=id,
    )


def _choice(asked: Node, said: Node, id: str, reading: _Reading) -> Choice:
    _check_fields(asked, reading, ("role", "text", "options", "id"))
    _check_fields(said, reading, ("role", "option"))
    options = tuple(_words(option) for option in asked["options"].list())
    if not 2 <= len(options) <= 26:
        raise asked["options"].error("2 to 26 options")
    letters = [chr(ord("A") + place) for place in range(len(options))]
    letter = said.get("option")
    key = None if letter is None else letters.index(_chosen(letter, letters))
    return Choice(_words(asked["text"]), options, key, id)


_READERS: tuple[tuple[str, str, Callable[[Node, _Reading], Any]], ...] = (
    ("id", "id", lambda node, _: _words(node)),
    ("task", "task", _task),
    ("media", "media", _media),
    ("conversation", "rounds", _conversation),
    ("objects", "objects", _objects),
    ("annotated", "annotated", _annotated),
    ("key_frame", "key_frame", lambda node, _: _whole(node)),
    ("free_ids", "free_ids", lambda node, _: _flag(node)),
    ("ignored", "ignored", _regions),
    ("facts", "facts", lambda node, _: _facts(node)),
)
