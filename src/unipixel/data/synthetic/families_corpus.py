"""Everything that is said about the made-up world, for whoever trains a tokenizer: no scene is drawn."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.random import Generator

from unipixel.data.synthetic.families_words import (
    CLIP_ANSWERS,
    CLIPS,
    COLOURED,
    CORNERS,
    DESCRIPTIONS,
    DOES,
    END,
    EXPRESSIONS,
    HAPPENS,
    NUMBERS,
    REASONS,
    REGION_ANSWERS,
    REGIONS,
    SIDES,
    SIZES,
    START,
    THING,
    TOWARDS,
    VALUES,
)
from unipixel.data.synthetic.naming import (
    DIRECTION_CLAUSES,
    MOTION_CLAUSES,
    PLACE_CLAUSES,
    SPEED_CLAUSES,
)

TIMES = 40
"""How often each template is filled."""
SEED = 0


def corpus() -> Iterator[str]:
    """Sentences, questions and answers: every template with many fillings, always the same."""
    rng = np.random.default_rng(SEED)
    values = _values()
    for template in _templates():
        slots = [name for _, name, _, _ in string.Formatter().parse(template) if name]
        for _ in range(TIMES if slots else 1):
            yield _filled(template, slots, values, rng)
    for words in values.values():
        yield from (word[:1].upper() + word[1:] + "." for word in words)


def _templates() -> Iterator[str]:
    for table in (EXPRESSIONS, DESCRIPTIONS, REGIONS, CLIPS):
        for rows in table.values():
            yield from rows
    for answers in (REGION_ANSWERS, CLIP_ANSWERS):
        yield from answers.values()
    for pairs in REASONS.values():
        for question, reason in pairs:
            yield from (question, reason)
    yield from ("The {noun}", "the {noun}", "a {look}", "{noun} {clause}", "{nouns}", "{0} is {look}.")


def _values() -> Mapping[str, tuple[str, ...]]:
    """What may stand in each slot."""
    names = tuple(f"{colour} {shape}" for colour in VALUES["colour"] for shape in VALUES["shape"])
    nouns = (*names, *VALUES["shape"], *(f"{colour} {THING}" for colour in VALUES["colour"]), THING)
    does = tuple(does for does, _ in DOES.values()) + tuple(HAPPENS.values())
    clauses = (MOTION_CLAUSES, DIRECTION_CLAUSES, PLACE_CLAUSES)
    return {
        **dict.fromkeys(("name", "other", "first", "second"), names),
        "noun": nouns,
        "nouns": tuple(f"{noun}s" for noun in nouns),
        "look": tuple(
            f"{size} {pattern} {name}" for size in SIZES for pattern in VALUES["pattern"] for name in names
        ),
        "colour": VALUES["colour"],
        "shape": VALUES["shape"],
        "pattern": VALUES["pattern"],
        "corners": tuple(NUMBERS[number] for number in CORNERS.values()),
        "towards": tuple(TOWARDS.values()),
        "relation": tuple(SIDES.values()),
        "place": ("left", "right", "top", "bottom"),
        "do": tuple(do for _, do in DOES.values()),
        "does": does,
        "rest": does,
        "clause": (
            *(text for table in clauses for text in table.values()),
            *(f"{text} {when}" for text in PLACE_CLAUSES.values() for when in (START, END)),
        ),
        "answer": (*_short_answers(), *(f"the {name}" for name in names)),
        **{str(slot): tuple(f"[{number}]" for number in range(16)) for slot in range(2)},
    }


def _short_answers() -> Iterable[str]:
    """The answers that are no names."""
    yield from (value for values in VALUES.values() for value in values)
    yield from (*NUMBERS, "yes", "no", *SPEED_CLAUSES.values(), *COLOURED)


def _filled(template: str, slots: list[str], values: Mapping[str, tuple[str, ...]], rng: Generator) -> str:
    words = {slot: values[slot][int(rng.integers(len(values[slot])))] for slot in slots}
    pointed = [words.pop(str(number), "") for number in range(2)]
    return template.format(*pointed, **words)
