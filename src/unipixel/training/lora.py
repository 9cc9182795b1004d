"""Adapters of linear layers (LoRA, arXiv 2106.09685) through peft: put in, taken out into the weights, and
written in the published format."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from unipixel.errors import ConfigError
from unipixel.model.weights import ADAPTER_PREFIX
from unipixel.training.recipe import Lora

NAME = "default"
"""What peft calls the one adapter."""
IN_MEMORY = (
    ("backbone.text.", "model.language_model."),
    ("backbone.visual.", "model.visual."),
)
"""(prefix in our memory, prefix in published adapter files)."""
ADAPTER_FILE, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"


def wrap(model: nn.Module, layers: list[str], lora: Lora) -> None:
    """Put adapters, with B = 0, around linear layers of a model, in place.

    The layers' own weights stay where they are under `….base_layer.weight`; nothing else is touched, so
    tied embeddings stay tied. Raises ConfigError where peft is not installed.
    """
    if importlib.util.find_spec("peft") is None:
        raise ConfigError("adapters need peft: pip install 'unipixel[train]'")
    from peft import LoraConfig, inject_adapter_in_model

    assert layers, "adapters are wanted, but no layer takes them"
    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=layers,
        bias="none",
    )
    inject_adapter_in_model(settings, model, adapter_name=NAME)


def merge(model: nn.Module) -> None:
    """W += (alpha / r) B A for every adapted layer, which then is a plain linear layer again."""
    from peft.tuners.lora import Linear

    adapted = [(name, module) for name, module in model.named_modules() if isinstance(module, Linear)]
    for name, module in adapted:
        base = module.get_base_layer()
        assert isinstance(base, nn.Linear), f"{name} adapts a {type(base).__name__}"
        with torch.no_grad():
            delta: Tensor = module.get_delta_weight(NAME)
            base.weight.copy_(base.weight.float() + delta.float())
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, base)


def adapter_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Factors among trained tensors, by their names in published adapter files."""
    return {
        in_file(name.replace(f".{NAME}.", ".")): tensor for name, tensor in state.items() if ".lora_" in name
    }


def in_file(name: str) -> str:
    """`backbone.text.layers.0.…` -> `base_model.model.model.language_model.layers.0.…`."""
    from unipixel.model.weights import published_name

    for ours, theirs in IN_MEMORY:
        if name.startswith(ours):
            return ADAPTER_PREFIX + theirs + name.removeprefix(ours)
    return ADAPTER_PREFIX + published_name(name)


def write_adapter(folder: Path, state: Mapping[str, Tensor], lora: Lora, base: str) -> None:
    """Write the factors among trained tensors, with peft's settings, into an existing folder."""
    factors = adapter_tensors(state)
    layers = sorted({name.split(".lora_")[0].removeprefix(ADAPTER_PREFIX) for name in factors})
    settings: dict[str, Any] = {
        "peft_type": "LORA",
        "base_model_name_or_path": base,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": layers,
        "bias": "none",
        "use_dora": False,
        "use_rslora": False,
        "rank_pattern": {},
        "alpha_pattern": {},
        "task_type": None,
        "inference_mode": True,
    }
    save_file({name: tensor.contiguous() for name, tensor in factors.items()}, folder / ADAPTER_FILE)
    (folder / ADAPTER_FILE).chmod(0o644)
    (folder / ADAPTER_CONFIG).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
