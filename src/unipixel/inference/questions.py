"""Questions to sessions and their answers: composed, asked alone or together, read while they are written.

What a question means to a session's objects is in `Session`; how text and masks are made is in `answering`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unipixel.core.conversation import Turn, assistant, user
from unipixel.core.objects import SessionObject, check_id
from unipixel.core.prompts import Prompt
from unipixel.core.question import compose_question, mentioned
from unipixel.core.request import Decoding, RememberedObject, Request
from unipixel.core.response import Response
from unipixel.errors import RequestError, SessionError
from unipixel.inference.answering import Answering, Asked, speak
from unipixel.inference.prompting import as_sequence

if TYPE_CHECKING:
    from unipixel.inference.session import Session


@dataclass(frozen=True)
class Exchange:
    """A question that was answered, as text in which `[id]` names objects."""

    question: str
    answer: str


@dataclass(frozen=True)
class Question:
    """A question to a session, ready to be answered alone or together with others. `pointers`: what it points
    at, by the id that the object will have; `name`: what those objects are called; `changes`: of the
    session's objects when the question was made."""

    session: Session
    text: str
    request: Request
    pointers: Mapping[int, Prompt]
    changes: int
    name: str | None = None

    def check(self) -> None:
        """SessionError if the session has changed since: numbers and masks may mean something else now."""
        if self.changes != self.session.known.changes:
            raise SessionError("the session's objects have changed since the question was made; make it anew")


class AnswerInterrupted(KeyboardInterrupt):
    """A KeyboardInterrupt while the objects of an answer were followed; `response` has what was found."""

    def __init__(self, response: Response) -> None:
        super().__init__("the answer was interrupted while its objects were followed")
        self.response = response


class AnswerStream:
    """An answer that is read while it is written: iterating gives pieces of its text, `response` the whole
    with its masks, once its objects have been followed.

    Together the pieces are the response's text, but for white space at its end. An exception is an answer
    that first leaves an object without a number and then writes that number for another: then the pieces end
    before it.
    """

    def __init__(self, question: Question) -> None:
        self._question = question
        self._response: Response | None = None
        self._pieces = self._write()

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    @property
    def response(self) -> Response:
        """The whole answer; what is not written yet is written now."""
        for _ in self._pieces:
            pass
        if self._response is None:
            raise SessionError("the answer was interrupted while it was written; ask again")
        return self._response

    def _write(self) -> Iterator[str]:
        session, request = self._question.session, self._question.request
        answering = Answering(session.model, session.processor, [Asked(request, session.encoded)])
        shown = ""
        for _ in answering.write():
            written = session.processor.so_far(answering.questions[0], answering.token_ids(0))
            if written.startswith(shown) and written != shown:
                yield written[len(shown) :]
                shown = written
        written, _ = session.processor.words(answering.questions[0], answering.token_ids(0))
        if written.startswith(shown) and written != shown:
            yield written[len(shown) :]
        response, numbers = session.take(self._question, answering.questions[0], answering.spoken()[0])
        try:
            self._response = session.complete(response, numbers)
        except AnswerInterrupted as stop:
            self._response = stop.response
            raise


def ask_together(questions: Sequence[Question], *, remember_words: bool = True) -> list[Response]:
    """Answer questions of several sessions (each asked once) as one batch; each answer is the same as alone
    (in float32; lower precisions round differently in a batch).

    remember_words: whether the exchange is known to follow-ups. Raises SessionError for a question whose
    session has changed since it was made, and AnswerInterrupted, after which all sessions know their answers,
    with the masks found until then.
    """
    questions = list(questions)
    for question in questions:
        question.check()
    sessions = {id(question.session) for question in questions}
    if len(sessions) < len(questions):
        raise RequestError("a session answers one question at a time; ask its second one afterwards")
    if not questions:
        return []
    first = questions[0].session
    if any(question.session.model is not first.model for question in questions):
        raise RequestError("the sessions belong to different models; ask each model's sessions together")
    asked = [Asked(question.request, question.session.encoded) for question in questions]
    said = speak(first.model, first.processor, asked)
    taken = [
        question.session.take(question, prepared, spoken, remember_words=remember_words)
        for question, (prepared, spoken) in zip(questions, said, strict=True)
    ]
    return [
        question.session.complete(response, numbers)
        for question, (response, numbers) in zip(questions, taken, strict=True)
    ]


