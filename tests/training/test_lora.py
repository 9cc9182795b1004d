"""Adapters: what they change, and what is written of them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tests.conftest import ROOT
from tests.training.small_runs import ADAPTERS, small_recipe

from unipixel.loading import load
from unipixel.model.unipixel import UniPixel
from unipixel.training.lora import merge
from unipixel.training.parameters import group_parameters, trained
from unipixel.training.plan import part_rows
from unipixel.training.recipe import Recipe
from unipixel.training.run import run
from unipixel.training.start import open_start, ready

GOLDEN_ADAPTER = ROOT / "tests" / "golden" / "adapter" / "adapter"


@pytest.fixture
def recipe(golden_checkpoint: Path, tmp_path: Path) -> Recipe:
    return small_recipe(golden_checkpoint, tmp_path / "data", *ADAPTERS, "lora.dropout=0", "steps=2")


@pytest.fixture
def model(recipe: Recipe) -> UniPixel:
    return ready(open_start(recipe).model, recipe)


def spoken(model: UniPixel) -> torch.Tensor:
    """Logits of some tokens."""
    tokens = model.backbone.embed(torch.arange(20, 40)[None])
    positions = torch.arange(20).expand(3, 1, -1)
    mask = torch.ones(1, 20, dtype=torch.bool)
    return model.backbone.speak(model.backbone.think(tokens, positions, mask).hidden)


def test_adapters_begin_without_effect_and_keep_embeddings_tied(recipe: Recipe, model: UniPixel) -> None:
    plain = open_start(recipe).model
    assert torch.equal(spoken(model), spoken(plain))
    assert model.backbone.head.weight is model.backbone.text.embed_tokens.weight
    embeddings = [name for name, _ in trained(group_parameters(model, recipe)) if "embed_tokens" in name]
    assert embeddings == ["backbone.text.embed_tokens.weight"]


def test_merged_weights_say_the_same(model: UniPixel) -> None:
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.eval()
    before = spoken(model)
    merge(model)
    assert not any(".lora_" in name or "base_layer" in name for name, _ in model.named_parameters())
    assert torch.allclose(spoken(model), before, atol=1e-5)


def test_counted_before_they_are_made(recipe: Recipe, model: UniPixel) -> None:
    planned = {row.part: row.trained for row in part_rows(open_start(recipe).model, recipe)}
    made: dict[str, int] = {}
    for group in group_parameters(model, recipe):
        made[group.part] = made.get(group.part, 0) + (group.count if group.how != "frozen" else 0)
    assert planned == made


def test_what_is_written_has_the_published_names_and_opens(
    recipe: Recipe, golden_checkpoint: Path, tmp_path: Path
) -> None:
    folder = run(recipe, tmp_path / "run")
    for file in ("adapter_model.safetensors", "pytorch_model.safetensors"):
        ours, theirs = names(folder / "adapter" / file), names(GOLDEN_ADAPTER / file)
        extra = {name for name in ours if name.endswith("gaussian_matrix")}  # ours keep what was trained with
        assert ours - extra == theirs, file
        assert len(extra) == (2 if file.startswith("pytorch") else 0)
    settings = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert (settings["r"], settings["lora_alpha"]) == (4, 8)

    whole, adapter = load(folder / "whole"), load(folder / "adapter", base=golden_checkpoint)
    for name, parameter in whole.model.state_dict().items():
        assert torch.allclose(adapter.model.state_dict()[name], parameter, atol=1e-6), name


def names(file: Path) -> set[str]:
    with safe_open(file, "pt") as opened:
        return set(opened.keys())
