"""Several data sets as one endless sequence of batches: repeats, shuffles, shards, failures, a position.

Batches have one kind of item each: items are shuffled within their
kind and cut into batches, the batches are shuffled. The sequence follows from the parts, the seed and the
size of a batch alone; ranks and loader workers only divide it, so any number of them together sees the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unipixel.data.failures import Failure, Tally, Tolerance, TooManyFailures, failure_of, tell
from unipixel.data.kinds import (
    DATA_TYPES,
    DataType,
    Kinds,
    alike_kinds,
    pointed_by,
    pointing_halves,
    scan_kinds,
)
from unipixel.data.randomness import named_generator
from unipixel.data.sample import Sample, Samples
from unipixel.data.visual_prompts import PointedBy
from unipixel.errors import ConfigError, UniPixelError

__all__ = [
    "Batch",
    "Epoch",
    "Failure",
    "Kinds",
    "Mixture",
    "Part",
    "Position",
    "Shard",
    "Tally",
    "Tolerance",
    "TooManyFailures",
    "alike_kinds",
    "pointing_halves",
    "scan_kinds",
    "with_ratios",
]

log = logging.getLogger(__name__)

T = TypeVar("T")

Numbers = NDArray[np.int64]

# The plan


@dataclass(frozen=True, eq=False)
class Part:
    """One data set of a mixture.

    Attributes:
        name: of the data set, for people and for counts.
        samples: anything with a length that is indexed from 0 (`open_dataset(...)`).
        kinds: the kind of each sample.
        repeats: how often each sample comes in an epoch; a fraction that is left over is a share of the
            samples, others in each epoch.
    """

    name: str
    samples: Samples
    kinds: Kinds
    repeats: float = 1.0

    def __post_init__(self) -> None:
        if len(self.kinds) != len(self.samples) or not len(self.samples):
            raise ConfigError(
                f"{self.name} has {len(self.samples)} samples with kinds of {len(self.kinds)}; expected at "
                "least one sample, and a kind of each"
            )
        if not 0 < self.repeats < 10_000:
            raise ConfigError(f"{self.name} is repeated {self.repeats} times; expected more than 0")


def with_ratios(parts: Sequence[Part], ratios: Mapping[str, float], epoch: int | None = None) -> list[Part]:
    """The parts repeated so that their shares of an epoch are as `ratios`, by name.

    epoch: samples of an epoch; None takes the smallest number at which every part comes whole once.

    Raises:
        ConfigError: a part without ratio, a ratio without part, or a ratio that is not above 0.
    """
    sizes = {part.name: len(part.samples) for part in parts}
    if set(sizes) != set(ratios) or min(ratios.values(), default=0) <= 0:
        raise ConfigError(f"ratios are {dict(ratios)}; expected one above 0 for each of {sorted(sizes)}")
    whole = sum(ratios.values())
    total = epoch or max(sizes[name] * whole / ratio for name, ratio in ratios.items())
    return [
        Part(part.name, part.samples, part.kinds, total * ratios[part.name] / whole / sizes[part.name])
        for part in parts
    ]


@dataclass(frozen=True)
class Position:
    """How far a mixture was read: `step` batches of epoch `epoch`. All that has to be kept to go on."""

    epoch: int = 0
    step: int = 0

    def __post_init__(self) -> None:
        if self.epoch < 0 or self.step < 0:
            raise ConfigError(f"a position of epoch {self.epoch}, step {self.step}; expected 0 or more")


@dataclass(frozen=True)
class Shard:
    """Which part of every batch is somebody's (`rank` of `ranks` devices), and which of these batches he
    prepares (`worker` of `workers` loader processes)."""

    rank: int = 0
    ranks: int = 1
    worker: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.rank < self.ranks and 0 <= self.worker < self.workers):
            raise ConfigError(f"{self}; expected 0 <= rank < ranks and 0 <= worker < workers")


@dataclass(frozen=True)
class Batch(Generic[T]):
    """What a shard gets of a batch.

    Attributes:
        items: what was made of the samples.
        kind: of all of them.
        after: the position behind this batch, for all shards.
        failures: samples that had to be replaced.
    """

    items: tuple[T, ...]
    kind: DataType
    after: Position
    failures: tuple[Failure, ...] = ()


# Reading


@dataclass(frozen=True, eq=False)
class Epoch:
    """The order of one epoch.

    Attributes:
        queues: for each kind the numbers of its items, shuffled.
        batches: int [n, 2]: for each batch its kind's place in `queues`, and the place in that queue of its
            first item.
        dropped: for each kind how many items came into no batch.
    """

    queues: tuple[tuple[DataType, Numbers], ...]
    batches: Numbers
    dropped: Mapping[DataType, int]


@dataclass(frozen=True, eq=False)
class Mixture:
    """Parts mixed by a seed.

    Attributes:
        parts: the data sets.
        batch_size: items of a batch, over all devices.
        seed: of all shuffles and of everything that is drawn for an item.
        rest: what becomes of the last items of a kind that fill no batch: "drop" leaves them out of this
            epoch, as published; "fill" completes them with the first of the same kind.
        tolerance: about samples of which nothing can be made.

    Raises:
        ConfigError: two parts of one name; a kind that comes into no batch at all.
    """

    parts: tuple[Part, ...]
    batch_size: int
    seed: int = 0
    rest: Literal["drop", "fill"] = "drop"
    tolerance: Tolerance = field(default_factory=Tolerance)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        names = [part.name for part in self.parts]
        if not names or len(set(names)) != len(names):
            raise ConfigError(
                f"the parts of a mixture are {names}; expected at least one, of different names"
            )
        if self.batch_size < 1 or self.seed < 0 or self.rest not in ("drop", "fill"):
            raise ConfigError(
                f"a mixture with batch_size {self.batch_size}, seed {self.seed}, rest {self.rest!r}; "
                "expected 1 or more, 0 or more, 'drop' or 'fill'"
            )

    @cached_property
    def _firsts(self) -> Numbers:
        """The number of each part's first item; items of all parts are numbered one after the other."""
        return np.cumsum([0, *(len(part.samples) for part in self.parts)])

    def find(self, number: int) -> tuple[Part, int]:
        """The part of an item, and its sample there."""
        place = int(np.searchsorted(self._firsts, number, side="right")) - 1
        return self.parts[place], number - int(self._firsts[place])

    def epoch(self, epoch: int) -> Epoch:
        """The order of an epoch."""
        pairs = zip(self.parts, self._firsts[:-1].tolist(), strict=True)
        items = np.concatenate([self._drawn(part, first, epoch) for part, first in pairs])
        codes = np.concatenate([part.kinds.codes for part in self.parts])[items]
        queues: list[tuple[DataType, Numbers]] = []
        batches: list[tuple[int, int]] = []
        dropped: dict[DataType, int] = {}
        for code in np.unique(codes):
            kind = DATA_TYPES[code]
            queue = items[codes == code]
            named_generator(self.seed, "shuffle", epoch, kind).shuffle(queue)
            starts = self._starts(len(queue))
            dropped[kind] = max(0, len(queue) - len(starts) * self.batch_size)
            batches += [(len(queues), start) for start in starts]
            queues.append((kind, queue))
        self._check_filled(queues, dropped)
        table = np.array(batches, dtype=np.int64)
        named_generator(self.seed, "batches", epoch).shuffle(table)
        return Epoch(tuple(queues), table, dropped)

    def _drawn(self, part: Part, first: int, epoch: int) -> Numbers:
        """The numbers of a part's items in an epoch: all of them `repeats` times."""
        count = len(part.samples)
        whole = np.tile(np.arange(count, dtype=np.int64), int(part.repeats))
        share = round((part.repeats - int(part.repeats)) * count)
        others = named_generator(self.seed, "share", epoch, part.name).permutation(count)[:share]
        return np.concatenate([whole, others]) + first

    def _starts(self, count: int) -> range:
        stop = count if self.rest == "fill" else count - self.batch_size + 1
        return range(0, max(0, stop), self.batch_size)

    def _check_filled(
        self, queues: Sequence[tuple[DataType, Numbers]], dropped: Mapping[DataType, int]
    ) -> None:
        for kind, queue in queues:
            if dropped[kind] == len(queue):
                raise ConfigError(
                    f"all {len(queue)} items of kind {kind} would be dropped, since they fill no batch of "
                    f"{self.batch_size}; take smaller batches, more repeats, or rest='fill'"
                )

    def read(
        self,
        make: Callable[[Sample, Generator, PointedBy | None], T],
        shard: Shard = Shard(),
        start: Position = Position(),
    ) -> Iterator[Batch[T]]:
        """A shard's part of every batch from `start` on, epoch after epoch without end.

        Args:
            make: makes an item of a sample; errors of UniPixel's own kinds count as failures of the sample,
                which is replaced by the next of its kind.
            shard: whose part; `ranks` divides the batch size.
            start: where to go on, the same for all shards.

        Raises:
            ConfigError: the batch cannot be divided by the ranks.
            TooManyFailures: see `Tolerance`.
        """
        if self.batch_size % shard.ranks:
            raise ConfigError(f"batches of {self.batch_size} cannot be divided by {shard.ranks} ranks")
        tally = Tally(self.tolerance)
        position, turn = start, 0
        while True:
            order = self.epoch(position.epoch)
            if not shard.rank and not shard.worker and any(order.dropped.values()):
                log.info("epoch %d leaves out %s", position.epoch, dict(order.dropped))
            steps = len(order.batches)
            for step in range(position.step, steps):
                after = Position(position.epoch, step + 1)
                if after.step == steps:
                    after = Position(position.epoch + 1, 0)
                turn += 1
                if (turn - 1) % shard.workers != shard.worker:
                    continue  # loaders ask their workers in turn, from where they begin
                batch = self._batch(order, Position(position.epoch, step), after, make, shard)
                tell(batch.failures, tally)
                tally.add(len(batch.items), batch.failures)
                yield batch
            position = Position(position.epoch + 1, 0)

    def _batch(
        self,
        order: Epoch,
        at: Position,
        after: Position,
        make: Callable[[Sample, Generator, PointedBy | None], T],
        shard: Shard,
    ) -> Batch[T]:
        place, first = (int(value) for value in order.batches[at.step])
        kind, queue = order.queues[place]
        share = self.batch_size // shard.ranks
        items: list[T] = []
        failures: list[Failure] = []
        for slot in range(shard.rank * share, (shard.rank + 1) * share):
            items.append(self._item(queue, first + slot, (at.epoch, at.step, slot), make, failures))
        return Batch(tuple(items), kind, after, tuple(failures))

    def _item(
        self,
        queue: Numbers,
        place: int,
        visit: tuple[int, int, int],
        make: Callable[[Sample, Generator, PointedBy | None], T],
        failures: list[Failure],
    ) -> T:
        """What is made of the item at a place of a queue, or of the next that something can be made of."""
        for attempt in range(self.tolerance.attempts + 1):
            part, index = self.find(int(queue[(place + attempt) % len(queue)]))
            rng = named_generator(self.seed, "item", *visit, attempt)
            try:
                return make(part.samples[index], rng, pointed_by(part.kinds[index]))
            except UniPixelError as error:
                failures.append(failure_of(part.name, index, error))
        raise TooManyFailures(
            f"{self.tolerance.attempts + 1} samples in a row that failed, the last: {failures[-1].message}",
            "samples of which something can be made",
        )
