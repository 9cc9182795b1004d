"""Where a conversation speaks of a thing that it has told apart, and where it is about to choose: the tokens
at which a reader could know which thing, and which option, it is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unipixel.core.conversation import Refer
from unipixel.core.prompts import Box, Point, SlotPrompt
from unipixel.core.tokens import MEM, REF
from unipixel.data.conversations import Conversation
from unipixel.data.readers.made_up import SceneObjects
from unipixel.data.sample import Sample
from unipixel.data.synthetic.scene import Scene
from unipixel.data.synthetic.shapes import ALL_SHAPES
from unipixel.data.synthetic.world import ALL_COLOURS, PATTERNS
from unipixel.processing.tokenizer import Tokenizer

NOUNS: Mapping[str, str] = {name + end: name for name in (*ALL_SHAPES, "thing") for end in ("", "s")}
ADJECTIVES = {*ALL_COLOURS, *PATTERNS}
LETTERS = ("A", "B", "C", "D")


@dataclass(frozen=True)
class Mark:
    """A token, by its place in the conversation, and the thing, by its place in the scene, that is spoken of
    there."""

    token: int
    thing: int


@dataclass(frozen=True)
class Decision:
    """The token behind which the letter of an option is said, by its place in the conversation; where the
    letters of the options are; the places of their texts; and which of them is right."""

    token: int
    letters: tuple[int, ...]
    options: tuple[range, ...]
    right: int


def marks_of(
    sample: Sample, conversation: Conversation, scene: Scene, token_ids: Sequence[int], tokenizer: Tokenizer
) -> list[Mark]:
    """All marks of a conversation about a scene: pointers, numbers of things that were pointed at or
    remembered before, and names that fit one of the shown things alone."""
    slots = {tokenizer.id(name): name for name in (MEM, REF)}  # decoding leaves them out
    words = [slots.get(token) or tokenizer.decode([token]) for token in token_ids]
    pointed = [
        _pointed_at(scene, one.prompt)
        for turn in conversation.turns
        for one in turn.parts
        if isinstance(one, Refer)
    ]
    return [
        *_named(scene, conversation.frames, words),
        *_numbered(words, pointed, _remembered(sample, conversation)),
    ]


def decision_of(token_ids: Sequence[int], tokenizer: Tokenizer) -> Decision | None:
    """Where a conversation answers a question with options; None where it does not."""
    words = [tokenizer.decode([token]) for token in token_ids]
    letters = [place for place, word in enumerate(words) if word in LETTERS]
    starts = [place for place in letters if words[place - 1] == "("]
    answers = [place for place in letters if words[place - 1] == " ("]  # within a line
    if not starts or not answers:
        return None
    ends = [next(end for end in range(start, len(words)) if "\n" in words[end]) for start in starts]
    options = tuple(range(start + 2, end) for start, end in zip(starts, ends, strict=True))
    answer = answers[-1]
    return Decision(answer - 1, tuple(starts), options, LETTERS.index(words[answer]))


def _named(scene: Scene, frames: Sequence[int], words: Sequence[str]) -> Iterator[Mark]:
    shown = [n for n in range(len(scene.things)) if scene.masks[n, list(frames)].any()]
    looks = {
        n: {scene.things[n].colour, scene.things[n].shape, scene.things[n].pattern, "thing"} for n in shown
    }
    for place, word in enumerate(words):
        noun = NOUNS.get(word.strip().lower())
        if noun is None:
            continue
        said, before = {noun}, place - 1
        while before >= 0 and words[before].strip().lower() in ADJECTIVES:
            said.add(words[before].strip().lower())
            before -= 1
        fitting = [n for n in shown if said <= looks[n]]
        if len(fitting) == 1:
            yield Mark(place, fitting[0])


def _numbered(words: Sequence[str], pointed: Sequence[int], known: dict[int, int]) -> Iterator[Mark]:
    """Pointers, and numbers behind the last slot of the memory or behind their pointer."""
    start = max((place for place, word in enumerate(words) if word == MEM), default=-1) + 1
    pointers = iter(pointed)
    number, digits = None, ""
    for place, word in enumerate(words):
        if word == REF:
            thing = next(pointers)
            yield Mark(place, thing)
            if number is not None:
                known[number] = thing
        elif re.fullmatch(r"\d", word):
            digits += word
            continue
        elif digits and word.startswith("]"):
            number = int(digits)
            if number in known and place >= start:
                yield Mark(place, known[number])
            digits = ""
            continue
        elif word.strip():
            number = None
        digits = ""


def _remembered(sample: Sample, conversation: Conversation) -> dict[int, int]:
    """Things of the memory by their numbers."""
    if not conversation.memory:
        return {}
    assert isinstance(sample.masks, SceneObjects), f"{sample.dataset} is no part of the made-up world"
    return {one.id: thing for one, thing in zip(conversation.memory, sample.masks.things, strict=True)}


def _pointed_at(scene: Scene, prompt: SlotPrompt) -> int:
    """The thing that is clicked on, or whose box is most like the one that was drawn."""
    masks = scene.masks[:, prompt.frame]
    if isinstance(prompt, Point):
        return int(masks[:, int(prompt.y), int(prompt.x)].argmax())
    return max(range(len(masks)), key=lambda thing: -_difference(masks[thing], prompt))


def _difference(mask: NDArray[np.bool_], box: Box) -> float:
    down, across = mask.nonzero()
    if not len(down):
        return math.inf
    found, drawn = (across.min(), down.min(), across.max(), down.max()), (box.x1, box.y1, box.x2, box.y2)
    return float(np.abs(np.subtract(found, drawn)).sum())
