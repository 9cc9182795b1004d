"""A recipe decides how masks learn their quality."""

from pathlib import Path

import pytest
import torch
from tests.training.small_runs import small_recipe

from unipixel.training.distributed import World
from unipixel.training.learner import Learner
from unipixel.training.run import open_trainer


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "corrected"),
        (("fidelity=published",), "published"),
        (("choices.quality_gradients=published",), "published"),
    ],
    ids=["default", "published", "chosen"],
)
def test_the_choice_reaches_the_loss(
    words: tuple[str, ...], expected: str, golden_checkpoint: Path, tmp_path: Path
) -> None:
    recipe = small_recipe(golden_checkpoint, tmp_path / "data", *words)
    world = World(0, 1, torch.device("cpu"), "single")
    learner = open_trainer(recipe, tmp_path / "run", world).module
    assert isinstance(learner, Learner)
    assert learner.weights.quality_gradients == expected
