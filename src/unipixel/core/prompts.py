"""What a person points with: clicks, boxes, masks and scribbles, in pixels of the
clip as the person sees it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from unipixel.errors import PromptError


def _frame_number(frame: object, what: str) -> int:
    try:
        return operator.index(frame)  # type: ignore[arg-type]
    except TypeError as error:
        raise PromptError(f"{what} is on frame {frame!r}; a frame's number is whole") from error


def _check_frame(frame: int, num_frames: int, what: str) -> None:
    if not 0 <= frame < num_frames:
        raise PromptError(
            f"{what} is on frame {frame}, but the clip has {num_frames} "
            f"frame{'s' if num_frames != 1 else ''}; "
            f"give a frame from 0 to {num_frames - 1}"
        )


def _check_inside(x: float, y: float, width: int, height: int, what: str) -> None:
    if not (0 <= x < width and 0 <= y < height):
        raise PromptError(
            f"{what} ({x:g}, {y:g}) lies outside the {width}x{height} picture; "
            f"x runs from 0 to {width - 1}, y from 0 to {height - 1}"
        )


def _numbers(values: Sequence[object], what: str) -> list[float]:
    """Finite numbers, whatever kind of number they came as."""
    try:
        found = [float(value) for value in values]  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise PromptError(
            f"{what} has coordinates {tuple(values)!r:.80}; expected numbers in pixels"
        ) from error
    if not all(np.isfinite(value) for value in found):
        raise PromptError(f"{what} has coordinates {tuple(found)}; expected finite numbers in pixels")
    return found


@dataclass(frozen=True)
class Point:
    """A click at (x, y) pixels on one frame of the clip; `positive` says that the
    object is there (not: is not)."""

    x: float
    y: float
    frame: int = 0
    positive: bool = True

    def __post_init__(self) -> None:
        x, y = _numbers((self.x, self.y), "a point")
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "positive", bool(self.positive))
        object.__setattr__(self, "frame", _frame_number(self.frame, "a point"))

    def check(self, width: int, height: int, num_frames: int) -> None:
        """Raise PromptError unless the click lies on a clip of this size."""
        _check_frame(self.frame, num_frames, "the point")
        _check_inside(self.x, self.y, width, height, "the point")


@dataclass(frozen=True)
class Box:
    """A box from its top-left corner (x1, y1) to its bottom-right corner (x2, y2),
    pixels, both corners inside."""

    x1: float
    y1: float
    x2: float
    y2: float
    frame: int = 0

    def __post_init__(self) -> None:
        corners = _numbers((self.x1, self.y1, self.x2, self.y2), "a box")
        for name, value in zip(("x1", "y1", "x2", "y2"), corners, strict=True):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "frame", _frame_number(self.frame, "a box"))
        if self.x2 < self.x1 or self.y2 < self.y1:
            ordered = (
                min(self.x1, self.x2),
                min(self.y1, self.y2),
                max(self.x1, self.x2),
                max(self.y1, self.y2),
            )
            raise PromptError(
                f"the box ({self.x1:g}, {self.y1:g}, {self.x2:g}, {self.y2:g}) has swapped corners: expected "
                f"x1 <= x2 and y1 <= y2; did you mean ({', '.join(f'{value:g}' for value in ordered)})?"
            )

    def check(self, width: int, height: int, num_frames: int) -> None:
        """Raise PromptError unless both corners lie on a clip of this size."""
        _check_frame(self.frame, num_frames, "the box")
        _check_inside(self.x1, self.y1, width, height, "the box's top-left corner")
        _check_inside(self.x2, self.y2, width, height, "the box's bottom-right corner")


@dataclass(frozen=True, eq=False)
class RegionMask:
    """A mask, bool [height, width] of the clip, on one frame."""

    mask: NDArray[np.bool_]
    frame: int = 0

    def __post_init__(self) -> None:
        mask = np.asarray(self.mask)
        if mask.ndim != 2:
            raise PromptError(f"a region mask must be [height, width]; found shape {mask.shape}")
        if mask.dtype.kind not in "biuf" or (mask.dtype.kind == "f" and np.isnan(mask).any()):
            raise PromptError("a region mask says yes or no of every pixel; this one holds NaN or text")
        mask = np.ascontiguousarray(mask != 0)
        if not mask.any():
            raise PromptError("the region mask is empty; mark at least one pixel of the object")
        mask.setflags(write=False)
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "frame", _frame_number(self.frame, "a region mask"))

    def check(self, width: int, height: int, num_frames: int) -> None:
        """Raise PromptError unless the mask has the clip's size."""
        _check_frame(self.frame, num_frames, "the mask")
        if self.mask.shape != (height, width):
            found_height, found_width = self.mask.shape
            raise PromptError(
                f"the mask is {found_width}x{found_height} pixels, but the clip is {width}x{height}; "
                f"give a mask of the clip's size"
            )


@dataclass(frozen=True)
class Scribble:
    """A stroke through (x, y) pixels on one frame, `thickness` pixels wide; stands
    for the region that it covers."""

    points: tuple[tuple[float, float], ...]
    frame: int = 0
    thickness: float = field(default=5.0)

    def __post_init__(self) -> None:
        try:
            pairs = [_numbers((x, y), "a scribble") for x, y in self.points]
        except (TypeError, ValueError) as error:
            if isinstance(error, PromptError):
                raise
            raise PromptError(f"a scribble is a list of points (x, y); found {self.points!r:.80}") from error
        object.__setattr__(self, "points", tuple((x, y) for x, y in pairs))
        if not self.points:
            raise PromptError("a scribble needs at least one point")
        object.__setattr__(self, "frame", _frame_number(self.frame, "a scribble"))
        (thickness,) = _numbers((self.thickness,), "a scribble's thickness")
        if thickness <= 0:
            raise PromptError(f"a scribble's thickness must be positive; found {thickness:g}")
        object.__setattr__(self, "thickness", thickness)

    def check(self, width: int, height: int, num_frames: int) -> None:
        """Raise PromptError unless every point lies on a clip of this size."""
        _check_frame(self.frame, num_frames, "the scribble")
        for x, y in self.points:
            _check_inside(x, y, width, height, "the scribble's point")

    def to_mask(self, width: int, height: int) -> RegionMask:
        """The pixels under the stroke, as a region mask of a width x height clip."""
        from PIL import Image, ImageDraw

        canvas = Image.new("1", (width, height))
        draw = ImageDraw.Draw(canvas)
        stroke = max(1, round(self.thickness))
        draw.line(self.points, fill=1, width=stroke, joint="curve")
        draw.point(self.points, fill=1)  # a thin stroke of one point may otherwise leave nothing
        radius = self.thickness / 2
        for x, y in (self.points[0], self.points[-1]):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
        return RegionMask(np.asarray(canvas), self.frame)


Prompt: TypeAlias = Point | Box | RegionMask | Scribble
"""Anything that a person can point with."""

SlotPrompt: TypeAlias = Point | Box
"""What the object-prompt encoder turns into one `<|ref|>`; masks and scribbles
enter the memory as `<|mem|>`."""
