"""Qwen3-VL as a backbone: everything in which it differs from Qwen2.5-VL.

Its patches are 16 pixels a side; its tower has no windows, and hands features of earlier layers to the first
decoder layers (DeepStack, arXiv 2406.04334); a clip's temporal steps stand apart in the text, each behind its
time in words, and every step is a picture to the rotary positions, whose axes are interleaved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers.models.qwen3_vl.configuration_qwen3_vl import (
    Qwen3VLConfig,
    Qwen3VLTextConfig,
    Qwen3VLVisionConfig,
)
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextModel, Qwen3VLVisionModel

from unipixel.model.backbone import DeepFeatures, Family, VisualFeatures
from unipixel.model.inputs import Grid, LanguageView, Run, VisualLayout
from unipixel.model.qwen import QwenBackbone, cell_positions

if TYPE_CHECKING:
    from unipixel.model.config import ModelConfig


@dataclass(frozen=True)
class StampedLayout(VisualLayout):
    """Qwen3-VL's: 32 pixels a token, other normalisation, and the time of every temporal step in the text."""

    patch: int = 16
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def runs(self, grid: Grid, times: Sequence[float]) -> tuple[Run, ...]:
        """A run for each temporal step, behind the mean of its first and its last frame's time:
        `<0.2 seconds>`. A single frame is a picture, without time."""
        if len(times) == 1:
            return (Run(grid.num_tokens, is_image=True),)
        last = len(times) - 1
        steps = [(first, min(first + self.pair - 1, last)) for first in range(0, len(times), self.pair)]
        count = grid.num_tokens // grid.time
        return tuple(Run(count, f"<{(times[a] + times[b]) / 2:.1f} seconds>") for a, b in steps)


class Qwen3_VL(QwenBackbone):
    """The dense models of the family, as transformers 5 builds them."""

    def __init__(self, config: Qwen3VLConfig) -> None:
        vision, text = config.vision_config, config.text_config
        assert isinstance(vision, Qwen3VLVisionConfig), f"vision_config is a {type(vision).__name__}"
        assert isinstance(text, Qwen3VLTextConfig), f"text_config is a {type(text).__name__}"
        levels, layers = len(vision.deepstack_visual_indexes), text.num_hidden_layers
        assert levels <= layers, f"{levels} levels of visual features for {layers} decoder layers"
        super().__init__(config, Qwen3VLVisionModel(vision), Qwen3VLTextModel(text))

    @property
    def merger(self) -> tuple[nn.Linear, nn.Linear]:
        merger = self.visual.merger
        return merger.linear_fc1, merger.linear_fc2  # type: ignore[union-attr, return-value]

    def _features(self, seen: Any, view: LanguageView) -> VisualFeatures:
        """Cells come in raster order from the tower. The object memory reads what enters the main merger:
        the other levels are made for layers that a `<|mem|>`, which is no picture, has nothing added in."""
        unmerged = self.visual.merger.norm(seen.last_hidden_state).view(-1, self.visual_size)  # type: ignore[operator]
        return VisualFeatures(
            seen.pooler_output, unmerged, unmerged, view.grids, tuple(seen.deepstack_features)
        )

    def _blocks(self, view: LanguageView) -> Iterator[Tensor]:
        """One for each temporal step, whose time the text tells."""
        for grid in view.grids:
            time, height, width = grid.merged()
            for _ in range(time):
                yield cell_positions(torch.zeros(1, dtype=torch.long), height, width)

    def _deep_arguments(self, deep: DeepFeatures | None) -> dict[str, Any]:
        if deep is None:
            return {}
        return {"visual_pos_masks": deep.slots, "deepstack_visual_embeds": list(deep.levels)}


def _make(sizes: Qwen3VLConfig, config: ModelConfig) -> Qwen3_VL:
    return Qwen3_VL(sizes)


FAMILY = Family("Qwen3-VL", StampedLayout(), Qwen3VLConfig, _make)

_TEXT_OF_BOTH = {
    "model_type": "qwen3_vl_text",
    "vocab_size": 151936,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 262144,
    "rope_theta": 5000000.0,
    "rope_scaling": {"rope_type": "default", "mrope_interleaved": True, "mrope_section": [24, 20, 20]},
}
_TEXT: dict[str, dict[str, Any]] = {
    "2b": {
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
    },
    "4b": {
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
    },
}
_VISION = {
    "model_type": "qwen3_vl_vision",
    "depth": 24,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_heads": 16,
    "hidden_act": "gelu_pytorch_tanh",
    "in_channels": 3,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 2304,
    "deepstack_visual_indexes": [5, 11, 17],
}
SIZES: dict[str, dict[str, Any]] = {
    size: {
        "model_type": "qwen3_vl",
        "text_config": _TEXT_OF_BOTH | text,
        "vision_config": _VISION | {"out_hidden_size": text["hidden_size"]},
        "tie_word_embeddings": True,
        "image_token_id": 151655,
        "video_token_id": 151656,
        "vision_start_token_id": 151652,
        "vision_end_token_id": 151653,
    }
    for size, text in _TEXT.items()
}
"""The `config.json` of Qwen3-VL-2B and -4B (Instruct), as far as it says how they are built."""
