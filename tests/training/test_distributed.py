"""Two processes do what one does."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.conftest import ROOT
from tests.training.small_runs import words
from tests.training.two_processes import measure

from unipixel.errors import ConfigError
from unipixel.loading import load
from unipixel.training.checkpoints import latest
from unipixel.training.distributed import World, join_world
from unipixel.training.export import export
from unipixel.training.recipe_file import read_recipe
from unipixel.training.run import open_trainer
from unipixel.training.tiny.make import STAGES

STEPS = 4
ALONE = World(0, 1, torch.device("cpu"), "single")


def in_two_processes(script: str, *words: str) -> str:
    """What a script of this folder has told."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(Path(__file__).with_name(script)), *words],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.fixture(scope="module")
def alone(golden_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """One process's results, and its recipe."""
    root = tmp_path_factory.mktemp("data")
    folder = tmp_path_factory.mktemp("alone")
    recipe_words = words(golden_checkpoint, root, f"steps={STEPS}")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        measure(recipe_words, folder, STEPS)
    finally:
        torch.set_num_threads(threads)
    return folder, recipe_words


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_do_what_one_does(strategy: str, alone: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, recipe_words = alone
    in_two_processes("two_processes.py", str(tmp_path), str(STEPS), *recipe_words, f"strategy={strategy}")
    expected = torch.load(folder / "gradients.pt")
    found = torch.load(tmp_path / "gradients.pt")
    assert found.keys() == expected.keys()
    # Some gradients are zero but for rounding (biases of keys): a share of all gradients is their measure.
    floor = 1e-7 * math.hypot(*(float(value.norm()) for value in expected.values()))
    errors = {
        name: float((found[name] - value).norm()) / max(float(value.norm()), floor)
        for name, value in expected.items()
    }
    worst = max(errors, key=lambda name: errors[name])
    print(f"{strategy}: largest relative difference {errors[worst]:.1e} ({worst})")
    assert errors[worst] < 1e-5
    losses = torch.tensor([torch.load(place / "losses.pt") for place in (folder, tmp_path)])
    assert (losses[0] - losses[1]).abs().max() < 1e-3 * losses[0].abs().max()

    # What two processes saved opens in one, which goes on, and can be opened for use.
    recipe = read_recipe("debug", [*recipe_words, "strategy=auto"])
    trainer = open_trainer(recipe, tmp_path, ALONE)
    assert trainer.resume()
    assert (trainer.step, trainer.samples) == (STEPS, STEPS * recipe.batch.size)
    (state,) = [latest(tmp_path)]
    assert state is not None
    (whole,) = export(recipe, state, tmp_path)
    opened = dict(load(whole).model.named_parameters())
    for name, parameter in trainer.parameters.items():
        assert torch.equal(opened[name], parameter), name


def test_a_strategy_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs several processes"), join_world("fsdp", torch.device("cpu")):
        pass


def test_two_processes_make_the_small_model_together(tmp_path: Path) -> None:
    told = in_two_processes("one_step_each.py", str(tmp_path))
    for name in ("sight", "clips", "language"):
        assert told.count(f":{name} 1/1") == 1, "one speaks for both"
    assert load(tmp_path / STAGES[-1] / "whole").config.name == "unipixel-tiny"


def test_gradients_are_means_over_processes(tmp_path: Path) -> None:
    in_two_processes("shared_gradients.py", str(tmp_path))
    for rank in range(2):
        gradients = torch.load(tmp_path / f"{rank}.pt")
        assert gradients == {"both": [1.5, 3.0], "first": [2.0], "none": [0.0]}
