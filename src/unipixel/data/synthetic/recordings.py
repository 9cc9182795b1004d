"""Long recordings of a made-up place: a camera at rest, and things that come, leave and return as themselves.

    plan = RecordingPlan(minutes=20, fps=4)
    for shown in recording(seed, plan):         # one frame at a time, whatever the length
        shown.frame, shown.masks

write_recording makes files of it:

<stem>.mp4      H.264, yuv420p
<stem>.jsonl    a line with the plan and the things; a line for each frame with the masks of the things that
are visible on it (COCO run lengths); a last line with the stretches of frames of each thing. It appears
last, so it vouches for the video.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice, pairwise
from math import ceil, isfinite, sqrt
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from unipixel.core.masks import RLE
from unipixel.core.writing import replacing, write_video
from unipixel.data.synthetic.cast import Role, make_thing, rich_cast
from unipixel.data.synthetic.motion import GRID, Points, Track
from unipixel.data.synthetic.render import View
from unipixel.data.synthetic.shapes import SHAPE_KINDS
from unipixel.data.synthetic.splits import full_world
from unipixel.data.synthetic.world import MAX_THINGS, Thing, WorldConfig
from unipixel.errors import ConfigError, OutputError

LOOKS, CAMERA, LIFE = 10, 11, 12  # streams of random numbers
BLOCK = 32  # frames drawn at once
FAR_AWAY = -10_000.0  # the place of a thing that is not there, pixels
AREA = (0.015, 0.05)  # of the frame, that a thing takes
NOISE = 4.0  # grey levels
PACE = (0.08, 0.3)  # shorter sides per second
PAUSE = 3.0  # seconds at most between two stretches of a visit
SOON = 4.0  # seconds until the first thing comes


@dataclass(frozen=True)
class RecordingPlan:
    """A recording of so many `minutes` at `fps` frames per second, `height` x `width` pixels, in which
    `num_things` different things come and go; each is away for `away` seconds (least, most) between
    visits."""

    minutes: float = 20.0
    fps: float = 4.0
    height: int = 128
    width: int = 128
    num_things: int = 5
    away: tuple[float, float] = (10.0, 90.0)

    def __post_init__(self) -> None:
        if not (
            isfinite(self.minutes) and isfinite(self.fps) and 0 < self.fps <= 120 and self.num_frames >= 1
        ):
            raise ConfigError(
                f"recording: {self.minutes} minutes at {self.fps} frames per second; expected at least one"
                " frame at up to 120 frames per second"
            )
        if not 1 <= self.num_things <= MAX_THINGS:
            raise ConfigError(f"recording: num_things is {self.num_things}; expected 1 to {MAX_THINGS}")
        if not 0 <= self.away[0] <= self.away[1]:
            raise ConfigError(f"recording: away is {self.away}; expected (least, most) seconds")
        self.world()

    @property
    def num_frames(self) -> int:
        return round(self.minutes * 60 * self.fps)

    def world(self) -> WorldConfig:
        """What the place and its things are drawn from. Raises `ConfigError` for sizes that no world has."""
        return replace(full_world(1, self.height, self.width), area=AREA)


@dataclass(frozen=True, eq=False)
class RecordedFrame:
    """Frame `number` at `time` seconds: `frame` uint8 [H, W, 3] and `masks` bool [N, H, W] of the visible
    pixels of each thing of `recorded_things`, empty while it is away or hidden."""

    number: int
    time: float
    frame: NDArray[np.uint8]
    masks: NDArray[np.bool_]

    @property
    def present(self) -> tuple[int, ...]:
        """The things that can be seen."""
        return tuple(int(number) for number in np.flatnonzero(self.masks.any(axis=(1, 2))))


@dataclass(frozen=True)
class RecordingPaths:
    """Where a recording lies."""

    video: Path
    objects: Path


def recorded_things(seed: int, plan: RecordingPlan) -> tuple[Thing, ...]:
    """The things of a recording, all of different names; the last lies on top where they meet."""
    rng, world = _stream(seed, LOOKS), plan.world()
    config = _cast_of(plan, world)
    roles = rich_cast(rng, config).roles[: plan.num_things]
    return tuple(make_thing(rng, role, _radius(rng, world, role), "enter") for role in roles)


def recording(seed: int, plan: RecordingPlan) -> Iterator[RecordedFrame]:
    """The frames of a recording in order, the same for the same seed; memory does not grow with its
    length."""
    things = recorded_things(seed, plan)
    lives = [_life(_stream(seed, LIFE, i), plan, thing, i) for i, thing in enumerate(things)]
    camera = _stream(seed, CAMERA)
    view = View.draw(camera, plan.world())
    for first in range(0, plan.num_frames, BLOCK):
        count = min(BLOCK, plan.num_frames - first)
        tracks = tuple(Track(np.stack(list(islice(life, count))), np.zeros(count)) for life in lives)
        drawn = view.render(camera, things, tracks, NOISE)
        for step in range(count):
            number = first + step
            yield RecordedFrame(number, number / plan.fps, drawn.frames[step], drawn.masks[:, step])


def write_recording(folder: Path, stem: str, seed: int, plan: RecordingPlan) -> RecordingPaths:
    """Write a recording as `stem`.mp4 and `stem`.jsonl into `folder`, which is made if it is missing.

    Both appear whole or not at all. Raises `OutputError` for a stem with a folder in it, or a place that
    cannot be written.
    """
    if Path(stem).name != stem:
        raise OutputError(f"stem is {stem!r}; expected a plain file name without folders")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error}); give a writable folder") from error
    paths = RecordingPaths(folder / f"{stem}.mp4", folder / f"{stem}.jsonl")
    with replacing(paths.objects) as part, part.open("w", encoding="utf-8") as lines:
        things = recorded_things(seed, plan)
        _put(lines, {"seed": seed, "plan": asdict(plan), "things": [_described(thing) for thing in things]})
        visits: list[list[list[int]]] = [[] for _ in things]
        write_video(paths.video, _noted(recording(seed, plan), lines, visits), plan.fps)
        _put(lines, {"presence": visits})
    return paths


def _noted(
    shown: Iterator[RecordedFrame], lines: TextIO, visits: list[list[list[int]]]
) -> Iterator[NDArray[np.uint8]]:
    """Pass the frames on, with a line about each; `visits` collects [first, last] of each thing's
    stretches."""
    for item in shown:
        objects = [
            {"thing": number, "mask": RLE.from_mask(item.masks[number]).to_coco()} for number in item.present
        ]
        _put(lines, {"frame": item.number, "time": item.time, "objects": objects})
        for number in item.present:
            if visits[number] and visits[number][-1][1] == item.number - 1:
                visits[number][-1][1] = item.number
            else:
                visits[number].append([item.number, item.number])
        yield item.frame


def _put(lines: TextIO, content: object) -> None:
    lines.write(json.dumps(content) + "\n")


def _described(thing: Thing) -> dict[str, object]:
    return {"name": thing.name, **asdict(thing)}


def _stream(seed: int, *stream: int) -> Generator:
    return Generator(PCG64(SeedSequence(entropy=seed, spawn_key=stream)))


def _cast_of(plan: RecordingPlan, world: WorldConfig) -> WorldConfig:
    """The same world with as many things as are asked for, and no twins: each is known by its name."""
    return replace(world, num_things=max(plan.num_things, 2), extra_things=0, twins=0.0)


def _radius(rng: Generator, world: WorldConfig, role: Role) -> float:
    area = rng.uniform(*world.area) * world.height * world.width
    return round(sqrt(area / SHAPE_KINDS[role.pair[1]].area), 3)


def _life(rng: Generator, plan: RecordingPlan, thing: Thing, number: int) -> Iterator[Points]:
    """Where a thing is, frame after frame, for ever: away, then through the picture, and away again."""
    absence = rng.uniform(0, SOON if number == 0 else plan.away[1])
    while True:
        for _ in range(round(absence * plan.fps)):
            yield np.full(2, FAR_AWAY)
        yield from _visit(rng, plan, thing.radius)
        absence = rng.uniform(*plan.away)


def _visit(rng: Generator, plan: RecordingPlan, radius: float) -> Iterator[Points]:
    """In over one border, through some places with pauses, and out over a border."""
    low = np.full(2, radius)
    high = np.maximum(np.array([plan.width, plan.height]) - radius, low)
    inner = [rng.uniform(low, high) for _ in range(int(rng.integers(2, 5)))]
    stops = [_outside(rng, plan, radius), *inner, _outside(rng, plan, radius)]
    pace = rng.uniform(*PACE) * min(plan.height, plan.width) / plan.fps
    for begin, end in pairwise(stops):
        steps = max(ceil(float(np.hypot(*(end - begin))) / pace), 1)
        for step in range(steps):
            yield np.rint((begin + (end - begin) * (step / steps)) * GRID) / GRID
        pause = round(rng.uniform(0, PAUSE) * plan.fps) if end is not stops[-1] else 0
        for _ in range(pause):
            yield np.rint(end * GRID) / GRID


def _outside(rng: Generator, plan: RecordingPlan, radius: float) -> Points:
    """A place just out of sight beside one of the four borders."""
    place = rng.uniform(0, 1, 2) * np.array([plan.width, plan.height])
    axis, far = int(rng.integers(2)), bool(rng.integers(2))
    border = (plan.width, plan.height)[axis] if far else 0
    place[axis] = border + (radius + 2) * (1 if far else -1)
    return np.asarray(place, dtype=np.float64)
