"""Does a model find, in clips that it has never seen, what is clicked or boxed on a middle frame, before that
frame as after it? And does a click where a mask is bad make it better?

python -m unipixel.evaluation.clicks [--model unipixel-tiny] [--clips 50]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from unipixel.core.masks import MaskTrack
from unipixel.core.media import Clip
from unipixel.core.prompts import Box, Point
from unipixel.data.pointing import correction_click, draw_box, draw_click
from unipixel.data.synthetic.files import write_scene
from unipixel.data.synthetic.scene import Scene, evaluation_seed, make_scene
from unipixel.data.synthetic.world import WorldConfig
from unipixel.evaluation.fresh_clips import WORLD, print_score

LEAST_IOU, BAD_IOU = 0.5, 0.7
"""What the bundled model must reach on average; below what a mask is bad and gets a correction."""

Masks = NDArray[np.bool_]
Draw = Callable[[Masks, Generator], Point | Box]


class FoundObject(Protocol):
    """An object that a session follows; masks of all frames, None if there are none yet."""

    @property
    def id(self) -> int: ...
    @property
    def masks(self) -> MaskTrack | None: ...


class Pointing(Protocol):
    """What is asked of a session about one clip."""

    def refer(self, prompt: Point | Box, /) -> FoundObject: ...
    def correct(self, object_id: int, points: Sequence[Point], /) -> FoundObject: ...


Open = Callable[[Clip], Pointing]


@dataclass(frozen=True)
class Correction:
    """IoU before and after a click on the frame `frame`: on that frame, and the mean over all frames."""

    frame: int
    frame_before: float
    frame_after: float
    before: float
    after: float


@dataclass(frozen=True)
class PointedScore:
    """One thing, pointed at on `frame`: IoU on each frame, NaN where neither mask holds anything; the
    correction of the worst frame, if that one was bad."""

    name: str
    kind: str
    frame: int
    ious: NDArray[np.float64]
    correction: Correction | None


@dataclass(frozen=True)
class Report:
    """All things of all clips."""

    num_clips: int
    scores: tuple[PointedScore, ...]

    def of(self, kind: str) -> tuple[PointedScore, ...]:
        """Scores of "click" or "box"."""
        return tuple(score for score in self.scores if score.kind == kind)

    def parts(self, kind: str) -> tuple[float, float, float, float]:
        """Mean over things of the mean IoU over all frames, those before the prompted one, that one, and
        those after it."""
        scores = self.of(kind)
        slices = [
            (slice(None), slice(0, s.frame), slice(s.frame, s.frame + 1), slice(s.frame + 1, None))
            for s in scores
        ]
        means = [[_mean(s.ious[part]) for part in parts] for s, parts in zip(scores, slices, strict=True)]
        every, before, there, after = (_mean(np.array(column)) for column in zip(*means, strict=True))
        return every, before, there, after

    @property
    def corrections(self) -> tuple[Correction, ...]:
        return tuple(score.correction for score in self.scores if score.correction is not None)

    @property
    def gain(self) -> float:
        """By how much corrections raise the mean IoU over all frames; 0 where nothing was bad."""
        return _mean(np.array([c.after - c.before for c in self.corrections])) if self.corrections else 0.0

    @property
    def passed(self) -> bool:
        """Whether clicks and boxes find their things in both directions, and corrections help if any were
        needed."""
        found = min(value for kind in ("click", "box") for value in self.parts(kind))
        return found >= LEAST_IOU and (self.gain > 0 or not self.corrections)

    def __str__(self) -> str:
        lines = [
            f"pointing: {self.num_clips} fresh clips, every thing clicked, then boxed, on a middle frame",
            f"  mean IoU (at least {LEAST_IOU})   all frames   before   there   after",
        ]
        for kind in ("click", "box"):
            every, before, there, after = self.parts(kind)
            lines.append(f"  {kind:<24}      {every:.3f}    {before:.3f}   {there:.3f}   {after:.3f}")
        lines.append(f"  worst frame under {BAD_IOU}, corrected by a click there: {len(self.corrections)}")
        if self.corrections:
            rows = np.array([(c.frame_before, c.frame_after, c.before, c.after) for c in self.corrections])
            there, then, before, after = rows.mean(axis=0)
            lines.append(f"    that frame   {there:.3f} -> {then:.3f}")
            lines.append(f"    all frames   {before:.3f} -> {after:.3f}  (must rise)")
        lines.append(f"  {'PASS' if self.passed else 'FAIL'}")
        return "\n".join(lines)


def evaluate(open_session: Open, num_clips: int, folder: Path, world: WorldConfig = WORLD) -> Report:
    """Point at every thing of `num_clips` test scenes, written to `folder` as H.264 files and read from
    there."""
    scores: list[PointedScore] = []
    for index in range(num_clips):
        scene = make_scene(evaluation_seed(index), world)
        session = open_session(Clip.open(write_scene(scene, folder, f"clip_{index:03d}").media))
        rng = Generator(PCG64(SeedSequence(entropy=index, spawn_key=(13,))))
        for thing in range(len(scene.things)):
            for kind, draw in (("click", draw_click), ("box", draw_box)):
                score = point_at(session, scene, thing, draw, rng)
                scores += [] if score is None else [replace(score, kind=kind)]
    return Report(num_clips, tuple(scores))


def point_at(session: Pointing, scene: Scene, thing: int, draw: Draw, rng: Generator) -> PointedScore | None:
    """Point at a thing on the frame nearest to the middle that shows it, and correct the worst frame if that
    is bad; None where no frame shows it."""
    truth = scene.masks[thing]
    seen = truth.any(axis=(1, 2)).nonzero()[0]
    if not len(seen):
        return None
    frame = int(seen[np.abs(seen - len(truth) // 2).argmin()])
    found = session.refer(replace(draw(truth[frame], rng), frame=frame))
    predicted = _array(found, truth)
    ious = frame_ious(predicted, truth)
    worst = int(np.nanargmin(ious))
    click = correction_click(predicted[worst], truth[worst])
    correction = None
    if ious[worst] < BAD_IOU and click is not None:
        corrected = session.correct(found.id, [replace(click, frame=worst)])
        after = frame_ious(_array(corrected, truth), truth)
        correction = Correction(worst, float(ious[worst]), float(after[worst]), _mean(ious), _mean(after))
    return PointedScore(scene.expression(thing), "", frame, ious, correction)


def _array(found: FoundObject, truth: Masks) -> Masks:
    return np.zeros_like(truth) if found.masks is None else found.masks.to_array()


def frame_ious(predicted: Masks, truth: Masks) -> NDArray[np.float64]:
    """Intersection over union of masks [T, H, W] on each frame; NaN for a frame without either."""
    intersection = (predicted & truth).sum(axis=(1, 2))
    union = (predicted | truth).sum(axis=(1, 2))
    return np.where(union > 0, intersection / np.maximum(union, 1), np.nan)


def _mean(values: NDArray[np.float64]) -> float:
    """Mean of what is a number; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def main() -> None:
    print_score(__doc__, lambda model, clips, folder: evaluate(model.session, clips, folder))


if __name__ == "__main__":
    main()
