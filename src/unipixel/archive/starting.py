"""From which frame of a window an object is followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from unipixel.core.masks import FrameMask


class Starter(Protocol):
    """Chooses the frame from which an object that words found is followed, in both directions."""

    name: str
    """By which a folder of results remembers it."""

    def candidates(self, seen: Sequence[int], num_frames: int) -> Sequence[int]:
        """Frames on which the object is looked for first; `seen` are those that the language model saw."""
        ...

    def choose(self, found: Sequence[FrameMask]) -> int | None:
        """One of the candidates, by the masks found there; None: the object is on none of them."""
        ...


class Clearest:
    """The frame on which the mask decoder is surest of the mask (its predicted IoU); of several the one on
    which the object is largest. An object that it sees on none of the frames is not followed."""

    name = "clearest"

    def candidates(self, seen: Sequence[int], num_frames: int) -> Sequence[int]:
        return seen

    def choose(self, found: Sequence[FrameMask]) -> int | None:
        seen = [mask for mask in found if mask.present and mask.rle.area]
        best = max(seen, key=lambda mask: (mask.score, mask.rle.area), default=None)
        return None if best is None else best.index


class First:
    """Frame 0 of the window in any case: the published way."""

    name = "first"

    def candidates(self, seen: Sequence[int], num_frames: int) -> Sequence[int]:
        return ()

    def choose(self, found: Sequence[FrameMask]) -> int | None:
        return 0


STARTERS: dict[str, Starter] = {"clearest": Clearest(), "first": First()}
"""By their names. A new one is a new row."""
