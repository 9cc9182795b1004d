"""A scene: a clip of the made-up world with the names and masks of its things, drawn from one seed.

    scene = make_scene(training_seed(step), WorldConfig(num_frames=8))
    scene.expression(scene.target)      # "red circle"

Every scene has a target; the others are there to mislead: one shares the target's colour, one its shape. All
things of a scene have different names, unless its world has twins: two things of one colour and shape, which
only a size, a pattern, a motion or a place tells apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from math import log, sqrt

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from unipixel.data.synthetic.cast import (
    Cast,
    choose_crossing,
    choose_motion_of,
    choose_motions,
    make_thing,
    plain_cast,
    rich_cast,
)
from unipixel.data.synthetic.facts import SceneFacts, scene_facts
from unipixel.data.synthetic.motion import Points, Track, Walk, make_track
from unipixel.data.synthetic.naming import phrase
from unipixel.data.synthetic.render import CameraPath, render
from unipixel.data.synthetic.shapes import SHAPE_KINDS
from unipixel.data.synthetic.world import Thing, WorldConfig
from unipixel.errors import ConfigError

SPLIT_BITS = 48  # a seed is the split's number followed by this many bits of index
# Streams of random numbers, apart so that a change to one leaves the other's draws alone.
LAYOUT, CAMERA, CAST, WEATHER = 0, 1, 2, 3
ATTEMPTS = 40  # layouts drawn until everything can be told apart
LARGEST_RADIUS = 0.42  # of the shorter side
PLACES = 24  # random places tried for a thing before all things are made smaller
SHRINK = 0.9
MOVED_BELOW = 0.5  # overlap (IoU) of first and last mask under which a thing counts as moved

FASTEST_DRIFT, FARTHEST_DRIFT = 0.012, 0.1  # of the shorter side: per frame, and in all
ENDS = 0.15  # a small or large thing comes from this share of the range of sizes, at its end


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
    `seed` draws the scene again. `tracks`: where each thing is, in the picture's pixels; `covered` int32
    [O, O, T]: how many pixels of the first thing the second one hides; `drift` int [T, 2]: by how many pixels
    (x, y) the camera's own motion has shifted everything since frame 0.
    """

    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    things: tuple[Thing, ...]
    target: int
    seed: int
    tracks: tuple[Track, ...]
    covered: NDArray[np.int32]
    drift: NDArray[np.intp]

    def __post_init__(self) -> None:
        expected = (len(self.things), *self.frames.shape[:3])
        assert self.masks.shape == expected, f"masks are {self.masks.shape}, expected {expected}"
        assert 0 <= self.target < len(self.things), f"target is {self.target} of {len(self.things)} things"

    @cached_property
    def facts(self) -> SceneFacts:
        """What a person could say about the scene, with margins (see `facts.py`)."""
        return scene_facts(self)

    def expression(self, index: int) -> str:
        """What to call thing `index`, without an article; no other thing of the scene is meant by it.

        Its colour and shape where no other visible thing has both (`"red circle"`), or else the first of
        these additions that holds for it and clearly not for its twin: size (`"large red circle"`), pattern
        (`"striped red circle"`), motion (`"red circle that moves to the left"`), speed, place in frame 0
        (`"red circle on the left"`, with "at the start" if that changes). `make_scene` draws again until
        every thing of a scene has such a name.
        """
        name = self.things[index].name
        alone = sum(thing.name == name for thing in self.things) == 1
        return name if alone else phrase(self.facts, index) or name


def make_scene(seed: int, config: WorldConfig | None = None) -> Scene:
    """The scene of a seed: the same on every machine and in every process.

    `seed` comes from `training_seed` or `evaluation_seed`; any whole number under 2**48 will do for play.
    Without a `config` the world is the default `WorldConfig()`. Raises `ConfigError` for a seed of no
    split, and for a world in which twins could not be told apart.
    """
    config = config or WorldConfig()
    split_of(seed)
    for attempt in range(ATTEMPTS):
        scene = _draw(seed, config, attempt)
        if all(_told_apart(scene, index) for index in range(len(scene.things))):
            return scene
    raise ConfigError(
        f"made-up world: scene {seed} has twins that cannot be told apart; expected fewer twins"
    )


def moves(scene: Scene, index: int) -> bool:
    """Whether thing `index` is clearly elsewhere in the last frame than in the first, or only in one."""
    first, last = scene.masks[index, 0], scene.masks[index, -1]
    union = int(np.count_nonzero(first | last))
    return union > 0 and int(np.count_nonzero(first & last)) < MOVED_BELOW * union


def _told_apart(scene: Scene, index: int) -> bool:
    name = scene.things[index].name
    alone = sum(thing.name == name for thing in scene.things) == 1
    return alone or phrase(scene.facts, index) is not None


@dataclass(frozen=True)
class _Layout:
    """What is where in a scene, before it is painted."""

    things: tuple[Thing, ...]
    tracks: tuple[Track, ...]
    target: int


