"""`unipixel-tiny`: the small model that comes with the package, from nothing.

    python -m unipixel.training.tiny -o build/unipixel-tiny

The mask decoder learns first (stills, then clips), then the language model learns to speak to it, then both
learn together. Every phase is kept in the output folder; a run that was stopped goes on with the phase after
the last one kept.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from tokenizers import AddedToken, Regex, decoders, pre_tokenizers, trainers
from tokenizers import Tokenizer as BytePairTokenizer
from tokenizers.models import BPE
from torch import nn

from unipixel.core import tokens as control
from unipixel.core.request import TOKEN_PIXELS, PixelBudget
from unipixel.data import templates
from unipixel.data.synthetic.shapes import SHAPES
from unipixel.data.synthetic.world import COLOURS, WorldConfig
from unipixel.loading import save
from unipixel.model.checkpoint import build_model
from unipixel.model.config import Licences, ModelConfig
from unipixel.model.sam2 import HieraConfig, MemoryAttentionConfig, MemoryEncoderConfig, Sam2Config
from unipixel.model.unipixel import UniPixel
from unipixel.predictor import Predictor
from unipixel.processing.processor import Processor
from unipixel.processing.tokenizer import Tokenizer
from unipixel.training.language_phase import JointPhase, LanguagePhase
from unipixel.training.loop import Schedule, StepResult, train
from unipixel.training.mask_phase import (
    EASY_WORLD,
    LIVELY_WORLD,
    WORLD,
    AttributeHead,
    MaskPhase,
    NameTable,
    SightPhase,
)
from unipixel.training.places import align_places
from unipixel.training.questions import QuestionPlan
from unipixel.training.scenes import BatchPlan

log = logging.getLogger(__name__)

SIDE = 128
SEED = 0
PLACE_SCALE = 0.5
"""Spread of the encoder's place codes at the start; from nearly zero, shapes are learned much later."""
VOCABULARY = 512
POINTED_SHARE = 0.2
"""Share of questions that point at a thing instead of naming it."""
CLICK_KINDS = ("point", "point", "box")
STILL_KINDS = ("name", "name", "absent", "point", "box", "correction")
POINTED_KINDS = ("mask", "point", "point", "box", "correction", "correction")
CLIP_KINDS = ("name", "name", "absent", "mask", "point", "point", "box", "correction", "correction")
# How Qwen's tokenizer cuts text before it merges: contractions, words, single digits, punctuation, line ends,
# spaces.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CONTROL_TOKENS = (
    *(control.END_OF_TEXT, control.TURN_START, control.TURN_END, control.VISION_START, control.VISION_END),
    *(control.IMAGE_PAD, control.VIDEO_PAD, *control.ADDED_TOKENS),
)


class Phase(Protocol):
    """What the loop needs of a phase."""

    def parameters(self) -> Iterator[nn.Parameter]: ...
    def steps(self) -> Iterator[StepResult]: ...


@dataclass(frozen=True)
class Budget:
    """Schedules of the phases; `scenes` and `frames` of a batch of each."""

    sight: Schedule = field(default_factory=lambda: Schedule(700, 2e-3, warmup=100, floor=0.5))
    small_sight: Schedule = field(default_factory=lambda: Schedule(500, 1e-3, floor=0.5))
    sharp_sight: Schedule = field(default_factory=lambda: Schedule(1000, 1.5e-3, floor=0.1))
    clicks: Schedule = field(default_factory=lambda: Schedule(400, 1e-3, floor=0.5))
    stills: Schedule = field(default_factory=lambda: Schedule(1000, 9e-4, floor=0.5))
    pairs: Schedule = field(default_factory=lambda: Schedule(300, 6e-4, floor=0.6))
    clips: Schedule = field(default_factory=lambda: Schedule(750, 7e-4, floor=0.3))
    language: Schedule = field(default_factory=lambda: Schedule(400, 1.5e-3))
    joint: Schedule = field(default_factory=lambda: Schedule(220, 3e-4, warmup=20))


def make_tokenizer() -> Tokenizer:
    """A byte-level tokenizer in Qwen's form, with merges learned from the templates."""
    pairs = BytePairTokenizer(BPE())
    pairs.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    pairs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pairs.train_from_iterator(_corpus(), trainer)
    pairs.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in CONTROL_TOKENS])
    return Tokenizer(pairs.to_str())


def _corpus() -> Iterator[str]:
    names = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
    yield f"system\n{control.SYSTEM_TEXT}\nuser\nassistant\n"
    yield (
        "Here is a video with 8 frames denoted as <1> to <8>. The highlighted regions are as follows:\n"
        "[0]: <1>-<2>\n"
    )
    for name in names:
        for picture in ("image", "video"):
            words = {"name": name, "picture": picture, "first": name, "second": names[0]}
            rows = (
                *templates.QUESTIONS,
                *templates.PAIR_QUESTIONS,
                *templates.POINTED_QUESTIONS,
                *templates.PAIR_ANSWER,
            )
            yield from (row.format(**words) for row in rows)
            yield from (part.format(**words) for answer in templates.ANSWERS for part in answer)


