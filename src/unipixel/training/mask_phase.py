"""The mask decoder learns alone: to find a named thing, what is clicked or boxed, and to follow what it was
shown.

Names reach it through a throw-away table in place of the language model, which learns to say the same
afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import PCG64, Generator, SeedSequence
from torch import Tensor, nn

from unipixel.data.synthetic.shapes import SHAPES
from unipixel.data.synthetic.world import COLOURS, CameraConfig, WorldConfig
from unipixel.model.losses import MaskLoss, MaskLossWeights, mask_loss
from unipixel.model.sam2 import (
    FrameFeatures,
    FrameMasks,
    MaskPrompt,
    MaskTracker,
    PromptEncoder,
    Sam2,
    low_res_to_size,
)
from unipixel.training.loop import StepResult
from unipixel.training.scenes import BatchPlan, SceneBatch, scene_batches

CLICK, TOP_LEFT, BOTTOM_RIGHT, NOTHING = 1, 2, 3, -1
BOX_NOISE = 0.1
HIDDEN_SHARE = 0.5
"""Share of clicks and boxes that reach the decoder as hidden tokens, as those of the language model do."""
ATTRIBUTE_WEIGHT = 3.0
LOSS_SCALE = 2
"""Masks are compared at half the side of the mask view: a quarter of the work."""


class NameTable(nn.Module):
    """Hidden tokens [n, h, c] of names such as "red circle": a vector for the colour
    plus one for the shape."""

    def __init__(self, num_tokens: int, width: int) -> None:
        super().__init__()
        self.colours = nn.Embedding(len(COLOURS), num_tokens * width)
        self.shapes = nn.Embedding(len(SHAPES), num_tokens * width)
        self.num_tokens = num_tokens

    def forward(self, names: list[str]) -> Tensor:
        parts = [name.split() for name in names]
        device = self.colours.weight.device
        colours = torch.tensor([COLOURS.index(colour) for colour, _ in parts], device=device)
        shapes = torch.tensor([SHAPES.index(shape) for _, shape in parts], device=device)
        tokens: Tensor = self.colours(colours) + self.shapes(shapes)
        split: Tensor = tokens.unflatten(-1, (self.num_tokens, -1))
        return split


class AttributeHead(nn.Module):
    """Tells colour and shape of every thing from the features under its mask, at each level of the encoder.

    Thrown away after training: it only makes the encoder see early what the prompts will ask for.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        classes = len(COLOURS) + len(SHAPES)
        self.levels = nn.ModuleList(
            nn.Linear(channels, classes) for channels in (width // 8, width // 4, width)
        )

    def forward(self, features: FrameFeatures, batch: SceneBatch) -> tuple[Tensor, float]:
        """Mean cross-entropy of levels and attributes; share of shapes that the coarsest level tells."""
        things = [thing for scene in batch.scenes for thing in scene.things]
        masks = batch.masks.transpose(1, 2).flatten(0, 1).float()  # [N * T, O, S, S]
        visible = masks.flatten(2).any(2).flatten()

        def classes(kinds: list[int]) -> Tensor:
            """One class per scene, frame and thing, where it is visible."""
            rows = torch.tensor(kinds).view(len(batch.scenes), 1, -1)
            return rows.expand(-1, batch.masks.shape[2], -1).flatten()[visible]

        colours = classes([COLOURS.index(thing.colour) for thing in things])
        shapes = classes([SHAPES.index(thing.shape) for thing in things])
        losses, right = [], 0.0
        for level, cells in zip(self.levels, (*features.high_res, features.top), strict=True):
            cover = F.adaptive_avg_pool2d(masks, cells.shape[-1])
            pooled = (
                torch.einsum("nohw,nchw->noc", cover, cells) / cover.sum((2, 3)).clamp(min=1e-6)[..., None]
            )
            by_colour, by_shape = level(pooled.flatten(0, 1)[visible]).split(
                [len(COLOURS), len(SHAPES)], dim=1
            )
            losses += [F.cross_entropy(by_colour, colours), F.cross_entropy(by_shape, shapes)]
            right = (by_shape.argmax(1) == shapes).float().mean().item()
        return torch.stack(losses).mean(), right


@dataclass(frozen=True)
class SightPhase:
    """Trains the encoder alone to tell colours and shapes apart."""

    sam2: Sam2
    attributes: AttributeHead
    plan: BatchPlan

    def parameters(self) -> Iterator[nn.Parameter]:
        decoder = self.sam2.sam_mask_decoder
        for part in (self.sam2.image_encoder, decoder.conv_s0, decoder.conv_s1, self.attributes):
            yield from part.parameters()

    def steps(self) -> Iterator[StepResult]:
        """Losses of one batch after the other."""
        for batch in scene_batches(self.plan):
            loss, right = self.attributes(self.sam2.encode(batch.frames.flatten(0, 1)), batch)
            yield StepResult(loss, {"shapes": right})


@dataclass(frozen=True)
class Objects:
    """Objects of a batch of scenes, flat: scene [n] indexes the scenes, names [n],
    masks bool [n, T, S, S]."""

    scene: Tensor
    names: list[str]
    masks: Tensor


def objects_of(batch: SceneBatch, rng: Generator, absent: bool) -> Objects:
    """Every thing of every scene; with `absent`, also one thing per scene that is not
    there (its masks are empty)."""
    count = batch.masks.shape[1]
    scene = torch.arange(len(batch.scenes)).repeat_interleave(count)
    names = [name for names in batch.names for name in names]
    masks = batch.masks.flatten(0, 1)
    if absent:
        scene = torch.cat([scene, torch.arange(len(batch.scenes))])
        names = names + [_missing_name(present, rng) for present in batch.names]
        masks = torch.cat([masks, torch.zeros_like(batch.masks[:, 0])])
    return Objects(scene, names, masks)


def _missing_name(present: list[str], rng: Generator) -> str:
    missing = [f"{c} {s}" for c in COLOURS for s in SHAPES if f"{c} {s}" not in present]
    return missing[rng.integers(len(missing))]


@dataclass(frozen=True)
class MaskPhase:
    """Trains `sam2` and `table` on clips of `plan.num_frames` frames.

    Each step draws one of `kinds`: "name", "absent" (names, one of them of nothing in the picture), "point",
    "box" or "mask" (the first frame's mask is shown; only for clips).
    """

    sam2: Sam2
    table: NameTable
    attributes: AttributeHead
    plan: BatchPlan
    kinds: tuple[str, ...]

    def parameters(self) -> Iterator[nn.Parameter]:
        for part in (self.sam2, self.table, self.attributes):
            yield from part.parameters()

    def steps(self) -> Iterator[StepResult]:
        """Losses of one batch after the other."""
        for number, batch in enumerate(scene_batches(self.plan)):
            yield self.step(batch, Generator(PCG64(SeedSequence(entropy=number, spawn_key=(7,)))))

    def step(self, batch: SceneBatch, rng: Generator) -> StepResult:
        kind = self.kinds[rng.integers(len(self.kinds))]
        objects = objects_of(batch, rng, absent=kind == "absent")
        prompt = self.prompt(kind, objects, rng)
        features = self.sam2.encode(batch.frames.flatten(0, 1))
        frames = follow(self.sam2, features, batch.frames.shape[1], objects.scene, prompt)
        attributes, right = self.attributes(features, batch)
        masks = clip_loss(frames, objects.masks).total
        figures = {"shapes": right, f"{kind}_iou": mean_iou(frames, objects.masks)}
        return StepResult(masks + ATTRIBUTE_WEIGHT * attributes, figures)

    def prompt(self, kind: str, objects: Objects, rng: Generator) -> MaskPrompt:
        first = objects.masks[:, 0]
        if kind in ("name", "absent"):
            return MaskPrompt(hidden=self.table(objects.names))
        if kind == "mask":
            return MaskPrompt(mask=first[:, None].float())
        draw = draw_click if kind == "point" else draw_box
        drawn = [draw(mask.numpy(), rng) for mask in first]
        points = torch.tensor(np.stack([points for points, _ in drawn]), dtype=torch.float32)
        labels = torch.tensor([labels for _, labels in drawn])
        if rng.random() < HIDDEN_SHARE:
            encoder = self.sam2.sam_prompt_encoder
            return MaskPrompt(hidden=points_as_hidden(encoder, points, labels, self.table.num_tokens))
        return MaskPrompt(points=points, labels=labels)


def points_as_hidden(encoder: PromptEncoder, points: Tensor, labels: Tensor, num_tokens: int) -> Tensor:
    """Clicks or boxes [n, P, 2] in the form in which the language model says them:
    hidden tokens [n, h, c]."""
    return encoder.encode_points(points, labels, pad=True)[:, :num_tokens]


def follow(
    sam2: Sam2, features: FrameFeatures, num_frames: int, scene: Tensor, prompt: MaskPrompt
) -> list[FrameMasks]:
    """Track objects of several clips as one batch. features: of clips of `num_frames` frames, one
    after the other; scene [n]: in which clip each object lives."""
    tracker = MaskTracker(sam2)
    state = tracker.start(num_frames)
    answers = []
    for t in range(num_frames):
        masks, state = tracker.step(
            state, features.select(scene * num_frames + t), prompt if t == 0 else None, hide_absent=False
        )
        answers.append(masks)
    return answers


def clip_loss(frames: list[FrameMasks], masks: Tensor) -> MaskLoss:
    """Mask loss of tracked objects; masks bool [n, T, S, S]."""
    side = masks.shape[-1] // LOSS_SCALE
    small = F.interpolate(masks.float(), size=(side, side), mode="bilinear", antialias=True) > 0.5
    return mask_loss(frames, small.transpose(0, 1), MaskLossWeights())


@torch.no_grad()
def mean_iou(frames: list[FrameMasks], masks: Tensor) -> float:
    """Mean over objects and frames that hold something."""
    side = masks.shape[-1]
    predicted = torch.stack([low_res_to_size(frame.logits, side, side) > 0 for frame in frames], dim=1)
    there = masks.flatten(2).any(2)
    intersection = (predicted & masks).flatten(2).sum(2)
    union = (predicted | masks).flatten(2).sum(2).clamp(min=1)
    return float((intersection / union)[there].mean())


def draw_click(mask: np.ndarray, rng: Generator) -> tuple[np.ndarray, list[int]]:
    """One pixel of the mask (x, y), uniformly; nothing where the mask is empty."""
    rows, columns = mask.nonzero()
    if not len(rows):
        return np.zeros((1, 2)), [NOTHING]
    pixel = rng.integers(len(rows))
    return np.array([[columns[pixel], rows[pixel]]]), [CLICK]


def draw_box(mask: np.ndarray, rng: Generator) -> tuple[np.ndarray, list[int]]:
    """The mask's box, its corners moved by up to a tenth of its sides; nothing where the mask is empty."""
    rows, columns = mask.nonzero()
    if not len(rows):
        return np.zeros((2, 2)), [NOTHING, NOTHING]
    low = np.array([columns.min(), rows.min()])
    high = np.array([columns.max(), rows.max()])
    noise = rng.uniform(-BOX_NOISE, BOX_NOISE, (2, 2)) * (high - low)
    return np.clip(np.stack([low, high]) + noise, 0, mask.shape[0] - 1), [TOP_LEFT, BOTTOM_RIGHT]


WORLD = WorldConfig(enter=0.0, leave=0.06)
"""Things never come in later: frame 0 is the only one that can say what is meant."""

EASY_WORLD = replace(WORLD, area=(0.06, 0.10), camera=CameraConfig(noise=0.0, blur=0.0, flicker=0.0, pan=0.0))
"""Large things before a clean camera, to begin with."""
