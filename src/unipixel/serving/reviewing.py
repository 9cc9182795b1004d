"""Folders of results under review, as a server has them: which objects there are, and their clips.

An object is called by a key that is made here; a caller names no file, and nothing is read but the
annotations, the decisions beside them, and the media that the annotations name.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unipixel.archive.lines import Annotated, ItemMask
from unipixel.archive.review import STATES, Candidate, Review, State, Verdict
from unipixel.archive.windows import from_spans
from unipixel.core.masks import FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.objects import Pointing, SessionObject, check_name
from unipixel.core.prompts import RegionMask
from unipixel.errors import MediaError, OutputError, RequestError, SessionError
from unipixel.serving.faults import Conflict, TooLarge, Unknown
from unipixel.serving.options import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_CLIPS = 4
"""Clips that are kept open: only their headers are held."""


@dataclass(frozen=True)
class Row:
    """An object in the list of all folders."""

    key: str
    folder: int
    object: Candidate


@dataclass(frozen=True)
class Listing:
    """Some of the objects, worst first; `total` of them match, `counts` is of all, by state."""

    rows: tuple[Row, ...]
    total: int
    counts: dict[State, int]


@dataclass(frozen=True)
class Shown:
    """An object with its item and its masks as they are now; `ratings`: quality by frame, of the masks that
    were annotated."""

    row: Row
    item: Annotated
    masks: tuple[ItemMask, ...]
    ratings: dict[int, float]


class Reviewing:
    """All folders of a server. Safe to use from several threads; methods block."""

    def __init__(self, folders: Sequence[Path], limits: Limits) -> None:
        """OutputError for a folder without annotations."""
        self._limits = limits
        self._lock = threading.Lock()
        self._reviews = [Review(folder) for folder in folders]
        self._keys: dict[str, tuple[int, str, int]] = {}
        self._order: list[str] = []
        self._clips: OrderedDict[tuple[int, str], Clip] = OrderedDict()
        self._take_in()

    @property
    def names(self) -> list[str]:
        """What the folders are called."""
        return [review.name for review in self._reviews]

    def listing(self, state: State | None, offset: int, limit: int) -> Listing:
        """Objects of one state (None: all), worst first."""
        with self._lock, self._told():
            changed = [review.refresh() for review in self._reviews]  # all, also behind one that has changed
            if any(changed):
                self._take_in()
            rows = [self._row(key) for key in self._order]
        counted = Counter(row.object.state for row in rows)
        found = [row for row in rows if state is None or row.object.state == state]
        counts = {one: counted[one] for one in STATES}
        return Listing(tuple(found[offset : offset + limit]), len(found), counts)

    def shown(self, key: str) -> Shown:
        """One object. Unknown for a key that is none."""
        with self._lock, self._told():
            row, review = self._row(key), self._review(key)
            item, one = review.annotated(row.object.key)
            ratings = {mask.frame: mask.quality for mask in one.masks if mask.quality is not None}
            return Shown(row, item, review.masks(row.object.key), ratings)

    def decide(self, key: str, verdict: Verdict) -> Row:
        """Accept or reject an object."""
        with self._lock, self._told():
            self._review(key).decide(self._row(key).object.key, verdict)
            return self._row(key)

    def correct(self, key: str, clip: Clip, known: SessionObject) -> Row:
        """Take the masks of a session's object in the place of the annotated ones, on the frames that were
        looked at. Conflict for a session on another clip, RequestError if it is seen on none of them."""
        here = self.clip(key)
        if [path.absolute() for path in clip.files] != [path.absolute() for path in here.files]:
            raise Conflict("the session is about another clip; open the object for correction again")
        with self._lock, self._told():
            review, row = self._review(key), self._row(key)
            looked = set(from_spans(review.item(row.object.item).clip["frames"]))
            masks = [
                ItemMask(one.index, clip.times[one.index], one.rle, one.score)
                for one in known.masks or ()
                if one.index in looked and one.present and one.rle.area
            ]
            if not masks:
                raise RequestError("the corrected object is seen on no frame; reject it instead")
            review.decide(row.object.key, "corrected", masks)
            return self._row(key)

    def undo(self, key: str) -> Row:
        """Take back what was decided last. RequestError if nothing was."""
        with self._lock, self._told():
            self._review(key).undo(self._row(key).object.key)
            return self._row(key)

    def clip(self, key: str) -> Clip:
        """The clip of an object's item. MediaError if it is not where it was annotated."""
        with self._lock, self._told():
            folder, item, _ = self._place(key)
            if (folder, item) not in self._clips:
                self._clips[folder, item] = self._open(self._reviews[folder].item(item))
                while len(self._clips) > MOST_CLIPS:
                    self._clips.popitem(last=False)
            self._clips.move_to_end((folder, item))
            return self._clips[folder, item]

    def to_correct(self, key: str) -> tuple[Clip, str, SessionObject]:
        """The clip, its name, and the object as a session takes it: pointed out by its best mask, and with
        all its masks until it is followed again. TooLarge for a clip that no session takes."""
        clip, shown = self.clip(key), self.shown(key)
        if clip.num_frames > self._limits.job_frames:
            raise TooLarge(
                f"the clip has {clip.num_frames} frames; sessions take {self._limits.job_frames} at most: "
                "start the server with a larger --max-job-frames"
            )
        best = max(shown.masks, key=lambda mask: (shown.ratings.get(mask.frame, mask.score), mask.rle.area))
        known = SessionObject(
            id=shown.row.object.id,
            origin="pointed",
            name=_session_name(shown.row.object.name),
            pointings=(Pointing((RegionMask(best.rle.decode(), best.frame),)),),
            masks=MaskTrack(tuple(FrameMask(one.frame, one.rle, one.score, True) for one in shown.masks)),
        )
        return clip, shown.row.object.item, known

    # Inside ----------------------------------------------------------------------------------------------

    def _take_in(self) -> None:
        """Give all objects keys, and put the worst first."""
        self._keys.clear()
        self._clips.clear()
        ranked = []
        for folder, review in enumerate(self._reviews):
            for one in review:
                key = _key(folder, one)
                self._keys[key] = (folder, one.item, one.id)
                ranked.append((one.rank, folder, key))
        self._order = [key for _, _, key in sorted(ranked)]

    def _place(self, key: str) -> tuple[int, str, int]:
        if key not in self._keys:
            raise Unknown("there is no object of this name under review; list them again")
        return self._keys[key]

    def _review(self, key: str) -> Review:
        return self._reviews[self._place(key)[0]]

    def _row(self, key: str) -> Row:
        folder, item, number = self._place(key)
        return Row(key, folder, self._reviews[folder][item, number])

    def _open(self, item: Annotated) -> Clip:
        paths = [Path(path) for path in item.clip["media"]]
        try:
            clip = Clip.open(paths[0]) if len(paths) == 1 else Clip.open(paths, item.clip["fps"])
        except MediaError as error:
            raise MediaError(
                f"{item.item}: its media cannot be opened; they must lie where they were annotated, and the "
                "server be started in the same folder"
            ) from error
        height, width = item.clip["size"]
        if (clip.width, clip.height, clip.num_frames) != (width, height, item.clip["num_frames"]):
            raise MediaError(f"{item.item}: its media have changed since they were annotated")
        if width * height > self._limits.pixels:
            raise TooLarge(f"{item.item} is {width}x{height}; this server takes {self._limits.pixels} pixels")
        return clip

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Inside, errors name no folder of this machine."""
        try:
            yield
        except OutputError as error:
            message = str(error)
            for review in self._reviews:
                message = message.replace(str(review.folder), review.name)
            raise OutputError(message) from error


def _key(folder: int, one: Candidate) -> str:
    return hashlib.sha256(f"{folder}\0{one.item}\0{one.id}".encode()).hexdigest()[:24]


def _session_name(name: str) -> str | None:
    """A name that a session takes; None for one that it does not."""
    try:
        check_name(name or None)
    except SessionError:
        return None
    return name or None
