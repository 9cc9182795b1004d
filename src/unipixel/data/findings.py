"""What was found wrong with items before, so that a second look at the same content costs little.

An item's key names all that it is made of: its text, and path, size and time of every file behind it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from unipixel.core.writing import replacing
from unipixel.data.files import Node, inside
from unipixel.data.jsonl.parts import MaskPicture
from unipixel.data.jsonl.samples import PlacedMasks
from unipixel.errors import DataError, OutputError

_VERSION = 1  # of the checks: what an older one found does not count

Report: TypeAlias = Callable[[DataError], None]
_Told: TypeAlias = tuple[str, str, str, str]  # the parts of a DataError


@dataclass
class Findings:
    """Problems by the keys of items, kept in one file below `folder`; without a folder nothing is kept.

    A context manager: what was found is written at its end, in whatever way it comes. A file that cannot be
    read or written costs a second look, and nothing else.

    Attributes:
        folder: the cache.
        name: of what is checked: another name, another file.
        known: how many items needed no look.
    """

    folder: Path | None
    name: str
    known: int = 0
    _before: dict[str, list[_Told]] = field(default_factory=dict, repr=False)
    _now: dict[str, list[_Told]] = field(default_factory=dict, repr=False)

    def __enter__(self) -> Findings:
        self._before = self._load()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.folder is None or self._now.keys() == self._before.keys():
            return
        kept = self._now if kind is None else self._before | self._now
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._file) as temporary:
                temporary.write_text(json.dumps(kept), encoding="utf-8")
        except (OSError, OutputError):
            return

    def look(self, key: str, find: Callable[[Report], None], report: Report) -> None:
        """Tell `report` all problems of an item: those that are known, or those that `find` finds."""
        if key in self._before:
            self.known += 1
            for told in self._before[key]:
                report(DataError(*told))
            self._now[key] = self._before[key]
            return
        found: list[_Told] = []

        def listen(problem: DataError) -> None:
            found.append((problem.file, problem.place, problem.found, problem.expected))
            report(problem)

        find(listen)
        self._now[key] = found

    @property
    def _file(self) -> Path:
        assert self.folder is not None, "asked only where something is kept"
        return self.folder / f"check-{_hashed(self.name)}.json"

    def _load(self) -> dict[str, list[_Told]]:
        if self.folder is None:
            return {}
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if _is_sound(content) else {}


def _is_sound(content: Any) -> bool:
    return isinstance(content, dict) and all(
        isinstance(told, list)
        and all(len(parts) == 4 and all(isinstance(part, str) for part in parts) for parts in told)
        for told in content.values()
    )


def key_of(text: object, files: Iterator[Path]) -> str:
    """Names an item: what is written of it, and the files behind it."""
    return _hashed(f"{_VERSION}\0{text}\0" + "\0".join(sorted({_stamp(file) for file in files})))


def files_behind(value: object) -> Iterator[Path]:
    """Every file that a sample, or a part of one, is read from."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, PlacedMasks):
        shapes = [placed.region.shape for regions in value.objects for placed in regions]
        yield from (inside(value.root, shape.path) for shape in shapes if isinstance(shape, MaskPicture))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from files_behind(part)
    elif is_dataclass(value):
        file = value.file if isinstance(value, Node) else getattr(value, "file", None)
        if isinstance(file, Path):
            yield file  # what else it has was read from there
            return
        for part in fields(value):
            yield from files_behind(getattr(value, part.name))


def _stamp(file: Path) -> str:
    try:
        state = file.stat()
    except (OSError, ValueError):
        return f"{file} missing"
    return f"{file} {state.st_size} {state.st_mtime_ns}"


def _hashed(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
