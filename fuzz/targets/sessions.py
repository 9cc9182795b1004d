"""Session files: what opens can be asked, saved, and is the same again."""

from __future__ import annotations

import tempfile
from functools import cache, partial
from pathlib import Path
from random import Random

import numpy as np
import torch

import unipixel
from fuzz.changes import Change, change_json, change_picture, change_safetensors, change_zip
from fuzz.target import Check, Target
from unipixel.core.request import Decoding, PixelBudget
from unipixel.predictor import Predictor

CHECKPOINT = Path(__file__).parents[2] / "tests" / "golden" / "checkpoint"
PIXELS = PixelBudget(28 * 28, 12 * 28 * 28, None)


@cache
def model() -> Predictor:
    """A small random model."""
    torch.set_num_threads(1)
    return unipixel.load(CHECKPOINT)


def seeds() -> list[bytes]:
    """A session with a bit of everything, and one with nothing in it."""
    frames = np.random.default_rng(0).integers(0, 255, (3, 40, 60, 3), dtype=np.uint8)
    full = model().session(frames, pixels=PIXELS)
    mask = np.zeros((40, 60), dtype=np.bool_)
    mask[8:20, 5:30] = True
    full.refer([unipixel.Box(3, 4, 30, 30, 2), unipixel.Point(40, 3, 2, positive=False)], "first")
    full.refer(unipixel.RegionMask(mask, 1), by="language")
    full.refer(unipixel.Scribble(((3, 3), (20, 20)), 0))
    full.correct(0, unipixel.RegionMask(mask, 1))
    full.ask("And [1]?", [unipixel.Point(4, 5, 1)], decoding=Decoding(3))
    with tempfile.TemporaryDirectory() as folder:
        file, found = Path(folder) / "session", []
        for session in (full, model().session(frames)):
            session.save(file)
            found.append(file.read_bytes())
    return found


def change(data: bytes, rng: Random) -> bytes:
    return change_zip(data, rng, _change_of)


def _change_of(name: str) -> Change:
    if name.endswith(".json"):
        return change_json
    return change_safetensors if name.endswith(".safetensors") else change_picture


def prepare() -> Check:
    return partial(check, model())


def check(opened: Predictor, data: bytes, folder: Path) -> str:
    file, again = folder / "a.unipixel", folder / "b.unipixel"
    file.write_bytes(data)
    session = opened.load_session(file)
    session.save(again)
    assert opened.load_session(again).exchanges == session.exchanges
    numbers = [known.id for known in session.objects]
    session.ask("What is this? " + " ".join(f"[{number}]" for number in numbers), decoding=Decoding(1))
    return f"{min(5, len(numbers))} objects"


TARGET = Target(seeds, change, prepare, seconds=30)
