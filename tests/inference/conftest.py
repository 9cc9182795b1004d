"""A small random model, and sessions with it."""

from pathlib import Path

import pytest
from tests.inference.noise_clips import PIXELS, Open, noise

from unipixel.inference.session import Session
from unipixel.loading import load
from unipixel.predictor import Predictor


@pytest.fixture(scope="session")
def model(golden_checkpoint: Path) -> Predictor:
    return load(golden_checkpoint)


@pytest.fixture
def open_session(model: Predictor) -> Open:
    """A session on a clip of noise with so many frames."""

    def make(frames: int = 6, **options: object) -> Session:
        return model.session(noise(frames), pixels=PIXELS, **options)  # type: ignore[arg-type]

    return make
