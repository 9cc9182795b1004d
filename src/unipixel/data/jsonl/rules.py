"""In which ways the parts of an item can contradict each other. Nothing here opens a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from unipixel.core.masks import RLE
from unipixel.core.prompts import Box, Point
from unipixel.data.jsonl.parts import (
    MAX_FRAMES,
    Describe,
    Draft,
    Find,
    FrameSpan,
    ItemMedia,
    ItemObject,
    Outline,
    Region,
    Round,
    Shape,
    When,
    frames_at,
    pointer_corners,
    told,
)
from unipixel.data.sample import Choice, Exchange, Task, mentions
from unipixel.errors import DataError


@dataclass(frozen=True)
class Wrong:
    """Something that contradicts something else: where, what is there, and what should be."""

    place: str
    found: str
    expected: str

    def error(self, file: object = "") -> DataError:
        return DataError(file, self.place, self.found, self.expected)


def contradictions(item: Draft) -> Iterator[Wrong]:
    """Everything in which the parts of an item contradict each other, without opening files."""
    yield from _wrong_whole(item)
    yield from _wrong_ids(item.objects)
    known = {thing.id: thing for thing in item.objects}
    for number, turn in enumerate(item.rounds):
        place = f"conversation[{2 * number}]"
        yield from _wrong_turn(turn, place)
        yield from _Rules[item.task](place, turn, known, item.rounds[:number])
    if item.media is not None:
        yield from _wrong_places(item, item.media)


def _wrong_whole(item: Draft) -> Iterator[Wrong]:
    if not item.id.strip():
        yield Wrong("id", "no text", "a name that no other item has")
    if not item.rounds:
        yield Wrong("conversation", "no turns", "a question and its answer")
    if item.media is None and item.task != "chat":
        yield Wrong("media", "nothing", f"a picture, a video or frames, which {item.task!r} needs")
    if item.task == "chat" and (item.objects or item.ignored):
        yield Wrong("objects", f"{len(item.objects)} objects", "none: chat cannot mention objects")
    if item.task == "segment" and item.rounds and not any(_asks_for_masks(turn) for turn in item.rounds):
        yield Wrong("conversation", "no mask in any answer", 'an answer with "masks", or with an [id] in it')
    if item.task == "remember" and item.rounds and not any(map(_asks_for_masks, item.rounds)):
        yield Wrong("conversation", "no [id] in any answer", "the [id] of each object to be masked")
    if item.task in ("refer", "describe") and not any(_points(turn) for turn in item.rounds):
        yield Wrong("conversation", "no object in any question", 'an [id], or "describe"')


def _wrong_ids(objects: Sequence[ItemObject]) -> Iterator[Wrong]:
    first: dict[int, int] = {}
    for number, thing in enumerate(objects):
        if thing.id in first:
            yield Wrong(
                f"objects[{number}].id", f"{thing.id} again", f"a number unlike objects[{first[thing.id]}]"
            )
        first.setdefault(thing.id, number)


def _asks_for_masks(turn: Round) -> bool:
    return isinstance(turn, Find) or (isinstance(turn, Exchange) and bool(mentions(turn.answer)))


def _points(turn: Round) -> bool:
    return isinstance(turn, Describe) or (isinstance(turn, Exchange) and bool(mentions(turn.question)))


# Turns

_TOKEN = re.compile(r"<\|\w+\|>|<region[^>\n]{0,8}>|<object\d+>")
_PLACEHOLDER = re.compile(r"\A\s*<(?:image|video)>|<(?:image|video)>\s*\Z")


def _wrong_turn(turn: Round, place: str) -> Iterator[Wrong]:
    answer = _next(place)
    asked = turn.text if isinstance(turn, Find) else "" if isinstance(turn, Describe) else turn.question
    said = turn.text if isinstance(turn, Describe) else "" if isinstance(turn, Choice) else turn.answer
    if isinstance(turn, Find | Describe) and not turn.text.strip():
        yield Wrong(place if isinstance(turn, Find) else answer, "no text", "words")
    for where, text in ((place, asked), (answer, said)):
        token = _TOKEN.search(text) or _PLACEHOLDER.search(text)
        if token:
            expected = "plain words: objects are mentioned as [id], and pictures stand in `media`"
            yield Wrong(where, f"{token[0].strip()!r} in the text", expected)
    if isinstance(turn, Find):
        yield from _wrong_find(turn, place)


def _wrong_find(turn: Find, place: str) -> Iterator[Wrong]:
    if len(set(turn.masks)) != len(turn.masks):
        yield Wrong(f"{_next(place)}.masks", f"{list(turn.masks)}", "each object once")
    if (turn.form == "part") != bool(turn.part):
        yield Wrong(
            place, f"form {turn.form!r} with part {turn.part!r}", 'both "form": "part" and "part", or neither'
        )
    if turn.form in ("explanatory", "question") and not turn.answer.strip():
        yield Wrong(_next(place), "no text", f"the words that form {turn.form!r} has beside the mask")
    if turn.answer and turn.form not in ("explanatory", "question"):
        yield Wrong(
            f"{_next(place)}.text",
            f"words that form {turn.form!r} does not have",
            "no text, or form 'question'",
        )


def _next(place: str) -> str:
    """The assistant's turn behind a user's."""
    return f"conversation[{int(place[len('conversation[') : -1]) + 1}]"


Known: TypeAlias = Mapping[int, ItemObject]


def _segment(place: str, turn: Round, known: Known, before: Sequence[Round]) -> Iterator[Wrong]:
    if isinstance(turn, Find):
        yield from _need(turn.masks, known, f"{_next(place)}.masks", _MASK)
    elif isinstance(turn, Exchange):
        yield from _need(mentions(turn.answer), known, f"{_next(place)}.text", _MASK)
        answered = {
            id for earlier in before if isinstance(earlier, Exchange) for id in mentions(earlier.answer)
        }
        for id in mentions(turn.question):
            if id not in answered:
                yield Wrong(
                    f"{place}.text",
                    f"[{id}], which no answer before it has named",
                    "words for what is to be found; task 'remember' points at objects",
                )
    else:
        yield _unfit(place, "segment", '"expression" or "text"')


def _refer(place: str, turn: Round, known: Known, _before: Sequence[Round]) -> Iterator[Wrong]:
    yield from _ask_about(place, turn, known, "refer", _ANY)


def _describe(place: str, turn: Round, known: Known, _before: Sequence[Round]) -> Iterator[Wrong]:
    yield from _ask_about(place, turn, known, "describe", _POOLED)


def _ask_about(place: str, turn: Round, known: Known, task: Task, need: Need) -> Iterator[Wrong]:
    if isinstance(turn, Describe):
        yield from _need((turn.object,), known, f"{place}.describe", need)
    elif isinstance(turn, Exchange):
        yield from _need(mentions(turn.question), known, f"{place}.text", need)
        yield from _need(mentions(turn.answer), known, f"{_next(place)}.text", need)
    else:
        yield _unfit(place, task, '"text" or "describe"')


def _remember(place: str, turn: Round, known: Known, _before: Sequence[Round]) -> Iterator[Wrong]:
    if not isinstance(turn, Exchange):
        yield _unfit(place, "remember", '"text"')
        return
    if not mentions(turn.question):
        yield Wrong(f"{place}.text", "no [id]", "an [id] for each object that is pointed at")
    yield from _need(mentions(turn.question), known, f"{place}.text", _ANY)
    yield from _need(mentions(turn.answer), known, f"{_next(place)}.text", _MASK)


def _choose(place: str, turn: Round, known: Known, _before: Sequence[Round]) -> Iterator[Wrong]:
    if isinstance(turn, Choice):
        yield from _need(turn.mentioned, known, f"{place}.text", _POOLED)
    else:
        yield _unfit(place, "choose", '"text" with "options"')


def _chat(place: str, turn: Round, _known: Known, _before: Sequence[Round]) -> Iterator[Wrong]:
    if not isinstance(turn, Exchange):
        yield _unfit(place, "chat", '"text"')


_Rules = {
    "segment": _segment,
    "refer": _refer,
    "describe": _describe,
    "remember": _remember,
    "choose": _choose,
    "chat": _chat,
}


@dataclass(frozen=True)
class Need:
    """What an object must have where it is mentioned, and what to say if it has only something else."""

    pointer_is_enough: bool
    expected: str


_MASK = Need(
    False, "a mask (rle, polygons or png): boxes and points only point, no mask can be learnt from them"
)
_POOLED = Need(
    False,
    "a mask (rle, polygons or png), since this task looks at what lies under it; with boxes and points "
    "use task 'refer'",
)
_ANY = Need(True, "a mask, a box or a point")


def _need(ids: Iterable[int], known: Known, place: str, need: Need) -> Iterator[Wrong]:
    for id in ids:
        if id not in known:
            yield Wrong(place, f"[{id}], which no object is", f"one of the objects {sorted(known)}")
            continue
        thing = known[id]
        if thing.has_mask or (need.pointer_is_enough and thing.has_pointer):
            continue
        has = "only boxes or points" if thing.has_pointer else "no region"
        yield Wrong(place, f"object [{id}] with {has}", need.expected)


def _unfit(place: str, task: Task, expected: str) -> Wrong:
    return Wrong(place, f"a turn that task {task!r} does not have", expected)


# Frames and pixels


def _wrong_places(item: Draft, media: ItemMedia) -> Iterator[Wrong]:
    total = media.num_frames or MAX_FRAMES
    for number in item.annotated if isinstance(item.annotated, tuple) else ():
        if not 0 <= number < total:
            yield Wrong("annotated", f"frame {number}", f"frames 0 to {total - 1}")
    if isinstance(item.annotated, tuple) and list(item.annotated) != sorted(set(item.annotated)):
        yield Wrong("annotated", f"{list(item.annotated)[:8]}", "increasing frame numbers")
    if item.annotated == ():
        yield Wrong("annotated", "no frame", 'at least one, or "all"')
    if item.key_frame is not None and not 0 <= item.key_frame < total:
        yield Wrong("key_frame", f"frame {item.key_frame}", f"a frame from 0 to {total - 1}")
    for number, thing in enumerate(item.objects):
        for span, when in enumerate(thing.exists or ()):
            yield from wrong_time(when, media, f"objects[{number}].exists[{span}]")
        for place, region in enumerate(thing.regions):
            yield from _wrong_region(region, thing.exists, media, f"objects[{number}].regions[{place}]")
    for place, region in enumerate(item.ignored):
        if region.is_pointer:
            yield Wrong(f"ignored[{place}]", "a box or point", "a mask")
        yield from _wrong_region(region, None, media, f"ignored[{place}]")


def _wrong_region(
    region: Region, exists: tuple[When, ...] | None, media: ItemMedia, place: str
) -> Iterator[Wrong]:
    if region.when is not None:
        yield from wrong_time(region.when, media, place)
    elif not media.is_still and exists is None:
        yield Wrong(place, "no time", '"frame", "frames" or "seconds", or "exists" of the object')
    if region.when is not None and exists and not _is_within(region.when, exists):
        yield Wrong(
            place, f"{told(region.when)}, when the object does not exist", "a time inside its `exists`"
        )
    if media.size is not None:
        yield from wrong_size(region.shape, *media.size, place)


def wrong_time(when: When, media: ItemMedia, place: str) -> Iterator[Wrong]:
    """What is wrong with a time, as far as can be told without opening a video."""
    total = media.num_frames
    if isinstance(when, FrameSpan):
        if total is not None and when.last >= total:
            yield Wrong(place, told(when), f"frames 0 to {total - 1}, which the clip has")
    elif media.is_still:
        yield Wrong(place, told(when), "no time: a picture has none")
    elif media.kind == "frames" and media.fps is None:
        yield Wrong(place, told(when), 'frames, or "fps" in `media`: frames have no clock of their own')
    elif media.fps is not None and when.last * media.fps >= MAX_FRAMES:
        yield Wrong(place, told(when), f"fewer than {MAX_FRAMES} frames at {media.fps:g} fps")
    elif total is not None and media.fps is not None and not frames_at(when, media.fps, total):
        yield Wrong(place, told(when), f"a time with frames in it: the clip has {total} at {media.fps:g} fps")


def wrong_size(shape: Shape, width: int, height: int, place: str) -> Iterator[Wrong]:
    """What is wrong with a shape in a picture of this size; mask pictures are not opened."""
    if isinstance(shape, RLE) and (shape.width, shape.height) != (width, height):
        found = f"a mask of {shape.width}x{shape.height}"
        yield Wrong(
            f"{place}.rle.size", found, f"{width}x{height}, the size of the picture ([height, width])"
        )
    elif isinstance(shape, Outline):
        for number, polygon in enumerate(shape.polygons):
            xs, ys = polygon[::2], polygon[1::2]
            if max(xs) <= 0 or max(ys) <= 0 or min(xs) >= width or min(ys) >= height:
                yield Wrong(
                    f"{place}.polygons[{number}]",
                    "a polygon outside the picture",
                    f"pixels of a picture of {width}x{height}",
                )
    elif isinstance(shape, Box | Point):
        name, corners = pointer_corners(shape)
        if any(not (0 <= x < width and 0 <= y < height) for x, y in corners):
            found = f"{[round(value, 2) for corner in corners for value in corner]}"
            yield Wrong(f"{place}.{name}", found, f"x from 0 to {width - 1} and y from 0 to {height - 1}")


def _is_within(when: When, exists: tuple[When, ...]) -> bool:
    """Whether a time lies in one of others; True where they are of different kinds, which only a clock can
    compare."""
    alike = [span for span in exists if isinstance(span, type(when))]
    inside = any(span.first <= when.first and when.last <= span.last for span in alike)
    return inside or len(alike) < len(exists)
