"""From the language model's hidden tokens to masks on every frame of a clip: each frame
is decoded, encoded once and dropped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.model.sam2 import FrameFeatures, FrameMasks, MaskPrompt, low_res_to_size
from unipixel.model.unipixel import UniPixel
from unipixel.processing.vision import mask_view

FRAMES_AT_ONCE = 8
"""Frames that go through the image encoder together; bounds what is held at any length."""


def track(model: UniPixel, clip: Clip, prompts: Tensor) -> tuple[MaskTrack, ...]:
    """Masks of n objects on every frame of the clip, in the clip's own size; prompts: hidden tokens [n, h,
    c].

    Frame 0 is the conditioning frame (architecture.md section 2). All objects are tracked as one batch.
    """
    tracks: list[list[FrameMask]] = [[] for _ in prompts]
    for index, masks in enumerate(track_frames(model, clip, prompts)):
        for track_, frame in zip(tracks, read_masks(masks, index, clip), strict=True):
            track_.append(frame)
    return tuple(MaskTrack(tuple(frames)) for frames in tracks)


def track_frames(model: UniPixel, clip: Clip, prompts: Tensor) -> Iterator[FrameMasks]:
    """The tracker's answer for one frame after the other; what is held does not grow with the clip."""
    tracker = model.tracker
    state = tracker.start(clip.num_frames)
    prompt: MaskPrompt | None = MaskPrompt(hidden=prompts)
    for features in encode_frames(model, clip):
        masks, state = tracker.step(state, features, prompt)
        prompt = None
        yield masks


def encode_frames(model: UniPixel, clip: Clip) -> Iterator[FrameFeatures]:
    """Features of every frame in order, each encoded once."""
    weight = model.sam2.no_mem_embed
    chunk: list[NDArray[np.uint8]] = []
    for index, frame in clip.walk():
        chunk.append(frame)
        if len(chunk) == FRAMES_AT_ONCE or index == clip.num_frames - 1:
            view = mask_view(np.stack(chunk), model.config.sam2.image_size, weight.device)
            features = model.sam2.encode(view.to(weight.dtype))
            yield from (features[i] for i in range(len(chunk)))
            chunk = []


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
