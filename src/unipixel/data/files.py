"""Reading files that others wrote, safely: JSON, pickles, paths, long annotation files.

Whatever is wrong with a file becomes a DataError with the file and the place in it.

Paths. Annotations name files by relative paths, and `inside` puts them together with the data root. Absolute
paths and `..` are refused by their spelling, without looking at the disk. Symbolic links are followed: large
data often lives on another disk, and a link is made by whoever owns the folder, never by an annotation.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import pickle
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from json.decoder import WHITESPACE, scanstring  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from unipixel.core.frames import reason
from unipixel.errors import DataError

_WINDOW = 1 << 24  # bytes of a long file that are looked at together
_ENDS = 1 << 16  # bytes at either end of a file that tell its content
_SPACES = (b" ", b"\t", b"\r", b"\n")
_INDEX_VERSION = 1
_KEPT_FROM = 1 << 20  # bytes of a file from which on it is worth keeping what was found

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
    """Files of a folder with one of the endings (".jpg"), by the number in their names (benchmarks.md 0).

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
        return float(self.value)

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


def read_bytes(file: Path) -> bytes:
    """The content of a file; DataError when it cannot be had."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise DataError(file, "", "no such file", "a file here; is the root the `data` folder?") from None
    except OSError as error:
        raise DataError(file, "", f"a file that cannot be read ({reason(error)})", "its content") from error


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
        with file.open("rb") as stream:
            return Node(file, "", _PlainUnpickler(stream, encoding="utf-8").load())
    except _Forbidden as error:
        raise DataError(
            file,
            "",
            f"a pickle that wants {error}",
            "plain containers, text and numbers; do not trust this file",
        ) from None
    except FileNotFoundError:
        raise DataError(file, "", "no such file", "a file here; is the root the `data` folder?") from None
    except OSError as error:
        raise DataError(file, "", f"a file that cannot be read ({reason(error)})", "its content") from error
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


# Long files: one JSON array or object whose items are parsed one at a time


@dataclass(frozen=True, eq=False)
class JsonArray:
    """A file that holds one JSON array; items are parsed when they are asked for.

    Opening reads the file once to find where its items begin, and keeps that under `cache`; as long as the
    file stays the same, opening it again costs next to nothing. No file stays open.
    """

    file: Path
    spans: NDArray[np.int64]
    cache: Path | None = None

    @classmethod
    def open(cls, file: Path, cache: Path | None = None) -> JsonArray:
        """Find the items; `cache` is a folder for what was found, None keeps nothing.

        Raises:
            DataError: the file is missing, no JSON, or no array.
        """
        _, spans = _indexed(file, cache, b"[")
        return cls(file, spans, cache)

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, index: int) -> Node:
        """Item `index`, 0 <= index < len."""
        return _item(self.file, self.spans[index], f"[{index}]")

    def __iter__(self) -> Iterator[Node]:
        """All items in one pass over the file."""
        with self.file.open("rb") as stream:
            at = 0
            for index, (start, stop) in enumerate(self.spans.tolist()):
                text, place, at = stream.read(stop - at)[start - at :], f"[{index}]", stop
                yield Node(self.file, place, parse_json(text, self.file, place))

    def where(self, keep: Callable[[Node], bool], name: str) -> NDArray[np.int64]:
        """Places of the items that a filter keeps, increasing; found once for each `name` and kept.

        Whoever changes a filter gives it another name.
        """
        kept = _load_index(self.file, self.cache, name)
        if kept is None:
            found = [index for index, item in enumerate(self) if keep(item)]
            kept = {"places": np.asarray(found, dtype=np.int64)}
            _save_index(self.file, self.cache, name, kept)
        return kept["places"]

    def parts(self, choose: Callable[[Node], Iterable[int]], name: str) -> NDArray[np.int64]:
        """[N, 2] places of items and, in each, of what is chosen of it; kept as in `where`."""
        kept = _load_index(self.file, self.cache, name)
        if kept is None:
            found = [(index, part) for index, item in enumerate(self) for part in choose(item)]
            kept = {"places": np.asarray(found, dtype=np.int64).reshape(-1, 2)}
            _save_index(self.file, self.cache, name, kept)
        return kept["places"]


@dataclass(frozen=True, eq=False)
class JsonTable:
    """A file that holds one JSON object; values are parsed when they are asked for. See JsonArray."""

    file: Path
    spans: NDArray[np.int64]
    keys: tuple[str, ...]

    @classmethod
    def open(cls, file: Path, cache: Path | None = None) -> JsonTable:
        """Find the values; DataError when the file is missing, no JSON, or no object."""
        keys, spans = _indexed(file, cache, b"{")
        return cls(file, spans, keys)

    @cached_property
    def _places(self) -> dict[str, int]:
        """Of a repeated name the last one counts, as everywhere in JSON."""
        return {key: place for place, key in enumerate(self.keys)}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __getitem__(self, key: str) -> Node:
        """The value of a name; DataError where there is none."""
        if key not in self._places:
            raise DataError(self.file, key, "nothing", f"one of the {len(self)} entries of this file")
        return _item(self.file, self.spans[self._places[key]], key)


def default_cache() -> Path:
    """The folder for what was found out about long files: the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "unipixel" / "data"


