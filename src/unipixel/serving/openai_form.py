"""`/v1/chat/completions` and `/v1/models` in OpenAI's form.

One picture or video for a conversation, as an `image_url` or `video_url` part. Parts of the types point, box,
scribble and mask (see `schema`) point at things; in a first message they are `[0]`, `[1]` … in the text, in
later ones the numbers go on behind those of all objects before. What OpenAI's form has no place for stands in
one extra field, `unipixel`, of the answer's message (streaming: of the last delta). A message that is sent
back with it lets later questions speak of its objects.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Literal

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response as HttpResponse

from unipixel.core.media import Clip, check_sides
from unipixel.core.objects import SessionObject
from unipixel.core.question import mentioned
from unipixel.core.request import Decoding
from unipixel.errors import RequestError, UniPixelError
from unipixel.inference.questions import Exchange, Question
from unipixel.serving.calling import EventStream, Running, event
from unipixel.serving.clips import content_of
from unipixel.serving.faults import TooLarge, Unknown
from unipixel.serving.media_input import MediaEntry
from unipixel.serving.openai_models import (
    AnswerMessage,
    ChatChunk,
    ChatReply,
    ChatRequest,
    Choice,
    ChunkChoice,
    ContentPart,
    Delta,
    Extra,
    ImagePart,
    Licences,
    Message,
    ModelEntry,
    ModelList,
    TextPart,
    UsageEntry,
    VideoPart,
)
from unipixel.serving.prompt_schema import (
    MOST_PROMPTS,
    BoxPart,
    MaskPart,
    PointPart,
    ScribblePart,
)
from unipixel.serving.replies import error_body, json_reply, note
from unipixel.serving.schema import (
    AnswerEntry,
    ClipEntry,
    MaskFormat,
    SegmentedEntry,
    track_of,
)
from unipixel.serving.service import Called, Caller
from unipixel.serving.turns import Answered, ServedSession, Words

router = APIRouter(prefix="/v1", tags=["OpenAI's form"])

MOST_NUMBER = 10_000
"""Numbers above it, in an earlier answer, are no objects."""


class Conversation:
    """The messages of a request, taken apart."""

    def __init__(self, messages: list[Message]) -> None:
        """RequestError for conversations that the model cannot have."""
        system = [_text(message) for message in messages if message.role in ("system", "developer")]
        said = [message for message in messages if message.role in ("user", "assistant")]
        roles = [message.role for message in said]
        if not roles or roles != ["user" if place % 2 == 0 else "assistant" for place in range(len(roles))]:
            raise RequestError(
                f"messages alternate, and begin with the user's; found {', '.join(roles[:20])}"
            )
        if roles[-1] != "user":
            raise RequestError("the last message is the user's question")
        self.media: list[MediaEntry] = []
        self.prompts: dict[int, PointPart | BoxPart | ScribblePart | MaskPart] = {}
        self.objects: dict[int, SegmentedEntry] = {}
        self.next_id = self.first_new = 0
        self.texts = [self._read(message) for message in said]
        self.texts[0] = "\n".join([*system, self.texts[0]])
        if len(self.media) != 1:
            raise RequestError(
                f"a conversation is about one picture or video; found {len(self.media)} image_url and "
                "video_url parts"
            )
        if len(self.prompts) > MOST_PROMPTS:
            raise RequestError(f"{len(self.prompts)} prompts; {MOST_PROMPTS} are taken at most")

    def question(self, session: ServedSession, decoding: Decoding, answer_prefix: str) -> Question:
        """The last message as a question to a fresh session; runs in the worker's thread."""
        size = (session.clip.width, session.clip.height)
        known = [
            SessionObject(one.id, "given", one.name, masks=track_of(one.frames))
            for one in self.objects.values()
            if one.frames
        ]
        taken = {one.id for one in known}
        prompts = {number: part.to_core(size) for number, part in self.prompts.items()}
        earlier = [
            Exchange(asked, said) for asked, said in zip(self.texts[:-1:2], self.texts[1::2], strict=True)
        ]
        before = {n: one for n, one in prompts.items() if n < self.first_new and n not in taken}
        session.resume(known, before, earlier, self.first_new)
        return session.question(
            self.texts[-1],
            {number: one for number, one in prompts.items() if number >= self.first_new},
            follow_up=bool(earlier),
            decoding=decoding,
            answer_prefix=answer_prefix,
        )

    def _read(self, message: Message) -> str:
        self.first_new = self.next_id
        for part in _parts(message):
            if isinstance(part, ImagePart | VideoPart):
                url = part.image_url if isinstance(part, ImagePart) else part.video_url
                self.media.append(MediaEntry(url=url.url, fps=url.fps))
            elif not isinstance(part, TextPart):
                self.prompts[self.next_id] = part
                self.next_id += 1
        if message.role == "assistant":
            found = {one.id: one for one in message.unipixel.objects} if message.unipixel else {}
            self.objects.update(found)
            numbers = [*found, *(number for number in mentioned(_text(message)) if number < MOST_NUMBER)]
            self.next_id = max([self.next_id, *(number + 1 for number in numbers)])
        return _text(message)


def _parts(message: Message) -> list[ContentPart]:
    content = message.content
    return content if isinstance(content, list) else [TextPart(type="text", text=content or "")]


def _text(message: Message) -> str:
    return "\n".join(part.text for part in _parts(message) if isinstance(part, TextPart))


# Routes ----------------------------------------------------------------------------------------------------


