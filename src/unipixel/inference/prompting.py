"""What is known of a session's objects -> what prompts the mask decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unipixel.core.masks import RLE
from unipixel.core.media import Clip
from unipixel.core.objects import Pointing, SessionObject
from unipixel.core.prompts import Box, Point, Prompt, RegionMask, Scribble
from unipixel.errors import PromptError
from unipixel.inference.tracking import Followed, PromptedFrame
from unipixel.model.inputs import move
from unipixel.model.sam2 import MaskPrompt, Sam2Config
from unipixel.model.sam2.together import OBJECTS_AT_ONCE, join_prompts
from unipixel.model.unipixel import UniPixel
from unipixel.processing.regions import BOTTOM_RIGHT, CLICK, TOP_LEFT

NEGATIVE_CLICK = 0
STROKE_CLICKS = 5
"""Clicks that stand for a scribble: SAM's prompt encoder knows no strokes."""
CERTAIN = 10.0
"""Logit of a pixel that a mask holds, and its negative elsewhere."""


@dataclass(frozen=True)
class MaskView:
    """The square view of a clip in which the mask decoder is prompted."""

    width: int
    height: int
    side: int
    mask_side: int

    @classmethod
    def of(cls, clip: Clip, sam2: Sam2Config) -> MaskView:
        return cls(clip.width, clip.height, sam2.image_size, sam2.mask_size)


def groups(objects: Sequence[SessionObject], clip: Clip, model: UniPixel) -> list[tuple[list[int], Followed]]:
    """Objects that are prompted alike are followed as one batch: their places in `objects`, and the batch."""
    view = MaskView.of(clip, model.config.sam2)
    alike: dict[object, list[int]] = {}
    prompted = [prompted_frames(one, view) for one in objects]
    for place, frames in enumerate(prompted):
        form = tuple((frame.frame, tuple(_form(step) for step in frame.steps)) for frame in frames)
        alike.setdefault(form, []).append(place)
    found = []
    for places in alike.values():
        for first in range(0, len(places), OBJECTS_AT_ONCE):
            some = places[first : first + OBJECTS_AT_ONCE]
            together = _together([prompted[place] for place in some])
            found.append((some, Followed(tuple(_on_model(frame, model) for frame in together))))
    return found


def as_sequence(prompts: Prompt | Sequence[Prompt], may_be_empty: bool = False) -> tuple[Prompt, ...]:
    """One or several prompts as several; PromptError for anything else."""
    given = tuple(prompts) if isinstance(prompts, Sequence) else (prompts,)
    for prompt in given:
        if not isinstance(prompt, Point | Box | RegionMask | Scribble):
            raise PromptError(
                "objects are pointed at with Point, Box, RegionMask or Scribble; found "
                f"{type(prompt).__name__}"
            )
    if not given and not may_be_empty:
        raise PromptError("nothing is pointed at; give a Point, Box, RegionMask or Scribble")
    return given


def pointings(known: SessionObject, given: Sequence[Prompt]) -> tuple[Pointing, ...]:
    """What is pointed out now of an object, frame by frame. PromptError where negative clicks have nothing to
    correct."""
    by_frame: dict[int, list[Prompt]] = {}
    for prompt in given:
        by_frame.setdefault(prompt.frame, []).append(prompt)
    found = []
    for frame, prompts in by_frame.items():
        pointing = Pointing(tuple(prompts), _corrected(known, frame))
        if pointing.corrects is None and frame not in known.frames and not pointing.says_where:
            raise PromptError(
                f"object {known.label} has no mask on frame {frame} that negative clicks alone could "
                "correct; add a positive click or a box"
            )
        found.append(pointing)
    return tuple(found)


def _corrected(known: SessionObject, frame: int) -> RLE | None:
    """The mask that clicks on a frame correct, unless the frame was prompted before: then its own prompts
    make the mask again."""
    if frame in known.frames or known.masks is None:
        return None
    found = known.masks.at(frame)
    return found.rle if found is not None and found.rle.area else None


