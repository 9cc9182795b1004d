"""Training: the tests of tests/training with the other base model, and the recipe for it. Left out are those
of the published layout, which knows Qwen2.5-VL only."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.conftest import ROOT
from tests.training import test_lora, test_trainer
from tests.training.small_runs import small_recipe, words
from tests.training.test_checkpoints import *  # noqa: F403
from tests.training.test_lora import *  # noqa: F403
from tests.training.test_trainer import *  # noqa: F403
from tests.training.test_trainer import ALONE

from unipixel.errors import ConfigError, WeightsError
from unipixel.loading import load
from unipixel.model.weights import published_state
from unipixel.training.recipe_file import read_recipe
from unipixel.training.run import open_trainer, run

del globals()[test_lora.test_what_is_written_has_the_published_names_and_opens.__name__]
del globals()[test_trainer.test_the_published_fidelity_trains_and_is_written_in_the_published_layout.__name__]
del globals()[test_trainer.test_a_fresh_start_from_a_base_and_a_mask_decoder.__name__]  # below


@pytest.fixture(scope="module")
def parts(golden_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What a fresh start is made of: a plain Qwen3-VL as transformers writes it, and Meta's file."""
    folder, opened = tmp_path_factory.mktemp("parts"), load(golden_checkpoint)
    base, file = folder / "base", folder / "sam2.1.pt"
    opened.model.backbone.config.save_pretrained(base)
    state = published_state(opened.model)
    save_file(
        {in_transformers(n): t.clone() for n, t in state.items() if in_transformers(n)},
        base / "model.safetensors",
    )
    opened.processor.tokenizer.save(base)
    decoder = {name.removeprefix("sam2."): one for name, one in state.items() if name.startswith("sam2.")}
    for name in [n for n in decoder if re.fullmatch(r"memory_encoder\.fuser\.layers\.\d+\.weight", n)]:
        decoder[name.removesuffix("weight") + "gamma"] = decoder.pop(name)
    torch.save({"model": decoder}, file)
    sizes = "sam2_architecture.json"
    shutil.copyfile(ROOT / "tests" / "golden" / "checkpoint" / sizes, folder / sizes)
    return base, file


def in_transformers(name: str) -> str:
    if name.startswith("model."):
        return "model.language_model." + name.removeprefix("model.")
    return "model." + name if name.startswith("visual.") else ""


def test_a_fresh_model_is_made_of_a_plain_base(golden_checkpoint: Path, parts: tuple[Path, Path]) -> None:
    base, file = parts
    fresh, old = load(base, sam2=file), load(golden_checkpoint)
    assert (fresh.config.backbone, fresh.config.region_order) == ("qwen3_vl", "raster")
    assert (fresh.config.pixels.min_pixels, fresh.config.pixels.max_pixels) == (128 * 1024, 256 * 1024)
    ours, theirs = published_state(fresh.model), published_state(old.model)
    for name in theirs:
        if name.startswith(("model.", "visual.", "sam2.")):
            assert torch.equal(ours[name], theirs[name]), name
    for index, layer in ((0, "linear_fc1"), (2, "linear_fc2")):
        for what in ("weight", "bias"):
            assert torch.equal(ours[f"msk_proj.{index}.{what}"], ours[f"visual.merger.{layer}.{what}"])
    with pytest.raises(WeightsError, match="is a plain Qwen3-VL; give Meta"):
        load(base)


def test_the_recipe_for_it_trains_adapters_over_a_fresh_model(
    golden_checkpoint: Path, parts: tuple[Path, Path], tmp_path: Path
) -> None:
    base, file = parts
    given = [*words(base, tmp_path / "data"), f"start.sam2={file}", "steps=2", "seed=3"]
    made = read_recipe("debug_qwen3", [*given, 'save.exports=["adapter","whole"]', "precision=float32"])
    folder = run(made, tmp_path / "run")
    whole, adapter = load(folder / "whole"), load(folder / "adapter", sam2=file)
    assert whole.config.backbone == adapter.config.backbone == "qwen3_vl"
    ours, theirs = published_state(whole.model), published_state(adapter.model)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in ours)
    before = load_file(base / "model.safetensors")
    assert not torch.equal(
        ours["visual.blocks.0.attn.qkv.weight"], before["model.visual.blocks.0.attn.qkv.weight"]
    )


def test_every_level_is_trained(golden_checkpoint: Path, tmp_path: Path) -> None:
    """Gradients reach the mergers of DeepStack through the layers that their levels enter."""
    made = open_trainer(small_recipe(golden_checkpoint, tmp_path / "data"), tmp_path / "run", ALONE)
    made.add_gradients(next(made.stream.steps()))
    levels = [name for name in made.parameters if "deepstack_merger_list" in name]
    assert len(levels) == 12
    assert all(made.parameters[name].grad.abs().sum() > 0 for name in levels)


@pytest.mark.parametrize("precision", ["mixed", "bfloat16"])
def test_other_precisions(precision: str, golden_checkpoint: Path, tmp_path: Path) -> None:
    figures = {}
    for name in ("float32", precision):
        words = ["parts.visual.how=frozen", "choices.frozen_dropout=off", f"precision={name}"]
        made = open_trainer(
            small_recipe(golden_checkpoint, tmp_path / "data", *words), tmp_path / name, ALONE
        )
        figures[name] = made.add_gradients(next(made.stream.steps()))
        assert all(parameter.grad.isfinite().all() for parameter in made.parameters.values())
    exact, found = figures["float32"], figures[precision]
    assert found["language"] != exact["language"]
    assert found["language"] == pytest.approx(exact["language"], rel=0.1)


def test_frozen_parts_learn_nothing(golden_checkpoint: Path, tmp_path: Path) -> None:
    words = [f"parts.{part}.how=frozen" for part in ("sam2", "visual")]
    made = open_trainer(small_recipe(golden_checkpoint, tmp_path / "data", *words), tmp_path / "run", ALONE)
    model = made.module.model
    assert not model.sam2.training and not model.backbone.visual.training and model.backbone.text.training
    made.add_gradients(next(made.stream.steps()))
    assert all(
        parameter.grad is None
        for parameter in (*model.sam2.parameters(), *model.backbone.visual.parameters())
    )
    assert all(parameter.grad is not None for parameter in model.seg_head.parameters())


def test_a_published_export_is_refused_before_the_first_step(golden_checkpoint: Path, tmp_path: Path) -> None:
    made = small_recipe(golden_checkpoint, tmp_path / "data", "fidelity=published", "save.exports=published")
    with pytest.raises(ConfigError, match=r"knows Qwen2\.5-VL only"):
        run(made, tmp_path / "run")
    assert not (tmp_path / "run").exists()
