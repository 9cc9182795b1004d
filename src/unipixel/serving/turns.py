"""What the worker does for a question or an object of a session, step by step: a token of every answer, or a
frame of every object."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unipixel.core.masks import FrameMask
from unipixel.core.objects import SessionObject
from unipixel.core.progress import Progress
from unipixel.core.prompts import Prompt
from unipixel.core.response import Response, SegmentedObject
from unipixel.errors import UniPixelError
from unipixel.inference.answering import Answering, Asked, Spoken
from unipixel.inference.session import Exchange, Question, Session
from unipixel.serving.worker import Steps, Work

if TYPE_CHECKING:
    from unipixel.processing.processor import PreparedQuestion


@dataclass(frozen=True)
class Words:
    """A piece of an answer's text."""

    text: str


@dataclass(frozen=True)
class Found:
    """Masks of one frame, by object id, and how far the following is."""

    frame: int
    masks: dict[int, FrameMask]
    progress: Progress


@dataclass(frozen=True)
class Usage:
    """Tokens read and written for one answer."""

    prompt: int
    completion: int


@dataclass(frozen=True)
class Answered:
    """A whole answer with what it cost."""

    response: Response
    usage: Usage


class ServedSession(Session):
    """A session whose objects are followed by the worker, frame by frame between other work: inside a call
    they get the masks of their prompted frames alone, and `unfollowed` says which are to be followed."""

    unfollowed: tuple[int, ...] = ()

    def _find(self, numbers: Sequence[int], follow: bool) -> None:
        if follow and self.clip.num_frames > 1:
            self.unfollowed = (*self.unfollowed, *numbers)
        super()._find(numbers, follow and self.clip.num_frames == 1)

    def resume(
        self,
        objects: Sequence[SessionObject],
        pointed: Mapping[int, Prompt],
        exchanges: Sequence[Exchange],
        next_id: int,
    ) -> None:
        """Take a conversation up: objects with masks, what was only pointed at, what was said."""
        for prompt in pointed.values():
            prompt.check(self.clip.width, self.clip.height, self.clip.num_frames)
        others = [self._pointed_at(number, prompt) for number, prompt in pointed.items()]
        self.restore([*objects, *others], exchanges, next_id)

    def with_objects(self, response: Response, numbers: Sequence[int]) -> Response:
        """An answer with its objects, once they have been followed; without those that were removed."""
        there = [self[number] for number in numbers if number in self.known]
        objects = [SegmentedObject(one.id, one.masks, one.name) for one in there if one.masks is not None]
        return replace(response, objects=tuple(objects))

    def to_follow(self) -> tuple[int, ...]:
        """What is to be followed, once."""
        numbers, self.unfollowed = tuple(dict.fromkeys(self.unfollowed)), ()
        return tuple(number for number in numbers if number in self.known)


@dataclass
class _Row:
    """One question of a batch on its way."""

    work: Work
    question: Question
    session: ServedSession
    shown: str = ""


def answer_together(asked: Sequence[Work]) -> Steps:
    """Answer questions as one batch. Work that cannot be asked fails alone; the others are told their words,
    and are left with what they said, to be followed by `finish_answer`."""
    rows = []
    for work in asked:
        if (row := _compose(work)) is not None:
            rows.append(row)
            yield None
    rows = [row for row in rows if not row.work.over]
    if not rows:
        return
    first = rows[0].session
    answering = Answering(
        first.model, first.processor, [Asked(row.question.request, row.session.encoded) for row in rows]
    )
    for _ in answering.write():
        for place, row in enumerate(rows):
            if not row.work.over:
                _tell(row, first.processor.so_far(answering.questions[place], answering.token_ids(place)))
        if all(row.work.over for row in rows):
            return
        yield None
    for place, (row, spoken) in enumerate(zip(rows, answering.spoken(), strict=True)):
        if not row.work.over:
            _take(row, spoken, answering.questions[place])
            yield None


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


def _take(row: _Row, spoken: Spoken, prepared: PreparedQuestion) -> None:
    session = row.session
    try:
        response, numbers = session.take(row.question, prepared, spoken)
    except UniPixelError as error:
        row.work.fail(error)
        return
    _tell(row, response.text)
    read = len(session.encoded.read_for(row.question.request).prefix)
    usage = Usage(read + prepared.inputs.token_ids.shape[1], len(spoken.token_ids))
    row.work.answered = lambda: finish_answer(session, Answered(response, usage), numbers)


def _tell(row: _Row, written: str) -> None:
    if written.startswith(row.shown) and written != row.shown:
        row.work.tell(Words(written[len(row.shown) :]))
        row.shown = written


def finish_answer(
    session: ServedSession, answered: Answered, numbers: Sequence[int]
) -> Generator[object, None, Answered]:
    """Follow the objects of an answer; its masks are whole at the end."""
    yield from follow(session, numbers)
    return replace(answered, response=session.with_objects(answered.response, numbers))


def follow(session: Session, numbers: Sequence[int]) -> Generator[object, None, None]:
    """Follow objects through the clip; nothing is done for none."""
    if not numbers:
        return
    steps = session.track(list(numbers))
    starts = [min(session[number].frames) for number in numbers]
    total = session.clip.num_frames + max(starts) - min(starts)
    began = time.monotonic()
    for done, (frame, masks) in enumerate(steps, 1):
        yield Found(frame, masks, Progress("following", done, total, time.monotonic() - began))


def then_follow(session: ServedSession, known: SessionObject) -> Generator[object, None, SessionObject]:
    """An object with masks on its prompted frames: those are told at once, then it is followed."""
    numbers = session.to_follow()
    if numbers and known.masks is not None:
        for mask in known.masks:
            if mask.index in known.frames:
                yield Found(mask.index, {known.id: mask}, Progress("prompted", 0, session.clip.num_frames, 0))
    yield from follow(session, numbers)
    return session[known.id]
