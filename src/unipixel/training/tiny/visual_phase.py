"""The visual tower of the language model learns alone what there is to see: what things look like, where they
are and how they move. Without that, words come slowly (docs/log.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unipixel.core.request import PixelBudget
from unipixel.data.synthetic.scene import Scene
from unipixel.data.synthetic.shapes import ALL_SHAPES
from unipixel.data.synthetic.world import ALL_COLOURS, PATTERNS
from unipixel.model.backbone import Backbone
from unipixel.model.inputs import LanguageView
from unipixel.processing.vision import language_size, language_view
from unipixel.training.tiny.loop import StepResult
from unipixel.training.tiny.scenes import BatchPlan, draw_scenes, endless

CLASSES = (len(ALL_COLOURS), len(ALL_SHAPES), len(PATTERNS))
PLACE_WEIGHT, MOTION_WEIGHT, AREA_WEIGHT = 10.0, 2.0, 0.3
PACE = 10.0
"""Ways from frame to frame, as shares of the sides, times this."""


@dataclass(frozen=True)
class Sights:
    """N pairs of frames with n things in all that can be seen in them.

    view: the pairs. cells bool [n, cells]: the thing's cells of all cells of the batch. classes int [n, 3]:
    colour, shape, pattern. numbers float [n, 5]: place (x, y; 0 at the middle, ±0.5 at the borders), way from
    the first frame to the second (times PACE), logarithm of the area's share.
    """

    view: LanguageView
    cells: Tensor
    classes: Tensor
    numbers: Tensor


def draw_sights(plan: BatchPlan, pixels: PixelBudget, first: int) -> Sights:
    """The pairs of training scenes first … first + num_scenes - 1."""
    assert plan.num_frames == 2, f"the tower sees pairs of frames, but the plan has {plan.num_frames}"
    scenes = draw_scenes(plan, first)
    height, width = scenes[0].frames.shape[1:3]
    size = language_size(height, width, pixels.min_pixels, pixels.max_pixels)
    views = [language_view(scene.frames, size) for scene in scenes]
    view = LanguageView(
        torch.cat([one.patches for one in views]),
        tuple(one.grids[0] for one in views),
        tuple(one.seconds_per_grid[0] for one in views),
    )
    _, rows, columns = view.grids[0].merged()
    cells, classes, numbers = [], [], []
    for place, scene in enumerate(scenes):
        covered = F.adaptive_max_pool2d(torch.from_numpy(scene.masks.any(1)).float(), (rows, columns)) > 0
        for number in range(len(scene.things)):
            if not all(mask.any() for mask in scene.masks[number]):
                continue
            own = torch.zeros(len(scenes), rows, columns, dtype=torch.bool)
            own[place] = covered[number]
            cells.append(own.flatten())
            thing = scene.things[number]
            kinds = (ALL_COLOURS, thing.colour), (ALL_SHAPES, thing.shape), (PATTERNS, thing.pattern)
            classes.append([known.index(name) for known, name in kinds])
            numbers.append(_measure(scene, number))
    return Sights(view, torch.stack(cells), torch.tensor(classes), torch.tensor(numbers))


def _measure(scene: Scene, number: int) -> list[float]:
    height, width = scene.frames.shape[1:3]
    middles = [
        ((columns.mean() + 0.5) / width - 0.5, (rows.mean() + 0.5) / height - 0.5)
        for rows, columns in (mask.nonzero() for mask in scene.masks[number])
    ]
    (x, y), (later_x, later_y) = middles
    area = scene.masks[number].mean()
    return [float(n) for n in (x, y, (later_x - x) * PACE, (later_y - y) * PACE, np.log(area))]


class SightHead(nn.Module):
    """Tells what a thing is from the mean of its cells. Thrown away after training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.classes = nn.Linear(width, sum(CLASSES))
        self.numbers = nn.Linear(width, 5)

    def forward(self, merged: Tensor, sights: Sights) -> tuple[Tensor, dict[str, float]]:
        """merged [cells, d] -> loss and figures."""
        weights = sights.cells.to(merged.dtype)
        things = self.norm(weights @ merged / weights.sum(1, keepdim=True))
        loss, figures = things.new_zeros(()), {}
        told = self.classes(things).split(CLASSES, dim=1)
        for name, logits, wanted in zip(
            ("colour", "shape", "pattern"), told, sights.classes.unbind(1), strict=True
        ):
            loss = loss + F.cross_entropy(logits, wanted)
            figures[name] = (logits.argmax(1) == wanted).float().mean().item()
        for name, columns, weight in (
            ("place", slice(0, 2), PLACE_WEIGHT),
            ("way", slice(2, 4), MOTION_WEIGHT),
            ("area", slice(4, 5), AREA_WEIGHT),
        ):
            wanted = sights.numbers[:, columns]
            error = F.mse_loss(self.numbers(things)[:, columns], wanted)
            loss = loss + weight * error
            figures[name] = 1 - (error / wanted.var(dim=0).mean()).item()
        return loss, figures


@dataclass(frozen=True)
class VisualPhase:
    """Trains the tower and its merger."""

    backbone: Backbone
    head: SightHead
    plan: BatchPlan
    pixels: PixelBudget

    def parameters(self) -> Iterator[nn.Parameter]:
        assert isinstance(self.backbone.visual, nn.Module), "the small model's tower"
        yield from self.backbone.visual.parameters()
        yield from self.head.parameters()

    def steps(self) -> Iterator[StepResult]:
        """Losses of one batch after the other."""
        draw = partial(draw_sights, self.plan, self.pixels)
        for sights in endless(draw, self.plan.first, self.plan.num_scenes):
            yield self.step(sights)

    def step(self, sights: Sights) -> StepResult:
        return StepResult(*self.head(self.backbone.see(sights.view).merged, sights))
