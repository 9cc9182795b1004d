"""The loop: steps, what is told of them, and what stops them."""

import json
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import ROOT
from tests.training.small_runs import small_recipe

from unipixel.data.mixture import TooManyFailures
from unipixel.errors import ConfigError
from unipixel.loading import load
from unipixel.model.unipixel import UniPixel
from unipixel.training.distributed import World
from unipixel.training.learner import Exercise
from unipixel.training.reporting import open_reporters
from unipixel.training.run import open_trainer, run
from unipixel.training.start import open_start, prompt_matrices
from unipixel.training.trainer import LossError, Trainer

ALONE = World(0, 1, torch.device("cpu"), "single")


@pytest.fixture
def trainer(golden_checkpoint: Path, tmp_path: Path) -> Trainer:
    return open_trainer(small_recipe(golden_checkpoint, tmp_path / "data"), tmp_path / "run", ALONE)


def test_the_loss_falls_and_is_logged(golden_checkpoint: Path, tmp_path: Path) -> None:
    words = ["steps=16", "optimiser.rate=1e-3", "parts.sam2.rate=1e-3", "save.every=none", "save.exports=[]"]
    seen: list[int] = []

    class Watcher:
        def after_step(self, step: int, model: UniPixel, exercises: Sequence[Exercise]) -> None:
            assert len(exercises) == 2, "micro-batches"
            seen.append(step)

    folder = run(
        small_recipe(golden_checkpoint, tmp_path / "data", *words), tmp_path / "run", watchers=[Watcher()]
    )
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == seen == list(range(1, 17))
    assert lines[-1]["language"] < 0.8 * lines[0]["language"]
    assert {"total", "masks", "focal", "rate", "samples_per_second", "seconds_left", "gradient"} <= lines[
        0
    ].keys()
    assert sorted(path.name for path in folder.iterdir()) == ["log.jsonl", "recipe.json", "step-00000016"]


def test_micro_batches_weigh_equally(trainer: Trainer) -> None:
    exercises = next(trainer.stream.steps())
    assert len(exercises) == 2
    trainer.add_gradients(exercises)
    together = {name: parameter.grad.clone() for name, parameter in trainer.parameters.items()}
    alone = []
    for exercise in exercises:
        trainer.optimiser.zero_grad()
        trainer.add_gradients([exercise])
        alone.append({name: parameter.grad.clone() for name, parameter in trainer.parameters.items()})
    for name, gradient in together.items():
        mean = (alone[0][name] + alone[1][name]) / 2
        assert torch.allclose(gradient, mean, rtol=1e-3, atol=1e-5 * float(mean.norm()) + 1e-6), name


def test_parameters_that_take_no_part_get_a_gradient_of_zero(trainer: Trainer) -> None:
    trainer.add_gradients(next(trainer.stream.steps()))
    unused = trainer.parameters["object_memory.project.0.weight"].grad
    assert unused is not None and not unused.any()


def test_a_loss_that_is_no_number_names_the_sample(trainer: Trainer) -> None:
    with torch.no_grad():
        trainer.parameters["seg_head.1.weight"].fill_(float("nan"))
    with pytest.raises(LossError, match=r"step 1: the loss is nan for revos .+") as caught:
        trainer.take_step(next(trainer.stream.steps()))
    assert "last state" in str(caught.value)


def test_gradients_are_clipped_when_they_should(trainer: Trainer) -> None:
    figures = trainer.take_step(next(trainer.stream.steps()))
    assert figures["gradient"] > 1.0, "there was something to clip"
    unclipped = replace(trainer.recipe, optimiser=replace(trainer.recipe.optimiser, clip=None))
    trainer.recipe = unclipped
    assert "gradient" not in trainer.take_step(next(trainer.stream.steps()))


def test_parts_have_their_own_rates(trainer: Trainer) -> None:
    trainer.take_step(next(trainer.stream.steps()))
    shares = {group["lr"] / group["initial_lr"] for group in trainer.optimiser.param_groups}
    assert len(shares) == 1
    assert {group["initial_lr"] for group in trainer.optimiser.param_groups} == {1e-4, 5e-6}


def test_loader_processes_change_nothing(golden_checkpoint: Path, tmp_path: Path) -> None:
    ids = []
    for workers in (0, 2):
        recipe = small_recipe(golden_checkpoint, tmp_path / "data", f"workers={workers}")
        steps = open_trainer(recipe, tmp_path / "run", ALONE).stream.steps()
        ids.append([exercise for _ in range(3) for exercise in next(steps)])
        steps.close()
    for ours, theirs in zip(*ids, strict=True):
        assert ours.names == theirs.names
        assert torch.equal(ours.what.inputs.token_ids, theirs.what.inputs.token_ids)
        assert torch.equal(ours.what.targets.frames[0], theirs.what.targets.frames[0])


def test_broken_data_stops_the_run(golden_checkpoint: Path, tmp_path: Path) -> None:
    recipe = small_recipe(golden_checkpoint, tmp_path / "data")
    for picture in (tmp_path / "data").rglob("*.jpg"):
        picture.write_bytes(b"no picture")
    with pytest.raises(TooManyFailures, match="in a row that failed"):
        run(recipe, tmp_path / "run")


