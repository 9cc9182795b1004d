"""The golden checkpoints, opened or as copies."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.loading.checkpoints import copy

from unipixel.loading import load
from unipixel.predictor import Predictor


@pytest.fixture(scope="session")
def golden(golden_checkpoint: Path) -> Predictor:
    return load(golden_checkpoint)


@pytest.fixture(scope="session")
def adapter_case(golden_checkpoint: Path) -> Path:
    folder = golden_checkpoint.parent / "adapter"
    if not (folder / "base" / "config.json").is_file():
        pytest.fail("the golden adapter is not here")
    return folder


@pytest.fixture
def folder(golden_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the golden checkpoint that a test may damage."""
    return copy(golden_checkpoint, tmp_path / "checkpoint")


@pytest.fixture
def sam_file(golden_checkpoint: Path, tmp_path: Path) -> Path:
    """The golden mask decoder as Meta would publish it, its sizes beside it."""
    place = tmp_path / "sam"
    place.mkdir()
    tensors = {}
    for name, tensor in load_file(golden_checkpoint / "model.safetensors").items():
        if name.startswith("sam2."):
            short = name.removeprefix("sam2.")
            if short.startswith("memory_encoder.fuser.layers.") and short.count(".") == 4:
                short = short.removesuffix("weight") + "gamma"
            tensors[short] = tensor
    assert sum(name.endswith("gamma") for name in tensors) == 2
    torch.save({"model": tensors}, place / "sam2.1.pt")
    shutil.copyfile(golden_checkpoint / "sam2_architecture.json", place / "sam2_architecture.json")
    return place / "sam2.1.pt"
