"""Tests written for one base model, run with the other: here the golden checkpoint stands on Qwen3-VL."""

from pathlib import Path

import pytest
from tests.inference.conftest import model, open_session  # noqa: F401
from tests.small_qwen3 import make_small_qwen3


@pytest.fixture(scope="session")
def golden_checkpoint(golden_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model on Qwen3-VL, in place of the one above."""
    return make_small_qwen3(golden_checkpoint, tmp_path_factory.mktemp("qwen3") / "checkpoint")
