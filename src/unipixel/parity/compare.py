"""What a golden number is held against, and how far it may be away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from unipixel.errors import ConfigError

Kind: TypeAlias = Literal[
    "equal", "view", "place", "language", "sam", "score", "mask", "decision", "loss", "gradient", "gradients"
]
"""equal: every element; view: pixels that enter the model; place: prompt coordinates in pixels of the mask
view; language: both sides of the language model; sam: features and mask logits of the mask decoder; score:
its qualities and presence; mask: final pixels; decision: what is chosen (largest logit, best candidate,
presence); loss; gradient; gradients: the median of a case's gradients."""

ALMOST_ZERO = 1e-6
"""Norm below which a golden tensor counts as zero when a difference is put in relation to it."""


@dataclass(frozen=True)
class Standard:
    """How far a run in one dtype may depart.

    `measure` "largest": largest absolute difference; "relative": L2 norm of the difference in relation to
    the tensor's own. Gradients are always relative, losses to max(1, loss), views and places always
    absolute. `noise`: share of the whole gradient's norm below which a tensor's gradient is rounding
    (biases of attention keys move all scores of a query alike and have none in exact arithmetic). `band`:
    pixels whose golden logit is closer to zero may fall on either side; with `min_iou` below 1 masks are
    compared as a whole. `margin_language`, `margin_sam`: decisions with a smaller golden margin are not
    counted. `chained`: whether what follows from a decision can be compared further down the line.
    """

    dtype: torch.dtype
    measure: Literal["largest", "relative"]
    language: float
    sam: float
    score: float
    loss: float
    gradient: float
    gradients: float
    noise: float
    band: float
    min_iou: float
    margin_language: float
    margin_sam: float
    chained: bool
    view: float = 1e-6
    place: float = 1e-4

    def limit(self, kind: Kind) -> float:
        """The largest departure of a kind that still passes."""
        limits: dict[str, float] = {
            "equal": 0.0,
            "decision": 0.0,
            "view": self.view,
            "place": self.place,
            "language": self.language,
            "sam": self.sam,
            "score": self.score,
            "mask": 1.0 - self.min_iou,
            "loss": self.loss,
            "gradient": self.gradient,
            "gradients": self.gradients,
        }
        return limits[kind]


FLOAT32 = Standard(
    dtype=torch.float32,
    measure="largest",
    language=1e-4,
    sam=2e-3,
    score=2e-3,
    loss=1e-3,
    gradient=1e-3,
    gradients=1e-4,
    noise=1e-5,
    band=2e-3,
    min_iou=1.0,
    margin_language=2e-4,
    margin_sam=4e-3,
    chained=True,
)
BFLOAT16 = Standard(
    dtype=torch.bfloat16,
    measure="relative",
    language=0.08,
    sam=0.35,
    score=0.8,
    loss=0.1,
    gradient=0.95,
    gradients=0.2,
    noise=1e-2,
    band=0.0,
    min_iou=0.9,
    margin_language=0.35,
    margin_sam=0.2,
    chained=False,
)
"""About twice the largest departure measured on a CPU (torch 2.13, the golden checkpoint's 13 cases, the
same with one thread and two): language 0.041 (0.012 without the adapter case), mask decoder 0.17, object
scores 0.44 (of scores near zero), losses 0.055, gradients 0.69 (median 0.07), mask IoU 0.953. The
checkpoint is random and small, so its decisions are closer than those of a trained one, and a tracker that
has once decided differently goes its own way."""
STANDARDS = {"float32": FLOAT32, "bfloat16": BFLOAT16}


def standard_for(dtype: str) -> Standard:
    """The recorded tolerances of a dtype; ConfigError where none were recorded."""
    if dtype not in STANDARDS:
        raise ConfigError(f"no tolerances are recorded for {dtype!r}; choose {' or '.join(STANDARDS)}")
    return STANDARDS[dtype]


@dataclass(frozen=True)
class TensorReport:
    """One compared tensor. path: "given" (from the given tensors) or "raw" (from raw frames and prompts);
    error and limit are counts for `equal`, `decision` and float32 masks, 1 - IoU for other masks, else
    differences. frame: of a tensor that is tracked through a clip, the first frame on which it is too far
    away."""

    path: str
    name: str
    kind: Kind
    error: float
    limit: float
    note: str = ""
    frame: int | None = None

    @property
    def passed(self) -> bool:
        return self.error <= self.limit  # False for nan


@dataclass(frozen=True)
class CaseReport:
    """All tensors of one case, in the order of the data's way through the model."""

    name: str
    tensors: tuple[TensorReport, ...]

    @property
    def passed(self) -> bool:
        return bool(self.tensors) and all(tensor.passed for tensor in self.tensors)

    @property
    def first_departure(self) -> TensorReport | None:
        """The first tensor along the data's way that is too far away. What a tracker computes late on one
        frame is early on the next one, so its tensors go by frame first."""
        failed = [tensor for tensor in self.tensors if not tensor.passed]
        if not failed or failed[0].frame is None:
            return failed[0] if failed else None
        tracked = [tensor for tensor in failed if tensor.frame is not None and tensor.path == failed[0].path]
        return min(tracked, key=lambda tensor: tensor.frame or 0)

    def largest(self, kind: Kind) -> float:
        """The largest departure among the tensors of one kind; 0 if there are none."""
        return max((tensor.error for tensor in self.tensors if tensor.kind == kind), default=0.0)


def difference(ours: Tensor, golden: Tensor, relative: bool, floor: float = ALMOST_ZERO) -> float:
    """Largest absolute difference, or the L2 norm of the difference in relation to the golden one (or to
    `floor`, if that is larger); inf for nan."""
    if not golden.numel():
        return 0.0
    gap = ours.double() - golden.double()
    size = gap.norm() / max(float(golden.double().norm()), floor) if relative else gap.abs().max()
    return math.inf if size.isnan() else float(size)


def count_changed_pixels(ours: Tensor, golden: Tensor, logits: Tensor, band: float) -> int:
    """Mask pixels that differ although their golden logit is at least `band` away from zero."""
    return int(((ours.bool() != golden.bool()) & (logits.abs() >= band)).sum())


def distance_from_iou(ours: Tensor, golden: Tensor) -> float:
    """1 - IoU over all objects and frames; 0 for two empty masks."""
    ours, golden = ours.bool(), golden.bool()
    union = int((ours | golden).sum())
    return 1.0 - int((ours & golden).sum()) / union if union else 0.0


def top_margin(scores: Tensor) -> Tensor:
    """How far the largest of the last axis is ahead of the second: [...]."""
    best = scores.topk(2, dim=-1).values
    return best[..., 0] - best[..., 1]
