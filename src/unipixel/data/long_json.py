"""Long annotation files: one JSON array or object whose items are parsed one at a time, and what was found
out about such files, kept until they change.

Whatever is wrong with a file becomes a DataError with the file and the place in it.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from json.decoder import WHITESPACE, scanstring  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unipixel.data.files import Node, parse_json, reading
from unipixel.errors import DataError

_WINDOW = 1 << 24  # bytes of a long file that are looked at together
_ENDS = 1 << 16  # bytes at either end of a file that tell its content
_SPACES = (b" ", b"\t", b"\r", b"\n")
_UNFINISHED = re.compile(r"[-+.eE0-9]*\Z")
_INDEX_VERSION = 1
_KEPT_FROM = 1 << 20  # bytes of a file from which on it is worth keeping what was found


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
    with reading(file, place), file.open("rb") as stream:
        stream.seek(start)
        text = stream.read(stop - start)
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
    with reading(file), file.open("rb") as stream:
        if os.fstat(stream.fileno()).st_size == 0:
            raise DataError(file, "", "an empty file", "JSON")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return _Scanner(file, view, opening).items()


def may_go_on(text: str, stop: int) -> bool:
    """Whether a value that was read up to `stop` may be a number that goes on behind the text: of `1.` and
    `1e-` only the 1 is read."""
    return _UNFINISHED.match(text, stop) is not None


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
        if may_go_on(text, stop):
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
