"""What a server does before it is ready: as many threads as pay, and a first question and click, so that no
caller waits for what is only done once."""

from __future__ import annotations

import numpy as np
import torch

from unipixel.core.media import Clip
from unipixel.core.prompts import Point
from unipixel.core.request import Decoding
from unipixel.predictor import Predictor

SMALL = 50_000_000
"""Parameters below which operations are too short to be shared: threads then wait for each other longer than
they work, above all beside other programs."""


def choose_threads(opened: Predictor, threads: int = 0) -> int:
    """Let so many threads share an operation on a processor; for 0 one with a small model, else torch's own
    choice. To be called in the thread that owns the model."""
    if not threads and sum(one.numel() for one in opened.model.parameters()) < SMALL:
        threads = 1
    if threads:
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def warm(opened: Predictor) -> None:
    """A click and a question about a small made-up clip of two frames."""
    frames = np.full((2, 64, 64, 3), 127, dtype=np.uint8)
    frames[:, 20:40, 20:40] = (200, 30, 30)
    with opened.session(Clip.open(frames), keep_bytes=0) as session:
        session.refer(Point(30, 30))
        session.ask("What does [0] do?", decoding=Decoding(max_new_tokens=4, require_mask=True))
