"""The folder of results while it grows: what is done, what is begun, and nothing twice.

archive.json            settings; a run with others is refused
parts/<name>.jsonl      finished items, appended by one process each, which holds the file locked
windows/<digest>.jsonl  finished windows of items that are not finished (or not all of whose windows went
                        well)
annotations.jsonl       all items in the order of the input, once all are done; the parts are gone then
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from unipixel.archive.items import Item
from unipixel.archive.lines import LineHead, Place, places
from unipixel.archive.units import Unit, read_unit, step_line, unit_line
from unipixel.core.frames import reason
from unipixel.core.writing import replacing
from unipixel.errors import ConfigError, OutputError
from unipixel.evaluation.predictions import claim

ANNOTATIONS, PARTS, WINDOWS, LOCK = "annotations.jsonl", "parts", "windows", ".assembling"
_WORTH = {"failed": 0, "partly": 1, "done": 2}
_PATIENCE = 0.2
"""Seconds between two looks whether another process has let go of a file."""
_LOOKS = 25
"""So often is looked whether a part is still written before its writer is left to put all together."""


@dataclass(frozen=True)
class Store:
    """A folder of results."""

    folder: Path

    @property
    def annotations(self) -> Path:
        return self.folder / ANNOTATIONS

    def parts(self) -> list[Path]:
        """Files of finished items beside the annotations, oldest first."""
        folder = self.folder / PARTS
        found = folder.glob("*.jsonl") if folder.is_dir() else ()
        return sorted(found, key=lambda file: (file.stat().st_mtime_ns, file.name))

    def known(self) -> dict[str, Place]:
        """Where every finished item is: of several places the one where most could be done, of those the
        last."""
        while True:
            try:
                parts = self.parts()  # before the annotations, into which they may go meanwhile
                return _best([*([self.annotations] if self.annotations.is_file() else []), *parts])
            except FileNotFoundError:  # another process has put all together since they were listed
                continue

    @contextmanager
    def journal(self, item: Item) -> Iterator[Journal]:
        """The journal of an item, which only this process writes.

        Raises:
            OutputError: it cannot be written, is damaged, or another process works on the item now.
        """
        with _held(self._journal_file(item)) as stream:
            yield Journal.open(Path(stream.name), stream)

    def _journal_file(self, item: Item) -> Path:
        name = hashlib.sha256(f"{item.id}\0{item.digest}".encode()).hexdigest()[:24]
        return self.folder / WINDOWS / f"{name}.jsonl"

    @contextmanager
    def appending(self, name: str) -> Iterator[Part]:
        """A part that only this process writes, whose half-written end is cut off first.

        Raises:
            OutputError: the folder cannot be written, or another process writes this part now.
        """
        file = self.folder / PARTS / f"{name}.jsonl"
        with ExitStack() as held:
            with self._alone():  # else it might be put together with the others just now
                stream = held.enter_context(_held(file))
            stream.truncate(max((place.offset + place.nbytes for place in places(file)), default=0))
            yield Part(stream)

    def assemble(self, items: Sequence[Item]) -> bool:
        """Put all parts together in the order of the items; False, and nothing is done, while some are
        missing or a part is still written (by another shard, which will do it when it ends). Items that are
        no longer asked for stay, behind the others."""
        if not self.parts():  # also where nothing may be written
            known = self.known()
            return all(item.id in known for item in items)
        with self._alone():
            known = self.known()
            if any(item.id not in known for item in items):
                return False
            parts = self.parts()
            if not all(map(_is_let_go, parts)):
                return False
            known = self.known()  # now that nobody writes any more
            wanted = [known.pop(item.id) for item in items]
            if parts:
                self._join([*wanted, *known.values()], parts)
            self._forget_windows([item for item, place in zip(items, wanted, strict=True) if place.is_done])
        return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Inside, no other process is here: of several shards that end at once the first assembles."""
        lock = self.folder / LOCK
        try:
            with ExitStack() as held:
                while not _take(lock, held):
                    time.sleep(_PATIENCE)
                held.callback(lock.unlink, missing_ok=True)
                yield
        except OSError as error:
            raise OutputError(
                f"{self.folder} cannot be written ({reason(error)}); is there room on the disk, and may "
                "it be written?"
            ) from error

    def _forget_windows(self, done: Sequence[Item]) -> None:
        """Delete the journals of finished items (a process may be killed before it does), and empty
        folders."""
        if (self.folder / WINDOWS).is_dir():
            for item in done:
                self._journal_file(item).unlink(missing_ok=True)
        for folder in (self.folder / PARTS, self.folder / WINDOWS):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _join(self, order: Sequence[Place], parts: Sequence[Path]) -> None:
        if len(parts) == 1 and not self.annotations.exists() and _is_in_order(order, parts[0]):
            parts[0].replace(self.annotations)
        else:
            with replacing(self.annotations) as temporary, temporary.open("wb") as stream:
                for place in order:
                    place.copy_to(stream)
                _to_disk(stream)
        _names_to_disk(self.folder)  # before what they replace goes
        for part in parts:
            part.unlink(missing_ok=True)


