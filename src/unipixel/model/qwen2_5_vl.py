"""Qwen2.5-VL as a backbone: transformers' tower and decoder, our own positions, both
visual feature levels, no hooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLTextConfig,
    Qwen2_5_VLVisionConfig,
)
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
    Qwen2_5_VLTextModel,
)

from unipixel.model.backbone import Family, VisualFeatures
from unipixel.model.inputs import QWEN2_5_LAYOUT, Grid, LanguageView
from unipixel.model.qwen import QwenBackbone, cell_positions

if TYPE_CHECKING:
    from unipixel.model.config import ModelConfig


class Qwen2_5_VL(QwenBackbone):
    """The backbone of the published checkpoints (arXiv 2502.13923).

    Its positions are those of transformers 4.53-4.57, with which the published weights were trained.
    """

    def __init__(
        self, config: Qwen2_5_VLConfig, seconds: Literal["published", "fractional"] = "fractional"
    ) -> None:
        vision, text = config.vision_config, config.text_config
        assert isinstance(vision, Qwen2_5_VLVisionConfig), f"vision_config is a {type(vision).__name__}"
        assert isinstance(text, Qwen2_5_VLTextConfig), f"text_config is a {type(text).__name__}"
        super().__init__(config, Qwen2_5_VisionTransformerPretrainedModel(vision), Qwen2_5_VLTextModel(text))
        self.seconds = seconds
        self.vision_config, self.text_config = vision, text

    @property
    def merger(self) -> tuple[nn.Linear, nn.Linear]:
        first, _, second = self.visual.merger.mlp  # type: ignore[union-attr, misc]
        return first, second

    def _features(self, seen: Any, view: LanguageView) -> VisualFeatures:
        windowed = self.visual.merger.ln_q(seen.last_hidden_state).view(-1, self.visual_size)  # type: ignore[union-attr, operator]
        order = torch.argsort(self.window_order(view.grids)).to(windowed.device)
        return VisualFeatures(seen.pooler_output, windowed[order], windowed, view.grids)

    def window_order(self, grids: tuple[Grid, ...]) -> Tensor:
        """Raster indices [n] of the merged cells in the order of the tower's attention windows.

        A window spans 4 x 4 merged cells of one pair of frames; windows and the cells inside them go row by
        row.
        """
        vision = self.vision_config
        assert isinstance(vision.patch_size, int), f"patches are square here; found {vision.patch_size}"
        side = vision.window_size // self.merge // vision.patch_size
        orders, start = [], 0
        for grid in grids:
            time, height, width = grid.merged()
            cells = torch.arange(time * height * width).view(time, height, width)
            windows = [
                cells[t, top : top + side, left : left + side].flatten()
                for t in range(time)
                for top in range(0, height, side)
                for left in range(0, width, side)
            ]
            orders.append(torch.cat(windows) + start)
            start += time * height * width
        return torch.cat(orders)

    def _blocks(self, view: LanguageView) -> Iterator[Tensor]:
        """One for each clip; its temporal steps stand `tokens_per_second` a second apart."""
        for grid, seconds, is_image in zip(view.grids, view.seconds_per_grid, view.is_image, strict=True):
            time, height, width = grid.merged()
            yield cell_positions(self._ticks(time, seconds, is_image), height, width)

    def _ticks(self, time: int, seconds: float, is_image: bool) -> Tensor:
        speed = self.vision_config.tokens_per_second
        if is_image:
            return torch.zeros(time, dtype=torch.long)
        if self.seconds == "published":
            return torch.arange(time) * int(seconds) * speed
        return (torch.arange(time) * (seconds * speed)).long()


def _make(sizes: Qwen2_5_VLConfig, config: ModelConfig) -> Qwen2_5_VL:
    return Qwen2_5_VL(sizes, config.seconds)


FAMILY = Family("Qwen2.5-VL", QWEN2_5_LAYOUT, Qwen2_5_VLConfig, _make)
