"""The data folder: uploaded files, each seen by its owner only, and a place for every session and job.

Names on disk are made here and never by a caller: `files/OWNER/file-….bin` beside `file-….json`. What nobody
used for a while is deleted; beyond the ceiling, which holds for uploads, sessions and jobs together, the
least recently used goes first.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unipixel.core.writing import replacing
from unipixel.errors import ConfigError, OutputError
from unipixel.serving.faults import Full, TooLarge, Unknown

ID = re.compile(r"(file|sess|job)-[0-9a-f]{24}")
OWNER = re.compile(r"[0-9a-z]{1,16}")
COUNT_SECONDS = 5.0
"""For so long a count of the bytes of sessions and jobs is good enough for an upload."""
RESERVE = 64 * 2**20
"""Bytes that stay free on the disk."""


def new_id(kind: str) -> str:
    """A name that cannot be guessed: `file-…`, `sess-…`, `job-…`."""
    return f"{kind}-{secrets.token_hex(12)}"


@dataclass(frozen=True)
class StoredFile:
    """An uploaded file; `name` is what its owner calls it, for people only."""

    id: str
    owner: str
    name: str
    purpose: str
    nbytes: int
    created: float


@contextmanager
def room() -> Iterator[None]:
    """A full disk inside becomes Full."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Full("the server's disk is full; delete files or try again later") from error
        raise
    except OutputError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Full("the server's disk is full; delete files or try again later") from error
        raise


