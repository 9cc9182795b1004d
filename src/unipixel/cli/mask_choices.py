"""The options for better masks, which several commands share (`core.mask_options`)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unipixel.core.mask_options import MaskOptions


class Start(StrEnum):
    """The frame from which an object is followed."""

    FIRST = "first"
    CLEAREST = "clearest"


class LanguageFrames(StrEnum):
    """How the frames that the language model sees are chosen."""

    UNIFORM = "uniform"
    CHANGE = "change"


StartName = Annotated[
    Start,
    typer.Option("--start", help="Follow objects from the first frame, or from where they are clearest."),
]
PropagateWith = Annotated[
    str | None,
    typer.Option(
        "--propagate-with",
        metavar="SAM2",
        help="Follow objects with these SAM 2.1 weights: Meta's file, a folder or a hub id.",
    ),
]
LanguageFramesName = Annotated[
    LanguageFrames,
    typer.Option(
        "--language-frames", help="Frames that the language model sees: evenly in time, or by change."
    ),
]
Split = Annotated[
    bool,
    typer.Option("--split", help="Make objects of a mask's connected parts: a heuristic."),
]


def mask_options(
    start: Start, propagate_with: str | None, language_frames: LanguageFrames, split: bool
) -> MaskOptions:
    """The options as one value; what they name is looked for at once."""
    from unipixel.core.mask_options import MaskOptions
    from unipixel.hub import find_sam2

    if propagate_with is not None:
        find_sam2(propagate_with)
    return MaskOptions(start.value, propagate_with, language_frames.value, split)
