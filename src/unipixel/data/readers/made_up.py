"""The made-up world as data sets: every task family of the paper, drawn when it is asked for.

A sample follows from its data set, split and number alone. Scenes have seeds of their own for every data set;
where a scene has nothing to say for a family the next one is taken. Nothing is read from files, so the root
may be any folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator

from unipixel.core.media import Clip
from unipixel.data.randomness import named_generator
from unipixel.data.registry import DatasetInfo, Option, Rows, Source, dataset
from unipixel.data.sample import (
    Caption,
    Choice,
    Exchange,
    Expression,
    Facts,
    Masks,
    Media,
    Round,
    Sample,
    Task,
)
from unipixel.data.synthetic.facts import SceneFacts
from unipixel.data.synthetic.families import Question, Tale, Teller, Words, tell, tell_several
from unipixel.data.synthetic.families_asking import REGION_QUESTIONS, brief_caption
from unipixel.data.synthetic.families_clips import CLIP_QUESTIONS
from unipixel.data.synthetic.families_corpus import corpus
from unipixel.data.synthetic.families_finding import (
    LONG,
    MOTIONS,
    NAMES,
    REASONING,
    RELATIONS,
    described,
)
from unipixel.data.synthetic.scene import Scene, make_scene
from unipixel.data.synthetic.splits import SPLITS, UNSEEN_COMBINATIONS, world_of
from unipixel.data.wording import FAMILIES as FAMILIES_OF_WORDS
from unipixel.data.wording import GENERAL_OPENING, OPTIONS, REGION_OPENING, Wording, fill_text
from unipixel.errors import DataError

TRAIN, HELD_OUT = 200_000, 200
"""Samples of the split for training, and of every other."""
TRIES = 24
"""So many scenes may be looked at for one sample."""
ROOM = 10_000_000
"""So many scenes belong to one data set in each split."""
FPS = 8.0
AT_ONCE = 3
"""Expressions, captions or exchanges of a sample in training; the other splits ask one thing at a time."""
MEMORY = 4
"""Objects of a sample about regions at most, with some that nothing is asked about."""

FRAMES = Option(
    "frames",
    ("8", "1", "2", "4", "16", "32", "1-8", "2-8"),
    "How many frames a clip has; 1 is a picture, 1-8 draws a number of them for each sample.",
)
MOVING = replace(FRAMES, values=("8", "4", "16", "32", "4-8"))
SIZE = Option("size", ("128", "96", "160", "192", "256"), "Height and width of the pictures, in pixels.")


# Scenes


@dataclass(frozen=True)
class Place:
    """Which scene: by data set, split, number, number of frames, and side in pixels."""

    name: str
    split: str
    number: int
    frames: int
    side: int

    @property
    def num_frames(self) -> int:
        """As `sample.Drawing` has it."""
        return self.frames

    def open(self) -> Clip:
        """The clip."""
        frames = draw(self).frames
        return Clip.open(frames, fps=FPS) if self.frames > 1 else Clip.open(frames)


@lru_cache(maxsize=4)
def draw(place: Place) -> Scene:
    """The scene; its words, pictures and masks are wanted one after the other, so a few are kept."""
    family = FAMILIES[place.name]
    world = world_of(place.split, place.frames, place.side, place.side)
    seed = SPLITS[place.split].seed(family.number * ROOM + place.number)
    return make_scene(seed, replace(world, **family.changes))


@dataclass(frozen=True)
class SceneObjects:
    """Masks of some things of a scene, in that order; -1 is never seen."""

    place: Place
    things: tuple[int, ...]

    @property
    def num_objects(self) -> int:
        """As `sample.ObjectMasks` has it."""
        return len(self.things)

    def only(self, objects: Sequence[int]) -> SceneObjects:
        """Some of them."""
        return SceneObjects(self.place, tuple(self.things[place] for place in objects))

    def read(self, frames: Sequence[int], height: int, width: int) -> Masks:
        """As `sample.ObjectMasks` has it; other sizes than the scene's are refused."""
        if (height, width) != (self.place.side, self.place.side):
            raise DataError("", self.place.name, f"{width}x{height} pixels", f"{self.place.side} a side")
        masks = draw(self.place).masks
        found = np.zeros((len(self.things), len(frames), height, width), np.bool_)
        for row, thing in enumerate(self.things):
            if thing >= 0:
                found[row] = masks[thing, list(frames)]
        return found


