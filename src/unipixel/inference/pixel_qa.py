"""PixelQA: point at objects, get their masks, and an answer that rests on them (arXiv 2509.18094, section
3.4).

Two passes over one clip that is read once: what was pointed at becomes masks, the
masks become object memory, and the question is answered on that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unipixel.core.conversation import Part, Segment, assistant
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.pixel_qa import (
    PixelAnswer,
    PixelQaWording,
    Unseen,
    check_unseen,
    chosen,
    word_question,
)
from unipixel.core.prompts import Prompt
from unipixel.core.request import Decoding
from unipixel.core.response import Response, SegmentedObject
from unipixel.inference.prompting import as_sequence
from unipixel.inference.questions import ask_together
from unipixel.inference.session import Session

__all__ = ["PixelAnswer", "PixelQaWording", "Unseen", "chosen", "find_masks", "pixel_qa"]


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
    check_unseen(unseen)
    numbers = [session.next_id + place for place in range(len(prompts))]
    worded = word_question(question, numbers, options, wording)
    find_masks(session, worded.first, prompts)
    if unseen == "everywhere":
        fill_unseen(session, numbers)
    response = session.ask(worded.second, decoding=decoding, answer_prefix=worded.answer_prefix)
    return worded.conclude(response, segmented(session, numbers))


def find_masks(session: Session, text: str, prompts: Sequence[Prompt]) -> Response:
    """The first pass: the answer `[0] <|seg|> [1] <|seg|> …` is given, so that only the masks are
    computed."""
    numbers = [session.next_id + place for place in range(len(prompts))]
    parts: list[Part] = []
    for place, number in enumerate(numbers):
        parts += [f"{' ' if place else ''}[{number}] ", Segment()]
    asked = session.question(text, prompts, forced_answer=assistant(*parts))
    return ask_together([asked], remember_words=False)[0]


def fill_unseen(session: Session, numbers: Sequence[int]) -> None:
    """The whole picture for those of the objects that were found on no frame."""
    for number in numbers:
        masks = session[number].masks
        if masks is not None and not masks.area:
            whole = RLE.from_mask(np.ones((masks.height, masks.width), dtype=np.bool_))
            filled = MaskTrack(tuple(FrameMask(frame.index, whole, 0.0, True) for frame in masks))
            session.replace_masks(number, filled)


def segmented(session: Session, numbers: Sequence[int]) -> tuple[SegmentedObject, ...]:
    """Objects that were followed, with their masks."""
    found = []
    for number in numbers:
        known = session[number]
        assert known.masks is not None, f"object {known.label} was followed and has no masks"
        found.append(SegmentedObject(number, known.masks, known.name))
    return tuple(found)
