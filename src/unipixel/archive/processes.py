"""Work in several processes of this machine: one for each GPU, or so many on a CPU."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeAlias

from unipixel.archive.items import Item
from unipixel.archive.run import Job, open_model
from unipixel.archive.store import Store
from unipixel.archive.worker import Chunk, Happened, Worker
from unipixel.errors import ConfigError, UniPixelError


@dataclass(frozen=True)
class Alone:
    """To a worker: an item that was in hand when a process died, whether or not it brought that down."""

    chunk: Chunk


@dataclass(frozen=True)
class Failed:
    """To a worker: record that an item brought a process down."""

    item: Item
    reason: str


@dataclass(frozen=True)
class Finished:
    """From a worker: it is ready for more."""


@dataclass(frozen=True)
class Broken:
    """From a worker: it cannot go on at all."""

    message: str


Order: TypeAlias = Chunk | Alone | Failed
Said: TypeAlias = Happened | Finished | Broken


@dataclass(frozen=True)
class Processes:
    """One worker process for each device; each writes a part of its own.

    A chunk whose process dies (no memory, a crash in a library, a stranger's signal) is tried again item by
    item in a new process; an item whose process dies again has failed. Items that a run leaves behind are
    done by the next.
    """

    devices: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "devices", tuple(self.devices))
        if not self.devices:
            raise ConfigError("there is no device to work on; give at least one worker or GPU")

    def work(self, job: Job, chunks: Sequence[Chunk]) -> Iterator[Happened]:
        """Tells of what is safe on the disk, in the order in which it comes."""
        orders: deque[Order] = deque(chunks)
        workers: list[_Process] = []
        try:
            devices = self.devices[: len(chunks)]
            # As many threads as there are cores in every process would get into each other's way.
            threads = job.model.threads or max(1, _cores() // len(devices))
            for number, device in enumerate(devices):
                workers.append(_Process(job, device, f"{job.part}-worker-{number:03d}", threads))
            while orders or any(worker.order is not None for worker in workers):
                for worker in workers:
                    if worker.order is None and orders:
                        worker.give(orders.popleft())
                yield from _hear(workers, orders)
        finally:
            for worker in workers:
                worker.end()


def _hear(workers: list[_Process], orders: deque[Order]) -> Iterator[Happened]:
    """Take what workers say now; replace those that died."""
    busy = {worker.pipe: worker for worker in workers if worker.order is not None}
    for ready in wait(list(busy)):
        assert isinstance(ready, Connection), f"{type(ready).__name__} is no pipe"
        worker = busy[ready]
        try:
            said: Said = worker.pipe.recv()
        except (EOFError, OSError):
            orders.extendleft(reversed(worker.died()))
            worker.start()
            continue
        if isinstance(said, Broken):
            raise ConfigError(said.message)
        if isinstance(said, Finished):
            worker.order = None
        else:
            worker.heard(said)
            yield said


class _Process:
    """A worker process, what it was told to do last, and what of it is done."""

    def __init__(self, job: Job, device: str, part: str, threads: int | None) -> None:
        self._job = replace(job, model=replace(job.model, device=device, threads=threads))
        self._part = part
        self.order: Order | None = None
        self._done: set[str] = set()
        self.start()

    def start(self) -> None:
        context = get_context("spawn")  # a forked CUDA does not work
        self.pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(self._job, self._part, theirs), daemon=True
        )
        with _deaf():
            self._process.start()
        theirs.close()
        self.order = None

    def give(self, order: Order) -> None:
        self.order, self._done = order, set()
        self.pipe.send(order)

    def heard(self, happened: Happened) -> None:
        if happened.what == "item":
            self._done.add(happened.item)

    def died(self) -> list[Order]:
        """What is to be done instead of the order that brought it down."""
        self._process.join()
        code = self._process.exitcode
        assert self.order is not None, "an idle worker is not waited for"
        if isinstance(self.order, Failed):
            raise ConfigError(f"a worker process ended with code {code} before it did anything; see above")
        chunk = self.order.chunk if isinstance(self.order, Alone) else self.order
        left = [item for item in chunk.items if item.id in chunk.wanted - self._done]
        if isinstance(self.order, Alone):
            how = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
            return [Failed(item, f"its process ended with {how} while it was worked on") for item in left]
        return [Alone(Chunk((item,), frozenset((item.id,)), chunk.retry)) for item in left]

    def end(self) -> None:
        """Stop it; what it has not written yet is not needed."""
        self.pipe.close()
        self._process.terminate()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@contextmanager
def _deaf() -> Iterator[None]:
    """What is started inside does not hear Ctrl-C, from its first moment on: the one who started it decides.
    Only a main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(job: Job, part_name: str, pipe: Connection) -> None:
    """The life of a worker process."""
    try:
        predictor = open_model(job.model)
        store = Store(job.output.folder)
        with store.appending(part_name) as part:
            worker = Worker(predictor, job.settings, store, part)
            while True:
                order: Order = pipe.recv()
                if isinstance(order, Failed):
                    pipe.send(worker.fail(order.item, order.reason))
                else:
                    for happened in worker.work(order.chunk if isinstance(order, Alone) else order):
                        pipe.send(happened)
                pipe.send(Finished())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody wants more
    except UniPixelError as error:
        with suppress(BrokenPipeError, ConnectionResetError):
            pipe.send(Broken(str(error)))


def gpus(which: str) -> tuple[str, ...]:
    """`all` GPUs, or `0,2`, as devices.

    Raises:
        ConfigError: there is no such GPU.
    """
    import torch

    there = torch.cuda.device_count()
    try:
        numbers = range(there) if which == "all" else [int(part) for part in which.split(",")]
    except ValueError:
        raise ConfigError(f"{which!r} names no GPUs; write all, or numbers such as 0,2") from None
    if not numbers or not all(0 <= number < there for number in numbers):
        raise ConfigError(f"GPUs {which}: this machine has {there}; on a CPU give --workers N instead")
    return tuple(f"cuda:{number}" for number in numbers)
