"""Words for things: by how they look, where they are, what they do; with reasons; and long descriptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from types import MappingProxyType

from unipixel.data.synthetic.families import (
    ATTRIBUTES,
    Tale,
    Teller,
    Words,
    absent_name,
    all_nouns,
    called,
    fitting,
    look_of,
    look_words,
    may_hold,
    moments,
    nouns_for,
    passing,
    related,
    touching,
)
from unipixel.data.synthetic.families_words import (
    COLOURED,
    CORNERS,
    DESCRIPTIONS,
    DOES,
    EXPRESSIONS,
    HAPPENS,
    NUMBERS,
    REASONS,
    ROUND,
    SIDES,
    TOWARDS,
)
from unipixel.data.synthetic.naming import clauses
from unipixel.data.synthetic.relations import extreme, nearest, relation

GAP = 2
"""Frames between two events whose order anybody sees."""
RESTING = ("still", "moving")
"""Motions that are answers and no description by themselves."""


def _say(tale: Tale, row: str, **words: str) -> str:
    return tale.pick(EXPRESSIONS[row]).format(**words)


# By looks


def _named(tale: Tale) -> Words | None:
    """Colour and shape."""
    found = tale.by_answer((tale.name(place), (place,)) for place in tale.named)
    return None if found is None else Words("named", found[0], found[1])


def _looks(tale: Tale) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """Every look that some seen thing has, with all things that have it."""
    told: set[tuple[tuple[str, str], ...]] = set()
    for place in tale.seen:
        values = look_of(tale.thing(place))
        for size in range(1, len(ATTRIBUTES) + 1):
            for names in combinations(values, size):
                look = {name: values[name] for name in names}
                key = tuple(look.items())
                if key not in told:
                    told.add(key)
                    things = fitting(tale, look)
                    if things:
                        yield look, things


def _looking(tale: Tale) -> Words | None:
    """Any attributes that only one thing has."""
    alone = [(look, things) for look, things in _looks(tale) if len(things) == 1 and tale.sides(things)]
    if not alone:
        return None
    size = tale.pick(sorted({len(look) for look, _ in alone}))
    look, things = tale.pick([one for one in alone if len(one[0]) == size])
    return Words("looking", look_words(look), things)


def _several(tale: Tale) -> Words | None:
    """All things of a look: "red things", "large stars"."""
    many = [(look, things) for look, things in _looks(tale) if len(things) > 1 and tale.sides(things)]
    if not many:
        return None
    look, things = tale.pick(many)
    return Words("several", look_words(look, plural=True), things)


def _pair(tale: Tale) -> Words | None:
    """Two things by their names."""
    pairs = [pair for pair in combinations(tale.named, 2) if tale.sides(pair)]
    if not pairs:
        return None
    first, second = tale.shuffled(tale.pick(pairs))
    return Words(
        "pair", _say(tale, "pair", first=tale.name(first), second=tale.name(second)), (first, second)
    )


def _nothing(tale: Tale) -> Words | None:
    """A name that nothing has."""
    name = None if tale.focus is not None else absent_name(tale)
    return None if name is None else Words("nothing", name, ())


NAMES: Mapping[str, Teller[Words]] = MappingProxyType(
    {"named": _named, "looking": _looking, "several": _several, "pair": _pair, "nothing": _nothing}
)
"""Expressions by how things look."""


# By place


def _beside(tale: Tale) -> Words | None:
    """ "circle left of the blue star": one of several things of a noun, the others clearly elsewhere."""
    for frames, suffix in tale.shuffled(moments(tale)):
        found: list[tuple[str, tuple[int, ...]]] = []
        for place, other, word in related(tale, frames):
            for noun in _shared(tale, place, other):
                rivals = [one for one in called(tale, noun) if one not in (place, other)]
                if not any(may_hold(tale, one, other, word, frames) for one in rivals):
                    name = tale.name(other)
                    text = _say(tale, "beside", noun=noun, relation=word, other=name) + suffix
                    found.append((text, (place,)))
        made = _one_of(tale, "beside", found)
        if made is not None:
            return made
    return None


def _shared(tale: Tale, place: int, other: int) -> tuple[str, ...]:
    """Nouns of a thing that also fit things other than the one that it is told by."""
    nouns = nouns_for(tale, place, shared=True)
    return tuple(noun for noun in nouns if any(one not in (place, other) for one in called(tale, noun)))


def _one_of(tale: Tale, kind: str, found: Sequence[tuple[str, tuple[int, ...]]]) -> Words | None:
    """One of some expressions, each thing as often as the others."""
    about = [one for one in found if tale.sides(one[1])]
    if not about:
        return None
    things = tale.pick(sorted({one[1] for one in about}))
    return Words(kind, tale.pick([text for text, whom in about if whom == things]), things)


def _nearest(tale: Tale) -> Words | None:
    """ "thing nearest to the blue star"."""
    for frames, suffix in tale.shuffled(moments(tale)):
        found: list[tuple[str, tuple[int, ...]]] = []
        for other in tale.named:
            for noun in all_nouns(tale, shared=True):
                place = _always_nearest(tale, other, noun, frames)
                if place is not None and place in tale.seen:
                    text = _say(tale, "nearest", noun=noun, other=tale.name(other)) + suffix
                    found.append((text, (place,)))
        made = _one_of(tale, "nearest", found)
        if made is not None:
            return made
    return None


def _always_nearest(tale: Tale, other: int, noun: str, frames: Sequence[int]) -> int | None:
    """The one of several things of a noun that is nearest to another on all these frames."""
    among = tuple(one for one in called(tale, noun) if one != other)
    place = nearest(tale.facts, other, frames[0], among) if len(among) > 1 else None
    if place is None or any(nearest(tale.facts, other, frame, among) != place for frame in frames[1:]):
        return None
    return place


def _extreme(which: str, tale: Tale) -> Words | None:
    """ "largest red thing", "slowest circle"."""
    found: list[tuple[str, tuple[int, ...]]] = []
    for noun in all_nouns(tale, shared=True):
        place = extreme(tale.facts, which, among=called(tale, noun))
        if place is not None and place in tale.seen:
            found.append((_say(tale, which, noun=noun), (place,)))
    return _one_of(tale, which, sorted(found))


def _told_by(kinds: tuple[str, ...], tale: Tale) -> Words | None:
    """The noun that several things have, with a clause that only one of them fits."""
    found: list[tuple[str, tuple[int, ...]]] = []
    for place in tale.seen:
        for noun in nouns_for(tale, place, shared=True):
            known = clauses(tale.facts, place, among=called(tale, noun))
            found += [(clause.apply(noun), (place,)) for clause in known if clause.kind in kinds]
    return _one_of(tale, kinds[0], found)


RELATIONS: Mapping[str, Teller[Words]] = MappingProxyType(
    {
        "beside": _beside,
        "nearest": _nearest,
        "largest": partial(_extreme, "largest"),
        "smallest": partial(_extreme, "smallest"),
        "place": partial(_told_by, ("place",)),
    }
)
"""Expressions by where things are, among things that are called the same."""


# By motion


def _ordered(tale: Tale) -> Words | None:
    """ "thing that enters last": all things of the noun that do so, do it at clearly different times."""
    found: list[tuple[str, tuple[int, ...]]] = []
    for kind, does in HAPPENS.items():
        for noun in all_nouns(tale):
            times = _times(tale, kind, called(tale, noun))
            if len(times) < 2:
                continue
            order = sorted(times, key=lambda place: times[place])
            frames = [times[place] for place in order]
            if frames[1] - frames[0] >= GAP:
                found.append((_say(tale, "first", noun=noun, does=does), (order[0],)))
            if frames[-1] - frames[-2] >= GAP:
                found.append((_say(tale, "last", noun=noun, does=does), (order[-1],)))
    return _one_of(tale, "ordered", sorted(found))


def _times(tale: Tale, kind: str, places: Sequence[int]) -> dict[int, int]:
    """When things do something; none at all if that is not clear of one of them."""
    doing = {"enters": "entering", "leaves": "leaving", "stops": "stopping", "turns back": "turning back"}
    said = {place: tale.thing(place).says(doing[kind]) for place in places}
    if None in said.values() or not set(places) <= set(tale.seen):
        return {}
    events = {place: tale.thing(place).event(kind) for place in places if said[place]}
    return {place: event.frame for place, event in events.items() if event is not None}


def _passing(tale: Tale) -> Words | None:
    """ "circle that passes behind the blue star"."""
    found: list[tuple[str, tuple[int, ...]]] = []
    touched = touching(tale)
    for over, under in passing(tale):
        for row, place, other in (("over", over, under), ("under", under, over)):
            if place not in tale.seen or other not in tale.named:
                continue
            for noun in nouns_for(tale, place):
                rivals = [one for one in called(tale, noun) if one not in (place, other)]
                pairs = {(one, other) if row == "over" else (other, one) for one in rivals}
                if not pairs & touched:
                    found.append((_say(tale, row, noun=noun, other=tale.name(other)), (place,)))
    return _one_of(tale, "passing", found)


MOTIONS: Mapping[str, Teller[Words]] = MappingProxyType(
    {
        "motion": partial(_told_by, ("motion",)),
        "direction": partial(_told_by, ("direction",)),
        "speed": partial(_told_by, ("speed",)),
        "fastest": partial(_extreme, "fastest"),
        "slowest": partial(_extreme, "slowest"),
        "ordered": _ordered,
        "passing": _passing,
    }
)
"""Expressions by what things do."""


# With a reason


def _only(tale: Tale, holding: Callable[[int], bool | None]) -> int | None:
    """The one seen thing of which something holds, if it clearly does not of any other."""
    said = {place: holding(place) for place in (*tale.seen, *tale.barely_seen)}
    if None in said.values() or sum(map(bool, said.values())) != 1:
        return None
    place = next(place for place, right in said.items() if right)
    return place if place in tale.seen and tale.sides((place,)) else None


def _because(tale: Tale, kind: str, place: int | None, **words: str) -> Words | None:
    """A question for a thing, whose answer is its name or the reason."""
    if place is None or place not in tale.named:
        return None
    thing = tale.thing(place)
    words = {"shape": thing.shape, "colour": thing.colour, "pattern": thing.pattern, **words}
    question, reason = (text.format(**words) for text in tale.pick(REASONS[kind]))
    if tale.rng.random() < 0.5:
        return Words(kind, question, (place,), "explanatory", reason)
    return Words(kind, question, (place,), "question", f"The {thing.name}")


def _most_corners(tale: Tale) -> Words | None:
    counts = {place: CORNERS.get(tale.thing(place).shape, 0) for place in (*tale.seen, *tale.barely_seen)}
    most = max(counts.values(), default=0)
    if len(set(counts.values())) < 2:
        return None
    place = _only(tale, lambda one: counts[one] == most)
    return _because(tale, "most corners", place, corners=NUMBERS[most])


def _corners(tale: Tale) -> Words | None:
    for shape, number in tale.shuffled(CORNERS.items()):
        place = _only(tale, lambda one, shape=shape: tale.thing(one).shape == shape)  # type: ignore[misc]
        if place is not None:
            return _because(tale, "corners", place, corners=NUMBERS[number])
    return None


def _shaped(kind: str, shapes: tuple[str, ...], tale: Tale) -> Words | None:
    return _because(tale, kind, _only(tale, lambda one: tale.thing(one).shape in shapes))


def _coloured(tale: Tale) -> Words | None:
    for kind, colour in tale.shuffled(COLOURED.items()):
        place = _only(tale, lambda one, colour=colour: tale.thing(one).colour == colour)  # type: ignore[misc]
        if place is not None:
            return _because(tale, kind, place)
    return None


def _odd(attribute: str, tale: Tale) -> Words | None:
    """The thing that differs, while all others (at least two) are the same."""
    things = (*tale.seen, *tale.barely_seen)
    values = [getattr(tale.thing(place), attribute) for place in things]
    odd = [place for place, value in zip(things, values, strict=True) if values.count(value) == 1]
    if len(things) < 3 or len(set(values)) != 2 or len(odd) != 1:
        return None
    place = _only(tale, lambda one: one == odd[0])
    return _because(tale, f"odd {attribute}", place)


def _doing(kind: str, word: str, tale: Tale) -> Words | None:
    return _because(tale, kind, _only(tale, lambda one: tale.thing(one).says(word)))


def _covering(kind: str, tale: Tale) -> Words | None:
    """The only thing that passes behind (or in front of) another."""
    pairs = [pair[::-1] if kind == "behind" else pair for pair in passing(tale)]
    if len(pairs) != 1 or len(touching(tale)) != 1 or pairs[0][1] not in tale.named:
        return None
    place = _only(tale, lambda one: one == pairs[0][0])
    return _because(tale, kind, place, other=tale.name(pairs[0][1]))


def _alike(kind: str, tale: Tale) -> Words | None:
    """The only other thing that moves the same way as a named one, or against it."""
    against = {"left": "right", "right": "left", "up": "down", "down": "up"}
    for other in tale.shuffled(tale.named):
        way = tale.thing(other).direction
        if way is None:
            continue
        wanted = way if kind == "same way" else against[way]

        def goes(one: int, other: int = other, wanted: str = wanted) -> bool | None:
            return False if one == other else tale.thing(one).moves_to(wanted)

        place = _only(tale, goes)
        if place is not None:
            return _because(tale, kind, place, other=tale.name(other), towards=TOWARDS[wanted])
    return None


REASONING: Mapping[str, Teller[Words]] = MappingProxyType(
    {
        "most corners": _most_corners,
        "corners": _corners,
        "no corners": partial(_shaped, "no corners", ROUND),
        "rolls": partial(_shaped, "rolls", ROUND),
        "hole": partial(_shaped, "hole", ("ring",)),
        "colour of": _coloured,
        "odd colour": partial(_odd, "colour"),
        "odd shape": partial(_odd, "shape"),
        "odd pattern": partial(_odd, "pattern"),
        "gone": partial(_doing, "gone", "leaving"),
        "new": partial(_doing, "new", "entering"),
        "behind": partial(_covering, "behind"),
        "in front": partial(_covering, "in front"),
        "same way": partial(_alike, "same way"),
        "other way": partial(_alike, "other way"),
    }
)
"""Questions that take a step of reasoning."""


# Long descriptions


def described(tale: Tale, place: int) -> tuple[str, ...]:
    """Sentences about a thing: how it looks, what it does, what is around it."""
    thing = tale.thing(place)
    sentences = [_sentence(tale, "look", look=look_words(look_of(thing)))]
    sentences += _moves(tale, place)
    sentences += _surroundings(tale, place)
    return tuple(sentences)


def _sentence(tale: Tale, row: str, **words: str) -> str:
    return tale.pick(DESCRIPTIONS[row]).format(**words)


def _moves(tale: Tale, place: int) -> list[str]:
    thing, told = tale.thing(place), []
    if tale.is_still:
        return []
    if thing.direction is not None:
        told.append(_sentence(tale, "towards", towards=TOWARDS[thing.direction]))
    does = [DOES[word][0] for word in thing.motions if word not in RESTING or word == "still"]
    told += [_sentence(tale, "move", does=text) for text in does]
    if thing.speed is not None:
        told.append(_sentence(tale, thing.speed))
    return told


def _surroundings(tale: Tale, place: int) -> list[str]:
    told = []
    others = [one for one in tale.shuffled(tale.named) if one != place]
    for other in others:
        word = relation(tale.facts, place, other, 0)
        if word is not None:
            words = {"relation": word, "other": tale.name(other)}
            text = _sentence(tale, "beside", **words)
            told.append(f"It is {word} the {words['other']}." if tale.is_still else text)
            break
    for over, under in passing(tale):
        if over == place and under in others:
            told.append(_sentence(tale, "over", other=tale.name(under)))
        elif under == place and over in others:
            told.append(_sentence(tale, "under", other=tale.name(over)))
    return told[:2]


def _description(tale: Tale) -> Words | None:
    """A long description of a thing that no other thing can be meant by."""
    alone = [
        place
        for place in tale.seen
        if fitting(tale, look_of(tale.thing(place))) == (place,) and tale.sides((place,))
    ]
    if not alone:
        return None
    place = tale.pick(alone)
    return Words("description", " ".join(described(tale, place)), (place,), "description")


LONG: Mapping[str, Teller[Words]] = MappingProxyType({"description": _description})
"""Long descriptions."""

assert set(SIDES.values()) == {"left of", "right of", "above", "below"}, "relations have their words"
