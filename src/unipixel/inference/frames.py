"""The frames of one clip as features of the mask decoder: each encoded once, as many kept as one allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from unipixel.core.frames import Frame
from unipixel.core.media import Clip
from unipixel.model.sam2 import FrameFeatures
from unipixel.model.unipixel import UniPixel
from unipixel.processing.vision import mask_view

FRAMES_AT_ONCE = 8
"""Frames that go through the image encoder together; bounds what is held at any length."""
BACKWARD_AT_ONCE = 16
"""Frames that are read together when a clip is walked backwards: files are decoded forwards only."""


class EncodedFrames:
    """Features of a clip's frames in any order. What fits into `keep_bytes` is kept for the next time; frames
    beyond that are encoded again whenever they are asked for, so a long clip costs time, not memory."""

    def __init__(
        self, model: UniPixel, clip: Clip, keep_bytes: int = 0, kept: KeptFrames | None = None
    ) -> None:
        """kept: features of the same clip that were kept before, and go on to be shared."""
        self.model = model
        self.clip = clip
        self.kept = KeptFrames(keep_bytes) if kept is None else kept

    @property
    def keep_bytes(self) -> int:
        """Bytes of features that may be kept."""
        return self.kept.most_bytes

    @property
    def nbytes(self) -> int:
        """Bytes of the features kept."""
        return self.kept.nbytes

    def __getitem__(self, index: int) -> FrameFeatures:
        """Features of one frame (batch 1)."""
        return self._encoded([index], _Reader(self.clip, index, index + 1))[index]

    def walk(self, start: int, stop: int, step: int = 1) -> Iterator[tuple[int, FrameFeatures]]:
        """Frame after frame from `start` up to, without, `stop`; step 1 or -1. One chunk is held at a time,
        and only one frame in the clip's own size."""
        assert step in (1, -1), f"frames follow each other by 1 or -1; found {step}"
        reader = _Reader(self.clip, start if step > 0 else stop + 1, stop if step > 0 else start + 1)
        indices = range(start, stop, step)
        size = FRAMES_AT_ONCE if step > 0 else BACKWARD_AT_ONCE
        for first in range(0, len(indices), size):
            chunk = indices[first : first + size]
            found = self._encoded(sorted(chunk), reader)
            yield from ((index, found[index]) for index in chunk)

    def clear(self) -> None:
        """Forget all features."""
        self.kept.clear()

    def _encoded(self, indices: Sequence[int], reader: _Reader) -> dict[int, FrameFeatures]:
        kept = self.kept.features
        missing = [index for index in indices if index not in kept]
        found = {index: kept[index] for index in indices if index in kept}
        for first in range(0, len(missing), FRAMES_AT_ONCE):
            chunk = missing[first : first + FRAMES_AT_ONCE]
            features = encode_frames(self.model, (reader.frame(index) for index in chunk))
            found.update((index, self.kept.keep(index, features[place])) for place, index in enumerate(chunk))
        return found


class KeptFrames:
    """Features of a clip's frames, up to `most_bytes`."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.nbytes = 0
        self.features: dict[int, FrameFeatures] = {}

    def keep(self, index: int, features: FrameFeatures) -> FrameFeatures:
        """Keep the features of a frame if they fit; either way they are given back."""
        if self.nbytes + features.nbytes > self.most_bytes:
            return features
        self.nbytes += features.nbytes
        self.features[index] = features.alone()
        return self.features[index]

    def clear(self) -> None:
        """Forget all."""
        self.features.clear()
        self.nbytes = 0


class _Reader:
    """Frames of a clip, read on as long as they follow each other."""

    def __init__(self, clip: Clip, start: int, stop: int) -> None:
        self._clip, self._stop = clip, stop
        self._next, self._frames = start, clip.walk(start, stop)

    def frame(self, index: int) -> Frame:
        if index != self._next:
            self._frames = self._clip.walk(index, self._stop)
        self._next = index + 1
        return next(self._frames)[1]


@torch.inference_mode()
def encode_frames(model: UniPixel, frames: Iterable[Frame]) -> FrameFeatures:
    """Frames, uint8 [H, W, 3] each, through the image encoder together; each is let go once it is resized."""
    side = model.config.sam2.image_size
    views = [mask_view(frame[None], side, model.device) for frame in frames]
    return model.sam2.encode(torch.cat(views).to(model.dtype))
