"""The outline of masks by hand: where it lies, how far it reaches, and clips that do not pair. That F equals
other packages is in test_metrics_oracle.py."""

import numpy as np
import pytest

from unipixel.core.masks import RLE
from unipixel.errors import PromptError, UniPixelError
from unipixel.evaluation.metrics.boundary import boundary_map, boundary_radius
from unipixel.evaluation.metrics.clips import score_clip, score_clips


@pytest.mark.parametrize(
    ("size", "radius"), [((480, 854), 8), ((720, 1280), 12), ((1080, 1920), 18), ((75, 100), 1), ((1, 1), 1)]
)
def test_radius(size: tuple[int, int], radius: int) -> None:
    assert boundary_radius(*size) == radius


def test_the_boundary_lies_towards_the_origin_and_not_along_the_edge() -> None:
    mask = np.zeros((5, 5), bool)
    mask[2:, 2:4] = True
    drawn = ["".join("#" if here else "." for here in row) for row in boundary_map(mask)]
    assert drawn == [".....", ".###.", ".#.#.", ".#.#.", ".#.#."]
    assert not boundary_map(np.ones((4, 4), bool)).any()


def line(column: int, height: int = 200, width: int = 100) -> np.ndarray:
    """Everything left of a column; the boundary is the column before it."""
    mask = np.zeros((height, width), bool)
    mask[:, :column] = True
    return mask


def f_measure(predicted: np.ndarray, truth: np.ndarray) -> float:
    return float(score_clip(predicted[None], truth[None]).f[0])


def test_f_reaches_as_far_as_the_radius() -> None:
    assert boundary_radius(200, 100) == 2
    assert [f_measure(line(50 + off), line(50)) for off in (0, 1, 2, 3)] == [1.0, 1.0, 1.0, 0.0]


def test_f_by_hand() -> None:
    """A far block of 10 x 10 adds 40 boundary pixels to the 200 right ones: precision 5/6, recall 1."""
    predicted, truth = line(50), line(50)
    predicted[50:60, 80:90] = True
    assert boundary_map(predicted).sum() == 240
    assert f_measure(predicted, truth) == pytest.approx(10 / 11)
    assert f_measure(truth, predicted) == pytest.approx(10 / 11)


def test_without_outlines() -> None:
    nothing, full = np.zeros((9, 9), bool), np.ones((9, 9), bool)
    assert f_measure(nothing, nothing) == f_measure(full, full) == f_measure(full, nothing) == 1.0
    assert f_measure(line(3, 9, 9), nothing) == f_measure(full, line(3, 9, 9)) == 0.0


def test_a_clip_is_its_frames() -> None:
    predicted, truth = np.stack([line(50), line(53), line(50)]), np.stack([line(50), line(50), line(0)])
    score = score_clip(predicted, truth)
    assert score.j.tolist() == [1.0, 50 / 53, 0.0] and score.f.tolist() == [1.0, 0.0, 0.0]
    assert (score.mean_j, score.mean_f) == pytest.approx(((1 + 50 / 53) / 3, 1 / 3))
    assert score.j_and_f == pytest.approx((score.mean_j + score.mean_f) / 2)


def test_run_lengths_and_arrays_may_be_mixed() -> None:
    masks = np.stack([line(50), line(51)])
    encoded = [RLE.from_mask(mask) for mask in masks]
    for pair in ((masks, encoded), (encoded, masks), (tuple(encoded), 255 * masks.astype(np.uint8))):
        assert score_clip(*pair).j.tolist() == [1.0, 1.0]


def test_clips_that_do_not_pair_are_refused() -> None:
    masks = np.stack([line(50), line(51)])
    with pytest.raises(PromptError, match="1 predicted and 2 true"):
        score_clip(masks[:1], masks)
    with pytest.raises(PromptError, match="0 predicted and 0 true"):
        score_clip([], [])
    with pytest.raises(PromptError, match="resize the prediction"):
        score_clip([RLE.from_mask(mask.T) for mask in masks], masks)
    with pytest.raises(PromptError, match="frames, height, width"):
        score_clip(masks[None], masks[None])
    with pytest.raises(UniPixelError, match="at least 1"):
        score_clips([(masks, masks)], processes=0)
