"""A clip and what has been computed of it: nothing of it is computed twice, and all of it can be made
again."""

from __future__ import annotations

from dataclasses import dataclass

from unipixel.core.changes import frame_changes
from unipixel.core.media import Clip
from unipixel.core.request import PixelBudget, Request
from unipixel.inference.frames import EncodedFrames
from unipixel.inference.propagation import Propagator
from unipixel.model.generate import Prefix, read_prefix
from unipixel.model.unipixel import UniPixel
from unipixel.processing.processor import Processor, Shown

PREFIXES_KEPT = 2
"""Choices of frames whose reading is kept, the latest ones: usually that of plain questions, and that of a
question which points at a frame between them."""


@dataclass(frozen=True)
class ReadClip:
    """What the language model has read of a clip: the system's turn and the frames shown."""

    prefix: Prefix
    shown: Shown


class EncodedClip:
    """What one clip costs once: the reading of its frames by the language model (keys and values), and their
    features for the mask decoder as far as they fit into `keep_bytes`."""

    def __init__(
        self,
        model: UniPixel,
        processor: Processor,
        clip: Clip,
        keep_bytes: int = 0,
        propagator: Propagator | None = None,
    ) -> None:
        """propagator: other weights that follow the clip's objects; then `keep_bytes` is halved between the
        two."""
        self.clip = clip
        if propagator is None:
            self.frames = EncodedFrames(model, clip, keep_bytes)
        else:
            theirs = EncodedFrames(propagator, clip, keep_bytes // 2)
            self.frames = EncodedFrames(model, clip, keep_bytes // 2, followed_by=theirs)
        self._changes: tuple[float, ...] | None = None
        self._model = model
        self._processor = processor
        self._read: dict[tuple[tuple[int, ...], PixelBudget | None, float], ReadClip] = {}

    def shared_with(self, clip: Clip) -> EncodedClip:
        """The same for the same clip read from elsewhere: what is computed for one is known to both."""
        other = EncodedClip(self._model, self._processor, clip)
        theirs = self.frames.followed_by
        other.frames = EncodedFrames(
            self._model,
            clip,
            kept=self.frames.kept,
            followed_by=theirs and EncodedFrames(theirs.model, clip, kept=theirs.kept),
        )
        other._read = self._read
        return other

    def read_for(self, request: Request) -> ReadClip:
        """The clip as a request wants it shown, read now unless it was before."""
        frames = tuple(self._processor.shown_frames(request))
        step = request.seconds_per_step
        key = (frames, request.pixels, step)
        read = self._read.pop(key, None)
        if read is None:
            prepared = self._processor.prepare_clip(self.clip, frames, request.pixels, step)
            inputs = prepared.inputs.to(self._model.device, self._model.dtype)
            read = ReadClip(read_prefix(self._model, inputs), prepared.shown)
        self._read[key] = read  # the latest stands last
        while len(self._read) > PREFIXES_KEPT:
            del self._read[next(iter(self._read))]
        return read

    @property
    def changes(self) -> tuple[float, ...]:
        """How much changes from each frame to the next, found once."""
        if self._changes is None:
            self._changes = frame_changes(self.clip)
        return self._changes

    @property
    def nbytes(self) -> int:
        """Bytes of everything kept."""
        return self.frames.nbytes + sum(read.prefix.nbytes for read in list(self._read.values()))

    def clear(self) -> None:
        """Forget everything that was computed."""
        self.frames.clear()
        self._read.clear()
