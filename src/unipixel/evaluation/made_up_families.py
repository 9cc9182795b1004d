"""The task families of the made-up world as benchmarks: every held-out split, and controls.

What is asked and counted is what the published benchmarks of the same kind ask and count; only the pixels of
frames are the model's own. Controls ask the same with something taken away: what is left is no merit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from unipixel.core.media import Clip
from unipixel.core.request import Request
from unipixel.core.response import Response
from unipixel.data.registry import open_dataset
from unipixel.data.sample import Sample
from unipixel.evaluation import protocols
from unipixel.evaluation.asking import PixelQa, Segment, Words
from unipixel.evaluation.benchmark import Ask, Benchmark, Opened, Protocol, Setting, Step, Talk
from unipixel.evaluation.measures import Options, PictureMasks, VideoMasks
from unipixel.evaluation.predictions import Prediction

SPLITS = ("test", "unseen_combinations", "unseen_backgrounds")
"""Fresh clips; things whose colour and shape never came together in training; grounds never seen there."""
MASKS = ("names", "relations", "motion", "reasoning", "long")
"""Families that are asked for masks of clips."""
STILLS, CHOICES, PIXEL_QA, CLIPS = "stills", "region_choices", "pixelqa", "clips"
FAMILIES = (*MASKS, STILLS, CHOICES, PIXEL_QA, CLIPS)
WORDS_AT_MOST = 48
GREY = 127

# Data


@dataclass(frozen=True)
class DrawnSet:
    """A split of a made-up data set."""

    name: str
    split: str
    options: Mapping[str, str] = field(default_factory=dict)
    needs_root: bool = False

    def open(self, root: Path, choices: Mapping[str, str]) -> Opened:
        """Its samples; the root is not used."""
        values: dict[str, Any] = {**self.options, **choices}
        found = open_dataset(self.name, self.split, root, **values)
        return Opened(found, dict(found.choices))


# Ways to ask

Change: TypeAlias = Callable[[Request], Request]


@dataclass(frozen=True)
class Changed:
    """Asks as another, with every request changed."""

    ask: Ask
    change: Change

    def __call__(self, sample: Sample, setting: Setting) -> Step | Talk:
        """The other's first step, changed."""
        begun = self.ask(sample, setting)
        assert isinstance(begun, Step), "families are asked by requests"
        return self._step(begun)

    def _step(self, step: Step) -> Step:
        def then(response: Response) -> Step | Prediction:
            after = step.then(response)
            return self._step(after) if isinstance(after, Step) else after

        return Step(self.change(step.request), then)


def own_pixels(request: Request) -> Request:
    """The model's own pixels of a frame, not those of the published evaluation."""
    return replace(request, pixels=None)


def blind(request: Request) -> Request:
    """Grey frames: what is left was guessed from the words."""
    clip = request.clip
    frames = np.full((clip.num_frames, clip.height, clip.width, 3), GREY, np.uint8)
    return replace(request, clip=Clip.open(frames, fps=clip.fps))


def forgetful(request: Request) -> Request:
    """No objects in the memory: what is left did not come from them."""
    return replace(request, memory=())


CONTROLS: Mapping[str, Change] = MappingProxyType({"blind": blind, "forgetful": forgetful})
"""What is taken away, by name."""
REMEMBERING = (CHOICES, PIXEL_QA)
"""Families whose questions are about objects of the memory."""


def controlled(row: Benchmark, control: str) -> Benchmark:
    """A row asked under a control; its name says so."""
    return replace(row, name=f"{row.name}_{control}", ask=Changed(row.ask, CONTROLS[control]))


def controls_of(family: str) -> tuple[str, ...]:
    """The controls that mean something for a family."""
    return ("blind", "forgetful") if family in REMEMBERING else ("blind",)


# Rows

_MASKS = Protocol(
    "published",
    "J and F of every expression on all frames, mean over expressions",
    VideoMasks("type", missing="empty"),
    protocols.J_AND_F,
    protocols.EMPTY,
)
_STILLS = Protocol(
    "published",
    "intersection and union of every expression",
    PictureMasks(),
    protocols.PICTURES,
    protocols.EMPTY,
)
_CHOICES = Protocol(
    "published", "the first letter of the reply", Options("type"), protocols.ACCURACY, protocols.WRONG
)


def family_row(family: str, split: str) -> Benchmark:
    """The benchmark of a family (one of FAMILIES) on a split."""
    name = f"made_up_{family}" if split == SPLITS[0] else f"made_up_{family}_{split}"
    title = f"Made-up world, {family.replace('_', ' ')}, {split.replace('_', ' ')}"
    data = DrawnSet(f"made_up_{family}", split)
    if family == STILLS:
        data = DrawnSet("made_up_names", split, {"frames": "1"})
    group = f"made_up_{split}"
    if family in MASKS or family == STILLS:
        ask = Segment(num_frames=None, pixels=None, max_new_tokens=WORDS_AT_MOST)
        return Benchmark(name, group, title, data, ask, (_STILLS if family == STILLS else _MASKS,))
    if family == PIXEL_QA:
        asked = Changed(PixelQa("mix", WORDS_AT_MOST), own_pixels)
        return Benchmark(name, group, title, data, asked, protocols.PIXEL_QA, has_masks=False)
    words = Changed(Words(WORDS_AT_MOST), own_pixels)
    return Benchmark(name, group, title, data, words, (_CHOICES,), has_masks=False)


MADE_UP_ROWS = tuple(family_row(family, split) for split in SPLITS for family in FAMILIES)
"""All families on all held-out splits; `made_up_test` and the like name all of one split."""
