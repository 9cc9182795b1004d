"""`/v1/sessions`: the library's sessions, each seen by its owner only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response as HttpResponse

from unipixel.core.media import check_sides
from unipixel.errors import UniPixelError
from unipixel.inference.questions import Question
from unipixel.serving import acts
from unipixel.serving.acts import Touched
from unipixel.serving.calling import EventStream, Running, event
from unipixel.serving.clips import content_of
from unipixel.serving.files_api import Deleted
from unipixel.serving.history import Moment
from unipixel.serving.openai_form import check_interactive, clip_entry
from unipixel.serving.replies import error_body, json_reply, note
from unipixel.serving.schema import (
    AnswerEntry,
    FrameEntry,
    MaskFormat,
    ObjectEntry,
    PixelAnswerEntry,
    track_of,
)
from unipixel.serving.service import Called, Caller
from unipixel.serving.session_store import Entry
from unipixel.serving.sessions_models import (
    AddBody,
    AnswerReply,
    AskBody,
    CorrectBody,
    MasksBody,
    MergeBody,
    ObjectList,
    OpenBody,
    PixelAnswerReply,
    PixelQaBody,
    ProgressEntry,
    ReferBody,
    RenameBody,
    SessionEntry,
    SessionItem,
    SessionList,
    Streamed,
    TrackBody,
)
from unipixel.serving.turns import Answered, Found, PixelAnswered, ServedSession, Words
from unipixel.serving.worker import Steps, Work

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])


@asynccontextmanager
async def using(caller: Caller, session_id: str) -> AsyncIterator[Entry]:
    """A session of the caller, awake, for this request alone."""
    service = caller.service
    async with service.sessions.using(caller.owner, session_id) as entry:
        await service.sessions.wake(entry, service.model)
        yield entry


@asynccontextmanager
async def acting(caller: Caller, session_id: str) -> AsyncIterator[Entry]:
    """The same for an act that can be taken back."""
    async with using(caller, session_id) as entry:
        session = entry.awake
        before = Moment.of(session)  # nobody else works with it now
        try:
            yield entry
        finally:  # what was cancelled may have done something as well
            entry.history.note(before, Moment.of(session))


@router.post("", status_code=201)
async def open_one(caller: Called, body: OpenBody) -> SessionEntry:
    """Open a picture or video."""
    service = caller.service
    model = service.model
    number, place = service.sessions.new_place(caller.owner)
    try:
        clip = await run_in_threadpool(service.gate.open, caller.owner, body.media, place)
        check_sides(clip)
        pixels = body.pixels.to_core() if body.pixels else None
        content = await run_in_threadpool(content_of, caller.owner, clip)
        session = service.clips.open(model, content, clip, body.num_frames, pixels)
        entry = await service.sessions.add(caller.owner, number, body.media.name or "clip", session)
    except BaseException:  # a cancelled request, too, leaves nothing behind
        await run_in_threadpool(service.sessions.drop_place, place)
        raise
    return await _describe(caller, entry, "none")


@router.get("")
async def listing(caller: Called) -> SessionList:
    """All sessions of the caller."""
    seconds = caller.service.options.limits.session_seconds
    return SessionList(
        data=[
            SessionItem(
                id=entry.id,
                created_at=int(entry.created),
                expires_at=int(entry.used + seconds),
                name=entry.name,
                awake=entry.session is not None,
                restored=entry.restored,
            )
            for entry in caller.service.sessions.list(caller.owner)
        ]
    )


@router.get("/{session_id}", response_model_exclude_none=True)
async def about(caller: Called, session_id: str, mask_format: MaskFormat = "none") -> SessionEntry:
    """A session with its objects."""
    entry = caller.service.sessions.get(caller.owner, session_id)
    await caller.service.sessions.wake(entry, caller.service.model)
    return await _describe(caller, entry, mask_format)


@router.delete("/{session_id}")
async def close(caller: Called, session_id: str) -> Deleted:
    """Close a session; what is under way on it is cancelled."""
    await caller.service.sessions.remove(caller.service.sessions.get(caller.owner, session_id))
    return Deleted(id=session_id, object="session")


@router.post("/{session_id}/ask", response_model=AnswerReply, response_model_exclude_none=True)
async def ask(caller: Called, session_id: str, body: AskBody) -> Any:
    """Ask about the clip and its objects."""
    most = caller.service.options.limits.new_tokens
    return await _perform(caller, session_id, body, compose=lambda one: acts.question(one, body, most))


@router.post("/{session_id}/pixel_qa", response_model=PixelAnswerReply, response_model_exclude_none=True)
async def pixel_qa(caller: Called, session_id: str, body: PixelQaBody) -> Any:
    """Ask about what is pointed at: masks first, then an answer that rests on them."""
    most = caller.service.options.limits.new_tokens
    return await _perform(
        caller, session_id, body, steps=lambda one, work: acts.pixel_qa(work, one, body, most)
    )


@router.post("/{session_id}/refer", response_model=ObjectEntry, response_model_exclude_none=True)
async def refer(caller: Called, session_id: str, body: ReferBody) -> Any:
    """Point at an object; it gets masks and enters the memory."""
    return await _perform(caller, session_id, body, steps=lambda one, _: acts.refer(one, body))


@router.post(
    "/{session_id}/objects/{object_id}/correct", response_model=ObjectEntry, response_model_exclude_none=True
)
async def correct(caller: Called, session_id: str, object_id: int, body: CorrectBody) -> Any:
    """Mend an object on any frame; it is followed again."""
    return await _perform(caller, session_id, body, steps=lambda one, _: acts.correct(one, object_id, body))


@router.post("/{session_id}/track", response_model=ObjectList, response_model_exclude_none=True)
async def track(caller: Called, session_id: str, body: TrackBody) -> Any:
    """Follow objects through the clip."""
    return await _perform(caller, session_id, body, steps=lambda one, _: acts.track(one, body))


@router.post("/{session_id}/merge", response_model_exclude_none=True)
async def merge(caller: Called, session_id: str, body: MergeBody) -> ObjectEntry:
    """Make one object of several."""
    return await _change(caller, session_id, lambda one: one.merge(body.ids), body.mask_format)


@router.get("/{session_id}/objects", response_model_exclude_none=True)
async def objects(caller: Called, session_id: str, mask_format: MaskFormat = "rle") -> ObjectList:
    """All objects with their masks."""
    entry = caller.service.sessions.get(caller.owner, session_id)
    await caller.service.sessions.wake(entry, caller.service.model)
    found = await _describe(caller, entry, mask_format)
    return ObjectList(data=found.objects, next_id=found.next_id)


@router.post("/{session_id}/objects", status_code=201, response_model_exclude_none=True)
async def add(caller: Called, session_id: str, body: AddBody) -> ObjectEntry:
    """Take an object whose masks are known already."""

    def take(session: ServedSession) -> Any:
        masks = track_of(body.frames)
        assert masks is not None, "there is at least one frame"
        return session.add(masks, body.name)

    return await _change(caller, session_id, take, body.mask_format)


@router.put("/{session_id}/objects/{object_id}/masks", response_model_exclude_none=True)
async def replace_masks(caller: Called, session_id: str, object_id: int, body: MasksBody) -> ObjectEntry:
    """Put other masks in the place of an object's."""

    def put(session: ServedSession) -> Any:
        masks = track_of(body.frames)
        assert masks is not None, "there is at least one frame"
        return session.replace_masks(object_id, masks)

    return await _change(caller, session_id, put, body.mask_format)


