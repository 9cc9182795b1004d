"""Samples and predictions to cases: what is compared with what, and which numbers that gives.

Each function here takes samples that are scored together and gives their cases. An unscored sample gets
the values of an empty prediction (the published convention), and its status and reason stay on the case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unipixel.core.masks import RLE
from unipixel.data.sample import Choice, Masks, Sample
from unipixel.errors import DataError
from unipixel.evaluation.benchmark import Case, Pair, clip_of
from unipixel.evaluation.metrics import region
from unipixel.evaluation.metrics.choice import letter, letter_upstream
from unipixel.evaluation.metrics.clips import score_clip
from unipixel.evaluation.metrics.judge import DIMENSIONS, HIGHEST, parse_verdict, parse_verdict_leniently
from unipixel.evaluation.metrics.matching import (
    DAVIS_ANNOTATORS,
    davis_annotator_expressions,
    merge_by_argmax,
    score_labels,
)
from unipixel.evaluation.predictions import PredictedObject, Prediction, Problem

Volume = NDArray[np.bool_]


@dataclass(frozen=True)
class Compared:
    """Masks bool [T, H, W] of one object: what is shown, what is true, and what is wrong with the first."""

    shown: Volume
    truth: Volume
    problems: tuple[Problem, ...] = ()


def compare_masks(sample: Sample, prediction: Prediction, frames: Sequence[int] | None = None) -> Compared:
    """A sample's first predicted object beside the truth (the union of its objects), on all frames.

    A prediction that does not fit counts as empty where it does not, and each misfit is a problem.
    """
    truth = read_truth(sample, frames)
    shown, problems = fit(prediction, sample, truth.shape[1:])
    return Compared(shown, np.asarray(truth.any(axis=0)), problems)


def read_truth(sample: Sample, frames: Sequence[int] | None = None) -> Masks:
    """True masks bool [O, T, H, W] on `frames`, or on all of the clip; DataError where none are published."""
    if sample.media is None or sample.masks is None:
        raise DataError("", f"sample {sample.id}", "no masks", "masks; this split has none to score with")
    first = sample.media.open() if sample.media.video is not None else sample.media.take([0]).open()
    total = sample.media.num_frames or first.num_frames
    return sample.masks.read(range(total) if frames is None else frames, first.height, first.width)


def fit(prediction: Prediction, sample: Sample, shape: tuple[int, ...]) -> tuple[Volume, tuple[Problem, ...]]:
    """The first predicted object as masks of `shape` [T, H, W]."""
    shown = np.zeros(shape, np.bool_)
    if not prediction.objects:
        return shown, ()
    found = prediction.objects[0]
    if found.size != tuple(shape[1:]):
        size = f"{found.size[1]}x{found.size[0]} instead of {shape[2]}x{shape[1]} pixels"
        return shown, (Problem("wrong size", sample.id, size),)
    by_frame = dict(zip(found.frames, found.masks, strict=True))
    for frame in range(shape[0]):
        if frame in by_frame:
            shown[frame] = by_frame[frame].decode()
    missing = [name_of(sample, frame) for frame in range(shape[0]) if frame not in by_frame]
    unknown = sorted(frame for frame in by_frame if not 0 <= frame < shape[0])
    problems = []
    if missing:
        named = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        problems.append(Problem("missing frame", sample.id, f"no mask for {len(missing)} frames: {named}"))
    if unknown:
        problems.append(Problem("unknown frame", sample.id, f"masks for {unknown[:5]} of {shape[0]} frames"))
    return shown, tuple(problems)


def name_of(sample: Sample, frame: int) -> str:
    """What a frame is called in files of predictions."""
    names = sample.media.names if sample.media is not None else ()
    return names[frame] if names else f"{frame:05d}"


def _case(
    pair: Pair, values: Mapping[str, float], kind: str = "", problems: tuple[Problem, ...] = ()
) -> Case:
    sample, prediction = pair
    return Case(
        sample.id, clip_of(sample), kind, prediction.status, dict(values), prediction.reason, problems
    )


# Masks in videos


@dataclass(frozen=True)
class VideoMasks:
    """J, F and J&F of an expression: means over all frames.

    kind_fact: which fact of the sample is its type, and `kinds` how its values are called. decimals: after
    how many decimals of 100 J and 100 F are cut off (ReVOS); None is exact. missing: what an expression
    without any prediction counts as; the published scripts give it 0, even where nothing is to be found, and
    only GroundMoRe's takes an empty mask.
    """

    kind_fact: str = ""
    kinds: tuple[tuple[str, str], ...] = ()
    decimals: int | None = None
    missing: Literal["zero", "empty"] = "zero"

    def __call__(self, pairs: Sequence[Pair]) -> list[Case]:
        return [self.case(pair)[0] for pair in pairs]

    def case(self, pair: Pair) -> tuple[Case, Compared]:
        """One expression's case, and the masks it rests on."""
        sample, prediction = pair
        compared = compare_masks(sample, prediction)
        score = score_clip(compared.shown, compared.truth)
        j, f = self._rounded(score.mean_j), self._rounded(score.mean_f)
        if prediction.status == "missing" and self.missing == "zero":
            j, f = 0.0, 0.0
        values = {"J": j, "F": f, "J&F": (j + f) / 2}
        return _case(pair, values, self._kind(sample), compared.problems), compared

    def _rounded(self, value: float) -> float:
        return value if self.decimals is None else round(100 * value, self.decimals) / 100

    def _kind(self, sample: Sample) -> str:
        fact = sample.facts.get(self.kind_fact, "")
        return dict(self.kinds).get(fact, fact)


