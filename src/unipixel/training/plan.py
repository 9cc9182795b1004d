"""What a recipe would do, found out without weights: the table of parts, samples, steps, memory."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

import torch
from torch import nn

from unipixel.errors import ConfigError, DataError
from unipixel.hub import BUNDLED, find_checkpoint
from unipixel.model.checkpoint import BASE_TYPES, CONFIG, build_backbone, from_published, read_config
from unipixel.model.config import ModelConfig
from unipixel.model.own_parts import check_consent
from unipixel.model.presets import PUBLISHED_TOKENS, known_config
from unipixel.model.sam2 import Sam2Config
from unipixel.model.unipixel import UniPixel
from unipixel.model.weights import read_json
from unipixel.processing.tokenizer import Tokenizer
from unipixel.training.parameters import adapted_layers, group_parameters, is_adapter
from unipixel.training.recipe import How, Recipe
from unipixel.training.start import with_choices
from unipixel.training.stream import count_steps, open_mixture, open_source

FRAME_BYTES, OBJECT_BYTES = 0.26e9, 0.10e9
"""Activations of the mask encoder for a frame, and of tracking for a frame and object, at 256 pixels a side
in float32, measured with the smallest encoder."""
LAYER_BYTES = 34
"""Bytes of activations that a transformer layer keeps for each token and channel, in half precision
(arXiv 2205.05198, without attention maps)."""
TEXT_TOKENS = 300


@dataclass(frozen=True)
class PartRow:
    """One line of the table: `parameters` of a part, and how many numbers of it are trained (of adapters: the
    adapters')."""

    part: str
    how: How
    parameters: int
    trained: int
    rate: float | None
    decay: float


@dataclass(frozen=True)
class SourceRow:
    """A data set: its samples and their visits in an epoch; None, with the reason, where it is not here."""

    name: str
    repeats: float
    samples: int | None
    problem: str = ""

    @property
    def visits(self) -> int | None:
        """Visits in an epoch."""
        return None if self.samples is None else round(self.samples * self.repeats)


@dataclass(frozen=True)
class Memory:
    """Bytes for each device: exact but for `activations`, which is a rough guess."""

    weights: int
    gradients: int
    optimiser: int
    activations: int

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.gradients + self.optimiser + self.activations


@dataclass(frozen=True)
class Plan:
    """All of it. steps: None where data is missing. planned_with: what the sizes were taken from."""

    recipe: Recipe
    planned_with: str
    parts: tuple[PartRow, ...]
    sources: tuple[SourceRow, ...]
    steps: int | None
    memory: Memory

    @property
    def trained(self) -> int:
        """Numbers that are trained."""
        return sum(row.trained for row in self.parts)

    @property
    def choices(self) -> dict[str, str]:
        """Every choice that is made."""
        return {name: str(value) for name, value in asdict(self.recipe.resolved).items()}


def make_plan(recipe: Recipe, ranks: int = 1, trust_code: bool = False) -> Plan:
    """The plan of a recipe for so many processes; reads annotations, but no weights and no pictures."""
    recipe.batch.micro_batches(ranks)
    config, planned_with = planned_config(recipe)
    config = with_choices(config, recipe)
    check_consent(config.own_parts, trust_code, f"the recipe {recipe.name}")
    model = planned_model(config)
    sources = tuple(_source_rows(recipe))
    steps = recipe.steps
    if steps is None and sources and not any(row.problem for row in sources):
        steps = count_steps(recipe, open_mixture(recipe, ranks), ranks)
    rows = part_rows(model, recipe)
    return Plan(recipe, planned_with, rows, sources, steps, _memory(recipe, rows, config, ranks))


def planned_config(recipe: Recipe) -> tuple[ModelConfig, str]:
    """The configuration of the model that a recipe starts from, without fetching it; and where it is from."""
    start = recipe.start
    if start.model in BUNDLED or os.path.isdir(start.model):
        folder = find_checkpoint(start.model)
        content = read_json(folder / CONFIG)
        if content.get("model_type") in BASE_TYPES:
            sam2 = Sam2Config.preset(start.sam2_preset or "b+")
            return from_published(content, PUBLISHED_TOKENS, sam2), str(folder)
        return read_config(folder, Tokenizer.open(folder).ids()), str(folder)
    if start.size is None:
        raise ConfigError(
            f"{start.model} is not on this machine; fetch it, or give start.size=3b, 7b or qwen3-2b to plan"
        )
    return known_config(start.size), f"the published sizes of {start.size} ({start.model} is not here)"


def planned_model(config: ModelConfig) -> UniPixel:
    """A model without memory for its weights."""
    from transformers.initialization import no_init_weights

    with torch.device("meta"), no_init_weights():
        return UniPixel(config, build_backbone(config))


def part_rows(model: nn.Module, recipe: Recipe) -> tuple[PartRow, ...]:
    """The table of parts; adapters are counted, not made."""
    adapters: dict[str, int] = {}
    layers = set(adapted_layers(model, recipe))
    for name, module in model.named_modules():
        if name in layers:
            assert isinstance(module, nn.Linear), "adapters lie around linear layers"
            part = "language" if name.startswith("backbone.text.") else "visual"
            size = recipe.lora.rank * (module.in_features + module.out_features)
            adapters[part] = adapters.get(part, 0) + size
    rows = []
    for group in group_parameters(model, recipe):
        assert not any(is_adapter(name) for name in group.names), "adapters are not made yet"
        tuning = recipe.parts.named()[group.part]
        trained = adapters.get(group.part, 0) if tuning.how == "lora" else 0
        trained = group.count if group.how == "full" else trained
        rate = (recipe.optimiser.rate if tuning.rate is None else tuning.rate) if trained else None
        decay = (recipe.optimiser.decay if tuning.decay is None else tuning.decay) if trained else 0.0
        rows.append(PartRow(group.part, tuning.how, group.count, trained, rate, decay))
    return tuple(rows)


def _source_rows(recipe: Recipe) -> list[SourceRow]:
    rows = []
    for source in recipe.data:
        try:
            rows.append(SourceRow(source.name, source.repeats, len(open_source(source, recipe))))
        except DataError as error:
            rows.append(SourceRow(source.name, source.repeats, None, str(error)))
    return rows


def _memory(recipe: Recipe, rows: tuple[PartRow, ...], config: ModelConfig, ranks: int) -> Memory:
    trained = sum(row.trained for row in rows)
    whole = sum(row.parameters for row in rows)
    adapters = sum(row.trained for row in rows if row.how == "lora")
    frozen = whole + adapters - trained
    weights = frozen * (2 if recipe.precision == "bfloat16" else 4) + 4 * trained
    share = ranks if recipe.strategy == "fsdp" else 1
    activations = round(_activations(recipe, config))
    return Memory(weights // share, 4 * trained // share, 8 * trained // share, activations)


def _activations(recipe: Recipe, config: ModelConfig) -> float:
    """A rough guess of what a micro-batch keeps for its backward pass."""
    text, vision = (_sizes(config, part) for part in ("text_config", "vision_config"))
    cells = (recipe.seen.max_pixels or 256 * 28 * 28) // (28 * 28) * (recipe.seen.frames + 1) // 2
    wide = 2 if recipe.precision == "float32" else 1
    layers, tuned = 0.0, {part for part, tuning in recipe.parts.named().items() if tuning.how != "frozen"}
    stacks = []
    if tuned & {"visual", "language", "embeddings", "prompt_points", "prompt", "memory"}:
        stacks.append((cells + TEXT_TOKENS, text))  # whatever enters the language model is reached through it
    if "visual" in tuned:
        stacks.append((4 * cells, vision))
    for tokens, (width, depth) in stacks:
        kept = (2 * depth + LAYER_BYTES) if recipe.recompute else LAYER_BYTES * depth
        layers += wide * tokens * width * kept
    scale = (config.sam2.image_size / 256) ** 2 * wide / 2
    objects = recipe.seen.objects or 1
    trains_masks = recipe.parts.seg_head.how == "full" or recipe.parts.sam2.how == "full"
    tracking = OBJECT_BYTES * scale * recipe.seen.frames * objects if trains_masks else 0.0
    tracking /= recipe.seen.frames if recipe.recompute else 1
    encoder = FRAME_BYTES * scale * recipe.seen.frames if recipe.parts.sam2.how == "full" else 0.0
    return recipe.batch.micro * (layers + tracking + encoder)


def _sizes(config: ModelConfig, part: str) -> tuple[int, int]:
    """(width, depth) of a stack of layers."""
    content = config.backbone_config.get(part) or config.backbone_config
    return int(content["hidden_size"]), int(content.get("num_hidden_layers") or content.get("depth") or 1)


def describe(plan: Plan) -> str:
    """The plan for people."""
    recipe = plan.recipe
    lines = [f"{recipe.name}: {recipe.fidelity}; sizes from {plan.planned_with}", ""]
    lines.append(f"{'part':14} {'how':7} {'parameters':>14} {'trained':>13} {'rate':>9} {'decay':>7}")
    for row in plan.parts:
        rate = "" if row.rate is None else f"{row.rate:g}"
        decay = "" if row.rate is None else f"{row.decay:g}"
        lines.append(f"{row.part:14} {row.how:7} {row.parameters:14,} {row.trained:13,} {rate:>9} {decay:>7}")
    total = sum(row.parameters for row in plan.parts)
    lines += [f"{'':14} {'':7} {total:14,} {plan.trained:13,}", ""]
    lines += [_source_line(row) for row in plan.sources] or ["no data is named: give data.NAME.repeats=1"]
    batch, steps = recipe.batch, "unknown until all data is here" if plan.steps is None else f"{plan.steps:,}"
    lines += ["", f"steps: {steps}, of {batch.size} samples ({batch.micro} on a device at a time)"]
    memory = plan.memory
    parts = ("weights", "gradients", "optimiser", "activations")
    shown = ", ".join(f"{name} {getattr(memory, name) / 1e9:.2f}" for name in parts)
    lines.append(
        f"memory of a device: about {memory.total / 1e9:.1f} GB ({shown}; the last is a rough guess)"
    )
    lines += ["", "choices:", *(f"  {name}: {value}" for name, value in plan.choices.items())]
    return "\n".join(lines)


def _source_line(row: SourceRow) -> str:
    if row.samples is None:
        return f"{row.name:40} x {row.repeats:<4g} not here: {row.problem}"
    return f"{row.name:40} x {row.repeats:<4g} {row.samples:10,} samples {row.visits:10,} visits"
