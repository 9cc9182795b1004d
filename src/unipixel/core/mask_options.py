"""Ways to better masks without training, by name: what they do is in `inference.mask_way`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from unipixel.errors import ConfigError

Start: TypeAlias = Literal["first", "clearest"]
"""The frame from which an object that words found is followed: frame 0 (the published way), or the one on
which the mask decoder is surest of it."""
LanguageFrames: TypeAlias = Literal["uniform", "change"]
"""Which frames the language model sees: spread evenly over time (the published way), or over time and what
changes, half each."""


@dataclass(frozen=True)
class MaskOptions:
    """How masks are made of an answer. The default is the published way.

    Attributes:
        start: from which frame an object is followed.
        propagate_with: whose SAM 2.1 weights follow it from there: a file of Meta's, a folder or a hub id.
            The model's own mask decoder answers on the frame where the object starts. None: its own weights
            do both.
        language_frames: which frames the language model sees.
        split: whether a mask of several things becomes several objects, its connected parts followed through
            time: a heuristic, which knows nothing of what things are.

    Raises ConfigError for a name that is unknown.
    """

    start: Start = "first"
    propagate_with: str | None = None
    language_frames: LanguageFrames = "uniform"
    split: bool = False

    def __post_init__(self) -> None:
        for what, value, names in (
            ("start", self.start, get_args(Start)),
            ("language_frames", self.language_frames, get_args(LanguageFrames)),
        ):
            if value not in names:
                raise ConfigError(f"{what} is {value!r}; choose from {', '.join(names)}")
        if self.propagate_with is not None and not str(self.propagate_with):
            raise ConfigError("propagate_with names nothing; give a file, a folder or a hub id")

    def __str__(self) -> str:
        """What is not the published way, as in `start clearest, split`; empty if nothing is."""
        parts = [
            f"start {self.start}" if self.start != "first" else "",
            f"propagated with {self.propagate_with}" if self.propagate_with is not None else "",
            f"language frames by {self.language_frames}" if self.language_frames != "uniform" else "",
            "split" if self.split else "",
        ]
        return ", ".join(part for part in parts if part)


PUBLISHED_WAY = MaskOptions()
