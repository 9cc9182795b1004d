"""Configurations of known sizes, for building models without their `config.json`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypeAlias

from unipixel.model.checkpoint import FRESH_LICENCES, from_published, with_defects
from unipixel.model.config import ModelConfig, TokenIds
from unipixel.model.qwen3_vl import SIZES as QWEN3_SIZES
from unipixel.model.sam2 import Sam2Config

PublishedSize: TypeAlias = Literal["3b", "7b"]
PUBLISHED_SIZES: tuple[PublishedSize, ...] = ("3b", "7b")

PUBLISHED_TOKENS = TokenIds(
    ref=151665, seg=151666, mem=151667, image=151655, video=151656, turn_end=151645, end_of_text=151643
)
"""Ids in Qwen2.5's tokenizer; UniPixel's three take rows that its table already had."""

Qwen3Size: TypeAlias = Literal["qwen3-2b", "qwen3-4b"]
QWEN3_TOKENS = TokenIds(
    ref=151669, seg=151670, mem=151671, image=151655, video=151656, turn_end=151645, end_of_text=151643
)
"""Ids in Qwen3's tokenizer, which has four tokens more; UniPixel's three take the next rows of its table."""

_TEXT: dict[PublishedSize, dict[str, Any]] = {
    "3b": {
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
    },
    "7b": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
    },
}
_TEXT_OF_BOTH = {
    "model_type": "qwen2_5_vl_text",
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 128000,
    "rope_theta": 1000000.0,
    "rope_scaling": {"type": "default", "rope_type": "default", "mrope_section": [16, 24, 24]},
    "use_sliding_window": False,
}
_VISION = {
    "model_type": "qwen2_5_vl",
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "hidden_act": "silu",
    "in_channels": 3,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "tokens_per_second": 2,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
}


def published_config(size: PublishedSize) -> ModelConfig:
    """The configuration of UniPixel-3B or -7B: Qwen2.5-VL and SAM 2.1 Hiera B+ at 768 pixels, with the
    published choices."""
    text = _TEXT_OF_BOTH | _TEXT[size]
    content = {
        "model_name_or_path": f"UniPixel-{size.upper()}",
        "text_config": text,
        "vision_config": _VISION | {"out_hidden_size": text["hidden_size"]},
        "tie_word_embeddings": text["tie_word_embeddings"],
        "image_token_id": PUBLISHED_TOKENS.image,
        "video_token_id": PUBLISHED_TOKENS.video,
        "vision_start_token_id": 151652,
        "vision_end_token_id": 151653,
        "sam2_config": "configs/sam2.1_hiera_b+",
        "sam2_hidden_tokens": 2,
        "sam2_image_size": 768,
    }
    return from_published(content, PUBLISHED_TOKENS, Sam2Config.preset("b+"))


def qwen3_config(size: Qwen3Size) -> ModelConfig:
    """The configuration of a fresh model on Qwen3-VL-2B or -4B with SAM 2.1 Hiera B+, as `load` makes it of
    the two."""
    content = QWEN3_SIZES[size.removeprefix("qwen3-")]
    config = from_published(content, QWEN3_TOKENS, Sam2Config.preset("b+"))
    return with_defects(replace(config, name=size, licences=FRESH_LICENCES), published=False)


def known_config(size: PublishedSize | Qwen3Size) -> ModelConfig:
    """The configuration of a known size, for plans."""
    return qwen3_config(size) if size == "qwen3-2b" or size == "qwen3-4b" else published_config(size)
