"""From which frame an object that words found is followed, in both directions of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from unipixel.core.mask_options import Start
from unipixel.core.masks import FrameMask
from unipixel.core.media import Clip
from unipixel.inference.frames import EncodedFrames
from unipixel.inference.tracking import read_masks
from unipixel.model.sam2 import MaskPrompt, Sighting
from unipixel.model.sam2.together import OBJECTS_AT_ONCE

Found = TypeVar("Found", bound=FrameMask)
Read: TypeAlias = Callable[[Sighting, int, Clip], Sequence[Found]]
"""A frame's answer as masks of a clip, one for each object."""


class Starter(Protocol):
    """Chooses the frame from which an object that words found is followed."""

    def candidates(self, shown: Sequence[int]) -> Sequence[int]:
        """Frames on which the object is looked for first; `shown` are those that the language model saw."""
        ...

    def choose(self, found: Sequence[FrameMask]) -> int | None:
        """One of the candidates, by the masks found there; None: the object is on none of them."""
        ...


class Clearest:
    """The frame on which the mask decoder is surest of the mask (its predicted IoU); of several the one on
    which the object is largest."""

    def candidates(self, shown: Sequence[int]) -> Sequence[int]:
        return shown

    def choose(self, found: Sequence[FrameMask]) -> int | None:
        seen = [mask for mask in found if mask.present and mask.rle.area]
        best = max(seen, key=lambda mask: (mask.score, mask.rle.area), default=None)
        return None if best is None else best.index


class First:
    """Frame 0 in any case: the published way."""

    def candidates(self, shown: Sequence[int]) -> Sequence[int]:
        return ()

    def choose(self, found: Sequence[FrameMask]) -> int | None:
        return 0


STARTERS: dict[Start, Starter] = {"first": First(), "clearest": Clearest()}
"""By their names. A new one is a new row, and a name in `Start`."""


@torch.inference_mode()
def look(
    frames: EncodedFrames, indices: Sequence[int], hidden: Tensor, read: Read[Found]
) -> list[list[Found]]:
    """The n objects that the language model asked for, hidden tokens [n, h, c], on single frames (in order of
    time): for each object its masks there. Nothing is followed, and no memory is encoded."""
    tracker = frames.model.tracker
    found: list[list[Found]] = [[] for _ in hidden]
    for index, features in frames.at(indices):
        for first in range(0, len(hidden), OBJECTS_AT_ONCE):
            prompt = MaskPrompt(hidden=hidden[first : first + OBJECTS_AT_ONCE])
            masks = read(tracker.look(features, prompt), index, frames.clip)
            for place, mask in enumerate(masks, first):
                found[place].append(mask)
    return found


def choose_starts(starter: Starter, frames: EncodedFrames, shown: Sequence[int], hidden: Tensor) -> list[int]:
    """The frame from which each object is followed; frame 0 for one that is seen on none of the candidates,
    where the published way would begin."""
    candidates = starter.candidates(shown) if frames.clip.num_frames > 1 and len(hidden) else ()
    if not candidates:
        return [0] * len(hidden)
    looks = look(frames, candidates, hidden, read_masks)
    return [starter.choose(masks) or 0 for masks in looks]
