"""What a made-up world consists of: its colours, its configuration and its things."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import MappingProxyType

from unipixel.data.synthetic.ground import GROUND_KINDS, GROUNDS
from unipixel.data.synthetic.motion import ALL_MOTIONS, MOTION_KINDS, ROAMING
from unipixel.data.synthetic.shapes import SHAPE_KINDS, SHAPES
from unipixel.errors import ConfigError

SIDES = (96, 256)  # smallest and largest height or width, pixels
MAX_FRAMES = 32
MAX_THINGS = 6
CROWD, CROWD_AREA = 4, 0.02  # more things than this find room only if they may be as small as this share
AREAS = (0.01, 0.10)  # smallest and largest share of the frame that a thing may take

PATTERNS = ("plain", "striped", "dotted")
"""How a thing can be painted: in one shade, or with a second one in stripes or dots."""

Range = tuple[float, float]
Pair = tuple[str, str]  # colour, shape


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
            ColourKind("white", 0.0, 180.0, (0.0, 0.04), (0.93, 1.0)),
            ColourKind("purple", 287.0, 9.0, (0.50, 0.85), (0.48, 0.85)),
        )
    }
)
"""Every colour that a thing can have, by name. A new colour is a new row."""

COLOURS = ("red", "green", "blue", "yellow")
"""The colours that a world has unless its configuration says otherwise."""

ALL_COLOURS = tuple(COLOUR_KINDS)
"""Every colour, for worlds that ask for more."""


@dataclass(frozen=True)
class CameraConfig:
    """How the made-up camera spoils its picture.

    `noise`: largest noise amplitude in grey levels; `blur`, `flicker`, `pan`: probability that a clip is
    slightly blurred, that its brightness drifts, that its ground moves slowly by; `drift`: that the camera
    itself moves a little, so that ground and things shift together; `sweep`: that a shadow passes over.
    """

    noise: float = 8.0
    blur: float = 0.25
    flicker: float = 0.3
    pan: float = 0.3
    drift: float = 0.0
    sweep: float = 0.0

    def __post_init__(self) -> None:
        _require(0 <= self.noise <= 64, f"noise is {self.noise}; expected grey levels from 0 to 64")
        for name in ("blur", "flicker", "pan", "drift", "sweep"):
            _require_probability(name, getattr(self, name))


@dataclass(frozen=True)
class WorldConfig:
    """The family of clips that `make_scene` draws from.

    Sizes are pixels. `area` is the range of a thing's share of the frame, `speed` that of its way per frame
    as a share of the shorter side. `leave` is the probability that a thing leaves the frame, `enter` that a
    thing other than the target is outside at frame 0 and comes in later, `absent_at_start` the same for the
    target (which in a clip of one frame is then never seen).

    The rest draws nothing unless asked: `extra_things`: up to so many things more; `patterns`; `twins`: the
    probability that two things share colour and shape and differ in size, pattern, motion or place;
    `contrast`: that sizes come from the ends of `area` only; `crossing`: that one thing is sent over another;
    `exclude`: pairs (colour, shape) that no thing has; `target_pairs`: what the target (and a twin of it)
    has, if any are given, be they excluded or not.
    """

    height: int = 128
    width: int = 128
    num_frames: int = 8
    num_things: int = 3
    shapes: tuple[str, ...] = SHAPES
    colours: tuple[str, ...] = COLOURS
    motions: tuple[str, ...] = ROAMING
    grounds: tuple[str, ...] = GROUNDS
    area: Range = (0.016, 0.08)
    speed: Range = (0.015, 0.06)
    leave: float = 0.04
    enter: float = 0.04
    absent_at_start: float = 0.0
    camera: CameraConfig = field(default_factory=CameraConfig)
    extra_things: int = 0
    patterns: tuple[str, ...] = ("plain",)
    twins: float = 0.0
    contrast: float = 0.0
    crossing: float = 0.0
    exclude: tuple[Pair, ...] = ()
    target_pairs: tuple[Pair, ...] = ()

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            _require_within(name, getattr(self, name), SIDES)
        _require_within("num_frames", self.num_frames, (1, MAX_FRAMES))
        _require_within("num_things", self.num_things, (2, MAX_THINGS))
        # Two of each are what the distractors need: same colour but other shape, same shape but other colour.
        _require_names("shapes", self.shapes, SHAPE_KINDS, at_least=2)
        _require_names("colours", self.colours, COLOUR_KINDS, at_least=2)
        _require_names("motions", self.motions, ALL_MOTIONS, at_least=1)
        _require_names("grounds", self.grounds, GROUND_KINDS, at_least=1)
        _require_range("area", self.area, AREAS)
        _require_range("speed", self.speed, (0.0, 0.5))
        _require_names("patterns", self.patterns, PATTERNS, at_least=1)
        for name in ("leave", "enter", "absent_at_start", "twins", "contrast", "crossing"):
            _require_probability(name, getattr(self, name))
        self._check_pairs()
        self._check_room()

    @property
    def is_plain(self) -> bool:
        """Whether the cast of a scene is the plain one: nothing of what a world must ask for."""
        asked = self.extra_things or self.twins or self.contrast or self.crossing or self.exclude
        return (
            not asked and not self.target_pairs and self.patterns == ("plain",) and self.num_things <= CROWD
        )

    @property
    def most_things(self) -> int:
        return self.num_things + self.extra_things

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Every (colour, shape) that a thing other than the target may have."""
        return tuple(
            (colour, shape)
            for colour in self.colours
            for shape in self.shapes
            if (colour, shape) not in self.exclude
        )

    def _check_pairs(self) -> None:
        every = {(colour, shape) for colour in COLOUR_KINDS for shape in SHAPE_KINDS}
        for name in ("exclude", "target_pairs"):
            unknown = [pair for pair in getattr(self, name) if pair not in every]
            _require(not unknown, f"{name} names {unknown}; expected pairs (colour, shape) that exist")
        enough = len(self.pairs) >= self.most_things
        _require(
            enough, f"exclude leaves {len(self.pairs)} kinds of things; expected {self.most_things} or more"
        )

    def _check_room(self) -> None:
        _require_within("extra_things", self.extra_things, (0, MAX_THINGS - self.num_things))
        fits = self.most_things <= CROWD or self.area[0] <= CROWD_AREA
        _require(
            fits, f"area is {self.area}; expected one from {CROWD_AREA} or less, for more than {CROWD} things"
        )


@dataclass(frozen=True)
class Thing:
    """One thing: what it is, how it looks (`rgb` in [0, 1], circumradius in pixels at frame 0) and how it
    moves.

    `second` is the other shade of a `pattern`, None for a plain thing.
    """

    shape: str
    colour: str
    rgb: tuple[float, float, float]
    radius: float
    motion: str
    pattern: str = "plain"
    second: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        _require_names("pattern", (self.pattern,), PATTERNS, at_least=1)
        _require(
            (self.pattern == "plain") == (self.second is None), "a pattern, and only that, has a second shade"
        )
        _require_names("shape", (self.shape,), SHAPE_KINDS, at_least=1)
        _require_names("colour", (self.colour,), COLOUR_KINDS, at_least=1)
        _require_names("motion", (self.motion,), MOTION_KINDS, at_least=1)
        _require(self.radius > 0, f"radius is {self.radius}; expected a positive number of pixels")
        for name, shade in (("rgb", self.rgb), ("second", self.second or self.rgb)):
            in_range = all(0 <= part <= 1 for part in shade)
            _require(in_range, f"{name} is {shade}; expected three numbers in [0, 1]")

    @property
    def pair(self) -> Pair:
        """Colour and shape."""
        return self.colour, self.shape

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
