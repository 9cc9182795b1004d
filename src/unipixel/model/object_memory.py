"""Object memory -> `<|mem|>`: the visual features under an object's mask, averaged per pair of frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from unipixel.model.backbone import VisualFeatures
from unipixel.model.inputs import Grid

RegionOrder: TypeAlias = Literal["window", "raster"]
"""How cells are looked up. "raster" is correct. "window" repeats the published code, which indexes features
in window order with a raster mask: released weights were trained that way (docs/parity.md)."""


class ObjectMemory(nn.Module):
    """Pools the tower's features over every object's cells and projects them to language-model tokens."""

    def __init__(self, visual_size: int, hidden_size: int, region_order: RegionOrder) -> None:
        super().__init__()
        self.region_order = region_order
        self.project = nn.Sequential(
            nn.Linear(visual_size, visual_size), nn.GELU(), nn.Linear(visual_size, hidden_size)
        )

    def forward(self, seen: VisualFeatures, regions: Sequence[Tensor | None]) -> Tensor:
        """[m, d]: one token per sample, object and pair of frames in which the object has cells; in that
        order.

        regions: per clip bool [time, O, height, width] on the merged grid, or None.
        """
        features = seen.windowed if self.region_order == "window" else seen.unmerged
        sizes = [grid.num_tokens for grid in seen.grids]
        pooled = [
            self._pool(cells, grid, region)
            for cells, grid, region in zip(features.split(sizes), seen.grids, regions, strict=True)
            if region is not None
        ]
        projected: Tensor = self.project(torch.cat(pooled))
        return projected

    @staticmethod
    def _pool(cells: Tensor, grid: Grid, region: Tensor) -> Tensor:
        """Mean of the features of each non-empty (object, pair): [m, v]."""
        time, height, width = grid.merged()
        assert region.shape[0] == time and region.shape[2:] == (height, width), (
            f"regions {tuple(region.shape)} do not fit the grid {(time, height, width)}"
        )
        weights = region.flatten(2).transpose(0, 1).to(cells.dtype)  # [O, time, height * width]
        sums = torch.einsum("otc,tcv->otv", weights, cells.view(time, height * width, -1))
        counts = weights.sum(-1)
        return sums[counts > 0] / counts[counts > 0][:, None]