def _item(file: Path, span: NDArray[np.int64], place: str) -> Node:
    start, stop = (int(value) for value in span)
    try:
        with file.open("rb") as stream:
            stream.seek(start)
            text = stream.read(stop - start)
    except OSError as error:
        raise DataError(
            file, place, f"a file that cannot be read ({reason(error)})", "its content"
        ) from error
    return Node(file, place, parse_json(text, file, place))


def _indexed(file: Path, cache: Path | None, opening: bytes) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names (none in an array) and [N, 2] first and last-plus-one bytes of the items."""
    kept = _load_index(file, cache, f"items {opening!r}")
    if kept is None:
        keys, spans = _scan(file, opening)
        text = json.dumps(keys).encode("utf-8")
        kept = {"spans": spans, "keys": np.frombuffer(text, dtype=np.uint8)}
        _save_index(file, cache, f"items {opening!r}", kept)
    return tuple(json.loads(kept["keys"].tobytes())), kept["spans"]


def _scan(file: Path, opening: bytes) -> tuple[list[str], NDArray[np.int64]]:
    try:
        with file.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size == 0:
                raise DataError(file, "", "an empty file", "JSON")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
                return _Scanner(file, view, opening).items()
    except FileNotFoundError:
        raise DataError(file, "", "no such file", "a file here; is the root the `data` folder?") from None
    except OSError as error:
        raise DataError(file, "", f"a file that cannot be read ({reason(error)})", "its content") from error


class _Scanner:
    """Walks over the items of one long array or object, a window of the file at a time.

    Bytes are looked at as Latin-1, so that characters and bytes count alike; what has a meaning in JSON is
    ASCII. An item that does not end inside the window is tried again with a window that begins at it.
    """

    def __init__(self, file: Path, view: mmap.mmap, opening: bytes) -> None:
        self.file, self.view, self.named = file, view, opening == b"{"
        self.closing = "}" if self.named else "]"
        self.parse = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
        start = 3 if view[:3] == b"\xef\xbb\xbf" else 0
        while view[start : start + 1] in _SPACES:
            start += 1
        if view[start : start + 1] != opening:
            found = f"a file that begins with {str(view[start : start + 1], 'latin-1')!r}"
            raise DataError(file, "", found, f"{'an object' if self.named else 'a list'} in JSON")
        self._move(start + 1, _WINDOW)

    def items(self) -> tuple[list[str], NDArray[np.int64]]:
        keys: list[str] = []
        spans: list[int] = []
        is_first = True
        while True:
            try:
                found = self._next(is_first)
            except (ValueError, StopIteration, IndexError, RecursionError) as error:
                self._widen(error)
                continue
            is_first = False
            if found is None:
                self._check_end()
                return keys, np.asarray(spans, dtype=np.int64).reshape(-1, 2)
            key, start, stop, self.at = found
            spans += (self.base + start, self.base + stop)
            if self.named:
                keys.append(key)

    def _next(self, is_first: bool) -> tuple[str, int, int, int] | None:
        """(name, first, last plus one, where to go on) of the next item; None behind the last one."""
        text, key = self.text, ""
        at = WHITESPACE.match(text, self.at).end()
        if is_first and text[at] == self.closing:
            return None
        if not is_first:
            if text[at] == self.closing:
                return None
            self._expect(",", at)
            at = WHITESPACE.match(text, at + 1).end()
        if self.named:
            self._expect('"', at)
            _, stop = scanstring(text, at + 1, True)
            key = json.loads(text[at:stop].encode("latin-1"))
            at = WHITESPACE.match(text, stop).end()
            self._expect(":", at)
            at = WHITESPACE.match(text, at + 1).end()
        stop = self.parse(text, at)[1]
        if WHITESPACE.match(text, stop).end() == len(text):
            raise IndexError("a number may go on behind the window")
        return key, at, stop, stop

    def _check_end(self) -> None:
        """Nothing but space may follow."""
        end = WHITESPACE.match(self.text, self.at).end() + 1
        end += self.base
        rest = self.view[end:]
        if rest.strip(b"".join(_SPACES)):
            line = self.view[:end].count(b"\n") + 1
            raise DataError(self.file, f"line {line}", "more behind the end of the JSON", "one JSON value")

    def _expect(self, character: str, at: int) -> None:
        if self.text[at] != character:
            raise json.JSONDecodeError(f"Expecting {character!r}", self.text, at)

    def _move(self, base: int, size: int) -> None:
        self.base, self.size = base, size
        self.text = str(self.view[base : base + size], "latin-1")
        self.at = 0

    def _widen(self, error: Exception) -> None:
        """Begin the window at the item, wider if it did already; at the end of the file the error is real."""
        if self.base + len(self.text) < len(self.view):
            self._move(self.base + self.at, self.size * 2 if self.at == 0 else _WINDOW)
            return
        at = error.pos if isinstance(error, json.JSONDecodeError) else len(self.text)
        if isinstance(error, StopIteration):
            at = int(error.value)
        at += self.base
        line = self.view[:at].count(b"\n") + 1
        column = at - self.view.rfind(b"\n", 0, at)
        message = error.msg if isinstance(error, json.JSONDecodeError) else "it ends or breaks off here"
        raise DataError(self.file, f"line {line} column {column}", f"no JSON ({message})", "JSON") from None


def remembered(
    file: Path, cache: Path | None, name: str, find: Callable[[], dict[str, NDArray[Any]]]
) -> dict[str, NDArray[Any]]:
    """What `find` tells about a long file, kept under `cache` until the file changes; None keeps nothing.

    Whoever changes what `find` tells gives it another name.
    """
    found = _load_index(file, cache, name)
    if found is None:
        found = find()
        _save_index(file, cache, name, found)
    return found


def _stamp(file: Path) -> str:
    """Tells one content of a file from another: its path, size, time and both ends."""
    state = file.stat()
    told = hashlib.blake2b(f"{_INDEX_VERSION} {file.resolve()} {state.st_size} {state.st_mtime_ns}".encode())
    with file.open("rb") as stream:
        told.update(stream.read(_ENDS))
        stream.seek(max(0, state.st_size - _ENDS))
        told.update(stream.read(_ENDS))
    return told.hexdigest()[:32]


def _is_long(file: Path) -> bool:
    return file.is_file() and file.stat().st_size >= _KEPT_FROM


def _index_file(file: Path, cache: Path, name: str) -> Path:
    return cache / f"{_stamp(file)}-{hashlib.blake2b(name.encode()).hexdigest()[:16]}.npz"


def _load_index(file: Path, cache: Path | None, name: str) -> dict[str, NDArray[Any]] | None:
    """What was kept; None if nothing was, or if it is damaged, since it can be found again."""
    if cache is None or not _is_long(file):
        return None
    try:
        with np.load(_index_file(file, cache, name), allow_pickle=False) as kept:
            return dict(kept)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _save_index(file: Path, cache: Path | None, name: str, found: Mapping[str, NDArray[Any]]) -> None:
    """Keep it; where nothing can be written the next opening takes as long as this one."""
    if cache is None or not _is_long(file):
        return
    try:
        cache.mkdir(parents=True, exist_ok=True)
        target = _index_file(file, cache, name)
        with tempfile.NamedTemporaryFile(dir=cache, suffix=".npz", delete=False) as stream:
            np.savez(stream, **found)  # type: ignore[arg-type]
        os.replace(stream.name, target)
    except OSError:
        return