# What is told


@dataclass(frozen=True)
class Telling:
    """What a sample says, and of which things (-1 for one that is never seen).

    Attributes:
        rounds: as the sample has them, with things by their places among `things`.
        things: places in the scene.
        kind: which kind of words or question the first round is.
        mentioned: the things that the rounds are about.
    """

    rounds: tuple[Round, ...]
    things: tuple[int, ...]
    kind: str
    mentioned: tuple[int, ...] = ()
    literal: bool = False


Tell: TypeAlias = Callable[[Tale, bool], Telling | None]
"""What a family makes of a tale, for training or not; None where it has nothing to say."""


def _find(table: Mapping[str, Teller[Words]], tale: Tale, trains: bool) -> Telling | None:
    """Expressions, each with its mask."""
    told = tell_several(tale, table, AT_ONCE if trains else 1)
    if not told:
        return None
    things: list[int] = []
    rounds: list[Round] = []
    for number, words in enumerate(told):
        wanted = words.things or (-1,)
        fresh = [thing for thing in wanted if thing < 0 or thing not in things]
        things += fresh
        places = tuple(things.index(thing) if thing >= 0 else len(things) - 1 for thing in wanted)
        rounds.append(Expression(words.text, words.form, places, words.answer, id=str(number)))
    return Telling(tuple(rounds), tuple(things), told[0].kind)


def _talk_of_regions(tale: Tale, trains: bool) -> Telling | None:
    """Captions of things, or exchanges about them."""
    if not tale.seen:
        return None
    if tale.rng.random() < 0.5:
        return _captions(tale, trains)
    told = tell_several(tale, REGION_QUESTIONS, AT_ONCE if trains else 1)
    things = tuple(dict.fromkeys(thing for question in told for thing in question.things))
    if not told or len(things) > MEMORY:
        return None
    rounds = tuple(
        Exchange(_with_ids(question.text, question, things), _with_ids(question.reply, question, things))
        for question in told
    )
    return Telling(rounds, things, told[0].kind, things)


def _captions(tale: Tale, trains: bool) -> Telling:
    things = [tale.focus] if tale.focus in tale.seen else []
    things += [thing for thing in tale.shuffled(tale.seen) if thing not in things]
    things = things[: AT_ONCE if trains else 1]
    rounds: list[Round] = []
    for place, thing in enumerate(things):
        if tale.rng.random() < 0.5:
            rounds.append(Caption(brief_caption(tale, thing), place, "brief"))
        else:
            rounds.append(Caption(" ".join(described(tale, thing)), place, "detailed"))
    return Telling(tuple(rounds), tuple(things), "caption", tuple(things))


def _with_ids(text: str, question: Question, things: Sequence[int]) -> str:
    """Things as `[place]`, by their places among the sample's objects."""
    return text.format(*(f"[{things.index(thing)}]" for thing in question.things))


def _choice(question: Question, tale: Tale, things: Sequence[int] = ()) -> Choice:
    """A question with its options in random order."""
    options = tale.shuffled((question.answer, *question.wrong[:3]))
    texts = tuple(_with_ids(text, question, things) for text in options)
    return Choice(_with_ids(question.text, question, things), texts, options.index(question.answer))


