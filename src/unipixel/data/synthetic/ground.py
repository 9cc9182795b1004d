"""The ground under the things: textures in muted colours.

A texture is a field [H, W] of float32 in [0, 1] that mixes two ground colours. Noise is made by enlarging
small random grids, and waves are triangular: cheap, and without functions whose last digit differs between
machines.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from math import cos, pi, sin
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Size = tuple[int, int]  # height, width


def value_noise(rng: Generator, size: Size, cell: float) -> Plane:
    """Smooth noise in [0, 1] of shape `size`: a random grid of `cell` pixels pitch, enlarged."""
    return stretched_noise(rng, size, (cell, cell))


def stretched_noise(rng: Generator, size: Size, cells: tuple[float, float]) -> Plane:
    """Like `value_noise`, with a pitch of its own for each axis: (down, across) in pixels."""
    rows, row_step = _steps(size[0], cells[0])
    columns, column_step = _steps(size[1], cells[1])
    grid = rng.random((int(rows[-1]) + 2, int(columns[-1]) + 2), dtype=np.float32)
    tall = grid[rows] + (grid[rows + 1] - grid[rows]) * row_step[:, None]
    left = tall[:, columns]
    return left + (tall[:, columns + 1] - left) * column_step


def _steps(length: int, cell: float) -> tuple[NDArray[np.intp], Plane]:
    """For each pixel of a line: the grid knot before it, and how far (smoothly, 0 to 1) it is to the next."""
    place = np.arange(length, dtype=np.float32) / np.float32(cell)
    knot = place.astype(np.intp)
    part = place - knot.astype(np.float32)
    return knot, part * part * (3 - 2 * part)


def _ramp(rng: Generator, size: Size, periods: float) -> Plane:
    """A plane that rises by `periods` over the longer side, in a random direction, from a random start."""
    turn, longest = 2 * pi * rng.random(), max(size)
    # Rounded, so that the last digit of the machine's sine cannot show.
    slope_y, slope_x = round(sin(turn) * periods / longest, 7), round(cos(turn) * periods / longest, 7)
    down = np.arange(size[0], dtype=np.float32) * np.float32(slope_y) + np.float32(rng.random())
    ramp: Plane = down[:, None] + np.arange(size[1], dtype=np.float32) * np.float32(slope_x)
    return ramp


def _wave(phase: Plane) -> Plane:
    """A triangular wave of period 1 between 0 and 1."""
    wave: Plane = np.abs(2 * (phase - np.floor(phase)) - 1)
    return wave


def _harden(field: Plane, contrast: float) -> Plane:
    """Push a field away from 0.5; contrast 1 keeps it, a large one makes an edge."""
    hard: Plane = np.clip((field - 0.5) * np.float32(contrast) + 0.5, 0, 1)
    return hard


def _gradient(rng: Generator, size: Size) -> Plane:
    return _wave(_ramp(rng, size, rng.uniform(0.3, 0.7)))


def _clouds(rng: Generator, size: Size) -> Plane:
    cell = rng.uniform(0.15, 0.5) * min(size)
    field = value_noise(rng, size, cell)
    for octave in range(1, 4):
        field += value_noise(rng, size, cell / 2**octave) * np.float32(0.5**octave)
    field *= np.float32(1 / 1.875)
    return _harden(field, 1.8)


def _stripes(rng: Generator, size: Size) -> Plane:
    bends = value_noise(rng, size, 0.4 * min(size)) * np.float32(rng.random())
    return _harden(_wave(_ramp(rng, size, rng.uniform(3, 11)) + bends), rng.uniform(1, 6))


def _checker(rng: Generator, size: Size) -> Plane:
    first = _ramp(rng, size, rng.uniform(1.5, 5))
    # The same slope turned by a right angle, so that the fields are squares.
    fall, rise = first[1, 0] - first[0, 0], first[0, 1] - first[0, 0]
    down = np.arange(size[0], dtype=np.float32)[:, None]
    second = down * rise - np.arange(size[1], dtype=np.float32) * fall
    product: Plane = (2 * _wave(first) - 1) * (2 * _wave(second) - 1)
    return _harden(product * np.float32(0.5) + np.float32(0.5), rng.uniform(3, 12))


def _blobs(rng: Generator, size: Size) -> Plane:
    return _harden(value_noise(rng, size, rng.uniform(0.08, 0.25) * min(size)), rng.uniform(3, 10))


def _octaves(rng: Generator, size: Size, cell: float, count: int = 5) -> Plane:
    """Noise in [0, 1] with detail at `count` scales, each half as wide and 0.55 times as strong."""
    field, total = value_noise(rng, size, cell), 1.0
    for octave in range(1, count):
        strength = 0.55**octave
        field += value_noise(rng, size, max(cell / 2**octave, 1.5)) * np.float32(strength)
        total += strength
    field *= np.float32(1 / total)
    return field


def _axes(size: Size) -> tuple[Plane, Plane]:
    """Pixel numbers down [H, 1] and across [1, W]."""
    return np.arange(size[0], dtype=np.float32)[:, None], np.arange(size[1], dtype=np.float32)[None, :]


def _lit(rng: Generator, field: Plane, strength: float) -> Plane:
    """The field under light that falls off in some direction."""
    light = _ramp(rng, (field.shape[0], field.shape[1]), 1.0)
    light -= light.mean()
    return _harden(field + light * np.float32(strength), 1.0)


def _hills(rng: Generator, size: Size) -> Plane:
    """A sky that pales towards a bumpy horizon, and rough land before it."""
    down, _ = _axes(size)
    ridge = stretched_noise(rng, (1, size[1]), (1.0, 0.4 * min(size))) - np.float32(0.5)
    ridge += (stretched_noise(rng, (1, size[1]), (1.0, 0.1 * min(size))) - np.float32(0.5)) * np.float32(0.3)
    depth = down / np.float32(size[0]) - np.float32(rng.uniform(0.25, 0.6))
    below = depth - ridge * np.float32(rng.uniform(0.1, 0.35))
    sky = (
        np.float32(0.75) + depth * np.float32(0.5) + _octaves(rng, size, 0.3 * min(size), 3) * np.float32(0.2)
    )
    rough = stretched_noise(rng, size, (2.5, 7.0)) + _octaves(rng, size, 0.2 * min(size), 4)
    land = np.float32(0.35) * rough - np.clip(depth, 0, 1) * np.float32(0.3)
    edge = np.clip(below * np.float32(size[0] / 3) + np.float32(0.5), 0, 1)
    hills: Plane = np.clip(sky + (land - sky) * edge, 0, 1)
    return hills


def _bokeh(rng: Generator, size: Size) -> Plane:
    """Soft discs of light far out of focus."""
    down, across = _axes(size)
    field = _octaves(rng, size, 0.5 * min(size), 2) * np.float32(0.4)
    for _ in range(int(rng.integers(8, 15))):
        y, x = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        radius = rng.uniform(0.04, 0.14) * min(size)
        distance = np.sqrt((down - np.float32(y)) ** 2 + (across - np.float32(x)) ** 2)
        disc = np.clip((np.float32(radius) - distance) / np.float32(0.2 * radius), 0, 1)
        field = field + disc * np.float32(rng.uniform(0.12, 0.4))
    lights: Plane = np.clip(field, 0, 1)
    return lights


def _wood(rng: Generator, size: Size) -> Plane:
    """Long grain along one axis, in planks."""
    along, planks = int(rng.integers(2)), rng.uniform(0.18, 0.4) * min(size)
    shape = size if along else (size[1], size[0])
    down, _ = _axes(shape)
    plank = (down / np.float32(planks)).astype(np.intp)
    tones = rng.random(int(plank[-1, 0]) + 1, dtype=np.float32)[plank]
    bends = stretched_noise(rng, shape, (0.12 * min(size), 0.9 * min(size)))
    rings = _wave(down / np.float32(rng.uniform(5, 9)) + bends * np.float32(rng.uniform(2, 5)) + tones * 7)
    fibre = stretched_noise(rng, shape, (1.5, 0.25 * min(size)))
    field = np.float32(0.35) * rings + np.float32(0.3) * fibre + np.float32(0.35) * tones
    seam = np.abs(down / np.float32(planks) - plank - np.float32(0.5)) > np.float32(0.5 - 0.7 / planks)
    field *= np.where(seam, np.float32(0.3), np.float32(1))
    field = _harden(field, 1.8)
    return field if along else np.ascontiguousarray(field.T)


def _bricks(rng: Generator, size: Size) -> Plane:
    """Courses of bricks, each of a tone of its own, in pale mortar."""
    down, across = _axes(size)
    high = rng.uniform(0.07, 0.14) * min(size)
    wide = high * rng.uniform(1.8, 2.8)
    course = (down / np.float32(high)).astype(np.intp)
    place = across / np.float32(wide) + (course % 2).astype(np.float32) * np.float32(0.5)
    brick = place.astype(np.intp)
    tones = rng.random((int(course.max()) + 1, int(brick.max()) + 1), dtype=np.float32)[course, brick]
    joint = np.float32(rng.uniform(0.06, 0.12) * high)
    apart = np.minimum(
        (place - brick) * np.float32(wide), (down / np.float32(high) - course) * np.float32(high)
    )
    rough = value_noise(rng, size, 2.5)
    face = np.float32(0.5) * tones + np.float32(0.25) * rough
    return _lit(rng, np.where(apart < np.maximum(joint, 1), np.float32(0.95), face), 0.25)


def _gravel(rng: Generator, size: Size) -> Plane:
    """Stones: each pixel belongs to the nearest of jittered points and darkens towards the gaps."""
    pitch = rng.uniform(0.06, 0.12) * min(size)
    down, across = (axis / np.float32(pitch) for axis in _axes(size))
    cells = (int(down[-1, 0]) + 3, int(across[0, -1]) + 3)
    jitter = rng.random((3, *cells), dtype=np.float32)
    row, column = down.astype(np.intp), across.astype(np.intp)
    nearest = np.full(size, np.inf, dtype=np.float32)
    tone = np.zeros(size, dtype=np.float32)
    for step_y in range(3):
        for step_x in range(3):
            y, x, shade = jitter[:, row + step_y, column + step_x]
            y = y + (row + (step_y - 1)).astype(np.float32) - down
            x = x + (column + (step_x - 1)).astype(np.float32) - across
            distance = y * y + x * x
            closer = distance < nearest
            nearest = np.where(closer, distance, nearest)
            tone = np.where(closer, shade, tone)
    return _lit(rng, tone * np.float32(0.6) + np.float32(0.45) - nearest * np.float32(0.55), 0.2)


def _water(rng: Generator, size: Size) -> Plane:
    """Ripples that grow towards the lower border, with glints."""
    down, _ = _axes(size)
    near = np.float32(0.25) + down / np.float32(size[0])
    swell = stretched_noise(rng, size, (0.1 * min(size), 0.45 * min(size)))
    phase = np.float32(rng.uniform(9, 16)) * np.sqrt(near) + swell * np.float32(rng.uniform(1.5, 3.5))
    glint = stretched_noise(rng, size, (1.5, 6.0))
    field = _wave(phase) * np.float32(0.45) + swell * np.float32(0.3) + glint * np.float32(0.25)
    return _lit(rng, field, 0.4)


def _stone(rng: Generator, size: Size) -> Plane:
    """Rough stone or plaster: detail at many scales, with dark veins."""
    veins = np.abs(_octaves(rng, size, rng.uniform(0.3, 0.6) * min(size), 4) - np.float32(0.5))
    rough = _octaves(rng, size, 0.2 * min(size))
    return _lit(rng, rough * np.float32(0.7) + np.clip(veins * 9, 0, 1) * np.float32(0.3), 0.35)


def _cloth(rng: Generator, size: Size) -> Plane:
    """Woven threads over soft folds."""
    down, across = _axes(size)
    pitch = np.float32(rng.uniform(2.5, 4.5))
    weave = _wave(down / pitch) * np.float32(0.5) + _wave(across / pitch) * np.float32(0.5)
    folds = stretched_noise(rng, size, (0.7 * min(size), 0.2 * min(size)))
    field = weave * np.float32(0.3) + folds * np.float32(0.5) + _octaves(rng, size, 6.0, 2) * np.float32(0.2)
    return _lit(rng, field, 0.2)


GROUND_KINDS: MappingProxyType[str, Callable[[Generator, Size], Plane]] = MappingProxyType(
    {
        "gradient": _gradient,
        "clouds": _clouds,
        "stripes": _stripes,
        "checker": _checker,
        "blobs": _blobs,
        "hills": _hills,
        "stone": _stone,
        "bricks": _bricks,
        "water": _water,
        "cloth": _cloth,
        "wood": _wood,
        "gravel": _gravel,
        "bokeh": _bokeh,
    }
)
"""Every texture by name. A new texture is a new row."""

GROUNDS = ("gradient", "clouds", "stripes", "checker", "blobs")
"""The grounds that a world has unless its configuration says otherwise."""

ALL_GROUNDS = tuple(GROUND_KINDS)
"""Every ground, those that look like photographs among them."""


def _muted_colour(rng: Generator) -> Plane:
    """Any hue, from grey to half coloured, [3] in [0, 255]."""
    rgb = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.02, 0.50), rng.uniform(0.18, 0.85))
    return np.array(rgb, dtype=np.float32) * 255


def draw_ground(rng: Generator, size: Size, kinds: tuple[str, ...]) -> Plane:
    """A textured ground [3, H, W], float32 in [0, 255], of one of the `kinds`."""
    texture = GROUND_KINDS[kinds[rng.integers(len(kinds))]](rng, size)
    first = _muted_colour(rng)
    # Not the whole way to the second colour: the two sides of a texture resemble each other more or less.
    change = (_muted_colour(rng) - first) * np.float32(rng.uniform(0.25, 1.0))
    grain = value_noise(rng, size, rng.uniform(1.5, 5.0)) - np.float32(0.5)
    light = 1 + grain * np.float32(rng.uniform(0.0, 0.3))
    ground: Plane = (first[:, None, None] + change[:, None, None] * texture) * light
    return ground
