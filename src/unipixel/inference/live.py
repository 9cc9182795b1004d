"""Frames that come one by one, from a camera or a queue: point at objects when they are there, get masks at
once.

Nothing grows with time. A stream of unknown length behaves as a clip of 16 frames or more (architecture.md
section 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from unipixel.core.frames import Frame
from unipixel.core.masks import FrameMask
from unipixel.core.media import Clip
from unipixel.core.objects import Pointing, SessionObject
from unipixel.core.prompts import Prompt
from unipixel.errors import MediaError, PromptError, SessionError
from unipixel.inference.frames import encode_frames
from unipixel.inference.prompting import as_sequence, groups
from unipixel.inference.tracking import read_masks
from unipixel.model.sam2 import FrameFeatures, FrameMasks, MaskPrompt, TrackState
from unipixel.model.unipixel import UniPixel

CONDITIONING_KEPT = 4
"""Prompted frames that are remembered of an object: its first one and the latest ones."""


class LiveTracker:
    """Follows objects through frames of one size. Ids are stable; new objects may come on any frame."""

    def __init__(self, model: UniPixel) -> None:
        self.num_frames = 0
        self._model = model
        self._tracker = model.tracker
        self._size: tuple[int, int] | None = None
        self._states: dict[int, TrackState] = {}

    @property
    def ids(self) -> tuple[int, ...]:
        """The objects that are followed."""
        return tuple(sorted(self._states))

    @property
    def nbytes(self) -> int:
        """Bytes that are remembered of all objects."""
        return sum(state.nbytes for state in self._states.values())

    @torch.inference_mode()
    def step(
        self, frame: Frame, prompts: Mapping[int, Prompt | Sequence[Prompt]] | None = None
    ) -> dict[int, FrameMask]:
        """Masks of all objects on the next frame, uint8 [H, W, 3].

        prompts: what is pointed out on this frame, by object: new ids begin an object, known ones correct it.
        The prompts' own frame number is not looked at. Raises MediaError for a frame of another size and
        PromptError for prompts beside it.
        """
        self._check(frame)
        clip = Clip.open(frame)
        pointed = {number: _here(given, clip) for number, given in (prompts or {}).items()}
        for number, pointing in pointed.items():
            if number not in self._states and not pointing.says_where:
                raise PromptError(f"object [{number}] is new; negative clicks alone do not say where it is")
        features = encode_frames(self._model, [frame])
        found: dict[int, FrameMask] = {}
        for number in sorted({*self._states, *pointed}):
            masks = self._step(number, pointed.get(number), clip, features)
            found[number] = read_masks(masks, self.num_frames, clip)[0]
        self.num_frames += 1
        return found

    def drop(self, number: int) -> None:
        """Follow an object no more."""
        if number not in self._states:
            raise SessionError(f"there is no object [{number}]; followed are {list(self.ids)}")
        del self._states[number]

    def _check(self, frame: NDArray[np.uint8]) -> None:
        size = np.shape(frame)[:2]
        if self._size is not None and size != self._size:
            raise MediaError(f"the frame is {size}, those before it {self._size} (height, width)")
        if np.ndim(frame) != 3:
            raise MediaError(f"a frame is uint8 [height, width, 3]; found shape {np.shape(frame)}")
        self._size = (int(size[0]), int(size[1]))

    def _step(
        self, number: int, pointing: Pointing | None, clip: Clip, features: FrameFeatures
    ) -> FrameMasks:
        state = self._states.get(number)
        if pointing is None:
            assert state is not None, "an object begins with a prompt"
            masks, self._states[number] = self._tracker.step(state, features)
            return masks
        prompt = _prompt(number, pointing, clip, self._model)
        if state is None:
            state = self._tracker.start(None, 1, self.num_frames)
        else:
            tracked, _ = self._tracker.step(state, features)
            prompt = prompt.refining(tracked.logits)
        masks, after = self._tracker.step(state, features, prompt)
        self._states[number] = self._tracker.forget_prompts(after, CONDITIONING_KEPT)
        return masks


def _here(given: Prompt | Sequence[Prompt], clip: Clip) -> Pointing:
    """Prompts as pointing on the only frame of a clip."""
    placed = tuple(replace(prompt, frame=0) for prompt in as_sequence(given))
    for prompt in placed:
        prompt.check(clip.width, clip.height, 1)
    return Pointing(placed)


def _prompt(number: int, pointing: Pointing, clip: Clip, model: UniPixel) -> MaskPrompt:
    ((_, followed),) = groups([SessionObject(number, "pointed", pointings=(pointing,))], clip, model)
    return followed.prompted[0].steps[0]
