"""Everything that the routes share: the model and its worker, files, sessions, jobs, counters."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from unipixel.errors import UniPixelError
from unipixel.predictor import Predictor
from unipixel.serving.calling import Running
from unipixel.serving.clips import Clips
from unipixel.serving.faults import Closing
from unipixel.serving.media_input import MediaGate
from unipixel.serving.metrics import Metrics
from unipixel.serving.options import ServeOptions
from unipixel.serving.session_store import SessionStore
from unipixel.serving.speech import Speech
from unipixel.serving.store import DataFolder, FileStore
from unipixel.serving.warming import choose_threads, warm
from unipixel.serving.worker import Steps, Work, Worker

if TYPE_CHECKING:
    from unipixel.inference.questions import Question
    from unipixel.serving.jobs import Jobs

log = logging.getLogger(__name__)

SWEEP_SECONDS = 30.0
Result = TypeVar("Result")


class Service:
    """One server. `opened` is None until the model is there; `failure`: why it never will be, and
    `on_failure` hears of it."""

    def __init__(self, options: ServeOptions, opened: Predictor | None = None) -> None:
        from unipixel.serving.jobs import Jobs

        limits = options.limits
        self.options, self.opened = options, opened
        self.failure: UniPixelError | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self.started = time.time()
        self.metrics = Metrics()
        self.folder = DataFolder(options.data)
        self.files = FileStore(self.folder, most_bytes=limits.disk, seconds=limits.file_seconds)
        self.gate = MediaGate(self.files, limits, options.allow_remote)
        self.worker = Worker(
            Speech(self.metrics.shared.observe),
            waiting=limits.waiting,
            batch=limits.batch,
            active=limits.active,
            on_batch=self.metrics.batch.observe,
        )
        self.clips = Clips(limits.memory)
        self.sessions = SessionStore(self.folder, limits, self.worker, self.clips)
        self.jobs: Jobs = Jobs(self)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        """Whether questions are answered."""
        return self.opened is not None and self.worker.alive

    @property
    def model(self) -> Predictor:
        """The model; Closing while it is still being opened."""
        if self.opened is None:
            raise Closing("the model is being opened; try again", retry_after=5)
        return self.opened

    async def start(self) -> None:
        """Open the model, start the worker, take up jobs that an earlier run left."""
        self.worker.start()
        self._tasks = [asyncio.create_task(self._open()), asyncio.create_task(self._sweep())]

    async def stop(self) -> None:
        """Refuse what waits, finish what is under way, keep everything for the next start."""
        await self.jobs.stop()
        await asyncio.to_thread(self.worker.close)
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def call(self, function: Callable[[], Result]) -> Result:
        """Something short in the worker's thread."""
        return await asyncio.wrap_future(self.worker.call(function))

    async def _open(self) -> None:
        if self.opened is None:
            try:
                self.opened = await self._load()
            except UniPixelError as error:  # there is nothing to serve
                self.failure = error
                self.on_failure()
                return
        log.info("ready")
        self.jobs.resume()

    async def _load(self) -> Predictor:
        from unipixel.loading import load

        options = self.options
        opened = await asyncio.to_thread(
            load,
            options.model,
            device=options.device,
            dtype=options.dtype,
            trust_code=options.trust_code,
            language=options.language,
            compiled=options.compiled,
        )
        threads = await self.call(lambda: choose_threads(opened, options.threads))
        await self.call(lambda: warm(opened))
        log.info("%d threads", threads)
        return opened

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await asyncio.to_thread(self.files.sweep)
            await self.sessions.sweep()
            await self.jobs.sweep()


@dataclass(frozen=True)
class Caller:
    """Who asks, and what is there to answer."""

    service: Service
    owner: str
    request: Request

    def run(
        self,
        *,
        steps: Callable[[Work], Steps] | None = None,
        compose: Callable[[], Question] | None = None,
    ) -> Running:
        """Put work in the worker's line. Raises Busy or Closing."""
        seconds = self.service.options.limits.seconds
        return Running(self.service.worker, self.owner, seconds, steps=steps, compose=compose)


def _caller(request: Request, _: Annotated[object, Depends(HTTPBearer(auto_error=False))]) -> Caller:
    return Caller(request.app.state.service, request.scope["state"]["owner"], request)


Called = Annotated[Caller, Depends(_caller)]
"""A route's first parameter."""