def _best(files: Iterable[Path]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for place in (place for file in files for place in places(file)):
        before = found.get(place.head.item)
        if before is None or _WORTH[place.head.status] >= _WORTH[before.head.status]:
            found[place.head.item] = place
    return found


@contextmanager
def _held(file: Path) -> Iterator[BinaryIO]:
    """Open a file for appending, and lock it. OutputError if it cannot be written, or another process holds
    it."""
    try:
        with ExitStack() as held:
            stream = None
            while stream is None:
                file.parent.mkdir(parents=True, exist_ok=True)
                stream = _open_locked(file, held)
            _names_to_disk(file.parent)
            yield stream
    except (BrokenPipeError, ConnectionResetError):  # of whoever listens; not of a disk
        raise
    except OSError as error:
        raise OutputError(
            f"{file} cannot be written ({reason(error)}); is there room on the disk, and may it be written?"
        ) from error


def _open_locked(file: Path, held: ExitStack) -> BinaryIO | None:
    """None if another process deleted the file before it was locked: then it is to be opened anew."""
    with ExitStack() as mine:
        try:
            stream = mine.enter_context(file.open("ab"))
            claim(stream, file)
            if not os.path.samestat(os.fstat(stream.fileno()), file.stat()):
                return None
        except FileNotFoundError:
            return None
        held.push(mine.pop_all())
        return stream


def _take(file: Path, held: ExitStack) -> bool:
    """Lock a file until `held` ends; False if another process holds it."""
    try:
        return _open_locked(file, held) is not None
    except OutputError:
        return False


def _is_let_go(part: Path) -> bool:
    """Whether nobody writes a part any more, or soon."""
    for _ in range(_LOOKS):
        with ExitStack() as mine:
            if _take(part, mine):
                return True
        time.sleep(_PATIENCE)
    return False


def _is_in_order(order: Sequence[Place], file: Path) -> bool:
    offset = 0
    for place in order:
        if place.file != file or place.offset != offset:
            return False
        offset += place.nbytes
    return offset == file.stat().st_size


@dataclass(frozen=True, eq=False)
class Part:
    """Appends finished items, each of them safe on the disk when `write` returns."""

    stream: BinaryIO

    def write(self, lines: Iterable[bytes]) -> int:
        """All lines of one item or of several; their bytes."""
        count = 0
        for line in lines:
            self.stream.write(line)
            count += len(line)
        _to_disk(self.stream)
        return count


@dataclass
class Journal:
    """The finished steps of one item. Units are read from the disk when they are needed, so that a long
    recording takes no more memory than a short one. `stream` appends to `file`."""

    file: Path
    stream: BinaryIO
    places: dict[tuple[int, int], int] = field(default_factory=dict)
    failed: set[tuple[int, int]] = field(default_factory=set)
    steps: set[int] = field(default_factory=set)
    size: int = 0

    @classmethod
    def open(cls, file: Path, stream: BinaryIO) -> Journal:
        """What is in a file; behind the last whole step nothing counts. OutputError for a damaged one."""
        found = cls(file, stream)
        with file.open("rb") as written:
            offset, pending = 0, list[tuple[int, Unit]]()
            for line in written:
                if not line.endswith(b"\n"):
                    break
                entry = _entry(line, file)
                if "step" in entry:
                    found._take(entry["step"], pending)
                    pending, found.size = [], offset + len(line)
                else:
                    pending.append((offset, read_unit(entry)))
                offset += len(line)
        return found

    def add(self, step: int, units: Sequence[Unit]) -> None:
        """Keep the units of a step; they are safe on the disk when this returns."""
        self.stream.truncate(self.size)
        offset, pending = self.size, []
        for unit in units:
            pending.append((offset, unit))
            offset += self.stream.write(unit_line(unit))
        offset += self.stream.write(step_line(step))
        _to_disk(self.stream)
        self._take(step, pending)
        self.size = offset

    def _take(self, step: int, units: Sequence[tuple[int, Unit]]) -> None:
        self.steps.add(step)
        for offset, unit in units:
            key = unit.window, unit.query
            self.places[key] = offset
            self.failed.discard(key)
            if unit.failed:
                self.failed.add(key)

    def read(self, window: int, query: int) -> Unit | None:
        """A unit; None if there is none."""
        if (window, query) not in self.places:
            return None
        with self.file.open("rb") as stream:
            stream.seek(self.places[window, query])
            return read_unit(json.loads(stream.readline()))

    def window(self, number: int, queries: Iterable[int]) -> dict[int, Unit]:
        """The units of a window, by query."""
        found = ((query, self.read(number, query)) for query in queries)
        return {query: unit for query, unit in found if unit is not None}

    def delete(self) -> None:
        self.file.unlink(missing_ok=True)


def _entry(line: bytes, file: Path) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise OutputError(f"{file} holds a line that is damaged ({error}); delete that file") from error
    if not isinstance(entry, dict):
        raise OutputError(f"{file} holds a line that is damaged ({line!r:.40}); delete that file")
    return entry


def check_same(items: Sequence[Item], known: dict[str, Place]) -> None:
    """ConfigError if an item that is done asked for something else then."""
    for item in items:
        place = known.get(item.id)
        if place is not None and place.head.digest != item.digest:
            raise ConfigError(
                f"{item.id} was annotated with other questions, objects or files; ask for the same, or "
                "choose another folder"
            )


def is_left(item: Item, known: dict[str, Place], retry: bool) -> bool:
    """Whether an item is to be done."""
    head: LineHead | None = known[item.id].head if item.id in known else None
    return head is None or (retry and head.status != "done")


def _to_disk(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _names_to_disk(folder: Path) -> None:
    """A new or replaced file is safe only when its folder is, too."""
    if os.name != "posix":  # elsewhere folders cannot be opened
        return
    known = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(known)
    finally:
        os.close(known)
