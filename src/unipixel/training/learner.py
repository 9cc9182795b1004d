"""One training step's forward pass: what the language model says and the masks it asks for, as one loss.

Letters: B samples, L tokens, T frames, O objects, S side of the mask view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unipixel.core.tokens import IGNORE_INDEX
from unipixel.model.inputs import Inputs, move
from unipixel.model.losses import MaskLoss, MaskLossWeights, mask_loss
from unipixel.model.sam2 import FrameFeatures, FrameMasks, MaskPrompt, TrackState
from unipixel.model.unipixel import UniPixel
from unipixel.training.examples import Supervised

WEIGHTS = MaskLossWeights()
"""The published ones."""
OUTSIDE_OF_LAYERS = ("object_prompt.", "object_memory.", "seg_head.", "sam2.")
"""Parameters that only some kinds of conversations use, and that are in no layer of its own when sharded."""


@dataclass(frozen=True)
class Exercise:
    """A micro-batch, and for each sample int [n]: which of its objects have their masks supervised."""

    what: Supervised
    chosen: tuple[Tensor, ...]

    @property
    def names(self) -> str:
        """Where its samples come from, for messages."""
        sources = self.what.sources
        return ", ".join(f"{s.dataset} {s.sample} ({' '.join(s.rounds)})" for s in sources)

    @property
    def object_counts(self) -> tuple[float, ...]:
        """Supervised objects of each sample."""
        return tuple(float(len(chosen)) for chosen in self.chosen)


@dataclass(frozen=True)
class Losses:
    """total: to be minimised; the others for people: language, and the weighted parts' raw values, each per
    frame and mean over the samples that have masks (zero where none has)."""

    total: Tensor
    language: Tensor
    masks: Tensor
    focal: Tensor
    dice: Tensor
    iou: Tensor
    presence: Tensor

    def figures(self) -> Tensor:
        """All of them as one vector, in the order of NAMES."""
        return torch.stack([getattr(self, name).detach().float() for name in NAMES])


NAMES = tuple(part.name for part in fields(Losses))


class Learner(nn.Module):
    """A model with its loss, as one module: what data-parallel wrappers wrap."""

    def __init__(
        self,
        model: UniPixel,
        weights: MaskLossWeights = WEIGHTS,
        recompute: bool = False,
        autocast: torch.dtype | None = None,
    ) -> None:
        """recompute: track without keeping activations; autocast: data type of products, None for the
        weights' own."""
        super().__init__()
        self.model = model
        self.weights = weights
        self.recompute = recompute
        self.autocast = autocast

    def forward(
        self, exercise: Exercise, object_counts: Sequence[float] | None = None, touch_all: bool = False
    ) -> Losses:
        """Loss of a micro-batch.

        object_counts: per sample, what sums over its objects are divided by; None is their own number.
        touch_all: every parameter outside of the layers takes part, if only with a gradient of zero, so that
        all processes of a sharded model have the same gradients to add up.
        """
        exercise = move(exercise, self.model.device)
        with self._products():
            inputs, targets = exercise.what.inputs, exercise.what.targets
            hidden = self.model.think(inputs)
            language = self.language(hidden, targets.labels)
            prompts = self.model.mask_prompts(hidden, inputs.token_ids)
            asked = [row for row, chosen in enumerate(exercise.chosen) if len(chosen)]
            _check_counts(inputs, exercise, prompts)
            clips = [Clip(targets.frames[row], prompts[row][exercise.chosen[row]]) for row in asked]
            tracked = track(self.model, clips, self.recompute) if clips else []
        counts = object_counts or exercise.object_counts
        losses = [
            mask_loss(frames, targets.masks[row][:, exercise.chosen[row]], self.weights, counts[row])
            for row, frames in zip(asked, tracked, strict=True)
        ]
        result = _summed(language, losses)
        if touch_all:
            nothing = sum(parameter.sum() * 0 for parameter in self._touched())
            result = replace(result, total=result.total + nothing)
        return result

    def language(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the next token, mean over the counted ones of the micro-batch; zero for none.

        Only their logits are made: the vocabulary is the widest of all layers.
        """
        wanted = labels[:, 1:]
        counted = wanted != IGNORE_INDEX
        if not counted.any():
            return hidden.sum() * 0
        logits = self.model.backbone.speak(hidden[:, :-1][counted])
        return F.cross_entropy(logits.float(), wanted[counted])

    def _products(self) -> AbstractContextManager[object]:
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(self.model.device.type, dtype=self.autocast)

    def _touched(self) -> Iterator[nn.Parameter]:
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad and name.startswith(OUTSIDE_OF_LAYERS):
                yield parameter


def _check_counts(inputs: Inputs, exercise: Exercise, prompts: Sequence[Tensor]) -> None:
    masks = exercise.what.targets.masks
    for row in range(inputs.batch_size):
        wanted = masks[row].shape[1] if masks else 0
        assert len(prompts[row]) == wanted, (
            f"{exercise.what.sources[row]}: {len(prompts[row])} <|seg|>, but {wanted} target masks"
        )


def _summed(language: Tensor, losses: Sequence[MaskLoss]) -> Losses:
    zero = language.detach() * 0
    if not losses:
        return Losses(language, language, zero, zero, zero, zero, zero)

    def mean(name: str) -> Tensor:
        return torch.stack([getattr(loss, name) for loss in losses]).mean()

    masks = mean("total")
    parts = {name: mean(name).detach() for name in ("focal", "dice", "iou", "presence")}
    return Losses(language + masks, language, masks, **parts)


# Tracking


@dataclass(frozen=True)
class Clip:
    """Frames [T, 3, S, S] and the hidden tokens [O, h, c] of the objects to be followed from the first."""

    frames: Tensor
    prompts: Tensor


def track(model: UniPixel, clips: Sequence[Clip], recompute: bool = False) -> list[list[FrameMasks]]:
    """For each clip its objects' masks on every frame. Each frame is encoded once, and the objects of all
    clips of one length are followed as one batch."""
    found: dict[int, list[FrameMasks]] = {}
    for length in sorted({len(clip.frames) for clip in clips}):
        alike = [place for place, clip in enumerate(clips) if len(clip.frames) == length]
        together = _track_together(model, [clips[place] for place in alike], recompute)
        start = 0
        for place in alike:
            stop = start + len(clips[place].prompts)
            shared = len(alike) == 1
            found[place] = [_objects(frame, start, stop, shared) for frame in together]
            start = stop
    return [found[place] for place in range(len(clips))]


def _track_together(model: UniPixel, clips: Sequence[Clip], recompute: bool) -> list[FrameMasks]:
    length = len(clips[0].frames)
    films = _frame_by_frame(_encode(model, torch.cat([clip.frames for clip in clips])), length)
    device = clips[0].prompts.device
    counts = torch.tensor([len(clip.prompts) for clip in clips], device=device)
    scene = torch.repeat_interleave(torch.arange(len(clips), device=device), counts)
    prompt = MaskPrompt(hidden=torch.cat([clip.prompts for clip in clips]))
    tracker = model.tracker
    state = tracker.start(length)

    def step(state: TrackState, frame: int) -> tuple[FrameMasks, TrackState]:
        here = films[frame] if len(clips) == 1 else films[frame].select(scene)
        return tracker.step(state, here, prompt if frame == 0 else None, hide_absent=False)

    answers = []
    for frame in range(length):
        if recompute and torch.is_grad_enabled():
            masks, state = checkpoint(step, state, frame, use_reentrant=False)
        else:
            masks, state = step(state, frame)
        answers.append(masks)
    return answers


def _frame_by_frame(features: FrameFeatures, length: int) -> list[FrameFeatures]:
    """Features of clips of one length, one after the other, as those of their first frames, of their second
    ones, and so on. Taken apart once: a slice for each frame would cost a whole gradient each."""

    def apart(maps: Tensor) -> tuple[Tensor, ...]:
        split: tuple[Tensor, ...] = maps.unflatten(0, (-1, length)).unbind(1)
        return split

    fine, middle = features.high_res
    parts = zip(apart(features.top), apart(fine), apart(middle), strict=True)
    return [FrameFeatures(top, (fine, middle)) for top, fine, middle in parts]


def _encode(model: UniPixel, frames: Tensor) -> FrameFeatures:
    """Features of frames; nothing is kept for the backward pass where the encoder is frozen."""
    decoder = model.sam2.sam_mask_decoder
    parts = (model.sam2.image_encoder, decoder.conv_s0, decoder.conv_s1)
    trains = any(parameter.requires_grad for part in parts for parameter in part.parameters())
    with torch.set_grad_enabled(trains and torch.is_grad_enabled()):
        return model.sam2.encode(frames)


def _objects(frame: FrameMasks, start: int, stop: int, shared: bool) -> FrameMasks:
    """The masks of some of the objects; `conditioned` may be shared by all."""
    cut = {part.name: getattr(frame, part.name)[start:stop] for part in fields(FrameMasks)}
    if shared:
        cut["conditioned"] = frame.conditioned
    return FrameMasks(**cut)
