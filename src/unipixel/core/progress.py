"""How far a long piece of work is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Progress:
    """`done` of `total` steps in `seconds`; `what` is being done."""

    what: str
    done: int
    total: int
    seconds: float

    @property
    def rate(self) -> float:
        """Steps per second; 0 before the first one."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; None before the first step."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None

    def __str__(self) -> str:
        left = "" if self.seconds_left is None else f", {self.seconds_left:.0f} s left"
        return f"{self.what}: {self.done} of {self.total}, {self.rate:.1f} a second{left}"


OnProgress: TypeAlias = Callable[[Progress], None]


def watched(items: Iterable[Item], what: str, total: int, on_progress: OnProgress | None) -> Iterator[Item]:
    """The items; `on_progress` hears of each when it has been dealt with."""
    start = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        if on_progress is not None:
            on_progress(Progress(what, done, total, time.monotonic() - start))
