"""One window of one item, or the only windows of several short ones: questions and marks to masks.

The path is that of every caller: a Request about a Clip, answers written as one batch, objects followed by
the one loop of `inference.tracking`. What differs from a plain question is the frame on which the mask
decoder is prompted (see `starting`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import torch
from torch import Tensor

from unipixel.archive.items import Item, Mark, Marked, Words
from unipixel.archive.observing import Observing, observed, read_observed
from unipixel.archive.quality import DIGITS, RATE, Observed, Rate, is_seen, observe
from unipixel.archive.settings import KEEP_BYTES, Settings
from unipixel.archive.units import FoundMask, FoundObject, Unit
from unipixel.archive.windows import Window, part_of
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip, check_sides
from unipixel.core.objects import Pointing, SessionObject
from unipixel.core.prompts import Box, Point, Prompt, RegionMask
from unipixel.core.question import ask_about
from unipixel.core.sampling import uniform_indices
from unipixel.core.splitting import split_track
from unipixel.errors import PromptError, UniPixelError
from unipixel.inference.answering import Asked, Spoken, speak
from unipixel.inference.encoded_clip import EncodedClip
from unipixel.inference.prompting import groups
from unipixel.inference.starting import STARTERS, Starter, look
from unipixel.inference.tracking import Followed, said
from unipixel.loading import with_masks
from unipixel.model.sam2.together import OBJECTS_AT_ONCE
from unipixel.predictor import Predictor
from unipixel.processing.processor import PreparedQuestion

ITEM_ERRORS = (UniPixelError, RuntimeError, OSError)
"""What may go wrong with one item and leave the others alone: bad data, or a machine that is too small for it
(torch's errors of memory and devices are RuntimeErrors)."""
MARKS_AT_ONCE = 4
"""Of an object that is marked on more frames of a window, so many prompt the mask decoder, spread evenly."""
MOST_LETTERS = 500


@dataclass(frozen=True)
class Task:
    """Some queries of an item in one window.

    Attributes:
        item: whose they are.
        clip: all of the item.
        frames: numbers of the window's frames in that clip.
        window: its number.
        queries: numbers of the queries.
        carried: for marked objects without a mark in the window, where they are known from: the mask that
            the neighbouring window found on a shared frame, or a mark on a frame outside the window.
    """

    item: Item
    clip: Clip
    frames: tuple[int, ...]
    window: Window
    queries: tuple[int, ...]
    carried: Mapping[int, Mark] = field(default_factory=dict)


def why(error: Exception) -> str:
    """The reason that is recorded."""
    return f"{type(error).__name__}: {error}"[:MOST_LETTERS]


class Finder:
    """Finds objects with one model. It holds no state between calls."""

    def __init__(self, predictor: Predictor, settings: Settings, rate: Rate = RATE) -> None:
        self.predictor = with_masks(predictor, settings.masks)
        self.settings = settings
        self.rate = rate

    def find(self, tasks: Sequence[Task]) -> list[tuple[Unit, ...]]:
        """Units of each task, one for each of its queries; what goes wrong is in them."""
        works = [_Work(task, self.predictor, self.rate) for task in tasks]
        self._speak(works)
        return [work.units(STARTERS[self.settings.masks.start]) for work in works]

    def _speak(self, works: Sequence[_Work]) -> None:
        rows = (
            (work, number)
            for work in works
            for number in work.task.queries
            if isinstance(work.task.item.queries[number], Words)
        )
        while batch := list(islice(rows, self.settings.batch)):
            asked = [row for row in batch if self._prepare(*row)]
            for (work, number), answer in zip(asked, self._answers(asked), strict=True):
                if isinstance(answer, Exception):
                    work.failures[number] = why(answer)
                else:
                    work.spoken[number] = answer

    def _prepare(self, work: _Work, number: int) -> bool:
        """Make a question; False if it cannot be."""
        query, settings = work.task.item.queries[number], self.settings
        assert isinstance(query, Words), f"query {number} of {work.task.item.id} is no question"
        try:
            check_sides(work.clip)
            request = ask_about(
                work.shown.clip,
                query.text,
                num_frames=settings.num_frames,
                pixels=settings.pixels,
                decoding=settings.decoding,
            )
            request = self.predictor.way.showing(request, self.predictor.processor, work.shown)
            work.asked[number] = Asked(request, work.shown)
        except ITEM_ERRORS as error:
            work.failures[number] = why(error)
            return False
        return True

    @torch.inference_mode()
    def _answers(
        self, rows: Sequence[tuple[_Work, int]]
    ) -> Iterator[tuple[PreparedQuestion, Spoken] | Exception]:
        """Answers of a batch; if it fails as a whole, one by one."""
        model, processor = self.predictor.model, self.predictor.processor
        try:
            yield from speak(model, processor, [work.asked[number] for work, number in rows])
            return
        except ITEM_ERRORS as error:
            if len(rows) < 2:
                yield from [error] * len(rows)
                return
        for row in rows:
            yield from self._answers([row])


class _Work:
    """A task while it is worked on."""

    def __init__(self, task: Task, predictor: Predictor, rate: Rate) -> None:
        self.task, self.rate = task, rate
        self.model, self.processor, self.way = predictor.model, predictor.processor, predictor.way
        outside = {mark.frame for mark in task.carried.values()}.difference(task.frames)
        self.frames = tuple(sorted(outside.union(task.frames)))
        """Of the window, and those outside it from which objects are known."""
        self.before = sum(frame < task.frames[0] for frame in outside)
        self.clip = part_of(task.clip, self.frames)
        self.encoded = self.way.encoded(predictor.model, predictor.processor, self.clip, KEEP_BYTES)
        self.shown = self.encoded  # what the language model sees: the window alone
        if outside:
            window = part_of(task.clip, task.frames)
            self.shown = EncodedClip(predictor.model, predictor.processor, window)
        self.asked: dict[int, Asked] = {}
        self.spoken: dict[int, tuple[PreparedQuestion, Spoken]] = {}
        self.looks: dict[tuple[int, int], dict[int, RLE | None]] = {}
        self.failures: dict[int, str] = {}

    def units(self, starter: Starter) -> tuple[Unit, ...]:
        """Follow everything that was said or marked."""
        found: dict[int, dict[int, FoundObject]] = {}
        try:
            found = self._follow(starter)
        except ITEM_ERRORS as error:
            self.failures.update(
                (number, why(error)) for number in self.task.queries if number not in self.failures
            )
        finally:
            self.encoded.clear()
            self.shown.clear()
        return tuple(self._unit(number, found.get(number, {})) for number in self.task.queries)

    def _unit(self, number: int, objects: Mapping[int, FoundObject]) -> Unit:
        window = self.task.window.number
        if number in self.failures:
            return Unit(window, number, reason=self.failures[number])
        if number not in self.spoken:
            return Unit(window, number, objects=tuple(objects.values()))
        question, spoken = self.spoken[number]
        text, mentions = self.processor.words(question, spoken.token_ids)
        spans = tuple((mention.start, mention.stop) for mention in mentions)
        each = [objects.get(place, FoundObject(None)) for place in range(len(spans))]
        if self.way.options.split:
            each = _split(each)
        return Unit(window, number, text, tuple(each), spans=spans)

    # Following -------------------------------------------------------------------------------------------

    def _follow(self, starter: Starter) -> dict[int, dict[int, FoundObject]]:
        """The objects that are followed, by query and place in its answer."""
        marked = self._marked()
        if not marked and not any(len(spoken.mask_prompts) for _, spoken in self.spoken.values()):
            return {}
        if self.encoded.frames.followed_by is None:
            for _ in self.encoded.frames.walk(0, self.clip.num_frames):  # in one pass; what fits is kept
                pass
        batches = [*self._said(starter), *self._pointed(marked)]
        if not batches:
            return {}
        masks: dict[tuple[int, int], list[Observed]] = {
            owner: [] for batch in batches for owner in batch.owners
        }
        for _, found in Observing(self.model, self.encoded.frames, [batch.followed for batch in batches]):
            for place, here in found.items():
                for owner, mask in zip(batches[place].owners, here, strict=True):
                    masks[owner].append(_settled(marked.get(owner[0]), observed(mask)))
        starts = {owner: batch.followed.start for batch in batches for owner in batch.owners}
        objects: dict[int, dict[int, FoundObject]] = {}
        for (query, place), found_there in masks.items():
            looks = self.looks.get((query, place), {})
            one = self._object(query, starts[query, place], found_there, looks)
            objects.setdefault(query, {})[place] = one
        return objects

    def _object(
        self, query: int, start: int, masks: Sequence[Observed], looks: Mapping[int, RLE | None]
    ) -> FoundObject:
        """What was found, in the item's own numbers of frames, where it may be and is seen, and how good it
        seems. `looks`: what was found without following."""
        numbers, window = self.frames, self.task.frames
        asked = self.task.item.queries[query]
        reach = (isinstance(asked, Marked) and asked.reach) or (window[0], window[-1])
        first, last = max(reach[0], window[0]), min(reach[1], window[-1])
        in_order = sorted(masks, key=lambda one: one.index)
        seen = [mask for mask in in_order if is_seen(mask)]
        rated = zip(seen, self.rate(observe(in_order, looks, start)), strict=True)
        return FoundObject(
            numbers[start],
            tuple(
                FoundMask(numbers[mask.index], mask.rle, mask.score, round(quality, DIGITS))
                for mask, quality in rated
                if first <= numbers[mask.index] <= last
            ),
        )

    def _said(self, starter: Starter) -> list[_Batch]:
        """What words found: each object from the frame that the starter chose, those of one frame
        together."""
        by_start: dict[int, list[tuple[tuple[int, int], Tensor]]] = {}
        for number, (_, spoken) in self.spoken.items():
            if not len(spoken.mask_prompts):
                continue
            for place, start in enumerate(self._starts(number, starter)):
                if start is not None:
                    by_start.setdefault(start, []).append(((number, place), spoken.mask_prompts[place]))
        batches = []
        for start, found in sorted(by_start.items()):
            for first in range(0, len(found), OBJECTS_AT_ONCE):
                some = found[first : first + OBJECTS_AT_ONCE]
                hidden = torch.stack([tokens for _, tokens in some])
                batches.append(_Batch(tuple(owner for owner, _ in some), said(hidden, start)))
        return batches

    def _starts(self, number: int, starter: Starter) -> list[int | None]:
        question, spoken = self.spoken[number]
        hidden, total = spoken.mask_prompts, len(self.task.frames)
        if total == 1:
            return [self.before] * len(hidden)
        looked = [frame + self.before for frame in starter.candidates(question.shown.frames)]
        seen = look(self.encoded.frames, looked, hidden, read_observed)
        for place, looks in enumerate(seen):
            self.looks[number, place] = {look.index: look.rle if is_seen(look) else None for look in looks}
        return [self._chosen(starter, masks) for masks in seen]

    def _chosen(self, starter: Starter, masks: Sequence[Observed]) -> int | None:
        """The frame that a starter chooses; it counts the window's own."""
        start = starter.choose([replace(mask, index=mask.index - self.before) for mask in masks])
        return None if start is None else start + self.before

    def _marked(self) -> dict[int, SessionObject]:
        """Marked objects as a session would know them, by query; those that do not fit the clip fail
        alone."""
        found = {}
        for number in self.task.queries:
            query = self.task.item.queries[number]
            if not isinstance(query, Marked):
                continue
            try:
                if prompts := self._prompts(number, query):
                    pointings = tuple(Pointing((prompt,)) for prompt in prompts)
                    found[number] = SessionObject(query.id, "pointed", pointings=pointings)
            except ITEM_ERRORS as error:
                self.failures[number] = why(error)
        return found

    def _prompts(self, number: int, query: Marked) -> list[Prompt]:
        if query.marks[0].frame >= self.task.clip.num_frames:
            raise PromptError(
                f"object [{query.id}] is marked on frame {query.marks[0].frame}; the item has frames 0 to "
                f"{self.task.clip.num_frames - 1}"
            )
        place_of = {frame: place for place, frame in enumerate(self.frames)}
        window = set(self.task.frames)
        marks = [mark for mark in query.marks if mark.frame in window]
        marks = [marks[place] for place in uniform_indices(len(marks), MARKS_AT_ONCE)]
        if not marks and number in self.task.carried:
            marks = [self.task.carried[number]]
        prompts = [_prompt(mark, place_of[mark.frame]) for mark in marks]
        for prompt in prompts:
            prompt.check(self.clip.width, self.clip.height, self.clip.num_frames)
        return prompts

    def _pointed(self, marked: Mapping[int, SessionObject]) -> list[_Batch]:
        numbers = list(marked)
        return [
            _Batch(tuple((numbers[place], 0) for place in places), followed)
            for places, followed in groups(list(marked.values()), self.clip, self.model)
        ]


@dataclass(frozen=True)
class _Batch:
    """Objects that are followed together, and whose they are: (query, place among its objects)."""

    owners: tuple[tuple[int, int], ...]
    followed: Followed


def _settled(known: SessionObject | None, mask: Observed) -> Observed:
    """A mask that was given stays as it is."""
    kept = mask if known is None else known.settled(mask)
    return mask if kept is mask else replace(mask, rle=kept.rle, score=kept.score, present=kept.present)


def _split(objects: Sequence[FoundObject]) -> list[FoundObject]:
    """Objects whose masks are split: the largest part of each at its place, the others behind all. A part has
    the score and the quality of the whole."""
    places, others = list(objects), list[FoundObject]()
    for place, one in enumerate(objects):
        if not one.masks:
            continue
        whole = MaskTrack(tuple(FrameMask(mask.frame, mask.rle, mask.score, True) for mask in one.masks))
        if len(tracks := split_track(whole)) > 1:
            places[place], *more = (_part(one, track, place) for track in tracks)
            others += more
    return places + others


def _part(one: FoundObject, track: MaskTrack, place: int) -> FoundObject:
    masks = tuple(
        replace(mask, rle=part.rle) for mask, part in zip(one.masks, track, strict=True) if part.rle.area
    )
    return FoundObject(one.start, masks, place)


def _prompt(mark: Mark, frame: int) -> Prompt:
    shape = mark.shape
    if isinstance(shape, Box):
        return Box(shape.x1, shape.y1, shape.x2, shape.y2, frame)
    if isinstance(shape, Point):
        return Point(shape.x, shape.y, frame)
    assert isinstance(shape, RLE), f"a mark is a {type(shape).__name__}"
    return RegionMask(shape.decode(), frame)
