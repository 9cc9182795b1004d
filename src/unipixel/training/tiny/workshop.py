"""The small model in the making, and the phases in which its parts learn what the published model takes from
SAM 2.1 and Qwen2.5-VL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import nn

from unipixel.data.mixture import Shard
from unipixel.data.policy import CORRECTED, Policy
from unipixel.data.registry import open_dataset
from unipixel.data.synthetic.world import WorldConfig
from unipixel.data.wording import Wording
from unipixel.model.checkpoint import build_model
from unipixel.model.unipixel import UniPixel
from unipixel.processing.processor import Processor
from unipixel.training.tiny.concepts import Concepts
from unipixel.training.tiny.language_phase import LanguagePhase, TalkPlan
from unipixel.training.tiny.loop import Schedule, StepResult
from unipixel.training.tiny.mask_phase import (
    EASY_WORLD,
    LIVELY_WORLD,
    WORLD,
    AttributeHead,
    MaskPhase,
    SightPhase,
)
from unipixel.training.tiny.model import SIDE, make_config, make_tokenizer
from unipixel.training.tiny.names import NameTable
from unipixel.training.tiny.places import align_places
from unipixel.training.tiny.scenes import WHOLE, BatchPlan
from unipixel.training.tiny.seg_phase import SegHeadPhase
from unipixel.training.tiny.visual_phase import STATE_SIZE, VisualPhase

SEED = 0
WORDING = "made_up"
PLACE_SCALE = 0.5
"""Spread of the encoder's place codes at the start; from nearly zero, shapes are learned much later."""
CLICK_KINDS = ("point", "point", "box")
STILL_KINDS = ("name", "name", "absent", "described", "described", "point", "box", "correction")
CLIP_KINDS = (
    *("name", "name", "absent", "described", "described", "described"),
    *("mask", "point", "point", "box", "correction", "correction"),
)
FIRST_WORDS = (
    *(("made_up_names", "1", 4.0), ("made_up_relations", "1", 3.0), ("made_up_reasoning", "1", 1.5)),
    *(("made_up_long", "1", 1.0), ("made_up_regions", "1", 2.0), ("made_up_region_memory", "1", 1.5)),
    *(("made_up_region_choices", "1", 4.0), ("made_up_pixelqa", "1", 2.5)),
    *(("made_up_clips", "1", 2.0), ("made_up_talk", "1", 1.0)),
)
"""What the language model talks about at first: single frames are short, and nothing moves. Data sets,
numbers of frames, and how often."""
TALK = (
    ("made_up_names", "2-8", 1.5),
    ("made_up_names", "1", 1.0),
    ("made_up_relations", "2-8", 1.5),
    ("made_up_relations", "1", 0.5),
    ("made_up_motion", "4-8", 2.0),
    ("made_up_reasoning", "2-8", 1.5),
    ("made_up_long", "2-8", 1.0),
    ("made_up_regions", "2-8", 1.5),
    ("made_up_regions", "1", 0.5),
    ("made_up_region_memory", "2-8", 1.5),
    ("made_up_region_choices", "2-8", 5.0),
    ("made_up_region_choices", "1", 2.0),
    ("made_up_pixelqa", "2-8", 2.0),
    ("made_up_pixelqa", "1", 0.5),
    ("made_up_clips", "2-8", 5.0),
    ("made_up_talk", "2-8", 1.0),
    ("made_up_talk", "1", 0.5),
)
"""What it talks about in the end."""


class Phase(Protocol):
    """What the loop needs of a phase."""

    def parameters(self) -> Iterator[nn.Parameter]: ...
    def steps(self) -> Iterator[StepResult]: ...


@dataclass(frozen=True)
class Budget:
    """Schedules of the phases."""

    sight: Schedule = field(default_factory=lambda: Schedule(700, 2e-3, warmup=100, floor=0.5))
    small_sight: Schedule = field(default_factory=lambda: Schedule(500, 1e-3, floor=0.5))
    sharp_sight: Schedule = field(default_factory=lambda: Schedule(1000, 1.5e-3, floor=0.1))
    clicks: Schedule = field(default_factory=lambda: Schedule(400, 1e-3, floor=0.5))
    stills: Schedule = field(default_factory=lambda: Schedule(1000, 9e-4, floor=0.5))
    pairs: Schedule = field(default_factory=lambda: Schedule(300, 6e-4, floor=0.6))
    clips: Schedule = field(default_factory=lambda: Schedule(1200, 7e-4, floor=0.1))
    easy_view: Schedule = field(default_factory=lambda: Schedule(200, 2e-3, floor=0.6))
    view: Schedule = field(default_factory=lambda: Schedule(1800, 2e-3))
    seg: Schedule = field(default_factory=lambda: Schedule(1200, 3e-3))
    first_words: Schedule = field(default_factory=lambda: Schedule(800, 1.5e-3, floor=0.6))
    language: Schedule = field(default_factory=lambda: Schedule(2500, 1.5e-3))


