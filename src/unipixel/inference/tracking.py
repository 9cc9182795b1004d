"""From what was prompted on some frames to masks on every frame: the one loop for answers, sessions, streams.

A mask decoder that was prompted on a frame follows the object from there, in both directions of time.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

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
    Sighting,
    TrackState,
    low_res_to_size,
)
from unipixel.model.sam2.together import OBJECTS_AT_ONCE, Step, Stepped, step_together
from unipixel.model.unipixel import UniPixel


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


def said(hidden: Tensor, frame: int = 0) -> Followed:
    """Objects that the language model asked for: hidden tokens [n, h, c], on frame 0 if nothing is said."""
    return Followed((PromptedFrame(frame, (MaskPrompt(hidden=hidden),)),))


def track(model: UniPixel, clip: Clip, hidden: Tensor) -> tuple[MaskTrack, ...]:
    """Masks of the n objects that the language model asked for, on every frame of a clip, in its own size."""
    return follow_said(model, EncodedFrames(model, clip), hidden)


def follow_said(
    model: UniPixel, frames: EncodedFrames, hidden: Tensor, starts: Sequence[int] | None = None
) -> tuple[MaskTrack, ...]:
    """The same, with frames that may have been encoded before; `starts`: from which frame each object is
    followed, None for frame 0."""
    if not len(hidden):
        return ()
    by_start: dict[int, list[int]] = {}
    for place, frame in enumerate(starts or [0] * len(hidden)):
        by_start.setdefault(frame, []).append(place)
    groups = [
        (places[first : first + OBJECTS_AT_ONCE], frame)
        for frame, places in sorted(by_start.items())
        for first in range(0, len(places), OBJECTS_AT_ONCE)
    ]
    tracks: list[dict[int, FrameMask]] = [{} for _ in hidden]
    for index, found in Track(model, frames, [said(hidden[places], frame) for places, frame in groups]):
        for number, masks in found.items():
            for place, mask in zip(groups[number][0], masks, strict=True):
                tracks[place][index] = mask
    return tuple(MaskTrack(tuple(found[index] for index in sorted(found))) for found in tracks)


Found: TypeAlias = dict[int, list[FrameMask]]
"""Masks on one frame: for each group that is followed there, one for each of its objects."""
Result = TypeVar("Result")
Stepping: TypeAlias = Generator[Step, Stepped, Result]
"""Work that asks for one step of the tracker after the other, so that those of several can be made as one."""


class Track:
    """Follows groups of objects through one clip: each from its first prompted frame to the end, and back
    to the beginning. What is held is bounded at any length.

    Objects do not see each other; all share a frame's features. Where the frames are `followed_by` other
    weights, those take the masks of the prompted frames as they are, and find all others.
    """

    def __init__(self, model: UniPixel, frames: EncodedFrames, groups: Sequence[Followed]) -> None:
        assert groups, "there is nothing to follow"
        self.tracker = model.tracker
        self._frames = frames
        self._followed = frames.followed_by or frames
        self._follower = self._followed.model.tracker if frames.followed_by is not None else self.tracker
        self._groups = tuple(groups)
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

    def prompted(self) -> Answers:
        """The answers on the prompted frames alone."""
        return Answers(self, self._visit_prompted())

    def __iter__(self) -> Answers:
        """Every frame: forward from the first prompted frame of any group, then backward from that of the
        last."""
        return Answers(self, self._visit_all())

    def read(self, masks: Sighting, index: int) -> list[FrameMask]:
        """The tracker's answer in the clip's size."""
        return read_masks(masks, index, self._frames.clip)

    def _visit_prompted(self) -> Iterator[Visit]:
        for number in range(len(self._groups)):
            yield Visit({number: self._start(number, None)})

    def _visit_all(self) -> Iterator[Visit]:
        clip = self._frames.clip
        starts = [group.start for group in self._groups]
        yield from self._sweep(range(min(starts), clip.num_frames), 1)
        yield from self._sweep(range(max(starts) - 1, -1, -1), -1)

    def _sweep(self, indices: range, direction: int) -> Iterator[Visit]:
        self._states = {}
        for index, features in self._followed.walk(indices.start, indices.stop, direction):
            there = [
                number
                for number, group in enumerate(self._groups)
                if (index >= group.start) == (direction > 0)
            ]
            yield Visit({number: self._step(number, index, features, direction) for number in there}, index)

    def _step(
        self, number: int, index: int, features: FrameFeatures, direction: int
    ) -> Stepping[dict[int, FrameMasks]]:
        if number not in self._started:
            yield from self._start(number, (index, features))
        started, state = self._started[number], self._states.get(number)
        if state is None:
            state = self._follower.start(self._frames.clip.num_frames, direction, index)
            state = self._follower.remember(state, [start.memory for start in started.values()])
        if index in started:
            self._states[number] = self._follower.skip(state)
            return {index: started[index].masks}
        masks, self._states[number] = yield Step(state, features, tracker=self._follower)
        return {index: masks}

    def _start(self, number: int, here: tuple[int, FrameFeatures] | None) -> Stepping[dict[int, FrameMasks]]:
        """The answers on the prompted frames, of which the features of one may be at hand; each may read what
        those prompted before it remember."""
        started: dict[int, Started] = {}
        for prompted in self._groups[number].prompted:
            at_hand = here is not None and here[0] == prompted.frame and self._followed is self._frames
            features = here[1] if here and at_hand else self._frames[prompted.frame]
            known = [start.memory for start in started.values()]
            started[prompted.frame] = yield from start(
                self.tracker, features, prompted, self._frames.clip.num_frames, known
            )
        if self._followed is not self._frames:
            for index, found in started.items():
                started[index] = yield from self._hand_over(index, found)
        self._started[number] = started
        return {index: found.masks for index, found in started.items()}

    def _hand_over(self, index: int, found: Started) -> Stepping[Started]:
        """The answer on a prompted frame, as the weights that follow it from there remember it: as a mask
        that was given."""
        side = self._followed.model.sam2.config.image_size
        mask = low_res_to_size(found.masks.logits.float(), side, side)[:, None] > 0
        state = self._follower.start(self._frames.clip.num_frames, -1, index)
        prompt = MaskPrompt(mask=mask.to(self._followed.model.dtype))
        _, after = yield Step(state, self._followed[index], prompt, self._follower)
        return Started(found.masks, after.conditioning[-1])


@dataclass(frozen=True)
class Visit:
    """What each group asks of the tracker, and gives by frame, there; `frame`: the one that all look at."""

    groups: dict[int, Stepping[dict[int, FrameMasks]]]
    frame: int | None = None


class Answers:
    """Masks frame after frame: (frame, masks of each group there). `prepare` begins on what comes next, for
    `answer_together`."""

    def __init__(self, track: Track, visits: Iterator[Visit]) -> None:
        self.tracker = track.tracker
        self._track, self._visits = track, visits
        self._next: list[_Asking] = []
        self._found: list[tuple[int, Found]] = []

    def __iter__(self) -> Answers:
        return self

    def __next__(self) -> tuple[int, Found]:
        while not self._found:
            self._finish(self.prepare())
            if not self._next:
                raise StopIteration
            self._read()
        return self._found.pop(0)

    @torch.inference_mode()
    def prepare(self) -> list[_Asking]:
        """What the next frame asks of the tracker; nothing at the end, or where answers wait to be taken."""
        if not self._found and not self._next:
            visit = next(self._visits, None)
            groups = visit.groups if visit is not None else {}
            self._next = [_Asking(number, stepping) for number, stepping in groups.items()]
        return [asking for asking in self._next if asking.step is not None]

    @torch.inference_mode()
    def _finish(self, asking: Sequence[_Asking]) -> None:
        for one in asking:
            while one.step is not None:
                tracker = one.step.tracker or self.tracker
                one.give(tracker.step(one.step.state, one.step.features, one.step.prompt))

    @torch.inference_mode()
    def _read(self) -> None:
        """The answers of the visit, by frame."""
        found: dict[int, Found] = {}
        for asking in self._next:
            for index, masks in asking.answer.items():
                found.setdefault(index, {})[asking.number] = self._track.read(masks, index)
        self._found, self._next = list(found.items()), []


class _Asking:
    """What one group asks on its way to an answer: `step`, until there is none, then `answer`."""

    def __init__(self, number: int, stepping: Stepping[dict[int, FrameMasks]]) -> None:
        self.number = number
        self.step: Step | None = None
        self.answer: dict[int, FrameMasks] = {}
        self._stepping = stepping
        self._go_on(None)

    def give(self, stepped: Stepped) -> None:
        """The step was made."""
        self._go_on(stepped)

    def _go_on(self, stepped: Stepped | None) -> None:
        try:
            self.step = next(self._stepping) if stepped is None else self._stepping.send(stepped)
        except StopIteration as end:
            self.step, self.answer = None, end.value


@torch.inference_mode()
def answer_together(several: Sequence[Answers]) -> None:
    """Find the next frame's masks of several clips with one model, in as few batches as can be: each gives
    its own when it is asked for the next."""
    asking = [one for answers in several for one in answers.prepare()]
    while asking:
        steps = [one.step for one in asking if one.step is not None]
        for one, stepped in zip(asking, step_together(several[0].tracker, steps), strict=True):
            one.give(stepped)
        asking = [one for one in asking if one.step is not None]


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
) -> Stepping[Started]:
    """Decode one prompted frame, step after step. `known` are frames that were prompted before it: they are
    read where the first step corrects a mask that came from them."""
    index = prompted.frame
    direction = 1 if any(memory.frame < index for memory in known) else -1
    fresh = tracker.start(num_frames, direction, index)
    first, *corrections = prompted.steps
    base = tracker.remember(fresh, known) if first.previous is not None else fresh
    masks, state = yield Step(base, features, first)
    for step in corrections:
        masks, state = yield Step(base, features, step.refining(masks.logits))
    return Started(masks, state.conditioning[-1])


def read_masks(masks: Sighting, index: int, clip: Clip) -> list[FrameMask]:
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
