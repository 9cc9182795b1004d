"""What training minimises: here the quality of masks, by which one of three candidates becomes the answer."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from unipixel.model.losses import MaskLossWeights, mask_loss
from unipixel.model.sam2 import FrameMasks

SIDE = 8
RIGHT = 2
"""The candidate that finds the object."""
Gradients = Literal["published", "corrected"]


def answer(qualities: Tensor, grows: Tensor | None = None) -> tuple[FrameMasks, Tensor]:
    """One object on one frame, found by the last candidate alone, and its mask [1, 1, S, S]."""
    wanted = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.bool)
    wanted[..., 2:6, 2:6] = True
    right = torch.where(wanted[0], 9.0, -9.0)
    candidates = torch.stack([-right, -right, right], dim=1)
    nothing = torch.zeros(1, 1)
    frame = FrameMasks(
        logits=candidates[:, 0],
        candidates=candidates,
        ious=qualities.sigmoid(),
        object_score=torch.full((1,), 9.0),
        pointer=nothing,
        memory=nothing,
        conditioned=nothing,
    )
    return frame, wanted


def quality_loss(qualities: Tensor, gradients: Gradients) -> Tensor:
    frame, wanted = answer(qualities)
    return mask_loss([frame], wanted, MaskLossWeights(quality_gradients=gradients)).iou


def test_fidelity_of_the_quality_changes_gradients_and_no_value() -> None:
    qualities = torch.tensor([[0.3, -1.0, 2.0]])
    published, corrected = (quality_loss(qualities, which) for which in ("published", "corrected"))
    actual = torch.tensor([[0.0, 0.0, 1.0]])
    assert torch.equal(published, corrected)
    assert torch.allclose(published, (qualities.sigmoid() - actual).abs().mean())
    given = qualities.requires_grad_()
    (gradient,) = torch.autograd.grad(quality_loss(given, "corrected"), given)
    assert torch.allclose(gradient, (given.sigmoid() - actual) / 3), "that of cross-entropy"


@pytest.mark.parametrize("sure", [-30.0, -12.0, 12.0, 30.0])
def test_gradients_are_finite_where_the_decoder_is_sure(sure: float) -> None:
    given = torch.full((1, 3), sure, requires_grad=True)
    (gradient,) = torch.autograd.grad(quality_loss(given, "corrected"), given)
    assert torch.isfinite(gradient).all()
    wrong = gradient[0, RIGHT] if sure < 0 else gradient[0, 0]
    assert abs(sure) > 16 or wrong.abs() > 0.3, "float32 tells sigmoid(12) from 1"


@pytest.mark.parametrize(("gradients", "chosen"), [("published", 0), ("corrected", RIGHT)])
def test_a_candidate_that_never_was_any_good_can_become_the_answer(gradients: Gradients, chosen: int) -> None:
    """The small model of November 2026 had a third candidate with a quality logit near -10: fine-tuning on a
    new word taught its mask (IoU 0.86), and the answer was one of the two others."""
    qualities = torch.tensor([[-4.0, -4.0, -10.0]], requires_grad=True)
    optimiser = torch.optim.SGD([qualities], lr=1.0)
    for _ in range(60):
        optimiser.zero_grad()
        quality_loss(qualities, gradients).backward()
        optimiser.step()
    assert int(qualities.argmax()) == chosen
