"""A client without torch: the library's calls, answered by a server, with the library's own types.

from unipixel import Client, Point
with Client("http://127.0.0.1:8000", token="…").session("clip.mp4") as session:
    ball = session.refer(Point(60, 40, frame=12), name="ball")
    print(session.ask(f"What does [{ball.id}] do?").text)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from PIL import Image

from unipixel.core.frames import Frame, is_folder
from unipixel.core.media import Clip, Source
from unipixel.core.pixel_qa import PixelAnswer, PixelQaWording, Unseen
from unipixel.core.progress import OnProgress
from unipixel.core.prompts import Prompt
from unipixel.core.request import Decoding, PixelBudget
from unipixel.core.response import Response
from unipixel.serving.remote_session import RemoteSession
from unipixel.serving.transport import Json, Transport

if TYPE_CHECKING:
    import httpx


class Client:
    """A server's model, with the signatures of an opened one."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        token: str | None = None,
        *,
        timeout: float = 300.0,
        patience: float = 60.0,
        http: httpx.Client | None = None,
    ) -> None:
        """timeout: seconds to wait for an answer. patience: seconds to try again while the server is busy.
        http: a client of your own (proxies, certificates); its base_url is the server."""
        self._transport = Transport(url, token, timeout, patience, http)
        self.files = Files(self._transport)
        self.jobs = Jobs(self._transport, self.files)

    def ask(
        self,
        clip: Source,
        text: str,
        prompts: Sequence[Prompt] = (),
        *,
        num_frames: int | None = None,
        pixels: PixelBudget | None = None,
        decoding: Decoding | None = None,
        answer_prefix: str = "",
    ) -> Response:
        """Ask one question about a picture or video, as `Predictor.ask` does."""
        with self.session(clip, num_frames=num_frames, pixels=pixels) as session:
            return session.ask(text, prompts, decoding=decoding, answer_prefix=answer_prefix)

    def pixel_qa(
        self,
        clip: Source,
        question: str,
        prompts: Prompt | Sequence[Prompt],
        options: Sequence[str] | None = None,
        *,
        num_frames: int | None = None,
        pixels: PixelBudget | None = None,
        decoding: Decoding | None = None,
        wording: PixelQaWording | None = None,
        unseen: Unseen = "refuse",
    ) -> PixelAnswer:
        """Ask about what is pointed at, as `Predictor.pixel_qa` does: masks first, then an answer that
        rests on them. `prompts[k]` is `[k]` in the question; `options` make it a choice."""
        with self.session(clip, num_frames=num_frames, pixels=pixels) as session:
            return session.pixel_qa(
                question, prompts, options, wording=wording, unseen=unseen, decoding=decoding
            )

    def session(
        self,
        clip: Source,
        *,
        num_frames: int | None = None,
        pixels: PixelBudget | None = None,
        on_progress: OnProgress | None = None,
    ) -> RemoteSession:
        """A session on a picture or video, as `Predictor.session` gives it; the server keeps it until it is
        closed or nobody used it for a while."""
        media, uploads = self.files.bring(clip)
        body: Json = {"media": media, "num_frames": num_frames}
        if pixels is not None:
            body["pixels"] = asdict(pixels)
        try:
            about = self._transport.send("POST", "/v1/sessions", body)
        finally:
            for number in uploads:  # the session has a hold of its own on them
                self.files.delete(number)
        return RemoteSession(self._transport, about, on_progress)

    def resume(self, session_id: str, on_progress: OnProgress | None = None) -> RemoteSession:
        """A session that was opened before, here or elsewhere."""
        about = self._transport.send("GET", f"/v1/sessions/{session_id}")
        return RemoteSession(self._transport, about, on_progress)

    def models(self) -> list[Json]:
        """The server's models with their licences."""
        found: list[Json] = self._transport.send("GET", "/v1/models")["data"]
        return found

    def close(self) -> None:
        """Close the connection; sessions stay with the server."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Files:
    """Uploaded files."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(self, path: str | os.PathLike[str]) -> str:
        """Upload a picture or video; its id."""
        with Path(path).open("rb") as stream:
            return self._upload(Path(path).name, stream)

    def all(self) -> list[Json]:
        """All files of this token."""
        found: list[Json] = self._transport.send("GET", "/v1/files")["data"]
        return found

    def delete(self, file_id: str) -> None:
        """Delete a file."""
        self._transport.send("DELETE", f"/v1/files/{file_id}")

    def bring(self, source: Source) -> tuple[Json, list[str]]:
        """Upload whatever `Clip.open` takes: how to name it to the server, and the ids of its files."""
        if isinstance(source, str) and source.startswith("file-"):
            return {"file_id": source}, []
        clip = (
            None
            if isinstance(source, str | os.PathLike) and not is_folder(Path(source))
            else Clip.open(source)
        )
        if clip is None:
            assert isinstance(source, str | os.PathLike), "other sources are opened here"
            number = self.upload(source)
            return {"file_id": number, "name": Path(source).name[:200]}, [number]
        if len(clip.files) == 1:
            number = self.upload(clip.files[0])
            clock = {} if Clip.open(clip.files[0]).times == clip.times else {"fps": clip.fps}
            return {"file_id": number, "name": clip.name[:200], **clock}, [number]
        numbers = [self.upload(path) for path in clip.files] or self._upload_frames(clip)
        if clip.is_image:
            return {"file_id": numbers[0], "name": clip.name[:200]}, numbers
        return {"file_ids": numbers, "fps": clip.fps, "name": clip.name[:200]}, numbers

    def _upload_frames(self, clip: Clip) -> list[str]:
        return [self._upload(f"{index}.png", _png(frame)) for index, frame in clip.walk()]

    def _upload(self, name: str, content: Any) -> str:
        number: str = self._transport.upload(name, content)["id"]
        return number


class Jobs:
    """Work that nobody waits for; see `sessions_models.JobBody` for the steps."""

    def __init__(self, transport: Transport, files: Files) -> None:
        self._transport, self._files = transport, files

    def submit(self, clip: Source, steps: Sequence[Json], num_frames: int | None = None) -> Json:
        """Submit a clip, and what is to be done on it."""
        media, uploads = self._files.bring(clip)
        body = {"media": media, "steps": list(steps), "num_frames": num_frames}
        try:
            return self._transport.send("POST", "/v1/jobs", body)
        finally:
            for number in uploads:
                self._files.delete(number)

    def get(self, job_id: str) -> Json:
        """How far a job is."""
        return self._transport.send("GET", f"/v1/jobs/{job_id}")

    def cancel(self, job_id: str) -> Json:
        """End a job."""
        return self._transport.send("POST", f"/v1/jobs/{job_id}/cancel")

    def result(self, job_id: str) -> Json:
        """What came of a job."""
        return self._transport.send("GET", f"/v1/jobs/{job_id}/result")


def _png(frame: Frame) -> BytesIO:
    buffer = BytesIO()
    Image.fromarray(frame).save(buffer, "PNG", compress_level=1)
    buffer.seek(0)
    return buffer
