"""The outlines of things: one row a shape, given by its signed distance.

A distance function takes `u, v`, coordinates in units of the shape's circumradius with the shape's centre
at the origin (broadcastable float32 arrays), and returns the signed distance to the outline in the same
unit, negative inside. Only sums, products, maxima and square roots are used, so that the result is the same
on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin, sqrt
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

RING_HOLE = 0.5  # inner radius of the ring, in circumradii
STAR_WAIST = cos(2 * pi / 5) / cos(
    pi / 5
)  # inner radius of the five-pointed star whose opposite edges are collinear


@dataclass(frozen=True)
class ShapeKind:
    """A shape of circumradius 1: its `area`, its signed `distance` function, and the area `hull` of what it
    spans, holes and notches filled, which is how large it looks."""

    name: str
    area: float
    distance: Callable[[Plane, Plane], Plane]
    hull: float


def _half_planes(u: Plane, v: Plane, sides: int, inradius: float) -> list[Plane]:
    """Signed distances to the `sides` lines that lie `inradius` from the centre, evenly turned."""
    turns = [2 * pi * side / sides - pi / 2 for side in range(sides)]
    return [u * np.float32(cos(turn)) + v * np.float32(sin(turn)) - np.float32(inradius) for turn in turns]


def _circle(u: Plane, v: Plane) -> Plane:
    return np.sqrt(u * u + v * v) - np.float32(1)


def _ring(u: Plane, v: Plane) -> Plane:
    middle, half = np.float32((1 + RING_HOLE) / 2), np.float32((1 - RING_HOLE) / 2)
    return np.abs(np.sqrt(u * u + v * v) - middle) - half


def _square(u: Plane, v: Plane) -> Plane:
    return np.maximum(np.abs(u), np.abs(v)) - np.float32(sqrt(0.5))


def _triangle(u: Plane, v: Plane) -> Plane:
    first, second, third = _half_planes(u, v, 3, 0.5)
    return np.maximum(np.maximum(first, second), third)


def _star(u: Plane, v: Plane) -> Plane:
    """The pentagram: points outside of at most one of five half-planes, so the second distance counts."""
    first, *others = _half_planes(u, v, 5, cos(2 * pi / 5))
    largest, second = first, np.full_like(first, -np.inf)
    for other in others:
        second = np.maximum(second, np.minimum(largest, other))
        largest = np.maximum(largest, other)
    return second


SHAPE_KINDS = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            ShapeKind("circle", pi, _circle, pi),
            ShapeKind("square", 2.0, _square, 2.0),
            ShapeKind("triangle", 3 * sqrt(3) / 4, _triangle, 3 * sqrt(3) / 4),
            ShapeKind("star", 5 * STAR_WAIST * sin(pi / 5), _star, 2.5 * sin(2 * pi / 5)),
            ShapeKind("ring", pi * (1 - RING_HOLE**2), _ring, pi),
        )
    }
)
"""Every shape that can be drawn, by name. A new shape is a new row."""

SHAPES = ("circle", "square", "triangle")
"""The shapes that a world has unless its configuration says otherwise."""

ALL_SHAPES = tuple(SHAPE_KINDS)
"""Every shape, for worlds that ask for more."""
