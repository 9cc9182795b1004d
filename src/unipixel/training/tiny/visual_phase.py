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
LEAST_COVER = 0.04
"""Share of a cell that a thing must cover to be told by it."""
PLACE_WEIGHT, COVER_WEIGHT, OFFSET_WEIGHT, MOTION_WEIGHT, AREA_WEIGHT = 20.0, 10.0, 4.0, 2.0, 0.3
PACE = 10.0
"""Ways from frame to frame, as shares of the sides, times this."""


@dataclass(frozen=True)
class Sights:
    """Pairs of frames, and what their cells show: n of all cells of the batch show a thing.

    view: the pairs. places float [cells, 2]: where each cell is (x, y; -0.5 to 0.5). cover float [cells]:
    the share that the thing which covers most of a cell covers. told int [n]: the cells that a thing covers
    enough to be told by them, in order. classes int [n, 3]: colour, shape, pattern of the thing. numbers
    float [n, 5]: where the thing's middle is, seen from the cell's (x, y, in cells); way from the first
    frame to the second (x, y, times PACE); logarithm of the area's share.
    """

    view: LanguageView
    places: Tensor
    cover: Tensor
    told: Tensor
    classes: Tensor
    numbers: Tensor


def draw_sights(plan: BatchPlan, pixels: PixelBudget, first: int) -> Sights:
    """The pairs of the shard's of training scenes first … first + num_scenes - 1."""
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
    cover, told, classes, numbers = [], [], [], []
    for place, scene in enumerate(scenes):
        seen = [number for number in range(len(scene.things)) if all(m.any() for m in scene.masks[number])]
        masks = torch.from_numpy(scene.masks[seen].mean(1, dtype=np.float32))
        covered = F.adaptive_avg_pool2d(masks, (rows, columns)).flatten(1)  # [things, cells]
        nothing = covered.new_zeros(1, rows * columns)
        most, which = torch.cat([covered, nothing]).max(0)
        cover.append(most)
        measured = [_measure(scene, number, rows, columns) for number in seen]
        for cell in (most >= LEAST_COVER).nonzero()[:, 0].tolist():
            thing = scene.things[seen[which[cell]]]
            kinds = (ALL_COLOURS, thing.colour), (ALL_SHAPES, thing.shape), (PATTERNS, thing.pattern)
            told.append(place * rows * columns + cell)
            classes.append([known.index(name) for known, name in kinds])
            x, y, *rest = measured[which[cell]]
            numbers.append([x - cell % columns - 0.5, y - cell // columns - 0.5, *rest])
    down, across = torch.meshgrid(
        (torch.arange(rows) + 0.5) / rows - 0.5, (torch.arange(columns) + 0.5) / columns - 0.5, indexing="ij"
    )
    return Sights(
        view=view,
        places=torch.stack([across, down], dim=-1).flatten(0, 1).repeat(len(scenes), 1),
        cover=torch.cat(cover),
        told=torch.tensor(told),
        classes=torch.tensor(classes),
        numbers=torch.tensor(numbers),
    )


def _measure(scene: Scene, number: int, rows: int, columns: int) -> list[float]:
    """Middle in cells, way, area."""
    height, width = scene.frames.shape[1:3]
    middles = [
        ((across.mean() + 0.5) / width, (down.mean() + 0.5) / height)
        for down, across in (mask.nonzero() for mask in scene.masks[number])
    ]
    (x, y), (later_x, later_y) = middles
    area = np.log(scene.masks[number].mean())
    way = ((later_x - x) * PACE, (later_y - y) * PACE)
    return [float(n) for n in (x * columns, y * rows, *way, area)]


class SightHead(nn.Module):
    """Tells of every cell which thing is there, and where its middle is. Thrown away after training: it makes
    the tower see what the language model will have to find and to copy."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.places = nn.Linear(width, 2)
        self.cover = nn.Linear(width, 1)
        self.classes = nn.Linear(width, sum(CLASSES))
        self.numbers = nn.Linear(width, 5)

    def forward(self, merged: Tensor, sights: Sights) -> tuple[Tensor, dict[str, float]]:
        """merged [cells, d] -> loss and figures."""
        cells = self.norm(merged)
        things = cells[sights.told]
        error = F.mse_loss(self.cover(cells)[:, 0], sights.cover)
        loss = COVER_WEIGHT * error
        figures = {"cover": 1 - (error / sights.cover.var()).item()}
        error = F.mse_loss(self.places(cells), sights.places)
        loss = loss + PLACE_WEIGHT * error
        figures["place"] = 1 - (error / sights.places.var(dim=0).mean()).item()
        told = self.classes(things).split(CLASSES, dim=1)
        for name, logits, wanted in zip(
            ("colour", "shape", "pattern"), told, sights.classes.unbind(1), strict=True
        ):
            loss = loss + F.cross_entropy(logits, wanted)
            figures[name] = (logits.argmax(1) == wanted).float().mean().item()
        numbers = self.numbers(things)
        for name, columns, weight in (
            ("offset", slice(0, 2), OFFSET_WEIGHT),
            ("way", slice(2, 4), MOTION_WEIGHT),
            ("area", slice(4, 5), AREA_WEIGHT),
        ):
            wanted = sights.numbers[:, columns]
            error = F.mse_loss(numbers[:, columns], wanted)
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
