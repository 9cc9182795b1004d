"""Mixing: one sequence for any number of shards, the same after resuming, and failures that are told."""

import logging
import pickle
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.by_hand import samples_of_every_task

from unipixel.data.conversations import converse
from unipixel.data.mixture import (
    Batch,
    Kinds,
    Mixture,
    Part,
    Position,
    Shard,
    Tally,
    Tolerance,
    TooManyFailures,
    alike_kinds,
    pointing_halves,
    scan_kinds,
    with_ratios,
)
from unipixel.data.policy import PUBLISHED
from unipixel.data.sample import Exchange, Sample
from unipixel.errors import ConfigError, DataError, LeftOut, SampleUnusable


@dataclass(frozen=True)
class Talk:
    """Samples without pictures; some of them cannot be read."""

    name: str
    count: int
    broken: tuple[int, ...] = ()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(index)
        if index in self.broken:
            raise DataError("a.json", f"[{index}]", "nonsense", "a sample")
        return Sample(self.name, str(index), "chat", None, (Exchange("a", "b"),))


Item = tuple[str, str, int, str | None]


def make(sample: Sample, rng: np.random.Generator, way: Any) -> Item:
    """What tells apart samples, visits and ways of pointing."""
    return sample.dataset, sample.id, int(rng.integers(1 << 30)), way


def part(name: str, count: int, kind: Any, repeats: float = 1.0, broken: tuple[int, ...] = ()) -> Part:
    return Part(name, Talk(name, count, broken), Kinds.of([kind] * count), repeats)  # type: ignore[arg-type]


@pytest.fixture
def mixture() -> Mixture:
    parts = (part("a", 13, "seg_video"), part("b", 9, "seg_video", 2), part("c", 11, "text"))
    return Mixture((*parts, part("d", 8, "ref_box", 1.5)), batch_size=4, seed=3)


def read(mixture: Mixture, count: int, **more: Any) -> list[Batch[Item]]:
    return list(islice(mixture.read(make, **more), count))


def together(
    mixture: Mixture, count: int, ranks: int, workers: int, start: Position
) -> list[tuple[Item, ...]]:
    """Batches of all shards put together, as loaders do it: workers by turns, ranks side by side."""
    shards: list[list[Iterator[Batch[Item]]]] = [
        [mixture.read(make, Shard(rank, ranks, worker, workers), start) for worker in range(workers)]
        for rank in range(ranks)
    ]
    return [
        tuple(item for rank in range(ranks) for item in next(shards[rank][step % workers]).items)
        for step in range(count)
    ]


# The sequence


@pytest.mark.parametrize(("ranks", "workers"), [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (1, 4), (4, 3)])
def test_any_number_of_shards_together_is_one_sequence(mixture: Mixture, ranks: int, workers: int) -> None:
    alone = [batch.items for batch in read(mixture, 40)]
    assert together(mixture, 40, ranks, workers, Position()) == alone
    assert together(mixture, 30, ranks, workers, read(mixture, 10)[-1].after) == alone[10:]


def test_reading_goes_on_from_every_position(mixture: Mixture) -> None:
    whole = read(mixture, 31)
    steps = len(mixture.epoch(0).batches)
    assert 10 < steps < 15
    for place, batch in enumerate(whole[:-4]):
        saved = pickle.loads(pickle.dumps(batch.after))
        assert [b.items for b in read(mixture, 4, start=saved)] == [b.items for b in whole[place + 1 :][:4]]
    assert whole[steps - 1].after == Position(1, 0), "the end of an epoch is the beginning of the next"


def test_seeds_and_epochs_have_orders_of_their_own(mixture: Mixture) -> None:
    steps = len(mixture.epoch(0).batches)
    first, second = (read(mixture, steps, start=Position(epoch)) for epoch in (0, 1))
    assert read(mixture, steps) == first, "nothing is left to chance"
    assert [b.items for b in first] != [b.items for b in second]
    other = read(replace(mixture, seed=4), steps)
    assert [b.items for b in first] != [b.items for b in other]
    assert len({item[2] for batch in first + second for item in batch.items}) == 2 * 4 * steps, (
        "every visit draws anew"
    )


