"""An object memory of one's own: the mean and the spread of what lies under a mask, not the mean alone.

Train with it, and use the result (the code runs only because you say so):

    unipixel train finetune own.object_memory=examples/own_object_memory.py:SpreadMemory \
        data.mine.file=train.jsonl -o runs/spread --trust-code
    python -c "import unipixel; unipixel.load('runs/spread/whole', trust_code=True)"
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unipixel.model.backbone import Backbone, VisualFeatures
from unipixel.model.config import ModelConfig


class SpreadMemory(nn.Module):
    """One `<|mem|>` for each sample, object and pair of frames in which it has cells, in that order."""

    def __init__(self, config: ModelConfig, backbone: Backbone) -> None:
        super().__init__()
        wide = backbone.visual_size
        self.project = nn.Sequential(nn.Linear(wide, wide), nn.GELU(), nn.Linear(wide, backbone.hidden_size))
        self.spread = nn.Linear(wide, backbone.hidden_size)
        nn.init.zeros_(self.spread.weight)  # begins as the model's own memory
        nn.init.zeros_(self.spread.bias)

    def forward(self, seen: VisualFeatures, regions: Sequence[Tensor | None]) -> Tensor:
        """regions: per clip bool [time, O, height, width], or None; returns [m, d]."""
        cells = seen.unmerged.split([grid.num_tokens for grid in seen.grids])
        found = [
            clip.view(region.shape[0], -1, clip.shape[-1])[time, region[time, number].flatten()]
            for clip, region in zip(cells, regions, strict=True)
            if region is not None
            for number in range(region.shape[1])
            for time in range(region.shape[0])
            if region[time, number].any()
        ]
        mean = torch.stack([group.mean(0) for group in found])
        spread = torch.stack([group.std(0, unbiased=False) for group in found])
        memory: Tensor = self.project(mean) + self.spread(spread)
        return memory
