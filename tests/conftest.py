"""What several tests share."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def golden_checkpoint() -> Path:
    """A small random checkpoint in the published layout."""
    for folder in (ROOT / "tests" / "golden", ROOT.parent / "shared" / "golden"):
        if (folder / "checkpoint" / "model.safetensors").is_file():
            return folder / "checkpoint"
    pytest.fail("the golden checkpoint is not here")


@pytest.fixture(scope="session")
def qwen3_checkpoint(golden_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random checkpoint on the other base model, Qwen3-VL, in our layout."""
    from tests.small_qwen3 import make_small_qwen3  # costs the import of torch

    return make_small_qwen3(golden_checkpoint, tmp_path_factory.mktemp("qwen3") / "checkpoint")
