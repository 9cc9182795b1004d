"""Every registered data set, from its published layout to one training step."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.data.published import BUILDERS
from tests.training.small_runs import SMALL

from unipixel.data.conversations import SampleUnusable
from unipixel.data.registry import datasets, get_dataset, open_dataset
from unipixel.training.examples import Supervisor
from unipixel.training.learner import Exercise, Learner
from unipixel.training.parameters import group_parameters, make_optimiser
from unipixel.training.recipe import Recipe
from unipixel.training.recipe_file import read_recipe
from unipixel.training.start import open_start, ready
from unipixel.training.stream import Maker

NAMES = sorted(info.name for info in datasets() if info.name != "jsonl" and not info.drawn)


@dataclass(frozen=True)
class Bench:
    recipe: Recipe
    maker: Maker
    learner: Learner
    optimiser: torch.optim.Optimizer

    def step(self, exercise: Exercise) -> float:
        losses = self.learner(exercise)
        losses.total.backward()
        self.optimiser.step()
        return losses.total.item()


@pytest.fixture(scope="module")
def bench(golden_checkpoint: Path) -> Bench:
    recipe = read_recipe("debug", [f"start.model={golden_checkpoint}", *SMALL])
    opened = open_start(recipe)
    model = ready(opened.model, recipe)
    supervisor = Supervisor(opened.processor, recipe.policy(opened.config.sam2.image_size))
    optimiser = make_optimiser(group_parameters(model, recipe), recipe)
    return Bench(recipe, Maker(supervisor, recipe.seen), Learner(model), optimiser)


@pytest.fixture
def exercises(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path) -> Iterator[Exercise]:
    """What can be made of the fixture's samples."""
    name = request.param
    BUILDERS[name](tmp_path)
    return made(open_dataset(name, get_dataset(name).splits[0], tmp_path, cache=tmp_path / "cache"), bench)


def made(samples: object, bench: Bench) -> Iterator[Exercise]:
    for index in range(len(samples)):  # type: ignore[arg-type]
        try:
            yield bench.maker(samples[index], np.random.default_rng(index), "point")  # type: ignore[index]
        except SampleUnusable:
            continue


@pytest.mark.parametrize("exercises", NAMES, indirect=True)
def test_a_data_set_trains(exercises: Iterator[Exercise], bench: Bench) -> None:
    exercise = next(exercises)
    bench.optimiser.zero_grad()
    assert np.isfinite(bench.step(exercise))
    model = bench.learner.model
    labelled = (exercise.what.targets.labels != -100).any()
    asked = sum(len(chosen) for chosen in exercise.chosen)
    assert labelled
    masks = [model.sam2.sam_mask_decoder.iou_token.weight, *model.seg_head.parameters()]
    assert all((parameter.grad is not None) == bool(asked) for parameter in masks)
    if exercise.what.inputs.prompts:
        assert model.object_prompt.fuse[1].weight.grad is not None
    if any(region is not None for region in exercise.what.inputs.regions):
        assert model.object_memory.project[0].weight.grad is not None
    assert model.backbone.text.embed_tokens.weight.grad is not None


def test_every_data_set_has_a_fixture() -> None:
    assert set(NAMES) == set(BUILDERS)