def make_question(
    session: Session,
    text: str,
    prompts: Prompt | Sequence[Prompt] | Mapping[int, Prompt],
    *,
    follow_up: bool,
    decoding: Decoding | None,
    answer_prefix: str,
    forced_answer: Turn | None,
) -> Question:
    """A question to a session, checked and composed; see `Session.question`."""
    pointers = _number(session, prompts)
    earlier = session.exchanges if follow_up else ()
    spoken_of = _spoken_of(session, text, earlier, pointers)
    pointed = {known.id: known.pointer for known in spoken_of if known.masks is None and known.pointer}
    turn, fresh = compose_question(text, {**pointed, **pointers}, session.clip)
    asked_for = mentioned(text)  # what only earlier words mention may have been found on no frame
    memory = [
        RememberedObject(known.id, known.masks)
        for known in spoken_of
        if known.masks is not None and (known.id in asked_for or known.masks.area)
    ]
    order = mentioned("\n".join([*_words(earlier), text]))
    memory = sorted([*memory, *fresh], key=lambda one: order.index(one.id) if one.id in order else len(order))
    turns = [said for one in earlier for said in (user(one.question), assistant(one.answer))]
    request = Request(
        clip=session.clip,
        turns=(*turns, turn),
        memory=tuple(memory),
        forced_answer=forced_answer,
        answer_prefix=answer_prefix,
        keep_frames=tuple(prompt.frame for prompt in pointers.values()),
        num_frames=session.num_frames,
        pixels=session.pixels,
        decoding=decoding or Decoding(),
        next_id=session.next_id,
        pointed_ids=frozenset((*pointed, *pointers)),
    )
    request = session.way.showing(request, session.processor, session.encoded)
    return Question(session, text, _showing(session, request), pointers, session.known.changes)


def _number(session: Session, prompts: Prompt | Sequence[Prompt] | Mapping[int, Prompt]) -> dict[int, Prompt]:
    """What a question points at, by the id that it will have."""
    if not isinstance(prompts, Mapping):
        given = as_sequence(prompts, may_be_empty=True)
        return {session.next_id + place: prompt for place, prompt in enumerate(given)}
    numbered = {check_id(number): as_sequence(prompt)[0] for number, prompt in prompts.items()}
    used = [number for number in numbered if number < session.next_id]
    if used:
        raise SessionError(
            f"the numbers {used} were given already; number new objects from {session.next_id} on"
        )
    return numbered


def _spoken_of(
    session: Session, text: str, earlier: Sequence[Exchange], pointers: Mapping[int, Prompt]
) -> list[SessionObject]:
    """The objects that a question speaks of, and those of the exchanges before it which still exist."""
    if not isinstance(text, str):
        raise RequestError(f"a question is text; found {type(text).__name__}")
    numbers = mentioned(text)
    session.known.check([number for number in numbers if number not in pointers])
    for number in numbers:
        known = session.known.get(number)
        if known is not None and known.masks is None and known.pointer is None:
            raise SessionError(f"object {known.label} has no masks yet; follow it with track first")
    before = mentioned("\n".join(_words(earlier)))
    found = (session.known.get(number) for number in dict.fromkeys((*before, *numbers)))
    return [known for known in found if known is not None]


def _showing(session: Session, request: Request) -> Request:
    """The request, so that each remembered object is seen on a frame at least: where no frame that
    would be shown holds it, the one on which it is largest is shown too."""
    areas: dict[int, dict[int, int]] = {}
    for remembered in request.memory:
        areas[remembered.id] = {f.index: f.rle.area for f in remembered.masks if f.rle.area}
        if not areas[remembered.id]:
            raise SessionError(
                f"object {session[remembered.id].label} was found on no frame, so nothing can be said of "
                "it; correct it, or leave it out"
            )
    wanted = request.num_frames or session.processor.config.num_frames
    shown = session.processor.shown_frames(request)
    if all(seen.keys() & set(shown) for seen in areas.values()):
        return request
    keep = covering_frames(list(areas.values()), request.keep_frames, shown)
    if len(keep) > wanted:
        raise SessionError(
            f"the objects {list(areas)} are seen together on no fewer than {len(keep)} frames, but the "
            f"language model sees {wanted}; ask about fewer, or open the session with more num_frames"
        )
    return replace(request, keep_frames=keep)


def covering_frames(
    areas: Sequence[Mapping[int, int]], kept: Sequence[int], shown: Sequence[int]
) -> tuple[int, ...]:
    """Frames that must be shown so that every object is seen: those `kept` in any case, then, while one is
    unseen, the frame that shows the most unseen ones (one that is shown anyway first, then the largest area).

    areas: pixels of each object by frame, at least one frame for each.
    """
    keep = set(kept)
    unseen = [seen for seen in areas if not seen.keys() & keep]
    while unseen:
        frames = {frame for seen in unseen for frame in seen}
        best = max(
            frames,
            key=lambda frame: (
                sum(frame in seen for seen in unseen),
                frame in shown,
                sum(seen.get(frame, 0) for seen in unseen),
                -frame,
            ),
        )
        keep.add(best)
        unseen = [seen for seen in unseen if best not in seen]
    return tuple(sorted(keep))


def _words(exchanges: Sequence[Exchange]) -> list[str]:
    return [words for one in exchanges for words in (one.question, one.answer)]
