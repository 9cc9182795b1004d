"""The mask decoder learns alone: to find a named thing, what is clicked or boxed, and to follow what it was
shown.

Names reach it through a throw-away table in place of the language model, which learns to say the same
afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from numpy.random import PCG64, Generator, SeedSequence
from torch import Tensor, nn

from unipixel.data.pointing import correction_click, draw_box, draw_click
from unipixel.data.synthetic.shapes import ALL_SHAPES
from unipixel.data.synthetic.splits import full_world
from unipixel.data.synthetic.world import ALL_COLOURS, CameraConfig
from unipixel.model.sam2 import (
    FrameFeatures,
    FrameMasks,
    MaskPrompt,
    Sam2,
    low_res_to_size,
)
from unipixel.training.tiny.following import Clicks, Footage, clip_loss, find, follow, mean_iou, start
from unipixel.training.tiny.loop import StepResult
from unipixel.training.tiny.names import THING, NameTable, matches, points_as_hidden, with_places
from unipixel.training.tiny.scenes import BatchPlan, SceneBatch, scene_batches

HIDDEN_SHARE = 0.15
"""Share of clicks and boxes that reach the decoder as hidden tokens, as those of the language model do."""
SWAP_SHARE, JOIN_SHARE = 0.25, 0.3
"""Shares of corrections that start from the mask of another thing, or from both masks: real mistakes get rare
early."""
CORRECTED = ("described", "point", "point", "box")
"""What the answers that are corrected were asked by."""
ROUNDS = (1, 1, 2)
"""How often they are corrected."""
CERTAIN = 10.0
"""Logit of a pixel of a mask that is given back as a whole."""
ATTRIBUTE_WEIGHT = 3.0
SHORT_SHARE = 0.3
"""Share of names that say only the colour or only the shape."""
LEAST_SHARE = 0.1
"""Share of described things of which only the place is said."""
PIXEL_SHARE, PLACE_NOISE = 0.5, 0.025
"""Share of places that are any pixel instead of the middle, and how far off they are, of the side."""


class AttributeHead(nn.Module):
    """Tells colour and shape of every thing from the features under its mask, at each level of the encoder.

    Thrown away after training: it only makes the encoder see early what the prompts will ask for.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        classes = len(ALL_COLOURS) + len(ALL_SHAPES)
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

        colours = classes([ALL_COLOURS.index(thing.colour) for thing in things])
        shapes = classes([ALL_SHAPES.index(thing.shape) for thing in things])
        losses, right = [], 0.0
        for level, cells in zip(self.levels, (*features.high_res, features.top), strict=True):
            cover = F.adaptive_avg_pool2d(masks, cells.shape[-1])
            pooled = (
                torch.einsum("nohw,nchw->noc", cover, cells) / cover.sum((2, 3)).clamp(min=1e-6)[..., None]
            )
            by_colour, by_shape = level(pooled.flatten(0, 1)[visible]).split(
                [len(ALL_COLOURS), len(ALL_SHAPES)], dim=1
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

    def pick(self, chosen: Tensor) -> Objects:
        """The objects at the indices `chosen`."""
        return Objects(self.scene[chosen], [self.names[i] for i in chosen.tolist()], self.masks[chosen])


def objects_of(batch: SceneBatch) -> Objects:
    """Every thing of every scene."""
    scene = torch.arange(len(batch.scenes)).repeat_interleave(batch.masks.shape[1])
    return Objects(scene, [name for names in batch.names for name in names], batch.masks.flatten(0, 1))


def named_in(batch: SceneBatch, rng: Generator, absent: bool) -> Objects:
    """What is called by each thing's name, or by a part of it: all things of that name together. With
    `absent`, also one name a scene that nothing there has (its masks are empty)."""
    things = objects_of(batch)
    scenes = things.scene.tolist()
    names = [_shorten(name, rng) for name in things.names]
    if absent:
        scenes += range(len(batch.scenes))
        names += [_missing_name(present, rng) for present in batch.names]
    masks = torch.stack([_all_called(name, batch, scene) for name, scene in zip(names, scenes, strict=True)])
    return Objects(torch.tensor(scenes), names, masks)


def _all_called(name: str, batch: SceneBatch, scene: int) -> Tensor:
    """Masks bool [T, S, S] of all things of a scene that a name fits, as one."""
    fitting = [place for place, thing in enumerate(batch.names[scene]) if matches(name, thing)]
    return batch.masks[scene, fitting].any(dim=0)


def _shorten(name: str, rng: Generator, least: str | None = None) -> str:
    """A name, or sometimes only its colour or shape; with `least`, sometimes only that."""
    colour, shape = name.split()
    dice = rng.random()
    if least is not None and dice > 1 - LEAST_SHARE:
        return least
    return (f"{colour} {THING}", shape)[rng.integers(2)] if dice < SHORT_SHARE else name


def _missing_name(present: list[str], rng: Generator) -> str:
    missing = [f"{c} {s}" for c in ALL_COLOURS for s in ALL_SHAPES if f"{c} {s}" not in present]
    return missing[rng.integers(len(missing))]


def places_of(masks: Tensor, rng: Generator) -> Tensor:
    """Roughly where things are, [n, 2] (x, y) in pixels: the middle of masks bool [n, S, S], none empty, or
    any of their pixels, a little beside it."""
    side = masks.shape[-1]
    found = []
    for mask in masks:
        pixels = mask.nonzero().float()
        middle = pixels[rng.integers(len(pixels))] if rng.random() < PIXEL_SHARE else pixels.mean(0)
        found.append(middle.flip(0))
    beside = torch.from_numpy(rng.normal(0.0, PLACE_NOISE * side, (len(found), 2))).float()
    return (torch.stack(found) + beside).clamp(0, side - 1)


@dataclass(frozen=True)
class Answer:
    """Where objects were found, which were prompted by `prompt` on `frame`: by `clicks`, if any."""

    frames: list[FrameMasks]
    objects: Objects
    frame: int
    prompt: MaskPrompt
    clicks: Clicks | None = None


@dataclass(frozen=True)
class MaskPhase:
    """Trains `sam2` and `table` on clips of `plan.num_frames` frames.

    Each step draws one of `kinds`. From the first frame on: "name", "absent" (names that mean all that they
    fit, with "absent" also some of nothing in the picture), "described" (a name or less, and roughly the
    place). From any frame on, in both directions: "point", "box", "mask" (the true mask is shown)
    and "correction" (an answer to a name, point or box is corrected by clicks on any frame).
    `trains_encoder` False leaves the image encoder as it is.
    """

    sam2: Sam2
    table: NameTable
    attributes: AttributeHead
    plan: BatchPlan
    kinds: tuple[str, ...]
    trains_encoder: bool = True

    def parameters(self) -> Iterator[nn.Parameter]:
        encoder = set(self.sam2.image_encoder.parameters()) if not self.trains_encoder else set()
        for part in (self.sam2, self.table, self.attributes):
            yield from (parameter for parameter in part.parameters() if parameter not in encoder)

    def steps(self) -> Iterator[StepResult]:
        """Losses of one batch after the other."""
        for number, batch in enumerate(scene_batches(self.plan)):
            yield self.step(batch, Generator(PCG64(SeedSequence(entropy=number, spawn_key=(7,)))))

    def step(self, batch: SceneBatch, rng: Generator) -> StepResult:
        kind = self.kinds[rng.integers(len(self.kinds))]
        with torch.set_grad_enabled(self.trains_encoder):
            features = self.sam2.encode(batch.frames.flatten(0, 1))
        by_name = kind in ("name", "absent")
        objects = named_in(batch, rng, absent=kind == "absent") if by_name else objects_of(batch)
        footage = Footage(features, batch.frames.shape[1], objects.scene)
        result = (self.correct if kind == "correction" else self.prompt_once)(kind, footage, objects, rng)
        attributes, right = self.attributes(features, batch)
        return StepResult(result.loss + ATTRIBUTE_WEIGHT * attributes, {"shapes": right} | result.figures)

    def prompt_once(self, kind: str, footage: Footage, objects: Objects, rng: Generator) -> StepResult:
        """Prompt every object once."""
        answer = self.ask(kind, footage, objects, rng)
        masks = answer.objects.masks
        iou = mean_iou([frame.logits for frame in answer.frames], masks)
        return StepResult(clip_loss(answer.frames, masks).total, {f"{kind}_iou": iou})

    def ask(self, kind: str, footage: Footage, objects: Objects, rng: Generator) -> Answer:
        """Prompt every object, where it can be seen, and follow it through its clip."""
        if kind in ("name", "absent"):
            prompt = MaskPrompt(hidden=self.table(objects.names))
            return Answer(find(self.sam2, footage, prompt), objects, 0, prompt)
        frame = 0 if kind == "described" else int(rng.integers(footage.num_frames))
        seen = objects.masks[:, frame].flatten(1).any(1).nonzero()[:, 0]
        objects, footage = objects.pick(seen), footage.pick(seen)
        truth = objects.masks[:, frame]
        if kind == "described":
            prompt = MaskPrompt(hidden=self.describe(objects.names, truth, rng))
            return Answer(find(self.sam2, footage, prompt), objects, 0, prompt)
        if kind == "mask":
            prompt = MaskPrompt(mask=truth[:, None].float())
            return Answer(find(self.sam2, footage, prompt, frame), objects, frame, prompt)
        draw = draw_click if kind == "point" else draw_box
        clicks = Clicks.of([draw(mask.numpy(), rng) for mask in truth])
        prompt = self.prompt(clicks, rng)
        return Answer(find(self.sam2, footage, prompt, frame), objects, frame, prompt, clicks)

    def describe(self, names: list[str], truth: Tensor, rng: Generator) -> Tensor:
        """What the language model shall say of things with masks [n, S, S]: [n, h, c]."""
        said = self.table([_shorten(name, rng, least=THING) for name in names])
        return with_places(said, self.sam2.sam_prompt_encoder, places_of(truth, rng))

    def prompt(self, clicks: Clicks, rng: Generator) -> MaskPrompt:
        if rng.random() < HIDDEN_SHARE:
            encoder = self.sam2.sam_prompt_encoder
            hidden = points_as_hidden(encoder, clicks.points, clicks.labels, self.table.num_tokens)
            return MaskPrompt(hidden=hidden)
        return MaskPrompt(points=clicks.points, labels=clicks.labels)

    def correct(self, kind: str, footage: Footage, objects: Objects, rng: Generator) -> StepResult:
        """Answer, then correct that on one frame by clicks; only the last correction is learned from."""
        asked = CORRECTED[rng.integers(len(CORRECTED))]
        with torch.no_grad():
            answer = self.ask(asked, footage, objects, rng)
        footage, objects = replace(footage, scene=answer.objects.scene), answer.objects
        frame = int(rng.integers(footage.num_frames))
        clicks = answer.clicks if frame == answer.frame else None
        elsewhere = frame != answer.frame
        known = [start(self.sam2, footage, answer.prompt, answer.frame)] if elsewhere else []
        truth = objects.masks[:, frame]
        previous = answer.frames[frame].logits
        if elsewhere:
            previous = _certain(previous, truth.shape[-1])
        previous = _spoil(previous, objects.scene, elsewhere or clicks is not None, rng)
        figures = {"wrong_iou": mean_iou([previous], truth[:, None])}
        for left in reversed(range(ROUNDS[rng.integers(len(ROUNDS))])):
            clicks = _click_again(clicks, previous, truth)
            prompt = MaskPrompt(points=clicks.points, labels=clicks.labels, previous=previous[:, None])
            with torch.set_grad_enabled(left == 0):
                corrected = start(self.sam2, footage, prompt, frame, known)
            previous = corrected.masks.logits
        frames = follow(self.sam2, footage, [*known, corrected])
        figures["corrected_iou"] = mean_iou([previous], truth[:, None])
        return StepResult(clip_loss(frames, objects.masks).total, figures)


def _click_again(clicks: Clicks | None, previous: Tensor, truth: Tensor) -> Clicks:
    """The clicks so far and one more each, where the previous logits [n, S/4, S/4] are wrong."""
    side = truth.shape[-1]
    predicted = low_res_to_size(previous, side, side) > 0
    more = Clicks.of([correction_click(*pair) for pair in zip(predicted.numpy(), truth.numpy(), strict=True)])
    return more if clicks is None else clicks.and_then(more)


def _spoil(logits: Tensor, scene: Tensor, is_told: bool, rng: Generator) -> Tensor:
    """Sometimes the mask of another thing of the scene instead, or both. Another thing's alone could mean
    anything, so only where it `is_told` otherwise which object is meant."""
    other, dice = logits[_neighbours(scene)], rng.random()
    if dice < SWAP_SHARE:
        return other if is_told else logits
    return torch.maximum(logits, other) if dice < SWAP_SHARE + JOIN_SHARE else logits


def _certain(logits: Tensor, side: int) -> Tensor:
    """Logits as a session gives them back on a frame that was not prompted yet: it keeps masks alone."""
    masks = (low_res_to_size(logits, side, side) > 0).float()[:, None]
    small = F.interpolate(masks, size=logits.shape[-2:], mode="bilinear", antialias=True)
    return small[:, 0] * 2 * CERTAIN - CERTAIN


def _neighbours(scene: Tensor) -> Tensor:
    """For each object [n] the next one of the same scene; itself where it is alone. `scene` is sorted."""
    following = torch.arange(1, len(scene) + 1)
    first = torch.searchsorted(scene, scene)
    is_last = torch.cat([scene[1:] != scene[:-1], torch.ones(1, dtype=torch.bool)])
    return torch.where(is_last, first, following)


WORLD = replace(full_world(), num_things=4, extra_things=0, enter=0.0)
"""Things never come in later: frame 0 is the only one that can say what is meant."""

LIVELY_WORLD = replace(WORLD, speed=(0.015, 0.12))
"""In four frames as much happens as in twice as many: things meet and hide each other."""

CLEAN = CameraConfig(noise=0.0, blur=0.0, flicker=0.0, pan=0.0)
EASY_WORLD = replace(WORLD, num_things=3, area=(0.04, 0.10), twins=0.0, contrast=0.0, camera=CLEAN)
"""Large things before a clean camera, to begin with."""
