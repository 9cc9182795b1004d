"""Questions with short answers about things that are pointed at or remembered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import permutations
from types import MappingProxyType

from unipixel.data.synthetic.families import (
    Question,
    Tale,
    Teller,
    fitting,
    holds,
    look_of,
    look_words,
    may_hold,
    moments,
    passing,
)
from unipixel.data.synthetic.families_words import (
    DOES,
    NO,
    NUMBERS,
    REGION_ANSWERS,
    REGIONS,
    TOWARDS,
    VALUES,
    YES,
)
from unipixel.data.synthetic.relations import extreme, passages, relation

Pair = tuple[str, tuple[int, ...]]
"""An answer, and things that it is right of."""
Found = Pair | None

OPTIONS = 4


def wrong_ones(tale: Tale, values: Iterable[str], *right: str) -> tuple[str, ...]:
    """The other values, in random order."""
    return tale.shuffled(value for value in values if value not in right)[: OPTIONS - 1]


def _region(
    tale: Tale, kind: str, found: Found, wrong: Iterable[str] | None = None, **words: str
) -> Question | None:
    """A question about regions; without `wrong` every other value of its kind is."""
    if found is None:
        return None
    answer, things = found
    others = wrong_ones(tale, VALUES.get(kind, (YES, NO)) if wrong is None else wrong, answer)
    if not others:
        return None
    texts = {"{0}": "{0}", "{1}": "{1}"}
    text = _filled(tale.pick(REGIONS[kind]), texts, words)
    sentence = _filled(REGION_ANSWERS.get(kind, ""), texts, {"answer": answer, **words})
    return Question(kind, text, answer, others, things, sentence)


def _filled(template: str, kept: Mapping[str, str], words: Mapping[str, str]) -> str:
    """A template with its named slots filled and `{0}`, `{1}` left as they are."""
    return template.format(*kept, **words)


# Of one thing


def _attribute(name: str, tale: Tale) -> Question | None:
    values = ((getattr(tale.thing(place), name), (place,)) for place in tale.seen)
    found = tale.by_answer((value, things) for value, things in values if value is not None)
    words = {"towards": TOWARDS[found[0]]} if found is not None and name == "direction" else {}
    return _region(tale, name, found, values_of(tale, name), **words)


def values_of(tale: Tale, name: str) -> tuple[str, ...]:
    """What the answer may be: where everything is about a thing of a held-out pair, what such pairs have."""
    place = ("colour", "shape").index(name) if name in ("colour", "shape") else None
    if tale.focus is None or place is None or not tale.banned:
        return VALUES[name]
    return tuple(sorted({pair[place] for pair in tale.banned}))


def _identity(tale: Tale) -> Question | None:
    """Its name; the wrong ones are near: other things of the scene, and mixtures of them."""
    found = tale.by_answer((f"a {tale.name(place)}", (place,)) for place in tale.seen)
    if found is None:
        return None
    return _region(tale, "name", found, _near_names(tale, found[1][0]))


def _near_names(tale: Tale, place: int) -> tuple[str, ...]:
    """Three names that share its colour, its shape and neither. With its own they are two colours times two
    shapes, so that none of the four can be told by its words."""
    thing, others = tale.thing(place), tale.facts.things
    there = {(one.colour, one.shape) for one in others}
    banned = tale.banned - there
    colours = _others_first([one.colour for one in others], VALUES["colour"], thing.colour, tale)
    shapes = _others_first([one.shape for one in others], VALUES["shape"], thing.shape, tale)
    for colour in colours:
        for shape in shapes:
            names = [(thing.colour, shape), (colour, thing.shape), (colour, shape)]
            if not banned & set(names):
                return tuple(f"a {' '.join(name)}" for name in names)
    return ()


def _others_first(here: Sequence[str], known: Sequence[str], own: str, tale: Tale) -> tuple[str, ...]:
    """Other values, those of the scene first."""
    first = tale.shuffled(sorted(set(here) - {own}))
    return (*first, *tale.shuffled(value for value in known if value != own and value not in first))


def clear_motions(tale: Tale) -> Iterator[tuple[str, int]]:
    """Clear motions with their things, but for those that say too little."""
    for place in tale.seen:
        for word in tale.thing(place).motions:
            if word in DOES and word != "moving":
                yield word, place


def not_done(tale: Tale, place: int) -> tuple[str, ...]:
    """What a thing clearly does not do, though other things of the scene do: any of these may be right as
    often as the others, while some motions are rare."""
    here = sorted({word for word, other in clear_motions(tale) if other != place})
    wrong = [word for word in here if tale.thing(place).says(word) is False]
    return tuple(f"it {DOES[word][0]}" for word in wrong)


def _motion(tale: Tale) -> Question | None:
    found = tale.by_answer((word, (place,)) for word, place in clear_motions(tale))
    if found is None:
        return None
    word, (place,) = found
    right = (f"it {DOES[word][0]}", (place,))
    return _region(tale, "motion", right, not_done(tale, place), rest=DOES[word][0])


def _contrasts(tale: Tale) -> Iterator[tuple[str, str, int]]:
    """(word, yes or no, thing) of what some thing of the scene clearly does and another clearly not."""
    for word in DOES:
        said = {place: tale.thing(place).says(word) for place in tale.seen}
        if {True, False} <= set(said.values()):
            for place, right in said.items():
                if right is not None:
                    yield word, YES if right else NO, place


def _does(tale: Tale) -> Question | None:
    answer = tale.pick((YES, NO))
    rows = [row for row in _contrasts(tale) if row[1] == answer and tale.sides((row[2],))]
    if not rows:
        return None
    word = tale.pick(sorted({word for word, _, _ in rows}))
    place = tale.pick([place for other, _, place in rows if other == word])
    return _region(tale, "does", (answer, (place,)), (YES, NO), do=DOES[word][1])


def _hidden(tale: Tale) -> Question | None:
    under = {below for _, below in passing(tale)}
    clear = [place for place in tale.seen if not _touched(tale, place) or place in under]
    if not under & set(clear) or under >= set(clear):
        return None
    pairs = ((YES if place in under else NO, (place,)) for place in clear)
    return _region(tale, "hidden", tale.by_answer(pairs, (YES, NO)))


def _touched(tale: Tale, place: int) -> bool:
    """Whether anything hides any of a thing's pixels at any time."""
    return bool(tale.facts.covered[place].any())


