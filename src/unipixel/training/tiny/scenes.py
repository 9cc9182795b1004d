"""Batches of made-up scenes for the mask side, drawn in the background."""

from __future__ import annotations

import io
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from unipixel.data.mixture import Shard
from unipixel.data.synthetic.scene import Scene, make_scene, training_seed
from unipixel.data.synthetic.world import WorldConfig
from unipixel.errors import ConfigError
from unipixel.processing.vision import mask_view

SIZES = ((128, 128), (128, 128), (112, 144), (144, 176), (160, 128), (128, 192))
"""Heights and widths of training clips; each batch has one."""
JPEG_SHARE = 0.35
"""Share of clips whose frames carry the traces of a JPEG, as pictures and videos from disk do."""


@dataclass(frozen=True)
class SceneBatch:
    """N scenes of T frames with O things each.

    frames float [N, T, 3, S, S], the mask view; masks bool [N, O, T, S, S]; names: per scene the things'
    names.
    """

    scenes: tuple[Scene, ...]
    frames: Tensor
    masks: Tensor

    @property
    def names(self) -> list[list[str]]:
        return [[thing.name for thing in scene.things] for scene in self.scenes]


WHOLE = Shard()


def numbers_of(shard: Shard, count: int) -> range:
    """What a process draws of a batch: its own of the numbers 0 … count - 1.

    Raises ConfigError if there are fewer than processes.
    """
    if count < shard.ranks:
        raise ConfigError(f"a batch of {count} cannot be shared by {shard.ranks} processes; start fewer")
    return range(shard.rank * count // shard.ranks, (shard.rank + 1) * count // shard.ranks)


@dataclass(frozen=True)
class BatchPlan:
    """What `scene_batches` draws: `num_scenes` scenes of `num_frames` frames a batch, of them this process's
    `shard`, seen by a mask view of `side` pixels. `first` numbers the first scene: training goes on where it
    was by passing on how many scenes were seen."""

    num_scenes: int
    num_frames: int
    side: int
    world: WorldConfig = WorldConfig()
    first: int = 0
    shard: Shard = WHOLE


Batch_co = TypeVar("Batch_co", covariant=True)
Batch = TypeVar("Batch")


def endless(draw: Callable[[int], Batch_co], first: int, count: int) -> Iterator[Batch_co]:
    """draw(first), draw(first + count), … without end, drawn by one worker process."""
    batches = _Endless(draw, first, count)
    return iter(DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=4))


def replayed(batches: Iterator[Batch], visits: int, kept: int) -> Iterator[Batch]:
    """Batches, each about `visits` times: every `visits`-th one is new, the others are any of the last `kept`
    new ones. The same order in every process."""
    rng = Generator(PCG64(SeedSequence(entropy=visits, spawn_key=(kept,))))
    known: deque[Batch] = deque(maxlen=kept)
    while True:
        known.append(next(batches))
        yield known[-1]
        yield from (known[rng.integers(len(known))] for _ in range(visits - 1))


class _Endless(IterableDataset[Batch_co]):
    def __init__(self, draw: Callable[[int], Batch_co], first: int, count: int) -> None:
        self.draw, self.first, self.count = draw, first, count

    def __iter__(self) -> Iterator[Batch_co]:
        torch.set_num_threads(1)
        return (self.draw(index) for index in itertools.count(self.first, self.count))


def scene_batches(plan: BatchPlan) -> Iterator[SceneBatch]:
    """An endless stream of batches."""
    return endless(partial(draw_batch, plan), plan.first, plan.num_scenes)


def draw_batch(plan: BatchPlan, first: int) -> SceneBatch:
    """The shard's of training scenes first … first + num_scenes - 1; the same whenever they are drawn."""
    scenes = draw_scenes(plan, first)
    return SceneBatch(
        scenes=scenes,
        frames=torch.stack([mask_view(scene.frames, plan.side) for scene in scenes]),
        masks=torch.stack([mask_targets(scene.masks, plan.side) for scene in scenes]),
    )


def draw_scenes(plan: BatchPlan, first: int) -> tuple[Scene, ...]:
    """The shard's of training scenes first … first + num_scenes - 1, all of one size."""
    rng = Generator(PCG64(SeedSequence(entropy=first, spawn_key=(plan.num_frames,))))
    height, width = SIZES[rng.integers(len(SIZES))]
    config = replace(plan.world, height=height, width=width, num_frames=plan.num_frames)
    own = numbers_of(plan.shard, plan.num_scenes)
    return tuple(spoil(make_scene(training_seed(first + i), config), rng) for i in own)


def spoil(scene: Scene, rng: Generator) -> Scene:
    """Some scenes get the traces of lossy compression."""
    if rng.random() >= JPEG_SHARE:
        return scene
    quality = int(rng.integers(40, 95))
    return replace(scene, frames=np.stack([_recompress(frame, quality) for frame in scene.frames]))


def _recompress(frame: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def mask_targets(masks: NDArray[np.bool_], side: int) -> Tensor:
    """bool [..., H, W] at the clip's size -> bool [..., side, side]: bilinear with antialias, > 0.5.

    The published code takes > 0, which swells every mask by a pixel.
    """
    flat = torch.from_numpy(masks.reshape(-1, 1, *masks.shape[-2:])).float()
    resized = F.interpolate(flat, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    return (resized > 0.5).view(*masks.shape[:-2], side, side)
