"""Which frames of a clip are shown, and how large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from numpy.random import Generator

from unipixel.core.media import Clip
from unipixel.core.request import PixelBudget
from unipixel.core.sampling import keep_frames, random_indices, uniform_indices
from unipixel.data.policy import FramePolicy
from unipixel.data.sample import Sample
from unipixel.errors import SampleUnusable

PER_SECOND, FEWEST = 2, 4
"""Frames a second that general videos show, and how many at least."""


def shown_frames(
    sample: Sample, clip: Clip, rng: Generator, policy: FramePolicy, kept: Sequence[int] = ()
) -> tuple[int, ...]:
    """The frames of a sample that are shown (0.1), increasing.

    They come from among the annotated ones. If only one is annotated they come from the whole clip, with that
    one in place of its nearest; so do the key frame and those of `kept`.
    """
    low, high = policy.bounds
    if is_film(sample):
        return tuple(film_frames(clip, high))
    if sample.every_frame:
        return tuple(range(clip.num_frames))
    annotated = sample.annotated or tuple(range(clip.num_frames))
    single = sample.annotated is not None and len(sample.annotated) == 1
    pool = range(clip.num_frames) if single else annotated
    wanted = {*kept, *(annotated if single else ())}
    if sample.key_frame is not None:
        wanted.add(sample.key_frame)
    if not wanted <= set(pool):
        missing = sorted(wanted - set(pool))
        raise SampleUnusable(sample.id, "key frame without annotation", f"{missing} among the annotated")
    number = max(int(rng.integers(low, high + 1)) if low < high else low, len(wanted))
    if policy.spread == "uniform":
        places = uniform_indices(len(pool), number)
    else:
        places = random_indices(len(pool), number, rng, include_last=policy.last == "corrected")
    return tuple(pool[place] for place in keep_frames(places, [pool.index(frame) for frame in wanted]))


def film_frames(clip: Clip, most: int) -> list[int]:
    """Frames of a general video: two a second, an even number from 4 to `most`, from first to last."""
    total = clip.num_frames
    wanted = min(max(total / clip.fps * PER_SECOND, FEWEST), most, total)
    return uniform_indices(total, max(2, int(wanted) // 2 * 2))


def is_film(sample: Sample) -> bool:
    """Whether this is a video that is seen at its own speed: one that is talked about as a whole."""
    general = sample.task == "chat" or (sample.task == "choose" and not sample.object_ids)
    return general and sample.media is not None and sample.media.video is not None


def frame_pixels(policy: FramePolicy, film: bool) -> PixelBudget:
    """The room of a frame; those of films do not share theirs."""
    return replace(policy.budget, shared_frames=None) if film else policy.budget


def film_step(clip: Clip, frames: Sequence[int]) -> float:
    """Seconds between two temporal steps of a film: two frames make one, and the shown ones stand for all."""
    return 2 * clip.num_frames / clip.fps / len(frames)
