"""How sure a score is: bootstrap intervals, with whole groups (videos) drawn together.

Questions about one video are no independent samples. Each draw takes as many groups as there are, with
replacement, and scores their questions; the interval holds the middle 95 % of those scores (percentile
bootstrap; Efron and Tibshirani 1993, with clusters as in Field and Welsh 2007). Equal seeds give equal
intervals.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unipixel.errors import ConfigError, UniPixelError

Numbers = NDArray[np.float64]
Score = Callable[[Numbers], Numbers]
_DRAWN_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Bootstrap:
    """How to draw.

    Attributes:
        draws: number of draws, at least 100.
        level: share of the draws inside the interval, in (0, 1).
        seed: of the random numbers.
    """

    draws: int = 10_000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < 100 or not 0 < self.level < 1:
            raise ConfigError(
                f"An interval of level {self.level} from {self.draws} draws; take a level between 0 and 1 "
                "and at least 100 draws."
            )


@dataclass(frozen=True)
class Interval:
    """A score and the bounds of its interval, low <= high."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is distinguishable from none."""
        return self.low > 0 or self.high < 0


def bootstrap_mean(
    values: ArrayLike, groups: Sequence[object] | None = None, how: Bootstrap | None = None
) -> Interval:
    """The mean of values [N] and its interval.

    Args:
        values: finite scores [N]; leave out what is not scored.
        groups: the group (video) of each value, [N]; None means that every value stands alone.
        how: how to draw.

    Raises:
        UniPixelError: no values, values that are not finite, or as many groups as do not fit.
    """
    scores = _numbers(values)
    return _interval([scores, np.ones_like(scores)], groups, how, _ratio)


def bootstrap_ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    groups: Sequence[object] | None = None,
    how: Bootstrap | None = None,
) -> Interval:
    """Sum of numerators / sum of denominators and its interval, e.g. cIoU from intersections and unions [N].

    Args:
        numerators: finite numbers [N].
        denominators: finite numbers [N], none negative, with a sum above 0. A draw whose sum is 0 is left
            out.
        groups: as for `bootstrap_mean`.
        how: how to draw.
    """
    return _interval([_numbers(numerators), _denominators(denominators)], groups, how, _ratio)


def bootstrap_mean_difference(
    ours: ArrayLike, theirs: ArrayLike, groups: Sequence[object] | None = None, how: Bootstrap | None = None
) -> Interval:
    """Mean of ours minus mean of theirs, two systems [N] on the same questions in the same order, and its
    interval.

    Both systems are scored on the same draws, so questions that are hard for both do not widen the interval.
    """
    scores = [_numbers(ours), _numbers(theirs)]
    _check_lengths(scores)
    return bootstrap_mean(scores[0] - scores[1], groups, how)


def bootstrap_score(
    columns: Sequence[ArrayLike],
    score: Score,
    groups: Sequence[object] | None = None,
    how: Bootstrap | None = None,
) -> Interval:
    """Any score that depends on sums alone, and its interval.

    Args:
        columns: what is summed: some columns of finite numbers [N].
        score: from sums [columns, draws] to one number per draw; nan leaves a draw out.
        groups: as for `bootstrap_mean`.
        how: how to draw.
    """
    return _interval([_numbers(column) for column in columns], groups, how, score)


def _interval(
    columns: list[Numbers], groups: Sequence[object] | None, how: Bootstrap | None, score: Score
) -> Interval:
    """`score` maps sums [columns, draws] to one number per draw."""
    how = how or Bootstrap()
    sums = _group_sums(columns, groups)
    value = float(score(sums.sum(axis=1, keepdims=True))[0])
    drawn = np.concatenate([score(part) for part in _draws(sums, how)])
    edge = (1 - how.level) / 2
    low, high = np.quantile(drawn[np.isfinite(drawn)], [edge, 1 - edge])
    return Interval(value, float(low), float(high))


def _draws(sums: Numbers, how: Bootstrap) -> Iterator[Numbers]:
    """Sums [columns, draws] over drawn groups, in parts that fit into memory."""
    random, num_groups = np.random.default_rng(how.seed), sums.shape[1]
    step = max(1, _DRAWN_AT_ONCE // num_groups)
    for start in range(0, how.draws, step):
        chosen = random.integers(0, num_groups, (min(step, how.draws - start), num_groups), dtype=np.int32)
        yield np.stack([column[chosen].sum(axis=1) for column in sums])


def _group_sums(columns: list[Numbers], groups: Sequence[object] | None) -> Numbers:
    """[columns, groups]; groups in the order in which they first occur."""
    _check_lengths(columns)
    if groups is None:
        return np.stack(columns)
    if len(groups) != len(columns[0]):
        raise UniPixelError(
            f"{len(groups)} groups for {len(columns[0])} values; give the group of each value."
        )
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    places = [numbers[group] for group in groups]
    return np.stack([np.bincount(places, weights=column, minlength=len(numbers)) for column in columns])


def _ratio(sums: Numbers) -> Numbers:
    """nan where the denominator of a draw is 0."""
    ratios: Numbers = np.divide(sums[0], sums[1], out=np.full(sums.shape[1], np.nan), where=sums[1] != 0)
    return ratios


def _numbers(values: ArrayLike) -> Numbers:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise UniPixelError(
            f"An interval needs a list of finite numbers; found shape {array.shape} with "
            f"{int((~np.isfinite(array)).sum())} that are not finite. Leave out what is not scored."
        )
    return array


def _denominators(values: ArrayLike) -> Numbers:
    array = _numbers(values)
    if array.min() < 0 or array.sum() <= 0:
        raise UniPixelError(
            f"Denominators must not be negative and need a sum above 0; the lowest is {array.min()} "
            f"and the sum {array.sum()}."
        )
    return array


def _check_lengths(columns: Sequence[Numbers]) -> None:
    lengths = sorted({len(column) for column in columns})
    if len(lengths) > 1:
        raise UniPixelError(
            f"Columns of {lengths} values do not pair; give one value of each for every question."
        )
