"""The worker without a model: who comes when, how many together, and what ends early."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from unipixel.errors import PromptError
from unipixel.serving.faults import Broken, Busy, Cancelled, Closing, OutOfTime
from unipixel.serving.worker import Shared, Steps, Work, Worker


class Together:
    """Answers each question with the number of those under way, one at a time."""

    def __init__(self) -> None:
        self.asked: list[Work] = []
        self.shared: list[list[Any]] = []
        self.said = 0

    def take(self, works: Sequence[Work]) -> None:
        self.asked = [*self.asked, *works]
        self.said = len(self.asked)

    def speak(self) -> list[tuple[Work, Steps]]:
        self.asked = [work for work in self.asked if not work.over]
        if self.asked:
            self.asked.pop(0).finish(self.said)
        return []

    def share(self, parts: Sequence[Any]) -> None:
        self.shared.append(list(parts))
        if "broken" in parts:
            raise RuntimeError("cannot be made together")

    def drop(self) -> None:
        self.asked = []


class Bench:
    """A worker that answers questions with their batch's size, and a gate that holds it up."""

    def __init__(self, **limits: int) -> None:
        self.gate = threading.Event()
        self.batches: list[int] = []
        given = {"waiting": 100, "batch": 16, "active": 8, **limits}
        self.together = Together()
        self.worker = Worker(self.together, on_batch=self.batches.append, **given)
        self.worker.start()

    def ask(self, owner: str = "a") -> Work:
        return self.submit(Work(owner, time.monotonic() + 30, compose=lambda: None))  # type: ignore[arg-type, return-value]

    def do(self, steps: Callable[[Work], Iterator[Any]], owner: str = "a", seconds: float = 30) -> Work:
        return self.submit(Work(owner, time.monotonic() + seconds, steps=steps))

    def submit(self, work: Work) -> Work:
        self.worker.submit(work)
        return work

    def hold(self) -> Work:
        """Keeps the worker's thread until the gate opens."""
        begun = threading.Event()

        def steps(work: Work) -> Steps:
            begun.set()
            self.gate.wait(10)
            yield

        work = self.do(steps, "holder")
        assert begun.wait(5)
        return work


@pytest.fixture
def bench() -> Iterator[Bench]:
    one = Bench()
    yield one
    one.gate.set()
    one.worker.close(1)


def test_what_waits_together_is_answered_together(bench: Bench) -> None:
    bench.hold()
    asked = [bench.ask() for _ in range(8)]
    bench.gate.set()
    assert [work.result.result(5) for work in asked] == [8] * 8
    assert bench.batches == [8]


def test_a_batch_has_its_limit() -> None:
    bench = Bench(batch=3)
    bench.hold()
    asked = [bench.ask() for _ in range(7)]
    bench.gate.set()
    assert {work.result.result(5) for work in asked} == {3}
    assert bench.batches == [3, 1, 1, 1, 1], "who comes next takes the place that was freed"
    bench.worker.close(1)


def test_owners_take_turns() -> None:
    bench = Bench(active=1)
    order: list[str] = []

    def note(work: Work) -> Steps:
        order.append(work.owner)
        yield

    bench.hold()
    works = [bench.do(note, owner) for owner in "aaaab"]
    bench.gate.set()
    for work in works:
        work.result.result(5)
    assert order.index("b") == 1, order
    bench.worker.close(1)


def test_one_owner_leaves_half_of_the_places_to_others() -> None:
    bench = Bench(active=4)
    started: list[str] = []
    end = threading.Event()

    def long(work: Work) -> Steps:
        started.append(work.owner)
        while not end.is_set():
            time.sleep(0.001)
            yield

    works = [bench.do(long, "a") for _ in range(4)]
    late = bench.do(long, "b")
    until = time.monotonic() + 5
    while "b" not in started and time.monotonic() < until:
        time.sleep(0.01)
    assert sorted(started) == ["a", "a", "b"]
    end.set()
    for work in (*works, late):
        work.result.result(5)
    bench.worker.close(1)


def test_long_work_is_interleaved(bench: Bench) -> None:
    order: list[str] = []

    def note(work: Work) -> Steps:
        for _ in range(3):
            order.append(work.owner)
            yield

    bench.hold()
    works = [bench.do(note, owner) for owner in "ab"]
    bench.gate.set()
    for work in works:
        work.result.result(5)
    assert order == ["a", "b"] * 3


