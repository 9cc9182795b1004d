"""Samples of which nothing can be made: counted, told, and how many of them are too many."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from unipixel.errors import ConfigError, DataError, LeftOut, SampleUnusable, UniPixelError

log = logging.getLogger(__name__)

WORTH_A_WORD = 100
"""How many failures are told one by one; those after them are only counted."""


@dataclass(frozen=True)
class Tolerance:
    """What is done about samples of which nothing can be made.

    Attributes:
        attempts: how many samples in their place are tried.
        share: of the samples tried so many may fail, once `least` have been tried; those that the policy's
            limits leave out do not count.
        least: before that nothing is said of shares.
    """

    attempts: int = 10
    share: float = 0.05
    least: int = 200

    def __post_init__(self) -> None:
        if self.attempts < 0 or not 0 <= self.share <= 1 or self.least < 1:
            raise ConfigError(f"{self}; expected attempts from 0, a share from 0 to 1, least from 1")


@dataclass(frozen=True)
class Failure:
    """A sample of which nothing could be made: whose, why in a few words to be counted, and in full."""

    dataset: str
    index: int
    reason: str
    message: str
    left_out: bool = False


class TooManyFailures(DataError):
    """More samples failed than the tolerance allows; the message has the counts."""

    def __init__(self, counts: str, expected: str) -> None:
        super().__init__("", "the mixture", counts, expected)

    def __reduce__(self) -> tuple[type[TooManyFailures], tuple[str, str]]:  # type: ignore[override]
        return type(self), (self.found, self.expected)


@dataclass
class Tally:
    """Counts of what was tried and what failed, by data set and reason; one for each process that reads, and
    one for whoever puts batches together."""

    tolerance: Tolerance = field(default_factory=Tolerance)
    tried: int = 0
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, made: int, failures: Sequence[Failure]) -> None:
        """Count a batch's items and failures; raises TooManyFailures."""
        self.tried += made + len(failures)
        for failure in failures:
            counter = self.left_out if failure.left_out else self.failed
            counter[failure.dataset, failure.reason] += 1
        total, limit = self.failed.total(), self.tolerance
        if self.tried >= limit.least and total > limit.share * self.tried:
            raise TooManyFailures(
                f"{total} of {self.tried} samples that failed ({self})", f"at most {limit.share:.0%} of them"
            )

    def __str__(self) -> str:
        counts = [*self.failed.most_common(), *self.left_out.most_common()]
        return "; ".join(f"{name}: {reason}, {count} times" for (name, reason), count in counts) or "none"


def failure_of(name: str, index: int, error: UniPixelError) -> Failure:
    """What an error says of sample `index` of the data set `name`."""
    reason = error.reason if isinstance(error, SampleUnusable) else type(error).__name__
    return Failure(name, index, reason, str(error), isinstance(error, LeftOut))


def tell(failures: Sequence[Failure], tally: Tally) -> None:
    """Log failures one by one, as long as there are few."""
    for failure in failures:
        if not failure.left_out and tally.failed.total() < WORTH_A_WORD:
            log.warning("%s %d is replaced: %s", failure.dataset, failure.index, failure.message)