def _draw(seed: int, config: WorldConfig, attempt: int) -> Scene:
    """One try at the scene of a seed. Rich worlds draw from streams of their own."""
    again = (attempt,) if attempt else ()
    if config.is_plain:
        layout = _plain_layout(_stream(seed, LAYOUT), config)
    else:
        layout = _rich_layout(_stream(seed, CAST, *again), config)
    camera = _draw_camera(_stream(seed, WEATHER, *again), config)
    tracks = tuple(track.shifted(camera.drift) for track in layout.tracks)
    drawn = render(_stream(seed, CAMERA, *again), config, layout.things, tracks, camera)
    return Scene(
        drawn.frames, drawn.masks, layout.things, layout.target, seed, tracks, drawn.covered, camera.drift
    )


def _stream(seed: int, *stream: int) -> Generator:
    return Generator(PCG64(SeedSequence(entropy=seed, spawn_key=stream)))


def _plain_layout(rng: Generator, config: WorldConfig) -> _Layout:
    """Published figures stand on these scenes: the order of the draws may not change."""
    cast = plain_cast(rng, config)
    radii, starts = _arrange(rng, config, cast)
    things, tracks = [], []
    for number, role in enumerate(cast.roles):
        motion = choose_motion_of(rng, config, is_target=number == cast.target)
        things.append(make_thing(rng, role, radii[number], motion))
        tracks.append(make_track(rng, motion, _walk(rng, config, radii[number], starts[number])))
    return _Layout(tuple(things), tuple(tracks), cast.target)


def _rich_layout(rng: Generator, config: WorldConfig) -> _Layout:
    cast = rich_cast(rng, config)
    radii, starts = _arrange(rng, config, cast)
    motions = choose_motions(rng, config, cast)
    crossing = choose_crossing(rng, config, cast, motions)
    things, tracks = [], []
    for number, role in enumerate(cast.roles):
        things.append(make_thing(rng, role, radii[number], motions[number]))
        walk = _walk(rng, config, radii[number], starts[number])
        goal = starts[crossing[1]] if crossing and crossing[0] == number else None
        tracks.append(make_track(rng, motions[number], replace(walk, goal=goal)))
    return _Layout(tuple(things), tuple(tracks), cast.target)


def _draw_camera(rng: Generator, config: WorldConfig) -> CameraPath:
    """Drift and passing shadows, where the world has them."""
    frames, side = config.num_frames, min(config.height, config.width)
    drifts, sweeps = rng.random() < config.camera.drift, rng.random() < config.camera.sweep
    speed = min(FASTEST_DRIFT, FARTHEST_DRIFT / max(frames - 1, 1)) * side
    velocity = rng.uniform(-1, 1, 2) * speed * drifts
    drift = np.rint(velocity * np.arange(frames)[:, None]).astype(np.intp)
    return CameraPath(drift, _passing_shadow(rng, config) if sweeps else None)


def _passing_shadow(rng: Generator, config: WorldConfig) -> NDArray[np.float32]:
    """Factors [T, 1, H, W]: the soft edge of a shadow moves over the picture."""
    size = (config.height, config.width)
    slope = np.round(rng.uniform(-1, 1, 2), 4).astype(np.float32)
    down, across = (np.linspace(-0.5, 0.5, side, dtype=np.float32) for side in size)
    place = down[:, None] * slope[0] + across * slope[1]
    begins, ends = rng.uniform(-0.6, 0.6, 2)
    edge = np.linspace(begins, ends, config.num_frames, dtype=np.float32)
    lit = np.clip((place - edge[:, None, None]) * np.float32(2.5) + np.float32(0.5), 0, 1)
    shade: NDArray[np.float32] = 1 - lit * np.float32(rng.uniform(0.2, 0.45))
    return shade[:, None]


def _arrange(rng: Generator, config: WorldConfig, cast: Cast) -> tuple[list[float], list[Points]]:
    """Circumradii and starting places such that no two things touch. Things shrink until there is room."""
    frame = config.height * config.width
    smallest = np.array([sqrt(config.area[0] * frame / SHAPE_KINDS[shape].area) for shape in cast.shapes])
    shares = rng.uniform(0, log(config.area[1] / config.area[0]) / 2, len(cast.roles))
    spread = np.exp(_to_the_ends(shares, config, cast))
    radii = np.minimum(smallest * spread, LARGEST_RADIUS * min(config.height, config.width))
    while True:
        starts = _find_places(rng, config, radii)
        if starts is not None:
            return [round(float(radius), 3) for radius in radii], starts
        radii = np.maximum(radii * SHRINK, smallest)


def _to_the_ends(shares: NDArray[np.float64], config: WorldConfig, cast: Cast) -> NDArray[np.float64]:
    """Logarithms of growth, those of small and large things pushed to the ends of the range; twins that do
    not differ in size are of one size."""
    whole = log(config.area[1] / config.area[0]) / 2
    for number, role in enumerate(cast.roles):
        if role.end:
            shares[number] = ENDS * shares[number] + (whole * (1 - ENDS) if role.end > 0 else 0.0)
    if cast.twins is not None and cast.difference != "size":
        shares[cast.twins[1]] = shares[cast.twins[0]]
    return shares


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


def _walk(rng: Generator, config: WorldConfig, radius: float, start: Points) -> Walk:
    low, high = _box(config, radius)
    speed = rng.uniform(*config.speed) * min(config.height, config.width)
    return Walk(start, low, high, radius + 1, speed, config.num_frames)
