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

from unipixel.errors import SessionError
from unipixel.predictor import Predictor
from unipixel.serving.clips import Clips, content_of
from unipixel.serving.faults import Busy, Conflict, Unknown
from unipixel.serving.history import History
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
    with it; `stop` cancels what that one does; `history` is what can be taken back; `restored`: nobody has
    worked with it since the server was started."""

    id: str
    owner: str
    name: str
    created: float
    folder: Path
    used: float = field(default_factory=time.time)
    session: ServedSession | None = None
    in_line: int = 0
    restored: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waking: asyncio.Lock = field(default_factory=asyncio.Lock)
    stop: Callable[[], None] = lambda: None
    history: History = field(default_factory=History)

    @property
    def awake(self) -> ServedSession:
        """The session, while it is being used."""
        if self.session is None:
            raise Conflict("the session was closed meanwhile; open another one")
        return self.session


class SessionStore:
    """See the module. Everything is called in the event loop's thread."""

    def __init__(self, folder: DataFolder, limits: Limits, worker: Worker, clips: Clips) -> None:
        self._folder, self._limits, self._worker, self._clips = folder, limits, worker, clips
        self._entries: dict[str, Entry] = {}
        for place in sorted((folder.root / "sessions").glob("*/*")):
            self._take_in(place / ABOUT)

    def __len__(self) -> int:
        return len(self._entries)

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
                entry.restored = False
                entry.used = time.time()
        finally:
            entry.in_line -= 1

    async def wake(self, entry: Entry, opened: Predictor) -> ServedSession:
        """Read a sleeping session from disk. Raises Conflict if it cannot be had any more."""
        async with entry.waking:
            if entry.session is None:
                try:
                    entry.session = await asyncio.wrap_future(
                        self._worker.call(lambda: self._load(entry, opened))
                    )
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
            session = entry.session
            if session is None:  # closed while this waited for the worker
                return
            with room():
                session.save(entry.folder / KEPT)

        about = {"id": entry.id, "owner": entry.owner, "name": entry.name, "created": entry.created}
        if not (entry.folder / ABOUT).exists():
            write_json(entry.folder / ABOUT, about)
        await asyncio.wrap_future(self._worker.call(write))
        await self._shrink(entry)
        await self._make_room(entry)

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

    async def _shrink(self, but: Entry) -> None:
        """Put the least recently used sessions, but for one, to sleep until the rest fits."""
        unused = [entry for entry in self._entries.values() if entry is not but and not entry.in_line]
        awake = [entry for entry in unused if entry.session is not None]
        for entry in sorted(awake, key=lambda entry: entry.used):
            if not self._clips.over:
                return
            await self._sleep(entry)

    async def _make_room(self, but: Entry) -> None:
        """Delete the least recently used sessions, the owner's own first, until the data folder is as small
        as it must be."""
        if not await asyncio.to_thread(self._folder.over, self._limits.disk):
            return
        unused = [entry for entry in self._entries.values() if entry is not but and not entry.in_line]
        for entry in sorted(unused, key=lambda entry: (entry.owner != but.owner, entry.used)):
            await self.remove(entry)
            if not await asyncio.to_thread(self._folder.over, self._limits.disk):
                return

    async def _sleep(self, entry: Entry) -> None:
        session, entry.session = entry.session, None
        if session is not None:
            await asyncio.wrap_future(self._worker.call(session.close))

    def _take_in(self, about: Path) -> None:
        """A session of an earlier run."""
        found = read_json(about)
        with suppress(KeyError, TypeError, Unknown):
            place = self._folder.place("sessions", found["owner"], found["id"])
            if place == about.parent and (place / KEPT).is_file():
                entry = Entry(found["id"], found["owner"], str(found["name"]), float(found["created"]), place)
                entry.used, entry.restored = (place / KEPT).stat().st_mtime, True
                self._entries[entry.id] = entry
                return
        shutil.rmtree(about.parent, ignore_errors=True)

    def _load(self, entry: Entry, opened: Predictor) -> ServedSession:
        kept = opened.load_session(entry.folder / KEPT)
        content = content_of(entry.owner, kept.clip)
        session = self._clips.open(opened, content, kept.clip, kept.num_frames, kept.pixels)
        session.restore(kept.objects, kept.exchanges, kept.next_id)
        return session