def test_what_several_need_is_made_together(bench: Bench) -> None:
    order: list[str] = []

    def needs(part: str) -> Callable[[Work], Steps]:
        def steps(work: Work) -> Steps:
            for _ in range(2):
                yield Shared(part)
                order.append(part)
                yield part

        return steps

    bench.hold()
    told: list[object] = []
    works = [Work("a", time.monotonic() + 30, steps=needs(part), tell=told.append) for part in "xy"]
    for work in works:
        bench.submit(work)
    bench.gate.set()
    for work in works:
        work.result.result(5)
    assert bench.together.shared == [["x", "y"], ["x", "y"]]
    assert order == told == ["x", "y", "x", "y"], "each hears its own, and nothing of the sharing"


def test_what_cannot_be_made_together_is_made_alone(bench: Bench) -> None:
    def steps(part: str) -> Callable[[Work], Steps]:
        def one(work: Work) -> Steps:
            yield Shared(part)
            if part == "broken":
                raise PromptError("mine")
            yield

        return one

    bench.hold()
    broken, whole = bench.do(steps("broken")), bench.do(steps("whole"))
    bench.gate.set()
    with pytest.raises(PromptError):
        broken.result.result(5)
    assert whole.result.result(5) is None


def test_a_full_queue_says_when_to_come_again() -> None:
    bench = Bench(waiting=2)
    bench.hold()
    bench.ask()
    bench.do(lambda _: iter(()))
    with pytest.raises(Busy) as caught:
        bench.ask()
    assert caught.value.retry_after is not None and caught.value.retry_after >= 1
    bench.gate.set()
    bench.worker.close(1)


def test_cancelling_frees_the_place() -> None:
    bench = Bench(waiting=1)
    bench.hold()
    first = bench.ask()
    bench.worker.cancel(first)
    second = bench.ask()  # there is room again
    bench.gate.set()
    assert second.result.result(5) == 1
    bench.worker.close(1)


def test_work_under_way_ends_at_its_next_step(bench: Bench) -> None:
    closed, begun = threading.Event(), threading.Event()

    def steps(work: Work) -> Steps:
        try:
            while True:
                begun.set()
                time.sleep(0.001)
                yield
        finally:
            closed.set()

    work = bench.do(steps)
    assert begun.wait(5)
    bench.worker.cancel(work)
    with pytest.raises(Cancelled):
        work.result.result(5)
    assert closed.wait(5)


def test_time_limits_hold_for_what_waits_and_what_runs(bench: Bench) -> None:
    def forever(work: Work) -> Steps:
        while True:
            time.sleep(0.001)
            yield

    with pytest.raises(OutOfTime):
        bench.do(forever, seconds=0.05).result.result(5)
    bench.hold()
    late = bench.do(forever, seconds=0.0)
    bench.gate.set()
    with pytest.raises(OutOfTime):
        late.result.result(5)


def test_one_failure_leaves_the_others_alone(bench: Bench) -> None:
    def wrong(work: Work) -> Steps:
        yield
        raise PromptError("outside")

    def broken(work: Work) -> Steps:
        yield
        raise RuntimeError("a secret of the server")

    bench.hold()
    works = [bench.do(wrong), bench.do(broken), bench.ask()]
    bench.gate.set()
    with pytest.raises(PromptError):
        works[0].result.result(5)
    with pytest.raises(Broken) as caught:
        works[1].result.result(5)
    assert "secret" not in str(caught.value)
    assert works[2].result.result(5) == 1
    assert bench.worker.alive


def test_calls_come_between_steps_and_may_be_abandoned(bench: Bench) -> None:
    bench.hold()
    abandoned = bench.worker.call(lambda: 1)
    abandoned.cancel()
    kept = bench.worker.call(lambda: 2)
    bench.gate.set()
    assert kept.result(5) == 2
    assert bench.worker.alive


def test_closing_refuses_what_waits_and_finishes_what_runs() -> None:
    bench = Bench()
    running = bench.hold()
    waiting = bench.ask()
    threading.Timer(0.1, bench.gate.set).start()
    bench.worker.close(5)
    assert running.result.result(0) is None
    with pytest.raises(Closing):
        waiting.result.result(0)
    with pytest.raises(Closing):
        bench.ask()


def test_closing_does_not_wait_for_ever() -> None:
    bench = Bench()

    def forever(work: Work) -> Steps:
        while True:
            time.sleep(0.001)
            yield

    begun = threading.Event()

    def forever_from_now(work: Work) -> Steps:
        begun.set()
        yield from forever(work)

    work = bench.do(forever_from_now)
    assert begun.wait(5)
    before = time.monotonic()
    bench.worker.close(0.2)
    assert time.monotonic() - before < 3
    with pytest.raises(OutOfTime):
        work.result.result(0)
