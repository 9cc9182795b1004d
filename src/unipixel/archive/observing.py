"""Following objects, with all that the mask decoder tells of a mask."""

from __future__ import annotations

import torch
from torch import Tensor

from unipixel.archive.quality import DIGITS, Observed
from unipixel.core.masks import FrameMask
from unipixel.core.media import Clip
from unipixel.inference.tracking import Track, read_masks
from unipixel.model.sam2 import Sighting

CUT = 1.0
"""A mask is stable if it is the same cut at this logit and at its negative (SAM's stability score)."""


class Observing(Track):
    """A Track whose masks are `Observed`."""

    def read(self, masks: Sighting, index: int) -> list[FrameMask]:
        return [*read_observed(masks, index, self._frames.clip)]


def read_observed(masks: Sighting, index: int, clip: Clip) -> list[Observed]:
    """The tracker's answer for a frame, in the clip's size."""
    stabilities = _stability(masks.logits.float()).tolist()
    agreements = _agreement(masks).tolist()
    scores = masks.object_score.float().flatten().tolist()
    return [
        Observed(one.index, one.rle, one.score, one.present, *(round(value, DIGITS) for value in told))
        for one, *told in zip(read_masks(masks, index, clip), scores, stabilities, agreements, strict=True)
    ]


def _stability(logits: Tensor) -> Tensor:
    """[O, h, w] to [O]: IoU of the masks cut high and low; 0 where the low one is empty."""
    high, low = (logits > CUT).flatten(1).sum(1), (logits > -CUT).flatten(1).sum(1)
    return high / low.clamp(min=1)


def _agreement(masks: Sighting) -> Tensor:
    """[O]: IoU of the mask with that of the other candidates which is most like it. The mask is one of the
    candidates itself, so that is the second best; 0 where there is but one."""
    mask, candidates = masks.logits[:, None] > 0, masks.candidates > 0
    both, either = (mask & candidates).flatten(2).sum(2), (mask | candidates).flatten(2).sum(2)
    ious = both / either.clamp(min=1)
    return ious.sort(dim=1, descending=True).values[:, 1] if ious.shape[1] > 1 else torch.zeros(len(ious))


def observed(mask: FrameMask) -> Observed:
    """A mask of an `Observing` as what it is."""
    assert isinstance(mask, Observed), f"a mask of frame {mask.index} was not observed"
    return mask
