"""Prompts and masks of a clip, in the clip's own pixels, to what the model takes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unipixel.core.prompts import Point, SlotPrompt
from unipixel.core.request import RememberedObject
from unipixel.errors import PromptError
from unipixel.model.inputs import Grid, ObjectPrompt

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
    """Cells that each object covers, bool [time, O, height, width] on the merged grid (architecture.md
    section 2).

    Raises PromptError, with its id, for an object that none of the shown frames holds.
    """
    regions = torch.stack([_cells(remembered, shown, grid) for remembered in objects], dim=1)
    for index, remembered in enumerate(objects):
        if not regions[:, index].any():
            raise PromptError(
                f"object [{remembered.id}] is visible on none of the frames that the language model sees "
                f"({list(shown)}); "
                f"show more frames, or remove the object from the question"
            )
    return regions


def _cells(remembered: RememberedObject, shown: Sequence[int], grid: Grid) -> Tensor:
    """One object's cells, bool [time, height, width]."""
    by_index = {frame.index: frame.rle for frame in remembered.masks.frames}
    empty = torch.zeros(remembered.masks.height, remembered.masks.width)
    masks = [
        torch.from_numpy(by_index[index].decode()).float() if index in by_index else empty for index in shown
    ]
    return pool_masks(torch.stack(masks), grid)


def pool_masks(masks: Tensor, grid: Grid) -> Tensor:
    """masks float [T, H, W] -> bool [time, height, width] of the merged grid: maximum over the frames of each
    temporal step, resize with antialias to the language view's size, maximum over each token's cell, > 0."""
    layout = grid.layout
    missing = -len(masks) % layout.pair
    masks = torch.cat([masks, masks[-1:].expand(missing, -1, -1)])
    pairs = masks.unflatten(0, (-1, layout.pair)).amax(1)
    resized = F.interpolate(
        pairs[:, None], size=grid.size, mode="bilinear", align_corners=False, antialias=True
    )
    return F.max_pool2d(resized, layout.cell, layout.cell)[:, 0] > 0
