"""What the benchmarks share: random models of given sizes, and counts of what goes through them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from unipixel.core import tokens as control
from unipixel.core.media import Clip
from unipixel.model.backbone import Thought, VisualFeatures
from unipixel.model.checkpoint import build_model
from unipixel.model.config import ModelConfig
from unipixel.model.inputs import LanguageView
from unipixel.model.presets import published_config
from unipixel.model.qwen2_5_vl import Qwen2_5_VL
from unipixel.model.sam2 import FrameFeatures, Sam2Config
from unipixel.model.unipixel import UniPixel
from unipixel.predictor import Predictor
from unipixel.processing.processor import Processor
from unipixel.training.tiny.model import VOCABULARY, make_tokenizer

SMALL_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
SMALL_VISION = {"hidden_size": 32, "intermediate_size": 32, "depth": 1, "num_heads": 2}
"""For a language side that does not run and only has to exist."""
WIDTH_OF_HEAD = 64
LIVELY = 3
"""Fresh layers hardly change what they read, and such a model repeats one word. With weights that many times
larger, its words depend on all it has read, and equal answers mean something."""


def add_language_options(parser: argparse.ArgumentParser, tokens: int, repeats: int) -> None:
    """What benchmarks of a random language model let one choose, with their own defaults."""
    parser.add_argument("--tokens", type=int, default=tokens, help="tokens of each answer")
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--layers", type=int, default=12, help="of the language model")
    parser.add_argument("--width", type=int, default=512, help="of the language model, a multiple of 64")
    parser.add_argument("--threads", type=int, default=2)


def text_sizes(layers: int, width: int) -> dict[str, int]:
    """A language model; width: a multiple of 64."""
    heads = width // WIDTH_OF_HEAD
    return {
        "hidden_size": width,
        "intermediate_size": 3 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": max(1, heads // 4),
    }


def vision_sizes(layers: int, width: int) -> dict[str, Any]:
    """A visual tower; every fourth layer sees whole frames, the others windows. width: a multiple of 64."""
    return {
        "hidden_size": width,
        "intermediate_size": 3 * width,
        "depth": layers,
        "num_heads": width // WIDTH_OF_HEAD,
        "fullatt_block_indexes": list(range(3, layers, 4)) or [0],
    }


def make_config(
    sam2: Sam2Config, text: Mapping[str, Any] = SMALL_TEXT, vision: Mapping[str, Any] = SMALL_VISION
) -> ModelConfig:
    """The published configuration with other sizes."""
    config = published_config("3b")
    content = dict(config.backbone_config)
    half = text["hidden_size"] // text["num_attention_heads"] // 2  # rotary pairs of a head, time and place
    side = (half - half // 4) // 2
    rotary = {"rope_type": "default", "mrope_section": [half - 2 * side, side, side]}
    content["text_config"] = {**content["text_config"], **text, "rope_scaling": rotary}
    content["vision_config"] = {
        **content["vision_config"],
        "fullatt_block_indexes": [0],
        **vision,
        "out_hidden_size": text["hidden_size"],
    }
    return replace(config, backbone_config=content, sam2=sam2)


def make_model(sam2: Sam2Config) -> UniPixel:
    """Random weights around a mask decoder of the given sizes."""
    return build_model(make_config(sam2)).eval()


def make_predictor(sam2: Sam2Config, text: Mapping[str, Any], vision: Mapping[str, Any]) -> Predictor:
    """A random model that can be asked, with the small vocabulary of `unipixel-tiny`.

    It never writes `<|seg|>` or the end of a turn by itself, so that answers have the length one asks for:
    their logits are 0, and the largest of several hundred random ones is not.
    """
    tokenizer = make_tokenizer()
    ids = tokenizer.ids()
    words = {"vocab_size": VOCABULARY, "bos_token_id": None, "eos_token_id": ids.turn_end}
    config = make_config(sam2, {**text, **words}, vision)
    content = {
        **config.backbone_config,
        "image_token_id": ids.image,
        "video_token_id": ids.video,
        "vision_start_token_id": tokenizer.id(control.VISION_START),
        "vision_end_token_id": tokenizer.id(control.VISION_END),
        "tie_word_embeddings": False,
    }
    config = replace(config, backbone_config=content, tokens=ids)
    model = build_model(config).eval()
    assert isinstance(model.backbone, Qwen2_5_VL), f"the backbone is a {type(model.backbone).__name__}"
    with torch.no_grad():
        for weight in model.backbone.text.layers.parameters():
            weight.mul_(LIVELY if weight.ndim == 2 else 1)
        model.backbone.head.weight[[ids.seg, *ids.stops]] = 0
    return Predictor(model, Processor(config, tokenizer))


def random_clip(frames: int, side: int, seed: int = 0) -> Clip:
    """Noise: what is measured does not depend on what is seen."""
    shape = (frames, side, side, 3)
    return Clip.open(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


@dataclass
class Counts:
    """What went through a model. frames: through the image encoder; patches: through the visual tower; tokens
    and passes: through the language model; logits [B, vocabulary] of each written token."""

    frames: int = 0
    patches: int = 0
    tokens: int = 0
    passes: int = 0
    logits: list[Tensor] = field(default_factory=list)


@contextmanager
def counted(model: UniPixel) -> Iterator[Counts]:
    """Counts while it is open."""
    counts = Counts()
    encode, see = model.sam2.encode, model.backbone.see
    think, speak = model.backbone.think, model.backbone.speak

    def encoding(frames: Tensor) -> FrameFeatures:
        counts.frames += len(frames)
        return encode(frames)

    def seeing(view: LanguageView) -> VisualFeatures:
        counts.patches += len(view.patches)
        return see(view)

    def thinking(tokens: Tensor, *others: Any, **named: Any) -> Thought:
        counts.tokens += tokens.shape[0] * tokens.shape[1]
        counts.passes += 1
        return think(tokens, *others, **named)

    def speaking(hidden: Tensor) -> Tensor:
        counts.logits.append(speak(hidden))
        return counts.logits[-1]

    with (
        patch.object(model.sam2, "encode", encoding),
        patch.object(model.backbone, "see", seeing),
        patch.object(model.backbone, "think", thinking),
        patch.object(model.backbone, "speak", speaking),
    ):
        yield counts


T = TypeVar("T")


@dataclass(frozen=True)
class Timed(Generic[T]):
    """What a piece of work gave, what went through the model, and how long it took."""

    seconds: float
    counts: Counts
    result: T


def timed(model: UniPixel, work: Callable[[], T]) -> Timed[T]:
    """Do it once."""
    with counted(model) as counts:
        start = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - start
    return Timed(seconds, counts, result)


def in_turns(model: UniPixel, repeats: int, *works: Callable[[], T]) -> list[Timed[T]]:
    """Do all of them in turns, `repeats` times; of each the run whose time is the middle one (the faster of
    two), so that a moment in which the machine does something else does not count."""
    turns = [[timed(model, work) for work in works] for _ in range(repeats)]
    return [
        sorted(runs, key=lambda run: run.seconds)[(repeats - 1) // 2] for runs in zip(*turns, strict=True)
    ]
