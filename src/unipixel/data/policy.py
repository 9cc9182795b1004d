"""How samples become conversations: the choices of the published training, and what mends its defects.

Quirks (Q6 ...) are those of docs/parity.md. PUBLISHED repeats the published training, CORRECTED is what new
training should take, EVALUATION is the published way to ask when scores are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, get_args

from unipixel.core.request import PixelBudget
from unipixel.data.wording import Wording
from unipixel.errors import ConfigError

Fidelity: TypeAlias = Literal["published", "corrected"]


@dataclass(frozen=True)
class FramePolicy:
    """Which frames are shown (0.1) and how large (0.2).

    Attributes:
        number: how many frames are shown at most, or the bounds, both included, between which that is drawn.
        spread: "random" draws one frame from each of `number` bins, "uniform" takes them evenly.
        last: Q7. "published" never draws a clip's last frame, "corrected" does.
        at_most: samples with more frames (files, not videos) are left out; None is no limit.
        seconds: talk about longer videos is left out; None is no limit.
        pixels: pixels of a frame; clips of fewer frames than `number` share the room.
    """

    number: int | tuple[int, int] = 8
    spread: Literal["random", "uniform"] = "random"
    last: Fidelity = "published"
    at_most: int | None = 500
    seconds: float | None = 300.0
    pixels: PixelBudget = field(default_factory=PixelBudget)

    def __post_init__(self) -> None:
        low, high = self.bounds
        if not 1 <= low <= high:
            raise ConfigError(f"frames.number is {self.number}; expected 1 or more, or two such bounds")
        _check("frames.spread", self.spread, ("random", "uniform"))
        _check("frames.last", self.last, get_args(Fidelity))

    @property
    def bounds(self) -> tuple[int, int]:
        """The smallest and the largest number of frames."""
        return (self.number, self.number) if isinstance(self.number, int) else self.number

    @property
    def budget(self) -> PixelBudget:
        """Pixels of the frames of a list; a clip of L frames gets floor(most / L) times the room."""
        return replace(self.pixels, shared_frames=self.bounds[1])


@dataclass(frozen=True)
class PointerPolicy:
    """How clicks and boxes are drawn (B, "visual prompt per object").

    Attributes:
        click: any pixel of the object, or the pixel farthest from its border.
        box_noise: each side of a box moves by up to a tenth of the box, and by at most so many pixels of a
            view of `side` pixels; 0 or less leaves boxes exact.
        grid: "view" draws on the square mask view, as published, where masks are swollen by up to a pixel;
            "clip" on the clip's own pixels, as people point.
        side: of the mask view, in pixels.
        frame: any shown frame with the object, or the sample's key frame.
        slots: Q4. "objects" hands out pointers in the order of the sample's objects, as published, so that
            they lie on the wrong ones where the text mentions them in another order (which readers prevent
            unless they are told otherwise); "text" gives each mention its own.
    """

    click: Literal["drawn", "center"] = "drawn"
    box_noise: float = 20.0
    grid: Literal["view", "clip"] = "view"
    side: int = 768
    frame: Literal["drawn", "key"] = "drawn"
    slots: Literal["objects", "text"] = "objects"

    def __post_init__(self) -> None:
        _check("pointers.click", self.click, ("drawn", "center"))
        _check("pointers.grid", self.grid, ("view", "clip"))
        _check("pointers.frame", self.frame, ("drawn", "key"))
        _check("pointers.slots", self.slots, ("objects", "text"))
        if self.side < 1:
            raise ConfigError(f"pointers.side is {self.side}; expected at least 1 pixel")


@dataclass(frozen=True)
class TextPolicy:
    """What is said.

    Attributes:
        wording: the templates.
        max_rounds: of expressions and captions of one sample so many are drawn; dialogues stay whole.
        max_words: samples of more words are left out (500 in stages 1 and 2, 200 in 3); None is no limit.
        counting: Q6. "published" counts the words of region questions and of the first answer of talk, each
            detailed caption of a region as -100 and all others as none; "corrected" every word that is said.
        max_tokens: longer conversations are left out (40960 in stage 3); None is no limit.
    """

    wording: Wording = field(default_factory=Wording.default)
    max_rounds: int = 3
    max_words: int | None = 500
    counting: Fidelity = "published"
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        _check("text.counting", self.counting, get_args(Fidelity))
        if self.max_rounds < 1:
            raise ConfigError(f"text.max_rounds is {self.max_rounds}; expected 1 or more")


@dataclass(frozen=True)
class RegionPolicy:
    """What is given and asked of masks.

    Attributes:
        targets: pixels of the mask view that count as object after the resize: those above 0 ("published",
            which swells every object by up to a pixel) or above a half ("corrected").
        single: data sets of which a share of samples keeps only the masks of one frame that shows all of the
            objects.
        single_share: that share.
    """

    targets: Fidelity = "published"
    single: tuple[str, ...] = ("inst_it_video_qa_raw",)
    single_share: float = 0.5

    def __post_init__(self) -> None:
        _check("regions.targets", self.targets, get_args(Fidelity))
        if not 0 <= self.single_share <= 1:
            raise ConfigError(f"regions.single_share is {self.single_share}; expected 0 to 1")


@dataclass(frozen=True)
class Policy:
    """All choices between a sample and a conversation.

    Attributes:
        purpose: "training" draws templates and needs answers and masks; "evaluation" always asks in the same
            words, asks one thing at a time, and does not read the masks of what is to be segmented.
        seed: of what is drawn once for each sample, whoever draws it and how often (Q14): letters of options
            and numbers of objects without their own.
    """

    frames: FramePolicy = field(default_factory=FramePolicy)
    pointers: PointerPolicy = field(default_factory=PointerPolicy)
    text: TextPolicy = field(default_factory=TextPolicy)
    regions: RegionPolicy = field(default_factory=RegionPolicy)
    purpose: Literal["training", "evaluation"] = "training"
    seed: int = 0

    def __post_init__(self) -> None:
        _check("purpose", self.purpose, ("training", "evaluation"))
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; expected 0 or more")


def _check(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}; expected one of {', '.join(map(repr, allowed))}")


PUBLISHED = Policy()
"""The published training, stages 1 and 2; stage 3 has max_words 200 and max_tokens 40960."""

CORRECTED = Policy(
    frames=FramePolicy(last="corrected"),
    pointers=PointerPolicy(grid="clip", slots="text"),
    text=TextPolicy(counting="corrected"),
    regions=RegionPolicy(targets="corrected"),
)
"""The same with its defects mended; for new training."""

EVALUATION = Policy(
    frames=FramePolicy(number=16, spread="uniform", at_most=None, seconds=None),
    pointers=PointerPolicy(click="center", box_noise=0.0, frame="key", slots="text"),
    text=TextPolicy(max_rounds=1, max_words=None),
    regions=RegionPolicy(single=()),
    purpose="evaluation",
)
"""The published way to ask in evaluation."""
