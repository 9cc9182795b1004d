"""Training cases: losses, and gradients as the published code has them (docs/parity.md: rotary gradients)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

import torch
from torch import Tensor

from unipixel.model.inputs import Output
from unipixel.model.losses import MaskLoss, MaskLossWeights, language_loss, mask_loss
from unipixel.model.sam2 import FrameMasks
from unipixel.model.unipixel import UniPixel
from unipixel.model.weights import adapter_name, published_name
from unipixel.parity.cases import GoldenCase
from unipixel.parity.compare import Standard
from unipixel.parity.given import compare_language, follow, on_model
from unipixel.parity.ledger import Ledger

COMPONENTS = {"loss_mask": "focal", "loss_dice": "dice", "loss_iou": "iou", "loss_class": "presence"}
"""Golden name -> ours."""


def check_training(model: UniPixel, case: GoldenCase, standard: Standard) -> Ledger:
    """Forward, losses and backward of one training step, from the given tensors."""
    ledger = Ledger(case, standard, "given")
    with trainable(model):
        output = compare_language(ledger, model, on_model(model, case.inputs()))
        tracked = [track_sample(model, case, output, sample) for sample in range(case.num_samples)]
        compare_candidates(ledger, tracked)
        total = compare_losses(ledger, output, tracked)
        total.backward()
        compare_gradients(ledger, model)
    return ledger


@contextmanager
def trainable(model: UniPixel) -> Iterator[None]:
    """Gradients for every parameter while it lasts; the model is left frozen and without gradients."""
    model.requires_grad_(True)
    try:
        yield
    finally:
        model.zero_grad(set_to_none=True)
        model.requires_grad_(False)


def track_sample(model: UniPixel, case: GoldenCase, output: Output, sample: int) -> list[FrameMasks]:
    """The masks of a sample's objects; absent ones are not hidden in training."""
    prompts = output.mask_prompts[sample]
    frames = case.mask_view(model.config.sam2.image_size, sample).to(prompts.device, prompts.dtype)
    return follow(model, model.sam2.encode(frames), prompts, hide_absent=False)


def compare_candidates(ledger: Ledger, tracked: Sequence[Sequence[FrameMasks]]) -> None:
    """Candidates, qualities and presence of the first sample, the only one recorded: [T, O, ...]."""

    def stack(name: str) -> Tensor:
        return torch.stack([getattr(frame, name) for frame in tracked[0]])

    ledger.tensor("sam.pred_object_score_logits", "score", stack("object_score"))
    ledger.tensor("sam.pred_multimasks", "sam", stack("candidates"))
    ledger.tensor("sam.pred_ious", "score", stack("ious"))


def compare_losses(ledger: Ledger, output: Output, tracked: Sequence[Sequence[FrameMasks]]) -> Tensor:
    """Language loss plus the mean of the samples' mask losses."""
    case = ledger.case
    spoken = language_loss(output.logits, case.need("in.labels").to(output.logits.device))
    ledger.tensor("out.lm_loss", "loss", spoken)
    weights = MaskLossWeights()
    losses: list[MaskLoss] = []
    for sample, frames in enumerate(tracked):
        masks = case.need(f"in.label_mask.{sample}").bool().to(output.logits.device)
        loss = mask_loss(frames, masks, weights)
        for theirs, ours in COMPONENTS.items():
            ledger.tensor(f"out.seg_loss.{sample}.{theirs}", "loss", getattr(loss, ours))
        ledger.tensor(f"out.seg_loss.{sample}.core_loss", "loss", loss.total * len(frames))
        losses.append(loss)
    total = spoken + torch.stack([loss.total for loss in losses]).mean()
    ledger.tensor("out.loss", "loss", total)
    return total


def compare_gradients(ledger: Ledger, model: UniPixel) -> None:
    """Every parameter's gradient (of some only the norm was recorded), and which parameters have none.
    Files name parameters as the published training holds them in memory; both sides meet under the names
    of published checkpoints."""
    ours = {published_name(name): parameter.grad for name, parameter in model.named_parameters()}
    wanted = {adapter_name(name) for name in ledger.case.about["params_without_grad"]}
    without = {name for name, gradient in ours.items() if gradient is None}
    odd = sorted(wanted ^ without)
    ledger.write("parameters without gradient", "equal", float(len(odd)), ", ".join(odd))
    norms = ledger.case.about["grad_norms"]
    floor = ledger.standard.noise * math.hypot(*norms.values())
    for name, norm in norms.items():
        gradient = ours.get(adapter_name(name))
        if gradient is None:
            ledger.write(f"grad.{name}", "gradient", math.inf, "no gradient")
        elif ledger.case.has(f"grad.{name}"):
            ledger.tensor(f"grad.{name}", "gradient", gradient, floor=floor)
        else:
            gap = abs(float(gradient.double().norm()) - norm) / max(norm, floor)
            ledger.write(f"grad.{name}", "gradient", gap, "norm only")
    errors = [row.error for row in ledger.rows if row.kind == "gradient"]
    ledger.write("gradients (median)", "gradients", median(errors))