@router.post("/chat/completions", response_model=ChatReply, response_model_exclude_none=True)
async def complete(caller: Called, asked: ChatRequest) -> HttpResponse:
    """Ask about a picture or video. With `stream`, the answer comes as server-sent events."""
    service = caller.service
    check_model(caller, asked.model)
    conversation = Conversation(asked.messages)
    decoding = asked.decoding(service.options.limits.new_tokens)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(service.folder.passing())
        clip = await run_in_threadpool(service.gate.open, caller.owner, conversation.media[0], folder)
        check_interactive(caller, clip)
        check_sides(clip)
        pixels = asked.pixels.to_core() if asked.pixels else None
        content = await run_in_threadpool(content_of, caller.owner, clip)
        session = service.clips.open(service.model, content, clip, asked.num_frames, pixels)
        stack.callback(lambda: service.worker.alive and service.worker.call(session.close))
        running = caller.run(compose=lambda: conversation.question(session, decoding, asked.answer_prefix))
        stack.callback(running.cancel)
        reply = _Reply(caller, asked, clip)
        if not asked.stream:
            answered = await running.finished(caller.request)
            return await run_in_threadpool(lambda: json_reply(reply.whole(answered)))
        await running.begun()
        return EventStream(reply.chunks(running), stack.pop_all().aclose)


@router.get("/models")
async def models(caller: Called) -> ModelList:
    """The model that answers, and its licences."""
    return ModelList(data=[_model_entry(caller)])


@router.get("/models/{name:path}")
async def model(caller: Called, name: str) -> ModelEntry:
    """The same."""
    check_model(caller, name)
    return _model_entry(caller)


def check_model(caller: Caller, name: str) -> None:
    """Unknown unless it is the model that this server has."""
    own = caller.service.options.public_model
    if name != own:
        raise Unknown(f"there is no model {name!r:.100} here; there is {own!r}")


def check_interactive(caller: Caller, clip: Clip) -> None:
    """TooLarge for clips that nobody should wait for."""
    most = caller.service.options.limits.frames
    if clip.num_frames > most:
        raise TooLarge(
            f"the clip has {clip.num_frames} frames; up to {most} are followed at once: submit it to /v1/jobs"
        )


def _model_entry(caller: Caller) -> ModelEntry:
    service = caller.service
    licences = Licences(**asdict(service.model.config.licences))
    return ModelEntry(id=service.options.public_model, created=int(service.started), licences=licences)


class _Reply:
    """One answer in OpenAI's form."""

    def __init__(self, caller: Caller, asked: ChatRequest, clip: Clip) -> None:
        self._caller, self._asked, self._clip = caller, asked, clip
        self._id, self._created = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())

    def whole(self, answered: Answered) -> ChatReply:
        extra = extra_of(answered, self._clip, self._asked.mask_format)
        message = AnswerMessage(content=answered.response.text, unipixel=extra)
        finish = _finish(answered)
        return ChatReply(
            id=self._id,
            created=self._created,
            model=self._asked.model,
            choices=[Choice(message=message, finish_reason=finish)],
            usage=self._usage(answered),
        )

    async def chunks(self, running: Running) -> AsyncIterator[str]:
        """The answer as events; words as they are written, the masks at the end."""
        yield self._chunk([ChunkChoice(delta=Delta(role="assistant", content=""))])
        try:
            async for told in running.told(self._caller.request):
                if isinstance(told, Words):
                    yield self._chunk([ChunkChoice(delta=Delta(content=told.text))])
                elif told is None:
                    yield ": still at it\n\n"
        except UniPixelError as error:
            yield event(error_body(self._caller.service, error))
            return
        answered: Answered = running.work.result.result()
        extra = await run_in_threadpool(extra_of, answered, self._clip, self._asked.mask_format)
        finish = _finish(answered)
        yield self._chunk([ChunkChoice(delta=Delta(unipixel=extra), finish_reason=finish)])
        usage = self._usage(answered)
        if (self._asked.stream_options or {}).get("include_usage"):
            yield self._chunk([], usage)
        yield "data: [DONE]\n\n"

    def _chunk(self, choices: list[ChunkChoice], usage: UsageEntry | None = None) -> str:
        chunk = ChatChunk(
            id=self._id, created=self._created, model=self._asked.model, choices=choices, usage=usage
        )
        return event(chunk.model_dump(mode="json", exclude_none=True))

    def _usage(self, answered: Answered) -> UsageEntry:
        used = note(self._caller.service, answered.usage)
        return UsageEntry(
            prompt_tokens=used.prompt,
            completion_tokens=used.completion,
            total_tokens=used.prompt + used.completion,
        )


def _finish(answered: Answered) -> Literal["stop", "length"]:
    return "length" if answered.response.finish_reason == "length" else "stop"


def extra_of(answered: Answered, clip: Clip, form: MaskFormat) -> Extra:
    """What OpenAI's form has no place for."""
    entry = AnswerEntry.of(answered.response, form)
    return Extra(
        clip=clip_entry(clip),
        objects=entry.objects,
        mentions=entry.mentions,
        raw_text=entry.raw_text,
        frames_seen=entry.frames_seen,
        finish_reason=entry.finish_reason,
    )


def clip_entry(clip: Clip, name: str | None = None) -> ClipEntry:
    """A clip as it travels; its own name is that of a file here, which nobody needs to know."""
    return ClipEntry(
        name=name or "clip", width=clip.width, height=clip.height, num_frames=clip.num_frames, fps=clip.fps
    )