def prompted_frames(known: SessionObject, view: MaskView) -> tuple[PromptedFrame, ...]:
    """Everything that prompts one object, frame by frame, in the order in which the frames came up."""
    steps: dict[int, list[MaskPrompt]] = {}
    clicks: dict[int, _Clicks] = {}
    if known.said is not None:
        steps[known.said_on] = [MaskPrompt(hidden=torch.from_numpy(known.said)[None])]
    for pointing in known.pointings:
        if pointing.region is not None:
            steps[pointing.frame] = [MaskPrompt(mask=_mask(pointing.region, view))]
            clicks.pop(pointing.frame, None)
            continue
        here = clicks.setdefault(pointing.frame, _Clicks())
        here.add(pointing)
        before = steps.setdefault(pointing.frame, [])
        corrected = _logits(pointing.corrects, view) if pointing.corrects and not before else None
        before.append(here.prompt(corrected, view))
    return tuple(PromptedFrame(frame, tuple(given)) for frame, given in steps.items())


class _Clicks:
    """All clicks on one frame so far; the corners of a box stand before them, as SAM 2 wants it."""

    def __init__(self) -> None:
        self.corners: list[tuple[float, float]] = []
        self.points: list[tuple[float, float]] = []
        self.labels: list[int] = []

    def add(self, pointing: Pointing) -> None:
        """One more pointing; a second box takes the place of the first."""
        for prompt in pointing.prompts:
            if isinstance(prompt, Box):
                self.corners = [(prompt.x1, prompt.y1), (prompt.x2, prompt.y2)]
            elif isinstance(prompt, Point):
                self.points.append((prompt.x, prompt.y))
                self.labels.append(CLICK if prompt.positive else NEGATIVE_CLICK)
            elif isinstance(prompt, Scribble):
                along = stroke_clicks(prompt)
                self.points += along
                self.labels += [CLICK] * len(along)

    def prompt(self, previous: Tensor | None, view: MaskView) -> MaskPrompt:
        corner_labels = [TOP_LEFT, BOTTOM_RIGHT] if self.corners else []
        scale = torch.tensor([view.side / view.width, view.side / view.height])
        points = torch.tensor([*self.corners, *self.points], dtype=torch.float32) * scale
        return MaskPrompt(
            points=points[None], labels=torch.tensor([[*corner_labels, *self.labels]]), previous=previous
        )


def stroke_clicks(stroke: Scribble) -> list[tuple[float, float]]:
    """Up to STROKE_CLICKS points spread evenly along a scribble."""
    points = np.array(stroke.points)
    lengths = np.concatenate([[0.0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    if lengths[-1] == 0:
        return [(float(points[0, 0]), float(points[0, 1]))]
    at = np.linspace(0, lengths[-1], STROKE_CLICKS)
    x, y = (np.interp(at, lengths, points[:, axis]) for axis in (0, 1))
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _mask(region: RegionMask, view: MaskView) -> Tensor:
    """A given mask in the mask view, 0 or 1: [1, 1, S, S]. One that is thinner than a cell of the view keeps
    the cells that hold most of it."""
    soft = _resized(region.mask, view.side)
    return (soft >= min(0.5, float(soft.max()))).float()


def _logits(mask: RLE, view: MaskView) -> Tensor:
    """A mask as the logits that would have given it: [1, 1, S/4, S/4]."""
    return _resized(mask.decode(), view.mask_side) * (2 * CERTAIN) - CERTAIN


def _resized(mask: np.ndarray, side: int) -> Tensor:
    flat = torch.from_numpy(mask.astype(np.float32))[None, None]
    return F.interpolate(flat, size=(side, side), mode="bilinear", align_corners=False, antialias=True)


def _form(step: MaskPrompt) -> tuple[object, ...]:
    """What must be the same for two prompts to be given as one batch."""
    parts = (step.hidden, step.points, step.mask, step.previous)
    return tuple(None if part is None else tuple(part.shape) for part in parts)


def _together(objects: Sequence[tuple[PromptedFrame, ...]]) -> tuple[PromptedFrame, ...]:
    return tuple(
        PromptedFrame(
            frames[0].frame,
            tuple(join_prompts(steps) for steps in zip(*(frame.steps for frame in frames), strict=True)),
        )
        for frames in zip(*objects, strict=True)
    )


def _on_model(prompted: PromptedFrame, model: UniPixel) -> PromptedFrame:
    """Where the model is, in its precision; coordinates stay float32."""
    steps = [move(step, model.device) for step in prompted.steps]
    return PromptedFrame(
        prompted.frame,
        tuple(
            replace(
                step,
                hidden=move(step.hidden, model.device, model.dtype),
                mask=move(step.mask, model.device, model.dtype),
                previous=move(step.previous, model.device, model.dtype),
            )
            for step in steps
        ),
    )
