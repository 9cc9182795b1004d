"""Draw things on their ground. T frames, O things, S side of a thing's patch, H and W of the frame."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, pi, sin

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unipixel.data.synthetic.ground import draw_ground, value_noise
from unipixel.data.synthetic.motion import Track
from unipixel.data.synthetic.shapes import SHAPE_KINDS
from unipixel.data.synthetic.world import CameraConfig, Thing, WorldConfig

Canvas = NDArray[np.float32]  # [T, 3, H, W] in [0, 255]; planes, because numpy is quick on long inner axes
Masks = NDArray[np.bool_]  # [O, T, H, W]

NOISE_MARGIN = 16  # frames take their noise from shifted windows of one larger tile
FASTEST_PAN = 0.006  # of the shorter side, per frame
STRIPE, LEAST_STRIPE = 0.55, 6.0  # from stripe to stripe: in circumradii, and at least so many pixels
RIM = 0.8  # pixels around a pattern
DOT, LEAST_DOT, DOT_RADIUS = 0.62, 7.0, 0.31  # the same for dots, and a dot's radius in such steps


@dataclass(frozen=True)
class _Patch:
    """A thing in its bounding box in each frame.

    `left` and `top` [T] place the box, `cover` [T, S, S] in [0, 1] is opacity, `paint` [T, 3, S, S] in [0,
    255] colour.
    """

    left: NDArray[np.intp]
    top: NDArray[np.intp]
    cover: Canvas
    paint: Canvas


@dataclass(frozen=True)
class _Light:
    """Light that falls on every thing of a clip: direction times strength, and how dark the rims are."""

    x: np.float32
    y: np.float32
    rim: np.float32


@dataclass(frozen=True)
class Rendered:
    """Frames uint8 [T, H, W, 3], masks [O, T, H, W] of visible pixels, and `covered` int32 [O, O, T]: how
    many pixels of the first thing the second one, which lies above it, took away."""

    frames: NDArray[np.uint8]
    masks: Masks
    covered: NDArray[np.int32]


@dataclass(frozen=True)
class CameraPath:
    """What the camera does to a clip beyond its own spoiling.

    `drift` [T, 2]: whole pixels (x, y) by which everything shifts, (0, 0) in frame 0; `shade` float32 [T, 3
    or 1, H, W] or smaller: factors of the light, None for steady light.
    """

    drift: NDArray[np.intp]
    shade: Canvas | None = None

    @classmethod
    def steady(cls, frames: int) -> CameraPath:
        """A camera at rest in steady light."""
        return cls(np.zeros((frames, 2), dtype=np.intp))


def render(
    rng: Generator,
    config: WorldConfig,
    things: tuple[Thing, ...],
    tracks: tuple[Track, ...],
    camera: CameraPath | None = None,
) -> Rendered:
    """Draw a clip; later things lie on top. `tracks` are in the picture's pixels, the camera's drift in
    them."""
    camera = camera or CameraPath.steady(config.num_frames)
    canvas = _paint_ground(rng, config, camera.drift)
    light = _draw_light(rng)
    masks = np.zeros((len(things), *canvas.shape[:1], *canvas.shape[2:]), dtype=np.bool_)
    covered = np.zeros((len(things), len(things), len(canvas)), dtype=np.int32)
    for number, (thing, track) in enumerate(zip(things, tracks, strict=True)):
        _place(canvas, masks, covered, number, _draw_patch(rng, thing, track, light))
    if camera.shade is not None:
        canvas *= camera.shade
    return Rendered(_photograph(rng, canvas, config.camera), masks, covered)


@dataclass(frozen=True)
class View:
    """What a camera at rest looks at for long: a ground [3, H, W] and its light. `seed` draws the things'
    paint, the same whenever they are seen."""

    ground: NDArray[np.float32]
    light: _Light
    seed: int

    @classmethod
    def draw(cls, rng: Generator, config: WorldConfig) -> View:
        ground = draw_ground(rng, (config.height, config.width), config.grounds)
        return cls(ground, _draw_light(rng), int(rng.integers(1 << 32)))

    def render(
        self, rng: Generator, things: tuple[Thing, ...], tracks: tuple[Track, ...], noise: float
    ) -> Rendered:
        """The next frames, as many as the tracks are long, with `noise` of so many grey levels; things lie on
        each other as in `render`. A thing that is away has its centre far outside."""
        frames, (height, width) = len(tracks[0].centres), self.ground.shape[1:]
        canvas = np.repeat(self.ground[None], frames, axis=0)
        masks = np.zeros((len(things), frames, height, width), dtype=np.bool_)
        covered = np.zeros((len(things), len(things), frames), dtype=np.int32)
        for number, (thing, track) in enumerate(zip(things, tracks, strict=True)):
            paint = np.random.default_rng((self.seed, number))
            _place(canvas, masks, covered, number, _draw_patch(paint, thing, track, self.light))
        _add_noise(rng, canvas, noise)
        return Rendered(_to_bytes(canvas), masks, covered)


def _paint_ground(rng: Generator, config: WorldConfig, drift: NDArray[np.intp]) -> Canvas:
    """A ground for every frame; a panning camera sees moving windows of a larger one."""
    height, width, frames = config.height, config.width, config.num_frames
    pans = rng.random() < config.camera.pan
    velocity = rng.uniform(-1, 1, 2) * (FASTEST_PAN * min(height, width)) * pans
    offsets = np.rint(velocity * np.arange(frames)[:, None]).astype(int)
    offsets -= drift[:, ::-1]
    offsets -= offsets.min(axis=0)
    extra = offsets.max(axis=0)
    ground = draw_ground(rng, (height + int(extra[0]), width + int(extra[1])), config.grounds)
    canvas = np.empty((frames, 3, height, width), dtype=np.float32)
    for frame, (top, left) in enumerate(offsets):
        canvas[frame] = ground[:, top : top + height, left : left + width]
    return canvas


def _draw_light(rng: Generator) -> _Light:
    turn, strength = 2 * pi * rng.random(), rng.uniform(0.0, 0.22)
    x, y = round(cos(turn) * strength, 6), round(sin(turn) * strength, 6)
    return _Light(np.float32(x), np.float32(y), np.float32(rng.uniform(0.0, 0.5)))


def _draw_patch(rng: Generator, thing: Thing, track: Track, light: _Light) -> _Patch:
    """Cover and paint of a thing, all frames at once, from the signed distance to its outline."""
    radius, largest = _radii(thing, track)
    half = ceil(largest + 1.5)
    corner = np.floor(track.centres).astype(np.intp) - half
    # Pixel i has its centre at i + 0.5.
    reach = np.arange(2 * half + 1) + 0.5
    x = ((corner[:, 0] - track.centres[:, 0])[:, None] + reach).astype(np.float32)[:, None, :] / radius
    y = ((corner[:, 1] - track.centres[:, 1])[:, None] + reach).astype(np.float32)[:, :, None] / radius
    cosine, sine = _turns(np.cos(track.angles)), _turns(np.sin(track.angles))
    u, v = cosine * x + sine * y, cosine * y - sine * x
    distance = SHAPE_KINDS[thing.shape].distance(u, v)
    cover = np.clip(np.float32(0.5) - distance * radius, 0, 1)
    shade = 1 + x * light.x + y * light.y + np.clip(-distance - np.float32(0.2), -0.2, 0.2) * light.rim
    shade *= _mottle(rng, 2 * half + 1)
    colour = np.array(thing.rgb, dtype=np.float32)[:, None, None] * 255
    if thing.second is not None:
        other = np.array(thing.second, dtype=np.float32)[:, None, None] * 255
        # A rim keeps the first shade, so that the outline stays whole.
        inside = np.clip(np.float32(-RIM) - distance * radius, 0, 1)
        colour = colour + (other - colour) * (inside * _pattern(thing, u, v, radius))[:, None]
    return _Patch(corner[:, 0], corner[:, 1], cover, shade[:, None] * colour)


def _radii(thing: Thing, track: Track) -> tuple[NDArray[np.float32] | np.float32, float]:
    """The radius, or that of every frame [T, 1, 1], and the largest one."""
    if track.scales is None:
        return np.float32(thing.radius), thing.radius
    radii = thing.radius * track.scales
    return radii.astype(np.float32)[:, None, None], float(radii.max())


def _pattern(thing: Thing, u: Canvas, v: Canvas, radius: NDArray[np.float32] | np.float32) -> Canvas:
    """How much of the second shade there is, [T, S, S] in [0, 1]. Marks are coarser, beside the thing, on
    small things, so that they stay a few pixels wide."""
    if thing.pattern == "striped":
        period = np.float32(max(STRIPE, LEAST_STRIPE / thing.radius))
        inside = np.float32(0.25) - np.abs(u / period - np.rint(u / period))
    else:
        period = np.float32(max(DOT, LEAST_DOT / thing.radius))
        columns, rows = (axis / period - np.floor(axis / period) - np.float32(0.5) for axis in (u, v))
        inside = np.float32(DOT_RADIUS) - np.sqrt(columns * columns + rows * rows)
    mark: Canvas = np.clip(np.float32(0.5) + inside * (period * radius), 0, 1)
    return mark


def _turns(values: NDArray[np.float64]) -> Canvas:
    """Cosines or sines as [T, 1, 1], rounded so that every machine draws the same."""
    return np.round(values, 6).astype(np.float32)[:, None, None]


def _mottle(rng: Generator, side: int) -> NDArray[np.float32]:
    """Uneven paint: factors [S, S] around 1."""
    strength = np.float32(rng.uniform(0.0, 0.25))
    return 1 + (value_noise(rng, (side, side), rng.uniform(3.0, 12.0)) - np.float32(0.5)) * strength


def _place(canvas: Canvas, masks: Masks, covered: NDArray[np.int32], number: int, patch: _Patch) -> None:
    """Blend a patch, as far as it is in sight, into its frames and claim its pixels from the things below."""
    height, width, side = canvas.shape[2], canvas.shape[3], patch.cover.shape[1]
    for frame in range(canvas.shape[0]):
        left, top = int(patch.left[frame]), int(patch.top[frame])
        rows = slice(max(top, 0), min(top + side, height))
        columns = slice(max(left, 0), min(left + side, width))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        inner = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        cover = patch.cover[frame][inner]
        below = canvas[frame, :, rows, columns]
        below += (patch.paint[frame, :, inner[0], inner[1]] - below) * cover
        solid = cover >= 0.5
        under = masks[:number, frame, rows, columns]
        covered[:number, number, frame] = np.count_nonzero(under & solid, axis=(1, 2))
        under &= ~solid
        masks[number, frame, rows, columns] = solid


def _photograph(rng: Generator, canvas: Canvas, camera: CameraConfig) -> NDArray[np.uint8]:
    """Blur, brightness, noise and 8 bits: canvas [T, 3, H, W] (used up) to frames [T, H, W, 3]."""
    blurs, flickers = rng.random() < camera.blur, rng.random() < camera.flicker
    if blurs:
        canvas = _blur(_blur(canvas, 2), 3)
    if flickers:
        first, last = rng.uniform(0.85, 1.12, 2)
        canvas *= np.linspace(first, last, len(canvas), dtype=np.float32)[:, None, None, None]
    _add_noise(rng, canvas, rng.uniform(0.0, camera.noise))
    return _to_bytes(canvas)


def _to_bytes(canvas: Canvas) -> NDArray[np.uint8]:
    """Canvas [T, 3, H, W] (used up) to frames [T, H, W, 3]."""
    canvas += np.float32(0.5)
    np.clip(canvas, 0, 255, out=canvas)
    return np.ascontiguousarray(np.moveaxis(canvas.astype(np.uint8), 1, 3))


def _blur(canvas: Canvas, axis: int) -> Canvas:
    """Weights 1/4, 1/2, 1/4 along an axis; the two border lines stay as they are."""
    lines = np.moveaxis(canvas, axis, 0)
    blurred = canvas.copy()
    inner = np.moveaxis(blurred, axis, 0)[1:-1]
    inner += (lines[:-2] + lines[2:]) * np.float32(0.5)
    inner *= np.float32(0.5)
    return blurred


def _add_noise(rng: Generator, canvas: Canvas, amplitude: float) -> None:
    """Triangular noise of up to `amplitude` grey levels, another window of one tile in each frame."""
    frames, channels, height, width = canvas.shape
    size = (channels, height + NOISE_MARGIN, width + NOISE_MARGIN)
    dice = rng.integers(0, 256, size, dtype=np.uint8)
    tile = ((dice >> 4).astype(np.float32) - (dice & 15)) * np.float32(amplitude / 15)
    shifts = rng.integers(0, NOISE_MARGIN + 1, (frames, 2))
    for frame, (top, left) in enumerate(shifts):
        canvas[frame] += tile[:, top : top + height, left : left + width]
