"""The parts of an item of a person's own data: times, shapes, objects, turns, media (docs/data.md).

Objects are called by their ids throughout. Nothing here opens a file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from unipixel.core.masks import RLE
from unipixel.core.prompts import Box, Point
from unipixel.data.sample import Choice, Exchange, Facts, Form, Style, Task
from unipixel.errors import DataError

Kind: TypeAlias = Literal["image", "video", "frames"]

_TICK = 1e-6  # seconds are rounded when they are written

MAX_FRAMES = 1_000_000
"""Frames of the longest clip: nine hours at 30 frames a second."""

MAX_ID = 1_000_000
"""Largest id of an object: it is written into texts, and counted with."""


# Time


@dataclass(frozen=True)
class FrameSpan:
    """Frames `first` to `last`, both included."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last:
            raise DataError(
                "", "", f"frames {self.first} to {self.last}", "the first and then the last, from 0"
            )
        if self.last >= MAX_FRAMES:
            raise DataError("", "", f"frame {self.last}", f"a frame below {MAX_FRAMES}")


@dataclass(frozen=True)
class TimeSpan:
    """All frames from `first` to `last` seconds after the first frame, both included."""

    first: float
    last: float

    def __post_init__(self) -> None:
        if not (0 <= self.first <= self.last < math.inf):
            raise DataError(
                "", "", f"{self.first:g} to {self.last:g} seconds", "the beginning and then the end, from 0"
            )


When: TypeAlias = FrameSpan | TimeSpan


# Objects


@dataclass(frozen=True)
class Outline:
    """The union of polygons, each x1, y1, x2, y2, ... in COCO's continuous coordinates."""

    polygons: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "polygons", tuple(tuple(polygon) for polygon in self.polygons))
        if not self.polygons:
            raise DataError("", "", "no polygon", "at least one")
        for number, polygon in enumerate(self.polygons):
            if len(polygon) < 6 or len(polygon) % 2:
                found = f"{len(polygon)} numbers"
                raise DataError("", f"[{number}]", found, "x1, y1, x2, y2, ... of at least 3 points")
            _check_finite(polygon, f"[{number}]")


@dataclass(frozen=True)
class MaskPicture:
    """A PNG of the frame's size: pixels that are not 0 are the object; with `value`, those that have it."""

    path: str
    value: int | None = None

    def __post_init__(self) -> None:
        if not self.path.lower().endswith(".png"):
            raise DataError("", "", f"{self.path!r}", "a PNG; other kinds may blur the edges of a mask")
        if self.value is not None and not 0 <= self.value <= 65535:
            raise DataError("", "", f"value {self.value}", "a pixel value from 0 to 65535")


Shape: TypeAlias = RLE | Outline | MaskPicture | Box | Point
"""Where an object is. Boxes (corners inside) and points are pointers: they ask, and are never an answer."""


@dataclass(frozen=True)
class Region:
    """Where an object is at some time. The frame number inside a Box or Point is not used; `when` counts.

    Attributes:
        shape: a mask or a pointer.
        when: its frames; None is the whole clip, or the time in which the object exists.
        facts: what else is known of it; for people and other programs.
    """

    shape: Shape
    when: When | None = None
    facts: Facts = field(default_factory=Facts)

    @property
    def is_pointer(self) -> bool:
        """Whether it can only point."""
        return isinstance(self.shape, Box | Point)


@dataclass(frozen=True)
class ItemObject:
    """An object, its name, and where it is.

    Attributes:
        id: the number by which text calls it, `[3]`.
        name: for people; empty for none.
        regions: several on one frame are one mask, their union. None at all: it is never seen.
        exists: when it is there at all; None says nothing about that.
        facts: what else is known of it.
    """

    id: int
    name: str = ""
    regions: tuple[Region, ...] = ()
    exists: tuple[When, ...] | None = None
    facts: Facts = field(default_factory=Facts)

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", tuple(self.regions))
        if not 0 <= self.id <= MAX_ID:
            raise DataError("", "id", f"{self.id}", f"a number from 0 to {MAX_ID}")
        if self.exists is not None and not self.exists:
            raise DataError("", "exists", "no time", "at least one span of frames or seconds")

    @property
    def has_mask(self) -> bool:
        return any(not region.is_pointer for region in self.regions)

    @property
    def has_pointer(self) -> bool:
        return any(region.is_pointer for region in self.regions)


# Words


