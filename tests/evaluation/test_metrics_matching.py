"""Objects that are matched before they are scored, against small tables worked out by hand."""

from itertools import permutations

import numpy as np
import pytest

from unipixel.errors import PromptError, UniPixelError
from unipixel.evaluation.metrics import matching


def test_davis_annotators() -> None:
    assert matching.davis_annotator_expressions(12, 1) == (1, 5, 9)
    with pytest.raises(UniPixelError, match="four expressions"):
        matching.davis_annotator_expressions(11, 1)


def test_the_likeliest_object_wins_a_pixel() -> None:
    scores = np.array([[0.4, 0.5, 0.9, 0.0, 1.0], [0.3, 0.2, 0.95, 0.6, 1.0]]).reshape(2, 1, 1, 5)
    assert matching.merge_by_argmax(scores).ravel().tolist() == [0, 1, 2, 2, 1]
    with pytest.raises(PromptError, match=r"\(1, 1, 5\)"):
        matching.merge_by_argmax(scores[0])


def two_objects() -> np.ndarray:
    truth = np.zeros((2, 40, 60), np.uint8)
    truth[:, 5:20, 5:20], truth[:, 25:38, 30:55] = 1, 2
    return truth


def test_objects_are_found_under_any_label() -> None:
    truth = two_objects()
    scores = matching.score_labels(np.where(truth > 0, 5 - truth, 0), truth)
    assert [(score.mean_j, score.mean_f) for score in scores] == [(1.0, 1.0)] * 2


def test_a_missing_object_scores_against_nothing() -> None:
    truth = two_objects()
    merged = (truth == 2).astype(np.uint8)
    assert [score.mean_j for score in matching.score_labels(merged, truth)] == [0.0, 1.0]


def test_void_counts_for_nobody() -> None:
    truth = two_objects()
    predicted = truth.copy()
    truth[:, :, 50:] = matching.DAVIS_VOID
    predicted[:, :, 55:] = 1
    assert [score.j_and_f for score in matching.score_labels(predicted, truth)] == [1.0, 1.0]
    with pytest.raises(PromptError, match="no object"):
        matching.score_labels(predicted, np.full_like(truth, matching.DAVIS_VOID))


def test_best_pairs_equal_those_of_trying_all() -> None:
    rng = np.random.default_rng(0)
    for trial in range(150):
        rows, columns = sorted(rng.integers(1, 7, 2).tolist())
        worth = rng.integers(0, 6, (rows, columns)) / 5 if trial % 3 else rng.random((rows, columns))
        chosen = matching.best_pairs(worth.tolist())
        assert len(set(chosen)) == rows
        orders = np.array(list(permutations(range(columns), rows)))
        best = worth[np.arange(rows), orders].sum(axis=1).max()
        assert worth[np.arange(rows), list(chosen)].sum() == pytest.approx(best)


def test_best_pairs_of_large_tables() -> None:
    """Each row and column has a price that no pair is worth more than; one hidden pairing is worth it all."""
    rng = np.random.default_rng(1)
    for _ in range(40):
        row_prices, column_prices, hidden = rng.random(15), rng.random(15), rng.permutation(15)
        worth = row_prices[:, None] + column_prices - rng.random((15, 15))
        worth[np.arange(15), hidden] = row_prices + column_prices[hidden]
        assert matching.best_pairs(worth.tolist()) == tuple(hidden.tolist())


def test_best_pairs_need_columns() -> None:
    with pytest.raises(UniPixelError, match=r"\(2, 1\)"):
        matching.best_pairs([[1.0], [1.0]])
