"""How benchmarks put scores together, and which frames they look at. Arithmetic only: files are the data
readers'.

Where the published evaluation of UniPixel and the benchmark's own differ, there is a function for each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unipixel.errors import PromptError, UniPixelError
from unipixel.evaluation.metrics.clips import ClipScore, score_clip

GROUNDMORE_FRAMES = 20
GROUNDMORE_FPS = 6
DAVIS_ANNOTATORS = 4
DAVIS_BACKGROUND = 0.1
DAVIS_VOID = 255
REVOS_REFERRING, REVOS_REASONING = 0, 1


@dataclass(frozen=True)
class Means:
    """J and F of a benchmark in [0, 1] (or x100, as the function says), over `count` expressions."""

    j: float
    f: float
    count: int

    @property
    def j_and_f(self) -> float:
        """(J + F) / 2."""
        return (self.j + self.f) / 2


@dataclass(frozen=True)
class Scored:
    """One expression: its J and F over frames in [0, 1], and the subset that it belongs to."""

    j: float
    f: float
    subset: str | int = ""

    @classmethod
    def of(cls, score: ClipScore, subset: str | int = "") -> "Scored":
        """From the scores of its frames."""
        return cls(score.mean_j, score.mean_f, subset)


def mean_over_expressions(scored: Sequence[Scored]) -> Means:
    """Every expression counts the same: MeViS, Ref-SAV and Ref-DAVIS17 as published, GroundMoRe over
    questions."""
    if not scored:
        raise UniPixelError("There is nothing to average; give at least one scored expression.")
    return Means(
        float(np.mean([each.j for each in scored])), float(np.mean([each.f for each in scored])), len(scored)
    )


def means_by_subset(scored: Sequence[Scored]) -> dict[str | int, Means]:
    """`mean_over_expressions` of each subset, subsets in the order in which they first occur."""
    subsets = dict.fromkeys(each.subset for each in scored)
    return {name: mean_over_expressions([each for each in scored if each.subset == name]) for name in subsets}


def mean_over_subsets(parts: Sequence[Means]) -> Means:
    """Every subset counts the same, whatever its size: Ref-SAV in Sa2VA's own script (long, short), ReVOS."""
    if not parts:
        raise UniPixelError("There is nothing to average; give at least one subset.")
    count = sum(part.count for part in parts)
    return Means(
        float(np.mean([part.j for part in parts])), float(np.mean([part.f for part in parts])), count
    )


# --- ReVOS --------------------------------------------------------------------------------------------------


def revos_means(scored: Sequence[Scored]) -> tuple[Means, Means, Means]:
    """(referring, reasoning, overall) x100 as published: each expression is rounded to two decimals first,
    type 0 is referring, type 1 reasoning, others do not count, and overall is the mean of the two subsets.

    Args:
        scored: one for each expression, its `subset` being the `type_id`. A missing prediction is J = F = 0.

    Raises:
        UniPixelError: one of the two subsets has no expression.
    """
    percent = [Scored(round(100 * each.j, 2), round(100 * each.f, 2), each.subset) for each in scored]
    referring, reasoning = _subset(percent, REVOS_REFERRING), _subset(percent, REVOS_REASONING)
    return referring, reasoning, mean_over_subsets([referring, reasoning])


def revos_mean_over_expressions(scored: Sequence[Scored]) -> Means:
    """x100: referring and reasoning expressions all count the same, without rounding. Not what tables
    print."""
    kept = [each for each in scored if each.subset in (REVOS_REFERRING, REVOS_REASONING)]
    means = mean_over_expressions(kept)
    return Means(100 * means.j, 100 * means.f, means.count)


def _subset(scored: Sequence[Scored], kind: str | int) -> Means:
    kept = [each for each in scored if each.subset == kind]
    if not kept:
        raise UniPixelError(f"No expression of type {kind}; a score of ReVOS needs both types, 0 and 1.")
    return mean_over_expressions(kept)


# --- GroundMoRe ---------------------------------------------------------------------------------------------


