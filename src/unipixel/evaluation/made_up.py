"""The made-up world as benchmarks: fresh clips in which a thing is named, or clicked and boxed.

What is asked and counted is that of `evaluation.fresh_clips` and `evaluation.clicks`; here it goes through
the same runner as everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.prompts import Box, Point
from unipixel.data.pointing import draw_box, draw_click
from unipixel.data.sample import Expression, Facts, Masks, Media, Sample
from unipixel.data.synthetic.files import write_scene
from unipixel.data.synthetic.scene import Scene, evaluation_seed, make_scene, moves
from unipixel.errors import PromptError
from unipixel.evaluation import clicks
from unipixel.evaluation.benchmark import Case, Opened, Pair, Setting, Talk
from unipixel.evaluation.fresh_clips import WORLD, mean_iou
from unipixel.evaluation.measures import fit
from unipixel.evaluation.predictions import PredictedObject, Prediction

NUM_CLIPS = 50


@dataclass(frozen=True, eq=False)
class SceneMasks:
    """Masks of a scene that is drawn again when they are read, the target's first."""

    index: int

    @property
    def num_objects(self) -> int:
        return 1

    def read(self, frames: Sequence[int], height: int, width: int) -> Masks:
        """Masks of the target; the scene has the clip's size."""
        scene = _scene(self.index)
        masks: Masks = scene.masks[scene.target][None, list(frames)]
        return masks


@dataclass(frozen=True)
class FreshClips:
    """Test clips of the made-up world, written below the root as videos when they are first asked for."""

    number: int = NUM_CLIPS
    needs_root: bool = False

    def open(self, root: Path, choices: Mapping[str, str]) -> Opened:
        """All clips."""
        return Opened(_Clips(root, self.number), {"clips": str(self.number), **choices})


@dataclass(frozen=True)
class _Clips:
    root: Path
    number: int

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> Sample:
        scene, name = _scene(index), f"clip_{index:03d}"
        video = self.root / f"{name}.mp4"
        if not video.is_file():
            self.root.mkdir(parents=True, exist_ok=True)
            write_scene(scene, self.root, name)
        return Sample(
            dataset="fresh_clips",
            id=name,
            task="segment",
            media=Media(name, video=video),
            rounds=(Expression(scene.expression(scene.target), "query", id="0"),),
            object_ids=(0,),
            masks=SceneMasks(index),
            facts=Facts({"index": str(index)}),
        )


def _scene(index: int) -> Scene:
    return make_scene(evaluation_seed(index), WORLD)


# Named things


def fresh_clip_cases(pairs: Sequence[Pair]) -> list[Case]:
    """IoU with the target and with the other things, and by how much the answer is better than the target's
    first mask repeated, where the target moves (`evaluation.fresh_clips`)."""
    return [_case(*pair) for pair in pairs]


def _case(sample: Sample, prediction: Prediction) -> Case:
    scene = _scene(int(sample.facts["index"]))
    truth = scene.masks[scene.target]
    shown, problems = fit(prediction, sample, truth.shape)
    others = [mask for number, mask in enumerate(scene.masks) if number != scene.target]
    iou = mean_iou(shown, truth)
    values = {"IoU": iou, "wrong": float(np.mean([mean_iou(shown, other, 0.0) for other in others]))}
    moving = moves(scene, scene.target)
    if moving:
        repeated = mean_iou(np.broadcast_to(truth[0], truth.shape), truth)
        values |= {"moving": iou, "repeated": repeated, "gain": iou - repeated}
    kind = "moves" if moving else "stays"
    return Case(sample.id, sample.id, kind, prediction.status, values, prediction.reason, problems)


# Things that are pointed at

KINDS = (("click", draw_click), ("box", draw_box))


@dataclass
class _Recorder:
    """A session whose masks are kept, in the order in which they come."""

    session: clicks.Pointing
    size: tuple[int, int]
    found: list[PredictedObject] = field(default_factory=list)

    def refer(self, prompt: Point | Box, /) -> clicks.FoundObject:
        return self._kept(self.session.refer(prompt))

    def correct(self, object_id: int, points: Sequence[Point], /) -> clicks.FoundObject:
        return self._kept(self.session.correct(object_id, points))

    def _kept(self, found: clicks.FoundObject) -> clicks.FoundObject:
        frames: tuple[int, ...] = (0,)
        masks: tuple[RLE, ...] = (RLE.from_mask(np.zeros(self.size, np.bool_)),)
        if found.masks is not None:
            frames, masks = found.masks.indices, tuple(frame.rle for frame in found.masks)
        self.found.append(PredictedObject(len(self.found), frames, masks))
        return found


@dataclass(frozen=True)
class _Found:
    id: int
    masks: MaskTrack | None


@dataclass
class _Replay:
    """A session that answers what was recorded."""

    recorded: Iterator[PredictedObject]

    def refer(self, prompt: Point | Box, /) -> clicks.FoundObject:
        return self._next()

    def correct(self, object_id: int, points: Sequence[Point], /) -> clicks.FoundObject:
        return self._next()

    def _next(self) -> _Found:
        one = next(self.recorded, None)
        if one is None:
            raise PromptError("The prediction has fewer objects than were pointed at; ask the clip again.")
        pairs = zip(one.frames, one.masks, strict=True)
        return _Found(one.id, MaskTrack(tuple(FrameMask(frame, mask, 1.0, True) for frame, mask in pairs)))


@dataclass(frozen=True)
class PointAtThings:
    """Click and box every thing of a clip on a middle frame, and correct what is bad."""

    def __call__(self, sample: Sample, setting: Setting) -> Talk:
        index = int(sample.facts["index"])
        assert sample.media is not None, "clips have pictures"
        clip = sample.media.open()

        def hold(session: clicks.Pointing) -> Prediction:
            recorder = _Recorder(session, (clip.height, clip.width))
            point_at_things(recorder, index)
            return Prediction(sample.id, objects=tuple(recorder.found))

        return Talk(clip, hold)


def point_at_things(session: clicks.Pointing, index: int) -> list[clicks.PointedScore]:
    """`evaluation.clicks` on one clip."""
    scene = _scene(index)
    rng = Generator(PCG64(SeedSequence(entropy=index, spawn_key=(13,))))
    found: list[clicks.PointedScore] = []
    for thing in range(len(scene.things)):
        for kind, draw in KINDS:
            score = clicks.point_at(session, scene, thing, draw, rng)
            found += [] if score is None else [replace(score, kind=kind)]
    return found


def click_cases(pairs: Sequence[Pair]) -> list[Case]:
    """A case for each thing and way of pointing: mean IoU over all frames, those before the prompted one,
    that one, those after it, and what a correction changed."""
    cases: list[Case] = []
    for sample, prediction in pairs:
        if prediction.status != "answered":
            raise PromptError(f"{prediction.status}: {prediction.reason}; no thing of the clip is scored")
        scores = point_at_things(_Replay(iter(prediction.objects)), int(sample.facts["index"]))
        for score in scores:
            cases.append(Case(sample.id, sample.id, score.kind, prediction.status, _click_values(score)))
    return cases


def _click_values(score: clicks.PointedScore) -> dict[str, float]:
    parts = {
        "all frames": score.ious,
        "before": score.ious[: score.frame],
        "there": score.ious[score.frame : score.frame + 1],
        "after": score.ious[score.frame + 1 :],
    }
    values = {name: float(np.nanmean(ious)) for name, ious in parts.items() if not np.isnan(ious).all()}
    if score.correction is not None:
        change = score.correction
        values |= {"uncorrected": change.before, "corrected": change.after}
        values["gain"] = change.after - change.before
    return values
