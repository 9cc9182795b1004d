"""Every parameter in exactly one group, and the counts of the published stages."""

from functools import cache

import pytest
import torch
from torch import nn

from unipixel.errors import ConfigError
from unipixel.model.presets import PublishedSize, published_config
from unipixel.model.unipixel import UniPixel
from unipixel.training.parameters import group_parameters, make_optimiser, part_of
from unipixel.training.plan import part_rows, planned_model
from unipixel.training.recipe import Recipe
from unipixel.training.recipes import get_recipe, recipes

PROMPT = {"3b": 4_329_984, "7b": 6_690_816}
SEG_HEAD = {"3b": 5_247_488, "7b": 14_687_744}
SAM2 = 80_850_178


@cache
def model_of(size: PublishedSize) -> UniPixel:
    return planned_model(published_config(size))


@pytest.mark.parametrize("size", ["3b", "7b"])
def test_counts_of_the_published_stages(size: PublishedSize) -> None:
    model = model_of(size)

    def counts(stage: int) -> dict[str, tuple[int, float | None]]:
        rows = part_rows(model, get_recipe(f"stage_{stage}_{size}"))
        return {row.part: (row.trained, row.rate) for row in rows if row.trained}

    assert counts(1) == {"prompt": (PROMPT[size], 1e-3)}
    assert counts(2) == {"seg_head": (SEG_HEAD[size], 1e-3)}
    third = counts(3)
    assert third["sam2"] == (SAM2, 5e-6)
    assert third["prompt"] == (PROMPT[size], 2e-5)
    assert third["seg_head"] == (SEG_HEAD[size], 2e-5)
    assert third["language"] == (adapters_of(model, "backbone.text.", "_proj", ".self_attn."), 2e-5)
    assert third["visual"] == (adapters_of(model, "backbone.visual.", "", ".attn."), 2e-5)
    assert third.keys() == {
        *("visual", "language", "embeddings", "prompt_points", "prompt", "memory", "seg_head", "sam2")
    }


def adapters_of(model: nn.Module, prefix: str, suffix: str, inside: str) -> int:
    """Counted another way: from the shapes of all weights of attention layers."""
    return sum(
        128 * sum(parameter.shape)
        for name, parameter in model.named_parameters()
        if name.startswith(prefix) and inside in name and name.endswith(f"{suffix}.weight")
    )


@pytest.mark.parametrize("size", ["3b", "7b"])
@pytest.mark.parametrize("name", ["stage_1", "stage_2", "stage_3", "finetune", "debug"])
def test_every_parameter_is_in_exactly_one_group(name: str, size: PublishedSize) -> None:
    model = model_of(size)
    named = f"{name}_{size}" if name.startswith("stage") else name
    groups = group_parameters(model, recipes()[named])
    names = [member for group in groups for member in group.names]
    assert sorted(names) == sorted(member for member, _ in model.named_parameters())
    assert sum(group.count for group in groups) == sum(p.numel() for p in model.parameters())


def test_a_parameter_of_no_part_is_told() -> None:
    with pytest.raises(ConfigError, match=r"extra\.weight belongs to no part"):
        part_of("extra.weight")


def test_rates_reach_the_optimiser() -> None:
    groups = group_parameters(model_of("3b"), get_recipe("debug"))
    optimiser = make_optimiser(groups, get_recipe("debug"))
    rates = {group["initial_lr"] for group in optimiser.param_groups}
    assert rates == {1e-4, 5e-6}
    slow = [group for group in optimiser.param_groups if group["initial_lr"] == 5e-6]
    assert sum(p.numel() for group in slow for p in group["params"]) == SAM2
    with pytest.raises(ConfigError, match="trains nothing"):
        make_optimiser(group_parameters(nn.Module(), Recipe("empty")), Recipe("empty"))
    assert torch.device("meta") == next(model_of("3b").parameters()).device
