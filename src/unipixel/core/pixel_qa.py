"""PixelQA as a person gives it and gets it: how its two passes are worded, and what comes of them (arXiv
2509.18094, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Literal, TypeAlias, get_args

from unipixel.core.response import Response, SegmentedObject
from unipixel.errors import ConfigError, RequestError


@dataclass(frozen=True)
class PixelQaWording:
    """How the two passes are worded; what varies is in braces.

    masks: the first pass, with {question}. options: a question with {question} and {options}. best: what a
    question with options ends with in both passes. answer_prefix: how the answer to such a question begins.
    """

    masks: str = "{question}."
    options: str = "{question}\nOptions:\n{options}"
    best: str = "\nPlease give only the best option."
    answer_prefix: str = "The best option is ("

    def __post_init__(self) -> None:
        for name, needed in (("masks", {"question"}), ("options", {"question", "options"})):
            template = getattr(self, name)
            try:
                found = {field for _, field, _, _ in Formatter().parse(template) if field is not None}
            except (TypeError, ValueError) as error:
                raise ConfigError(f"{name} is {template!r:.80}, which is no template: {error}") from error
            if found != needed:
                places = " and ".join(f"{{{place}}}" for place in sorted(needed))
                raise ConfigError(
                    f"{name} is {template!r:.80}; it must hold {places}, and nothing else in braces"
                )


@dataclass(frozen=True)
class PixelAnswer:
    """What came of it. text: the answer; choice: the letter of the chosen option, None without options or
    where the answer names none; objects: what was pointed at, with masks; response: the second pass as a
    whole."""

    text: str
    choice: str | None
    objects: tuple[SegmentedObject, ...]
    response: Response


Unseen: TypeAlias = Literal["refuse", "everywhere"]
"""What to do with an object whose mask is empty on every frame. "refuse": SessionError, which names it.
"everywhere": its mask is the whole picture, as the published evaluation has it."""


@dataclass(frozen=True)
class PixelQuestion:
    """A question about objects `numbers`, worded for both passes. letters: of its options, if it has any."""

    numbers: tuple[int, ...]
    first: str
    second: str
    answer_prefix: str
    letters: tuple[str, ...]

    def conclude(self, response: Response, objects: tuple[SegmentedObject, ...]) -> PixelAnswer:
        """What came of it."""
        return PixelAnswer(response.text, chosen(response.text, self.letters), objects, response)


def word_question(
    question: str, numbers: Sequence[int], options: Sequence[str] | None, wording: PixelQaWording | None
) -> PixelQuestion:
    """Both passes; objects that the question does not name stand behind it. RequestError if nothing is
    pointed at, or a choice has fewer than 2 or more than 26 options."""
    if not numbers:
        raise RequestError("pixel_qa is about what is pointed at; give prompts, or use ask")
    wording = wording or PixelQaWording()
    if isinstance(options, str) or (options is not None and not 2 <= len(options) <= 26):
        raise RequestError(f"a choice has a list of 2 to 26 options; found {options!r:.80}")
    letters = tuple(chr(ord("A") + place) for place in range(len(options or ())))
    asked = question
    if options is not None:
        lines = "\n".join(f"({letter}) {text}" for letter, text in zip(letters, options, strict=True))
        asked = wording.options.format(question=question, options=lines) + wording.best
    missing = "".join(f" [{number}]" for number in numbers if f"[{number}]" not in asked)
    prefix = wording.answer_prefix if options is not None else ""
    return PixelQuestion(
        tuple(numbers), wording.masks.format(question=asked), asked + missing, prefix, letters
    )


def check_unseen(unseen: str) -> None:
    """RequestError unless it is one of `Unseen`."""
    if unseen not in get_args(Unseen):
        raise RequestError(f"unseen is {unseen!r}; expected one of {get_args(Unseen)}")


def chosen(text: str, letters: Sequence[str]) -> str | None:
    """The option that an answer names with its first word: `A`, `(B)`, `c.`; None if that is no option."""
    words = text.split(maxsplit=1)
    letter = words[0].strip("().:,").upper()[:1] if words else ""
    return letter if letter in letters else None
