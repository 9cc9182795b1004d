"""The one door for every caller: requests in, responses out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unipixel.core.media import Clip, Source
from unipixel.core.prompts import Prompt
from unipixel.core.question import ask_about
from unipixel.core.request import Decoding, PixelBudget, Request
from unipixel.core.response import FinishReason, Response
from unipixel.model.config import ModelConfig
from unipixel.model.generate import generate
from unipixel.model.inputs import collate
from unipixel.model.unipixel import UniPixel
from unipixel.processing.processor import Prepared, Processor
from unipixel.tracking import track


@dataclass(frozen=True)
class _Spoken:
    """What the language side said to one request: answer tokens and a mask prompt
    [h, c] for each `<|seg|>`."""

    token_ids: Sequence[int]
    mask_prompts: Tensor
    finish: FinishReason


@dataclass(frozen=True)
class Predictor:
    """An opened model. It holds no state between calls."""

    model: UniPixel
    processor: Processor
    sources: tuple[Path, ...] = field(default=())

    @property
    def config(self) -> ModelConfig:
        return self.model.config

    @property
    def device(self) -> torch.device:
        return self.model.sam2.no_mem_embed.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.sam2.no_mem_embed.dtype

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
        """Ask one question about a picture or video.

        prompts: what you point at, in pixels of the clip; prompt k is object `[k]` in the text. Masks come
        for every frame of the clip. Raises MediaError, PromptError or RequestError before any work starts.
        """
        request = ask_about(
            Clip.open(clip),
            text,
            prompts,
            num_frames=num_frames,
            pixels=pixels,
            decoding=decoding,
            answer_prefix=answer_prefix,
        )
        return self.answer([request])[0]

    @torch.inference_mode()
    def answer(self, requests: Sequence[Request]) -> list[Response]:
        """Answer requests as one batch; each answer is the same as alone."""
        prepared = [self.processor.prepare(request) for request in requests]
        spoken: dict[int, _Spoken] = {}
        for forced in (False, True):
            rows = [
                row for row, request in enumerate(requests) if (request.forced_answer is not None) == forced
            ]
            if rows:
                say = self._read_answers if forced else self._generate
                spoken.update(zip(rows, say([prepared[row] for row in rows]), strict=True))
        return [self._respond(one, spoken[row]) for row, one in enumerate(prepared)]

    def _generate(self, prepared: Sequence[Prepared]) -> list[_Spoken]:
        generated = generate(self.model, self._batch(prepared), [one.request.decoding for one in prepared])
        return [
            _Spoken(
                answer.token_ids,
                _stack(answer.mask_prompts, self.model),
                "stop" if answer.stopped else "length",
            )
            for answer in generated
        ]

    def _read_answers(self, prepared: Sequence[Prepared]) -> list[_Spoken]:
        """Teacher forcing: one pass over the given answers; no word is predicted."""
        batch = self._batch(prepared)
        asked = self.model.mask_prompts(self.model.think(batch), batch.token_ids)
        spoken = []
        for one, prompts in zip(prepared, asked, strict=True):
            answer = one.answer_ids
            count = self.processor.num_masks(answer)
            spoken.append(_Spoken(answer, prompts[len(prompts) - count :], "forced"))
        return spoken

    def _batch(self, prepared: Sequence[Prepared]) -> Any:
        batch = collate([one.inputs for one in prepared], self.config.tokens.end_of_text, pad_left=True)
        return batch.to(self.device, self.dtype)

    def _respond(self, prepared: Prepared, spoken: _Spoken) -> Response:
        masks = (
            track(self.model, prepared.request.clip, spoken.mask_prompts) if len(spoken.mask_prompts) else ()
        )
        return self.processor.respond(prepared, spoken.token_ids, masks, spoken.finish)


def _stack(prompts: Sequence[Tensor], model: UniPixel) -> Tensor:
    if prompts:
        return torch.stack(list(prompts))
    return torch.empty(0, model.config.hidden_tokens, model.config.sam2.d_model)