@dataclass(frozen=True)
class Find:
    """Words for objects, whose union is the mask that answers them.

    Attributes:
        text: the words; of a form's templates one is put around them.
        masks: ids of the objects; none at all where nothing fits the words.
        form: how the words name the objects.
        answer: what is said beside the mask, for the forms that have it.
        part: name of the part, for form "part".
        id: number or name of the expression.
    """

    text: str
    masks: tuple[int, ...]
    form: Form = "query"
    answer: str = ""
    part: str = ""
    id: str = ""


@dataclass(frozen=True)
class Describe:
    """A description of one object, without a question of its own: the templates have one."""

    object: int
    text: str
    style: Style = "detailed"
    id: str = ""


Round: TypeAlias = Find | Exchange | Describe | Choice


# The item


@dataclass(frozen=True)
class ItemMedia:
    """A picture, a video, or pictures in their order; paths relative to the data's folder.

    Attributes:
        kind: which of them.
        paths: one for a picture or video, at least one for frames.
        name: what the clip is called; items of one clip share it. Empty is the path.
        fps: the clock that seconds are counted by; None is the video's own, and for frames there is none.
        step: of a video only frames 0, step, 2 * step, ... count, and frame numbers count those.
        size: (width, height) in pixels, where the file says it.
    """

    kind: Kind
    paths: tuple[str, ...]
    name: str = ""
    fps: float | None = None
    step: int = 1
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", tuple(self.paths))
        if self.kind not in get_args(Kind) or (len(self.paths) != 1 and self.kind != "frames"):
            raise DataError(
                "", "media", f"{len(self.paths)} paths of {self.kind}", "an image, a video or frames"
            )
        if not self.paths:
            raise DataError("", "media.frames", "no frames", "at least one")
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise DataError("", "media.fps", f"{self.fps:g}", "frames per second, above 0")
        if self.step < 1 or (self.step > 1 and self.kind != "video"):
            raise DataError("", "media.step", f"{self.step}", "1, or for a video more")
        if self.size is not None and min(self.size) < 1:
            raise DataError("", "media", f"{self.size[0]}x{self.size[1]} pixels", "at least 1x1")

    @property
    def num_frames(self) -> int | None:
        """How many frames there are; None for a video, which must be opened to know."""
        return None if self.kind == "video" else len(self.paths)

    @property
    def is_still(self) -> bool:
        return len(self.paths) == 1 and self.kind != "video"


@dataclass(frozen=True)
class Draft:
    """What a line says, before its parts are compared with each other.

    Attributes:
        id: unique in the file.
        task: what it teaches; see docs/data.md for what each task needs.
        rounds: questions and answers in their order.
        media: None only for talk about nothing ("chat").
        objects: all objects, with different ids.
        annotated: the frames in which all objects are marked, where they are seen; None is every frame that
            a region names, and "all" every frame.
        key_frame: the frame that must be seen.
        free_ids: whether the numbers mean nothing, so that training may draw others.
        ignored: what counts neither way in scores.
        facts: what evaluation or other programs want to know.
    """

    id: str
    task: Task
    rounds: tuple[Round, ...]
    media: ItemMedia | None = None
    objects: tuple[ItemObject, ...] = ()
    annotated: tuple[int, ...] | Literal["all"] | None = None
    key_frame: int | None = None
    free_ids: bool = False
    ignored: tuple[Region, ...] = ()
    facts: Facts = field(default_factory=Facts)

    def __post_init__(self) -> None:
        for name in ("rounds", "objects", "ignored"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


def told(when: When) -> str:
    """A time, for people."""
    if isinstance(when, TimeSpan):
        return f"{when.first:g} to {when.last:g} seconds"
    return f"frame {when.first}" if when.first == when.last else f"frames {when.first} to {when.last}"


def frames_at(when: TimeSpan, fps: float, total: int | None = None) -> range:
    """The frames of an even clock in a span of time; `total` is how many there are, if that is known."""
    behind = math.floor(when.last * fps + _TICK) + 1
    return range(math.ceil(when.first * fps - _TICK), behind if total is None else min(behind, total))


def pointer_corners(shape: Box | Point) -> tuple[str, list[tuple[float, float]]]:
    """Its name in the file, and the pixels that it names."""
    if isinstance(shape, Point):
        return "point", [(shape.x, shape.y)]
    return "box", [(shape.x1, shape.y1), (shape.x2, shape.y2)]


def _check_finite(values: Iterable[float], place: str) -> None:
    for value in values:
        if not math.isfinite(value):
            raise DataError("", place, f"{value}", "finite numbers")