def test_batches_are_of_one_kind_and_mixed(mixture: Mixture) -> None:
    epoch = read(mixture, len(mixture.epoch(0).batches))
    kinds = [batch.kind for batch in epoch]
    names = {"seg_video": {"a", "b"}, "text": {"c"}, "ref_box": {"d"}}
    for batch in epoch:
        assert {item[0] for item in batch.items} <= names[batch.kind]
        assert {item[3] for item in batch.items} == {"box" if batch.kind == "ref_box" else None}
    assert Counter(kinds) == {"seg_video": 7, "text": 2, "ref_box": 3}
    assert kinds != sorted(kinds), "the batches are shuffled as well"
    assert any({item[0] for item in batch.items} == {"a", "b"} for batch in epoch), "data sets mix in a batch"


def test_an_epoch_has_every_item_as_often_as_it_is_repeated(mixture: Mixture) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for epoch in range(2):
        order = mixture.epoch(epoch)
        assert order.dropped == {"seg_video": 3, "text": 3, "ref_box": 0}
        items = [item for _, queue in order.queues for item in queue.tolist()]
        found = Counter((part.name, index) for part, index in map(mixture.find, items))
        assert all(found["a", index] == 1 for index in range(13))
        assert all(found["b", index] == 2 for index in range(9))
        assert sorted(found["d", index] for index in range(8)) == [1] * 4 + [2] * 4
        seen.update((name, str(index)) for name, index in found.elements() if name == "d")
    assert len({seen["d", str(index)] for index in range(8)}) > 1, "another half comes twice in each epoch"


def test_the_rest_may_be_filled_instead_of_dropped(mixture: Mixture) -> None:
    filled = replace(mixture, rest="fill")
    order = filled.epoch(0)
    assert set(order.dropped.values()) == {0} and len(order.batches) == 8 + 3 + 3
    found = Counter(item[:2] for batch in read(filled, 14) for item in batch.items)
    assert all(found["c", str(index)] >= 1 for index in range(11)) and found.total() == 56


def test_ratios_are_shares_of_an_epoch() -> None:
    parts = [part("a", 100, "text"), part("b", 10, "text")]
    by_name = {part.name: part.repeats for part in with_ratios(parts, {"a": 3, "b": 1})}
    assert by_name == {"a": 1.0, "b": pytest.approx(100 / 30)}
    few = {part.name: part.repeats for part in with_ratios(parts, {"a": 1, "b": 1}, epoch=20)}
    assert few == {"a": 0.1, "b": 1.0}
    mixed = Mixture(tuple(with_ratios(parts, {"a": 1, "b": 1}, epoch=20)), 1)
    assert Counter(item[0] for batch in read(mixed, 20) for item in batch.items) == {"a": 10, "b": 10}
    with pytest.raises(ConfigError, match="expected one above 0 for each"):
        with_ratios(parts, {"a": 1})


# Kinds


def test_half_of_a_data_set_points_with_clicks(tmp_path: Path) -> None:
    ways = pointing_halves("set", 101, 5)
    assert Counter(ways) == {"point": 50, "box": 51}
    assert ways == pointing_halves("set", 101, 5) != pointing_halves("set", 101, 6)
    assert ways != pointing_halves("other", 101, 5)
    samples = samples_of_every_task(tmp_path)
    scanned = scan_kinds("set", [samples["refer"]] * 20, 0)
    assert Counter(scanned) == {"ref_point": 10, "ref_box": 10}
    assert list(alike_kinds("set", [samples["refer"]] * 20, 0)) == list(scanned)


def test_kinds_tell_stills_from_clips(tmp_path: Path) -> None:
    samples = samples_of_every_task(tmp_path)
    names = ["segment", "segment still", "chat", "chat still", "describe still", "choose film"]
    assert list(scan_kinds("set", [samples[name] for name in names], 0)) == [
        *("seg_video", "seg_image", "text", "multimodal", "region_image", "multimodal")
    ]
    broken: Sequence[Sample] = Talk("t", 3, (1,))  # type: ignore[assignment]
    assert list(scan_kinds("t", broken, 0)) == ["text"] * 3


# Failures


def failing(broken: tuple[int, ...], count: int = 40, **tolerance: Any) -> Mixture:
    parts = (part("good", 40, "text"), part("bad", count, "text", broken=broken), part("c", 8, "multimodal"))
    return Mixture(parts, 4, seed=1, tolerance=Tolerance(**tolerance))


