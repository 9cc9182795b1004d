"""Clips of noise, and masks on them."""

from collections.abc import Callable

import numpy as np

from unipixel.core.media import Clip
from unipixel.core.prompts import RegionMask
from unipixel.core.request import PixelBudget
from unipixel.inference.session import Session

PIXELS = PixelBudget(28 * 28, 12 * 28 * 28, None)
Open = Callable[..., Session]


def noise(frames: int, height: int = 40, width: int = 60, seed: int = 0) -> Clip:
    shape = (frames, height, width, 3)
    return Clip.open(np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8))


def block(clip: Clip, frame: int = 0, left: int = 5) -> RegionMask:
    mask = np.zeros((clip.height, clip.width), dtype=np.bool_)
    mask[8:28, left : left + 20] = True
    return RegionMask(mask, frame)