def make_config(tokenizer: Tokenizer) -> ModelConfig:
    """Sizes of the small model."""
    ids = tokenizer.ids()
    width = 128
    return ModelConfig(
        name="unipixel-tiny",
        tokens=ids,
        sam2=Sam2Config(
            image_size=SIDE,
            hiera=HieraConfig(32, 2, (1, 2, 3, 1), (5,), (7, 7), (8, 4, 8, 4)),
            d_model=128,
            memory_attention=MemoryAttentionConfig(num_layers=2, dim_feedforward=256, dropout=0.0),
            memory_encoder=MemoryEncoderConfig(out_dim=32),
        ),
        backbone_config={
            "text_config": {
                "vocab_size": VOCABULARY,
                "hidden_size": width,
                "intermediate_size": 384,
                "num_hidden_layers": 4,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "max_position_embeddings": 8192,
                "rms_norm_eps": 1e-6,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 10000.0,
                    "mrope_section": [4, 6, 6],
                },
                "bos_token_id": None,
                "eos_token_id": ids.turn_end,
            },
            "vision_config": {
                "model_type": "qwen2_5_vl_vision",
                "depth": 3,
                "hidden_size": 64,
                "intermediate_size": 172,
                "num_heads": 4,
                "out_hidden_size": width,
                "fullatt_block_indexes": [2],
                "window_size": 224,
            },
            "image_token_id": ids.image,
            "video_token_id": ids.video,
            "vision_start_token_id": tokenizer.id(control.VISION_START),
            "vision_end_token_id": tokenizer.id(control.VISION_END),
            "tie_word_embeddings": True,
        },
        num_frames=8,
        pixels=PixelBudget(12 * TOKEN_PIXELS, 20 * TOKEN_PIXELS, None),
        licences=Licences(
            weights="Apache-2.0", base="none: trained from nothing", data="made by this project"
        ),
    )


@dataclass(frozen=True)
class Workshop:
    """The model in the making, its processor, and two helps that are thrown away: the table that stands in
    for its words at first, and the head that makes the mask decoder's encoder see colours and shapes."""

    model: UniPixel
    table: NameTable
    attributes: AttributeHead
    processor: Processor

    @classmethod
    def open(cls) -> Workshop:
        torch.manual_seed(SEED)
        tokenizer = make_tokenizer()
        config = make_config(tokenizer)
        model = build_model(config)
        with torch.no_grad():
            model.sam2.image_encoder.trunk.pos_embed_window.normal_(std=PLACE_SCALE)
        align_places(model.sam2)
        table = NameTable(config.hidden_tokens, config.sam2.d_model)
        attributes = AttributeHead(config.sam2.d_model)
        return cls(model.train(), table, attributes, Processor(config, tokenizer))

    def phases(self) -> dict[str, Phase]:
        """The phases in their order; each sees scenes of its own."""
        model, table, attributes, processor = self.model, self.table, self.attributes, self.processor

        def scenes(number: int, count: int, frames: int, world: WorldConfig = WORLD) -> BatchPlan:
            return BatchPlan(count, frames, SIDE, world, first=number * 10_000_000)

        pointing = MaskPhase(model.sam2, table, attributes, scenes(10, 8, 4, LIVELY_WORLD), POINTED_KINDS)
        return {
            "sight": SightPhase(model.sam2, attributes, scenes(6, 32, 1, EASY_WORLD)),
            "small_sight": SightPhase(model.sam2, attributes, scenes(7, 32, 1)),
            "sharp_sight": SightPhase(model.sam2, attributes, scenes(8, 32, 1)),
            "clicks": MaskPhase(model.sam2, table, attributes, scenes(9, 16, 1), CLICK_KINDS, False),
            "stills": MaskPhase(model.sam2, table, attributes, scenes(1, 16, 1), STILL_KINDS),
            "pairs": MaskPhase(model.sam2, table, attributes, scenes(2, 12, 2), CLIP_KINDS),
            "clips": MaskPhase(model.sam2, table, attributes, scenes(3, 8, 4, LIVELY_WORLD), CLIP_KINDS),
            "language": LanguagePhase(
                model, table, processor, QuestionPlan(scenes(4, 32, 1), (1, 1, 2, 4, 8), POINTED_SHARE)
            ),
            "joint": JointPhase(
                model, processor, QuestionPlan(scenes(5, 16, 1), (1, 2, 4), POINTED_SHARE), pointing
            ),
        }

    def state(self) -> dict[str, Any]:
        parts = {"model": self.model, "table": self.table, "attributes": self.attributes}
        return {name: part.state_dict() for name, part in parts.items()}

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.table.load_state_dict(state["table"])
        self.attributes.load_state_dict(state["attributes"])


def make(folder: Path, budget: Budget) -> Path:
    """Train all phases; returns the folder of the finished checkpoint (half precision)."""
    folder.mkdir(parents=True, exist_ok=True)
    workshop = Workshop.open()
    for name, phase in workshop.phases().items():
        kept = folder / f"{name}.pt"
        if kept.is_file():
            log.info("%s: kept from an earlier run", name)
            workshop.restore(torch.load(kept, weights_only=True))
            continue
        steps = phase.steps()
        train(name, phase.parameters, getattr(budget, name), lambda _, steps=steps: next(steps))  # type: ignore[misc]
        partial = kept.with_suffix(".partial")
        torch.save(workshop.state(), partial)
        partial.replace(kept)
    predictor = Predictor(workshop.model.eval(), workshop.processor)
    return save(predictor, folder / "checkpoint", dtype=torch.float16)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for the phases and the checkpoint"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    log.info("written to %s", make(arguments.output, Budget()))


if __name__ == "__main__":
    main()
