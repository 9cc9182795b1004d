"""What can be done on a session, as steps for the worker: the same for a request and for a job."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from unipixel.core.objects import SessionObject
from unipixel.core.pixel_qa import word_question
from unipixel.core.prompts import Prompt
from unipixel.errors import PromptError
from unipixel.inference.pixel_qa import fill_unseen, find_masks, segmented
from unipixel.inference.questions import Question
from unipixel.serving.prompt_schema import Size
from unipixel.serving.sessions_models import (
    AskBody,
    CorrectBody,
    PixelQaBody,
    ReferBody,
    TrackBody,
    core_prompts,
)
from unipixel.serving.speech import answer_alone
from unipixel.serving.turns import PixelAnswered, ServedSession, find, follow
from unipixel.serving.worker import Work


@dataclass(frozen=True)
class Touched:
    """The objects that something was done to, as they are then, and the session's next number."""

    objects: tuple[SessionObject, ...]
    next_id: int


def size_of(session: ServedSession) -> Size:
    """(width, height) of the clip."""
    return session.clip.width, session.clip.height


def question(session: ServedSession, body: AskBody, most_tokens: int) -> Question:
    """A question, composed when its turn has come."""
    prompts = core_prompts(body.prompts, size_of(session))
    numbered: dict[int, Prompt] | list[Prompt] = prompts
    if body.numbers is not None:
        if len(set(body.numbers)) != len(prompts) or len(body.numbers) != len(prompts):
            raise PromptError(f"{len(prompts)} prompts have {len(body.numbers)} numbers; give each its own")
        numbered = dict(zip(body.numbers, prompts, strict=True))
    return session.question(
        body.text,
        numbered,
        follow_up=body.follow_up,
        decoding=body.decoding.to_core(most_tokens),
        answer_prefix=body.answer_prefix,
    )


def refer(session: ServedSession, body: ReferBody) -> Generator[object, None, Touched]:
    """Point at an object, then follow it."""
    prompts = core_prompts(body.prompts, size_of(session))
    known = session.refer(prompts, body.name, by=body.by, follow=body.follow)
    yield from find(session)
    return touched(session, session[known.id])


def correct(session: ServedSession, number: int, body: CorrectBody) -> Generator[object, None, Touched]:
    """Mend an object, then follow it."""
    prompts = core_prompts(body.prompts, size_of(session))
    known = session.correct(number, prompts, follow=body.follow)
    yield from find(session)
    return touched(session, session[known.id])


def pixel_qa(
    work: Work, session: ServedSession, body: PixelQaBody, most_tokens: int
) -> Generator[object, None, PixelAnswered]:
    """Masks of what is pointed at, then an answer that rests on them: `inference.pixel_qa` in steps."""
    prompts = core_prompts(body.prompts, size_of(session))
    numbers = [session.next_id + place for place in range(len(prompts))]
    worded = word_question(body.question, numbers, body.options, body.wording.to_core())
    find_masks(session, worded.first, prompts)
    yield from find(session)
    if body.unseen == "everywhere":
        fill_unseen(session, numbers)
    decoding = body.decoding.to_core(most_tokens)
    asked = session.question(worded.second, decoding=decoding, answer_prefix=worded.answer_prefix)
    answered = yield from answer_alone(work, asked)
    answer = worded.conclude(answered.response, segmented(session, numbers))
    return PixelAnswered(answer, answered.usage)


def track(session: ServedSession, body: TrackBody) -> Generator[object, None, Touched]:
    """Follow objects."""
    numbers = session.to_follow(body.ids)
    yield from follow(session, numbers)
    return touched(session, *(session[number] for number in numbers))


def touched(session: ServedSession, *objects: SessionObject) -> Touched:
    """Objects as they are now."""
    return Touched(objects, session.next_id)
