"""PixelQA: point at objects, get their masks, and an answer that rests on them (arXiv 2509.18094, section
3.4).

Two passes over one clip that is read once (architecture.md section 2): what was pointed at becomes masks, the
masks become object memory, and the question is answered on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Literal, TypeAlias, get_args

import numpy as np

from unipixel.core.conversation import Part, Segment, assistant
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.prompts import Prompt
from unipixel.core.request import Decoding
from unipixel.core.response import Response, SegmentedObject
from unipixel.errors import ConfigError, RequestError
from unipixel.inference.prompting import as_sequence
from unipixel.inference.session import Session, ask_together


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


def pixel_qa(
    session: Session,
    question: str,
    prompts: Prompt | Sequence[Prompt],
    options: Sequence[str] | None = None,
    *,
    wording: PixelQaWording | None = None,
    unseen: Unseen = "refuse",
    decoding: Decoding | None = None,
) -> PixelAnswer:
    """Ask about what is pointed at: `prompts[k]` is `[first + k]` in the question, where `first` is the
    session's next id (0 in a new one). `options` are texts; their letters are put before them.

    A click or box is `<|ref|>` in the first pass. A mask or scribble is the object's `<|mem|>` there. Raises
    PromptError or RequestError before any work, and SessionError for an object that is not found (see
    `Unseen`).
    """
    prompts = as_sequence(prompts, may_be_empty=True)
    if not prompts:
        raise RequestError("pixel_qa is about what is pointed at; give prompts, or use ask")
    if unseen not in get_args(Unseen):
        raise RequestError(f"unseen is {unseen!r}; expected one of {get_args(Unseen)}")
    wording = wording or PixelQaWording()
    if isinstance(options, str) or (options is not None and not 2 <= len(options) <= 26):
        raise RequestError(f"a choice has a list of 2 to 26 options; found {options!r:.80}")
    letters = [chr(ord("A") + place) for place in range(len(options or ()))]
    asked = question
    if options is not None:
        lines = "\n".join(f"({letter}) {text}" for letter, text in zip(letters, options, strict=True))
        asked = wording.options.format(question=question, options=lines) + wording.best
    numbers = [session.next_id + place for place in range(len(prompts))]
    find_masks(session, wording.masks.format(question=asked), prompts)
    if unseen == "everywhere":
        for number in numbers:
            _fill_if_empty(session, number)
    missing = "".join(f" [{number}]" for number in numbers if f"[{number}]" not in asked)
    prefix = wording.answer_prefix if options is not None else ""
    response = session.ask(asked + missing, decoding=decoding, answer_prefix=prefix)
    return PixelAnswer(
        text=response.text,
        choice=chosen(response.text, letters),
        objects=tuple(_segmented(session, number) for number in numbers),
        response=response,
    )


def find_masks(session: Session, text: str, prompts: Sequence[Prompt]) -> Response:
    """The first pass: the answer `[0] <|seg|> [1] <|seg|> …` is given, so that only the masks are
    computed."""
    numbers = [session.next_id + place for place in range(len(prompts))]
    parts: list[Part] = []
    for place, number in enumerate(numbers):
        parts += [f"{' ' if place else ''}[{number}] ", Segment()]
    asked = session.question(text, prompts, forced_answer=assistant(*parts))
    return ask_together([asked], remember_words=False)[0]


def chosen(text: str, letters: Sequence[str]) -> str | None:
    """The option that an answer names with its first word: `A`, `(B)`, `c.`; None if that is no option."""
    words = text.split(maxsplit=1)
    letter = words[0].strip("().:,").upper()[:1] if words else ""
    return letter if letter in letters else None


def _fill_if_empty(session: Session, number: int) -> None:
    masks = session[number].masks
    if masks is not None and not masks.area:
        whole = RLE.from_mask(np.ones((masks.height, masks.width), dtype=np.bool_))
        filled = MaskTrack(tuple(FrameMask(frame.index, whole, 0.0, True) for frame in masks))
        session.replace_masks(number, filled)


def _segmented(session: Session, number: int) -> SegmentedObject:
    known = session[number]
    assert known.masks is not None, f"object {known.label} was followed and has no masks"
    return SegmentedObject(number, known.masks, known.name)
