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
    rows, row_step = _steps(size[0], cell)
    columns, column_step = _steps(size[1], cell)
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


GROUND_KINDS: MappingProxyType[str, Callable[[Generator, Size], Plane]] = MappingProxyType(
    {"gradient": _gradient, "clouds": _clouds, "stripes": _stripes, "checker": _checker, "blobs": _blobs}
)
"""Every texture by name. A new texture is a new row."""


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
