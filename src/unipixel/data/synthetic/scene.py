"""A scene: a clip of the made-up world with the names and masks of its things, drawn from one seed.

    scene = make_scene(training_seed(step), WorldConfig(num_frames=8))
    scene.expression(scene.target)      # "red circle"

Every scene has one thing that no other equals in both colour and shape: the target. The others are there to
mislead: one shares the target's colour, one its shape. All things of a scene have different names.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from enum import IntEnum
from math import log, sqrt

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from unipixel.data.synthetic.motion import Points, Walk, choose_motion, make_track
from unipixel.data.synthetic.render import render
from unipixel.data.synthetic.shapes import SHAPE_KINDS
from unipixel.data.synthetic.world import COLOUR_KINDS, Thing, WorldConfig
from unipixel.errors import ConfigError

SPLIT_BITS = 48  # a seed is the split's number followed by this many bits of index
# Streams of random numbers, apart so that a change to one leaves the other's draws alone.
LAYOUT, CAMERA = 0, 1
LARGEST_RADIUS = 0.42  # of the shorter side
PLACES = 24  # random places tried for a thing before all things are made smaller
SHRINK = 0.9
MOVED_BELOW = 0.5  # overlap (IoU) of first and last mask under which a thing counts as moved

Identity = tuple[str, str]  # colour, shape


class Split(IntEnum):
    """The parts of the world's seeds. No seed belongs to two; numbers under 2**48 belong to PLAY."""

    PLAY = 0
    TRAIN = 1
    VAL = 2
    TEST = 3


def split_seed(split: Split, index: int) -> int:
    """The seed of scene `index` (0 to 2**48 - 1) of a split. Raises `ConfigError` for another index."""
    if not 0 <= index < 1 << SPLIT_BITS:
        raise ConfigError(f"made-up world: scene index is {index}; expected 0 to 2**{SPLIT_BITS} - 1")
    return (int(split) << SPLIT_BITS) | index


def training_seed(step: int) -> int:
    """Seed of the scene for a training step; never one of `evaluation_seed`."""
    return split_seed(Split.TRAIN, step)


def evaluation_seed(index: int, split: Split = Split.TEST) -> int:
    """Seed of an evaluation scene. Raises `ConfigError` for the training split."""
    if split is Split.TRAIN:
        raise ConfigError("made-up world: evaluation on the training split; expected VAL or TEST")
    return split_seed(split, index)


def split_of(seed: int) -> Split:
    """The split that a seed belongs to. Raises `ConfigError` if it belongs to none."""
    if not 0 <= seed < len(Split) << SPLIT_BITS:
        raise ConfigError(
            f"made-up world: seed is {seed}; expected one from training_seed or evaluation_seed"
        )
    return Split(seed >> SPLIT_BITS)


@dataclass(frozen=True, eq=False)
class Scene:
    """A clip and what is in it.

    `frames` uint8 [T, H, W, 3]; `masks` bool [O, T, H, W], the visible pixels of each thing, disjoint;
    `things` in the order in which they lie on each other, the last on top; `target` indexes `things`;
    `seed` draws the scene again.
    """

    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    things: tuple[Thing, ...]
    target: int
    seed: int

    def __post_init__(self) -> None:
        expected = (len(self.things), *self.frames.shape[:3])
        assert self.masks.shape == expected, f"masks are {self.masks.shape}, expected {expected}"
        assert 0 <= self.target < len(self.things), f"target is {self.target} of {len(self.things)} things"

    def expression(self, index: int) -> str:
        """What to call thing `index`; no other thing of the scene is called so."""
        return self.things[index].name


def make_scene(seed: int, config: WorldConfig | None = None) -> Scene:
    """The scene of a seed: the same on every machine and in every process.

    `seed` comes from `training_seed` or `evaluation_seed`; any whole number under 2**48 will do for play.
    Without a `config` the world is the default `WorldConfig()`. Raises `ConfigError` for a seed of no
    split.
    """
    config = config or WorldConfig()
    split_of(seed)
    layout = _stream(seed, LAYOUT)
    identities, target = _choose_identities(layout, config)
    radii, starts = _arrange(layout, config, [shape for _, shape in identities])
    things, tracks = [], []
    for number, (colour, shape) in enumerate(identities):
        motion = _choose_motion(layout, config, is_target=number == target)
        things.append(Thing(shape, colour, _choose_rgb(layout, colour), radii[number], motion))
        tracks.append(make_track(layout, motion, _walk(layout, config, radii[number], starts[number])))
    frames, masks = render(_stream(seed, CAMERA), config, tuple(things), tuple(tracks))
    return Scene(frames, masks, tuple(things), target, seed)


