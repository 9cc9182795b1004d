"""Frames that come one by one, from a camera or a queue: point at objects when they are there, get masks at
once.

Nothing grows with time. A stream of unknown length behaves as a clip of 16 frames or more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from unipixel.core.frames import Frame
from unipixel.core.masks import FrameMask
from unipixel.core.media import Clip
from unipixel.core.objects import Pointing, SessionObject, check_id
from unipixel.core.prompts import Prompt
from unipixel.errors import MediaError, PromptError, SessionError
from unipixel.inference.frames import encode_frames
from unipixel.inference.prompting import as_sequence, groups
from unipixel.inference.tracking import read_masks
from unipixel.model.sam2 import FrameFeatures, FrameMasks, MaskPrompt, TrackState, join_states
from unipixel.model.sam2.together import OBJECTS_AT_ONCE
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
        PromptError for prompts beside it; then, and when it is interrupted, the tracker is as it was before.
        """
        clip = Clip.open(frame)
        self._check(clip)
        pointed = {check_id(number): _here(given, clip) for number, given in (prompts or {}).items()}
        for number, pointing in pointed.items():
            if number not in self._states and not pointing.says_where:
                raise PromptError(f"object [{number}] is new; negative clicks alone do not say where it is")
        features = encode_frames(self._model, [clip.frame(0)])
        found: dict[int, FrameMask] = {}
        after: dict[int, TrackState] = {}
        for number, pointing in pointed.items():
            masks, after[number] = self._point(number, pointing, clip, features)
            found[number] = read_masks(masks, self.num_frames, clip)[0]
        for numbers in self._alike(number for number in self._states if number not in pointed):
            state = join_states([self._states[number] for number in numbers])
            masks, state = self._tracker.step(state, features)
            found.update(zip(numbers, read_masks(masks, self.num_frames, clip), strict=True))
            after.update((number, state.of(place)) for place, number in enumerate(numbers))
        self._states, self._size = after, (clip.height, clip.width)
        self.num_frames += 1
        return {number: found[number] for number in sorted(found)}

    def drop(self, number: int) -> None:
        """Follow an object no more."""
        if number not in self._states:
            raise SessionError(f"there is no object [{number}]; followed are {list(self.ids)}")
        self._states = {other: state for other, state in self._states.items() if other != number}

    def _check(self, clip: Clip) -> None:
        if not clip.is_image:
            raise MediaError(f"frames come one by one; found {clip.num_frames} at once")
        if self._size not in (None, (clip.height, clip.width)):
            raise MediaError(
                f"the frame is {(clip.height, clip.width)}, those before it {self._size} (height, width)"
            )

    def _alike(self, numbers: Iterable[int]) -> Iterator[list[int]]:
        """Objects that remember the same frames, as many at once as are decoded together."""
        by_form: dict[object, list[int]] = {}
        for number in numbers:
            by_form.setdefault(self._states[number].form, []).append(number)
        for alike in by_form.values():
            for first in range(0, len(alike), OBJECTS_AT_ONCE):
                yield alike[first : first + OBJECTS_AT_ONCE]

    def _point(
        self, number: int, pointing: Pointing, clip: Clip, features: FrameFeatures
    ) -> tuple[FrameMasks, TrackState]:
        state = self._states.get(number)
        prompt = _prompt(number, pointing, clip, self._model)
        if state is None:
            state = self._tracker.start(None, 1, self.num_frames)
        else:
            tracked, _ = self._tracker.step(state, features)
            prompt = prompt.refining(tracked.logits)
        masks, after = self._tracker.step(state, features, prompt)
        return masks, self._tracker.forget_prompts(after, CONDITIONING_KEPT)


def _here(given: Prompt | Sequence[Prompt], clip: Clip) -> Pointing:
    """Prompts as pointing on the only frame of a clip."""
    placed = tuple(replace(prompt, frame=0) for prompt in as_sequence(given))
    for prompt in placed:
        prompt.check(clip.width, clip.height, 1)
    return Pointing(placed)


def _prompt(number: int, pointing: Pointing, clip: Clip, model: UniPixel) -> MaskPrompt:
    ((_, followed),) = groups([SessionObject(number, "pointed", pointings=(pointing,))], clip, model)
    return followed.prompted[0].steps[0]
