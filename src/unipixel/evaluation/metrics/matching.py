"""Objects that are matched with others before they are scored: Ref-DAVIS17 in the classic way, and the
assignment that it rests on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unipixel.errors import PromptError, UniPixelError
from unipixel.evaluation.metrics.clips import ClipScore, score_clip

DAVIS_ANNOTATORS = 4
DAVIS_BACKGROUND = 0.1
DAVIS_VOID = 255


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
