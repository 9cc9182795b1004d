"""The one thread that owns the model. It turns between pieces of work, a step of each; what several of them
need at a time is made together: the next token of all answers, and the next frame's masks of all clips."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from unipixel.errors import UniPixelError
from unipixel.inference.questions import Question
from unipixel.serving.faults import Broken, Busy, Cancelled, Closing, OutOfTime

log = logging.getLogger(__name__)

Steps: TypeAlias = Iterator[object]
"""A piece of work, step by step; what a step gives is told to whoever listens."""
Result = TypeVar("Result")
GATHER = 0.004
"""Seconds that a first question waits for others to come along."""


@dataclass(frozen=True)
class Shared:
    """Told by the steps of a piece of work: `part` is what their next step needs, and it is cheaper to make
    it together with that of others before that step."""

    part: Any


@dataclass(eq=False)
class Work:
    """One request to the model, as the worker and its caller hold it.

    steps: makes the work; or compose: makes the question, to be answered together with others. Both run in
    the worker's thread. until: monotonic time at which it ends in any case. tell: hears what the steps give.
    result: what came of it.
    """

    owner: str
    until: float
    steps: Callable[[Work], Steps] | None = None
    compose: Callable[[], Question] | None = None
    tell: Callable[[object], None] = lambda _: None
    result: Future[Any] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)
    cancelled: bool = False

    @property
    def over(self) -> bool:
        """Whether nobody waits for more of it."""
        return self.cancelled or self.result.done()

    def finish(self, value: object) -> None:
        """Give the result, unless the work has ended."""
        with suppress(InvalidStateError):  # the caller may end it at the same moment
            self.result.set_result(value)

    def fail(self, error: BaseException) -> None:
        """End with an error, unless the work has ended."""
        with suppress(InvalidStateError):
            self.result.set_exception(error)

    def why_over(self) -> UniPixelError | None:
        """Why it must end now, if it must."""
        if self.cancelled:
            return Cancelled("the request was cancelled")
        if time.monotonic() > self.until:
            return OutOfTime("the time limit was reached; ask for less, or submit it as a job")
        return None


class Together(Protocol):
    """What is made for several pieces of work at once. A piece that cannot be done fails alone."""

    @property
    def asked(self) -> Sequence[Work]:
        """Those whose questions are being answered."""
        ...

    def take(self, works: Sequence[Work]) -> None:
        """Answer more questions, together with those under way."""
        ...

    def speak(self) -> Sequence[tuple[Work, Steps]]:
        """One step of all answers, without those that are over. Those whose words are said leave, with the
        steps that remain of them."""
        ...

    def share(self, parts: Sequence[Any]) -> None:
        """Make what several pieces of work need next (see `Shared`)."""
        ...

    def drop(self) -> None:
        """Forget all answers."""
        ...


class FairQueue:
    """Work that waits; owners take turns, each with its oldest."""

    def __init__(self) -> None:
        self._owners: OrderedDict[str, deque[Work]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._owners.values())

    def __iter__(self) -> Iterator[Work]:
        return iter([work for waiting in self._owners.values() for work in waiting])

    def put(self, work: Work) -> None:
        self._owners.setdefault(work.owner, deque()).append(work)

    def take(self, but: Collection[str] = ()) -> Work | None:
        """The next one, of no owner in `but`; its owner goes to the end of the line."""
        owner = next((owner for owner in self._owners if owner not in but), None)
        if owner is None:
            return None
        waiting = self._owners[owner]
        work = waiting.popleft()
        if waiting:
            self._owners.move_to_end(owner)
        else:
            del self._owners[owner]
        return work

    def remove(self, work: Work) -> None:
        """Take out one that is no longer wanted, if it still waits."""
        waiting = self._owners.get(work.owner)
        if waiting is not None and work in waiting:
            waiting.remove(work)
            if not waiting:
                del self._owners[work.owner]


class Worker:
    """See the module. `waiting`, `batch` and `active` are its limits (`options.Limits`); `on_batch` hears how
    many questions are taken up at a time."""

    def __init__(
        self,
        together: Together,
        *,
        waiting: int,
        batch: int,
        active: int,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._together, self._on_batch = together, on_batch
        self._most_waiting, self._most_batch, self._most_active = waiting, batch, active
        self._questions, self._others = FairQueue(), FairQueue()
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._active: list[tuple[Work, Steps]] = []
        self._wake = threading.Condition()
        self._closing = False
        self._mean_seconds = 1.0
        self._thread = threading.Thread(target=self._run, name="unipixel-worker", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it works."""
        return self._thread.is_alive() and not self._closing

    @property
    def num_waiting(self) -> int:
        """Requests that wait for their turn."""
        return len(self._questions) + len(self._others)

    @property
    def num_active(self) -> int:
        """Requests that are being worked on."""
        return len(self._active) + len(self._together.asked)

    def submit(self, work: Work) -> None:
        """Put work in line. Raises Busy or Closing."""
        with self._wake:
            if self._closing:
                raise Closing("the server is shutting down; try again later", retry_after=5)
            waiting = self.num_waiting
            if waiting >= self._most_waiting:
                raise Busy(f"{waiting} requests wait already; try again", self._retry_after(waiting))
            (self._questions if work.compose is not None else self._others).put(work)
            self._wake.notify()

    def call(self, function: Callable[[], Result]) -> Future[Result]:
        """Run something short between two steps, before all that waits: reading or changing a session."""
        future: Future[Result] = Future()
        with self._wake:
            if self._closing and not self._thread.is_alive():
                raise Closing("the server is shutting down; try again later", retry_after=5)
            self._calls.append((function, future))
            self._wake.notify()
        return future

    def cancel(self, work: Work) -> None:
        """Nobody wants it any more: its place is free at once, or behind the step that is being made."""
        with self._wake:
            work.cancelled = True
            self._questions.remove(work)
            self._others.remove(work)
            self._wake.notify()

    def close(self, seconds: float = 10.0) -> None:
        """Refuse what waits, finish what is being worked on as far as the time allows, end the thread."""
        with self._wake:
            self._closing = True
            for queue in (self._questions, self._others):
                for work in queue:
                    queue.remove(work)
                    work.fail(Closing("the server is shutting down; try again later", retry_after=5))
            last = time.monotonic() + seconds
            for work in (*self._together.asked, *(one for one, _ in self._active)):
                work.until = min(work.until, last)
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(seconds + 5)

    # In the worker's thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._calls or self._active or self._together.asked or self.num_waiting):
                    if self._closing:
                        return
                    self._wake.wait()
                if self._questions and not (self._active or self._together.asked or self._calls):
                    self._wake.wait(GATHER)
                calls = list(self._calls)
                self._calls.clear()
                questions = self._admit()
            for function, future in calls:
                _settle(function, future)
            self._speak(questions)
            self._step_all()

    def _admit(self) -> list[Work]:
        """Take up what waits, as far as there is room; the questions that are to be answered from now on."""
        while len(self._active) < self._most_active:
            work = self._others.take(self._greedy())
            if work is None:
                break
            self._take_up(work)
        room = self._most_batch - len(self._together.asked)
        taken = [self._questions.take() for _ in range(min(len(self._questions), room))]
        return [work for work in taken if work is not None and not _ended(work)]

    def _greedy(self) -> set[str]:
        """Owners of half of all that is being worked on: what more they want waits for others to come."""
        counts = Counter(work.owner for work, _ in self._active)
        return {owner for owner, count in counts.items() if count >= max(1, self._most_active // 2)}

    def _take_up(self, work: Work) -> None:
        if not _ended(work):
            assert work.steps is not None, "work has steps, or a question"
            self._active.append((work, work.steps(work)))

    def _speak(self, questions: Sequence[Work]) -> None:
        if questions:
            self._on_batch(len(questions))
            self._together.take(questions)
        asked = self._together.asked
        if not asked:
            return
        for work in asked:
            _ended(work)
        try:
            self._active += self._together.speak()
        except Exception as error:  # whatever goes wrong, the other requests go on
            _fail_all(asked, error)
            self._together.drop()

    def _step_all(self) -> None:
        """A step of everything; what several need is made together first."""
        shared = [
            (entry, told) for entry in list(self._active) if isinstance(told := self._step(entry), Shared)
        ]
        if len(shared) > 1:
            try:
                self._together.share([told.part for _, told in shared])
            except Exception as error:  # each makes its own, and whose fault it was shows then
                log.warning("what was to be made together is made one by one (%s)", type(error).__name__)
        for entry, _ in shared:
            self._step(entry)

    def _step(self, entry: tuple[Work, Steps]) -> object:
        """A step of one piece of work; what it tells."""
        work, steps = entry
        try:
            if _ended(work):
                with suppress(ValueError):
                    getattr(steps, "close", lambda: None)()
                self._active.remove(entry)
                return None
            told = next(steps)
        except StopIteration as end:
            work.finish(end.value)
        except Exception as error:  # as above
            _fail_all([work], error)
        else:
            if told is not None and not isinstance(told, Shared):
                work.tell(told)
            return told
        self._active.remove(entry)
        self._mean_seconds += 0.1 * (time.monotonic() - work.arrived - self._mean_seconds)
        return None

    def _retry_after(self, waiting: int) -> int:
        return min(60, max(1, math.ceil(waiting * self._mean_seconds / (self._most_batch + 1))))


def _ended(work: Work) -> bool:
    """Whether work must not go on; if so it has its error."""
    why = work.why_over()
    if why is not None:
        work.fail(why)
    return work.over


def _settle(function: Callable[[], Any], future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(function())
    except Exception as error:  # the caller gets it
        future.set_exception(_told(error))


def _fail_all(works: Sequence[Work], error: Exception) -> None:
    for work in works:
        work.fail(_told(error))


def _told(error: Exception) -> Exception:
    """What a caller hears: errors that can be mended as they are, others without their content."""
    if isinstance(error, UniPixelError):
        return error
    log.exception("the model failed", exc_info=error)
    return Broken("the server failed at this request; its log has the details")