@dataclass(frozen=True)
class Revos:
    """ReVOS: J and F, and its pixel accuracy A and robustness R.

    arithmetic: "shipped" takes the 8-bit numbers of the benchmark's own script, "binary" truth values. Where
    several annotated things overlap, the script counts each; here the union counts once.
    """

    arithmetic: Literal["shipped", "binary"] = "shipped"

    def __call__(self, pairs: Sequence[Pair]) -> list[Case]:
        kinds = (("0", "referring"), ("1", "reasoning"), ("2", "no target"))
        masks = VideoMasks("type_id", kinds, decimals=2)
        return [self._with_robustness(pair, *masks.case(pair)) for pair in pairs]

    def _with_robustness(self, pair: Pair, case: Case, masks: Compared) -> Case:
        sample = pair[0]
        values = dict(case.values)
        if self.arithmetic == "shipped":
            shown = masks.shown.astype(np.uint8) * 255
            values["A"] = float(region.pixel_accuracy_as_shipped(shown, masks.truth).mean())
        else:
            values["A"] = float(region.pixel_accuracy(masks.shown, masks.truth).mean())
        if sample.foreground is not None:
            count, height, width = masks.truth.shape
            things = sample.foreground.read(range(count), height, width).any(axis=0)
            if self.arithmetic == "shipped":
                found = region.robustness_as_shipped(shown, masks.truth, things)
            else:
                found = region.robustness(masks.shown, masks.truth, things)
            values["R"] = float(found.mean())
        return _case(pair, values, case.kind, case.problems)


def davis_classic(pairs: Sequence[Pair]) -> list[Case]:
    """Ref-DAVIS17 in the classic way, all expressions of one video: the objects of each of four annotators
    are merged, paired with the true ones and scored; one case for each annotator and object."""
    ordered = sorted(pairs, key=lambda pair: int(pair[0].rounds[0].id))
    compared = [compare_masks(*pair) for pair in ordered]
    problems = [problem for one in compared for problem in one.problems]
    cases: list[Case] = []
    for annotator in range(DAVIS_ANNOTATORS):
        places = davis_annotator_expressions(len(ordered), annotator)
        shown = merge_by_argmax(np.stack([compared[place].shown for place in places]))
        truth = np.zeros(shown.shape, np.uint8)
        for number, place in enumerate(places, 1):
            truth[compared[place].truth] = number
        # Objects behind the last one of the first frame have no score, as in that benchmark.
        for number, (place, score) in enumerate(zip(places, score_labels(shown, truth), strict=False)):
            sample, prediction = ordered[place]
            j, f = score.mean_j, score.mean_f
            case = _case((sample, prediction), {"J": j, "F": f, "J&F": (j + f) / 2}, f"annotator {annotator}")
            cases.append(case if number or annotator else _with_problems(case, problems))
    return cases


def _with_problems(case: Case, problems: Sequence[Problem]) -> Case:
    return Case(case.sample, case.clip, case.kind, case.status, case.values, case.reason, tuple(problems))


# Masks in pictures


@dataclass(frozen=True)
class PictureMasks:
    """Intersection and union of a sentence's masks, and what follows from them.

    lisa: whether IoU has LISA's small number in its denominator. The box of the sample's facts, where it has
    one, is found if the box of the mask has IoU 0.5 with it.
    """

    lisa: bool = False

    def __call__(self, pairs: Sequence[Pair]) -> list[Case]:
        return [self._case(pair) for pair in pairs]

    def _case(self, pair: Pair) -> Case:
        sample = pair[0]
        masks = compare_masks(*pair)
        ignored = None
        if sample.ignored is not None:
            ignored = sample.ignored.read([0], *masks.truth.shape[1:])[0]
        counts = region.overlap(masks.shown, masks.truth, ignored)
        iou = counts.lisa_iou if self.lisa else counts.iou
        values = {"I": float(counts.intersection), "U": float(counts.union), "IoU": iou}
        values |= {f"P@{level}": float(iou >= level) for level in region.THRESHOLDS}
        if box := sample.facts.get("box"):
            x1, y1, x2, y2 = (float(side) for side in box.split())
            values["box"] = float(region.box_hit(masks.shown[0], (x1, y1, x2, y2)))
        return _case(pair, values, problems=masks.problems)


