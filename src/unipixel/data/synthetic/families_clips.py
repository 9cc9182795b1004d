"""Questions with short answers about whole clips, which point at nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import combinations
from types import MappingProxyType

from unipixel.data.synthetic.families import (
    Question,
    Tale,
    Teller,
    absent_name,
    called,
    fitting,
    look_of,
    look_words,
    may_hold,
    moments,
    passing,
    related,
    touching,
)
from unipixel.data.synthetic.families_asking import (
    Found,
    Pair,
    clear_motions,
    not_done,
    values_of,
    with_suffix,
    wrong_ones,
)
from unipixel.data.synthetic.families_finding import GAP
from unipixel.data.synthetic.families_words import (
    CLIP_ANSWERS,
    CLIPS,
    DOES,
    HAPPENS,
    NO,
    NUMBERS,
    THING,
    TOWARDS,
    VALUES,
    YES,
)
from unipixel.data.synthetic.relations import extreme


def _clip(
    tale: Tale, kind: str, found: Found, wrong: Iterable[str] | None = None, **words: str
) -> Question | None:
    """The same about a whole clip, which does not point at things."""
    if found is None:
        return None
    answer, _ = found
    others = wrong_ones(tale, VALUES.get(kind, (YES, NO)) if wrong is None else wrong, answer)
    if not others:
        return None
    text = tale.pick(CLIPS[kind]).format(**words)
    return Question(kind, text, answer, others, (), CLIP_ANSWERS.get(kind, "").format(answer=answer, **words))


def _count(tale: Tale) -> Question | None:
    """How many things there are of a look of at most one attribute; "things" is one of them."""
    looks: list[dict[str, str]] = [{}]
    looks += [{name: value} for name in ("colour", "shape", "pattern", "size") for value in VALUES[name]]
    pairs: list[tuple[str, dict[str, str]]] = []
    for look in looks:
        things = fitting(tale, look)
        if things and len(things) < len(NUMBERS) and tale.sides(things):
            pairs.append((NUMBERS[len(things)], look))
    if not pairs:
        return None
    counts = sorted({count for count, _ in pairs})
    answer = tale.pick(counts)
    nouns = look_words(tale.pick([look for number, look in pairs if number == answer]), plural=True)
    return _clip(tale, "count", (answer, ()), counts, nouns=nouns)


def _count_doing(tale: Tale) -> Question | None:
    pairs: list[tuple[str, str]] = []
    for word in ("moving", "still"):
        said = [tale.thing(place).says(word) for place in (*tale.seen, *tale.barely_seen)]
        if None not in said:
            pairs.append((NUMBERS[sum(map(bool, said))], DOES[word][1]))
    if not pairs or tale.focus is not None:
        return None
    answer, do = tale.pick(pairs)
    return _clip(tale, "count doing", (answer, ()), [count for count, _ in pairs], do=do)


def _exists(tale: Tale) -> Question | None:
    absent = absent_name(tale)
    if tale.focus is not None or absent is None or not tale.seen:
        return None
    answer = tale.pick((YES, NO))
    name = tale.name(tale.pick(tale.seen)) if answer == YES else absent
    return _clip(tale, "exists", (answer, ()), name=name)


def _of_thing(name: str, tale: Tale) -> Question | None:
    """An attribute of a thing that the other attributes tell from the rest."""
    pairs: list[Pair] = []
    nouns: dict[int, list[str]] = {}
    for place in tale.seen:
        value = getattr(tale.thing(place), name)
        known = _unique_nouns(tale, place, name)
        if value is not None and known:
            nouns[place] = known
            pairs.append((value, (place,)))
    found = tale.by_answer(pairs)
    if found is None:
        return None
    words = {"noun": tale.pick(nouns[found[1][0]])}
    if name == "direction":
        words["towards"] = TOWARDS[found[0]]
    return _clip(tale, name, found, values_of(tale, name), **words)


def _unique_nouns(tale: Tale, place: int, without: str) -> list[str]:
    """Short nouns that only this thing has and that do not tell the attribute asked for."""
    look = look_of(tale.thing(place), ("colour", "shape"))
    choices = [{"shape": look["shape"]}, {"colour": look["colour"]}, look]
    return [
        look_words(choice)
        for choice in choices
        if without not in choice and fitting(tale, choice) == (place,)
    ]


def _who(tale: Tale, kind: str, place: int | None, **words: str) -> Question | None:
    """A question that a thing's name answers; the other named things of the scene are wrong."""
    if place is None or place not in tale.named or not tale.sides((place,)):
        return None
    others = [f"the {tale.name(one)}" for one in tale.named if one != place]
    return _clip(tale, kind, (f"the {tale.name(place)}", ()), others, **words) if others else None


def _towards(tale: Tale) -> Question | None:
    for way in tale.shuffled(TOWARDS):
        said = {place: tale.thing(place).moves_to(way) for place in (*tale.seen, *tale.barely_seen)}
        right = [place for place, moves in said.items() if moves]
        if None not in said.values() and len(right) == 1:
            return _who(tale, "towards", right[0], towards=TOWARDS[way])
    return None


