"""Questions to answers, as one batch: each clip is read once, all answers are written together, then each
answer's objects are followed through its clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from unipixel.core.request import Request
from unipixel.core.response import FinishReason, Response
from unipixel.inference.encoded_clip import EncodedClip
from unipixel.inference.mask_way import MaskWay
from unipixel.inference.tracking import follow_said
from unipixel.model.generate import (
    Generated,
    GenerationState,
    Prefix,
    Writer,
    advance,
    choose,
    join_generations,
    join_prefixes,
    keep_rows,
    prefill,
    read_answers,
)
from unipixel.model.inputs import Inputs, collate
from unipixel.model.unipixel import UniPixel
from unipixel.processing.processor import PreparedQuestion, Processor


@dataclass(frozen=True)
class Asked:
    """A request about a clip that may have been encoded before, and how masks are made of its answer."""

    request: Request
    clip: EncodedClip
    way: MaskWay = field(default_factory=MaskWay)


@dataclass(frozen=True)
class Spoken:
    """What the language side said: answer tokens and a mask prompt for each `<|seg|>`, [n, h, c]."""

    token_ids: tuple[int, ...]
    mask_prompts: Tensor
    finish: FinishReason


@dataclass(frozen=True)
class _Row:
    """One answer on its way."""

    question: PreparedQuestion
    answer: Generated
    writer: Writer


class Answering:
    """Questions on the way to their answers, as one batch. `write` goes on by one token of each; between two
    tokens further questions may come (`add`), and those that nobody waits for may go (`stop`). Each answer is
    known by the number of its row."""

    def __init__(self, model: UniPixel, processor: Processor, asked: Sequence[Asked] = ()) -> None:
        self._model, self._processor = model, processor
        self._rows: dict[int, _Row] = {}
        self._next_row = 0
        self._fresh: list[tuple[list[int], Inputs, Prefix]] = []
        self._batch: list[int] = []
        self._state: GenerationState | None = None
        if asked:
            self.add(asked)

    @property
    def questions(self) -> dict[int, PreparedQuestion]:
        """What is asked, by row."""
        return {number: row.question for number, row in self._rows.items()}

    def add(self, asked: Sequence[Asked]) -> list[int]:
        """Answer more questions, together with those under way; their rows."""
        questions, prefix, inputs = _read(self._model, self._processor, asked)
        numbers = list(range(self._next_row, self._next_row + len(asked)))
        self._next_row += len(asked)
        for number, one, question in zip(numbers, asked, questions, strict=True):
            decoding, answer = one.request.decoding, Generated()
            ends = self._processor.ends_text(decoding.stop)
            self._rows[number] = _Row(question, answer, Writer(self._model, decoding, answer, ends))
        self._fresh.append((numbers, inputs, prefix))
        return numbers

    def stop(self, row: int) -> None:
        """Forget an answer, finished or not: its place in the batch is free from the next token on."""
        self._rows.pop(row, None)

    def write(self) -> Iterator[None]:
        """Write to the end, one token of each answer per turn."""
        while True:
            self._join()
            if self._state is None:
                return
            writers = [self._rows[row].writer for row in self._batch]
            chosen = choose(self._model, self._state, writers)
            yield
            self._go_on(chosen)

    def token_ids(self, row: int) -> list[int]:
        """What one answer holds so far."""
        return self._rows[row].answer.token_ids

    def finished(self, row: int) -> bool:
        """Whether one answer is written to its end."""
        return self._rows[row].writer.finished

    def said(self, row: int) -> Spoken:
        """What one answer says; if it is not written to its end, it counts as cut at its limit."""
        answer = self._rows[row].answer
        prompts = _stack(answer.mask_prompts, self._model)
        return Spoken(tuple(answer.token_ids), prompts, "stop" if answer.stopped else "length")

    def spoken(self) -> list[Spoken]:
        """What all say, in the order of their rows."""
        return [self.said(row) for row in self._rows]

    def _join(self) -> None:
        """Read what was asked meanwhile, and take it into the batch."""
        fresh, self._fresh = self._fresh, []
        for numbers, inputs, prefix in fresh:
            state = prefill(self._model, inputs, prefix)
            there = [place for place, row in enumerate(numbers) if row in self._rows]
            if not there:
                continue
            if len(there) < len(numbers):
                state = keep_rows(self._model, state, there)
            self._state = join_generations(self._model, [*([self._state] if self._state else []), state])
            self._batch += [numbers[place] for place in there]

    def _go_on(self, chosen: Sequence[int]) -> None:
        """Read what was chosen; without those that were stopped, and not if nothing is left to be written."""
        assert self._state is not None, "there is a batch"
        there = [place for place, row in enumerate(self._batch) if row in self._rows]
        if all(self.finished(self._batch[place]) for place in there):
            self._state, self._batch = None, []
            return
        if len(there) < len(self._batch):
            self._state = keep_rows(self._model, self._state, there)
            self._batch = [self._batch[place] for place in there]
        going_on = torch.tensor([chosen[place] for place in there], device=self._state.hidden.device)
        advance(self._model, self._state, going_on)


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
        respond(model, processor, question, spoken, one)
        for one, (question, spoken) in zip(asked, speak(model, processor, asked), strict=True)
    ]


def respond(
    model: UniPixel, processor: Processor, question: PreparedQuestion, spoken: Spoken, asked: Asked
) -> Response:
    """Follow the objects of an answer, and put it together."""
    frames, request = asked.clip.frames, asked.request
    starts = asked.way.starts(frames, question.shown.frames, spoken.mask_prompts)
    masks = follow_said(model, frames, spoken.mask_prompts, starts)
    response = processor.respond(question, spoken.token_ids, masks, spoken.finish)
    known = [one.id for one in response.objects] + [one.id for one in request.memory]
    next_id = max(request.next_id, 1 + max(known, default=-1))
    return asked.way.split(response, next_id, request.pointed_ids)


def _write(
    model: UniPixel, processor: Processor, asked: Sequence[Asked]
) -> list[tuple[PreparedQuestion, Spoken]]:
    answering = Answering(model, processor, asked)
    for _ in answering.write():
        pass
    return list(zip(answering.questions.values(), answering.spoken(), strict=True))


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
