"""The quality of masks: its signs, its formula, and its way through a run."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from unipixel.archive.items import Item, Mark, Marked, Words
from unipixel.archive.lines import read_annotations
from unipixel.archive.observing import read_observed
from unipixel.archive.quality import NAMES, RATE, Logistic, Observed, Signs, observe
from unipixel.archive.run import annotate
from unipixel.archive.settings import Settings
from unipixel.archive.windows import Cut
from unipixel.core.masks import RLE
from unipixel.core.media import Clip
from unipixel.core.prompts import Box
from unipixel.model.sam2 import Sighting

if TYPE_CHECKING:
    from unipixel.predictor import Predictor

ROOT = Path(__file__).parents[2]
GOOD = Signs(
    score=0.95,
    presence=1.0,
    stability=0.95,
    agree=0.95,
    agree_all=0.95,
    jump=0.05,
    shift=0.2,
    off=0.05,
    off_start=0.05,
    looked=1.0,
    differs=0.05,
    differs_all=0.05,
    small=0.8,
)


def square(x: int, side: int = 10) -> RLE:
    mask = np.zeros((20, 80), np.bool_)
    mask[:side, x : x + side] = True
    return RLE.from_mask(mask)


def observed(index: int, rle: RLE, present: bool = True) -> Observed:
    return Observed(index, rle, 0.9, present, object_score=2.0, stability=0.8, agreement=0.7)


def signs_of(masks: Sequence[RLE], looks: dict[int, RLE | None] | None = None, start: int = 0) -> list[Signs]:
    return observe([observed(index, rle) for index, rle in enumerate(masks)], looks or {}, start)


def test_what_the_decoder_says_is_told() -> None:
    (signs,) = signs_of([square(0)])
    assert (signs.score, signs.stability, signs.agree, signs.agree_all) == (0.9, 0.8, 0.7, 0.7)
    assert signs.presence == pytest.approx(1 / (1 + math.exp(-2)))
    assert signs.small == pytest.approx(1 - math.sqrt(100 / 1600))
    assert (signs.jump, signs.shift, signs.off, signs.off_start) == (0, 0, 0, 0)
    assert (signs.looked, signs.differs, signs.differs_all) == (0, 0, 0)


def test_a_mask_that_grows_suddenly_jumps_and_so_do_its_neighbours() -> None:
    signs = signs_of([square(0), square(0), square(0, 20), square(0, 20)])
    assert [one.jump for one in signs] == pytest.approx([0, 1, 1, 0])
    signs = signs_of([square(0), square(0, 14)])
    assert [one.jump for one in signs] == pytest.approx([math.log(1.96) / math.log(4)] * 2)


def test_a_mask_that_moves_shifts_without_a_jump() -> None:
    signs = signs_of([square(0), square(5), square(5)])
    assert [one.shift for one in signs] == pytest.approx([2 / 3, 2 / 3, 0])
    assert [one.jump for one in signs] == [0, 0, 0]


def test_beside_a_frame_without_it_a_mask_is_suspicious() -> None:
    masks = [observed(0, square(0)), observed(1, square(0)), observed(2, square(0), present=False)]
    signs = observe(masks, {}, 0)
    assert [(one.jump, one.shift) for one in signs] == [(0, 0), (1, 1)]


def test_frames_need_not_follow_each_other() -> None:
    """Neighbours are the frames that were looked at."""
    signs = observe([observed(0, square(0)), observed(9, square(0, 20))], {}, 0)
    assert [one.jump for one in signs] == [1, 1]


def test_what_was_followed_is_compared_with_what_was_found_alone() -> None:
    looks: dict[int, RLE | None] = {0: square(0), 4: square(5)}
    signs = signs_of([square(0)] * 5, looks)
    near, far = pytest.approx(0), pytest.approx(2 / 3)
    assert [one.differs for one in signs] == [near, near, far, far, far]  # in the middle the worse counts
    assert all(one.looked == 1 and one.differs_all == pytest.approx(1 / 3) for one in signs)


def test_seen_there_and_not_here_differs_and_seen_on_neither_tells_nothing() -> None:
    masks = [observed(0, square(0)), observed(1, square(0), present=False)]
    (signs,) = observe(masks, {0: square(0), 1: square(3)}, 0)
    assert signs.differs == 0 and signs.differs_all == 0.5
    (signs,) = observe(masks, {0: square(0), 1: None}, 0)
    assert signs.differs_all == 0
    (signs,) = observe(masks, {0: None}, 0)
    assert signs.differs == 1


def test_a_mask_of_another_size_than_most_is_off_and_of_another_than_the_first_is_off_start() -> None:
    signs = signs_of([square(0), square(0, 20), square(0, 20)])
    assert [one.off for one in signs] == pytest.approx([1, 0, 0])
    assert [one.off_start for one in signs] == pytest.approx([0, 1, 1])
    signs = signs_of([square(0), square(0, 14), square(0, 14)], start=1)
    assert [one.off_start for one in signs] == pytest.approx([math.log(1.96) / math.log(4), 0, 0])


def test_followed_from_where_it_is_not_seen_every_mask_is_off_start() -> None:
    (signs,) = observe([observed(0, square(0), present=False), observed(1, square(0))], {}, 0)
    assert signs.off_start == 1 and signs.off == 0
    assert observe([observed(0, square(0), present=False)], {}, 0) == []


def test_agreement_is_that_of_the_whole_window_too() -> None:
    masks = [observed(0, square(0)), replace(observed(1, square(0)), agreement=0.1)]
    assert [(one.agree, one.agree_all) for one in observe(masks, {}, 0)] == [
        (0.7, pytest.approx(0.4)),
        (0.1, pytest.approx(0.4)),
    ]


def test_agreement_is_that_with_the_candidate_most_like_the_mask() -> None:
    clip = Clip.open([np.zeros((16, 16, 3), np.uint8)])
    chosen, alike, other = torch.full((3, 1, 8, 8), -9.0).unbind()
    chosen[:, :4, :4], alike[:, :4, :2], other[:, 4:, 4:] = 9, 9, 9
    sighting = Sighting(
        chosen, torch.stack([other, chosen, alike], 1), torch.tensor([[0.1, 0.9, 0.3]]), torch.ones(1, 1)
    )
    (one,) = read_observed(sighting, 0, clip)
    assert one.agreement == 0.5
    (alone,) = read_observed(replace(sighting, candidates=chosen[:, None]), 0, clip)
    assert alone.agreement == 0


def test_the_formula_is_the_one_that_is_documented() -> None:
    one = Logistic(-1.0, tuple(float(place) for place in range(len(NAMES))))
    total = -1 + sum(place * getattr(GOOD, name) for place, name in enumerate(NAMES))
    assert one([GOOD]) == [pytest.approx(1 / (1 + math.exp(-total)))]


@pytest.mark.parametrize(
    "worse",
    [{"score": 0.3}, {"stability": 0.4}, {"differs": 0.9, "differs_all": 0.6}, {"differs_all": 0.9}],
    ids=lambda worse: ",".join(worse),
)
def test_what_speaks_against_a_mask_lowers_its_quality(worse: dict[str, float]) -> None:
    good, bad = RATE([GOOD, replace(GOOD, **worse)])
    assert 0 < bad < good < 1


def test_signs_beyond_their_range_are_refused() -> None:
    with pytest.raises(AssertionError, match=r"jump is 1\.5"):
        replace(GOOD, jump=1.5)


def test_every_mask_of_a_run_has_a_quality(archive: Path, model: Predictor, tmp_path: Path) -> None:
    """Through journal and lines: of words and of a mark, in one window and in several."""
    queries = (Words("Please segment the red circle."), Marked(0, (Mark(2, Box(20, 20, 90, 90)),)))
    items = [
        Item("long", (archive / "long.mp4",), queries),
        Item("still", (archive / "still-0.png",), queries[:1]),
    ]
    annotate(model, items, tmp_path, Settings(cut=Cut(16, 4)))
    found = [mask for item in read_annotations(tmp_path) for one in item.objects for mask in one.masks]
    qualities = [mask.quality for mask in found]
    assert len(found) > 20 and all(quality is not None and 0 <= quality <= 1 for quality in qualities)
    assert len(set(qualities)) > 5
    assert qualities != [mask.score for mask in found]


# The benchmark that fits and measures


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = spec_from_file_location("quality_benchmark", ROOT / "benchmarks" / "quality.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_fitting_finds_the_constants_that_made_the_data(benchmark: ModuleType) -> None:
    draw = np.random.default_rng(0)
    signs = draw.uniform(size=(20_000, 2))
    ious = 1 / (1 + np.exp(-(0.5 + signs @ [2.0, -3.0])))
    assert benchmark.fit_logistic(signs, ious, ridge=0.0) == pytest.approx([0.5, 2.0, -3.0], abs=1e-6)


def test_the_worst_fifth_is_counted(benchmark: ModuleType) -> None:
    ious = np.array([0.1, 0.2, 0.9, 0.9, 0.4, 0.9, 0.9, 0.9, 0.9, 0.9])
    assert benchmark.caught(ious, ious) == pytest.approx(2 / 3)
    assert benchmark.caught(-ious, ious) == 0
    assert np.isnan(benchmark.caught(ious, np.ones(10)))


def test_bins_hold_every_mask_once(benchmark: ModuleType) -> None:
    found = benchmark.bins(np.array([0.0, 0.05, 0.5, 1.0]), np.array([0.2, 0.0, 0.6, 0.9]))
    assert [one.count for one in found] == [2, 1, 1]
    assert [one.quality for one in found] == pytest.approx([0.025, 0.5, 1.0])
    assert [one.iou for one in found] == pytest.approx([0.1, 0.6, 0.9])
    assert benchmark.picture(found).count("<circle") == 3
