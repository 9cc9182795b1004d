"""A sample on its way to a conversation: its shown frames, and what has to be drawn for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unipixel.core.conversation import Refer, Turn
from unipixel.core.media import Clip
from unipixel.core.prompts import Point, SlotPrompt
from unipixel.core.request import RememberedObject
from unipixel.data.policy import Policy
from unipixel.data.sample import Masks, Round, Sample, only
from unipixel.data.visual_prompts import PointedBy, draw_pointer
from unipixel.errors import SampleUnusable

FREE_IDS = 16
"""Objects without numbers of their own get numbers below this."""


@dataclass(frozen=True)
class Said:
    """What a task makes of a sample; see Conversation. rounds: the ids of those that were drawn."""

    turns: tuple[Turn, ...]
    rounds: tuple[str, ...]
    memory: tuple[RememberedObject, ...] = ()
    targets: Masks | None = None
    answer_prefix: str = ""


@dataclass(frozen=True, eq=False)
class Draft:
    """A sample with its shown frames.

    Attributes:
        sample: what is talked about.
        policy: all choices.
        rng: for what differs from visit to visit.
        once: for what is drawn once for a sample.
        clip: its pictures; None for talk about nothing.
        frames: numbers of the shown frames.
        pointed_by: what objects are pointed at with, where that is drawn.
        given: by the places of objects, what a person pointed with.
    """

    sample: Sample
    policy: Policy
    rng: Generator
    once: Generator
    clip: Clip | None
    frames: tuple[int, ...]
    pointed_by: PointedBy
    given: Mapping[int, SlotPrompt]
    _decoded: dict[int, NDArray[np.bool_]] = field(default_factory=dict, init=False)

    @property
    def trains(self) -> bool:
        """Whether answers and masks are needed."""
        return self.policy.purpose == "training"

    @property
    def wording_rng(self) -> Generator | None:
        """Templates are drawn in training, and always the same in evaluation."""
        return self.rng if self.trains else None

    @property
    def medium(self) -> str:
        """What templates call the clip."""
        return "image" if self.clip is not None and self.clip.is_image else "video"

    def masks(self, objects: Sequence[int]) -> Masks:
        """Masks of the objects at these places on the shown frames, bool [len(objects), T, H, W]; each is
        decoded once, and others not at all."""
        missing = [place for place in dict.fromkeys(objects) if place not in self._decoded]
        if missing:
            assert self.clip is not None, "objects are in clips"
            if self.sample.masks is None:
                raise self.unusable("no masks", "published masks")
            chosen = only(self.sample.masks, missing)
            masks = chosen.read(self.frames, self.clip.height, self.clip.width)
            self._decoded.update(zip(missing, masks, strict=True))
            if missing == list(objects):
                return masks
        return np.stack([self._decoded[place] for place in objects])

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """The numbers of the objects; drawn where they are free, if there are enough of them."""
        given = self.sample.object_ids
        if not self.sample.free_ids or len(given) > FREE_IDS or not self.trains:
            return given
        return tuple(int(number) for number in self.once.permutation(FREE_IDS)[: len(given)])

    @property
    def new_ids(self) -> Mapping[int, int]:
        """From the sample's numbers to those that are said."""
        return dict(zip(self.sample.object_ids, self.ids, strict=True))

    def places(self, ids: Sequence[int]) -> list[int]:
        """Where the objects with these numbers (as they are said) stand in the sample."""
        return [self.ids.index(number) for number in ids]

    def draw(self, count: int) -> tuple[int, ...]:
        """Places of `count` rounds, or of all if there are fewer; in evaluation the first ones."""
        total = len(self.sample.rounds)
        if not self.trains:
            return tuple(range(min(count, total)))
        return tuple(int(place) for place in self.rng.permutation(total)[:count])

    def names(self, places: Sequence[int]) -> tuple[str, ...]:
        """Ids of rounds."""
        return tuple(self.sample.rounds[place].id or str(place) for place in places)

    def pointers(self, objects: Sequence[int]) -> list[Refer]:
        """Slots that point at the objects at these places, in that order: with what a person gave, or with
        what is drawn."""
        drawn = [place for place in objects if place not in self.given]
        if drawn:
            self.masks(drawn)  # together, since they may share files
        return [Refer(self._pointer(place)) for place in objects]

    def _pointer(self, place: int) -> SlotPrompt:
        if place in self.given:
            return self.given[place]
        masks, key = self.masks([place])[0], self.sample.key_frame
        seen = [at for at, mask in enumerate(masks) if mask.any()]
        if self.policy.pointers.frame == "key" and key is not None:
            seen = [at for at in seen if self.frames[at] == key]
        if not seen:
            raise self.unusable("object on no shown frame", "a mask to point at")
        at = seen[self.rng.integers(len(seen))]
        return draw_pointer(masks[at], self.frames[at], self.pointed_by, self.rng, self.policy.pointers)

    def unusable(self, reason: str, expected: str) -> SampleUnusable:
        """The sample cannot be used; the caller raises it."""
        return SampleUnusable(self.sample.id, reason, expected)

    def misfit(self, turn: Round) -> SampleUnusable:
        """A round that its task does not have; the caller raises it."""
        found = type(turn).__name__.lower()
        return self.unusable(f"{found} in a sample to {self.sample.task}", "what the task is about")


def given_pointers(sample: Sample, pointed_by: PointedBy, rng: Generator) -> dict[int, SlotPrompt]:
    """One click or box for each object that a person pointed at; of the wanted kind if there is one."""
    found: dict[int, SlotPrompt] = {}
    for number, prompts in enumerate(sample.pointers):
        wanted = [prompt for prompt in prompts if isinstance(prompt, Point) == (pointed_by == "point")]
        if choices := wanted or list(prompts):
            found[number] = choices[rng.integers(len(choices))]
    return found
