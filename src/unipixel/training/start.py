"""The model that a recipe starts from, ready to be trained."""

from __future__ import annotations

import logging
import random
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from unipixel.hub import find_checkpoint
from unipixel.hub import is_adapter as is_adapter_folder
from unipixel.loading import empty_model, load
from unipixel.model.config import ModelConfig
from unipixel.model.own_parts import check_consent, find_class
from unipixel.model.sam2.prompt_encoder import FOURIER_MATRIX
from unipixel.model.unipixel import UniPixel
from unipixel.model.weights import load_state, merge_adapter, published_state
from unipixel.predictor import Predictor
from unipixel.processing.processor import Processor
from unipixel.training.lora import wrap
from unipixel.training.parameters import adapted_layers, freeze, group_parameters, trained
from unipixel.training.recipe import Recipe

log = logging.getLogger(__name__)

DRAWN_SEED = 7919
"""Added to a recipe's seed for position matrices that are drawn anew."""


def open_start(recipe: Recipe, trust_code: bool = False) -> Predictor:
    """What the recipe starts from, with its choices made and the parts of earlier stages laid over it.

    Raises ConfigError where a user's own code would run without `trust_code`.
    """
    check_consent(recipe.own.named(), trust_code, f"the recipe {recipe.name}")
    start = recipe.start
    dtype = "bfloat16" if recipe.precision == "bfloat16" else "float32"
    folder = find_checkpoint(start.model)
    fresh = start.sam2 is not None and not is_adapter_folder(folder)
    with warnings.catch_warnings():
        if recipe.resolved.position_matrices == "drawn":
            warnings.filterwarnings("ignore", message=".*random position matrices.*")
        opened = load(
            folder,
            device="cpu",
            dtype=dtype,
            base=start.base,
            sam2=start.sam2,
            sam2_preset=start.sam2_preset,
            seed=recipe.seed if fresh else None,
            trust_code=trust_code,
        )
    config = with_choices(opened.config, recipe)
    model = opened.model if config == opened.config else _rebuilt(opened.model, config, recipe)
    for partial in start.partials:
        load_state(model, merge_adapter(published_state(model), Path(partial)), partial)
    if recipe.resolved.position_matrices == "drawn":
        _draw_matrices(model, recipe.seed + DRAWN_SEED)
    return Predictor(model, Processor(config, opened.processor.tokenizer), opened.sources)


def with_choices(config: ModelConfig, recipe: Recipe) -> ModelConfig:
    """A model's configuration with the recipe's choices."""
    made = recipe.resolved
    order = config.region_order if made.region_order in (None, "checkpoint") else made.region_order
    seconds = config.seconds if made.seconds in (None, "checkpoint") else made.seconds
    rotary = made.rotary_gradients or config.sam2.rotary_gradients
    return replace(
        config,
        own_parts={**config.own_parts, **recipe.own.named()},
        region_order=order,  # type: ignore[arg-type]
        seconds=seconds,  # type: ignore[arg-type]
        sam2=replace(config.sam2, rotary_gradients=rotary),
    )


def _rebuilt(model: UniPixel, config: ModelConfig, recipe: Recipe) -> UniPixel:
    """The same weights under another configuration. A part of the user's own begins as its class makes it,
    but takes what has the same name and shape as in the part that it replaces."""
    new = empty_model(config, model.dtype)
    replaced = recipe.own.named()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        for part, path in replaced.items():
            new.replace_part(part, find_class(path))
    new.to(model.dtype)
    own, old = new.state_dict(), model.state_dict()
    fit = {name: tensor for name, tensor in old.items() if name in own and own[name].shape == tensor.shape}
    missing = [name for name in own if name not in fit and name.partition(".")[0] not in replaced]
    assert not missing, f"{missing[:5]} changed with the recipe's choices"
    new.load_state_dict(fit, strict=False)
    return new


def _draw_matrices(model: UniPixel, seed: int) -> None:
    """The random position matrices of prompts, drawn anew as the published training does at every start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, matrix in prompt_matrices(model).items():
            matrix.copy_(torch.randn(matrix.shape, generator=generator))
            log.info("%s is drawn anew", name)


def prompt_matrices(model: UniPixel) -> dict[str, Tensor]:
    """The random position matrices of prompts, without which what was trained with them means nothing."""
    return {
        name: buffer
        for name, buffer in model.named_buffers()
        if name.endswith(FOURIER_MATRIX) and name.startswith("object_prompt.")
    }


def ready(model: UniPixel, recipe: Recipe) -> UniPixel:
    """Make a model trainable in place: adapters, what is frozen, data types, modes, recomputing."""
    if recipe.parts.has_lora:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            wrap(model, adapted_layers(model, recipe), recipe.lora)
    groups = group_parameters(model, recipe)
    freeze(groups)
    for _, parameter in trained(groups):
        parameter.data = parameter.data.float()  # trained in full precision, whatever it is multiplied in
    if recipe.recompute:
        for part in (model.backbone.text, model.backbone.visual):
            assert isinstance(part, PreTrainedModel), f"layers of a {type(part).__name__}"
            # transformers renamed it within the versions that are allowed.
            enable = getattr(part, "activation_checkpointing_enable", part.gradient_checkpointing_enable)
            enable({"use_reentrant": False})
    set_modes(model, recipe)
    return model


def set_modes(model: UniPixel, recipe: Recipe) -> None:
    """Training mode, but for frozen parts where the recipe turns their dropout off."""
    model.train()
    if recipe.resolved.frozen_dropout == "active":
        return
    tunings = recipe.parts.named()
    backbone = model.backbone
    modules = {
        "visual": backbone.visual,
        "language": backbone.text,
        "prompt_points": model.object_prompt.points,
        "memory": model.object_memory,
        "seg_head": model.seg_head,
        "sam2": model.sam2,
    }
    for part, module in modules.items():
        if tunings[part].how == "frozen":
            assert isinstance(module, torch.nn.Module), f"{part} is no module"
            module.eval()


def seed_everything(seed: int) -> None:
    """All sources of random numbers that a model may use."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