@router.get("/{session_id}/objects/{object_id}", response_model_exclude_none=True)
async def one_object(
    caller: Called, session_id: str, object_id: int, mask_format: MaskFormat = "rle"
) -> ObjectEntry:
    """One object with its masks."""
    entry = caller.service.sessions.get(caller.owner, session_id)
    session = await caller.service.sessions.wake(entry, caller.service.model)
    known = await caller.service.call(lambda: session[object_id])
    return await asyncio.to_thread(ObjectEntry.of, known, mask_format)


@router.patch("/{session_id}/objects/{object_id}", response_model_exclude_none=True)
async def rename(caller: Called, session_id: str, object_id: int, body: RenameBody) -> ObjectEntry:
    """Give an object a name, or take it away."""
    return await _change(caller, session_id, lambda one: one.rename(object_id, body.name), "none")


@router.delete("/{session_id}/objects/{object_id}")
async def remove(caller: Called, session_id: str, object_id: int) -> Deleted:
    """Forget an object; its number is not given again."""
    async with acting(caller, session_id) as entry:
        session = entry.awake
        await caller.service.call(lambda: session.remove(object_id))
        await caller.service.sessions.keep(entry)
    return Deleted(id=str(object_id), object="object")


# Inside ----------------------------------------------------------------------------------------------------


