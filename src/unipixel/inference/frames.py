"""The frames of one clip as features of the mask decoder: each encoded once, as many kept as one allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import torch

from unipixel.core.frames import Frame
from unipixel.core.media import Clip
from unipixel.model.sam2 import FrameFeatures, MaskTracker, Sam2
from unipixel.processing.vision import mask_view

FRAMES_AT_ONCE = 8
"""Frames that go through the image encoder together; bounds what is held at any length."""
BACKWARD_AT_ONCE = 16
"""Frames that are read together when a clip is walked backwards: files are decoded forwards only."""


class Segmenter(Protocol):
    """What finds masks on frames: a whole model, or other weights of SAM 2.1 that follow its objects."""

    @property
    def sam2(self) -> Sam2: ...
    @property
    def tracker(self) -> MaskTracker: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...


class EncodedFrames:
    """Features of a clip's frames in any order. What fits into `keep_bytes` is kept for the next time; frames
    beyond that are encoded again whenever they are asked for, so a long clip costs time, not memory.

    followed_by: the same frames as other weights see them, which follow what was found on these; None where
    the same weights do both.
    """

    def __init__(
        self,
        model: Segmenter,
        clip: Clip,
        keep_bytes: int = 0,
        kept: KeptFrames | None = None,
        followed_by: EncodedFrames | None = None,
    ) -> None:
        """kept: features of the same clip that were kept before, and go on to be shared."""
        self.model = model
        self.clip = clip
        self.kept = KeptFrames(keep_bytes) if kept is None else kept
        self.followed_by = followed_by

    @property
    def keep_bytes(self) -> int:
        """Bytes of features that may be kept."""
        return self.kept.most_bytes

    @property
    def nbytes(self) -> int:
        """Bytes of the features kept."""
        return self.kept.nbytes + (self.followed_by.nbytes if self.followed_by is not None else 0)

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

    def at(self, indices: Sequence[int]) -> Iterator[tuple[int, FrameFeatures]]:
        """Some frames, in order of time: encoded together, one chunk held at a time."""
        for first in range(0, len(indices), FRAMES_AT_ONCE):
            chunk = indices[first : first + FRAMES_AT_ONCE]
            yield from self._encoded(chunk, _Reader(self.clip, chunk[0], chunk[-1] + 1)).items()

    def clear(self) -> None:
        """Forget all features."""
        self.kept.clear()
        if self.followed_by is not None:
            self.followed_by.clear()

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
def encode_frames(model: Segmenter, frames: Iterable[Frame]) -> FrameFeatures:
    """Frames, uint8 [H, W, 3] each, through the image encoder together; each is let go once it is resized."""
    side = model.sam2.config.image_size
    views = [mask_view(frame[None], side, model.device) for frame in frames]
    return model.sam2.encode(torch.cat(views).to(model.dtype))
