"""Intervals: where theory knows them, what groups and pairs change, and that seeds repeat."""

import numpy as np
import pytest

from unipixel.errors import ConfigError, UniPixelError
from unipixel.evaluation.metrics.intervals import (
    Bootstrap,
    Interval,
    bootstrap_mean,
    bootstrap_mean_difference,
    bootstrap_ratio,
)

QUICK = Bootstrap(draws=2000)


def width(interval: Interval) -> float:
    return interval.high - interval.low


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(0).normal(0.6, 0.2, 400)
    found = bootstrap_mean(values, how=QUICK)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.1 * half
    )


def test_about_95_of_100_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(1)
    intervals = [bootstrap_mean(rng.exponential(1.0, 100), how=Bootstrap(400)) for _ in range(300)]
    assert 0.90 <= np.mean([each.low <= 1.0 <= each.high for each in intervals]) <= 0.98


def test_copies_within_a_group_are_no_news() -> None:
    values = np.random.default_rng(2).random(50)
    copies, videos = np.repeat(values, 8), np.repeat(np.arange(50), 8).tolist()
    once, grouped, wrong = (
        bootstrap_mean(values, how=QUICK),
        bootstrap_mean(copies, videos, QUICK),
        bootstrap_mean(copies, how=QUICK),
    )
    assert (grouped.low, grouped.high) == pytest.approx((once.low, once.high))
    assert width(wrong) == pytest.approx(width(once) / np.sqrt(8), rel=0.15)


def test_groups_of_unequal_size_keep_the_mean_of_all_values() -> None:
    found = bootstrap_mean([1.0, 1.0, 1.0, 0.0], ["a", "a", "a", "b"], QUICK)
    assert found == Interval(0.75, 0.0, 1.0)


def test_a_ratio_of_sums_is_no_mean_of_ratios() -> None:
    inside, either = [90, 0, 5], [100, 10, 10]
    found = bootstrap_ratio(inside, either, how=QUICK)
    assert found.value == 95 / 120 and found.low < found.value < found.high <= 0.9
    level = bootstrap_ratio(inside, either, how=Bootstrap(2000, level=0.5))
    assert width(level) < width(found)


def test_pairs_are_compared_on_the_same_draws() -> None:
    rng = np.random.default_rng(3)
    hard = rng.random(200)
    ours, theirs = hard + 0.02 + rng.normal(0, 0.02, 200), hard
    difference = bootstrap_mean_difference(ours, theirs, how=QUICK)
    assert difference.value == pytest.approx(ours.mean() - theirs.mean()) and difference.excludes_zero
    assert width(difference) < 0.2 * width(bootstrap_mean(ours, how=QUICK))
    assert not bootstrap_mean_difference(theirs, theirs + rng.normal(0, 0.1, 200), how=QUICK).excludes_zero


def test_equal_seeds_give_equal_intervals() -> None:
    values = np.random.default_rng(5).random(60)
    assert bootstrap_mean(values, how=QUICK) == bootstrap_mean(values, how=QUICK)
    assert bootstrap_mean(values, how=QUICK) != bootstrap_mean(values, how=Bootstrap(2000, seed=1))


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(UniPixelError, match="1 that are not finite"):
        bootstrap_mean([0.5, float("nan")])
    with pytest.raises(UniPixelError, match=r"shape \(0,\)"):
        bootstrap_mean([])
    with pytest.raises(UniPixelError, match="1 groups for 2 values"):
        bootstrap_mean([1.0, 0.0], ["a"])
    with pytest.raises(UniPixelError, match=r"\[1, 2\] values"):
        bootstrap_mean_difference([1.0], [1.0, 2.0])
    with pytest.raises(UniPixelError, match="sum above 0"):
        bootstrap_ratio([0, 0], [0, 0])
    with pytest.raises(ConfigError, match="at least 100"):
        Bootstrap(draws=10)
