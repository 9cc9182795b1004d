"""What people decide about annotated objects: accepted, corrected or rejected, kept beside the annotations.

`review.jsonl` in the folder of results is only ever appended to; `annotations.jsonl` is never touched. A line
is a decision, or takes back the latest one:

    {"item": "a.mp4", "object": 0, "of": "9f…", "at": "2026-01-31T12:00:00Z", "decision": "accepted"}
    {"item": "a.mp4", "object": 0, "at": "…", "undo": true}

`of` is a digest of the masks that were decided about: a decision about others does not count. A correction
has `"masks": [{"index", "time", "score", "rle"}, …]`; where they are long, lines with some of them alone
stand before it. What is not whole at the end of the file (its writer was killed) was never decided.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, get_args

from unipixel.archive.lines import Annotated, AnnotatedObject, ItemMask, Place, places, read_lines
from unipixel.core.frames import reason
from unipixel.core.masks import RLE
from unipixel.errors import OutputError, PromptError, RequestError
from unipixel.evaluation.predictions import claim

ANNOTATIONS, REVIEW = "annotations.jsonl", "review.jsonl"
LONGEST = 900_000
"""Bytes of masks in one line."""

Verdict: TypeAlias = Literal["accepted", "corrected", "rejected"]
State: TypeAlias = Literal["undecided", "accepted", "corrected", "rejected"]
STATES: tuple[State, ...] = get_args(State)

_PATIENCE, _LOOKS = 0.05, 100
"""Seconds between two looks whether another process has let go of the file, and how many."""

Key: TypeAlias = tuple[str, int]
"""An item's id and the number of an object in it."""


# The record


@dataclass(frozen=True)
class Decision:
    """One decision, and where its lines are."""

    verdict: Verdict
    of: str
    at: str
    offset: int
    nbytes: int


class Decisions:
    """The record of one folder. Safe to use from several threads, and by several processes on one file."""

    def __init__(self, file: Path) -> None:
        """OutputError for a file that is damaged before its end."""
        self.file = file
        self._lock = threading.RLock()
        self._end = 0
        self._line = 0
        self._given: dict[Key, list[Decision]] = {}
        self.refresh()

    def latest(self, key: Key, of: str) -> Decision | None:
        """The decision that counts: the latest that was not taken back, if it is about these masks."""
        with self._lock:
            given = self._given.get(key)
            return given[-1] if given and given[-1].of == of else None

    def refresh(self) -> None:
        """Read what other processes have appended."""
        with self._lock:
            try:
                with self.file.open("rb") as stream:
                    if os.fstat(stream.fileno()).st_size < self._end:  # somebody began it anew
                        self._end, self._line, self._given = 0, 0, {}
                    self._read(stream)
            except FileNotFoundError:
                self._end, self._line, self._given = 0, 0, {}

    def decide(self, key: Key, verdict: Verdict, of: str, masks: Sequence[ItemMask] = ()) -> None:
        """Append a decision; it is safe on the disk when this returns.

        Raises:
            RequestError: a correction without masks, or masks with anything else. OutputError: the file
                cannot be written.
        """
        if (verdict == "corrected") != bool(masks):
            raise RequestError(f"{verdict} with {len(masks)} masks; a correction has them, nothing else")
        self._append([*_decision_lines(key, verdict, of, masks)])

    def undo(self, key: Key, of: str) -> None:
        """Take back the decision that counts. RequestError if there is none."""
        with self._lock:
            if self.latest(key, of) is None:
                raise RequestError("nothing was decided about this object; there is nothing to take back")
            self._append([_line({"item": key[0], "object": key[1], "at": _now(), "undo": True})])

    def masks(self, decision: Decision) -> tuple[ItemMask, ...]:
        """The masks of a correction; none of anything else."""
        with self.file.open("rb") as stream:
            stream.seek(decision.offset)
            lines = stream.read(decision.nbytes).splitlines()
        try:
            return tuple(_mask(entry) for line in lines for entry in json.loads(line).get("masks", ()))
        except (ValueError, KeyError, TypeError, PromptError) as error:
            raise OutputError(f"{self.file} holds masks that are damaged ({error})") from error

    def _read(self, stream: BinaryIO) -> None:
        """Take in whole decisions from `_end` on; what is not whole stays for the next time."""
        stream.seek(self._end)
        offset, number = self._end, self._line
        for line in stream:
            number += 1
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            if self._take(line, offset, number):
                self._end, self._line = offset, number

    def _take(self, line: bytes, end: int, number: int) -> bool:
        """Whether a line closes a decision."""
        try:
            entry = json.loads(line)
            key = (str(entry["item"]), int(entry["object"]))
            if entry.get("undo"):
                given = self._given.get(key)
                if given:
                    given.pop()
                return True
            if "decision" not in entry:  # masks of the decision that follows
                entry["masks"]
                return False
            if entry["decision"] not in get_args(Verdict):
                raise ValueError(f"decision {entry['decision']!r}")
            decided = Decision(entry["decision"], str(entry["of"]), entry["at"], self._end, end - self._end)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(
                f"{self.file}, line {number}: this is no decision ({error}); mend the line or delete it"
            ) from error
        self._given.setdefault(key, []).append(decided)
        return True

    def _append(self, lines: Sequence[bytes]) -> None:
        """One decision; a half-written one of a killed process is cut off first."""
        with self._lock, ExitStack() as held:
            try:
                stream = held.enter_context(self.file.open("ab"))
                _take_lock(stream, self.file)
                self.refresh()
                stream.truncate(self._end)
                stream.write(b"".join(lines))
                stream.flush()
                os.fsync(stream.fileno())
            except OSError as error:
                raise OutputError(
                    f"{self.file} cannot be written ({reason(error)}); is there room on the disk, and may it "
                    "be written?"
                ) from error
            self.refresh()


