"""Batches of objects of several clips, prompted on any frame and followed from there in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from unipixel.core.prompts import Box, Point
from unipixel.model.losses import MaskLoss, MaskLossWeights, mask_loss
from unipixel.model.sam2 import (
    FrameFeatures,
    FrameMasks,
    MaskPrompt,
    MaskTracker,
    Memory,
    Sam2,
    low_res_to_size,
)

NEGATIVE, POSITIVE, TOP_LEFT, BOTTOM_RIGHT, NOTHING = 0, 1, 2, 3, -1
LOSS_SCALE = 2
"""Masks are compared at half the side of the mask view: a quarter of the work."""


@dataclass(frozen=True)
class Clicks:
    """Clicks and box corners of n objects: points [n, P, 2] (x, y) with labels [n, P], as the tracker takes
    them."""

    points: Tensor
    labels: Tensor

    @classmethod
    def of(cls, prompts: Sequence[Point | Box | None]) -> Clicks:
        """One prompt each, all of a kind; None where there is nothing to click on."""
        rows = [_numbers(prompt) for prompt in prompts]
        return cls(torch.tensor([points for points, _ in rows]), torch.tensor([labels for _, labels in rows]))

    def and_then(self, later: Clicks) -> Clicks:
        """These and later ones of the same frame."""
        return Clicks(
            torch.cat([self.points, later.points], dim=1), torch.cat([self.labels, later.labels], dim=1)
        )


def _numbers(prompt: Point | Box | None) -> tuple[list[tuple[float, float]], list[int]]:
    match prompt:
        case Point(x, y, _, positive):
            return [(x, y)], [POSITIVE if positive else NEGATIVE]
        case Box(x1, y1, x2, y2):
            return [(x1, y1), (x2, y2)], [TOP_LEFT, BOTTOM_RIGHT]
        case None:
            return [(0.0, 0.0)], [NOTHING]


@dataclass(frozen=True)
class Footage:
    """Encoded clips of `num_frames` frames, one after the other, seen by objects [n] of the clips `scene`."""

    features: FrameFeatures
    num_frames: int
    scene: Tensor

    def at(self, frame: int) -> FrameFeatures:
        """One frame for every object."""
        return self.features.select(self.scene * self.num_frames + frame)

    def pick(self, chosen: Tensor) -> Footage:
        """The same clips, for the objects at the indices `chosen`."""
        return replace(self, scene=self.scene[chosen])


@dataclass(frozen=True)
class Started:
    """The answer on a frame that was prompted, and what is remembered of it."""

    masks: FrameMasks
    memory: Memory

    @property
    def frame(self) -> int:
        return self.memory.frame


def start(
    sam2: Sam2, footage: Footage, prompt: MaskPrompt, frame: int, known: Sequence[Started] = ()
) -> Started:
    """Prompt every object on one frame; `known` frames are read where that corrects what came from them."""
    tracker = MaskTracker(sam2)
    direction = 1 if any(there.frame < frame for there in known) else -1
    state = tracker.start(footage.num_frames, direction, frame)
    state = tracker.remember(state, [there.memory for there in known])
    masks, state = tracker.step(state, footage.at(frame), prompt, hide_absent=False)
    return Started(masks, state.conditioning[-1])


def follow(sam2: Sam2, footage: Footage, started: Sequence[Started]) -> list[FrameMasks]:
    """Follow objects from their first prompted frame to both ends of their clips, as one batch and as
    `unipixel.inference` does."""
    tracker = MaskTracker(sam2)
    answers = {there.frame: there.masks for there in started}
    first = min(answers)
    begin = tracker.remember(
        tracker.start(footage.num_frames, frame=first), [there.memory for there in started]
    )
    for direction, frame in ((1, first), (-1, first - 1)):
        state = replace(begin, frame=frame, direction=direction)
        while 0 <= (t := state.frame) < footage.num_frames:
            if t in answers:
                state = tracker.skip(state)
            else:
                answers[t], state = tracker.step(state, footage.at(t), hide_absent=False)
    return [answers[t] for t in range(footage.num_frames)]


def find(sam2: Sam2, footage: Footage, prompt: MaskPrompt, frame: int = 0) -> list[FrameMasks]:
    """Prompt every object once and follow it."""
    return follow(sam2, footage, [start(sam2, footage, prompt, frame)])


def clip_loss(frames: list[FrameMasks], masks: Tensor) -> MaskLoss:
    """Mask loss of tracked objects; masks bool [n, T, S, S]."""
    side = masks.shape[-1] // LOSS_SCALE
    small = F.interpolate(masks.float(), size=(side, side), mode="bilinear", antialias=True) > 0.5
    return mask_loss(frames, small.transpose(0, 1), MaskLossWeights(quality_gradients="corrected"))


@torch.no_grad()
def mean_iou(logits: Sequence[Tensor], masks: Tensor) -> float:
    """Mean over objects and frames that hold something; logits: [n, S/4, S/4] per frame, masks bool
    [n, T, S, S]."""
    side = masks.shape[-1]
    predicted = torch.stack([low_res_to_size(frame, side, side) > 0 for frame in logits], dim=1)
    there = masks.flatten(2).any(2)
    intersection = (predicted & masks).flatten(2).sum(2)
    union = (predicted | masks).flatten(2).sum(2).clamp(min=1)
    return float((intersection / union)[there].mean())
