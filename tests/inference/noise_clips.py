"""Clips of noise, and masks on them."""

from collections.abc import Callable

import numpy as np

from unipixel.core.conversation import assistant
from unipixel.core.media import Clip
from unipixel.core.prompts import RegionMask
from unipixel.core.request import PixelBudget
from unipixel.core.response import Response
from unipixel.inference.questions import ask_together
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


def told(session: Session, text: str, *parts: object, **options: object) -> Response:
    """An answer that is given, so that only its masks are computed."""
    question = session.question(text, forced_answer=assistant(*parts), **options)  # type: ignore[arg-type]
    return ask_together([question])[0]


def assert_same(one: Response, other: Response) -> None:
    assert (one.raw_text, one.text, one.mentions) == (other.raw_text, other.text, other.mentions)
    assert (one.frames_seen, one.finish_reason) == (other.frames_seen, other.finish_reason)
    for ours, theirs in zip(one.objects, other.objects, strict=True):
        assert ours.id == theirs.id
        assert (ours.masks.to_array() != theirs.masks.to_array()).mean() < 1e-3
