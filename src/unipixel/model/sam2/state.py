"""The values a tracker takes, returns and is told to remember: nothing here computes masks.

Letters: O objects, P points, c channels, m memory channels, S image side, h w = S/16.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from unipixel.errors import PromptError


@dataclass(frozen=True)
class MaskPrompt:
    """What tells O objects apart on one frame; coordinates are pixels of the mask view.

    hidden: prompt tokens from the language model [O, n, c]. points [O, P, 2] (x, y) with labels [O, P]:
    1 positive, 0 negative, 2 and 3 box corners, -1 none. mask: values 0..1 [O, 1, S, S], taken as the
    answer itself. previous: earlier low-resolution logits [O, 1, S/4, S/4], refined by points or
    hidden tokens. Raises PromptError when nothing is given or the parts contradict each other.
    """

    hidden: Tensor | None = None
    points: Tensor | None = None
    labels: Tensor | None = None
    mask: Tensor | None = None
    previous: Tensor | None = None

    def __post_init__(self) -> None:
        parts = (self.hidden, self.points, self.labels, self.mask, self.previous)
        counts = [len(part) for part in parts if part is not None]
        if not counts or len(set(counts)) != 1 or counts[0] == 0:
            raise PromptError(
                f"the parts of a mask prompt describe {counts} objects; expected parts that agree, "
                "one part or more, and one object or more."
            )
        points, labels = (None if part is None else tuple(part.shape) for part in (self.points, self.labels))
        if (points is None) != (labels is None) or (points and points != (*(labels or ()), 2)):
            raise PromptError(
                f"points have shape {points} and labels {labels}; expected (objects, points, 2) with "
                "(objects, points)."
            )
        if self.mask is not None and len(counts) > 1:
            raise PromptError(
                "a given mask is the answer for its frame; give points or hidden tokens on another frame."
            )

    def refining(self, logits: Tensor) -> "MaskPrompt":
        """The same prompt, as a correction of earlier low-resolution logits [O, S/4, S/4]; a given mask stays
        the answer."""
        return self if self.mask is not None else replace(self, previous=logits[:, None])

    @property
    def num_objects(self) -> int:
        """O."""
        return next(
            len(part) for part in (self.hidden, self.points, self.mask, self.previous) if part is not None
        )


@dataclass(frozen=True)
class Memory:
    """One remembered frame: map tokens [O, h·w, m] and the object pointer [O, c]."""

    frame: int
    tokens: Tensor
    pointer: Tensor

    def of(self, index: int) -> "Memory":
        """That of one object."""
        one = slice(index, index + 1)
        return Memory(self.frame, self.tokens[one], self.pointer[one])


@dataclass(frozen=True)
class Pointer:
    """The object pointer [O, c] of one frame, kept longer than its map."""

    frame: int
    value: Tensor

    def of(self, index: int) -> "Pointer":
        """That of one object."""
        return Pointer(self.frame, self.value[index : index + 1])


@dataclass(frozen=True)
class TrackState:
    """Everything a tracker remembers: bounded, except that every prompted frame is kept.

    frame: index of the next frame. num_frames: length of the clip, None if unknown. direction: +1 or -1.
    conditioning: prompted frames. recent: unprompted frames, oldest first, at most num_maskmem - 1.
    pointers: of unprompted frames, newest first, at most max_object_pointers - 1.
    """

    frame: int
    num_frames: int | None
    direction: int
    conditioning: tuple[Memory, ...] = ()
    recent: tuple[Memory, ...] = ()
    pointers: tuple[Pointer, ...] = ()

    def distance(self, frame: int) -> int:
        """Frames from `frame` to the next one, in tracking direction."""
        return (self.frame - frame) * self.direction

    @property
    def form(self) -> tuple[object, ...]:
        """What must be the same for the states of different objects to be stepped as one."""
        parts = (self.conditioning, self.recent, self.pointers)
        frames = tuple(tuple(one.frame for one in part) for part in parts)
        return (self.frame, self.num_frames, self.direction, *frames)

    def of(self, index: int) -> "TrackState":
        """That of one object."""
        return replace(
            self,
            conditioning=tuple(memory.of(index) for memory in self.conditioning),
            recent=tuple(memory.of(index) for memory in self.recent),
            pointers=tuple(pointer.of(index) for pointer in self.pointers),
        )

    @property
    def num_objects(self) -> int | None:
        """O, or None before the first prompt."""
        return len(self.conditioning[0].pointer) if self.conditioning else None

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors held; a pointer that is also in `recent` counts once."""
        tensors = [
            tensor
            for memory in (*self.conditioning, *self.recent)
            for tensor in (memory.tokens, memory.pointer)
        ]
        tensors += [pointer.value for pointer in self.pointers]
        return sum({id(tensor): tensor.numel() * tensor.element_size() for tensor in tensors}.values())


def join_states(states: Sequence[TrackState]) -> TrackState:
    """States of one form, of different objects, as one."""
    first = states[0]
    assert all(state.form == first.form for state in states), "states of different forms cannot be joined"
    if len(states) == 1:
        return first
    conditioning = [_join_memories(found) for found in zip(*(s.conditioning for s in states), strict=True)]
    recent = [_join_memories(found) for found in zip(*(s.recent for s in states), strict=True)]
    pointers = [
        Pointer(found[0].frame, torch.cat([pointer.value for pointer in found]))
        for found in zip(*(s.pointers for s in states), strict=True)
    ]
    return replace(first, conditioning=tuple(conditioning), recent=tuple(recent), pointers=tuple(pointers))


def _join_memories(found: Sequence[Memory]) -> Memory:
    tokens, pointers = ([memory.tokens for memory in found], [memory.pointer for memory in found])
    return Memory(found[0].frame, torch.cat(tokens), torch.cat(pointers))


@dataclass(frozen=True)
class Sighting:
    """What one look at a frame shows of O objects.

    logits [O, S/4, S/4]: the candidate of best predicted quality. candidates [O, 3, S/4, S/4].
    ious [O, 3]: predicted qualities 0..1. object_score [O]: logits, present if > 0.
    """

    logits: Tensor
    candidates: Tensor
    ious: Tensor
    object_score: Tensor


@dataclass(frozen=True)
class FrameMasks(Sighting):
    """One frame's answer for O objects, with what is remembered of it.

    pointer [O, c]. memory [O, m, h, w]. conditioned [1 or O, c, h, w]: the features that were decoded.
    """

    pointer: Tensor
    memory: Tensor
    conditioned: Tensor