def moves(scene: Scene, index: int) -> bool:
    """Whether thing `index` is clearly elsewhere in the last frame than in the first, or only in one."""
    first, last = scene.masks[index, 0], scene.masks[index, -1]
    union = int(np.count_nonzero(first | last))
    return union > 0 and int(np.count_nonzero(first & last)) < MOVED_BELOW * union


def _stream(seed: int, stream: int) -> Generator:
    return Generator(PCG64(SeedSequence(entropy=seed, spawn_key=(stream,))))


def _choose_identities(rng: Generator, config: WorldConfig) -> tuple[list[Identity], int]:
    """Colour and shape of every thing, in random order, and the target's place in it."""
    colours = [config.colours[i] for i in rng.permutation(len(config.colours))]
    shapes = [config.shapes[i] for i in rng.permutation(len(config.shapes))]
    target = (colours[0], shapes[0])
    misleading = [(colours[0], shapes[1]), (colours[1], shapes[0])]
    misleading = [misleading[i] for i in rng.permutation(2)]
    others = [(c, s) for c in colours for s in shapes if (c, s) not in (target, *misleading)]
    further = [others[i] for i in rng.permutation(len(others))]
    chosen = [target, *misleading, *further][: config.num_things]
    order = rng.permutation(config.num_things)
    return [chosen[i] for i in order], int(np.argmin(order))


def _arrange(rng: Generator, config: WorldConfig, shapes: list[str]) -> tuple[list[float], list[Points]]:
    """Circumradii and starting places such that no two things touch. Things shrink until there is room."""
    frame = config.height * config.width
    smallest = np.array([sqrt(config.area[0] * frame / SHAPE_KINDS[shape].area) for shape in shapes])
    spread = np.exp(rng.uniform(0, log(config.area[1] / config.area[0]) / 2, len(shapes)))
    radii = np.minimum(smallest * spread, LARGEST_RADIUS * min(config.height, config.width))
    while True:
        starts = _find_places(rng, config, radii)
        if starts is not None:
            return [round(float(radius), 3) for radius in radii], starts
        radii = np.maximum(radii * SHRINK, smallest)


def _find_places(rng: Generator, config: WorldConfig, radii: NDArray[np.float64]) -> list[Points] | None:
    """A centre for each thing, wholly in the frame and clear of the others; None where luck fails."""
    starts: list[Points] = []
    for number, radius in enumerate(radii):
        low, high = _box(config, float(radius))
        places = rng.uniform(low, high, (PLACES, 2))
        clear = np.ones(PLACES, dtype=bool)
        for other, start in zip(radii[:number], starts, strict=True):
            clear &= np.hypot(*(places - start).T) > radius + other + 2
        if not clear.any():
            return None
        starts.append(places[int(np.argmax(clear))])
    return starts


def _box(config: WorldConfig, radius: float) -> tuple[Points, Points]:
    """Corners of the places where a thing's centre may be while the whole thing is in the frame."""
    high = np.array([config.width, config.height]) - radius - 1
    return np.full(2, radius + 1), high


def _choose_motion(rng: Generator, config: WorldConfig, is_target: bool) -> str:
    outside = config.absent_at_start if is_target else config.enter * (config.num_frames > 1)
    roaming, dice = choose_motion(rng, config.motions), rng.random(2)
    if dice[0] < outside:
        return "enter"
    return "leave" if dice[1] < config.leave else roaming


def _choose_rgb(rng: Generator, colour: str) -> tuple[float, float, float]:
    kind = COLOUR_KINDS[colour]
    hue = (kind.hue + rng.uniform(-kind.spread, kind.spread)) % 360 / 360
    return colorsys.hsv_to_rgb(hue, rng.uniform(*kind.saturation), rng.uniform(*kind.brightness))


def _walk(rng: Generator, config: WorldConfig, radius: float, start: Points) -> Walk:
    low, high = _box(config, radius)
    speed = rng.uniform(*config.speed) * min(config.height, config.width)
    return Walk(start, low, high, radius + 1, speed, config.num_frames)
