"""The finished model from a run's state: whole in our layout or the published one, or only what training
changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from unipixel.errors import ConfigError
from unipixel.loading import save
from unipixel.model.checkpoint import ARCHITECTURE, CONFIG, describe, is_published
from unipixel.predictor import Predictor
from unipixel.training.checkpoints import read_trained
from unipixel.training.lora import in_file, merge, write_adapter
from unipixel.training.recipe import Export, Recipe
from unipixel.training.start import open_start, prompt_matrices, ready

ORDER: tuple[Export, ...] = ("partial", "adapter", "whole", "published")
"""Adapters are written before they are merged."""
PARTIAL = "pytorch_model.safetensors"


def export(recipe: Recipe, state: Path, folder: Path, trust_code: bool = False) -> tuple[Path, ...]:
    """Write everything that a recipe wants of a state, each into a folder of its name below `folder`.

    The start is opened again, so that it does not matter how the model was spread while it was trained.
    """
    opened = open_start(recipe, trust_code)
    ready(opened.model, recipe)
    trained = read_trained(state)
    own = dict(opened.model.named_parameters())
    with torch.no_grad():
        for name, tensor in trained.items():
            own[name].copy_(tensor)
    written, merged = [], not recipe.parts.has_lora
    for kind in sorted(set(recipe.save.exports), key=ORDER.index):
        target = folder / kind
        shutil.rmtree(target, ignore_errors=True)
        if kind in ("whole", "published"):
            if not merged:
                merge(opened.model)
                merged = True
            save(opened, target, layout="unipixel" if kind == "whole" else "published")
        else:
            _write_changes(kind, recipe, opened, trained, target)
        written.append(target)
    return tuple(written)


def _write_changes(
    kind: Export, recipe: Recipe, opened: Predictor, trained: Mapping[str, Tensor], target: Path
) -> None:
    target.mkdir(parents=True)
    base = str(opened.sources[0]) if opened.sources else recipe.start.model
    made = opened.config
    published = is_published(made)
    content = describe(made, "published" if published else "unipixel") | {"base_model_path": base}
    (target / CONFIG).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if published:
        sizes = json.dumps(made.sam2.to_architecture(), indent=2)
        (target / ARCHITECTURE).write_text(sizes + "\n", encoding="utf-8")
    opened.processor.tokenizer.save(target)
    if kind == "adapter":
        write_adapter(target, trained, recipe.lora, base)
    elif recipe.parts.has_lora:
        raise ConfigError("a recipe with adapters exports 'adapter', which has the partial file with it")
    rest = {in_file(name): tensor for name, tensor in trained.items() if ".lora_" not in name}
    if recipe.resolved.position_matrices == "kept":
        rest |= {in_file(name): matrix for name, matrix in prompt_matrices(opened.model).items()}
    save_file({name: tensor.contiguous() for name, tensor in rest.items()}, target / PARTIAL)
    (target / PARTIAL).chmod(0o644)
