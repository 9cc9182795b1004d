"""The one door for every caller: requests in, responses out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from unipixel.core.media import Clip, Source
from unipixel.core.progress import OnProgress
from unipixel.core.prompts import Prompt
from unipixel.core.request import Decoding, PixelBudget, Request
from unipixel.core.response import Response
from unipixel.inference.answering import Asked, answer
from unipixel.inference.live import LiveTracker
from unipixel.inference.mask_way import MaskWay
from unipixel.inference.pixel_qa import PixelAnswer, PixelQaWording, Unseen, pixel_qa
from unipixel.inference.session import KEEP_BYTES, Session
from unipixel.model.config import ModelConfig
from unipixel.model.unipixel import UniPixel
from unipixel.processing.processor import Processor


@dataclass(frozen=True)
class Predictor:
    """An opened model. It holds no state between calls. way: how masks are made of its answers."""

    model: UniPixel
    processor: Processor
    sources: tuple[Path, ...] = field(default=())
    way: MaskWay = field(default_factory=MaskWay)

    @property
    def config(self) -> ModelConfig:
        return self.model.config

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    def session(
        self,
        clip: Source,
        *,
        num_frames: int | None = None,
        pixels: PixelBudget | None = None,
        keep_bytes: int = KEEP_BYTES,
        on_progress: OnProgress | None = None,
    ) -> Session:
        """A session on a picture or video: encoded once, with objects that later questions can speak of.

        num_frames, pixels: what the language model is shown of the clip, by default the model's own choice.
        keep_bytes: frame features that are kept for the mask decoder; beyond that, frames are encoded again
        when they are needed. on_progress hears of every frame on which objects were followed.
        """
        return Session(
            self.model,
            self.processor,
            Clip.open(clip),
            num_frames=num_frames,
            pixels=pixels,
            keep_bytes=keep_bytes,
            on_progress=on_progress,
            way=self.way,
        )

    def load_session(
        self,
        path: str | os.PathLike[str],
        clip: Source | None = None,
        *,
        keep_bytes: int = KEEP_BYTES,
        on_progress: OnProgress | None = None,
    ) -> Session:
        """A session as `Session.save` wrote it; `clip` says where its picture or video is now, if it was
        moved. Raises SessionError."""
        return Session.load(path, self, clip, keep_bytes=keep_bytes, on_progress=on_progress)

    def live(self) -> LiveTracker:
        """Follows objects through frames that come one by one."""
        return LiveTracker(self.model)

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
        """Ask about what is pointed at: masks first, then an answer that rests on them. `prompts[k]` is
        `[k]` in the question; `options` make it a choice. See `unipixel.inference.pixel_qa`."""
        with self.session(clip, num_frames=num_frames, pixels=pixels, keep_bytes=0) as session:
            return pixel_qa(
                session, question, prompts, options, wording=wording, unseen=unseen, decoding=decoding
            )

    def ask(
        self,
        clip: Source,
        text: str,
        prompts: Prompt | Sequence[Prompt] = (),
        *,
        num_frames: int | None = None,
        pixels: PixelBudget | None = None,
        decoding: Decoding | None = None,
        answer_prefix: str = "",
    ) -> Response:
        """Ask one question about a picture or video: a session with one question.

        prompts: what you point at, in pixels of the clip; prompt k is object `[k]` in the text. Masks come
        for every frame of the clip. Raises MediaError, PromptError, RequestError or SessionError before any
        work starts.
        """
        with self.session(clip, num_frames=num_frames, pixels=pixels, keep_bytes=0) as session:
            return session.ask(text, prompts, decoding=decoding, answer_prefix=answer_prefix)

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        """Answer requests as one batch; each answer is the same as alone."""
        return answer(self.model, self.processor, [self._asked(request) for request in requests])

    def _asked(self, request: Request) -> Asked:
        clip = self.way.encoded(self.model, self.processor, request.clip)
        return Asked(self.way.showing(request, self.processor, clip), clip, self.way)
