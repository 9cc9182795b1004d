"""Rounds of a sample as words: queries, options, mentions and slots."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from numpy.random import Generator

from unipixel.core.conversation import Part, Refer, Segment
from unipixel.data.sample import Caption, Choice, Expression
from unipixel.data.wording import OPTIONS, Wording, fill, fill_text, joined

_MENTION = re.compile(r"\[(\d+)\]")
_ARTICLES = ("the ", "an ", "a ")


def normalise_query(text: str) -> str:
    """Words for things as templates take them: no full stops around, first letter small, no article."""
    query = text.strip().strip(".")
    query = query[:1].lower() + query[1:]
    for article in _ARTICLES:
        query = query.removeprefix(article)
    return query


def ask_to_segment(
    expression: Expression, medium: str, wording: Wording, rng: Generator | None
) -> tuple[str, tuple[Part, ...]]:
    """Question and answer for the mask of an expression in an "image" or "video"; without `rng` the fixed
    form of evaluation."""
    form, query = expression.form, expression.text.strip()
    if form == "part":
        query = fill_text(wording.pick("part", rng), object=query, part=expression.part)
    if form in ("query", "part"):
        form, query = "query", normalise_query(query)
    family = f"query_{medium}" if form == "query" else form
    question = fill_text(wording.pick(family, rng), query=query)
    if form == "question":
        return question, fill(wording.pick("question_answer", rng), answer=expression.answer.strip())
    answer = fill(wording.pick("answer", rng))
    if form == "explanatory":
        answer = joined([*answer, f" {expression.answer.strip()}"])
    return question, answer


def ask_for_caption(
    caption: Caption, name: str | Refer, wording: Wording, rng: Generator | None
) -> tuple[Part, ...]:
    """A request for a caption of what `name` names or points at."""
    family = "brief" if caption.style == "brief" else "detailed" if rng is not None else "highlighted"
    return fill(wording.pick(family, rng), object=name)


def ask_to_choose(choice: Choice, marked: bool, wording: Wording, rng: Generator | None) -> str:
    """A question with its options; `marked`: about marked objects (VideoRefer), else about a whole clip
    (MVBench), whose question has single spaces and whose options begin with a capital letter."""
    question = choice.question if marked else " ".join(choice.question.split())
    request = wording.pick("choice_region" if marked else "choice_general", rng)
    return f"{question}{option(0, *_options(choice, marked))}\n{request}"


def choose(choice: Choice, opening: str, marked: bool) -> str | None:
    """The right answer, with its opening; None where it is not published."""
    if choice.key is None:
        return None
    return f"{opening}{choice.letter}) {_options(choice, marked)[choice.key]}"


def _options(choice: Choice, marked: bool) -> tuple[str, ...]:
    return choice.options if marked else tuple(text[:1].upper() + text[1:] for text in choice.options)


def option(first: int, *texts: str) -> str:
    """Options behind a question, lettered from place `first` on."""
    return OPTIONS + "\n".join(
        f"({chr(ord('A') + first + place)}) {text}" for place, text in enumerate(texts)
    )


def ask_to_localise(question: str, wording: Wording, rng: Generator | None) -> str:
    """A question whose objects are to be masked."""
    return fill_text(wording.pick("localise", rng), question=question.strip().removesuffix("."))


def listed(text: str) -> list[int]:
    """The numbers of all mentions `[3]`, with repeats."""
    return [int(number) for number in _MENTION.findall(text)]


def renumber(text: str, new: Mapping[int, int]) -> str:
    """Text with other numbers in its mentions; those that `new` does not have stay."""
    return _MENTION.sub(lambda found: f"[{new.get(int(found[1]), int(found[1]))}]", text)


def point(text: str, numbers: Sequence[int], slots: Sequence[Refer], bare: bool = False) -> tuple[Part, ...]:
    """Text with a slot behind the first mention of each of `numbers`, which are in the order of the text;
    `bare` puts it in place of the mention."""
    parts: list[Part] = []
    waiting = dict(zip(numbers, slots, strict=True))
    end = 0
    for found in _MENTION.finditer(text):
        slot = waiting.pop(int(found[1]), None)
        if slot is not None:
            stop = found.start() if bare else found.end()
            parts += [text[end:stop], "" if bare else " ", slot]
            end = found.end()
    return joined([*parts, text[end:]])


def masked(text: str, numbers: Collection[int], named: Collection[int]) -> tuple[Part, ...]:
    """Text with a mask for every mention of one of `numbers`, in its place, or behind it if it is `named`."""
    parts: list[Part] = []
    end = 0
    for found in _MENTION.finditer(text):
        number = int(found[1])
        if number in numbers:
            parts += [text[end : found.start()], f"[{number}] " if number in named else "", Segment()]
            end = found.end()
    return joined([*parts, text[end:]])
