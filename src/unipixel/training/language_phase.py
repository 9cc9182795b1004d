"""The language model learns to answer, and to say with its `<|seg|>` state what the mask decoder already
understands: the name table's tokens for a name, the click's or box's own tokens for something pointed at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unipixel.model.inputs import ObjectPrompt
from unipixel.model.losses import language_loss
from unipixel.model.sam2 import MaskPrompt
from unipixel.model.unipixel import UniPixel
from unipixel.processing.processor import Processor
from unipixel.training.following import Footage, clip_loss, find, mean_iou
from unipixel.training.loop import StepResult
from unipixel.training.mask_phase import MaskPhase, NameTable, points_as_hidden
from unipixel.training.questions import QuestionBatch, QuestionPlan, question_batches


@dataclass(frozen=True)
class LanguagePhase:
    """Trains the language side towards tokens that the mask decoder understands; the
    decoder itself is not run."""

    model: UniPixel
    table: NameTable
    processor: Processor
    plan: QuestionPlan

    def parameters(self) -> Iterator[nn.Parameter]:
        for part in (self.model.backbone, self.model.object_prompt, self.model.seg_head):
            yield from part.parameters()

    def steps(self) -> Iterator[StepResult]:
        """Losses of one batch after the other."""
        for batch in question_batches(self.plan, self.processor):
            yield self.step(batch)

    def step(self, batch: QuestionBatch) -> StepResult:
        output = self.model(batch.example.inputs)
        wanted = self.wanted_tokens(batch)
        language = language_loss(output.logits, batch.example.labels)
        errors = (torch.cat(output.mask_prompts) - wanted).square().mean(dim=(1, 2)) / wanted.square().mean()
        figures = {"language": language.item()}
        for kind, chosen in (("name", True), ("pointed", False)):
            rows = torch.tensor([(name is not None) == chosen for name in batch.names])
            if rows.any():
                figures[f"{kind}_error"] = errors[rows].mean().item()
        return StepResult(language + errors.mean(), figures)

    @torch.no_grad()
    def wanted_tokens(self, batch: QuestionBatch) -> Tensor:
        """What each `<|seg|>` should say: [n, h, c]."""
        prompts = iter(batch.example.inputs.prompts)
        return torch.stack(
            [
                self.table([name])[0] if name is not None else self._point_tokens(next(prompts))
                for name in batch.names
            ]
        )

    def _point_tokens(self, prompt: ObjectPrompt) -> Tensor:
        encoder = self.model.sam2.sam_prompt_encoder
        return points_as_hidden(encoder, prompt.coords[None], prompt.labels[None], self.table.num_tokens)[0]


@dataclass(frozen=True)
class JointPhase:
    """Trains everything end to end: the words reach the masks, the masks' errors reach the language model.

    Every other step is one of `pointing`, so that the mask decoder keeps what words do not ask of it.
    """

    model: UniPixel
    processor: Processor
    plan: QuestionPlan
    pointing: MaskPhase

    def parameters(self) -> Iterator[nn.Parameter]:
        return self.model.parameters()

    def steps(self) -> Iterator[StepResult]:
        """Losses of one batch after the other."""
        pointing = self.pointing.steps()
        for batch in question_batches(self.plan, self.processor):
            yield self.step(batch)
            yield next(pointing)

    def step(self, batch: QuestionBatch) -> StepResult:
        output = self.model(batch.example.inputs)
        prompt = MaskPrompt(hidden=torch.cat(output.mask_prompts))
        features = self.model.sam2.encode(batch.frames.flatten(0, 1))
        frames = find(self.model.sam2, Footage(features, batch.frames.shape[1], batch.scene), prompt)
        language = language_loss(output.logits, batch.example.labels)
        masks = clip_loss(frames, batch.masks)
        figures = {
            "language": language.item(),
            "mask": masks.total.item(),
            "iou": mean_iou([frame.logits for frame in frames], batch.masks),
        }
        return StepResult(language + masks.total, figures)
