"""An object of a session: what was pointed out, what the model said of it, and its masks so far."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.prompts import Box, Point, Prompt, RegionMask, Scribble, SlotPrompt
from unipixel.errors import PromptError, SessionError

Origin: TypeAlias = Literal["pointed", "said", "given"]
"""Where an object's masks come from: the mask decoder, prompted with what was pointed out; the language
model, whose `<|seg|>` prompted the mask decoder on frame 0; or the caller."""


@dataclass(frozen=True)
class Pointing:
    """What a person pointed out at once, on one frame.

    A mask stands alone, and is the answer for its frame. `corrects`: the mask of that frame which the clicks
    correct, if the object was followed there from other frames. Raises PromptError.
    """

    prompts: tuple[Prompt, ...]
    corrects: RLE | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompts", tuple(self.prompts))
        frames = sorted({prompt.frame for prompt in self.prompts})
        if len(frames) != 1:
            raise PromptError(
                f"what is pointed out at once lies on one frame; found "
                f"{f'frames {frames}' if frames else 'nothing'}: give one frame after the other"
            )
        if len(self.prompts) > 1 and any(isinstance(prompt, RegionMask) for prompt in self.prompts):
            raise PromptError("a mask says all about its frame; give it without clicks and boxes")
        if sum(isinstance(prompt, Box) for prompt in self.prompts) > 1:
            raise PromptError("an object has one box on a frame; give the second box as another object")

    @property
    def frame(self) -> int:
        return self.prompts[0].frame

    @property
    def region(self) -> RegionMask | None:
        """The given mask, if it is one."""
        first = self.prompts[0]
        return first if isinstance(first, RegionMask) else None

    @property
    def says_where(self) -> bool:
        """Whether it tells where the object is, and not only where it is not."""
        return not all(isinstance(prompt, Point) and not prompt.positive for prompt in self.prompts)


@dataclass(frozen=True, eq=False)
class SessionObject:
    """One object of a session, as it is now; a session replaces it when something changes.

    id: stable and never given twice; pointings: what prompts the mask decoder, in the order in which it was
    given; pointer: the click or box by which a question pointed at it; said: the hidden tokens by which the
    language model asked for it, float32 [h, c], and said_on: the frame on which they prompt the mask decoder
    (the published way: frame 0); masks: on the frames followed so far, None as long as a
    question only pointed at it.
    """

    id: int
    origin: Origin
    name: str | None = None
    pointings: tuple[Pointing, ...] = ()
    pointer: SlotPrompt | None = None
    said: NDArray[np.float32] | None = None
    masks: MaskTrack | None = None
    said_on: int = 0

    def __post_init__(self) -> None:
        if self.origin not in get_args(Origin):
            raise SessionError(f"object [{self.id}] comes from {self.origin!r}; expected {get_args(Origin)}")
        object.__setattr__(self, "id", check_id(self.id))
        check_name(self.name)

    @property
    def label(self) -> str:
        """`[3] red circle`, for people."""
        return f"[{self.id}] {self.name}" if self.name else f"[{self.id}]"

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames that prompt the mask decoder, in order of time: where it was pointed out, and where what
        the language model said prompts it."""
        said = {self.said_on} if self.said is not None else set()
        return tuple(sorted(said | {pointing.frame for pointing in self.pointings}))

    @property
    def can_be_followed(self) -> bool:
        """Whether masks can be made from what is known of it."""
        return self.said is not None or bool(self.pointings)

    def settled(self, found: FrameMask) -> FrameMask:
        """What was found on a frame; a mask that a person gave there last stays as it is, to the pixel."""
        last = [pointing for pointing in self.pointings if pointing.frame == found.index][-1:]
        if not last or last[0].region is None:
            return found
        return FrameMask(found.index, RLE.from_mask(last[0].region.mask), 1.0, True)

    def with_masks(self, found: Mapping[int, FrameMask]) -> SessionObject:
        """The same object with these masks, by frame, in place of those it had there."""
        frames = {} if self.masks is None else {frame.index: frame for frame in self.masks}
        frames.update(found)
        if not frames:
            return self
        return replace(self, masks=MaskTrack(tuple(frames[index] for index in sorted(frames))))