def _doing(tale: Tale) -> Question | None:
    for word in tale.shuffled(DOES):
        said = {place: tale.thing(place).says(word) for place in (*tale.seen, *tale.barely_seen)}
        right = [place for place, does in said.items() if does]
        if None not in said.values() and len(right) == 1:
            return _who(tale, "doing", right[0], does=DOES[word][0])
    return None


def _motion_of(tale: Tale) -> Question | None:
    pairs = ((word, (place,)) for word, place in clear_motions(tale) if _unique_nouns(tale, place, "motion"))
    found = tale.by_answer(pairs)
    if found is None:
        return None
    word, (place,) = found
    noun, right = tale.pick(_unique_nouns(tale, place, "motion")), (f"it {DOES[word][0]}", ())
    return _clip(tale, "motion", right, not_done(tale, place), noun=noun, rest=DOES[word][0])


def _most(which: str, tale: Tale) -> Question | None:
    if len(tale.named) < len(tale.seen):
        return None
    return _who(tale, which, extreme(tale.facts, which))


def _what_beside(tale: Tale) -> Question | None:
    """What is left of a thing; all wrong things are clearly not."""
    frames, suffix = tale.pick(moments(tale))
    rows: list[tuple[int, int, str]] = []
    for place, other, word in related(tale, frames):
        rest = [one for one in called(tale, THING) if one not in (place, other)]
        if rest and not any(may_hold(tale, one, other, word, frames) for one in rest):
            rows.append((place, other, word))
    rows = [row for row in rows if tale.sides((row[0],)) and row[0] in tale.named]
    if not rows:
        return None
    place, other, word = tale.pick(rows)
    made = _who(tale, "beside", place, relation=word, other=tale.name(other))
    made = None if made is None else _without(made, f"the {tale.name(other)}")
    return None if made is None else with_suffix(made, suffix)


def _relation_of(tale: Tale) -> Question | None:
    frames, suffix = tale.pick(moments(tale))
    known = [row for row in related(tale, frames) if row[0] in tale.named]
    found = tale.by_answer((word, (one, other)) for one, other, word in known)
    if found is None:
        return None
    one, other = found[1]
    wrong = [word for word in VALUES["relation"] if not may_hold(tale, one, other, word, frames)]
    noun = tale.pick([*_unique_nouns(tale, one, "motion"), tale.name(one)])
    made = _clip(tale, "relation", found, wrong, noun=noun, other=tale.name(other))
    return None if made is None else with_suffix(made, suffix)


def _order(tale: Tale) -> Question | None:
    """Which of two things happens first, or last."""
    known = [
        (event.frame, f"the {tale.name(place)} {HAPPENS[event.kind]}", place)
        for place in tale.named
        for event in tale.thing(place).events
        if event.kind in HAPPENS
    ]
    texts = [text for _, text, _ in known]
    known = [row for row in known if texts.count(row[1]) == 1]
    rows = [
        (one, other)
        for one, other in combinations(known, 2)
        if abs(one[0] - other[0]) >= GAP and one[2] != other[2] and tale.sides((one[2], other[2]))
    ]
    if not rows:
        return None
    first, last = sorted(tale.pick(rows))
    kind = tale.pick(("first", "last"))
    right, wrong = (first, last) if kind == "first" else (last, first)
    return _clip(tale, kind, (right[1], ()), (wrong[1],))


def _what_over(tale: Tale) -> Question | None:
    touched = touching(tale)
    for over, under in tale.shuffled(passing(tale)):
        overs = {one for one, other in touched if other == under}
        if overs == {over} and under in tale.named:
            made = _who(tale, "over", over, other=tale.name(under))
            if made is not None:
                return _without(made, f"the {tale.name(under)}")
    return None


def _without(made: Question, wrong: str) -> Question | None:
    """The question without an option that its own words rule out."""
    rest = tuple(text for text in made.wrong if text != wrong)
    return Question(made.kind, made.text, made.answer, rest) if rest else None


CLIP_QUESTIONS: Mapping[str, Teller[Question]] = MappingProxyType(
    {
        "count": _count,
        "count doing": _count_doing,
        "exists": _exists,
        "colour": partial(_of_thing, "colour"),
        "shape": partial(_of_thing, "shape"),
        "pattern": partial(_of_thing, "pattern"),
        "direction": partial(_of_thing, "direction"),
        "towards": _towards,
        "doing": _doing,
        "motion": _motion_of,
        "largest": partial(_most, "largest"),
        "smallest": partial(_most, "smallest"),
        "fastest": partial(_most, "fastest"),
        "slowest": partial(_most, "slowest"),
        "beside": _what_beside,
        "relation": _relation_of,
        "order": _order,
        "over": _what_over,
    }
)
"""Questions about a whole clip."""
