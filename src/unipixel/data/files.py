"""Reading files that others wrote, safely: JSON, pickles, paths. Files too long to be read at once are in
`data.long_json`.

Whatever is wrong with a file becomes a DataError with the file and the place in it.

Paths. Annotations name files by relative paths, and `inside` puts them together with the data root. Absolute
paths and `..` are refused by their spelling, without looking at the disk. Symbolic links are followed: large
data often lives on another disk, and a link is made by whoever owns the folder, never by an annotation.
"""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from unipixel.core.frames import reason
from unipixel.errors import DataError

EXPECTED_FILE = "a file here (the root is the `data` folder)"
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")

# What the unpickler raises on damaged or hostile bytes.
_PICKLE_FAILURES = (
    *(pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, TypeError, AttributeError),
    *(MemoryError, OverflowError, RecursionError),
)


# Paths


def inside(root: Path, *parts: str) -> Path:
    """The path `root/part/part...`, of which no part may lead out of the root.

    Raises:
        DataError: a part is empty, absolute, has `..` in it, or characters that no file name has.
    """
    for part in parts:
        pieces = re.split(r"[/\\]", part)
        bad = not part.strip() or pieces[0] == "" or ".." in pieces or "\0" in part
        if bad or re.match(r"[A-Za-z]:", part):
            raise DataError(root, "", f"the path {part!r}", "a relative path that stays inside this folder")
    return root.joinpath(*parts)


