"""From the language model's hidden tokens to masks on every frame of a clip: each frame
is decoded, encoded once and dropped."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.model.sam2 import FrameFeatures, FrameMasks, MaskPrompt, low_res_to_size
from unipixel.model.unipixel import UniPixel
from unipixel.processing.vision import mask_view

FRAMES_AT_ONCE = 8
"""Frames that go through the image encoder together; bounds what is held at any length."""

OBJECTS_AT_ONCE = 16
"""Objects that go through the mask decoder together; bounds what a long list of objects needs."""


def track(model: UniPixel, clip: Clip, prompts: Tensor) -> tuple[MaskTrack, ...]:
    """Masks of n objects on every frame of the clip, in the clip's own size; prompts: hidden tokens [n, h,
    c].

    Frame 0 is the conditioning frame (architecture.md section 2).
    """
    tracks: list[list[FrameMask]] = [[] for _ in prompts]
    for found in track_frames(model, clip, prompts):
        for track_, frame in zip(tracks, found, strict=True):
            track_.append(frame)
    return tuple(MaskTrack(tuple(frames)) for frames in tracks)


def track_frames(model: UniPixel, clip: Clip, prompts: Tensor) -> Iterator[list[FrameMask]]:
    """The masks of all objects on one frame after the other; what is held does not grow with the clip.

    Objects do not see each other, so each group of them has its own state; all share a frame's features.
    """
    tracker = model.tracker
    groups = prompts.split(OBJECTS_AT_ONCE)
    states = [tracker.start(clip.num_frames) for _ in groups]
    for index, features in enumerate(encode_frames(model, clip)):
        found: list[FrameMask] = []
        for place, group in enumerate(groups):
            prompt = MaskPrompt(hidden=group) if index == 0 else None
            masks, states[place] = tracker.step(states[place], features, prompt)
            found += read_masks(masks, index, clip)
        yield found


def encode_frames(model: UniPixel, clip: Clip) -> Iterator[FrameFeatures]:
    """Features of every frame in order, each encoded once; only one frame is held in the clip's own size."""
    weight = model.sam2.no_mem_embed
    views: list[Tensor] = []
    for index, frame in clip.walk():
        views.append(mask_view(frame[None], model.config.sam2.image_size, weight.device))
        if len(views) == FRAMES_AT_ONCE or index == clip.num_frames - 1:
            features = model.sam2.encode(torch.cat(views).to(weight.dtype))
            yield from (features[i] for i in range(len(views)))
            views = []


def read_masks(masks: FrameMasks, index: int, clip: Clip) -> list[FrameMask]:
    """The tracker's answer for frame `index` in the clip's size: logits > 0; nothing
    where the object is absent."""
    logits = low_res_to_size(masks.logits.float(), clip.height, clip.width)
    solid = (logits > 0).cpu().numpy()
    scores = masks.ious.float().amax(1).clamp(0, 1).tolist()
    present = (masks.object_score > 0).tolist()
    return [
        FrameMask(index, RLE.from_mask(mask), round(score, 4), is_present)
        for mask, score, is_present in zip(solid, scores, present, strict=True)
    ]
