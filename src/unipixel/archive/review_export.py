"""From reviewed annotations to a file of one's own data (docs/data.md), ready for `unipixel train`.

A question becomes an item with what was right about it; what was rejected is left out. So a question is only
written when all of its objects are decided, and none that is right is left out: else its answer would teach
that something is not there which is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal

from unipixel.archive.lines import Annotated, ItemMask
from unipixel.archive.review import Review, State, Verdict, candidates
from unipixel.archive.windows import from_spans
from unipixel.core.media import Clip
from unipixel.data.importers.common import OnNote, relative, unheard
from unipixel.data.jsonl import FrameSpan, Item, ItemMedia, ItemObject, Region, write_jsonl
from unipixel.data.sample import Exchange, Facts, mentions
from unipixel.errors import ConfigError, DataError

USABLE: frozenset[Verdict] = frozenset({"accepted", "corrected"})

UNDECIDED = "not all decided"
WRONG = "all rejected"
PARTLY = "with something right that was not chosen"
UNUSABLE = "that cannot be written"


@dataclass
class Exported:
    """What was written: items, objects in them, and how many questions were left out, by reason."""

    items: int = 0
    objects: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        out = ", ".join(f"{number} {why}" for why, number in sorted(self.left_out.items()))
        return f"{self.items} items, {self.objects} objects" + (f"; questions left out: {out}" if out else "")


@dataclass(frozen=True)
class _Query:
    """A query of an item, and its objects with what was decided about them. text: empty for one that was
    marked."""

    number: int
    text: str
    states: Mapping[int, State]

    def reason(self, wanted: frozenset[Verdict]) -> str:
        """Why it is left out; empty if it is not."""
        states = set(self.states.values())
        if "undecided" in states:
            return UNDECIDED
        if states == {"rejected"}:
            return WRONG
        return PARTLY if states - wanted - {"rejected"} else ""

    @property
    def right(self) -> tuple[int, ...]:
        return tuple(number for number, state in sorted(self.states.items()) if state != "rejected")


def export_review(
    folders: Sequence[str | Path],
    file: str | Path,
    *,
    root: str | Path | None = None,
    verdicts: frozenset[Verdict] = USABLE,
    on_note: OnNote = unheard,
) -> Exported:
    """Write reviewed objects of some folders of results as one JSONL file; all or nothing.

    Args:
        folders: of `unipixel annotate`, reviewed.
        file: what is written.
        root: what its paths are relative to; None is its own folder. All media must lie below.
        verdicts: objects to take, accepted or corrected.
        on_note: told of single questions that cannot be written.

    Raises:
        ConfigError: nothing would be written (it says why), or media do not lie below the root.
        OutputError: a folder cannot be read, or the file cannot be written.
        MediaError: a picture or video is no longer where it was annotated.
    """
    if not verdicts or not verdicts <= USABLE:
        raise ConfigError(f"{sorted(verdicts)} cannot be exported; choose from {sorted(USABLE)}")
    reviews = [Review(folder) for folder in folders]
    base = Path(root) if root is not None else Path(file).parent
    export = _Export(base, verdicts, on_note)
    several = len(reviews) > 1
    found = (
        made for review in reviews for made in export.of_folder(review, f"{review.name}/" if several else "")
    )
    first = next(found, None)
    told = export.told
    if first is None:
        out = ", ".join(f"{number} {why}" for why, number in sorted(told.left_out.items()))
        raise ConfigError(
            f"there is nothing to write (questions: {out or 'none with objects'}); decide about objects "
            "first (unipixel serve --review)"
        )
    told.items = write_jsonl(file, chain([first], found))
    return told


class _Export:
    """One export, and what it has come to so far."""

    def __init__(self, root: Path, verdicts: frozenset[Verdict], on_note: OnNote) -> None:
        self._root, self._verdicts, self._on_note = root, verdicts, on_note
        self.told = Exported()

    def of_folder(self, review: Review, prefix: str) -> Iterator[Item]:
        """An item for each question of which all is decided, and for each object that was marked."""
        for item in review.items():
            kept = [query for query in _queries(review, item) if self._takes(query)]
            if not kept:
                continue
            media = _media(item, self._root)
            for query in kept:
                try:
                    made = _item(review, item, query, media, prefix)
                except DataError as error:  # such as a question that speaks of [0]
                    self.told.left_out[UNUSABLE] += 1
                    self._on_note(f"{item.item}: {error}")
                    continue
                self.told.objects += len(made.objects)
                yield made

    def _takes(self, query: _Query) -> bool:
        reason = query.reason(self._verdicts)
        self.told.left_out.update([reason] if reason else [])
        return not reason


def _queries(review: Review, item: Annotated) -> list[_Query]:
    """The queries of an item that found anything."""
    states: dict[int, dict[int, State]] = {}
    queries = {one.id: one.query for one in item.objects}
    for one in candidates(item):
        states.setdefault(queries[one.id], {})[one.id] = review[one.key].state
    asked = {number: item.queries[number].get("ask", "") for number in states}
    return [_Query(number, asked[number], found) for number, found in sorted(states.items())]


def _item(review: Review, item: Annotated, query: _Query, media: ItemMedia, prefix: str) -> Item:
    objects = tuple(
        _object(one.id, one.name, review.masks((item.item, one.id)), query.states[one.id], media.is_still)
        for one in item.objects
        if one.id in query.right
    )
    # What was marked is pointed at again, with a session's own question (`refer(by="language")`).
    mark = f"[{query.right[0]}]"
    answer = _answer(item, query) if query.text else mark
    said = Exchange(query.text or f"Please segment {mark}.", answer)
    return Item(
        id=f"{prefix}{item.item}#{query.number}",
        task="segment" if query.text else "remember",
        rounds=(said,),
        media=media,
        objects=objects,
        annotated=None if media.is_still else _annotated(item, query, objects),
        free_ids=True,
    )


def _object(number: int, name: str, masks: Sequence[ItemMask], state: State, is_still: bool) -> ItemObject:
    regions = tuple(
        Region(mask.rle, None if is_still else FrameSpan(mask.frame, mask.frame)) for mask in masks
    )
    return ItemObject(number, name, regions, facts=Facts({"review": state}))


def _answer(item: Annotated, query: _Query) -> str:
    """What was said, if that names just what was right; else plain words."""
    texts = [answer["text"] for answer in item.answers if answer["query"] == query.number]
    if len(texts) == 1 and set(mentions(texts[0])) == set(query.right):
        return str(texts[0])
    names = [f"[{number}]" for number in query.right]
    if len(names) == 1:
        return f"It is {names[0]}."
    return f"They are {', '.join(names[:-1])} and {names[-1]}."


def _annotated(
    item: Annotated, query: _Query, objects: Sequence[ItemObject]
) -> tuple[int, ...] | Literal["all"] | None:
    """The frames that were looked at: there, what has no mask is not to be seen. None, the frames with masks,
    where some windows of the query failed."""
    if any(failure.get("query") == query.number for failure in item.failures):
        return None
    looked = from_spans(item.clip["frames"])
    return "all" if len(looked) == item.clip["num_frames"] else tuple(looked)


def _media(item: Annotated, root: Path) -> ItemMedia:
    """Its picture, video or frames; ConfigError outside of the root, MediaError if it is gone."""
    paths, (height, width) = [Path(path) for path in item.clip["media"]], item.clip["size"]
    size = (width, height)
    if len(paths) == 1 and not paths[0].is_dir():
        clip = Clip.open(paths[0])
        return ItemMedia("image" if clip.is_image else "video", (relative(paths[0], root),), size=size)
    frames = paths if len(paths) > 1 else list(Clip.open(paths[0]).files)
    written = tuple(relative(path, root) for path in frames)
    return ItemMedia("frames", written, item.item, item.clip["fps"], size=size)
