"""The worlds of training and evaluation as values: full worlds, and what is held out of them.

    scene = scene_of("unseen_combinations", 7)

The held-out pairs and grounds, and the seeds of every split, are frozen: scores of models stand on them.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from types import MappingProxyType

from unipixel.data.synthetic.ground import ALL_GROUNDS
from unipixel.data.synthetic.motion import ALL_MOTIONS
from unipixel.data.synthetic.scene import Scene, Split, make_scene, split_seed
from unipixel.data.synthetic.shapes import ALL_SHAPES
from unipixel.data.synthetic.world import ALL_COLOURS, PATTERNS, CameraConfig, Pair, WorldConfig
from unipixel.errors import ConfigError

UNSEEN_COMBINATIONS: tuple[Pair, ...] = (
    ("red", "star"),
    ("blue", "triangle"),
    ("yellow", "ring"),
    ("purple", "square"),
)
"""Pairs that no thing of a training scene has; each colour and each shape occurs there in other pairs."""

UNSEEN_GROUNDS = ("checker", "wood", "bokeh")
"""Grounds that no training scene has: one texture and two that look like photographs."""

SEEN_GROUNDS = tuple(ground for ground in ALL_GROUNDS if ground not in UNSEEN_GROUNDS)

_FAR = 1 << 40  # held-out splits take test seeds from here on, so that no two splits share one


@dataclass(frozen=True)
class WorldSplit:
    """A named part of the world's clips: whose `seeds` it takes, from index `first` on; the pairs that
    targets have (`target_pairs`, any but the held-out ones if empty), and its `grounds`."""

    name: str
    seeds: Split
    first: int = 0
    target_pairs: tuple[Pair, ...] = ()
    grounds: tuple[str, ...] = SEEN_GROUNDS

    def seed(self, index: int) -> int:
        """The seed of scene `index`. Raises `ConfigError` for an index that is not 0 to 2**40 - 1."""
        if not 0 <= index < _FAR:
            raise ConfigError(f"made-up world: scene index is {index}; expected 0 to 2**40 - 1")
        return split_seed(self.seeds, self.first + index)


SPLITS = MappingProxyType(
    {
        split.name: split
        for split in (
            WorldSplit("train", Split.TRAIN),
            WorldSplit("val", Split.VAL),
            WorldSplit("test", Split.TEST),
            WorldSplit("unseen_combinations", Split.TEST, first=_FAR, target_pairs=UNSEEN_COMBINATIONS),
            WorldSplit("unseen_backgrounds", Split.TEST, first=2 * _FAR, grounds=UNSEEN_GROUNDS),
        )
    }
)
"""Every split by name. "val" and "test" differ from "train" in their seeds only."""


def full_world(num_frames: int = 8, height: int = 128, width: int = 128) -> WorldConfig:
    """The world with everything on, as training sees it: without the held-out pairs and grounds.

    Raises `ConfigError` for sizes that no world has.
    """
    return WorldConfig(
        height=height,
        width=width,
        num_frames=num_frames,
        num_things=2,
        extra_things=2,
        shapes=ALL_SHAPES,
        colours=ALL_COLOURS,
        patterns=PATTERNS,
        motions=ALL_MOTIONS,
        grounds=SEEN_GROUNDS,
        area=(0.03, 0.10),
        speed=(0.02, 0.08),
        leave=0.06,
        enter=0.06,
        twins=0.4,
        contrast=0.5,
        crossing=0.2,
        camera=CameraConfig(drift=0.25, sweep=0.2),
        exclude=UNSEEN_COMBINATIONS,
    )


def split_named(name: str) -> WorldSplit:
    """One of `SPLITS`. Raises `ConfigError` with the closest name for one that there is not."""
    if name in SPLITS:
        return SPLITS[name]
    close = difflib.get_close_matches(name, SPLITS, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ConfigError(f"made-up world: there is no split {name!r}{hint} Choose from {', '.join(SPLITS)}")


def world_of(split: str, num_frames: int = 8, height: int = 128, width: int = 128) -> WorldConfig:
    """The full world as a split has it. Raises `ConfigError` for an unknown split or sizes that no world
    has."""
    part = split_named(split)
    world = full_world(num_frames, height, width)
    return replace(world, target_pairs=part.target_pairs, grounds=part.grounds)


def scene_of(split: str, index: int, num_frames: int = 8, height: int = 128, width: int = 128) -> Scene:
    """Scene `index` of a split: always the same one. Raises `ConfigError` for what does not exist."""
    return make_scene(split_named(split).seed(index), world_of(split, num_frames, height, width))