def _choose_region(tale: Tale, trains: bool) -> Telling | None:
    """A question with options about things in the memory, where others are too."""
    question = tell(tale, REGION_QUESTIONS)
    if question is None:
        return None
    others = [thing for thing in tale.shuffled(tale.seen) if thing not in question.things]
    room = int(tale.rng.integers(MEMORY - len(question.things) + 1))
    things = tale.shuffled((*question.things, *others[:room]))
    return Telling((_choice(question, tale, things),), things, question.kind, question.things)


def _choose_pointed(tale: Tale, trains: bool) -> Telling | None:
    """The same about things that are pointed at. In training some are a person's own words, with the masks in
    their answers, some have all options and some only the right one, as the published sets do."""
    question = tell(tale, REGION_QUESTIONS)
    if question is None:
        return None
    things, dice = question.things, tale.rng.random()
    choice = _choice(question, tale, things)
    asked = choice.question
    if not trains or dice < 0.35:
        return Telling((choice,), things, question.kind, things)
    if dice < 0.65:
        return Telling((Exchange(asked, choice.options[choice.key or 0]),), things, question.kind, things)
    answer = _with_ids(question.reply, question, things)
    if "[" not in answer:
        marked = " ".join(f"[{place}]" for place in range(len(things)))
        answer = f"{answer.removesuffix('.')}: {marked}."
    return Telling((Exchange(asked, answer),), things, question.kind, things, literal=True)


def _choose_clip(tale: Tale, trains: bool) -> Telling | None:
    """A question with options about the whole clip."""
    question = tell(tale, CLIP_QUESTIONS)
    return None if question is None else Telling((_choice(question, tale),), (), question.kind)


def _talk_of_clip(tale: Tale, trains: bool) -> Telling | None:
    """Exchanges about the whole clip."""
    told = tell_several(tale, CLIP_QUESTIONS, AT_ONCE if trains else 1)
    rounds = tuple(Exchange(question.text, question.reply) for question in told)
    return Telling(rounds, (), told[0].kind) if told else None


_SLOW = {"speed": (0.004, 0.03), "twins": 0.8, "num_things": 3, "extra_things": 1}
_LIVELY = {"enter": 0.12, "leave": 0.12, "crossing": 0.35}


@dataclass(frozen=True)
class Family:
    """A task family: number of its scenes, what it teaches and tells, and how its world differs."""

    number: int
    task: Task
    tell: Tell
    changes: Mapping[str, Any] = field(default_factory=dict)


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "made_up_names": Family(1, "segment", partial(_find, NAMES)),
        "made_up_relations": Family(2, "segment", partial(_find, RELATIONS), _SLOW),
        "made_up_motion": Family(3, "segment", partial(_find, MOTIONS), _LIVELY | {"twins": 0.7}),
        "made_up_reasoning": Family(4, "segment", partial(_find, REASONING), _LIVELY | {"twins": 0.1}),
        "made_up_long": Family(5, "segment", partial(_find, LONG)),
        "made_up_regions": Family(6, "refer", _talk_of_regions),
        "made_up_region_memory": Family(7, "describe", _talk_of_regions),
        "made_up_region_choices": Family(8, "choose", _choose_region),
        "made_up_pixelqa": Family(9, "remember", _choose_pointed),
        "made_up_clips": Family(10, "choose", _choose_clip, _LIVELY | {"twins": 0.1}),
        "made_up_talk": Family(11, "chat", _talk_of_clip, _LIVELY | {"twins": 0.1}),
    }
)


# Samples