class KnownObjects:
    """The objects of a session by their ids, which are stable and never given twice. `changes` counts what
    was done to them."""

    def __init__(self, objects: Sequence[SessionObject] = (), next_id: int = 0) -> None:
        """SessionError for objects that share an id, or have one that is still to be given."""
        numbers = [known.id for known in objects]
        if len(set(numbers)) < len(numbers) or max(numbers, default=-1) >= next_id:
            raise SessionError(f"the objects {numbers} need ids of their own, below the next one, {next_id}")
        self.next_id = check_id(next_id)
        self.changes = 0
        self._objects = {known.id: known for known in objects}

    def __iter__(self) -> Iterator[SessionObject]:
        """By id."""
        return iter([self._objects[number] for number in sorted(self._objects)])

    def __contains__(self, number: object) -> bool:
        return number in self._objects

    def __getitem__(self, number: int) -> SessionObject:
        """The object `[number]`; SessionError names those that exist."""
        self.check([number])
        return self._objects[number]

    def get(self, number: int) -> SessionObject | None:
        """The object `[number]`, if there is one."""
        return self._objects.get(number)

    def is_as(self, before: SessionObject) -> bool:
        """Whether an object is still known by the same pointings and words as before."""
        now = self._objects.get(before.id)
        return now is not None and now.pointings is before.pointings and now.said is before.said

    def check(self, numbers: Sequence[int]) -> None:
        """SessionError, naming those that exist, unless all numbers are those of objects."""
        unknown = ", ".join(f"[{number}]" for number in map(check_id, numbers) if number not in self._objects)
        if unknown:
            there = ", ".join(known.label for known in self)
            hint = f"the session knows {there}" if there else "it knows none yet: point at one"
            raise SessionError(f"there is no object {unknown}; {hint}")

    def put(self, known: SessionObject) -> SessionObject:
        """Take a new object, or a known one as it is now."""
        self._objects[known.id] = known
        self.next_id = max(self.next_id, known.id + 1)
        self.changes += 1
        return known

    def remove(self, number: int) -> SessionObject:
        """Forget an object; its id is not given again."""
        self.check([number])
        self.changes += 1
        return self._objects.pop(number)

    def merge(self, numbers: Sequence[int]) -> SessionObject:
        """Make one object of several: the first gets the union of all masks, the others go.

        From then on it stands for its mask on the frame where that is largest, should it be followed again.
        """
        parts = [self[number] for number in dict.fromkeys(numbers)]
        if len(parts) < 2:
            raise SessionError(f"merging takes two objects or more; found {list(numbers)}")
        without = [part.label for part in parts if part.masks is None]
        if without:
            raise SessionError(f"{', '.join(without)} has no masks yet; point at it with refer first")
        union = unite([part.masks for part in parts if part.masks is not None])
        largest = max(union, key=lambda frame: frame.rle.area)
        pointings: tuple[Pointing, ...] = ()
        if largest.rle.area:
            pointings = (Pointing((RegionMask(largest.rle.decode(), largest.index),)),)
        merged = SessionObject(parts[0].id, "pointed", parts[0].name, pointings, masks=union)
        gone = {part.id for part in parts}
        kept = {number: known for number, known in self._objects.items() if number not in gone}
        self._objects = {**kept, merged.id: merged}  # at once: an interruption must not lose a part
        self.changes += 1
        return merged


def unite(tracks: Sequence[MaskTrack]) -> MaskTrack:
    """The union of several objects' masks on every frame that one of them has."""
    frames: dict[int, list[FrameMask]] = {}
    for track in tracks:
        for frame in track:
            frames.setdefault(frame.index, []).append(frame)
    return MaskTrack(
        tuple(
            FrameMask(
                index,
                found[0].rle.union(*(frame.rle for frame in found[1:])),
                max(frame.score for frame in found),
                any(frame.present for frame in found),
            )
            for index, found in sorted(frames.items())
        )
    )


LARGEST_ID = 10**9 - 1
"""The largest number that a text can mention."""


def pointed_at(number: int, prompt: Prompt, clip: Clip) -> SessionObject:
    """What a question pointed at, and its answer had no mask for."""
    if isinstance(prompt, Point | Box):
        return SessionObject(number, "pointed", pointer=prompt)
    region = prompt.to_mask(clip.width, clip.height) if isinstance(prompt, Scribble) else prompt
    mask = FrameMask(region.frame, RLE.from_mask(region.mask), 1.0, True)
    return SessionObject(number, "pointed", pointings=(Pointing((prompt,)),), masks=MaskTrack((mask,)))


def check_masks(masks: MaskTrack, clip: Clip) -> None:
    """PromptError for masks that are not a clip's."""
    if not isinstance(masks, MaskTrack):
        raise PromptError(f"an object's masks are a MaskTrack; found {type(masks).__name__}")
    size, frames = (masks.width, masks.height), masks.indices
    if size != (clip.width, clip.height) or frames[-1] >= clip.num_frames:
        raise PromptError(
            f"the masks are {size[0]}x{size[1]} up to frame {frames[-1]}; the clip is "
            f"{clip.width}x{clip.height} with frames 0 to {clip.num_frames - 1}"
        )


def check_id(number: object) -> int:
    """An object's id as a plain number; SessionError for anything else than 0 … LARGEST_ID."""
    try:
        found = operator.index(number)  # type: ignore[arg-type]
    except TypeError as error:
        raise SessionError(f"an object's id is a whole number; found {number!r:.60}") from error
    if isinstance(number, bool) or not 0 <= found <= LARGEST_ID:
        raise SessionError(f"an object's id is a whole number from 0 to {LARGEST_ID}; found {number!r}")
    return found


def check_name(name: str | None) -> None:
    """SessionError for a name that is no short line of text."""
    if name is not None and not (
        isinstance(name, str) and name.strip() and len(name) <= 200 and name.isprintable()
    ):
        raise SessionError(f"an object's name is a line of 1 to 200 letters; found {name!r:.80}")
