"""A session that a server keeps, with the methods of the library's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from io import BytesIO
from types import TracebackType
from typing import Any

from PIL import Image

from unipixel.core.frames import Frame
from unipixel.core.masks import FrameMask, MaskTrack
from unipixel.core.objects import SessionObject
from unipixel.core.pictures import from_pil
from unipixel.core.pixel_qa import PixelAnswer, PixelQaWording, Unseen
from unipixel.core.progress import OnProgress, Progress
from unipixel.core.prompts import Prompt
from unipixel.core.request import Decoding
from unipixel.core.response import Response
from unipixel.errors import SessionError
from unipixel.serving.prompt_schema import prompt_part
from unipixel.serving.schema import (
    AnswerEntry,
    DecodingEntry,
    FrameEntry,
    ObjectEntry,
    PixelAnswerEntry,
    frame_entries,
)
from unipixel.serving.transport import Json, Transport


class RemoteSession:
    """A session that a server keeps: see `unipixel.Session` for what its methods mean. The hidden tokens by
    which the language model asked for an object (`SessionObject.said`) stay with the server."""

    def __init__(self, transport: Transport, about: Json, on_progress: OnProgress | None) -> None:
        self._transport, self._on_progress = transport, on_progress
        self.id: str = about["id"]
        self.width, self.height = int(about["clip"]["width"]), int(about["clip"]["height"])
        self.num_frames, self.fps = int(about["clip"]["num_frames"]), float(about["clip"]["fps"])
        self._path = f"/v1/sessions/{self.id}"

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """All objects, by id, with their masks."""
        found = self._transport.send("GET", f"{self._path}/objects")
        return tuple(self._object(entry) for entry in found["data"])

    @property
    def next_id(self) -> int:
        """The number that the next object gets."""
        return int(self._transport.send("GET", self._path)["next_id"])

    def __getitem__(self, number: int) -> SessionObject:
        return self._object(self._transport.send("GET", f"{self._path}/objects/{int(number)}"))

    def refer(
        self,
        prompts: Prompt | Sequence[Prompt],
        name: str | None = None,
        *,
        by: str = "decoder",
        follow: bool = True,
    ) -> SessionObject:
        """Point at an object; it gets masks and enters the memory."""
        body = {"prompts": _parts(prompts), "name": name, "by": by, "follow": follow}
        return self._object(self._do("/refer", body))

    def add(self, masks: MaskTrack, name: str | None = None) -> SessionObject:
        """Take an object whose masks are known already."""
        frames = [_json(frame) for frame in frame_entries(masks, "rle")]
        return self._object(
            self._transport.send("POST", f"{self._path}/objects", {"frames": frames, "name": name})
        )

    def correct(
        self, number: int, prompts: Prompt | Sequence[Prompt], *, follow: bool = True
    ) -> SessionObject:
        """Mend an object on any frame; then it is followed again."""
        body = {"prompts": _parts(prompts), "follow": follow}
        return self._object(self._do(f"/objects/{int(number)}/correct", body))

    def rename(self, number: int, name: str | None) -> SessionObject:
        """Give an object a name, or take it away."""
        self._transport.send("PATCH", f"{self._path}/objects/{int(number)}", {"name": name})
        return self[number]

    def remove(self, number: int) -> None:
        """Forget an object; its id is not given again."""
        self._transport.send("DELETE", f"{self._path}/objects/{int(number)}")

    def merge(self, numbers: Sequence[int]) -> SessionObject:
        """Make one object of several."""
        return self._object(self._transport.send("POST", f"{self._path}/merge", {"ids": list(numbers)}))

    def replace_masks(self, number: int, masks: MaskTrack) -> SessionObject:
        """Put other masks in the place of an object's."""
        frames = [_json(frame) for frame in frame_entries(masks, "rle")]
        path = f"{self._path}/objects/{int(number)}/masks"
        return self._object(self._transport.send("PUT", path, {"frames": frames}))

    def undo(self, acts: int = 1) -> tuple[SessionObject, ...]:
        """Take back the latest questions and changes; the objects as they were before. Numbers given since
        are free again. The server remembers the latest ones until it ends; ServerError beyond them."""
        return self._go(-acts)

    def redo(self, acts: int = 1) -> tuple[SessionObject, ...]:
        """Do again what was taken back."""
        return self._go(acts)

    def pixel_qa(
        self,
        question: str,
        prompts: Prompt | Sequence[Prompt],
        options: Sequence[str] | None = None,
        *,
        wording: PixelQaWording | None = None,
        unseen: Unseen = "refuse",
        decoding: Decoding | None = None,
    ) -> PixelAnswer:
        """Ask about what is pointed at, as `unipixel.inference.pixel_qa.pixel_qa` does: prompt k is
        `[next_id + k]` in the question, `[k]` in a new session."""
        body: Json = {"question": question, "prompts": _parts(prompts), "unseen": unseen}
        if options is not None:
            body["options"] = list(options)
        if wording is not None:
            body["wording"] = asdict(wording)
        if decoding is not None:
            body["decoding"] = _json(DecodingEntry.of(decoding))
        return PixelAnswerEntry.model_validate(self._do("/pixel_qa", body)["answer"]).to_core()

    def track(self, numbers: Sequence[int] | None = None) -> Iterator[tuple[int, dict[int, FrameMask]]]:
        """Follow objects, and give masks while they are found; stopped early, the objects keep what was
        found so far."""
        body = {"ids": None if numbers is None else list(numbers)}
        for told in self._transport.stream(f"{self._path}/track", body):
            if told["type"] == "frame":
                self._hear(told)
                yield told["frame"], _masks(told)

    def ask(
        self,
        text: str,
        prompts: Sequence[Prompt] | Mapping[int, Prompt] = (),
        *,
        follow_up: bool = False,
        decoding: Decoding | None = None,
        answer_prefix: str = "",
    ) -> Response:
        """Ask about the clip and its objects."""
        body = _question(text, prompts, follow_up, decoding, answer_prefix)
        return _response(self._do("/ask", body))

    def stream(
        self,
        text: str,
        prompts: Sequence[Prompt] | Mapping[int, Prompt] = (),
        *,
        follow_up: bool = False,
        decoding: Decoding | None = None,
        answer_prefix: str = "",
    ) -> RemoteAnswerStream:
        """Like `ask`, but the text can be read while it is written."""
        body = _question(text, prompts, follow_up, decoding, answer_prefix)
        return RemoteAnswerStream(self._transport.stream(f"{self._path}/ask", body))

    def show(self, frame: int) -> Frame:
        """A frame with all masks on it, uint8 [H, W, 3]."""
        content = self._transport.read(f"{self._path}/frames/{int(frame)}.png?overlay=true")
        with Image.open(BytesIO(content)) as picture:
            return from_pil(picture, f"frame {frame}")

    def overlay(self) -> bytes:
        """The clip with all masks on it: a PNG for a still, an MP4 for a video."""
        return self._transport.read(f"{self._path}/overlay")

    def close(self) -> None:
        """Close the session; the server forgets it."""
        self._transport.send("DELETE", self._path)

    def __enter__(self) -> RemoteSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _go(self, acts: int) -> tuple[SessionObject, ...]:
        path = f"{self._path}/history"
        position = int(self._transport.send("GET", path)["position"]) + acts
        found = self._transport.send("POST", path, {"position": position})
        return tuple(self._object(entry) for entry in found["data"])

    def _do(self, what: str, body: Json) -> Json:
        if self._on_progress is None:
            return self._transport.send("POST", self._path + what, body)
        for told in self._transport.stream(self._path + what, body):
            if told["type"] == "frame":
                self._hear(told)
            elif told["type"] == "done":
                reply: Json = told["reply"]
                return reply
        raise AssertionError("a stream ends with its reply or an error")

    def _hear(self, told: Json) -> None:
        if self._on_progress is not None:
            found = told["progress"]
            left = found["seconds_left"]
            done, total = found["done"], found["total"]
            seconds = 0.0 if left is None or total <= done else left * done / (total - done)
            self._on_progress(Progress(found["what"], done, total, seconds))

    def _object(self, entry: Json) -> SessionObject:
        return ObjectEntry.model_validate(entry).to_core((self.width, self.height))


