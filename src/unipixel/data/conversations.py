"""From sample to conversation: which frames are shown, what is said and pointed at, which masks are wanted.

A conversation is still free of tensors and of any model; `training.examples` and `processing` take it from
here, by the same code as at inference. Sections named below are those of benchmarks.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence

from unipixel.core.conversation import Refer, Segment, Turn, assistant, user
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.prompts import Point, SlotPrompt
from unipixel.core.request import Decoding, PixelBudget, RememberedObject, Request
from unipixel.core.sampling import keep_frames, random_indices, uniform_indices
from unipixel.data.phrasing import (
    ask_for_caption,
    ask_to_choose,
    ask_to_localise,
    ask_to_segment,
    choose,
    listed,
    option,
    point,
    renumber,
)
from unipixel.data.policy import FramePolicy, Policy
from unipixel.data.sample import Caption, Choice, Exchange, Expression, Masks, Round, Sample, mentions
from unipixel.data.visual_prompts import PointedBy, draw_pointer
from unipixel.data.wording import GENERAL_OPENING, REGION_OPENING
from unipixel.errors import DataError

DataType: TypeAlias = Literal[
    "seg_video",
    "seg_image",
    "ref_point",
    "ref_box",
    "region_video",
    "region_image",
    "mem_point_video",
    "mem_box_video",
    "mem_point_image",
    "mem_box_image",
    "multimodal",
    "text",
]
"""Kinds of conversations; a batch of the published training has one of them."""
DATA_TYPES: tuple[DataType, ...] = get_args(DataType)

FREE_IDS = 16
"""Objects without numbers of their own get numbers below this."""
LETTERS = 4
"""The answer of a memory question stands behind one of so many letters."""
PER_SECOND, FEWEST = 2, 4
"""Frames a second that general videos show, and how many at least."""


class SampleUnusable(DataError):
    """A sample of which no conversation can be made; loaders count it by its `reason` and take another."""

    def __init__(self, sample: str, reason: str, expected: str) -> None:
        super().__init__("", f"sample {sample}", reason, expected)
        self.sample = sample
        self.reason = reason

    def __reduce__(self) -> tuple[type[SampleUnusable], tuple[str, str, str]]:  # type: ignore[override]
        return type(self), (self.sample, self.reason, self.expected)


class LeftOut(SampleUnusable):
    """A sample that the policy's limits leave out; nothing is wrong with it."""