def groundmore_indices(num_frames: int) -> tuple[int, ...]:
    """The 20 frames that are looked at, t_k = floor(k (N - 1) / 19); short clips repeat frames.

    Upstream picks the same numbers from an unsorted listing of the folder, so there they may name other
    frames.
    """
    if num_frames < 1:
        raise PromptError(f"A clip of {num_frames} frames has none to look at.")
    return tuple(np.linspace(0, num_frames - 1, GROUNDMORE_FRAMES, dtype=int).tolist())


def groundmore_window(video_id: str, action_start: str, action_end: str) -> tuple[int, int]:
    """First and last frame, both included, on which the thing asked about is true; elsewhere the truth is
    empty.

    Args:
        video_id: ends with the times of the clip, "MMSS_MMSS".
        action_start: "mm:ss" or "hh:mm:ss" in the film.
        action_end: likewise; its frame is the first that does not count.

    Raises:
        UniPixelError: a time that cannot be read.
    """
    clock = video_id[-9:].split("_")[0]
    clip_start = _seconds(f"{clock[:2]}:{clock[2:]}")
    first, after = ((_seconds(time) - clip_start) * GROUNDMORE_FPS for time in (action_start, action_end))
    return first, after - 1


def groundmore_shown(num_frames: int, window: tuple[int, int]) -> tuple[bool, ...]:
    """For each of the 20 frames whether the truth is the mask on file (or empty if there is none)."""
    return tuple(window[0] <= index <= window[1] for index in groundmore_indices(num_frames))


def groundmore_file_name(index: int, first_picture: str) -> str:
    """Name of a mask file: "frame_000012.png" if the clip's first picture has that prefix, else
    "0000012.png".

    Upstream knows only the first form.
    """
    return f"frame_{index:06d}.png" if first_picture.startswith("frame_") else f"{index:07d}.png"


def _seconds(time: str) -> int:
    parts = time.split(":")
    if not 1 <= len(parts) <= 3 or not all(part.strip().isdigit() for part in parts):
        raise UniPixelError(f'"{time}" is no time; it must be "mm:ss" or "hh:mm:ss".')
    seconds = 0
    for part in parts:
        seconds = 60 * seconds + int(part)
    return seconds


# --- Ref-DAVIS17 --------------------------------------------------------------------------------------------


def davis_truth_keys(expressions: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], str]:
    """Key in `mask_dict.pkl` of each (video, expression): a running number over sorted videos and, in each,
    expressions sorted as text ("0", "1", "10", "2")."""
    pairs = [(video, each) for video in sorted(expressions) for each in sorted(expressions[video])]
    return {pair: str(number) for number, pair in enumerate(pairs)}


def davis_annotator_expressions(num_expressions: int, annotator: int) -> tuple[int, ...]:
    """The expressions of one annotator (0 to 3), one for each object: object * 4 + annotator.

    Raises:
        UniPixelError: an unknown annotator, or expressions that are not four for each object.
    """
    if not 0 <= annotator < DAVIS_ANNOTATORS or num_expressions % DAVIS_ANNOTATORS:
        raise UniPixelError(
            f"Annotator {annotator} of {num_expressions} expressions; there are annotators 0 to 3, and four "
            "expressions for each object."
        )
    return tuple(range(annotator, num_expressions, DAVIS_ANNOTATORS))


def merge_by_argmax(scores: ArrayLike) -> NDArray[np.uint8]:
    """Labels [T, H, W] of one annotator's objects (ReferFormer): on each pixel the object with the highest
    score, 0 where none reaches 0.5. Equal scores go to the first object.

    Args:
        scores: probabilities, or masks as 0 and 1, [objects, T, H, W], at most 254 objects.
    """
    array = np.asarray(scores, np.float32)
    if array.ndim != 4 or not 1 <= len(array) < DAVIS_VOID:
        raise PromptError(f"Scores to merge are [objects, frames, height, width]; found shape {array.shape}.")
    likely = np.where(array < 0.5, np.float32(0), array)
    background = np.full((1, *array.shape[1:]), DAVIS_BACKGROUND, np.float32)
    return np.asarray(np.argmax(np.concatenate([background, likely]), axis=0), np.uint8)


