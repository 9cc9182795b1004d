"""The output as lines of JSON: one for an item, more where one would be longer than LIMIT (docs/archives.md).

Every line begins with the same fields, so that whoever looks for an item need not read the rest:

    {"item": "a.mp4", "part": 0, "more": false, "status": "done", "digest": "…", …}

An item's lines follow each other, `part` counts them from 0, and `more` says whether another one comes. The
first line has what is known of the clip; every line has some of the `media`, `frames`, `queries`, `answers`,
`failures` and of the `objects`' own `frames`, in their order: put the lists of one name (of one object)
behind each other. Of a mask that alone is too long each entry but the last has `"goes_on": true`; put its
counts behind each other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, get_args

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.errors import OutputError, PromptError

LIMIT = 1_000_000
"""Bytes of the longest line, with its end."""
BLOCK = 2**20
"""Bytes that are copied at once."""

Status: TypeAlias = Literal["done", "partly", "failed"]
"""done: all queries are answered in all windows; partly: some failed; failed: nothing could be done."""
Kind: TypeAlias = Literal["media", "frames", "queries", "answers", "failures"]

_HEAD = re.compile(
    rb'\{"item":("(?:[^"\\]|\\.)*"),"part":(\d+),"more":(true|false),"status":"(\w+)","digest":"(\w*)"'
)


@dataclass(frozen=True)
class LineHead:
    """What every line begins with."""

    item: str
    part: int
    more: bool
    status: Status
    digest: str

    @classmethod
    def of(cls, line: bytes) -> LineHead:
        """OutputError for a line of another kind."""
        found = _HEAD.match(line)
        if not found or found[4] not in (b"done", b"partly", b"failed"):
            raise OutputError(f"{line[:80]!r}… is no line of annotations")
        status: Any = found[4].decode()
        return cls(json.loads(found[1]), int(found[2]), found[3] == b"true", status, found[5].decode())


@dataclass(frozen=True)
class ObjectHead:
    """An object: its number, the query that found it, and its name if it was given one."""

    id: int
    query: int
    name: str = ""


@dataclass(frozen=True)
class ItemMask:
    """An object on one frame of its item.

    Attributes:
        frame: number in the clip.
        time: seconds from the clip's first frame.
        rle: the mask; never empty.
        score: the mask decoder's own estimate of its IoU, 0 to 1.
        quality: 0 to 1; None where nothing rated it.
    """

    frame: int
    time: float
    rle: RLE
    score: float
    quality: float | None = None


Entry: TypeAlias = tuple[Kind, Any] | tuple[ObjectHead, ItemMask | None]
"""What lines are made of: an entry of a list, or a mask of an object (None: the object alone)."""


# Writing


def to_lines(
    head: LineHead, clip: Mapping[str, Any], entries: Iterable[Entry], limit: int = LIMIT
) -> Iterator[bytes]:
    """The lines of an item. `clip`: further fields of its first line."""
    page = _Page(head, clip, limit)
    for entry in entries:
        for key, text in _fragments(entry, limit // 3):  # each backslash of counts is written as two
            if not page.holds(key, text):
                yield page.line(more=True)
                page = page.next
            page.add(key, text)
    yield page.line(more=False)


_Key: TypeAlias = Kind | ObjectHead


class _Page:
    """A line that is filled."""

    def __init__(self, head: LineHead, clip: Mapping[str, Any], limit: int, part: int = 0) -> None:
        self._head, self._limit, self._part = head, limit, part
        self._clip = "".join(f",{_dumps(name)}:{_dumps(value)}" for name, value in clip.items())
        self._lists: dict[Kind, list[str]] = {}
        self._objects: dict[ObjectHead, list[str]] = {}
        self._nbytes = len(self._start(False).encode()) + len(self._clip.encode()) + 100

    @property
    def next(self) -> _Page:
        return _Page(self._head, {}, self._limit, self._part + 1)

    def holds(self, key: _Key, text: str) -> bool:
        """Whether there is room for one more entry, or nothing in it yet."""
        is_empty = not self._lists and not self._objects
        return is_empty or self._nbytes + self._cost(key, text) <= self._limit

    def add(self, key: _Key, text: str) -> None:
        self._nbytes += self._cost(key, text)
        found = (
            self._objects.setdefault(key, [])
            if isinstance(key, ObjectHead)
            else self._lists.setdefault(key, [])
        )
        if text:
            found.append(text)

    def line(self, more: bool) -> bytes:
        lists = "".join(f',"{name}":[{",".join(found)}]' for name, found in self._lists.items())
        objects = ",".join(
            f'{_object(head)},"frames":[{",".join(found)}]}}' for head, found in self._objects.items()
        )
        text = f'{self._start(more)}{self._clip}{lists},"objects":[{objects}]}}\n'
        return text.encode()

    def _start(self, more: bool) -> str:
        head = self._head
        return (
            f'{{"item":{_dumps(head.item)},"part":{self._part},"more":{_dumps(more)},'
            f'"status":"{head.status}","digest":"{head.digest}"'
        )

    def _cost(self, key: _Key, text: str) -> int:
        is_new = isinstance(key, ObjectHead) and key not in self._objects
        return len(text.encode()) + 1 + (len(_object(key).encode()) + 16 if is_new else 0)  # type: ignore[arg-type]


def _object(head: ObjectHead) -> str:
    name = f',"name":{_dumps(head.name)}' if head.name else ""
    return f'{{"id":{head.id},"query":{head.query}{name}'


def _fragments(entry: Entry, longest: int) -> Iterator[tuple[_Key, str]]:
    """Entries as text; a mask that is too long in pieces."""
    key, content = entry
    if not isinstance(key, ObjectHead):
        yield key, _dumps(content)
    elif content is None:
        yield key, ""
    else:
        assert isinstance(content, ItemMask), f"an object has a {type(content).__name__}"
        for piece in _mask_entries(content, longest):
            yield key, _dumps(piece)


def _mask_entries(mask: ItemMask, longest: int) -> Iterator[dict[str, Any]]:
    box, counts = mask.rle.box, mask.rle.counts.decode("ascii")
    entry = {
        "index": mask.frame,
        "time": round(mask.time, 4),
        "score": mask.score,
        "quality": mask.quality,
        "area": mask.rle.area,
        "box": None if box is None else list(box),
    }
    pieces = [counts[start : start + longest] for start in range(0, len(counts), longest)]
    for number, piece in enumerate(pieces):
        rle = {"size": [mask.rle.height, mask.rle.width], "counts": piece}
        rest = {"goes_on": True} if number < len(pieces) - 1 else {}
        yield {**entry, "rle": rle, **rest}


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


# Reading


@dataclass(frozen=True)
class AnnotatedObject:
    """An object of an item, with its masks in the order of time."""

    id: int
    query: int
    name: str = ""
    masks: tuple[ItemMask, ...] = ()

    @property
    def track(self) -> MaskTrack | None:
        """Its masks as those of an answer; None if it is seen nowhere."""
        frames = tuple(FrameMask(mask.frame, mask.rle, mask.score, True) for mask in self.masks)
        return MaskTrack(frames) if frames else None


@dataclass(frozen=True)
class Annotated:
    """An item as it was annotated.

    Attributes:
        item: its id.
        status: see Status.
        digest: of what was asked.
        clip: media, size, num_frames, fps, and as `frames` those that were looked at ([first, last, step]).
        queries: what was asked: {"ask": text} or {"object": number, "name": …}.
        answers: {"query", "window", "frames": [first, last], "text"}, and as "split" the numbers of objects
        that are connected parts of one mask, if it was split: a heuristic. failures: {"query", "window",
        "reason"}; without query and window if the item could not be opened. objects: what was found.
    """

    item: str
    status: Status
    digest: str
    clip: Mapping[str, Any]
    queries: tuple[Mapping[str, Any], ...] = ()
    answers: tuple[Mapping[str, Any], ...] = ()
    failures: tuple[Mapping[str, Any], ...] = ()
    objects: tuple[AnnotatedObject, ...] = field(default=())


_LISTS: tuple[Kind, ...] = get_args(Kind)
_STRUCTURE = {"item", "part", "more", "status", "digest", "objects", *_LISTS}


def read_lines(lines: Sequence[bytes]) -> Annotated:
    """All lines of one item as one; OutputError."""
    try:
        pages = [json.loads(line) for line in lines]
        heads: dict[int, ObjectHead] = {}
        frames: dict[int, list[dict[str, Any]]] = {}
        for page in pages:
            for one in page["objects"]:
                heads.setdefault(one["id"], ObjectHead(one["id"], one["query"], one.get("name", "")))
                _join(frames.setdefault(one["id"], []), one["frames"])
        first = pages[0]
        lists = {kind: tuple(entry for page in pages for entry in page.get(kind, ())) for kind in _LISTS}
        of_clip = {kind: list(lists.pop(kind)) for kind in ("media", "frames")}
        objects = tuple(
            AnnotatedObject(id, heads[id].query, heads[id].name, tuple(_mask(one) for one in frames[id]))
            for id in sorted(heads)
        )
        clip = {name: value for name, value in first.items() if name not in _STRUCTURE} | of_clip
        return Annotated(first["item"], first["status"], first["digest"], clip, objects=objects, **lists)
    except (ValueError, KeyError, TypeError, IndexError, PromptError) as error:
        raise OutputError(f"{lines[:1]!r:.80}… is no line of annotations ({error})") from error


def _join(known: list[dict[str, Any]], entries: Sequence[dict[str, Any]]) -> None:
    for entry in entries:
        if known and known[-1].get("goes_on"):
            before = known.pop()["rle"]["counts"]
            entry = {**entry, "rle": {**entry["rle"], "counts": before + entry["rle"]["counts"]}}
        known.append(entry)


def _mask(entry: Mapping[str, Any]) -> ItemMask:
    return ItemMask(
        entry["index"], entry["time"], RLE.from_coco(entry["rle"]), entry["score"], entry.get("quality")
    )


@dataclass(frozen=True)
class Place:
    """Where the lines of an item are."""

    file: Path
    offset: int
    nbytes: int
    head: LineHead

    @property
    def is_done(self) -> bool:
        return self.head.status == "done"

    def read(self) -> bytes:
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.nbytes)

    def copy_to(self, stream: BinaryIO) -> None:
        """Append the lines; a block at a time, however long the item is."""
        with self.file.open("rb") as source:
            source.seek(self.offset)
            left = self.nbytes
            while left and (block := source.read(min(left, BLOCK))):
                left -= stream.write(block)


def places(file: Path) -> Iterator[Place]:
    """The items of a file that are there as a whole, in their order; a half-written end is passed over.
    FileNotFoundError."""
    with file.open("rb") as stream:
        start = offset = 0
        for line in stream:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            head = LineHead.of(line)
            if not head.more:
                yield Place(file, start, offset - start, head)
                start = offset


def read_annotations(path: str | Path) -> Iterator[Annotated]:
    """Items of a file of annotations, or of a folder of results, in their order; one item in memory."""
    path = Path(path)
    file = path / "annotations.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise OutputError(f"{file}: there is no such file; is the run finished?")
    for place in places(file):
        yield read_lines(place.read().splitlines())
