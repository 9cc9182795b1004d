"""Scenes of the made-up world as questions with their answers: what a person would
ask, and which things the answer masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from unipixel.core.conversation import Part, Refer, Segment, Turn, assistant, user
from unipixel.core.prompts import Box, Point, SlotPrompt
from unipixel.data import templates
from unipixel.data.synthetic.scene import Scene

Row = TypeVar("Row")


@dataclass(frozen=True)
class Question:
    """A question and its answer; `targets` are the scene's things that the answer masks, in
    order; `prompt` says by what the question points, if it points."""

    turn: Turn
    answer: Turn
    targets: tuple[int, ...]
    prompt: SlotPrompt | None = None


def picture_word(scene: Scene) -> str:
    """What a person would call the clip."""
    return "image" if len(scene.frames) == 1 else "video"


def ask_for_one(scene: Scene, target: int, rng: Generator) -> Question:
    """Ask for one thing by its name."""
    words = {"name": scene.expression(target), "picture": picture_word(scene)}
    question = _pick(templates.QUESTIONS, rng).format(**words)
    before, after = (part.format(**words) for part in _pick(templates.ANSWERS, rng))
    return Question(user(question), assistant(before, Segment(), after), (target,))


def ask_for_two(scene: Scene, targets: tuple[int, int], rng: Generator) -> Question:
    """Ask for two things by their names."""
    first, second = (scene.expression(target) for target in targets)
    words = {"first": first, "second": second, "picture": picture_word(scene)}
    question = _pick(templates.PAIR_QUESTIONS, rng).format(**words)
    before, between, after = (part.format(**words) for part in templates.PAIR_ANSWER)
    return Question(user(question), assistant(before, Segment(), between, Segment(), after), targets)


def point_at(scene: Scene, target: int, rng: Generator) -> Question | None:
    """Ask for the thing under a click or in a box on frame 0; None where it is not to be seen there."""
    prompt = _draw_prompt(scene.masks[target, 0], rng)
    if prompt is None:
        return None
    before, after = _pick(templates.POINTED_QUESTIONS, rng).format(picture=picture_word(scene)).split("[0]")
    parts: list[Part] = [before + "[0] ", Refer(prompt), *([after] if after else [])]
    opening, closing = templates.POINTED_ANSWER
    answer: list[Part] = [opening, Segment(), *([closing] if closing else [])]
    return Question(user(*parts), assistant(*answer), (target,), prompt)


def _pick(rows: tuple[Row, ...], rng: Generator) -> Row:
    return rows[rng.integers(len(rows))]


def _draw_prompt(mask: np.ndarray, rng: Generator) -> SlotPrompt | None:
    rows, columns = mask.nonzero()
    if not len(rows):
        return None
    if rng.random() < 0.5:
        pixel = rng.integers(len(rows))
        return Point(float(columns[pixel]), float(rows[pixel]))
    return Box(float(columns.min()), float(rows.min()), float(columns.max()), float(rows.max()))