def test_failed_samples_are_replaced_by_the_next_of_their_kind_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mixture = failing((3, 4, 5))
    order = mixture.epoch(0)
    with caplog.at_level(logging.WARNING):
        batches = read(mixture, len(order.batches))
    failures = [failure for batch in batches for failure in batch.failures]
    assert {(f.dataset, f.index, f.reason) for f in failures} == {("bad", n, "DataError") for n in (3, 4, 5)}
    assert all("found nonsense" in failure.message for failure in failures)
    assert len([r for r in caplog.records if "is replaced" in r.message]) == len(failures)
    queue = dict(order.queues)["text"].tolist()
    items = [item for batch in batches for item in batch.items]
    assert len(items) == 4 * len(batches)
    for failure in failures:
        place = queue.index(40 + failure.index)
        follower = next(number for number in queue[place + 1 :] + queue if number - 40 not in (3, 4, 5))
        following, index = mixture.find(follower)
        assert Counter(item[:2] for item in items)[following.name, str(index)] >= 2
    assert together(mixture, len(batches), 2, 2, Position()) == [batch.items for batch in batches]


def test_too_many_failures_stop_with_their_counts() -> None:
    mixture = failing(tuple(range(20)), share=0.1, least=30)
    with pytest.raises(
        TooManyFailures, match=r"bad: DataError, \d+ times.*expected at most 10% of them"
    ) as it:
        read(mixture, 200)
    assert pickle.loads(pickle.dumps(it.value)).found == it.value.found
    read(failing(tuple(range(20)), share=0.5, least=30), 200)


def test_nothing_but_failures_stops_at_once() -> None:
    mixture = Mixture((part("bad", 30, "text", broken=tuple(range(30))),), 2, tolerance=Tolerance(attempts=3))
    with pytest.raises(TooManyFailures, match=r"4 samples in a row that failed, the last: a\.json, \[\d+\]"):
        read(mixture, 1)


def test_what_limits_leave_out_is_counted_apart() -> None:
    def picky(sample: Sample, rng: np.random.Generator, way: Any) -> str:
        if sample.dataset == "bad" and int(sample.id) % 2:
            raise LeftOut(sample.id, "too many words", "fewer")
        if sample.id == "0":
            raise SampleUnusable(sample.id, "no masks", "masks")
        return sample.id

    mixture = failing((), least=10)
    tally = Tally(Tolerance(least=10))
    for batch in islice(mixture.read(picky), 20):
        tally.add(len(batch.items), batch.failures)
    assert tally.left_out.total() > 15 and set(tally.left_out) == {("bad", "too many words")}
    assert {reason for _, reason in tally.failed} == {"no masks"}
    assert re.search(r"bad: too many words, \d+ times", str(tally))


def test_other_errors_are_nobodys_failure() -> None:
    def wrong(sample: Sample, rng: np.random.Generator, way: Any) -> None:
        raise KeyError("a defect of the program")

    with pytest.raises(KeyError):
        next(failing(()).read(wrong))


def test_samples_become_conversations_on_the_way(tmp_path: Path) -> None:
    samples = list(samples_of_every_task(tmp_path).values())
    mixture = Mixture((Part("all", samples, scan_kinds("all", samples, 0)),), 1)

    def conversation(sample: Sample, rng: np.random.Generator, way: Any) -> Any:
        return converse(sample, rng, PUBLISHED, way)

    batches = list(islice(mixture.read(conversation), len(samples)))
    assert all(batch.items[0].kind == batch.kind and not batch.failures for batch in batches)
    assert {batch.items[0].source.sample for batch in batches} == {sample.id for sample in samples}


# Refusals


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Mixture((), 1), "expected at least one"),
        (lambda: Mixture((part("a", 1, "text"), part("a", 1, "text")), 1), "of different names"),
        (lambda: Mixture((part("a", 1, "text"),), 0), "batch_size 0"),
        (lambda: Mixture((part("a", 3, "text"),), 4).epoch(0), "all 3 items of kind text would be dropped"),
        (lambda: next(Mixture((part("a", 9, "text"),), 4).read(make, Shard(0, 3))), "divided by 3 ranks"),
        (lambda: Part("a", [], Kinds.of([])), "at least one sample"),
        (lambda: part("a", 1, "text", 0), "repeated 0 times"),
        (lambda: Shard(2, 2), "0 <= rank < ranks"),
        (lambda: Position(0, -1), "0 or more"),
        (lambda: Tolerance(share=2), "a share from 0 to 1"),
    ],
)
def test_impossible_mixtures_are_refused(build: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build()
