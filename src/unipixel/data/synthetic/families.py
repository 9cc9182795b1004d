"""What can be said of a scene: the common ground of all task families.

A `Tale` is a scene's facts with the dice of one sample. Each family is a table of small functions from a tale
to words, or to None where the scene does not allow them; `tell` draws one of them. Nothing here says what a
person could argue about, and answers are drawn before the things that they are about, so that each comes
about equally often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.random import Generator

from unipixel.data.sample import Form
from unipixel.data.synthetic.facts import SceneFacts, ThingFacts
from unipixel.data.synthetic.families_words import END, START, THING
from unipixel.data.synthetic.relations import passages, relation

T = TypeVar("T")

CLEAR = 0.004
"""A thing counts as seen if it once covers this share of the frame (64 pixels of 128x128)."""
ATTRIBUTES = ("size", "pattern", "colour", "shape")
"""How a thing looks, in the order in which it is said."""

Look: TypeAlias = Mapping[str, str]
"""Some attributes with their values: {"colour": "red", "shape": "star"}."""


@dataclass(frozen=True)
class Words:
    """Words for things of a scene whose masks are the answer; no things where nothing fits.

    Attributes:
        kind: which row of its family made them.
        text: as `sample.Expression` has it.
        things: places in the scene's things.
        form: how the text names them.
        answer: what is said beside the mask, for the forms that have it.
    """

    kind: str
    text: str
    things: tuple[int, ...]
    form: Form = "query"
    answer: str = ""


@dataclass(frozen=True)
class Question:
    """A question with its short answer.

    Attributes:
        kind: which row of its family made it.
        text: `{0}`, `{1}` stand for `things`, in that order.
        answer: short, in small letters; may hold `{0}` and `{1}` too.
        wrong: answers that are clearly wrong, in random order.
        things: what it is about, if that is pointed at or remembered.
        sentence: the answer as a sentence.
    """

    kind: str
    text: str
    answer: str
    wrong: tuple[str, ...]
    things: tuple[int, ...] = ()
    sentence: str = ""

    @property
    def reply(self) -> str:
        """The answer as it is said in talk."""
        text = self.sentence or self.answer
        return text[:1].upper() + text[1:].removesuffix(".") + "."


@dataclass(frozen=True, eq=False)
class Tale:
    """A scene as it is told once.

    Attributes:
        facts: of the scene.
        rng: the dice of this telling; they are advanced.
        banned: colours with shapes that must not be spoken of unless such a thing is there: those that are
            kept for the split of unseen combinations.
        focus: the thing that everything must be about; None for any.
    """

    facts: SceneFacts
    rng: Generator
    banned: frozenset[tuple[str, str]] = frozenset()
    focus: int | None = None
    _peaks: tuple[float, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        frame = self.facts.height * self.facts.width
        peaks = tuple(float(thing.seen.area.max()) / frame for thing in self.facts.things)
        object.__setattr__(self, "_peaks", peaks)

    @property
    def is_still(self) -> bool:
        """Whether it is told of a picture."""
        return self.facts.num_frames == 1

    @cached_property
    def seen(self) -> tuple[int, ...]:
        """Things that anybody sees."""
        return tuple(place for place, peak in enumerate(self._peaks) if peak >= CLEAR)

    @cached_property
    def barely_seen(self) -> tuple[int, ...]:
        """Things that one may miss: whether words fit them does not count, but nothing is said of all."""
        return tuple(place for place, peak in enumerate(self._peaks) if 0 < peak < CLEAR)

    def thing(self, place: int) -> ThingFacts:
        """The facts of a thing."""
        return self.facts.things[place]

    @cached_property
    def named(self) -> tuple[int, ...]:
        """Seen things whose colour and shape no other has."""
        names = [self.thing(place).name for place in (*self.seen, *self.barely_seen)]
        return tuple(place for place in self.seen if names.count(self.thing(place).name) == 1)

    @cached_property
    def by_noun(self) -> Mapping[str, tuple[int, ...]]:
        """All things, seen or barely seen, by their nouns."""
        found: dict[str, list[int]] = {}
        for place in (*self.seen, *self.barely_seen):
            for noun in nouns_of(self.thing(place)):
                found.setdefault(noun, []).append(place)
        return {noun: tuple(places) for noun, places in found.items()}

    def name(self, place: int) -> str:
        """Colour and shape of a thing."""
        return self.thing(place).name

    # Dice

    def pick(self, rows: Sequence[T]) -> T:
        """One of them."""
        return rows[int(self.rng.integers(len(rows)))]

    def shuffled(self, rows: Iterable[T]) -> tuple[T, ...]:
        """All of them, in random order."""
        rows = tuple(rows)
        return tuple(rows[place] for place in self.rng.permutation(len(rows)))

    def sides(self, about: Sequence[int]) -> bool:
        """Whether something may be told of these things."""
        return self.focus is None or self.focus in about

    def by_answer(
        self, pairs: Iterable[tuple[str, tuple[int, ...]]], values: Sequence[str] = ()
    ) -> tuple[str, tuple[int, ...]] | None:
        """An answer, and things that it is right of, from such pairs: first the answer is drawn, then the
        things. None where there are none, or where the scene does not have every one of `values` for some
        things: a question whose answer can only be one thing in a scene would be answered by habit."""
        found: dict[str, list[tuple[int, ...]]] = {}
        known: set[str] = set()
        for answer, things in pairs:
            known.add(answer)
            if self.sides(things):
                found.setdefault(answer, []).append(things)
        if not found or not set(values) <= known:
            return None
        answer = self.pick(values or tuple(sorted(found)))
        return (answer, self.pick(found[answer])) if answer in found else None


Teller: TypeAlias = Callable[[Tale], T | None]
"""A row of a family."""


def tell(tale: Tale, family: Mapping[str, Teller[T]]) -> T | None:
    """What one row of a family makes of a tale: rows are tried in random order; None if none fits."""
    for kind in tale.shuffled(family):
        made = family[kind](tale)
        if made is not None:
            return made
    return None


def tell_several(tale: Tale, family: Mapping[str, Teller[T]], count: int) -> tuple[T, ...]:
    """What up to `count` different rows make of it."""
    told: list[T] = []
    for kind in tale.shuffled(family):
        made = family[kind](tale)
        if made is not None:
            told.append(made)
        if len(told) == count:
            break
    return tuple(told)


# Looks


def look_of(thing: ThingFacts, attributes: Iterable[str] = ATTRIBUTES) -> dict[str, str]:
    """The clear ones of some attributes."""
    values = {name: getattr(thing, name) for name in ATTRIBUTES if name in attributes}
    return {name: value for name, value in values.items() if value is not None}


def look_words(look: Look, plural: bool = False) -> str:
    """ "small striped red star", "large things"."""
    words = [look[name] for name in ATTRIBUTES if name in look and name != "shape"]
    return " ".join([*words, look.get("shape", THING) + ("s" if plural else "")])


def fits(thing: ThingFacts, look: Look) -> bool | None:
    """Whether a thing looks so; None where its size is between small and large and nothing else differs."""
    values = {name: getattr(thing, name) for name in look}
    if any(value is not None and value != look[name] for name, value in values.items()):
        return False
    return None if None in values.values() else True


def fitting(tale: Tale, look: Look) -> tuple[int, ...] | None:
    """The seen things that look so; None where that is not clear of some thing."""
    found = {place: fits(tale.thing(place), look) for place in tale.seen}
    doubts = [fits(tale.thing(place), look) for place in tale.barely_seen]
    if None in found.values() or any(doubt is not False for doubt in doubts):
        return None
    return tuple(place for place, right in found.items() if right)


def absent_name(tale: Tale) -> str | None:
    """A colour and a shape that no thing of the scene has together, though each is there if possible."""
    things = tale.facts.things
    there = {(thing.colour, thing.shape) for thing in things}
    near = {(one.colour, other.shape) for one in things for other in things} - there - tale.banned
    if not near:
        return None
    return " ".join(tale.pick(sorted(near)))


def nouns_of(thing: ThingFacts) -> tuple[str, ...]:
    """What a thing may be called beside others: its name, shape, colour, or just a thing."""
    return (thing.name, thing.shape, f"{thing.colour} {THING}", THING)


def called(tale: Tale, noun: str) -> tuple[int, ...]:
    """All things, seen or barely seen, that such a noun fits."""
    return tale.by_noun.get(noun, ())


def nouns_for(tale: Tale, place: int, shared: bool | None = None) -> tuple[str, ...]:
    """Nouns of a thing, longest first; `shared` says whether other things must have them too, or must not."""
    nouns = nouns_of(tale.thing(place))
    if shared is None:
        return nouns
    return tuple(noun for noun in nouns if (len(called(tale, noun)) > 1) == shared)


def all_nouns(tale: Tale, shared: bool | None = None) -> tuple[str, ...]:
    """The nouns of all seen things, each once, always in the same order."""
    return tuple(sorted({noun for place in tale.seen for noun in nouns_for(tale, place, shared)}))


# Relations in time


def moments(tale: Tale) -> tuple[tuple[tuple[int, ...], str], ...]:
    """Frames in which something holds, and how that is said: at the start, at the end, or all the time."""
    total = tale.facts.num_frames
    if total == 1:
        return (((0,), ""),)
    return (((0,), f" {START}"), ((total - 1,), f" {END}"), (tuple(range(total)), ""))


def related(tale: Tale, frames: Sequence[int]) -> tuple[tuple[int, int, str], ...]:
    """(thing, named thing, relation) of what is clear in all of these frames."""
    found = []
    for other in tale.named:
        for place in tale.seen:
            word = relation(tale.facts, place, other, frames[0]) if place != other else None
            if word is not None and holds(tale, place, other, word, frames[1:]):
                found.append((place, other, word))
    return tuple(found)


def passing(tale: Tale) -> tuple[tuple[int, int], ...]:
    """(over, under) of things of which one clearly passes over the other; none in pictures."""
    found = [] if tale.is_still else [(one.over, one.under) for one in passages(tale.facts)]
    return tuple(dict.fromkeys(found))


def touching(tale: Tale) -> frozenset[tuple[int, int]]:
    """(over, under) of things of which one ever hides as much as a pixel of the other."""
    return frozenset((int(over), int(under)) for under, over in np.argwhere(tale.facts.covered.any(axis=2)))


def holds(tale: Tale, first: int, second: int, word: str, frames: Sequence[int]) -> bool:
    """Whether a relation is clear in all of these frames, in each of which both are seen."""
    facts = tale.facts
    return all(relation(facts, first, second, frame) == word for frame in frames)


def may_hold(tale: Tale, first: int, second: int, word: str, frames: Sequence[int]) -> bool:
    """Whether somebody could say so of any of these frames."""
    one, other = tale.thing(first).seen.centres, tale.thing(second).seen.centres
    axis, sign = {"left of": (0, 1), "right of": (0, -1), "above": (1, 1), "below": (1, -1)}[word]
    ahead = sign * (other[list(frames), axis] - one[list(frames), axis])
    return bool(np.any(ahead > 0))  # nan, which is not seen, is not ahead