@dataclass(frozen=True)
class Provenance:
    """Where a conversation comes from: data set, sample, and the ids of the rounds that were drawn (their
    place in the sample where none is published)."""

    dataset: str
    sample: str
    rounds: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Conversation:
    """What is shown, said and wanted.

    Attributes:
        kind: what it teaches, for batches of one kind.
        clip: None for talk about nothing.
        frames: numbers of the frames that are shown, increasing; of a still [0].
        turns: from the user's first; ends with the assistant's, in evaluation perhaps with the user's.
        memory: objects that precede the first question, with masks on shown frames.
        targets: bool [O, len(frames), H, W]: the mask of each `Segment` of all turns, in order; None where no
            mask is asked for, and in the evaluation of segmentation, which compares all frames.
        pixels: room of a frame in the language view; None without clip.
        seconds_per_step: between two temporal steps (pairs of frames).
        answer_prefix: how a generated answer has to begin (choices only).
        source: where it comes from.
    """

    kind: DataType
    clip: Clip | None
    frames: tuple[int, ...]
    turns: tuple[Turn, ...]
    source: Provenance
    memory: tuple[RememberedObject, ...] = ()
    targets: Masks | None = None
    pixels: PixelBudget | None = None
    seconds_per_step: float = 1.0
    answer_prefix: str = ""

    def __post_init__(self) -> None:
        roles = [turn.role for turn in self.turns]
        expected = [("user", "assistant")[place % 2] for place in range(len(roles))]
        assert roles and roles == expected, f"turns alternate from the user's; found {roles}"
        assert bool(self.frames) == (self.clip is not None), "frames are shown where there is a clip"
        shown = {prompt.frame for turn in self.turns for prompt in turn.prompts}
        assert shown <= set(self.frames), f"pointers on {sorted(shown)}, but {self.frames} are shown"
        if self.targets is not None and self.clip is not None:
            wanted = (self.num_masks, len(self.frames), self.clip.height, self.clip.width)
            assert self.targets.shape == wanted, f"masks {self.targets.shape}, but {wanted} are asked for"

    @property
    def num_masks(self) -> int:
        """How many masks the turns ask for."""
        return sum(turn.num_masks for turn in self.turns)

    @property
    def is_still(self) -> bool:
        """Whether the model sees a picture as such; all but the stills of general talk count as videos."""
        return self.kind == "multimodal" and self.clip is not None and self.clip.is_image

    @property
    def questions(self) -> tuple[Turn, ...]:
        """All turns up to the last question."""
        return self.turns[:-1] if self.turns[-1].role == "assistant" else self.turns

    @property
    def answer(self) -> Turn | None:
        """The last answer, if it is known."""
        return self.turns[-1] if self.turns[-1].role == "assistant" else None

    def request(self, *, answered: bool, decoding: Decoding | None = None) -> Request:
        """The same as a request: with its last answer given, or to be generated behind `answer_prefix`.

        The processor must be told to show `frames` where they are not spread evenly over the clip.
        """
        assert self.clip is not None, "a request is about a clip"
        return Request(
            clip=self.clip,
            turns=self.questions,
            memory=self.memory,
            forced_answer=self.answer if answered else None,
            answer_prefix="" if answered else self.answer_prefix,
            num_frames=len(self.frames),
            pixels=self.pixels,
            decoding=decoding or Decoding(),
        )


def converse(
    sample: Sample, rng: Generator, policy: Policy, pointed_by: PointedBy | None = None
) -> Conversation:
    """One conversation about a sample; opens its pictures and masks.

    Args:
        sample: what to talk about.
        rng: for what differs from visit to visit; it is advanced.
        policy: all choices.
        pointed_by: what "refer" and "remember" point with; None draws it.

    Raises:
        SampleUnusable: no conversation can be made of it; LeftOut for the policy's limits.
        DataError: its annotations are damaged; MediaError: its pictures are.
    """
    check_limits(sample, policy)
    clip = sample.media.open() if sample.media is not None else None
    how: PointedBy = pointed_by or ("point" if rng.random() < 0.5 else "box")
    given = _given_pointers(sample, how, rng)
    kept = [prompt.frame for prompt in given.values()]
    frames = shown_frames(sample, clip, rng, policy.frames, kept) if clip is not None else ()
    draft = _Draft(sample, policy, rng, once(sample, policy.seed), clip, frames, how, given)
    said = _TASKS[sample.task](draft)
    _check_words(sample, said.turns, policy)
    film = clip is not None and _is_film(sample)
    return Conversation(
        kind=data_type(sample, clip is not None and clip.is_image, how),
        clip=clip,
        frames=frames,
        turns=said.turns,
        source=Provenance(sample.dataset, sample.id, said.rounds),
        memory=said.memory,
        targets=said.targets,
        pixels=None if clip is None else _pixels(policy.frames, film),
        seconds_per_step=_seconds_per_step(clip, frames) if clip is not None and film else 1.0,
        answer_prefix=said.answer_prefix,
    )


def data_type(sample: Sample, is_image: bool, pointed_by: PointedBy) -> DataType:
    """The kind of conversation that a sample makes; `is_image`: whether its clip is a single picture."""
    medium = "image" if is_image else "video"
    match sample.task:
        case "segment":
            kind = f"seg_{medium}"
        case "refer":
            kind = f"ref_{pointed_by}"
        case "remember":
            kind = f"mem_{pointed_by}_{medium}"
        case "chat":
            kind = "text" if sample.media is None else "multimodal"
        case _:
            kind = f"region_{medium}" if sample.object_ids else "multimodal"
    assert kind in DATA_TYPES, f"no data type {kind}"
    return kind


