"""Clicks and boxes as a person would draw them: on an object, or where an answer went wrong."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from unipixel.core.pixels import Mask
from unipixel.core.prompts import Box, Point

BOX_NOISE = 0.1


def draw_click(mask: Mask, rng: Generator, positive: bool = True) -> Point:
    """One pixel of a mask that is not empty, uniformly."""
    rows, columns = mask.nonzero()
    assert len(rows), "a click needs something to be seen"
    pixel = rng.integers(len(rows))
    return Point(float(columns[pixel]), float(rows[pixel]), positive=positive)


def draw_box(mask: Mask, rng: Generator) -> Box:
    """The box of a mask that is not empty, its corners moved by up to a tenth of its sides."""
    rows, columns = mask.nonzero()
    assert len(rows), "a box needs something to be seen"
    low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()])
    noise = rng.uniform(-BOX_NOISE, BOX_NOISE, (2, 2)) * (high - low)
    corners = np.clip(np.stack([low, high]) + noise, 0, np.array(mask.shape[::-1]) - 1)
    return Box(*corners.flatten().tolist())


def correction_click(predicted: Mask, truth: Mask) -> Point | None:
    """A click into the middle of the thickest region where an answer is wrong: positive where something was
    missed, negative where there is too much. None for an answer without error."""
    missed, extra = _peel(truth & ~predicted), _peel(predicted & ~truth)
    if max(missed[1], extra[1]) == 0:
        return None
    core, positive = (missed[0], True) if missed[1] >= extra[1] else (extra[0], False)
    rows, columns = core.nonzero()
    middle = len(rows) // 2
    return Point(float(columns[middle]), float(rows[middle]), positive=positive)


def _peel(region: Mask) -> tuple[Mask, int]:
    """What is left last when a pixel all round is taken off again and again, and how often that was done."""
    layers = 0
    core, rest = region, np.pad(region, 1)
    while rest.any():
        core, layers = rest[1:-1, 1:-1], layers + 1
        inner = core & rest[:-2, 1:-1] & rest[2:, 1:-1] & rest[1:-1, :-2] & rest[1:-1, 2:]
        rest = np.pad(inner, 1)
    return core, layers
