"""How benchmarks put scores together, against small tables worked out by hand."""

from itertools import permutations

import numpy as np
import pytest

from unipixel.errors import PromptError, UniPixelError
from unipixel.evaluation.metrics import protocols
from unipixel.evaluation.metrics.clips import ClipScore
from unipixel.evaluation.metrics.protocols import Means, Scored

SCORED = [
    Scored(0.5, 0.7, 0),
    Scored(0.123456, 0.2, 1),
    Scored(0.3, 0.4, 1),
    Scored(0.6, 0.9, 1),
    Scored(1.0, 1.0, 2),
]


def test_all_expressions_or_all_subsets_count_the_same() -> None:
    everything = protocols.mean_over_expressions(SCORED[:3])
    assert (everything.j, everything.f, everything.count) == pytest.approx((0.923456 / 3, 1.3 / 3, 3))
    assert everything.j_and_f == pytest.approx((everything.j + everything.f) / 2)
    by_subset = protocols.means_by_subset(SCORED[:3])
    assert list(by_subset) == [0, 1] and by_subset[0] == Means(0.5, 0.7, 1)
    assert protocols.mean_over_subsets(list(by_subset.values())).f == pytest.approx((0.7 + 0.3) / 2)
    with pytest.raises(UniPixelError, match="nothing to average"):
        protocols.mean_over_expressions([])


def test_revos_rounds_first_and_weighs_subsets_equally() -> None:
    referring, reasoning, overall = protocols.revos_means(SCORED)
    assert referring == Means(50.0, 70.0, 1)
    assert reasoning.j == pytest.approx((12.35 + 30 + 60) / 3, abs=1e-12) and reasoning.count == 3
    assert overall.j == pytest.approx((50 + (12.35 + 30 + 60) / 3) / 2) and overall.count == 4
    assert protocols.revos_mean_over_expressions(SCORED).j == pytest.approx(100 * 1.523456 / 4)
    with pytest.raises(UniPixelError, match="type 0"):
        protocols.revos_means(SCORED[1:])


def test_groundmore_looks_at_twenty_frames() -> None:
    assert protocols.groundmore_indices(100) == tuple(k * 99 // 19 for k in range(20))
    assert protocols.groundmore_indices(20) == tuple(range(20))
    assert protocols.groundmore_indices(1) == (0,) * 20
    with pytest.raises(PromptError, match="0 frames"):
        protocols.groundmore_indices(0)


def test_groundmore_windows_are_six_frames_a_second_from_the_clips_start() -> None:
    window = protocols.groundmore_window("film_0130_0215", "01:35", "00:01:40")
    assert window == (30, 59)
    shown = protocols.groundmore_shown(100, window)
    assert [k for k, here in enumerate(shown) if here] == [6, 7, 8, 9, 10, 11]
    assert protocols.groundmore_window("x0130_0215", "01:20", "01:30") == (-60, -1)
    with pytest.raises(UniPixelError, match=r'"1\.5" is no time'):
        protocols.groundmore_window("film_0130_0215", "1.5", "01:40")


def test_groundmore_file_names() -> None:
    assert protocols.groundmore_file_name(12, "frame_000000.jpg") == "frame_000012.png"
    assert protocols.groundmore_file_name(12, "0000000.jpg") == "0000012.png"


def test_davis_keys_follow_text_order() -> None:
    keys = protocols.davis_truth_keys({"dogs": [str(i) for i in range(12)], "bike": ["1", "0"]})
    assert [keys["bike", each] for each in "01"] == ["0", "1"]
    assert [keys["dogs", each] for each in ("0", "1", "10", "11", "2", "9")] == [
        "2",
        "3",
        "4",
        "5",
        "6",
        "13",
    ]


def test_davis_annotators() -> None:
    assert protocols.davis_annotator_expressions(12, 1) == (1, 5, 9)
    with pytest.raises(UniPixelError, match="four expressions"):
        protocols.davis_annotator_expressions(11, 1)


def test_the_likeliest_object_wins_a_pixel() -> None:
    scores = np.array([[0.4, 0.5, 0.9, 0.0, 1.0], [0.3, 0.2, 0.95, 0.6, 1.0]]).reshape(2, 1, 1, 5)
    assert protocols.merge_by_argmax(scores).ravel().tolist() == [0, 1, 2, 2, 1]
    with pytest.raises(PromptError, match=r"\(1, 1, 5\)"):
        protocols.merge_by_argmax(scores[0])


def two_objects() -> np.ndarray:
    truth = np.zeros((2, 40, 60), np.uint8)
    truth[:, 5:20, 5:20], truth[:, 25:38, 30:55] = 1, 2
    return truth


def test_objects_are_found_under_any_label() -> None:
    truth = two_objects()
    scores = protocols.score_labels(np.where(truth > 0, 5 - truth, 0), truth)
    assert [(score.mean_j, score.mean_f) for score in scores] == [(1.0, 1.0)] * 2


def test_a_missing_object_scores_against_nothing() -> None:
    truth = two_objects()
    merged = (truth == 2).astype(np.uint8)
    assert [score.mean_j for score in protocols.score_labels(merged, truth)] == [0.0, 1.0]


def test_void_counts_for_nobody() -> None:
    truth = two_objects()
    predicted = truth.copy()
    truth[:, :, 50:] = protocols.DAVIS_VOID
    predicted[:, :, 55:] = 1
    assert [score.j_and_f for score in protocols.score_labels(predicted, truth)] == [1.0, 1.0]
    with pytest.raises(PromptError, match="no object"):
        protocols.score_labels(predicted, np.full_like(truth, protocols.DAVIS_VOID))


def test_the_classic_mean_is_over_annotators() -> None:
    good, bad = (ClipScore(np.array([score]), np.array([score])) for score in (1.0, 0.0))
    means = protocols.davis_classic([[good, bad], [good, good], [bad, bad], [bad, bad]])
    assert (means.j, means.f) == (0.375, 0.375)
    with pytest.raises(UniPixelError, match="1 annotators"):
        protocols.davis_classic([[good]])


def test_best_pairs_equal_those_of_trying_all() -> None:
    rng = np.random.default_rng(0)
    for trial in range(150):
        rows, columns = sorted(rng.integers(1, 7, 2).tolist())
        worth = rng.integers(0, 6, (rows, columns)) / 5 if trial % 3 else rng.random((rows, columns))
        chosen = protocols.best_pairs(worth.tolist())
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
        assert protocols.best_pairs(worth.tolist()) == tuple(hidden.tolist())


def test_best_pairs_need_columns() -> None:
    with pytest.raises(UniPixelError, match=r"\(2, 1\)"):
        protocols.best_pairs([[1.0], [1.0]])
