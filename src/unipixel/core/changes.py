"""How much changes from frame to frame of a clip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unipixel.core.frames import Frame
from unipixel.core.media import Clip

SIDE = 32
"""Frames are compared as pictures of so many cells a side."""


def frame_changes(clip: Clip) -> tuple[float, ...]:
    """From each frame to the next, one less than there are frames: the root mean square difference of their
    cells' mean colours, 0 to 1. A few cells that change much count more than a little noise in all.

    All frames are read once, one at a time.
    """
    found: list[float] = []
    before: NDArray[np.float32] | None = None
    for _, frame in clip.walk(0, clip.num_frames):
        cells = _cells(frame)
        if before is not None:
            found.append(float(np.sqrt(np.square(cells - before).mean())))
        before = cells
    return tuple(found)


def _cells(frame: Frame) -> NDArray[np.float32]:
    """uint8 [H, W, 3] to float32 [SIDE, SIDE, 3], 0 to 1."""
    small = Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / np.float32(255)
