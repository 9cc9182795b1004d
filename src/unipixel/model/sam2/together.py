"""Steps of objects that know nothing of each other, of several clips too, made as one where they agree."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from unipixel.model.sam2.sam2 import FrameFeatures
from unipixel.model.sam2.state import FrameMasks, MaskPrompt, Memory, Pointer, TrackState, join_states
from unipixel.model.sam2.tracker import MaskTracker

OBJECTS_AT_ONCE = 16
"""Objects that go through the mask decoder together; bounds what many objects need."""


@dataclass(frozen=True)
class Step:
    """What `MaskTracker.step` is to do for n objects on one frame (features: batch 1). tracker: whose step it
    is, if it is not that of the caller."""

    state: TrackState
    features: FrameFeatures
    prompt: MaskPrompt | None = None
    tracker: MaskTracker | None = None

    @property
    def num_objects(self) -> int:
        """n."""
        found = self.state.num_objects if self.prompt is None else self.prompt.num_objects
        assert found is not None, "what is not prompted is remembered"
        return found

    def form(self, reach: int) -> tuple[object, ...]:
        """What must be the same for two steps to be made as one: how far away what they remember is, not on
        which frames of which clip. reach: frames beyond which a clip's length means nothing."""
        return (_here(self.state, reach).form, *_shapes(self.features), _prompt_form(self.prompt))


Stepped = tuple[FrameMasks, TrackState]
"""A frame's answer, and the state behind it."""


def step_together(tracker: MaskTracker, steps: Sequence[Step]) -> list[Stepped]:
    """All steps, in as few batches as their forms allow. A step alone gives the very bits of `tracker.step`;
    in a batch, sums are rounded otherwise."""
    reach = tracker.sam2.config.max_object_pointers
    alike: dict[object, list[int]] = {}
    for place, step in enumerate(steps):
        alike.setdefault((step.tracker, step.form(reach)), []).append(place)
    done: dict[int, Stepped] = {}
    for places in alike.values():
        for batch in _batches(places, steps):
            made = _step_batch(tracker, [steps[place] for place in batch], reach)
            done.update(zip(batch, made, strict=True))
    return [done[place] for place in range(len(steps))]


def _batches(places: Sequence[int], steps: Sequence[Step]) -> list[list[int]]:
    """Up to OBJECTS_AT_ONCE objects each, unless one step has more."""
    found: list[list[int]] = []
    room = 0
    for place in places:
        if not found or steps[place].num_objects > room:
            found.append([])
            room = OBJECTS_AT_ONCE
        found[-1].append(place)
        room -= steps[place].num_objects
    return found


def _step_batch(tracker: MaskTracker, steps: Sequence[Step], reach: int) -> list[Stepped]:
    tracker = steps[0].tracker or tracker
    if len(steps) == 1:
        return [tracker.step(steps[0].state, steps[0].features, steps[0].prompt)]
    joined = join_states([_here(step.state, reach) for step in steps])
    masks, after = tracker.step(joined, _join_features(steps), _join_prompts([step.prompt for step in steps]))
    found, first = [], 0
    for step in steps:
        part = slice(first, first + step.num_objects)
        first = part.stop
        found.append((_part_of(masks, part), _state_of(after, step.state, part)))
    return found


def _here(state: TrackState, reach: int) -> TrackState:
    """The same state as if the next frame were frame 0 and time ran forwards: distances stay."""
    length = None if state.num_frames is None or state.num_frames >= reach else state.num_frames
    return _moved(replace(state, num_frames=length), 0, 1)


def _moved(state: TrackState, frame: int, direction: int) -> TrackState:
    """The state at another frame, with everything as far from it as before."""

    def at(known: int) -> int:
        return frame - direction * state.distance(known)

    return replace(
        state,
        frame=frame,
        direction=direction,
        conditioning=tuple(replace(one, frame=at(one.frame)) for one in state.conditioning),
        recent=tuple(replace(one, frame=at(one.frame)) for one in state.recent),
        pointers=tuple(replace(one, frame=at(one.frame)) for one in state.pointers),
    )


def _join_features(steps: Sequence[Step]) -> FrameFeatures:
    """The frame itself if all look at one, else a frame for every object."""
    first = steps[0].features
    if all(step.features is first for step in steps):
        return first

    def join(parts: Sequence[torch.Tensor]) -> torch.Tensor:
        rows = [part.expand(step.num_objects, -1, -1, -1) for part, step in zip(parts, steps, strict=True)]
        return torch.cat(rows)

    fine, middle = (join([step.features.high_res[level] for step in steps]) for level in (0, 1))
    return FrameFeatures(join([step.features.top for step in steps]), (fine, middle))


def _join_prompts(prompts: Sequence[MaskPrompt | None]) -> MaskPrompt | None:
    given = [prompt for prompt in prompts if prompt is not None]
    return join_prompts(given) if given else None


def join_prompts(prompts: Sequence[MaskPrompt]) -> MaskPrompt:
    """Prompts of one form, of different objects, as one."""

    def join(name: str) -> torch.Tensor | None:
        parts = [part for prompt in prompts if (part := getattr(prompt, name)) is not None]
        return torch.cat(parts) if parts else None

    return MaskPrompt(*(join(name) for name in ("hidden", "points", "labels", "mask", "previous")))


def _part_of(masks: FrameMasks, part: slice) -> FrameMasks:
    """The answer for some of the objects; it holds the others' only until it is let go."""
    shared = len(masks.conditioned) == 1
    return FrameMasks(
        logits=masks.logits[part],
        candidates=masks.candidates[part],
        ious=masks.ious[part],
        object_score=masks.object_score[part],
        pointer=masks.pointer[part],
        memory=masks.memory[part],
        conditioned=masks.conditioned if shared else masks.conditioned[part],
    )


def _state_of(after: TrackState, before: TrackState, part: slice) -> TrackState:
    """Some of the objects' state behind a step, at their own frame. What they remembered before it they keep
    as it is, so that nothing holds the memory of others."""
    moved = _moved(after, before.frame + before.direction, before.direction)
    maps = {one.frame: one for one in (*before.conditioning, *before.recent)}
    pointers = {one.frame: one for one in before.pointers}
    fresh: dict[int, Memory] = {}

    def own(one: Memory) -> Memory:
        if one.frame not in maps and one.frame not in fresh:
            fresh[one.frame] = Memory(one.frame, one.tokens[part].clone(), one.pointer[part].clone())
        return fresh.get(one.frame) or maps[one.frame]

    conditioning, recent = tuple(map(own, moved.conditioning)), tuple(map(own, moved.recent))

    def own_pointer(one: Pointer) -> Pointer:
        if one.frame in pointers:
            return pointers[one.frame]
        kept = fresh.get(one.frame)
        return Pointer(one.frame, kept.pointer if kept else one.value[part].clone())

    return replace(
        moved,
        num_frames=before.num_frames,
        conditioning=conditioning,
        recent=recent,
        pointers=tuple(map(own_pointer, moved.pointers)),
    )


def _prompt_form(prompt: MaskPrompt | None) -> tuple[object, ...] | None:
    if prompt is None:
        return None
    parts = (prompt.hidden, prompt.points, prompt.mask, prompt.previous)
    return tuple(None if part is None else tuple(part.shape[1:]) for part in parts)


def _shapes(features: FrameFeatures) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(part.shape) for part in (features.top, *features.high_res))