class RemoteAnswerStream:
    """An answer that is read while it is written: pieces of its text, then `response`, the whole."""

    def __init__(self, events: Iterator[Json]) -> None:
        self._response: Response | None = None
        self._pieces = self._read(events)

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    @property
    def response(self) -> Response:
        """The whole answer with its masks; what is not read yet is read now. SessionError if reading was
        interrupted."""
        for _ in self._pieces:
            pass
        if self._response is None:
            raise SessionError("the answer was interrupted while it was read; ask again")
        return self._response

    def _read(self, events: Iterator[Json]) -> Iterator[str]:
        for told in events:
            if told["type"] == "words":
                yield told["text"]
            elif told["type"] == "done":
                self._response = _response(told["reply"])


def _question(
    text: str,
    prompts: Sequence[Prompt] | Mapping[int, Prompt],
    follow_up: bool,
    decoding: Decoding | None,
    answer_prefix: str,
) -> Json:
    body: Json = {"text": text, "follow_up": follow_up, "answer_prefix": answer_prefix}
    if isinstance(prompts, Mapping):
        body["numbers"] = list(prompts)
    body["prompts"] = _parts(list(prompts.values()) if isinstance(prompts, Mapping) else prompts)
    if decoding is not None:
        body["decoding"] = _json(DecodingEntry.of(decoding))
    return body


def _parts(prompts: Prompt | Sequence[Prompt]) -> list[Json]:
    given = list(prompts) if isinstance(prompts, Sequence) else [prompts]
    return [_json(prompt_part(prompt)) for prompt in given]


def _json(model: Any) -> Json:
    found: Json = model.model_dump(mode="json", exclude_none=True)
    return found


def _masks(told: Json) -> dict[int, FrameMask]:
    return {
        int(number): FrameEntry.model_validate(entry).to_core() for number, entry in told["masks"].items()
    }


def _response(reply: Json) -> Response:
    return AnswerEntry.model_validate(reply["answer"]).to_core()