def test_no_data_is_told(golden_checkpoint: Path, tmp_path: Path) -> None:
    recipe = replace(small_recipe(golden_checkpoint, tmp_path / "data"), data=())
    with pytest.raises(ConfigError, match="names no data"):
        run(recipe, tmp_path / "run")


def test_trackers_hear_what_the_log_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    fake = SimpleNamespace(
        init=lambda **given: told.append(given["project"]),
        log=lambda figures, step: told.append((step, figures)),
        finish=lambda: told.append("end"),
    )
    board = SimpleNamespace(
        SummaryWriter=lambda folder: SimpleNamespace(
            add_scalar=lambda name, value, step: told.append((name, value, step)), close=lambda: None
        )
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
    reporters = open_reporters(["wandb", "tensorboard"], tmp_path, "mine", {})
    for reporter in reporters:
        reporter.write(3, {"total": 1.5})
        reporter.close()
    assert told == ["mine", (3, {"total": 1.5}), "end", ("total", 1.5, 3)]
    assert json.loads((tmp_path / "log.jsonl").read_text()) == {"step": 3, "total": 1.5}
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(ConfigError, match="pip install trackio"):
        open_reporters(["trackio"], tmp_path, "mine", {})


def test_stages_follow_each_other_by_their_partial_files(golden_checkpoint: Path, tmp_path: Path) -> None:
    frozen = [f"parts.{part}.how=frozen" for part in ("visual", "language", "embeddings", "prompt_points",
                                                      "prompt", "memory", "sam2")]  # fmt: skip
    words = [*frozen, "steps=1", "save.exports=partial", "optimiser.rate=1e-2"]
    folder = run(small_recipe(golden_checkpoint, tmp_path / "data", *words), tmp_path / "two")
    before = load(golden_checkpoint).model
    next_stage = small_recipe(golden_checkpoint, tmp_path / "data", f'start.partials=["{folder}/partial"]')
    after = open_start(next_stage).model
    changed = [
        name
        for name, value in after.state_dict().items()
        if not torch.equal(value, before.state_dict()[name])
    ]
    assert changed and all(name.startswith("seg_head.") for name in changed)

    published = small_recipe(golden_checkpoint, tmp_path / "data", "choices.position_matrices=drawn")
    drawn = open_start(published).model
    for name, matrix in prompt_matrices(drawn).items():
        assert not torch.equal(matrix, before.state_dict()[name]), name
    again = prompt_matrices(open_start(published).model)
    assert all(torch.equal(matrix, again[name]) for name, matrix in prompt_matrices(drawn).items())


def test_a_fresh_start_from_a_base_and_a_mask_decoder(golden_checkpoint: Path, tmp_path: Path) -> None:
    """As stage 1 begins: a plain Qwen2.5-VL and Meta's file."""
    sizes = "sam2_architecture.json"
    state = load_file(golden_checkpoint / "model.safetensors")
    decoder = {name.removeprefix("sam2."): value for name, value in state.items() if name.startswith("sam2.")}
    gammas = [name for name in decoder if re.fullmatch(r"memory_encoder\.fuser\.layers\.\d+\.weight", name)]
    for name in gammas:
        decoder[name.removesuffix("weight") + "gamma"] = decoder.pop(name)
    torch.save({"model": decoder}, tmp_path / "sam2.pt")
    shutil.copyfile(golden_checkpoint / sizes, tmp_path / sizes)
    base = ROOT / "tests" / "golden" / "adapter" / "base"
    words = [f"start.model={base}", f"start.sam2={tmp_path / 'sam2.pt'}", "steps=1", "save.exports=whole"]
    recipe = small_recipe(golden_checkpoint, tmp_path / "data", *words)
    opened = load(run(recipe, tmp_path / "run") / "whole")
    assert opened.config.region_order == "raster"
    again = open_start(recipe).model.seg_head.state_dict()
    assert all(
        torch.equal(value, open_start(recipe).model.seg_head.state_dict()[n]) for n, value in again.items()
    )


def test_object_counts_are_those_of_the_sample_or_the_mean_of_all(trainer: Trainer) -> None:
    class Two(World):
        def mean(self, values: torch.Tensor) -> torch.Tensor:
            return (values + 3) / 2  # the other process has 3 objects

    exercise = next(trainer.stream.steps())[0]
    trainer.world = Two(0, 2, torch.device("cpu"), "ddp")
    assert trainer.object_counts(exercise) is None, "corrected: each sample's own"
    trainer.recipe = replace(trainer.recipe, fidelity="published")
    (own,) = exercise.object_counts
    assert trainer.object_counts(exercise) == ((own + 3) / 2,)


def test_the_published_fidelity_trains_and_is_written_in_the_published_layout(
    golden_checkpoint: Path, tmp_path: Path
) -> None:
    words = ["fidelity=published", "steps=1", 'save.exports=["published","partial"]']
    folder = run(small_recipe(golden_checkpoint, tmp_path / "data", *words), tmp_path / "run")
    published = load(folder / "published").config
    assert (published.region_order, published.seconds) == ("window", "published")
    assert json.loads((folder / "partial" / "config.json").read_text())["model_type"] == "pixel_qwen2_5_vl"
    assert not [
        name for name in load_file(folder / "partial" / "pytorch_model.safetensors") if "gaussian" in name
    ]
    assert load(folder / "partial", base=golden_checkpoint).config.region_order == "window"
