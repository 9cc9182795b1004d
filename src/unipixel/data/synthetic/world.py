"""What a made-up world consists of: its colours, its configuration and its things."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import MappingProxyType

from unipixel.data.synthetic.ground import GROUND_KINDS
from unipixel.data.synthetic.motion import MOTION_KINDS, ROAMING
from unipixel.data.synthetic.shapes import SHAPE_KINDS, SHAPES
from unipixel.errors import ConfigError

SIDES = (96, 256)  # smallest and largest height or width, pixels
MAX_FRAMES = 32
MAX_THINGS = 4
AREAS = (0.01, 0.10)  # smallest and largest share of the frame that a thing may take

Range = tuple[float, float]


@dataclass(frozen=True)
class ColourKind:
    """A named colour: `hue` in degrees, give or take `spread`; ranges of the rest in [0, 1]."""

    name: str
    hue: float
    spread: float
    saturation: Range
    brightness: Range


COLOUR_KINDS = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            ColourKind("red", 0.0, 9.0, (0.58, 0.92), (0.52, 0.95)),
            ColourKind("green", 122.0, 20.0, (0.46, 0.88), (0.42, 0.85)),
            ColourKind("blue", 222.0, 14.0, (0.50, 0.90), (0.48, 0.95)),
            ColourKind("yellow", 52.0, 5.0, (0.58, 0.92), (0.72, 0.98)),
        )
    }
)
"""Every colour that a thing can have, by name. A new colour is a new row."""

COLOURS = tuple(COLOUR_KINDS)


@dataclass(frozen=True)
class CameraConfig:
    """How the made-up camera spoils its picture.

    `noise`: largest noise amplitude in grey levels; `blur`, `flicker`, `pan`: probability that a clip is
    slightly blurred, that its brightness drifts, that its ground moves slowly by.
    """

    noise: float = 8.0
    blur: float = 0.25
    flicker: float = 0.3
    pan: float = 0.3

    def __post_init__(self) -> None:
        _require(0 <= self.noise <= 64, f"noise is {self.noise}; expected grey levels from 0 to 64")
        for name in ("blur", "flicker", "pan"):
            _require_probability(name, getattr(self, name))


@dataclass(frozen=True)
class WorldConfig:
    """The family of clips that `make_scene` draws from.

    Sizes are pixels. `area` is the range of a thing's share of the frame, `speed` that of its way per frame
    as a share of the shorter side. `leave` is the probability that a thing leaves the frame, `enter` that a
    thing other than the target is outside at frame 0 and comes in later, `absent_at_start` the same for the
    target (which in a clip of one frame is then never seen).
    """

    height: int = 128
    width: int = 128
    num_frames: int = 8
    num_things: int = 3
    shapes: tuple[str, ...] = SHAPES
    colours: tuple[str, ...] = COLOURS
    motions: tuple[str, ...] = ROAMING
    grounds: tuple[str, ...] = tuple(GROUND_KINDS)
    area: Range = (0.016, 0.08)
    speed: Range = (0.015, 0.06)
    leave: float = 0.04
    enter: float = 0.04
    absent_at_start: float = 0.0
    camera: CameraConfig = field(default_factory=CameraConfig)

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            _require_within(name, getattr(self, name), SIDES)
        _require_within("num_frames", self.num_frames, (1, MAX_FRAMES))
        _require_within("num_things", self.num_things, (2, MAX_THINGS))
        # Two of each are what the distractors need: same colour but other shape, same shape but other colour.
        _require_names("shapes", self.shapes, SHAPE_KINDS, at_least=2)
        _require_names("colours", self.colours, COLOUR_KINDS, at_least=2)
        _require_names("motions", self.motions, ROAMING, at_least=1)
        _require_names("grounds", self.grounds, GROUND_KINDS, at_least=1)
        _require_range("area", self.area, AREAS)
        _require_range("speed", self.speed, (0.0, 0.5))
        for name in ("leave", "enter", "absent_at_start"):
            _require_probability(name, getattr(self, name))


@dataclass(frozen=True)
class Thing:
    """One thing: what it is, how it looks (`rgb` in [0, 1], circumradius in pixels) and how it moves."""

    shape: str
    colour: str
    rgb: tuple[float, float, float]
    radius: float
    motion: str

    def __post_init__(self) -> None:
        _require_names("shape", (self.shape,), SHAPE_KINDS, at_least=1)
        _require_names("colour", (self.colour,), COLOUR_KINDS, at_least=1)
        _require_names("motion", (self.motion,), MOTION_KINDS, at_least=1)
        _require(self.radius > 0, f"radius is {self.radius}; expected a positive number of pixels")
        _require(
            all(0 <= part <= 1 for part in self.rgb), f"rgb is {self.rgb}; expected three numbers in [0, 1]"
        )

    @property
    def name(self) -> str:
        """What a person would call it: `"red circle"`."""
        return f"{self.colour} {self.shape}"


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(f"made-up world: {message}")


def _require_probability(name: str, value: float) -> None:
    _require(0 <= value <= 1, f"{name} is {value}; expected a probability, from 0 to 1")


def _require_within(name: str, value: int, bounds: tuple[int, int]) -> None:
    low, high = bounds
    _require(isinstance(value, int), f"{name} is {value!r}; expected a whole number")
    _require(low <= value <= high, f"{name} is {value}; expected {low} to {high}")


def _require_range(name: str, value: Range, bounds: Range) -> None:
    low, high = bounds
    fits = len(value) == 2 and low <= value[0] <= value[1] <= high
    _require(fits, f"{name} is {value}; expected (smallest, largest) within {low} to {high}")


def _require_names(name: str, chosen: tuple[str, ...], known: Iterable[str], at_least: int) -> None:
    known = tuple(known)
    unknown = [item for item in chosen if item not in known]
    _require(not unknown, f"{name} names {unknown}, which do not exist; choose from {', '.join(known)}")
    enough = len(set(chosen)) == len(chosen) >= at_least
    _require(enough, f"{name} is {chosen}; expected at least {at_least}, each once")
