"""Which parameter belongs to which part, and how each part is trained: every parameter exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from unipixel.errors import ConfigError
from unipixel.training.recipe import How, Recipe, Tuning

PREFIXES = (
    ("embeddings", "backbone.text.embed_tokens."),
    ("embeddings", "backbone.head."),
    ("language", "backbone.text."),
    ("language", "backbone.norm."),
    ("visual", "backbone.visual."),
    ("prompt_points", "object_prompt.points."),
    ("prompt", "object_prompt."),
    ("memory", "object_memory."),
    ("seg_head", "seg_head."),
    ("sam2", "sam2."),
)
"""(part, how the names of its parameters begin); the first that fits counts."""

ADAPTED = (
    *(f".self_attn.{name}_proj" for name in ("q", "k", "v", "o")),
    *(".attn.qkv", ".attn.proj"),
)
"""How the names of the layers end that take adapters: q, k, v, o of decoder and tower."""
ADAPTER_MARK = ".lora_"


@dataclass(frozen=True)
class Group:
    """Parameters that are trained alike.

    Attributes:
        part: the part they belong to; adapters belong to the part that they adapt.
        how: "frozen", "full" or "lora".
        rate, decay: None and 0 for frozen ones.
        names, parameters: theirs.
    """

    part: str
    how: How
    rate: float | None
    decay: float
    names: tuple[str, ...]
    parameters: tuple[nn.Parameter, ...]

    @property
    def count(self) -> int:
        """How many numbers these are."""
        return sum(parameter.numel() for parameter in self.parameters)


def part_of(name: str) -> str:
    """The part of a parameter by its name; ConfigError for one that no part has."""
    for part, prefix in PREFIXES:
        if name.startswith(prefix):
            return part
    raise ConfigError(f"the parameter {name} belongs to no part; parts are those of unipixel.training.recipe")


def is_adapter(name: str) -> bool:
    """Whether a parameter is a factor of an adapter."""
    return ADAPTER_MARK in name


def adapted_layers(model: nn.Module, recipe: Recipe) -> list[str]:
    """Names of the linear layers that take adapters."""
    tunings = recipe.parts.named()
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and name.endswith(ADAPTED)
        and tunings[part_of(name + ".weight")].how == "lora"
    ]


def group_parameters(model: nn.Module, recipe: Recipe) -> tuple[Group, ...]:
    """Every parameter of a model, with its adapters if it has some, in exactly one group; frozen groups too.

    Parameters are neither frozen nor unfrozen here.
    """
    found: dict[tuple[str, How], list[tuple[str, nn.Parameter]]] = {}
    tunings = recipe.parts.named()
    for name, parameter in model.named_parameters():
        part = part_of(name)
        how: How = tunings[part].how
        if how == "lora" and not is_adapter(name):
            how = "frozen"
        found.setdefault((part, how), []).append((name, parameter))
    groups = tuple(
        _group(part, how, members, tunings[part], recipe) for (part, how), members in sorted(found.items())
    )
    _check_once(model, groups)
    return groups


def _group(
    part: str, how: How, members: list[tuple[str, nn.Parameter]], tuning: Tuning, recipe: Recipe
) -> Group:
    names, parameters = (tuple(column) for column in zip(*members, strict=True))
    if how == "frozen":
        return Group(part, how, None, 0.0, names, parameters)
    rate = recipe.optimiser.rate if tuning.rate is None else tuning.rate
    decay = recipe.optimiser.decay if tuning.decay is None else tuning.decay
    return Group(part, how, rate, decay, names, parameters)


def _check_once(model: nn.Module, groups: tuple[Group, ...]) -> None:
    grouped = [id(parameter) for group in groups for parameter in group.parameters]
    everything = {id(parameter) for parameter in model.parameters()}
    assert len(grouped) == len(set(grouped)), "a parameter is in two groups"
    assert set(grouped) == everything, f"{len(everything - set(grouped))} parameters are in no group"


def freeze(groups: tuple[Group, ...]) -> None:
    """Gradients for what is trained, none for the rest."""
    for group in groups:
        for parameter in group.parameters:
            parameter.requires_grad_(group.how != "frozen")


def trained(groups: tuple[Group, ...]) -> Iterator[tuple[str, nn.Parameter]]:
    """Names and parameters of what is trained."""
    for group in groups:
        if group.how != "frozen":
            yield from zip(group.names, group.parameters, strict=True)


def make_optimiser(groups: tuple[Group, ...], recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with a parameter group for each group that is trained; `initial_lr` is its full rate."""
    wanted = [group for group in groups if group.how != "frozen"]
    if not wanted:
        raise ConfigError("this recipe trains nothing; set parts.….how to 'full' or 'lora'")
    settings = [
        {
            "params": list(group.parameters),
            "lr": group.rate,
            "initial_lr": group.rate,
            "weight_decay": group.decay,
        }
        for group in wanted
    ]
    return torch.optim.AdamW(settings, betas=recipe.optimiser.betas, eps=recipe.optimiser.eps)
