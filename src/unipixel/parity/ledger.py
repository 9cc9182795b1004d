"""Collects what was compared, in the order in which the data goes through the model."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from unipixel.parity.cases import GoldenCase
from unipixel.parity.compare import (
    ALMOST_ZERO,
    Kind,
    Standard,
    TensorReport,
    count_changed_pixels,
    difference,
    distance_from_iou,
    top_margin,
)


class Ledger:
    """Rows of one case and path; each method compares one tensor and writes one row, or none if the case
    does not hold it."""

    def __init__(self, case: GoldenCase, standard: Standard, path: str) -> None:
        self.case = case
        self.standard = standard
        self.path = path
        self.rows: list[TensorReport] = []

    def write(self, name: str, kind: Kind, error: float, note: str = "") -> None:
        limit = self.standard.limit(kind)
        self.rows.append(TensorReport(self.path, self.case.prefix + name, kind, error, limit, note))

    def tensor(
        self, name: str, kind: Kind, ours: Tensor, keep: Tensor | None = None, floor: float = ALMOST_ZERO
    ) -> None:
        """Compare with the golden tensor of this name; only where `keep`, bool of the leading axes, holds.
        `floor`: norm below which it counts as zero in a relative measure."""
        golden = self.case.expected(name)
        if golden is None:
            return
        wanted = golden.values
        if golden.stride == 1 and ours.numel() != wanted.numel():
            self.write(name, kind, math.inf, f"shape {list(ours.shape)}, golden {list(wanted.shape)}")
            return
        got = golden.pick(ours)
        if got.shape != wanted.shape:
            self.write(name, kind, math.inf, f"{got.numel()} elements, golden {wanted.numel()}")
            return
        if keep is not None:
            kept = golden.pick(spread(keep, ours))
            got, wanted = got[kept], wanted[kept]
        if kind == "equal":
            self.write(name, kind, float((got != wanted).sum()))
            return
        relative = kind == "gradient" or (
            self.standard.measure == "relative" and kind in ("language", "sam", "score")
        )
        error = difference(got, wanted.float(), relative, floor)
        if kind == "loss":
            error /= max(1.0, float(wanted.abs().max()))
        self.write(name, kind, error)

    def tracked(self, name: str, kind: Kind, ours: Tensor, keep: Tensor | None = None) -> None:
        """Compare [O, T, ...] of a tracker; a departure says on which frame it begins."""
        before = len(self.rows)
        self.tensor(name, kind, ours, keep)
        if len(self.rows) == before or self.rows[-1].passed:
            return
        everywhere = torch.ones(ours.shape[:2], dtype=torch.bool) if keep is None else keep
        row = self.rows.pop()
        for frame in range(ours.shape[1]):
            here = torch.zeros_like(everywhere)
            here[:, frame] = everywhere[:, frame]
            self.tensor(name, kind, ours, here)
            if not self.rows.pop().passed:
                self.rows.append(replace(row, frame=frame, note=f"from frame {frame} on"))
                return
        self.rows.append(row)

    def masks(self, name: str, ours: Tensor, logits_name: str, keep: Tensor) -> None:
        """Compare final masks bool [O, T, H, W]. In float32 pixels inside the band of the golden logits
        are free; else the whole is compared by its IoU, without the frames of an object [O, T] on which
        presence differs (the row on presence judges them)."""
        golden, logits = self.case.expected(name), self.case.expected(logits_name)
        if golden is None:
            return
        if golden.stride == 1 and ours.shape != golden.values.shape:
            self.write(
                name, "mask", math.inf, f"shape {list(ours.shape)}, golden {list(golden.values.shape)}"
            )
            return
        got = golden.pick(ours)
        if self.standard.min_iou < 1.0:
            kept = golden.pick(spread(keep, ours))
            self.write(name, "mask", distance_from_iou(got[kept], golden.values[kept]))
            return
        near = logits.values if logits is not None else torch.full(golden.values.shape, math.inf)
        changed = count_changed_pixels(got, golden.values, near, self.standard.band)
        free = int((got.bool() != golden.values.bool()).sum()) - changed
        self.write(name, "mask", float(changed), f"{free} inside the band" if free else "")

    def choice(self, name: str, ours: Tensor, margin: float, label: str) -> None:
        """Compare the index of the largest value in the last axis, where the golden margin is clear."""
        golden = self.case.whole(name)
        if golden is None:
            return
        clear = top_margin(golden) > margin
        changed = ours.detach().cpu().reshape(golden.shape).argmax(-1) != golden.argmax(-1)
        self.write(f"{name} ({label})", "decision", float((changed & clear).sum()), unclear(clear))

    def presence(self, name: str, present: Tensor) -> Tensor:
        """Compare the sign of object scores with ours, bool [O, T], where the golden score is clear and the
        object's earlier frames agree (a tracker that has once decided differently goes its own way); bool
        [O, T]: both agree."""
        golden = self.case.need(name)
        agree = present.cpu().reshape(golden.shape) == (golden > 0)
        same_past = torch.cat([torch.ones_like(agree[:, :1]), agree[:, :-1]], dim=1).cumprod(1).bool()
        clear = (golden.abs() > self.standard.margin_sam) & same_past
        self.write(f"{name} (presence)", "decision", float((~agree & clear).sum()), unclear(clear))
        return agree


def spread(keep: Tensor, over: Tensor) -> Tensor:
    """Leading axes [...] of `keep` over the whole shape of `over`."""
    return keep.cpu().view(*keep.shape, *(1,) * (over.ndim - keep.ndim)).expand(over.shape)


def unclear(clear: Tensor) -> str:
    """A note on decisions that were too close to count."""
    count = int((~clear).sum())
    return f"{count} too close to count" if count else ""
