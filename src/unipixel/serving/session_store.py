"""Sessions of all owners: each seen by its own only, kept on disk after every change, asleep there when
memory is short or the server starts again, and deleted when nobody used them for a while."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from unipixel.core.media import Clip
from unipixel.core.request import PixelBudget
from unipixel.errors import SessionError
from unipixel.inference.session import KEEP_BYTES
from unipixel.predictor import Predictor
from unipixel.serving.faults import Busy, Conflict, Unknown
from unipixel.serving.options import Limits
from unipixel.serving.store import DataFolder, new_id, read_json, room, write_json
from unipixel.serving.turns import ServedSession
from unipixel.serving.worker import Worker

KEPT, ABOUT = "session.unipixel", "about.json"
MOST_IN_LINE = 8
"""Requests that wait for one session."""


@dataclass(eq=False)
class Entry:
    """One session. `session` is None while it sleeps on disk; `lock` is held by the one request that works
    with it; `stop` cancels what that one does."""

    id: str
    owner: str
    name: str
    created: float
    folder: Path
    used: float = field(default_factory=time.time)
    session: ServedSession | None = None
    nbytes: int = 0
    in_line: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waking: asyncio.Lock = field(default_factory=asyncio.Lock)
    stop: Callable[[], None] = lambda: None

    @property
    def awake(self) -> ServedSession:
        """The session, while it is being used."""
        if self.session is None:
            raise Conflict("the session was closed meanwhile; open another one")
        return self.session


def open_session(
    opened: Predictor, clip: Clip, num_frames: int | None, pixels: PixelBudget | None
) -> ServedSession:
    """A session that the worker follows step by step."""
    return ServedSession(opened.model, opened.processor, clip, num_frames=num_frames, pixels=pixels)


class SessionStore:
    """See the module. Everything is called in the event loop's thread."""

    def __init__(self, folder: DataFolder, limits: Limits, worker: Worker) -> None:
        self._folder, self._limits, self._worker = folder, limits, worker
        self._entries: dict[str, Entry] = {}
        for place in sorted((folder.root / "sessions").glob("*/*")):
            self._take_in(place / ABOUT)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes that the sessions awake keep."""
        return sum(entry.nbytes for entry in self._entries.values())

    def new_place(self, owner: str) -> tuple[str, Path]:
        """A name and an empty folder for a new session."""
        number = new_id("sess")
        place = self._folder.place("sessions", owner, number)
        with room():
            place.mkdir(parents=True, mode=0o700)
        return number, place

    def drop_place(self, place: Path) -> None:
        """Take back what `new_place` made, unless a session lives there."""
        if place.name not in self._entries:
            shutil.rmtree(place, ignore_errors=True)

    async def add(self, owner: str, number: str, name: str, session: ServedSession) -> Entry:
        """Take a new session in, and keep it on disk. The owner's least recently used one gives way if there
        are too many."""
        own = [entry for entry in self._entries.values() if entry.owner == owner]
        for old in sorted(own, key=lambda entry: entry.used)[: max(0, len(own) + 1 - self._limits.sessions)]:
            await self.remove(old)
        place = self._folder.place("sessions", owner, number)
        entry = Entry(number, owner, name, time.time(), place, session=session)
        self._entries[number] = entry
        try:
            await self.keep(entry)
        except BaseException:  # a cancelled request, too, leaves nothing behind
            await self.remove(entry)
            raise
        return entry

    def get(self, owner: str, number: str) -> Entry:
        """A session of this owner; Unknown for all others, whether they exist or not."""
        entry = self._entries.get(number)
        if entry is None or entry.owner != owner:
            raise Unknown("there is no session of this name; it may have expired")
        return entry

    def list(self, owner: str) -> list[Entry]:
        """All sessions of an owner, the oldest first."""
        return [entry for entry in self._entries.values() if entry.owner == owner]

    @asynccontextmanager
    async def using(self, owner: str, number: str) -> AsyncIterator[Entry]:
        """A session for one request at a time, awake. Raises Unknown, Busy or Conflict."""
        entry = self.get(owner, number)
        if entry.in_line >= MOST_IN_LINE:
            raise Busy(f"{entry.in_line} requests wait for this session already; try again", retry_after=2)
        entry.in_line += 1
        try:
            async with entry.lock:
                if self._entries.get(number) is not entry:
                    raise Unknown("the session was closed meanwhile")
                entry.used = time.time()
                yield entry
                entry.used = time.time()
        finally:
            entry.in_line -= 1

    async def wake(self, entry: Entry, opened: Predictor) -> ServedSession:
        """Read a sleeping session from disk. Raises Conflict if it cannot be had any more."""
        async with entry.waking:
            if entry.session is None:
                try:
                    entry.session = await asyncio.wrap_future(self._worker.call(lambda: _load(entry, opened)))
                except SessionError as error:
                    raise Conflict(
                        "the session cannot be restored on this server (another model, or its clip is gone); "
                        "open another one"
                    ) from error
            return entry.session

    async def keep(self, entry: Entry) -> None:
        """Write a session to disk, so that a restart loses nothing of it; one that was closed meanwhile is
        left. Raises Full."""
        if self._entries.get(entry.id) is not entry:
            return

        def write() -> None:
            session = entry.awake
            with room():
                session.save(entry.folder / KEPT)
            entry.nbytes = session.nbytes

        about = {"id": entry.id, "owner": entry.owner, "name": entry.name, "created": entry.created}
        if not (entry.folder / ABOUT).exists():
            write_json(entry.folder / ABOUT, about)
        await asyncio.wrap_future(self._worker.call(write))
        await self._shrink()

    async def remove(self, entry: Entry) -> None:
        """Close a session and delete what is kept of it."""
        self._entries.pop(entry.id, None)
        entry.stop()
        await self._sleep(entry)
        await asyncio.to_thread(shutil.rmtree, entry.folder, True)

    async def sweep(self) -> int:
        """Delete what nobody used for too long; how many sessions that was."""
        last = time.time() - self._limits.session_seconds
        old = [entry for entry in self._entries.values() if entry.used < last and not entry.in_line]
        for entry in old:
            await self.remove(entry)
        return len(old)

    async def _shrink(self) -> None:
        """Put the least recently used sessions to sleep until the rest fits."""
        awake = [entry for entry in self._entries.values() if entry.session is not None and not entry.in_line]
        for entry in sorted(awake, key=lambda entry: entry.used):
            if self.nbytes <= self._limits.memory:
                return
            await self._sleep(entry)

    async def _sleep(self, entry: Entry) -> None:
        session, entry.session, entry.nbytes = entry.session, None, 0
        if session is not None:
            await asyncio.wrap_future(self._worker.call(session.close))

    def _take_in(self, about: Path) -> None:
        """A session of an earlier run."""
        found = read_json(about)
        with suppress(KeyError, TypeError, Unknown):
            place = self._folder.place("sessions", found["owner"], found["id"])
            if place == about.parent and (place / KEPT).is_file():
                entry = Entry(found["id"], found["owner"], str(found["name"]), float(found["created"]), place)
                entry.used = (place / KEPT).stat().st_mtime
                self._entries[entry.id] = entry
                return
        shutil.rmtree(about.parent, ignore_errors=True)


def _load(entry: Entry, opened: Predictor) -> ServedSession:
    kept = opened.load_session(entry.folder / KEPT, keep_bytes=KEEP_BYTES)
    session = open_session(opened, kept.clip, kept.num_frames, kept.pixels)
    session.restore(kept.objects, kept.exchanges, kept.next_id)
    return session