def list_numbered(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files of a folder with one of the endings (".jpg"), by the number in their names.

    The number is what is left of the name without ending after its leading non-digits (`frame_000012` is
    12); names without one come by their spelling, behind. Hidden files do not count.

    Raises:
        DataError: there is no such folder, or it cannot be listed.
    """
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise DataError(folder, "", f"no folder to list ({reason(error)})", "a folder of frames") from error
    found = [name for name in names if name.lower().endswith(suffixes) and not name.startswith(".")]
    return [folder / name for name in sorted(found, key=_number_in)]


def _number_in(name: str) -> tuple[bool, int, str]:
    digits = re.match(r"\D*(\d+)", name.rpartition(".")[0])
    return (digits is None, int(digits[1]) if digits else 0, name)


# Values with their place


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a JSON or pickle file that knows where it stands, so that what is wrong can be named.

    Attributes:
        file: the file.
        place: the way to the value: `videos.3f.frames[2]`; empty for the whole file.
        value: plain containers, text and numbers.
    """

    file: Path
    place: str
    value: Any

    def __getitem__(self, key: str | int) -> Node:
        """A field of an object, or an item of a list; DataError where there is none."""
        value, is_item = self.value, isinstance(key, int)
        if not isinstance(value, (list, tuple) if is_item else dict):
            raise self.error("a list" if is_item else f'an object with "{key}"')
        try:
            found: Any = cast(Any, value)[key]
            return Node(self.file, self._at(key), found)
        except (KeyError, IndexError):
            raise DataError(
                self.file, self._at(key), "nothing", "this item" if is_item else "this field"
            ) from None

    def get(self, key: str) -> Node | None:
        """A field of an object; None where it is missing or null."""
        fields = self.mapping()
        return None if fields.get(key) is None else Node(self.file, self._at(key), fields[key])

    def text(self) -> str:
        """The value as text."""
        if not isinstance(self.value, str):
            raise self.error("text")
        return self.value

    def name(self) -> str:
        """The value as a name: text, or a whole number spelled out (ids come as both)."""
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return str(self.value)
        return self.text()

    def integer(self) -> int:
        """The value as a whole number; digits in quotes count (some files have `"obj_id": "3"`)."""
        if isinstance(self.value, bool) or not _WHOLE.fullmatch(str(self.value)):
            raise self.error("a whole number")
        return int(self.value)

    def number(self) -> float:
        """The value as a number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.error("a number")
        try:
            return float(self.value)
        except OverflowError:
            raise self.error("a smaller number") from None

    def mapping(self) -> Mapping[str, Any]:
        """The value as an object, without the places of its fields."""
        if not isinstance(self.value, dict):
            raise self.error("an object")
        return self.value

    def items(self) -> Iterator[tuple[str, Node]]:
        """Names and values of an object, in the order of the file."""
        for key, value in self.mapping().items():
            yield str(key), Node(self.file, self._at(str(key)), value)

    def list(self) -> Sequence[Node]:
        """The items of a list (or tuple, in a pickle)."""
        if not isinstance(self.value, list | tuple):
            raise self.error("a list")
        return [Node(self.file, self._at(number), value) for number, value in enumerate(self.value)]

    def error(self, expected: str) -> DataError:
        """A DataError that names the file, the place and what is there; the caller raises it."""
        return DataError(self.file, self.place, _told(self.value), expected)

    def _at(self, key: str | int) -> str:
        if isinstance(key, int):
            return f"{self.place}[{key}]"
        return f"{self.place}.{key}" if self.place else key


def _told(value: object) -> str:
    """A value as an error tells it: short, and by its kind where it is a container."""
    if isinstance(value, dict | list | tuple):
        kind = "an object" if isinstance(value, dict) else "a list"
        return f"{kind} with {len(value)} items" if value else f"{kind} with nothing in it"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


# Whole files


@contextmanager
def reading(file: Path, place: str = "", expected: str = EXPECTED_FILE) -> Iterator[None]:
    """Inside, a file is opened or read: that it is missing or cannot be read becomes a DataError."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(file, place, "no such file", expected) from None
    except OSError as error:
        raise DataError(
            file, place, f"a file that cannot be read ({reason(error)})", "its content"
        ) from error


def read_bytes(file: Path) -> bytes:
    """The content of a file; DataError when it cannot be had."""
    with reading(file):
        return file.read_bytes()


def read_json(file: Path, fallback: str | None = None) -> Node:
    """A JSON file (UTF-8, with or without byte order mark).

    Args:
        file: the file.
        fallback: encoding of files that are not UTF-8, for data sets in which some are (ReasonSeg).

    Raises:
        DataError: it is missing or no JSON; the message has line and column.
    """
    content = read_bytes(file)
    if fallback is not None and not _is_utf8(content):
        content = content.decode(fallback, "replace").encode("utf-8")
    return Node(file, "", parse_json(content, file, ""))


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def parse_json(text: bytes, file: Path, place: str) -> Any:
    """JSON text that stands at `place` of `file`; DataError with line and column when it is none."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise DataError(file, f"{place} {where}".strip(), f"no JSON ({error.msg})", "JSON") from None
    except UnicodeDecodeError as error:
        raise DataError(file, place, f"bytes that are no text ({error.reason})", "UTF-8") from None
    except ValueError as error:  # a number of thousands of digits
        raise DataError(file, place, f"no JSON ({error})", "JSON") from None
    except RecursionError:
        raise DataError(file, place, "lists within lists without end", "an annotation") from None


def read_pickle(file: Path) -> Node:
    """A pickle of plain containers, text, bytes and numbers. Nothing in it is ever called.

    Text that Python 2 wrote is taken for UTF-8.

    Raises:
        DataError: it is missing, damaged, or asks for anything else; the message has that thing's name.
    """
    try:
        with reading(file), file.open("rb") as stream:
            return Node(file, "", _PlainUnpickler(stream, encoding="utf-8").load())
    except _Forbidden as error:
        raise DataError(
            file,
            "",
            f"a pickle that wants {error}",
            "plain containers, text and numbers; do not trust this file",
        ) from None
    except DataError:  # which is a ValueError
        raise
    except _PICKLE_FAILURES as error:
        raise DataError(file, "", f"no pickle ({error})", "the file as published; fetch it again") from error


class _Forbidden(Exception):
    """A pickle names something that is no plain container; its text is the dotted name."""


def _latin_bytes(text: str, encoding: str) -> bytes:
    """How pickles of protocol 2 and older spell bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise _Forbidden(f"_codecs.encode with {encoding!r}")
    return text.encode("latin-1")


_PLAIN: Mapping[tuple[str, str], Callable[..., Any]] = {
    **{
        (module, name): kind
        for module in ("builtins", "__builtin__")
        for name, kind in (("set", set), ("frozenset", frozenset), ("bytearray", bytearray))
    },
    ("_codecs", "encode"): _latin_bytes,
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _PLAIN[module, name]
        except KeyError:
            raise _Forbidden(f"{module}.{name}") from None

    def persistent_load(self, identity: Any) -> Any:
        raise _Forbidden(f"the outside object {identity!r:.60}")
