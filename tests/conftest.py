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
