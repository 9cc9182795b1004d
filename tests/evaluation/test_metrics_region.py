"""Scores that count pixels, against tables worked out by hand."""

import numpy as np
import pytest

from unipixel.errors import PromptError, UniPixelError
from unipixel.evaluation.metrics import region
from unipixel.evaluation.metrics.region import Overlap


def picture(*rows: str) -> np.ndarray:
    """`.` is nothing, `#` is object, digits are themselves."""
    numbers = [[0 if sign == "." else 1 if sign == "#" else int(sign) for sign in row] for row in rows]
    return np.array(numbers, np.uint8)


PREDICTED = picture("##..", "##..", "....")
TRUTH = picture(".##.", ".##.", "....")
NOTHING = np.zeros((3, 4), np.uint8)
EVERYTHING = np.ones((3, 4), np.uint8)


def test_the_iou_of_a_sentence_and_that_of_lisa() -> None:
    assert (Overlap(2, 6).iou, Overlap(0, 14).iou) == (2 / 6, 0.0)
    assert Overlap(90, 100).lisa_iou == 90 / (100 + 1e-5)
    assert Overlap(0, 0).iou == Overlap(0, 0).lisa_iou == 1.0
    with pytest.raises(UniPixelError, match="count again"):
        Overlap(3, 2)


def test_masks_that_do_not_pair_are_refused() -> None:
    with pytest.raises(PromptError, match=r"\(3, 4\) and the truth \(4, 3\)"):
        region.overlap(PREDICTED, TRUTH.T)
    with pytest.raises(PromptError, match="float64"):
        region.overlap(PREDICTED / 2, TRUTH)


def test_ignored_pixels_are_background_as_published_and_left_out_by_lisa() -> None:
    ignore = picture("#...", "#...", "####")
    assert region.overlap(PREDICTED, TRUTH) == Overlap(2, 6)
    assert region.overlap(PREDICTED, TRUTH, ignore) == Overlap(2, 4)


def test_specks_are_parts_of_fewer_than_ten_pixels() -> None:
    mask = picture(
        "###......",
        "###...#..",
        "###....#.",
        "...#....#",
        "#.......#",
    )
    kept = region.without_specks(mask)
    assert kept.sum() == 10 and kept[3, 3] and kept[:3, :3].all()
    assert region.predicted_box(mask) == (0, 0, 3, 3)
    assert region.predicted_box(mask, smallest=11) is None
    assert region.predicted_box(mask, smallest=1) == (0, 0, 8, 4)
    assert region.predicted_box(NOTHING) is None


def test_parts_that_meet_late_are_one() -> None:
    """A comb: its teeth join only in the last row."""
    comb = picture("#.#.#", "#.#.#", "#.#.#", "#####")
    assert region.without_specks(comb, smallest=14).sum() == 14
    assert region.without_specks(comb, smallest=15).sum() == 0


def test_parts_equal_those_of_a_flood_fill() -> None:
    rng = np.random.default_rng(0)
    for density in (0.2, 0.4, 0.6):
        mask = rng.random((23, 31)) < density
        kept = region.without_specks(mask, 6)
        assert np.array_equal(kept, flooded(mask, 6)) and 0 < kept.sum() <= mask.sum()


def flooded(mask: np.ndarray, smallest: int) -> np.ndarray:
    left, kept = {tuple(place) for place in np.argwhere(mask).tolist()}, np.zeros_like(mask)
    while left:
        part, rim = [], [left.pop()]
        while rim:
            y, x = rim.pop()
            part.append((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            rim += near
        if len(part) >= smallest:
            kept[tuple(np.array(part).T)] = True
    return kept


def test_boxes() -> None:
    assert region.box_iou((0, 0, 4, 4), (2, 0, 6, 4)) == 8 / 24
    assert region.box_iou((0, 0, 1, 1), (5, 5, 6, 6)) == 0.0
    assert region.box_iou((3, 3, 3, 3), (3, 3, 3, 3)) == 0.0
    mask = np.zeros((20, 20), bool)
    mask[2:12, 3:13] = True  # (3, 2, 12, 11) without one added to the far corner: 81 of 162 is half
    assert region.box_hit(mask, (3, 2, 12, 20)) and not region.box_hit(mask, (3, 2, 12, 20.1))
    assert not region.box_hit(NOTHING, (0, 0, 1, 1))


def test_robustness_as_meant_and_as_shipped() -> None:
    foreground = picture("####", "####", "....")
    assert region.robustness(PREDICTED, TRUTH, foreground).tolist() == pytest.approx([1 - 2 / 8][0])
    assert float(region.robustness(EVERYTHING, NOTHING, foreground)) == 0.0
    # As shipped, two false pixels of value 255 are 510 of 8.
    assert float(region.robustness_as_shipped(255 * PREDICTED, TRUTH, foreground)) == 0.0
    wide = np.ones((100, 40), np.uint8)
    predicted, truth = np.zeros_like(wide), np.zeros_like(wide)
    predicted[0, :4], truth[0, :2], truth[0, 1] = 255, 1, 2
    # G = 1 counts 0, G = 2 counts (1 - 2) * 255 = 1 modulo 256, G = 0 twice 255.
    assert float(region.robustness_as_shipped(predicted, truth, wide)) == pytest.approx(1 - 511 / 4000)
    assert float(region.robustness(predicted, truth, wide)) == pytest.approx(1 - 2 / 4000)


def test_accuracy_as_meant_and_as_shipped() -> None:
    frames = np.stack([PREDICTED, NOTHING]), np.stack([TRUTH, NOTHING])
    assert region.pixel_accuracy(*frames).tolist() == pytest.approx([8 / 12, 1])
    assert float(region.pixel_accuracy_as_shipped(255 * PREDICTED, TRUTH)) == pytest.approx(6 / 12)
    with pytest.raises(PromptError, match="int64"):
        region.pixel_accuracy_as_shipped(PREDICTED.astype(np.int64), TRUTH)


def test_volumes_of_pixelqa() -> None:
    predicted, truth = np.stack([PREDICTED, EVERYTHING]), np.stack([TRUTH, NOTHING])
    assert region.volume_iou(predicted, truth) == pytest.approx(2 / 18, abs=1e-6)
    precision, recall = 2 / 16, 2 / 4
    dice = 2 * precision * recall / (precision + recall)
    assert region.volume_dice(predicted, truth) == pytest.approx(dice, abs=1e-5)
    empty = np.zeros_like(truth)
    assert region.volume_iou(empty, empty) == 0.0 and region.volume_dice(empty, empty) == 0.0
