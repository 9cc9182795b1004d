"""A part of one's own: trained, saved and opened, and run only with consent."""

from pathlib import Path

import pytest
import torch
from tests.conftest import ROOT
from tests.training.small_runs import small_recipe, words

from unipixel.errors import ConfigError
from unipixel.loading import load, save
from unipixel.model.sam2 import MaskTracker
from unipixel.training.recipe_file import read_recipe
from unipixel.training.run import run
from unipixel.training.start import open_start

EXAMPLE = ROOT / "examples" / "own_object_memory.py"
OWN = f"own.object_memory={EXAMPLE}:SpreadMemory"


class OwnTracker(MaskTracker):
    """The same, under another name."""


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 60


def test_code_runs_only_with_consent(golden_checkpoint: Path, tmp_path: Path) -> None:
    recipe = small_recipe(golden_checkpoint, tmp_path / "data", OWN)
    with pytest.raises(ConfigError, match="--trust-code"):
        run(recipe, tmp_path / "run")


def test_trained_saved_and_opened(golden_checkpoint: Path, tmp_path: Path) -> None:
    plain, changed = load(golden_checkpoint), small_recipe(golden_checkpoint, tmp_path / "data", OWN)
    opened = open_start(changed, trust_code=True)
    # It begins as the model's own memory, whose weights it takes over.
    seen = torch.randn(12, opened.model.backbone.visual_size)
    assert torch.equal(
        opened.model.object_memory.project(seen),
        plain.model.object_memory.project(seen),  # type: ignore[operator]
    )
    recipe_words = words(
        golden_checkpoint, tmp_path / "data", OWN, "data.revos=none", "data.osprey_conversation.repeats=1",
        "steps=2", "optimiser.rate=1e-3", "batch.rest=fill",
    )  # fmt: skip
    from tests.data.published import BUILDERS

    BUILDERS["osprey_conversation"](tmp_path / "data")
    folder = run(read_recipe("debug", recipe_words), tmp_path / "run", trust_code=True)
    with pytest.raises(ConfigError, match="brings code of its own"):
        load(folder / "whole")
    model = load(folder / "whole", trust_code=True).model
    assert type(model.object_memory).__name__ == "SpreadMemory"
    assert model.object_memory.spread.weight.any(), "it was trained"  # type: ignore[union-attr, operator]
    with pytest.raises(ConfigError, match="no place for parts of one's own"):
        save(load(folder / "whole", trust_code=True), tmp_path / "published", layout="published")


def test_a_tracker_of_ones_own(golden_checkpoint: Path, tmp_path: Path) -> None:
    recipe = small_recipe(
        golden_checkpoint, tmp_path / "data", f"own.tracker={__file__}:OwnTracker", "steps=1"
    )
    folder = run(recipe, tmp_path / "run", trust_code=True)
    opened = load(folder / "whole", trust_code=True)
    assert type(opened.model.tracker).__name__ == "OwnTracker"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("own.object_memory=nowhere.py:Memory", "no such file"),
        ("own.object_memory=unipixel.errors:Memory", "has no class Memory"),
        ("own.object_memory=SpreadMemory", r"expected 'package\.module:Name'"),
        ("own.memory=a:B", "did you mean 'own.object_memory'"),
    ],
)
def test_wrong_names_are_told(word: str, message: str, golden_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        open_start(small_recipe(golden_checkpoint, tmp_path / "data", word), trust_code=True)