@dataclass(frozen=True)
class Workshop:
    """The model, its processor, and helps that are thrown away: the table that stands in for words, the head
    that makes the mask decoder see what there is to talk about, and the concepts by which all states are
    read."""

    model: UniPixel
    table: NameTable
    attributes: AttributeHead
    concepts: Concepts
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
        draw_by_width(model.backbone.text)
        draw_alike(model.backbone.text)
        nn.init.normal_(model.backbone.head.weight, std=STATE_SIZE)
        table = NameTable(config.hidden_tokens, config.sam2.d_model)
        attributes = AttributeHead(config.sam2.d_model)
        concepts = Concepts(tokenizer, model.backbone.hidden_size, SEED)
        return cls(model.train(), table, attributes, concepts, Processor(config, tokenizer))

    def phases(self, shard: Shard = WHOLE) -> dict[str, Phase]:
        """The phases in their order; each sees scenes of its own, and of those the shard's."""
        model, pixels = self.model, self.processor.config.pixels

        def scenes(number: int, count: int, frames: int, world: WorldConfig = WORLD) -> BatchPlan:
            return BatchPlan(count, frames, SIDE, world, number * 10_000_000, shard)

        def masks(plan: BatchPlan, kinds: tuple[str, ...], trains_encoder: bool = True) -> MaskPhase:
            return MaskPhase(model.sam2, self.table, self.attributes, plan, kinds, trains_encoder)

        def talk(plan: TalkPlan) -> LanguagePhase:
            return LanguagePhase(model, self.table, self.concepts, self.processor, replace(plan, shard=shard))

        return {
            "sight": SightPhase(model.sam2, self.attributes, scenes(6, 32, 1, EASY_WORLD)),
            "small_sight": SightPhase(model.sam2, self.attributes, scenes(7, 32, 1)),
            "sharp_sight": SightPhase(model.sam2, self.attributes, scenes(8, 32, 1)),
            "clicks": masks(scenes(9, 16, 1), CLICK_KINDS, False),
            "stills": masks(scenes(1, 16, 1), STILL_KINDS),
            "pairs": masks(scenes(2, 12, 2), CLIP_KINDS),
            "clips": masks(scenes(3, 8, 4, LIVELY_WORLD), CLIP_KINDS),
            "easy_view": VisualPhase(model, self.concepts, scenes(11, 64, 2, EASY_WORLD), pixels),
            "view": VisualPhase(model, self.concepts, scenes(12, 64, 2, LIVELY_WORLD), pixels),
            "seg": SegHeadPhase(model, self.table, self.concepts, SEED),
            "first_words": talk(talk_plan(FIRST_WORDS, 64, 14)),
            "language": talk(talk_plan(TALK, 48, 0)),
        }

    def state(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def restore(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, nn.Module]:
        return {
            "model": self.model,
            "table": self.table,
            "attributes": self.attributes,
            "concepts": self.concepts,
        }


def draw_by_width(layers: nn.Module) -> None:
    """Draw the weights of transformer layers anew, as wide as keeps a state's size. The base models' spread
    of 0.02 suits layers of thousands; narrow ones hardly attend to anything with it (docs/log.md)."""
    for name, weight in layers.named_parameters():
        if weight.dim() == 2 and "embed" not in name:
            adds = name.endswith(("o_proj.weight", "down_proj.weight"))
            nn.init.normal_(weight, std=(0.5 if adds else 1.0) * weight.shape[1] ** -0.5)


@torch.no_grad()
def draw_alike(decoder: nn.Module) -> None:
    """Let every head of a decoder start out with half a mind to look at what resembles the state that looks,
    and to copy it: queries share rows with keys, and outputs with values. Finding what was named and saying
    what was found are both of that kind, and take long to come about by chance (docs/log.md)."""
    for layer in decoder.layers:  # type: ignore[union-attr]
        attention = layer.self_attn
        groups = attention.q_proj.weight.shape[0] // attention.k_proj.weight.shape[0]
        width, half = attention.head_dim, 0.5**0.5
        keys = attention.k_proj.weight.unflatten(0, (-1, width)).repeat_interleave(groups, 0).flatten(0, 1)
        values = attention.v_proj.weight.unflatten(0, (-1, width)).repeat_interleave(groups, 0).flatten(0, 1)
        attention.q_proj.weight.mul_(half).add_(half * keys)
        outputs = attention.o_proj.weight
        outputs.mul_(half).add_(half * values.T * (outputs.std() / values.std()))


def talk_plan(about: Sequence[tuple[str, str, float]], size: int, number: int) -> TalkPlan:
    """What a language phase is about; each number draws samples of its own."""
    datasets = tuple(
        (open_dataset(name, "train", ".", frames=frames), weight) for name, frames, weight in about
    )
    return TalkPlan(datasets, size, talk_policy(), number * 10_000_000)


def talk_policy() -> Policy:
    """How made-up samples are shown and said."""
    text = replace(CORRECTED.text, wording=Wording.open(WORDING))
    return replace(CORRECTED, pointers=replace(CORRECTED.pointers, side=SIDE), text=text)
