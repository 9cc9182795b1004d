"""Real files to ask about, and ways to run the command."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from unipixel.cli.main import app
from unipixel.core.writing import write_picture, write_video

WIDTH, HEIGHT, NUM_FRAMES = 128, 96, 6
WITHOUT_TORCH = """
import sys
from unipixel.cli.main import main
try:
    main()
finally:
    assert "torch" not in sys.modules
"""


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@dataclass(frozen=True)
class Media:
    """Files on disk: a video, a picture and a mask of their size."""

    video: Path
    picture: Path
    mask: Path


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Media:
    folder = tmp_path_factory.mktemp("media")
    found = Media(folder / "clip.mp4", folder / "picture.jpg", folder / "mask.png")
    frames = [_frame(index) for index in range(NUM_FRAMES)]
    write_video(found.video, frames, 8)
    write_picture(found.picture, frames[0])
    mask = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    mask[20:50, 30:60] = 255
    write_picture(found.mask, mask)
    return found


def _frame(index: int) -> NDArray[np.uint8]:
    """A disc that moves over a noisy ground."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    frame = np.random.default_rng(3).integers(60, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    frame[(x - 40 - 6 * index) ** 2 + (y - 48) ** 2 < 18**2] = (220, 40, 40)
    return frame


@pytest.fixture(scope="session")
def run() -> Run:
    """The command in this process."""

    def invoke(*arguments: str | Path) -> Outcome:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return invoke


@pytest.fixture(scope="session")
def run_apart() -> Run:
    """The command in a process of its own."""
    return _apart("-m", "unipixel.cli.main")


@pytest.fixture(scope="session")
def run_without_torch() -> Run:
    """The command in a process of its own, which fails with a traceback if torch was imported."""
    return _apart("-c", WITHOUT_TORCH)


def _apart(*program: str) -> Run:
    def invoke(*arguments: str | Path) -> Outcome:
        command = [sys.executable, *program, *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))
        return Outcome(result.returncode, result.stdout, result.stderr)

    return invoke


@pytest.fixture
def broken_checkpoint(golden_checkpoint: Path, tmp_path: Path) -> Path:
    """The golden checkpoint without one of its tensors."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "broken"
    shutil.copytree(golden_checkpoint, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    state = load_file(folder / "model.safetensors")
    del state["seg_head.1.weight"]
    (folder / "model.safetensors").unlink()
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
