"""Prompts and masks of a clip, in the clip's own pixels, to what the model takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unipixel.core.masks import RLE, MaskTrack
from unipixel.core.prompts import Point, SlotPrompt
from unipixel.core.request import RememberedObject
from unipixel.errors import PromptError
from unipixel.model.inputs import Grid, ObjectPrompt

Cells: TypeAlias = NDArray[np.bool_]
Span: TypeAlias = NDArray[np.int64]

CLICK, TOP_LEFT, BOTTOM_RIGHT = 1, 2, 3
"""Labels of points in SAM's prompt encoder."""


def object_prompt(
    prompt: SlotPrompt, size: tuple[int, int], shown: Sequence[int], grid: Grid, side: int
) -> ObjectPrompt:
    """A click or box on a clip of `size` (height, width) -> coordinates of the mask view of `side` pixels,
    and its time.

    `shown`: the clip's frames that the language model sees, among them the prompt's.
    """
    height, width = size
    if isinstance(prompt, Point):
        points, labels = [(prompt.x, prompt.y)], [CLICK]
    else:
        points, labels = [(prompt.x1, prompt.y1), (prompt.x2, prompt.y2)], [TOP_LEFT, BOTTOM_RIGHT]
    scale = torch.tensor([side / width, side / height])
    return ObjectPrompt(
        coords=torch.tensor(points, dtype=torch.float32) * scale,
        labels=torch.tensor(labels),
        time=list(shown).index(prompt.frame) / (2 * grid.time - 1),
    )


def memory_regions(objects: Sequence[RememberedObject], shown: Sequence[int], grid: Grid) -> Tensor:
    """Cells that each object covers, bool [time, O, height, width] on the merged grid: those
    that a pixel of its mask on either frame of a pair reaches when frames are resized to the language view,
    with antialias. Worked out from run lengths alone.

    Raises PromptError, with its id, for an object that none of the shown frames holds.
    """
    regions = torch.from_numpy(np.stack([_cells(one.masks, shown, grid) for one in objects], axis=1))
    for index, remembered in enumerate(objects):
        if not regions[:, index].any():
            raise PromptError(
                f"object [{remembered.id}] is visible on none of the frames that the language model sees "
                f"({list(shown)}); "
                f"show more frames, or remove the object from the question"
            )
    return regions


def _cells(masks: MaskTrack, shown: Sequence[int], grid: Grid) -> Cells:
    """One object's cells, bool [time, height, width]."""
    pair, cell = grid.layout.pair, grid.layout.cell
    rows = _reach(masks.height, grid.size[0], cell)
    columns = _reach(masks.width, grid.size[1], cell)
    found = np.zeros((grid.time, len(rows), len(columns)), dtype=np.bool_)
    by_index = {frame.index: frame.rle for frame in masks.frames}
    for place, index in enumerate(shown):
        if index in by_index:
            found[place // pair] |= _touched(by_index[index], rows, columns)
    return found


def _touched(rle: RLE, rows: Span, columns: Span) -> Cells:
    """Which cells see a pixel of a mask, bool [len(rows), len(columns)].

    rows, columns: int [N, 2], first and last-plus-one pixel that each row and column of cells sees.
    """
    pieces = _split_at_columns(rle)
    first = np.searchsorted(rows[:, 1], pieces[:, 1], side="right")
    last = np.searchsorted(rows[:, 0], pieces[:, 2], side="right")
    edges = np.zeros((rle.width, len(rows) + 1), dtype=np.int64)
    np.add.at(edges, (pieces[:, 0], np.minimum(first, last)), 1)
    np.add.at(edges, (pieces[:, 0], last), -1)
    by_column = edges.cumsum(axis=1)[:, :-1] > 0
    return np.stack([by_column[start:stop].any(axis=0) for start, stop in columns], axis=1)


def _split_at_columns(rle: RLE) -> Span:
    """The runs of a mask, none longer than a column: int [N, 3], column, first and last row."""
    height, runs = rle.height, rle.runs
    first, last = runs[:, 0] // height, (runs[:, 1] - 1) // height
    counts = last - first + 1
    number = np.repeat(np.arange(len(runs)), counts)
    column = first[number] + np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = np.maximum(runs[number, 0] - column * height, 0)
    stop = np.minimum(runs[number, 1] - column * height, height) - 1
    return np.stack([column, start, stop], axis=1)


@lru_cache(maxsize=1024)
def _reach(length: int, resized: int, cell: int) -> Span:
    """Which of `length` pixels each cell of `cell` resized ones sees: int [resized / cell, 2], first and
    last-plus-one.

    Taken from the resize itself: combs whose teeth stand so far apart that a resized pixel sees at most one
    of them, so that pixels of weight 0 count as little as there.
    """
    period = 2 * math.ceil(max(1, length / resized)) + 4
    combs = (torch.arange(length) % period == torch.arange(period)[:, None]).float()
    seen = F.interpolate(
        combs[None, None], size=(period, resized), mode="bilinear", align_corners=False, antialias=True
    )[0, 0].numpy()
    lowest = np.floor((np.arange(resized) + 0.5) * length / resized - period / 2).astype(np.int64)
    pixels = lowest + (np.arange(period)[:, None] - lowest) % period
    start = np.where(seen > 0, pixels, length).min(axis=0).reshape(-1, cell).min(axis=1)
    stop = np.where(seen > 0, pixels, -1).max(axis=0).reshape(-1, cell).max(axis=1) + 1
    return np.stack([start, stop], axis=1)