def _count_alike(attribute: str, tale: Tale) -> Question | None:
    pairs = []
    for place in tale.seen if tale.focus is None else ():
        alike = fitting(tale, {attribute: getattr(tale.thing(place), attribute)})
        if alike is not None and len(alike) < len(NUMBERS):
            pairs.append((NUMBERS[len(alike)], (place,)))
    return _region(tale, f"count {attribute}", tale.by_answer(pairs), sorted({count for count, _ in pairs}))


# Of two things


def _pairs(tale: Tale) -> tuple[tuple[int, int], ...]:
    return tuple(permutations(tale.seen, 2))


def _where(tale: Tale) -> Question | None:
    frames, suffix = tale.pick(moments(tale))
    pairs: list[Pair] = []
    for one, other in _pairs(tale):
        word = relation(tale.facts, one, other, frames[0])
        if word is not None and holds(tale, one, other, word, frames[1:]):
            pairs.append((word, (one, other)))
    found = tale.by_answer(pairs)
    if found is None:
        return None
    one, other = found[1]
    wrong = [word for word in VALUES["relation"] if not may_hold(tale, one, other, word, frames)]
    made = _region(tale, "relation", found, wrong)
    return None if made is None else with_suffix(made, suffix)


def with_suffix(made: Question, suffix: str) -> Question:
    """The question about a moment: "... at the start?"."""
    text = made.text.removesuffix("?") + f"{suffix}?"
    return Question(made.kind, text, made.answer, made.wrong, made.things, made.sentence)


def _compared(kind: str, which: str, tale: Tale) -> Question | None:
    """The larger or faster of two."""
    pairs: list[Pair] = []
    for pair in _pairs(tale):
        first = extreme(tale.facts, which, among=pair)
        if first is not None:
            pairs.append(("{0}" if first == pair[0] else "{1}", pair))
    found = tale.by_answer(pairs)
    return _region(tale, kind, found, ("{0}", "{1}"))


def _front(tale: Tale) -> Question | None:
    passed = {(passage.over, passage.under) for passage in passages(tale.facts)}
    pairs: list[Pair] = []
    for over, under in sorted(passed):
        if (under, over) not in passed and {over, under} <= set(tale.seen):
            pairs += [("{0}", (over, under)), ("{1}", (under, over))]
    return _region(tale, "front", tale.by_answer(pairs), ("{0}", "{1}"))


def _same(attribute: str, tale: Tale) -> Question | None:
    pairs: list[Pair] = []
    for one, other in _pairs(tale):
        values = [getattr(tale.thing(place), attribute) for place in (one, other)]
        if None not in values:
            pairs.append((YES if values[0] == values[1] else NO, (one, other)))
    kind = "same way" if attribute == "direction" else f"same {attribute}"
    return _region(tale, kind, tale.by_answer(pairs, (YES, NO)))


ONE: Mapping[str, Teller[Question]] = MappingProxyType(
    {
        **{name: partial(_attribute, name) for name in ("colour", "shape", "size", "pattern", "direction")},
        "name": _identity,
        "motion": _motion,
        "does": _does,
        "hidden": _hidden,
        "count colour": partial(_count_alike, "colour"),
        "count shape": partial(_count_alike, "shape"),
    }
)
"""Questions about one thing that is pointed at or remembered."""

TWO: Mapping[str, Teller[Question]] = MappingProxyType(
    {
        "relation": _where,
        "larger": partial(_compared, "larger", "largest"),
        "faster": partial(_compared, "faster", "fastest"),
        "front": _front,
        "same colour": partial(_same, "colour"),
        "same shape": partial(_same, "shape"),
        "same way": partial(_same, "direction"),
    }
)
"""Questions about two."""

REGION_QUESTIONS: Mapping[str, Teller[Question]] = MappingProxyType({**ONE, **TWO})


assert set(REGION_QUESTIONS) == set(REGIONS), "every question has its words"


# Captions


def brief_caption(tale: Tale, place: int) -> str:
    """How a thing looks: "a small striped red star"."""
    return f"a {look_words(look_of(tale.thing(place)))}"
