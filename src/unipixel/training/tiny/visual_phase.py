"""The visual tower of the language model learns alone what there is to see: what things look like, where they
are and how they move. So do the object memory and the object prompts, which are read beside it. Without that,
words come slowly (docs/log.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import PCG64, Generator, SeedSequence
from torch import Tensor, nn

from unipixel.core.request import PixelBudget
from unipixel.data.pointing import draw_box, draw_click
from unipixel.data.synthetic.scene import Scene
from unipixel.model.inputs import Grid, LanguageView, ObjectPrompt
from unipixel.model.unipixel import UniPixel
from unipixel.processing.regions import object_prompt
from unipixel.processing.vision import language_size, language_view
from unipixel.training.tiny.concepts import WEIGHTS, Concepts, Facts, place_code, weigh
from unipixel.training.tiny.loop import StepResult
from unipixel.training.tiny.scenes import BatchPlan, draw_scenes, endless, replayed

LEAST_COVER = 0.04
"""Share of a cell that a thing must cover to be told by it."""
STATE_SIZE = 0.1
"""Root of the mean square of what enters the language model: that of its words."""
VISITS, KEPT = 3, 24
"""A batch is seen so often, and so many are kept for that: drawing one takes as long as learning from it."""
LATEST = 4
"""Temporal steps of the clips that pointers may be in: a place must read the same at any time."""


@dataclass(frozen=True)
class Sights:
    """Pairs of frames, and what their cells, things and pointers show.

    view: the pairs. places float [cells, 2]: where each cell is (x, y in shares of the sides). cover float
    [cells]: the share that the thing which covers most of a cell covers. told int [n]: the cells that a thing
    covers enough to be told by them, in order, and `facts` of these things. regions: of every pair the cells
    of its things, bool [1, O, rows, columns], and `remembered`, the facts of these. prompts: one of each
    pair, and `pointed` [pairs, 2], where they point.
    """

    view: LanguageView
    places: Tensor
    cover: Tensor
    told: Tensor
    facts: Facts
    regions: tuple[Tensor, ...]
    remembered: Facts
    prompts: tuple[ObjectPrompt, ...]
    pointed: Tensor


def draw_sights(plan: BatchPlan, pixels: PixelBudget, first: int) -> Sights:
    """The pairs of the shard's of training scenes first … first + num_scenes - 1."""
    assert plan.num_frames == 2, f"the tower sees pairs of frames, but the plan has {plan.num_frames}"
    scenes = draw_scenes(plan, first)
    rng = Generator(PCG64(SeedSequence(entropy=first, spawn_key=(29, plan.shard.rank))))
    height, width = scenes[0].frames.shape[1:3]
    size = language_size(height, width, pixels.min_pixels, pixels.max_pixels)
    views = [language_view(scene.frames, size) for scene in scenes]
    view = LanguageView(
        torch.cat([one.patches for one in views]),
        tuple(one.grids[0] for one in views),
        tuple(one.seconds_per_grid[0] for one in views),
    )
    _, rows, columns = view.grids[0].merged()
    cover, told, facts, regions, remembered = [], [], [], [], []
    prompts, pointed = [], []
    for place, (scene, grid) in enumerate(zip(scenes, view.grids, strict=True)):
        seen = [number for number in range(len(scene.things)) if all(m.any() for m in scene.masks[number])]
        known = Facts.of(scene, seen, (0, 1))
        masks = torch.from_numpy(scene.masks[seen].mean(1, dtype=np.float32))
        covered = F.adaptive_avg_pool2d(masks, (rows, columns)).flatten(1)  # [things, cells]
        nothing = covered.new_zeros(1, rows * columns)
        most, which = torch.cat([covered, nothing]).max(0)
        cover.append(most)
        cells = (most >= LEAST_COVER).nonzero()[:, 0]
        told.append(cells + place * rows * columns)
        facts.append(_pick(known, which[cells]))
        regions.append((covered > 0).view(1, len(seen), rows, columns))
        remembered.append(known)
        prompt, where = _point(scene, rng, grid, plan.side)
        prompts.append(prompt)
        pointed.append(where)
    down, across = torch.meshgrid(
        (torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij"
    )
    return Sights(
        view=view,
        places=torch.stack([across, down], dim=-1).flatten(0, 1).repeat(len(scenes), 1),
        cover=torch.cat(cover),
        told=torch.cat(told),
        facts=Facts.join(facts),
        regions=tuple(regions),
        remembered=Facts.join(remembered),
        prompts=tuple(prompts),
        pointed=torch.tensor(pointed),
    )


def _pick(facts: Facts, which: Tensor) -> Facts:
    return Facts(facts.looks[which], facts.middle[which], facts.way[which], facts.area[which])


def _point(scene: Scene, rng: Generator, grid: Grid, side: int) -> tuple[ObjectPrompt, list[float]]:
    """A click or a box on a thing of one of the two frames, as if in one of several steps of a clip; and
    where its middle is, in shares of the sides."""
    frame = int(rng.integers(2))
    masks = [masks[frame] for masks in scene.masks if masks[frame].any()]
    mask = masks[rng.integers(len(masks))]
    height, width = mask.shape
    later = replace(grid, time=int(rng.integers(1, LATEST + 1)))
    shown = range(2 * later.time)
    at = 2 * int(rng.integers(later.time)) + frame
    if rng.random() < 0.5:
        click = replace(draw_click(mask, rng), frame=at)
        middle = click.x, click.y
        prompt = object_prompt(click, (height, width), shown, later, side)
    else:
        box = replace(draw_box(mask, rng), frame=at)
        middle = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
        prompt = object_prompt(box, (height, width), shown, later, side)
    return prompt, [(middle[0] + 0.5) / width, (middle[1] + 0.5) / height]


@dataclass(frozen=True)
class VisualPhase:
    """Trains the tower and its merger, the object memory and the object prompts."""

    model: UniPixel
    concepts: Concepts
    plan: BatchPlan
    pixels: PixelBudget

    def parameters(self) -> Iterator[nn.Parameter]:
        model = self.model
        assert isinstance(model.backbone.visual, nn.Module), "the small model's tower"
        for part in (model.backbone.visual, model.object_memory, model.object_prompt):
            yield from part.parameters()

    def steps(self) -> Iterator[StepResult]:
        """Losses of one batch after the other."""
        draw = partial(draw_sights, self.plan, self.pixels)
        drawn = endless(draw, self.plan.first, self.plan.num_scenes)
        for sights in replayed(drawn, VISITS, KEPT):
            yield self.step(sights)

    def step(self, sights: Sights) -> StepResult:
        seen = self.model.backbone.see(sights.view)
        loss, figures = self.cells(seen.merged, sights)
        remembered = self.model.object_memory(seen, sights.regions)
        errors, right = self.concepts.compare(remembered, self._embeddings, sights.remembered)
        figures |= {f"memory_{name}": value for name, value in right.items()}
        figures["memory_middle"] = errors["middle"].item()
        pointers = self.model.object_prompt(sights.prompts)
        pointed = self.concepts.error(pointers, "here", place_code(sights.pointed))
        figures["pointed"] = pointed.item()
        size = sum(_size_error(states) for states in (seen.merged, remembered, pointers))
        return StepResult(loss + weigh(errors) + weigh({"here": pointed}) + size, figures)

    @property
    def _embeddings(self) -> Tensor:
        """Of words; they learn nothing from what is seen."""
        return self.model.backbone.head.weight.detach()

    def cells(self, merged: Tensor, sights: Sights) -> tuple[Tensor, dict[str, float]]:
        """What cells [n, d] say: where they are, and of the things that cover them what they are. Loss and
        figures."""
        concepts = self.concepts
        errors, figures = concepts.compare(merged[sights.told], self._embeddings, sights.facts)
        errors["here"] = concepts.error(merged, "here", place_code(sights.places))
        errors["cover"] = concepts.error(merged, "cover", sights.cover[:, None])
        return weigh(errors), figures | {name: errors[name].item() for name in WEIGHTS}


def _size_error(states: Tensor) -> Tensor:
    """How far states are from the size of words: the square of a logarithm."""
    sizes = states.float().square().mean(-1).clamp(min=1e-9).log() / 2
    return (sizes - math.log(STATE_SIZE)).square().mean()
