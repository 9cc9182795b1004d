"""What training minimises (published figures: tests/golden/train).

Legend: T frames, O objects, S side of the mask view, B samples, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from unipixel.core.tokens import IGNORE_INDEX
from unipixel.model.sam2 import FrameMasks


@dataclass(frozen=True)
class MaskLossWeights:
    """Weights of the four mask losses, and the shape of the focal loss.

    quality_gradients: of the predicted IoUs. The published loss is their distance from the true ones behind a
    sigmoid, whose gradient vanishes where the decoder is sure and wrong: a candidate that was never any good
    can be trained to be right, and is still never chosen. "corrected" has the gradient of their
    cross-entropy; values are the same.
    """

    focal: float = 100.0
    dice: float = 5.0
    iou: float = 5.0
    presence: float = 5.0
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    quality_gradients: Literal["published", "corrected"] = "published"


@dataclass(frozen=True)
class MaskLoss:
    """Losses of one sample, summed over its frames and averaged over its objects;
    `total` is weighted, per frame."""

    focal: Tensor
    dice: Tensor
    iou: Tensor
    presence: Tensor
    total: Tensor


def language_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the next token, mean over the counted tokens of the batch; zero if none is counted.

    logits [B, L, vocabulary], labels [B, L] with -100 where nothing is counted.
    """
    predicted, wanted = logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
    if not (wanted != IGNORE_INDEX).any():
        return logits.sum() * 0
    return F.cross_entropy(predicted.float(), wanted, ignore_index=IGNORE_INDEX)


def mask_loss(
    frames: Sequence[FrameMasks], masks: Tensor, weights: MaskLossWeights, num_objects: float | None = None
) -> MaskLoss:
    """Losses of the tracked masks of one sample.

    frames: what the tracker gave, one per frame; masks: bool [T, O, S, S]; num_objects: what sums over
    objects are divided by (its mean over ranks in distributed training; O by default).
    """
    assert len(frames) == len(masks), f"{len(frames)} tracked frames, but targets for {len(masks)}"
    per_frame = [_frame_losses(frame, target, weights) for frame, target in zip(frames, masks, strict=True)]
    focal, dice, iou, presence = torch.stack(per_frame).sum(0) / (num_objects or masks.shape[1])
    total = weights.focal * focal + weights.dice * dice + weights.iou * iou + weights.presence * presence
    return MaskLoss(focal, dice, iou, presence, total / len(frames))


def _frame_losses(frame: FrameMasks, target: Tensor, weights: MaskLossWeights) -> Tensor:
    """(focal, dice, iou, presence) of one frame, summed over objects: [4]."""
    logits = F.interpolate(
        frame.candidates.float(), size=target.shape[-2:], mode="bilinear", align_corners=False
    )
    wanted = target[:, None].to(logits.dtype).expand_as(logits)
    present = target.flatten(1).any(1).to(logits.dtype)
    focal = _focal(logits, wanted, weights)
    dice = _dice(logits, wanted)
    actual_iou = _iou(logits > 0, wanted > 0)
    iou = _quality(frame.ious.float(), actual_iou, weights).mean(1)
    best = (weights.focal * focal + weights.dice * dice).argmin(1, keepdim=True)
    presence = F.binary_cross_entropy_with_logits(frame.object_score.float(), present, reduction="none")
    return torch.stack(
        [
            (focal.gather(1, best).squeeze(1) * present).sum(),
            (dice.gather(1, best).squeeze(1) * present).sum(),
            (iou * present).sum(),
            presence.sum(),
        ]
    )


def _focal(logits: Tensor, wanted: Tensor, weights: MaskLossWeights) -> Tensor:
    """Sigmoid focal loss, mean over pixels: [O, candidates]."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    probability = logits.sigmoid()
    miss = probability * (1 - wanted) + (1 - probability) * wanted
    balance = weights.focal_alpha * wanted + (1 - weights.focal_alpha) * (1 - wanted)
    return (balance * miss**weights.focal_gamma * cross_entropy).flatten(2).mean(2)


def _dice(logits: Tensor, wanted: Tensor) -> Tensor:
    """Dice loss with +1 smoothing: [O, candidates]."""
    probability = logits.sigmoid().flatten(2)
    wanted = wanted.flatten(2)
    overlap = (probability * wanted).sum(2)
    return 1 - (2 * overlap + 1) / (probability.sum(2) + wanted.sum(2) + 1)


def _quality(said: Tensor, actual: Tensor, weights: MaskLossWeights) -> Tensor:
    """Distance of predicted from true IoUs, both 0..1: [O, candidates]."""
    distance = (said - actual).abs()
    if weights.quality_gradients == "published":
        return distance
    # Through the sigmoid this one's gradient is `said - actual`, however sure the decoder is.
    likelihood = actual * _log(said) + (1 - actual) * _log(1 - said)
    return distance.detach() - (likelihood - likelihood.detach())


def _log(probability: Tensor) -> Tensor:
    return probability.clamp(min=torch.finfo(probability.dtype).tiny).log()


def _iou(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Intersection over union of boolean masks, 0 for two empty ones: [O, candidates]."""
    intersection = (predicted & wanted).flatten(2).sum(2)
    union = (predicted | wanted).flatten(2).sum(2).clamp(min=1)
    return intersection / union