async def _change(
    caller: Caller, session_id: str, change: Callable[[ServedSession], Any], form: MaskFormat
) -> ObjectEntry:
    """Something quick that gives an object."""
    async with acting(caller, session_id) as entry:
        session = entry.awake
        known = await caller.service.call(lambda: change(session))
        await caller.service.sessions.keep(entry)
    return await asyncio.to_thread(ObjectEntry.of, known, form)


async def _describe(caller: Caller, entry: Entry, form: MaskFormat) -> SessionEntry:
    session = entry.awake
    known, next_id = await caller.service.call(lambda: (session.objects, session.next_id))
    found = await asyncio.to_thread(lambda: [ObjectEntry.of(one, form) for one in known])
    return SessionEntry(
        id=entry.id,
        created_at=int(entry.created),
        expires_at=int(entry.used + caller.service.options.limits.session_seconds),
        restored=entry.restored,
        clip=clip_entry(session.clip, entry.name),
        next_id=next_id,
        objects=found,
    )


async def _perform(
    caller: Caller,
    session_id: str,
    body: Streamed,
    *,
    steps: Callable[[ServedSession, Work], Steps] | None = None,
    compose: Callable[[ServedSession], Question] | None = None,
) -> HttpResponse:
    """Let the worker do something with a session, and give what came of it, whole or as events."""
    async with AsyncExitStack() as stack:
        entry = await stack.enter_async_context(acting(caller, session_id))
        session = entry.awake
        if getattr(body, "follow", True):
            check_interactive(caller, session.clip)

        async def keep() -> None:
            running.cancel()
            await caller.service.call(lambda: None)  # behind the last step of what was cancelled
            await caller.service.sessions.keep(entry)

        made: Callable[[Work], Steps] | None = None if steps is None else lambda work: steps(session, work)
        asked = None if compose is None else lambda: compose(session)
        running = caller.run(steps=made, compose=asked)
        entry.stop = running.cancel
        stack.push_async_callback(keep)
        reply = _Reply(caller, body, session)
        if not body.stream:
            done = await running.finished(caller.request)
            return await asyncio.to_thread(lambda: json_reply(reply.whole(done)))
        await running.begun()
        return EventStream(reply.events(running), stack.pop_all().aclose)


class _Reply:
    """What came of an act on a session, in the form that the caller wants."""

    def __init__(self, caller: Caller, body: Streamed, session: ServedSession) -> None:
        self._caller, self._body, self._session = caller, body, session

    def whole(self, done: Answered | PixelAnswered | Touched) -> BaseModel:
        form = self._body.mask_format
        if isinstance(done, PixelAnswered):
            note(self._caller.service, done.usage)
            found = PixelAnswerEntry.of(done.answer, form)
            return PixelAnswerReply(answer=found, next_id=self._session.next_id)
        if isinstance(done, Answered):
            note(self._caller.service, done.usage)
            answer = AnswerEntry.of(done.response, form)
            return AnswerReply(answer=answer, next_id=self._session.next_id)
        objects = [ObjectEntry.of(known, form) for known in done.objects]
        if isinstance(self._body, TrackBody):
            return ObjectList(data=objects, next_id=done.next_id)
        return objects[0]

    async def events(self, running: Running) -> AsyncIterator[str]:
        try:
            async for told in running.told(self._caller.request):
                if isinstance(told, Words):
                    yield event({"type": "words", "text": told.text})
                elif isinstance(told, Found):
                    yield event(await asyncio.to_thread(self._found, told))
                elif told is None:
                    yield ": still at it\n\n"
            whole = await asyncio.to_thread(self.whole, running.work.result.result())
        except UniPixelError as error:
            yield event({"type": "error", **error_body(self._caller.service, error)})
            return
        yield event({"type": "done", "reply": whole.model_dump(mode="json", exclude_none=True)})

    def _found(self, told: Found) -> dict[str, Any]:
        masks = {
            str(number): FrameEntry.of(mask, self._body.mask_format).model_dump(
                mode="json", exclude_none=True
            )
            for number, mask in told.masks.items()
        }
        progress = ProgressEntry.of(told.progress).model_dump(mode="json")
        return {"type": "frame", "frame": told.frame, "masks": masks, "progress": progress}
