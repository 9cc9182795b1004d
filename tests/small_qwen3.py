"""A small random UniPixel on Qwen3-VL: everything but its base model is that of the golden checkpoint."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from unipixel.core.request import PixelBudget
from unipixel.loading import load, save
from unipixel.model.checkpoint import build_model, with_defects
from unipixel.model.config import ModelConfig
from unipixel.predictor import Predictor
from unipixel.processing.processor import Processor

SHARED = ("object_prompt.", "seg_head.", "sam2.")
CELL = 32 * 32


def sizes(like: dict[str, Any], vocabulary: int = 400) -> dict[str, Any]:
    """A `config.json` of Qwen3-VL with the token ids of another: 3 layers, 64 wide, two levels of
    DeepStack."""
    ids = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return {
        "model_type": "qwen3_vl",
        "text_config": {
            "model_type": "qwen3_vl_text",
            "vocab_size": vocabulary,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "initializer_range": 0.1,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [4, 2, 2],
                "mrope_interleaved": True,
            },
        },
        "vision_config": {
            "model_type": "qwen3_vl_vision",
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 64,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0, 1],
            "initializer_range": 0.1,
        },
        "tie_word_embeddings": True,
        **{name: like[name] for name in ids},
    }


def small_config(golden: ModelConfig) -> ModelConfig:
    """The golden checkpoint's configuration on the other base model, with the corrected choices."""
    pixels = PixelBudget(128 * CELL, 256 * CELL)
    content = sizes(dict(golden.backbone_config))
    changed = replace(golden, backbone="qwen3_vl", backbone_config=content, pixels=pixels, name="qwen3-small")
    return with_defects(changed, published=False)


def make_small_qwen3(golden_checkpoint: Path, folder: Path) -> Path:
    """Write the checkpoint, in our layout."""
    golden = load(golden_checkpoint)
    config = small_config(golden.config)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model(config)
    given = {name: one for name, one in golden.model.state_dict().items() if name.startswith(SHARED)}
    left = model.load_state_dict(given, strict=False)
    assert not left.unexpected_keys and not [name for name in left.missing_keys if name.startswith(SHARED)]
    return save(Predictor(model, Processor(config, golden.processor.tokenizer)), folder)