def _take_lock(stream: BinaryIO, file: Path) -> None:
    """Wait a little for another process that appends. OutputError if it does not end."""
    for _ in range(_LOOKS - 1):
        try:
            return claim(stream, file)
        except OutputError:
            time.sleep(_PATIENCE)
    return claim(stream, file)


def _decision_lines(key: Key, verdict: Verdict, of: str, masks: Sequence[ItemMask]) -> Iterator[bytes]:
    about: dict[str, Any] = {"item": key[0], "object": key[1]}
    groups = list(_groups([_mask_entry(mask) for mask in masks]))
    for group in groups[:-1]:
        yield _line({**about, "masks": group})
    last = {"masks": groups[-1]} if groups else {}
    yield _line({**about, "of": of, "at": _now(), "decision": verdict, **last})


def _groups(entries: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Entries that stand in one line, none longer than it must be."""
    group: list[dict[str, Any]] = []
    nbytes = 0
    for entry in entries:
        more = len(_line(entry))
        if group and nbytes + more > LONGEST:
            yield group
            group, nbytes = [], 0
        group.append(entry)
        nbytes += more
    if group:
        yield group


def _mask_entry(mask: ItemMask) -> dict[str, Any]:
    entry = {"index": mask.frame, "time": round(mask.time, 4), "score": round(mask.score, 4)}
    return {**entry, "rle": mask.rle.to_coco()}


def _mask(entry: Mapping[str, Any]) -> ItemMask:
    return ItemMask(entry["index"], entry["time"], RLE.from_coco(entry["rle"]), entry["score"])


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# What is decided about


@dataclass(frozen=True)
class Candidate:
    """An annotated object, as a list shows it.

    Attributes:
        item: its item's id.
        id: its number there.
        name: what it is called; empty for none.
        question: what was asked when it was found; empty for an object that was marked.
        frames: on how many it is seen.
        worst: the frame of its lowest quality (its first one, where nothing was rated).
        lowest, mean: quality over its frames, 0 to 1; None where nothing was rated.
        of: a digest of its masks, by which a decision knows what it was about.
        state: what was decided.
    """

    item: str
    id: int
    name: str
    question: str
    frames: int
    worst: int
    lowest: float | None
    mean: float | None
    of: str
    state: State = "undecided"

    @property
    def key(self) -> Key:
        return self.item, self.id

    @property
    def rank(self) -> tuple[float, float, str, int]:
        """Sorts the worst first; what nothing rated comes before all."""
        lowest = -1.0 if self.lowest is None else self.lowest
        return lowest, -1.0 if self.mean is None else self.mean, self.item, self.id


def candidates(item: Annotated) -> Iterator[Candidate]:
    """The objects of an item that are seen at all."""
    for one in item.objects:
        if one.masks:
            yield _candidate(item, one)


def _candidate(item: Annotated, one: AnnotatedObject) -> Candidate:
    rated = [(mask.quality, mask.frame) for mask in one.masks if mask.quality is not None]
    lowest, worst = min(rated, default=(None, one.masks[0].frame))
    return Candidate(
        item=item.item,
        id=one.id,
        name=one.name,
        question=item.queries[one.query].get("ask", ""),
        frames=len(one.masks),
        worst=worst,
        lowest=lowest,
        mean=sum(quality for quality, _ in rated) / len(rated) if rated else None,
        of=_digest(item, one),
    )


def _digest(item: Annotated, one: AnnotatedObject) -> str:
    digest = hashlib.sha256(item.digest.encode())
    for mask in one.masks:
        digest.update(f"\0{mask.frame}\0".encode() + mask.rle.counts)
    return digest.hexdigest()[:16]


class Review:
    """A folder of results under review: its objects, and what was decided about them."""

    def __init__(self, folder: str | Path) -> None:
        """Reads the annotations once.

        Raises:
            OutputError: there are none (yet), or they or the decisions are damaged.
        """
        self.folder = Path(folder)
        self.file = self.folder / ANNOTATIONS
        self.decisions = Decisions(self.folder / REVIEW)
        self._read: tuple[int, ...] = ()
        self._candidates: dict[Key, Candidate] = {}
        self._places: dict[str, Place] = {}
        self.refresh()

    @property
    def name(self) -> str:
        """What people call the folder."""
        return self.folder.absolute().name

    def refresh(self) -> bool:
        """Take in what others have decided, and annotations that were put in the place of these; whether
        there were any."""
        self.decisions.refresh()
        try:
            status = self.file.stat()
        except OSError as error:
            raise OutputError(
                f"{self.file} cannot be read ({reason(error)}); give a folder that `unipixel annotate` has "
                "finished"
            ) from error
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        if stamp == self._read:
            return False
        found = {place.head.item: place for place in places(self.file)}
        items = (read_lines(place.read().splitlines()) for place in found.values())
        self._candidates = {one.key: one for item in items for one in candidates(item)}
        self._places, self._read = found, stamp
        return True

    def __len__(self) -> int:
        return len(self._candidates)

    def __iter__(self) -> Iterator[Candidate]:
        """All objects in the order of the file, each with its state."""
        return (self._with_state(one) for one in self._candidates.values())

    def __getitem__(self, key: Key) -> Candidate:
        """RequestError if there is no such object."""
        if key not in self._candidates:
            raise RequestError(f"{key[0]} has no object [{key[1]}]")
        return self._with_state(self._candidates[key])

    def items(self) -> Iterator[Annotated]:
        """All items in the order of the file; one in memory."""
        for item in self._places:
            yield self.item(item)

    def item(self, item: str) -> Annotated:
        """One item, from the disk. RequestError if there is none of this id."""
        if item not in self._places:
            raise RequestError(f"there is no item {item}")
        return read_lines(self._places[item].read().splitlines())

    def annotated(self, key: Key) -> tuple[Annotated, AnnotatedObject]:
        """An object as it was annotated, and its item."""
        self[key]
        item = self.item(key[0])
        return item, next(one for one in item.objects if one.id == key[1])

    def masks(self, key: Key) -> tuple[ItemMask, ...]:
        """An object's masks as they are now: the corrected ones, if there are any."""
        decision = self.decisions.latest(key, self[key].of)
        if decision is not None and decision.verdict == "corrected":
            return self.decisions.masks(decision)
        return self.annotated(key)[1].masks

    def decide(self, key: Key, verdict: Verdict, masks: Sequence[ItemMask] = ()) -> Candidate:
        """Keep a decision; see Decisions.decide. Gives the object as it is then."""
        self.decisions.decide(key, verdict, self[key].of, masks)
        return self[key]

    def undo(self, key: Key) -> Candidate:
        """Take back what was decided last; RequestError if nothing was."""
        self.decisions.undo(key, self[key].of)
        return self[key]

    def _with_state(self, one: Candidate) -> Candidate:
        decision = self.decisions.latest(one.key, one.of)
        return one if decision is None else replace(one, state=decision.verdict)