def once(sample: Sample, seed: int) -> Generator:
    """For what is drawn once for a sample: the same in every process, at every visit (Q14)."""
    name = f"{sample.dataset}\0{sample.id}".encode()
    digest = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")
    return Generator(PCG64(SeedSequence([seed, digest])))


# Limits


def check_limits(sample: Sample, policy: Policy) -> None:
    """The limits that can be told without opening anything; raises LeftOut."""
    limit, count = policy.frames.at_most, sample.media.num_frames if sample.media is not None else None
    if limit is not None and count is not None and count > limit:
        raise LeftOut(sample.id, "too many frames", f"at most {limit}; it has {count}")
    seconds, lasts = policy.frames.seconds, _seconds(sample)
    if seconds is not None and lasts > seconds:
        raise LeftOut(sample.id, "too long a video", f"at most {seconds:g} s; it has {lasts:g}")
    words = policy.text.max_words
    if words is not None and policy.text.counting == "published" and (n := published_words(sample)) > words:
        raise LeftOut(sample.id, "too many words", f"at most {words}; it has {n}")


def _seconds(sample: Sample) -> float:
    """How long the video of a talk lasts, as far as its annotation says so."""
    told = sample.facts.get("duration", "") if sample.task == "chat" else ""
    return float(told) if re.fullmatch(r"\d+(\.\d*)?", told) else 0.0


def published_words(sample: Sample) -> int:
    """How many words the published filter sees, which splits at single spaces (A, "word-limit facts")."""
    first = sample.rounds[0]
    if sample.task == "chat":
        return len(first.answer.split(" ")) if isinstance(first, Exchange) else 0
    if sample.task != "describe":
        return 0
    return sum(
        len(turn.question.split(" ")) + len(turn.answer.split(" ")) if isinstance(turn, Exchange) else -100
        for turn in sample.rounds
    )


def _check_words(sample: Sample, turns: Sequence[Turn], policy: Policy) -> None:
    limit = policy.text.max_words
    if limit is None or policy.text.counting == "published":
        return
    count = sum(len(part.split()) for turn in turns for part in turn.parts if isinstance(part, str))
    if count > limit:
        raise LeftOut(sample.id, "too many words", f"at most {limit}; it has {count}")


# Frames


def shown_frames(
    sample: Sample, clip: Clip, rng: Generator, policy: FramePolicy, kept: Sequence[int] = ()
) -> tuple[int, ...]:
    """The frames of a sample that are shown (0.1), increasing.

    They come from among the annotated ones. If only one is annotated they come from the whole clip, with that
    one in place of its nearest; so do the key frame and those of `kept`.
    """
    low, high = policy.bounds
    if _is_film(sample):
        return tuple(film_frames(clip, high))
    if sample.every_frame:
        return tuple(range(clip.num_frames))
    annotated = sample.annotated or tuple(range(clip.num_frames))
    single = sample.annotated is not None and len(sample.annotated) == 1
    pool = range(clip.num_frames) if single else annotated
    wanted = {*kept, *(annotated if single else ())}
    if sample.key_frame is not None:
        wanted.add(sample.key_frame)
    if not wanted <= set(pool):
        missing = sorted(wanted - set(pool))
        raise SampleUnusable(sample.id, "key frame without annotation", f"{missing} among the annotated")
    number = max(int(rng.integers(low, high + 1)) if low < high else low, len(wanted))
    if policy.spread == "uniform":
        places = uniform_indices(len(pool), number)
    else:
        places = random_indices(len(pool), number, rng, include_last=policy.last == "corrected")
    return tuple(pool[place] for place in keep_frames(places, [pool.index(frame) for frame in wanted]))


