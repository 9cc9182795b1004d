"""What the worker makes for several requests at once: the next token of all answers, and the next frame's
masks of all clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unipixel.errors import UniPixelError
from unipixel.inference.answering import Answering, Asked, Spoken
from unipixel.inference.questions import Question
from unipixel.inference.tracking import Answers, answer_together
from unipixel.serving.turns import Answered, ServedSession, Usage, Words, finish_answer
from unipixel.serving.worker import Steps, Work

if TYPE_CHECKING:
    from unipixel.processing.processor import PreparedQuestion

READ_SECONDS = 0.05
"""For so long the clips of new questions are read before the answers under way go on."""


@dataclass
class _Row:
    """One question on its way."""

    work: Work
    question: Question
    session: ServedSession
    shown: str = ""


class Speech:
    """All answers that are being written; see `worker.Together`. on_share: hears how many clips are followed
    a frame together."""

    def __init__(self, on_share: Callable[[int], None] = lambda _: None) -> None:
        self._on_share = on_share
        self._new: list[Work] = []
        self._rows: dict[int, _Row] = {}
        self._answering: Answering | None = None
        self._turns: Iterator[None] = iter(())

    @property
    def asked(self) -> tuple[Work, ...]:
        """Those whose questions are being answered."""
        return (*self._new, *(row.work for row in list(self._rows.values())))

    def take(self, works: Sequence[Work]) -> None:
        """Answer more questions, together with those under way."""
        self._new += works

    def speak(self) -> list[tuple[Work, Steps]]:
        """A token of every answer. Work that is over leaves at once; new questions come in, as many as can be
        read without holding up the others for long."""
        for number, row in list(self._rows.items()):
            if row.work.over:
                self._leave(number)
        self._bring_in()
        if self._answering is None:
            return []
        if next(self._turns, self) is self:  # all were written to their ends, or have left
            self._turns = self._answering.write()
            next(self._turns, None)
        return self._tell()

    def share(self, parts: Sequence[Answers]) -> None:
        """The next frame of several clips."""
        self._on_share(len(parts))
        answer_together(parts)

    def drop(self) -> None:
        """Forget all answers."""
        self._new, self._rows, self._answering, self._turns = [], {}, None, iter(())

    def _bring_in(self) -> None:
        rows: list[_Row] = []
        until = time.monotonic() + READ_SECONDS
        while self._new and time.monotonic() < until:
            work = self._new.pop(0)
            if not work.over and (row := _compose(work)) is not None:
                rows.append(row)
        if not rows:
            return
        if self._answering is None:
            first = rows[0].session
            self._answering = Answering(first.model, first.processor)
        numbers = self._answering.add([Asked(row.question.request, row.session.encoded) for row in rows])
        self._rows.update(zip(numbers, rows, strict=True))

    def _tell(self) -> list[tuple[Work, Steps]]:
        assert self._answering is not None, "there are answers"
        answering = self._answering
        said: list[tuple[Work, Steps]] = []
        for number, row in list(self._rows.items()):
            question = answering.questions[number]
            if not answering.finished(number):
                _tell(row, row.session.processor.so_far(question, answering.token_ids(number)))
                continue
            said.append((row.work, _conclude(row, answering.said(number), question)))
            self._leave(number)
        return said

    def _leave(self, number: int) -> None:
        assert self._answering is not None, "there are answers"
        self._answering.stop(number)
        del self._rows[number]


def _compose(work: Work) -> _Row | None:
    """The question, and its clip read: what can go wrong with one question alone goes wrong here."""
    assert work.compose is not None, "only questions are answered together"
    try:
        question = work.compose()
        assert isinstance(question.session, ServedSession), "the server opens its sessions itself"
        question.session.encoded.read_for(question.request)
    except UniPixelError as error:
        work.fail(error)
        return None
    return _Row(work, question, question.session)


def _conclude(row: _Row, spoken: Spoken, prepared: PreparedQuestion) -> Generator[object, None, Answered]:
    """The session knows what was said, and the objects of the answer are followed."""
    session = row.session
    response, numbers = session.take(row.question, prepared, spoken)
    _tell(row, response.text)
    read = len(session.encoded.read_for(row.question.request).prefix)
    usage = Usage(read + prepared.inputs.token_ids.shape[1], len(spoken.token_ids))
    return (yield from finish_answer(session, Answered(response, usage), numbers))


def _tell(row: _Row, written: str) -> None:
    if written.startswith(row.shown) and written != row.shown:
        row.work.tell(Words(written[len(row.shown) :]))
        row.shown = written


def answer_alone(work: Work, question: Question) -> Generator[object, None, Answered]:
    """Write an answer and follow its objects, for what asks in the middle of its own steps."""
    session = question.session
    assert isinstance(session, ServedSession), "the server opens its sessions itself"
    row = _Row(work, question, session)
    answering = Answering(session.model, session.processor, [Asked(question.request, session.encoded)])
    prepared = answering.questions[0]
    for _ in answering.write():
        _tell(row, session.processor.so_far(prepared, answering.token_ids(0)))
        yield None
    return (yield from _conclude(row, answering.said(0), prepared))
