"""From a request in the event loop to the worker and back: waiting, streaming, and noticing that the caller
has gone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from unipixel.errors import UniPixelError
from unipixel.serving.faults import Cancelled
from unipixel.serving.worker import Steps, Work, Worker

if TYPE_CHECKING:
    from unipixel.inference.questions import Question

POLL = 0.25
"""Seconds between two looks whether the caller is still there."""
KEEP_ALIVE = 10.0
_END = object()


class Running:
    """Work under way, seen from the event loop."""

    def __init__(
        self,
        worker: Worker,
        owner: str,
        seconds: float,
        *,
        steps: Callable[[Work], Steps] | None = None,
        compose: Callable[[], Question] | None = None,
    ) -> None:
        """Submits the work. Raises Busy or Closing."""
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[object] = asyncio.Queue()
        self.work = Work(owner, time.monotonic() + seconds, steps, compose, self._tell)
        self.work.result.add_done_callback(lambda _: self._tell(_END))
        worker.submit(self.work)

    def _tell(self, item: object) -> None:
        with suppress(RuntimeError):  # the loop has ended, nobody listens
            self._loop.call_soon_threadsafe(self._told.put_nowait, item)

    def cancel(self) -> None:
        """Nobody wants the result any more."""
        self._give_up(Cancelled("the request was cancelled"))

    def _give_up(self, why: UniPixelError | None) -> None:
        if why is not None and not self.work.result.done():
            self.work.fail(why)
            self._worker.cancel(self.work)

    async def begun(self) -> None:
        """Wait for the first sign of life; raises what went wrong before it."""
        try:
            item = await asyncio.wait_for(self._told.get(), self.work.until - time.monotonic())
        except TimeoutError:
            self._give_up(self.work.why_over())
            item = _END
        if item is _END:
            self.work.result.result()
        waiting = [item]
        while not self._told.empty():
            waiting.append(self._told.get_nowait())
        for one in waiting:
            self._told.put_nowait(one)

    async def told(self, request: Request) -> AsyncIterator[object]:
        """What the steps tell; None now and then while there is nothing. Ends with the work, or with its
        caller. Raises what went wrong."""
        silent = 0.0
        while True:
            try:
                item = await asyncio.wait_for(self._told.get(), POLL)
            except TimeoutError:
                if time.monotonic() > self.work.until:  # the worker may be in the middle of a long step
                    self._give_up(self.work.why_over())
                if await request.is_disconnected():
                    self.cancel()
                silent += POLL
                if silent >= KEEP_ALIVE:
                    silent = 0.0
                    yield None
                continue
            if item is _END:
                self.work.result.result()
                return
            silent = 0.0
            yield item

    async def finished(self, request: Request) -> Any:
        """The result, waited for as long as the caller is there."""
        try:
            async for _ in self.told(request):
                pass
        finally:
            self.cancel()
        return self.work.result.result()


class EventStream(StreamingResponse):
    """Server-sent events; `after` is called in any case, even if the caller has gone before the first."""

    def __init__(self, events: AsyncIterator[str], after: Callable[[], Awaitable[object]]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._after()


def event(content: Any) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(content, ensure_ascii=False, allow_nan=False)}\n\n"