def film_frames(clip: Clip, most: int) -> list[int]:
    """Frames of a general video: two a second, an even number from 4 to `most`, from first to last."""
    total = clip.num_frames
    wanted = min(max(total / clip.fps * PER_SECOND, FEWEST), most, total)
    return uniform_indices(total, max(2, int(wanted) // 2 * 2))


def _given_pointers(sample: Sample, pointed_by: PointedBy, rng: Generator) -> dict[int, SlotPrompt]:
    """One click or box for each object that a person pointed at; of the wanted kind if there is one."""
    found: dict[int, SlotPrompt] = {}
    for number, prompts in enumerate(sample.pointers):
        wanted = [prompt for prompt in prompts if isinstance(prompt, Point) == (pointed_by == "point")]
        if choices := wanted or list(prompts):
            found[number] = choices[rng.integers(len(choices))]
    return found


def _is_film(sample: Sample) -> bool:
    """Whether this is a video that is seen at its own speed: one that is talked about as a whole."""
    general = sample.task == "chat" or (sample.task == "choose" and not sample.object_ids)
    return general and sample.media is not None and sample.media.video is not None


def _pixels(policy: FramePolicy, film: bool) -> PixelBudget:
    return replace(policy.budget, shared_frames=None) if film else policy.budget


def _seconds_per_step(clip: Clip, frames: Sequence[int]) -> float:
    """Two frames make a step; the shown ones stand for the whole video."""
    return 2 * clip.num_frames / clip.fps / len(frames)


# Tasks


@dataclass(frozen=True)
class _Said:
    """What a task makes of a sample."""

    turns: tuple[Turn, ...]
    rounds: tuple[str, ...]
    memory: tuple[RememberedObject, ...] = ()
    targets: Masks | None = None
    answer_prefix: str = ""


@dataclass(frozen=True, eq=False)
class _Draft:
    """A sample with its shown frames, and what has to be drawn for it."""

    sample: Sample
    policy: Policy
    rng: Generator
    once: Generator
    clip: Clip | None
    frames: tuple[int, ...]
    pointed_by: PointedBy
    given: Mapping[int, SlotPrompt]

    @property
    def trains(self) -> bool:
        return self.policy.purpose == "training"

    @property
    def wording_rng(self) -> Generator | None:
        """Templates are drawn in training, and always the same in evaluation."""
        return self.rng if self.trains else None

    @property
    def medium(self) -> str:
        return "image" if self.clip is not None and self.clip.is_image else "video"

    @cached_property
    def masks(self) -> Masks:
        """All objects on the shown frames, bool [O, T, H, W]."""
        assert self.clip is not None, "objects are in clips"
        if self.sample.masks is None:
            raise self.unusable("no masks", "published masks")
        return self.sample.masks.read(self.frames, self.clip.height, self.clip.width)

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """The numbers of the objects; drawn where they are free, if there are enough of them."""
        given = self.sample.object_ids
        if not self.sample.free_ids or len(given) > FREE_IDS or not self.trains:
            return given
        return tuple(int(number) for number in self.once.permutation(FREE_IDS)[: len(given)])

    @property
    def new_ids(self) -> Mapping[int, int]:
        return dict(zip(self.sample.object_ids, self.ids, strict=True))

    def draw(self, count: int) -> tuple[int, ...]:
        """Places of `count` rounds, or of all if there are fewer; in evaluation the first ones."""
        total = len(self.sample.rounds)
        if not self.trains:
            return tuple(range(min(count, total)))
        return tuple(int(place) for place in self.rng.permutation(total)[:count])

    def names(self, places: Sequence[int]) -> tuple[str, ...]:
        """Ids of rounds."""
        return tuple(self.sample.rounds[place].id or str(place) for place in places)

    def pointer(self, number: int) -> SlotPrompt:
        """A click or box on object `number` of the sample: one that a person gave, or one that is drawn."""
        if number in self.given:
            return self.given[number]
        masks, key = self.masks[number], self.sample.key_frame
        seen = [place for place, mask in enumerate(masks) if mask.any()]
        if self.policy.pointers.frame == "key" and key is not None:
            seen = [place for place in seen if self.frames[place] == key]
        if not seen:
            raise self.unusable("object on no shown frame", "a mask to point at")
        place = seen[self.rng.integers(len(seen))]
        frame = self.frames[place]
        return draw_pointer(masks[place], frame, self.pointed_by, self.rng, self.policy.pointers)

    def pointers(self, numbers: Sequence[int]) -> list[Refer]:
        """Slots that point at objects, in that order."""
        return [Refer(self.pointer(number)) for number in numbers]

    def unusable(self, reason: str, expected: str) -> SampleUnusable:
        return SampleUnusable(self.sample.id, reason, expected)

    def misfit(self, turn: Round) -> SampleUnusable:
        found = type(turn).__name__.lower()
        return self.unusable(f"{found} in a sample to {self.sample.task}", "what the task is about")


def _segment(draft: _Draft) -> _Said:
    """A mask for each expression (A.1)."""
    sample, text, rng = draft.sample, draft.policy.text, draft.wording_rng
    places = draft.draw(text.max_rounds)
    turns, targets = [], []
    for place in places:
        turn = sample.rounds[place]
        if not isinstance(turn, Expression):
            raise draft.misfit(turn)
        question, answer = ask_to_segment(turn, draft.medium, text.wording, rng)
        turns += [user(question), assistant(*answer)]
        if draft.trains:
            targets.append(draft.masks[list(turn.objects)].any(axis=0))
    return _Said(tuple(turns), draft.names(places), targets=np.stack(targets) if targets else None)


def _refer(draft: _Draft) -> _Said:
    """Words for objects that are pointed at (A.2)."""
    sample, text = draft.sample, draft.policy.text
    captions = all(isinstance(turn, Caption) for turn in sample.rounds)
    places = draft.draw(text.max_rounds) if captions else tuple(range(len(sample.rounds)))
    bare = sample.free_ids and sum(len(turn_mentions(turn)) for turn in sample.rounds) <= len(draft.ids)
    turns: list[Turn] = []
    pointed: set[int] = set()
    for place in places:
        turn = sample.rounds[place]
        if isinstance(turn, Caption):
            slot = draft.pointers([turn.object])[0]
            turns += [user(*ask_for_caption(turn, slot, text.wording, draft.wording_rng))]
            turns += [assistant(turn.text)]
        elif isinstance(turn, Exchange):
            question, answer = (renumber(words, draft.new_ids) for words in (turn.question, turn.answer))
            new = [number for number in mentions(question) if number in draft.ids and number not in pointed]
            slots = draft.pointers([draft.ids.index(number) for number in new])
            pointed.update(new)
            turns += [user(*point(question, new, slots, bare)), assistant(answer)]
        else:
            raise draft.misfit(turn)
    if not any(turn.prompts for turn in turns):
        raise draft.unusable("question about no object", "an object that is mentioned")
    return _Said(tuple(turns), draft.names(places))


def turn_mentions(turn: Round) -> list[int]:
    """Every mention of an object in a dialogue's turn, with repeats."""
    if not isinstance(turn, Exchange):
        return []
    return [number for text in (turn.question, turn.answer) for number in listed(text)]


def _describe(draft: _Draft) -> _Said:
    """Words for objects of the memory (A.3)."""
    sample, text = draft.sample, draft.policy.text
    places = tuple(range(len(sample.rounds)))
    turns: list[Turn] = []
    for turn in sample.rounds:
        if isinstance(turn, Caption):
            name = f"[{draft.ids[turn.object]}]"
            turns += [user(*ask_for_caption(turn, name, text.wording, draft.wording_rng))]
            turns += [assistant(turn.text)]
        elif isinstance(turn, Exchange):
            turns += [user(renumber(turn.question, draft.new_ids))]
            turns += [assistant(renumber(turn.answer, draft.new_ids))]
        else:
            raise draft.misfit(turn)
    return _Said(tuple(turns), draft.names(places), _memory(draft))


def _choose(draft: _Draft) -> _Said:
    """One option of several, about objects of the memory or a whole clip (A.6)."""
    place = draft.draw(1)[0]
    turn = draft.sample.rounds[place]
    if not isinstance(turn, Choice):
        raise draft.misfit(turn)
    marked = bool(draft.sample.object_ids)
    opening = REGION_OPENING if marked else GENERAL_OPENING
    question = ask_to_choose(turn, marked, draft.policy.text.wording, draft.wording_rng)
    turns = [user(renumber(question, draft.new_ids))]
    answer = choose(turn, opening, marked)
    if answer is not None:
        turns.append(assistant(renumber(answer, draft.new_ids)))
    elif draft.trains:
        raise draft.unusable("choice without key", "the right option")
    memory = _memory(draft) if marked else ()
    return _Said(tuple(turns), draft.names((place,)), memory, answer_prefix=opening)


def _remember(draft: _Draft) -> _Said:
    """Masks for what a question about pointed objects is about (A.4)."""
    place = draft.draw(1)[0]
    turn = draft.sample.rounds[place]
    if isinstance(turn, Exchange):
        text = turn.question + option(int(draft.once.integers(LETTERS)), turn.answer)
    elif isinstance(turn, Choice):
        text = turn.question + option(0, *turn.options)
    else:
        raise draft.misfit(turn)
    text = renumber(text, draft.new_ids)
    asked = ask_to_localise(text, draft.policy.text.wording, draft.wording_rng)
    order = [number for number in mentions(asked) if number in draft.ids]
    if not order:
        raise draft.unusable("question about no object", "an object that is mentioned")
    answered = [number for number in draft.ids if number in order]
    objects = [draft.ids.index(number) for number in answered]
    own = draft.policy.pointers.slots == "text"
    slots = draft.pointers([draft.ids.index(number) for number in (order if own else answered)])
    if not draft.masks[objects].any(axis=(1, 2, 3)).all():
        raise draft.unusable("object on no shown frame", "a mask of every object")
    question = user(*point(asked, order, slots))
    answer = [part for number in answered for part in (f" [{number}] ", Segment())]
    answer[0] = f"[{answered[0]}] "
    turns = (question, assistant(*answer))
    return _Said(turns, draft.names((place,)), targets=draft.masks[objects])


def _chat(draft: _Draft) -> _Said:
    """Talk about a clip or about nothing (A.5)."""
    turns: list[Turn] = []
    for turn in draft.sample.rounds:
        if not isinstance(turn, Exchange):
            raise draft.misfit(turn)
        turns += [user(turn.question), assistant(turn.answer)]
    return _Said(tuple(turns), draft.names(range(len(draft.sample.rounds))))


_TASKS: Mapping[str, Callable[[_Draft], _Said]] = {
    "segment": _segment,
    "refer": _refer,
    "describe": _describe,
    "choose": _choose,
    "remember": _remember,
    "chat": _chat,
}


def _memory(draft: _Draft) -> tuple[RememberedObject, ...]:
    """All objects of a sample as objects of the memory, with what the policy leaves of their masks."""
    masks = draft.masks
    if not masks.any(axis=(1, 2, 3)).all():
        raise draft.unusable("object on no shown frame", "a mask of every object")
    kept = _kept_frames(draft, masks)
    objects = []
    for number, on_frames in zip(draft.ids, masks, strict=True):
        seen = [place for place in kept if on_frames[place].any()]
        track = _track([(draft.frames[place], on_frames[place]) for place in seen])
        objects.append(RememberedObject(number, track))
    return tuple(objects)


def _kept_frames(draft: _Draft, masks: Masks) -> Sequence[int]:
    """Places of the frames whose masks are remembered: all, or one that shows every object (A.3)."""
    regions = draft.policy.regions
    complete = np.flatnonzero(masks.any(axis=(2, 3)).all(axis=0))
    if draft.sample.dataset in regions.single and len(complete) and draft.rng.random() < regions.single_share:
        return [int(draft.rng.choice(complete))]
    return range(len(draft.frames))


def _track(masks: Sequence[tuple[int, Masks]]) -> MaskTrack:
    return MaskTrack(tuple(FrameMask(frame, RLE.from_mask(mask), 1.0, True) for frame, mask in masks))