@dataclass(frozen=True)
class Maker:
    """Makes the samples of a split; may be sent to other processes."""

    name: str
    split: str
    frames: str
    side: int

    def __call__(self, index: int) -> Sample:
        """Sample `index`; DataError if no scene suits it, which does not happen in the splits as they are."""
        family = FAMILIES[self.name]
        for attempt in range(TRIES):
            rng = named_generator(attempt, self.name, self.split, index)
            place = Place(self.name, self.split, index * TRIES + attempt, self._count(rng), self.side)
            facts = draw(place).facts
            focus = facts.target if self.split == UNSEEN else None
            told = family.tell(Tale(facts, rng, BANNED, focus), self.split == "train")
            key = None if told is None else _key_frame(facts, told.things)
            if told is not None and (key is not None or not told.mentioned):
                return self._sample(index, place, told, key)
        raise DataError("", f"{self.name} {index}", f"{TRIES} scenes without words", "one that has some")

    def _count(self, rng: Generator) -> int:
        low, _, high = self.frames.partition("-")
        return int(rng.integers(int(low), int(high) + 1)) if high else int(low)

    def _sample(self, index: int, place: Place, told: Telling, key: int | None) -> Sample:
        task = FAMILIES[self.name].task
        about = task in ("refer", "describe", "remember", "choose")
        return Sample(
            dataset=self.name,
            id=str(index),
            task=task,
            media=Media(f"{self.split}_{index:06d}", drawn=place),
            rounds=told.rounds,
            object_ids=tuple(range(len(told.things))),
            masks=SceneObjects(place, told.things) if told.things else None,
            key_frame=key if about and told.mentioned else None,
            free_ids=about,
            literal=told.literal,
            facts=Facts({"type": told.kind}),
        )


UNSEEN = "unseen_combinations"
BANNED = frozenset(UNSEEN_COMBINATIONS)


def _key_frame(facts: SceneFacts, things: Sequence[int]) -> int | None:
    """The frame that shows most of the thing that is seen least; None where none shows them all."""
    if not things or min(things) < 0:
        return None
    areas = np.stack([facts.things[thing].seen.area for thing in things]).min(axis=0)
    return int(areas.argmax()) if areas.max() > 0 else None


def _read(source: Source) -> Rows[int]:
    """All samples of a split."""
    choices = source.choices
    maker = Maker(source.name, source.split, choices["frames"], int(choices["size"]))
    count = TRAIN if source.split == "train" else HELD_OUT
    return Rows(Path(source.name), range(count), maker, {"samples": str(count)})


def made_up_corpus(wording: Wording | None = None) -> Iterator[str]:
    """All words of these data sets, for training a tokenizer: sentences, questions, answers and options, and
    the templates of a wording around them; always the same, in a second."""
    yield from corpus()
    names = ("red star", "large striped blue circle", "things that stop", "[3]", "[12]")
    for family, templates in (wording or Wording.default()).families:
        for template in templates:
            words = dict.fromkeys(FAMILIES_OF_WORDS[family].slots, names)
            yield from (
                fill_text(template, **{slot: values[place] for slot, values in words.items()})
                for place in range(len(names) if words else 1)
            )
    for opening in (REGION_OPENING, GENERAL_OPENING):
        for letter in "ABCD":
            yield f"{OPTIONS}({letter}) the red star\n({letter}) Three\n{opening}{letter}) the red star"


def _row(name: str, frames: Option = FRAMES) -> DatasetInfo:
    return dataset(
        name,
        task=FAMILIES[name].task,
        splits=tuple(SPLITS),
        licence="Apache-2.0; drawn by this project",
        annotations="none",
        media="none",
        options=(frames, SIZE),
        drawn=True,
    )(_read)


MADE_UP_NAMES = _row("made_up_names")
MADE_UP_RELATIONS = _row("made_up_relations")
MADE_UP_MOTION = _row("made_up_motion", MOVING)
MADE_UP_REASONING = _row("made_up_reasoning")
MADE_UP_LONG = _row("made_up_long")
MADE_UP_REGIONS = _row("made_up_regions")
MADE_UP_REGION_MEMORY = _row("made_up_region_memory")
MADE_UP_REGION_CHOICES = _row("made_up_region_choices")
MADE_UP_PIXELQA = _row("made_up_pixelqa")
MADE_UP_CLIPS = _row("made_up_clips")
MADE_UP_TALK = _row("made_up_talk")