# Words


@dataclass(frozen=True)
class Options:
    """Whether the right option was chosen.

    kind_fact: which fact of the sample is its type. reading: how the option is found in the reply.
    """

    kind_fact: str = ""
    reading: Literal["published", "upstream"] = "published"

    def __call__(self, pairs: Sequence[Pair]) -> list[Case]:
        return [_case(pair, self.values(*pair), pair[0].facts.get(self.kind_fact, "")) for pair in pairs]

    def values(self, sample: Sample, prediction: Prediction) -> dict[str, float]:
        """Whether the answer is right, and whether it names no option."""
        choice = sample.rounds[0]
        assert isinstance(choice, Choice), f"{sample.id} is no question with options"
        if choice.key is None:
            raise DataError("", f"sample {sample.id}", "no right option", "one; this split has none")
        found = (
            letter(prediction.text, len(choice.options))
            if self.reading == "published"
            else letter_upstream(prediction.text)
        )
        return {"right": float(found == choice.letter), "no option": float(found is None)}


@dataclass(frozen=True)
class PixelQaMasks:
    """PixelQA: volume IoU and Dice of every object, and whether the right option was chosen."""

    options: Options = Options("type")

    def __call__(self, pairs: Sequence[Pair]) -> list[Case]:
        return [self._case(pair) for pair in pairs]

    def _case(self, pair: Pair) -> Case:
        sample, prediction = pair
        values = self.options.values(sample, prediction)
        values |= {"objects": float(len(sample.object_ids)), "J": 0.0, "F": 0.0}
        problems: list[Problem] = []
        by_id = {one.id: one for one in prediction.objects}
        for place, number in enumerate(sample.object_ids):
            if prediction.objects and number not in by_id:
                problems.append(Problem("missing object", sample.id, f"no masks of [{number}]"))
            if number in by_id:
                j, f, wrong = _volume(sample, place, by_id[number])
                values["J"], values["F"] = values["J"] + j, values["F"] + f
                problems += wrong
        values["J&F"] = (values["J"] + values["F"]) / 2
        return _case(pair, values, sample.facts.get("type", ""), tuple(problems))


def _volume(sample: Sample, place: int, found: PredictedObject) -> tuple[float, float, list[Problem]]:
    truth = read_truth(sample, found.frames)[place]
    if found.size != truth.shape[1:]:
        size = f"{found.size[1]}x{found.size[0]} instead of {truth.shape[2]}x{truth.shape[1]} pixels"
        return 0.0, 0.0, [Problem("wrong size", sample.id, f"[{found.id}]: {size}")]
    shown = decode(found.masks)
    return region.volume_iou(shown, truth), region.volume_dice(shown, truth), []


def decode(masks: Sequence[RLE]) -> Volume:
    """Masks [T, H, W]."""
    return np.stack([mask.decode() for mask in masks])


@dataclass(frozen=True)
class Judged:
    """Scores of a judge's reply in four dimensions, 0 to 5; without a score there is no value."""

    reading: Literal["published", "lenient"] = "published"

    def __call__(self, pairs: Sequence[Pair]) -> list[Case]:
        return [self._case(pair) for pair in pairs]

    def _case(self, pair: Pair) -> Case:
        sample, prediction = pair
        parse = parse_verdict if self.reading == "published" else parse_verdict_leniently
        verdict = parse(prediction.verdict)
        scores = (verdict.subject, verdict.appearance, verdict.temporal, verdict.hallucination)
        values = {name: score for name, score in zip(DIMENSIONS, scores, strict=True) if score is not None}
        wrong = [name for name, score in values.items() if not 0 <= score <= HIGHEST]
        if len(values) == len(DIMENSIONS):
            values["average"] = sum(values.values()) / len(DIMENSIONS)
        problems = tuple(
            Problem("impossible score", sample.id, f"{name}: {values[name]:g}") for name in wrong
        )
        if prediction.status == "answered" and not prediction.verdict:
            problems = (Problem("not judged", sample.id, "no verdict"),)
        return _case(pair, values, problems=problems)
