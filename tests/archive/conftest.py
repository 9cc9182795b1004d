"""Made-up pictures and clips, and a model to annotate them with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from unipixel.core.frames import Frame
from unipixel.core.writing import write_picture, write_video
from unipixel.data.synthetic.scene import evaluation_seed, make_scene
from unipixel.data.synthetic.world import WorldConfig

if TYPE_CHECKING:
    from unipixel.predictor import Predictor

LONG = 26
"""Frames of the clip that does not fit into one window of the tests."""


def scene_frames(index: int, num_frames: int) -> list[Frame]:
    return list(make_scene(evaluation_seed(index), WorldConfig(num_frames=num_frames)).frames)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five stills, a short clip and a long one; the names say what they are."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(5):
        write_picture(folder / f"still-{number}.png", scene_frames(number, 1)[0])
    write_video(folder / "clip.mp4", scene_frames(7, 4), 8)
    write_video(folder / "long.mp4", scene_frames(8, LONG), 8)
    return folder


@pytest.fixture(scope="session")
def model() -> Predictor:
    import torch

    import unipixel

    torch.set_num_threads(1)
    return unipixel.load("unipixel-tiny", device="cpu", dtype="float32")
