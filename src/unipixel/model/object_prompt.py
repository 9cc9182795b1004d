"""A click or a box on one frame -> `<|ref|>`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unipixel.model.inputs import ObjectPrompt
from unipixel.model.sam2 import FourierPositions, PromptEncoder, Sam2Config

NUM_FEATURES = 3
"""Width of either half (place, time) in multiples of c: as many tokens as a box with its pad has."""


class ObjectPromptEncoder(nn.Module):
    """Where (points of SAM's prompt encoder) and when (Fourier time), fused into one
    token of the language model."""

    def __init__(self, sam2: Sam2Config, hidden_size: int) -> None:
        super().__init__()
        c = sam2.d_model
        self.points = PromptEncoder(c, sam2.image_size)
        self.click = nn.Linear(2 * c, NUM_FEATURES * c)
        self.box = nn.Linear(3 * c, NUM_FEATURES * c)
        self.time_encoding = FourierPositions(c, dimensions=1)
        self.time_embedding = nn.Embedding(1, c)
        self.time = nn.Linear(c, NUM_FEATURES * c)
        self.fuse = nn.Sequential(nn.GELU(), nn.Linear(2 * NUM_FEATURES * c, hidden_size))

    def forward(self, prompts: Sequence[ObjectPrompt]) -> Tensor:
        """[P, d], in the order of the prompts. A click has one point, a box (or two clicks) two."""
        where = torch.cat([self._where(prompt) for prompt in prompts])
        times = torch.tensor([[prompt.time] for prompt in prompts], device=where.device)
        encoded = self.time_encoding(times).to(self.time_embedding.weight.dtype)
        when = self.time(encoded + self.time_embedding.weight)
        fused: Tensor = self.fuse(torch.cat([where, when], dim=-1))
        return fused

    def _where(self, prompt: ObjectPrompt) -> Tensor:
        count = prompt.coords.shape[0]
        assert count in (1, 2), f"an object prompt has one or two points (a click or a box); found {count}"
        tokens = self.points.encode_points(prompt.coords[None].float(), prompt.labels[None], pad=True)
        project = self.click if count == 1 else self.box
        projected: Tensor = project(tokens.flatten(1))
        return projected
