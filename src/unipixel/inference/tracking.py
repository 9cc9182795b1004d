"""From what was prompted on some frames to masks on every frame: the one loop for answers, sessions, streams.

A mask decoder that was prompted on a frame follows the object from there, in both directions of time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.inference.frames import EncodedFrames
from unipixel.model.sam2 import (
    FrameFeatures,
    FrameMasks,
    MaskPrompt,
    MaskTracker,
    Memory,
    TrackState,
    low_res_to_size,
)
from unipixel.model.unipixel import UniPixel

OBJECTS_AT_ONCE = 16
"""Objects that go through the mask decoder together; bounds what a long list of objects needs."""


@dataclass(frozen=True)
class PromptedFrame:
    """What n objects were prompted with on one frame, step after step: each step but the first refines the
    mask of the one before it (clicks that correct)."""

    frame: int
    steps: tuple[MaskPrompt, ...]


@dataclass(frozen=True)
class Followed:
    """n objects that are followed together: prompted on the same frames, listed in the order in which they
    were prompted."""

    prompted: tuple[PromptedFrame, ...]

    def __post_init__(self) -> None:
        frames = [prompted.frame for prompted in self.prompted]
        assert frames and len(set(frames)) == len(frames), (
            f"different prompted frames, at least one: {frames}"
        )

    @property
    def start(self) -> int:
        """The frame from which the objects are followed: the first prompted one."""
        return min(prompted.frame for prompted in self.prompted)


def said(hidden: Tensor) -> list[Followed]:
    """Objects that the language model asked for: hidden tokens [n, h, c], frame 0 (architecture.md section
    2)."""
    groups = hidden.split(OBJECTS_AT_ONCE) if len(hidden) else ()
    return [Followed((PromptedFrame(0, (MaskPrompt(hidden=group),)),)) for group in groups]


def track(model: UniPixel, clip: Clip, hidden: Tensor) -> tuple[MaskTrack, ...]:
    """Masks of the n objects that the language model asked for, on every frame of a clip, in its own size."""
    return follow_said(model, EncodedFrames(model, clip), hidden)


def follow_said(model: UniPixel, frames: EncodedFrames, hidden: Tensor) -> tuple[MaskTrack, ...]:
    """The same, with frames that may have been encoded before."""
    if not len(hidden):
        return ()
    tracks: list[list[FrameMask]] = [[] for _ in hidden]
    for _, found in Track(model, frames, said(hidden)):
        for kept, masks in zip(tracks, (mask for group in found.values() for mask in group), strict=True):
            kept.append(masks)
    return tuple(MaskTrack(tuple(masks)) for masks in tracks)


Found: TypeAlias = dict[int, list[FrameMask]]
"""Masks on one frame: for each group that is followed there, one for each of its objects."""


class Track:
    """Follows groups of objects through one clip: each from its first prompted frame to the end, and back
    to the beginning. What is held is bounded at any length.

    Objects do not see each other; all share a frame's features.
    """

    def __init__(self, model: UniPixel, frames: EncodedFrames, groups: Sequence[Followed]) -> None:
        assert groups, "there is nothing to follow"
        self._frames = frames
        self._groups = tuple(groups)
        self._tracker = model.tracker
        self._states: dict[int, TrackState] = {}
        self._started: dict[int, dict[int, Started]] = {}

    @property
    def nbytes(self) -> int:
        """Bytes that the tracker remembers now."""
        return sum(state.nbytes for state in self._states.values())

    def __len__(self) -> int:
        """Frames that iterating visits; those between the starts of two groups count twice."""
        starts = [group.start for group in self._groups]
        return self._frames.clip.num_frames - min(starts) + max(starts)

    @torch.inference_mode()
    def prompted(self) -> Iterator[tuple[int, Found]]:
        """The answers on the prompted frames alone."""
        for number, group in enumerate(self._groups):
            for index, started in self._start(group, None).items():
                yield index, {number: read_masks(started.masks, index, self._frames.clip)}

    def __iter__(self) -> Iterator[tuple[int, Found]]:
        """Every frame: forward from the first prompted frame of any group, then backward from that of the
        last."""
        clip = self._frames.clip
        starts = [group.start for group in self._groups]
        yield from self._sweep(range(min(starts), clip.num_frames), 1)
        yield from self._sweep(range(max(starts) - 1, -1, -1), -1)

    @torch.inference_mode()
    def _sweep(self, indices: range, direction: int) -> Iterator[tuple[int, Found]]:
        self._states = {}
        clip = self._frames.clip
        for index, features in self._frames.walk(indices.start, indices.stop, direction):
            there = [
                number
                for number, group in enumerate(self._groups)
                if (index >= group.start) == (direction > 0)
            ]
            answers = {number: self._step(number, index, features, direction) for number in there}
            yield index, {number: read_masks(masks, index, clip) for number, masks in answers.items()}

    def _step(self, number: int, index: int, features: FrameFeatures, direction: int) -> FrameMasks:
        if number not in self._started:
            self._started[number] = self._start(self._groups[number], (index, features))
        started, state = self._started[number], self._states.get(number)
        if state is None:
            state = self._tracker.start(self._frames.clip.num_frames, direction, index)
            state = self._tracker.remember(state, [start.memory for start in started.values()])
        if index in started:
            self._states[number] = self._tracker.skip(state)
            return started[index].masks
        masks, self._states[number] = self._tracker.step(state, features)
        return masks

    def _start(self, group: Followed, here: tuple[int, FrameFeatures] | None) -> dict[int, Started]:
        """The answers on the prompted frames, of which the features of one may be at hand; each may read what
        those prompted before it remember."""
        started: dict[int, Started] = {}
        for prompted in group.prompted:
            at_hand = here is not None and here[0] == prompted.frame
            features = here[1] if here and at_hand else self._frames[prompted.frame]
            known = [start.memory for start in started.values()]
            started[prompted.frame] = start(
                self._tracker, features, prompted, self._frames.clip.num_frames, known
            )
        return started


@dataclass(frozen=True)
class Started:
    """The answer on a prompted frame, and what is remembered of it."""

    masks: FrameMasks
    memory: Memory


def start(
    tracker: MaskTracker,
    features: FrameFeatures,
    prompted: PromptedFrame,
    num_frames: int | None,
    known: Sequence[Memory] = (),
) -> Started:
    """Decode one prompted frame, step after step. `known` are frames that were prompted before it: they are
    read where the first step corrects a mask that came from them."""
    index = prompted.frame
    direction = 1 if any(memory.frame < index for memory in known) else -1
    fresh = tracker.start(num_frames, direction, index)
    first, *corrections = prompted.steps
    base = tracker.remember(fresh, known) if first.previous is not None else fresh
    masks, state = tracker.step(base, features, first)
    for step in corrections:
        masks, state = tracker.step(base, features, step.refining(masks.logits))
    return Started(masks, state.conditioning[-1])


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
