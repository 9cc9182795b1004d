"""Questions to answers, as one batch: each clip is read once, all answers are written together, then each
answer's objects are followed through its clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unipixel.core.request import Request
from unipixel.core.response import FinishReason, Response
from unipixel.inference.encoded_clip import EncodedClip
from unipixel.inference.tracking import follow_said
from unipixel.model.generate import Generated, Prefix, Writer, join_prefixes, prefill, read_answers, write
from unipixel.model.inputs import Inputs, collate
from unipixel.model.unipixel import UniPixel
from unipixel.processing.processor import PreparedQuestion, Processor


@dataclass(frozen=True)
class Asked:
    """A request about a clip that may have been encoded before."""

    request: Request
    clip: EncodedClip


@dataclass(frozen=True)
class Spoken:
    """What the language side said: answer tokens and a mask prompt for each `<|seg|>`, [n, h, c]."""

    token_ids: tuple[int, ...]
    mask_prompts: Tensor
    finish: FinishReason


class Answering:
    """A batch of questions on the way to their answers. `write` goes on by one token of each; `spoken`
    tells what was said so far."""

    def __init__(self, model: UniPixel, processor: Processor, asked: Sequence[Asked]) -> None:
        self.questions, self._prefix, self._inputs = _read(model, processor, asked)
        self._model = model
        self._answers = [Generated() for _ in asked]

        decodings = [one.request.decoding for one in asked]
        self._writers = [
            Writer(model, decoding, answer, processor.ends_text(decoding.stop))
            for decoding, answer in zip(decodings, self._answers, strict=True)
        ]

    def write(self) -> Iterator[None]:
        """Write to the end, one token of each answer per turn."""
        state = prefill(self._model, self._inputs, self._prefix)
        yield from write(self._model, state, self._writers)

    def token_ids(self, row: int) -> list[int]:
        """What one answer holds so far."""
        return self._answers[row].token_ids

    def spoken(self) -> list[Spoken]:
        """What was said; an answer that was not written to its end counts as cut at its limit."""
        return [
            Spoken(
                tuple(answer.token_ids),
                _stack(answer.mask_prompts, self._model),
                "stop" if answer.stopped else "length",
            )
            for answer in self._answers
        ]


def speak(
    model: UniPixel, processor: Processor, asked: Sequence[Asked]
) -> list[tuple[PreparedQuestion, Spoken]]:
    """The language side of all answers: written, or read where they are given."""
    spoken: dict[int, tuple[PreparedQuestion, Spoken]] = {}
    for forced in (False, True):
        rows = [row for row, one in enumerate(asked) if (one.request.forced_answer is not None) == forced]
        if rows:
            say = _read_given if forced else _write
            spoken.update(zip(rows, say(model, processor, [asked[row] for row in rows]), strict=True))
    return [spoken[row] for row in range(len(asked))]


def answer(model: UniPixel, processor: Processor, asked: Sequence[Asked]) -> list[Response]:
    """Answer requests as one batch; each answer is the same as alone."""
    return [
        respond(model, processor, question, spoken, one.clip)
        for one, (question, spoken) in zip(asked, speak(model, processor, asked), strict=True)
    ]


def respond(
    model: UniPixel, processor: Processor, question: PreparedQuestion, spoken: Spoken, clip: EncodedClip
) -> Response:
    """Follow the objects of an answer, and put it together."""
    masks = follow_said(model, clip.frames, spoken.mask_prompts)
    return processor.respond(question, spoken.token_ids, masks, spoken.finish)


def _write(
    model: UniPixel, processor: Processor, asked: Sequence[Asked]
) -> list[tuple[PreparedQuestion, Spoken]]:
    answering = Answering(model, processor, asked)
    for _ in answering.write():
        pass
    return list(zip(answering.questions, answering.spoken(), strict=True))


def _read_given(
    model: UniPixel, processor: Processor, asked: Sequence[Asked]
) -> list[tuple[PreparedQuestion, Spoken]]:
    """Teacher forcing: one pass over the given answers; no word is predicted."""
    questions, prefix, inputs = _read(model, processor, asked)
    spoken = []
    for question, prompts in zip(questions, read_answers(model, inputs, prefix), strict=True):
        count = processor.num_masks(question.answer_ids)
        spoken.append((question, Spoken(question.answer_ids, prompts[len(prompts) - count :], "forced")))
    return spoken


def _read(
    model: UniPixel, processor: Processor, asked: Sequence[Asked]
) -> tuple[list[PreparedQuestion], Prefix, Inputs]:
    """Questions, what stands before them, and themselves as one batch, padded on the left."""
    read = [one.clip.read_for(one.request) for one in asked]
    questions = [
        processor.prepare_question(one.request, clip.shown) for one, clip in zip(asked, read, strict=True)
    ]
    batch = collate([question.inputs for question in questions], model.tokens.end_of_text, pad_left=True)
    prefix = join_prefixes([clip.prefix for clip in read])
    return questions, prefix, batch.to(model.device, model.dtype)


def _stack(prompts: Sequence[Tensor], model: UniPixel) -> Tensor:
    if prompts:
        return torch.stack(list(prompts))
    return torch.empty(0, model.config.hidden_tokens, model.config.sam2.d_model)
