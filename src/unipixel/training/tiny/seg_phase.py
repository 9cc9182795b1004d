"""The `<|seg|>` head learns alone to say in the mask decoder's words what states say of things. It needs no
language model for that: how a state says something is settled before there are such states (`concepts`)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unipixel.data.synthetic.shapes import ALL_SHAPES
from unipixel.data.synthetic.world import ALL_COLOURS
from unipixel.model.unipixel import UniPixel
from unipixel.training.tiny.concepts import LOOKS, Concepts, Facts
from unipixel.training.tiny.loop import StepResult
from unipixel.training.tiny.names import THING, NameTable, Told, spread_of_tokens, wanted_tokens

BATCH = 512
UNTOLD = 0.2
"""Share of colours, of shapes and of places that are not told."""
LOOK_SIZE, SEG_SIZE, REST_SIZE = (3.0, 8.0), (2.0, 8.0), (0.1, 0.6)
"""How far states of about unit mean square go along a word that they mean, along `<|seg|>`, which they are
about to say, and along everything else."""
PLACE_ERROR = (0.0, 0.4)
"""Root mean square of what is wrong with the code of a place."""


@dataclass(frozen=True)
class SegHeadPhase:
    """Trains the `<|seg|>` head on states that are put together from what they shall say."""

    model: UniPixel
    table: NameTable
    concepts: Concepts
    seed: int

    def parameters(self) -> Iterator[nn.Parameter]:
        return self.model.seg_head.parameters()

    def steps(self) -> Iterator[StepResult]:
        """Losses of one batch after the other."""
        draw = torch.Generator().manual_seed(self.seed)
        while True:
            yield self.step(_draw_facts(draw), draw)

    def step(self, facts: Facts, draw: torch.Generator) -> StepResult:
        encoder = self.model.sam2.sam_prompt_encoder
        wanted = wanted_tokens(self.table, encoder, _told(facts))
        said = self.model.seg_head(self.states(facts, draw))
        error = (said - wanted).square().mean(dim=(0, 2)) / spread_of_tokens(self.table, encoder)
        figures = {"name_error": error[0].item(), "place_error": error[1:].mean().item()}
        return StepResult(error.sum(), figures)

    @torch.no_grad()
    def states(self, facts: Facts, draw: torch.Generator) -> Tensor:
        """States [n, d] that say these facts, each less clearly than the other, and other things besides."""
        n, concepts = len(facts), self.concepts
        embeddings = self.model.backbone.head.weight
        seg = nn.functional.normalize(embeddings[self.model.tokens.seg], dim=0)

        def among(span: tuple[float, float]) -> Tensor:
            return torch.empty(n, 1).uniform_(*span, generator=draw)

        rest = torch.randn(n, embeddings.shape[1], generator=draw)
        rest = rest - rest @ concepts.directions.T @ concepts.directions
        said = concepts.write(facts, embeddings, among(LOOK_SIZE), among(PLACE_ERROR), draw)
        return said + seg * among(SEG_SIZE) + rest * among(REST_SIZE)


def _draw_facts(draw: torch.Generator) -> Facts:
    looks = [torch.randint(len(words), (BATCH,), generator=draw) for words in LOOKS.values()]
    untold = torch.rand(BATCH, 3, generator=draw) < UNTOLD
    middle = torch.rand(BATCH, 2, generator=draw).masked_fill(untold[:, 2:], math.nan)
    known = torch.stack(looks, dim=1)
    known[:, :2] = known[:, :2].masked_fill(untold[:, :2], -1)
    way, area = torch.randn(BATCH, 2, generator=draw) / 2, torch.randn(BATCH, generator=draw) / 2
    return Facts(known, middle, way, area)


def _told(facts: Facts) -> list[Told]:
    told = []
    for (colour, shape, _), middle in zip(facts.looks.tolist(), facts.middle.tolist(), strict=True):
        words = [ALL_COLOURS[colour]] * (colour >= 0) + [ALL_SHAPES[shape] if shape >= 0 else THING]
        told.append(Told(" ".join(words), None if math.isnan(middle[0]) else tuple(middle)))
    return told