def score_labels(predicted: ArrayLike, truth: ArrayLike) -> list[ClipScore]:
    """J and F of every true object, in the way of DAVIS 2017 (unsupervised): predicted objects are paired
    with true ones so that the sum of J&F is highest, whatever their labels; every frame counts.

    Args:
        predicted: labels [T, H, W], 0 is background.
        truth: labels [T, H, W]; 255 is void and taken out of both. The objects are those up to the highest
            label of the first frame, as in that benchmark.

    Returns:
        One score for each true object, in order; an object without a partner scores against empty masks.
    """
    shown, true = np.asarray(predicted), np.asarray(truth)
    if shown.ndim != 3 or shown.shape != true.shape or shown.size == 0:
        raise PromptError(
            f"Labels are [frames, height, width], of one shape; found {shown.shape} and {true.shape}."
        )
    void = true == DAVIS_VOID
    num_true = int(np.where(void[0], 0, true[0]).max())
    if num_true == 0:
        raise PromptError("The first frame of the truth shows no object; there is nothing to score.")
    num_shown = max(int(shown.max()), num_true)
    shown = np.where(void, 0, shown)
    pairs = [
        [score_clip(shown == label + 1, true == thing + 1) for label in range(num_shown)]
        for thing in range(num_true)
    ]
    chosen = best_pairs([[score.j_and_f for score in row] for row in pairs])
    return [row[label] for row, label in zip(pairs, chosen, strict=True)]


def davis_classic(by_annotator: Sequence[Sequence[ClipScore]]) -> Means:
    """Ref-DAVIS17 in the classic way: mean over the objects of all videos for each annotator, then over
    annotators.

    Args:
        by_annotator: the scores of all objects of all videos (`score_labels` of `merge_by_argmax`), for each
            of the four annotators. The published evaluation scores each expression alone instead:
            `mean_over_expressions`.
    """
    if len(by_annotator) != DAVIS_ANNOTATORS:
        raise UniPixelError(f"Scores of {len(by_annotator)} annotators; Ref-DAVIS17 has {DAVIS_ANNOTATORS}.")
    means = [mean_over_expressions([Scored.of(score) for score in scores]) for scores in by_annotator]
    return mean_over_subsets(means)


def best_pairs(worth: Sequence[Sequence[float]]) -> tuple[int, ...]:
    """A different column for each row so that the sum of worth [rows][columns] is highest (the assignment
    problem, by shortest augmenting paths; Kuhn 1955, Jonker and Volgenant 1987).

    Raises:
        UniPixelError: more rows than columns, or rows of different lengths.
    """
    cost = -np.asarray(worth, np.float64)
    if cost.ndim != 2 or cost.shape[0] > cost.shape[1] or not np.isfinite(cost).all():
        raise UniPixelError(f"Rows need a column each and finite numbers; found a table of {cost.shape}.")
    row_price, column_price = np.zeros(cost.shape[0]), np.zeros(cost.shape[1])
    row_of = np.full(cost.shape[1], -1)
    for row in range(cost.shape[0]):
        _add_row(row, cost, row_price, column_price, row_of)
    return tuple(int(np.flatnonzero(row_of == row)[0]) for row in range(cost.shape[0]))


def _add_row(
    row: int,
    cost: NDArray[np.float64],
    row_price: NDArray[np.float64],
    column_price: NDArray[np.float64],
    row_of: NDArray[np.int_],
) -> None:
    """Give `row` a column, moving earlier rows along the cheapest path; prices and `row_of` change."""
    distance, previous = np.full(cost.shape[1], np.inf), np.full(cost.shape[1], -1)
    done = np.zeros(cost.shape[1], np.bool_)
    current, column, so_far = row, -1, 0.0
    while current != -1:
        reached = so_far + cost[current] - row_price[current] - column_price
        better = ~done & (reached < distance)
        distance[better], previous[better] = reached[better], column
        column = int(np.argmin(np.where(done, np.inf, distance)))
        so_far, done[column] = float(distance[column]), True
        current = int(row_of[column])
    settled = done & (row_of != -1)
    row_price[row_of[settled]] += so_far - distance[settled]
    row_price[row] += so_far
    column_price[done] += distance[done] - so_far
    while column != -1:
        before = int(previous[column])
        row_of[column] = row_of[before] if before != -1 else row
        column = before