class DataFolder:
    """Folders that only this process's user may enter."""

    def __init__(self, root: Path) -> None:
        """ConfigError unless the folder can be written."""
        self.root = root.absolute()
        self._counted = (float("-inf"), 0)
        try:
            for name in ("files", "sessions", "jobs", "passing"):
                (self.root / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.rmtree(self.root / "passing")  # left by an earlier run
            (self.root / "passing").mkdir(mode=0o700)
        except OSError as error:
            raise ConfigError(f"{root}: cannot be written ({error.strerror}); give another folder") from error

    def place(self, kind: str, owner: str, name: str) -> Path:
        """Where something of an owner lies; Unknown for names that were not made here."""
        if not OWNER.fullmatch(owner) or not ID.fullmatch(name):
            raise Unknown(f"there is no {kind.removesuffix('s')} of this name")
        return self.root / kind / owner / name

    @contextmanager
    def passing(self) -> Iterator[Path]:
        """A folder for one request, gone afterwards."""
        folder = self.root / "passing" / secrets.token_hex(12)
        with room():
            folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def nbytes_beside(self, oldest: float = 0.0) -> int:
        """Bytes of sessions, jobs and what passes; what is an upload as well does not count. oldest:
        seconds for which an earlier count is good enough."""
        if time.monotonic() - self._counted[0] > oldest:
            uploads = {entry.inode() for entry in _files_in(self.root / "files")}
            sizes: dict[int, int] = {}
            for kind in ("sessions", "jobs", "passing"):
                for entry in _files_in(self.root / kind):
                    if entry.inode() not in uploads:
                        with suppress(OSError):  # deleted meanwhile
                            sizes[entry.inode()] = entry.stat(follow_symlinks=False).st_size
            self._counted = (time.monotonic(), sum(sizes.values()))
        return self._counted[1]

    def over(self, most_bytes: int) -> bool:
        """Whether all files are more than there may be."""
        sizes = []
        for entry in _files_in(self.root / "files"):
            with suppress(OSError):  # deleted meanwhile
                sizes.append(entry.stat(follow_symlinks=False).st_size)
        return sum(sizes) + self.nbytes_beside() > most_bytes

    def hidden(self, message: str) -> str:
        """A message without the folder's paths, whose last parts say enough."""
        return re.sub(re.escape(str(self.root)) + r"(/[\w.-]+)*", "the file", message)


class FileStore:
    """Uploaded files. Safe to use from several threads."""

    def __init__(self, folder: DataFolder, *, most_bytes: int, seconds: float) -> None:
        self._folder, self._most_bytes, self._seconds = folder, most_bytes, seconds
        self._lock = threading.Lock()
        self._files: dict[str, StoredFile] = {}
        self._used: dict[str, float] = {}
        for description in sorted((folder.root / "files").glob("*/*.json")):
            self._take_in(description)
        for content in (folder.root / "files").glob("*/*.bin"):
            if content.stem not in self._files:  # an upload that was not finished
                content.unlink(missing_ok=True)

    @property
    def nbytes(self) -> int:
        """Bytes of all files."""
        with self._lock:
            return sum(one.nbytes for one in self._files.values())

    def path(self, file: StoredFile) -> Path:
        """Where the content lies."""
        return self._folder.place("files", file.owner, file.id).with_suffix(".bin")

    async def add(self, owner: str, name: str, purpose: str, pieces: AsyncIterator[bytes]) -> StoredFile:
        """Store what comes, piece by piece. Raises Full."""
        number = new_id("file")
        path = self._folder.place("files", owner, number).with_suffix(".bin")
        nbytes = 0
        try:
            with room():
                path.parent.mkdir(exist_ok=True, mode=0o700)
                with path.open("wb") as stream:
                    async for piece in pieces:
                        nbytes += len(piece)
                        self.make_room(nbytes, owner)
                        stream.write(piece)
            file = StoredFile(number, owner, _tidy(name), purpose, nbytes, time.time())
            with room(), replacing(path.with_suffix(".json")) as temporary:
                temporary.write_text(json.dumps(asdict(file)))
        except (
            BaseException
        ):  # a cancelled upload, or one that the disk has no room for, leaves nothing behind
            path.unlink(missing_ok=True)
            raise
        with self._lock:
            self._files[number], self._used[number] = file, time.time()
        return file

    def get(self, owner: str, number: str) -> StoredFile:
        """A file of this owner; Unknown for all others, whether they exist or not."""
        with self._lock:
            file = self._files.get(number)
            if file is None or file.owner != owner:
                raise Unknown("there is no file of this name; it may have expired")
            self._used[number] = time.time()
            return file

    def list(self, owner: str) -> list[StoredFile]:
        """All files of an owner, the oldest first."""
        with self._lock:
            own = [file for file in self._files.values() if file.owner == owner]
        return sorted(own, key=lambda file: (file.created, file.id))

    def remove(self, owner: str, number: str) -> None:
        """Delete a file."""
        self._drop(self.get(owner, number))

    def sweep(self) -> int:
        """Delete what nobody used for too long; how many files that was."""
        last = time.time() - self._seconds
        with self._lock:
            old = [file for number, file in self._files.items() if self._used[number] < last]
        for file in old:
            self._drop(file)
        return len(old)

    def make_room(self, nbytes: int, owner: str) -> None:
        """Let the least recently used files go, the owner's own first, until so many bytes more may come.
        Raises TooLarge or Full."""
        if nbytes > self._most_bytes:
            raise TooLarge(f"the file is larger than all that this server may keep, {self._most_bytes} bytes")
        beside = self._folder.nbytes_beside(COUNT_SECONDS)
        while self.nbytes + beside + nbytes > self._most_bytes:
            with self._lock:
                oldest = min(
                    self._files.values(),
                    key=lambda file: (file.owner != owner, self._used[file.id]),
                    default=None,
                )
            if oldest is None:
                raise Full("the data folder is full of sessions and jobs; close or delete some")
            self._drop(oldest)
        if shutil.disk_usage(self._folder.root).free < RESERVE + nbytes:
            raise Full("the server's disk is full; delete files or try again later")

    def _drop(self, file: StoredFile) -> None:
        with self._lock:
            self._files.pop(file.id, None)
            self._used.pop(file.id, None)
        path = self.path(file)
        with suppress(OSError):
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)

    def _take_in(self, description: Path) -> None:
        """A file of an earlier run; what is not whole is deleted."""
        try:
            file = StoredFile(**json.loads(description.read_text()))
            path = self._folder.place("files", file.owner, file.id).with_suffix(".bin")
            if path.with_suffix(".json") != description or path.stat().st_size != file.nbytes:
                raise ValueError("another file's description")
        except (OSError, ValueError, TypeError, Unknown):
            description.unlink(missing_ok=True)
            return
        self._files[file.id], self._used[file.id] = file, path.stat().st_mtime


def _files_in(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All files below a folder, as far as they are still there."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_in(Path(entry.path))
            else:
                yield entry


def read_json(path: Path) -> Any:
    """A small JSON file of ours, or None if it is not there or damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def write_json(path: Path, content: Any) -> None:
    """Write a small JSON file, all or nothing. Raises Full."""
    with room(), replacing(path) as temporary:
        temporary.write_text(json.dumps(content, allow_nan=False))


def _tidy(name: str) -> str:
    """A caller's name for a file as one line for people; it is never used on disk."""
    last = re.split(r"[\\/]", name)[-1]
    return "".join(letter for letter in last if letter.isprintable())[:200] or "file"
