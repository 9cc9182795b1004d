"""An object of a session: what was pointed out, what the model said of it, and its masks so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.prompts import Box, Point, Prompt, RegionMask, SlotPrompt
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
    language model asked for it, float32 [h, c]; masks: on the frames followed so far, None as long as a
    question only pointed at it.
    """

    id: int
    origin: Origin
    name: str | None = None
    pointings: tuple[Pointing, ...] = ()
    pointer: SlotPrompt | None = None
    said: NDArray[np.float32] | None = None
    masks: MaskTrack | None = None

    def __post_init__(self) -> None:
        if self.origin not in get_args(Origin):
            raise SessionError(f"object [{self.id}] comes from {self.origin!r}; expected {get_args(Origin)}")
        if self.id < 0:
            raise SessionError(f"an object's id must be 0 or more; found {self.id}")
        check_name(self.name)

    @property
    def label(self) -> str:
        """`[3] red circle`, for people."""
        return f"[{self.id}] {self.name}" if self.name else f"[{self.id}]"

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames on which it was pointed out, in order of time."""
        return tuple(sorted({pointing.frame for pointing in self.pointings}))

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


def check_name(name: str | None) -> None:
    """SessionError for a name that is no short line of text."""
    if name is not None and not (
        isinstance(name, str) and name.strip() and len(name) <= 200 and name.isprintable()
    ):
        raise SessionError(f"an object's name is a line of 1 to 200 letters; found {name!r:.80}")
