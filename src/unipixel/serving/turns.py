"""What the worker does for the objects of a session, step by step: a frame at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from unipixel.core.masks import FrameMask
from unipixel.core.media import Clip
from unipixel.core.objects import SessionObject, pointed_at
from unipixel.core.pixel_qa import PixelAnswer
from unipixel.core.progress import Progress
from unipixel.core.prompts import Prompt
from unipixel.core.request import PixelBudget
from unipixel.core.response import Response, SegmentedObject
from unipixel.inference.encoded_clip import EncodedClip
from unipixel.inference.following import Following
from unipixel.inference.questions import Exchange
from unipixel.inference.session import Session
from unipixel.inference.tracking import Answers
from unipixel.predictor import Predictor
from unipixel.serving.worker import Shared


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
    """A session whose masks are found by the worker, step by step between other work: a call only says what
    is to be found (`to_find`). Its clip may be shared with other sessions on the same one."""

    def __init__(
        self,
        opened: Predictor,
        clip: Clip,
        *,
        num_frames: int | None = None,
        pixels: PixelBudget | None = None,
        encoded: EncodedClip | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        """encoded: what is known of the clip already; on_close: hears that nothing of it is used any more."""
        super().__init__(opened.model, opened.processor, clip, num_frames=num_frames, pixels=pixels)
        if encoded is not None:
            self._encoded = encoded.shared_with(clip)
        self._shared, self._on_close = encoded is not None, on_close
        self._unfound: dict[int, bool] = {}

    def _find(self, numbers: Sequence[int], follow: bool) -> None:
        self._unfound.update(dict.fromkeys(numbers, follow))

    def close(self) -> None:
        """Free everything that was computed and is not shared."""
        if self._encoded is not None and self._shared:
            self._encoded = None
        super().close()
        on_close, self._on_close = self._on_close, lambda: None
        on_close()

    def following(self, numbers: Sequence[int]) -> Following:
        """Objects on their way through the clip."""
        return Following(self.model, self.encoded, self.known, numbers)

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
        others = [pointed_at(number, prompt, self.clip) for number, prompt in pointed.items()]
        self.restore([*objects, *others], exchanges, next_id)

    def with_objects(self, response: Response, numbers: Sequence[int]) -> Response:
        """An answer with its objects, once they have been followed; without those that were removed."""
        there = [self[number] for number in numbers if number in self.known]
        objects = [SegmentedObject(one.id, one.masks, one.name) for one in there if one.masks is not None]
        return replace(response, objects=tuple(objects))

    def to_find(self) -> tuple[list[int], list[int]]:
        """Objects whose masks are to be found on their prompted frames, and those of them that are to be
        followed; once."""
        unfound, self._unfound = self._unfound, {}
        there = [number for number in unfound if number in self.known]
        return there, [number for number in there if unfound[number]]


@dataclass(frozen=True)
class PixelAnswered:
    """An answer of PixelQA with what its second pass cost."""

    answer: PixelAnswer
    usage: Usage


def finish_answer(
    session: ServedSession, answered: Answered, numbers: Sequence[int]
) -> Generator[object, None, Answered]:
    """Follow the objects of an answer; its masks are whole at the end."""
    yield from follow(session, numbers)
    return replace(answered, response=session.with_objects(answered.response, numbers))


def follow(session: ServedSession, numbers: Sequence[int]) -> Generator[object, None, None]:
    """Follow objects through the clip; nothing is done for none."""
    if numbers:
        yield from _through(session.following(numbers))


def find(session: ServedSession) -> Generator[object, None, None]:
    """Find the masks that a call on the session asks for: those of the prompted frames are told at once, then
    the objects are followed."""
    numbers, to_follow = session.to_find()
    if not numbers:
        return
    following = session.following(numbers)
    total = session.clip.num_frames
    if total > 1 or not to_follow:
        answers = following.track.prompted()
        prompted = following.prompted(answers)
        yield from _told(answers, prompted, lambda _: Progress("prompted", 0, total, 0))
    if to_follow == numbers:
        yield from _through(following)
    else:
        yield from follow(session, to_follow)


def _through(following: Following) -> Generator[object, None, None]:
    answers, began, total = iter(following.track), time.monotonic(), len(following)

    def progress(done: int) -> Progress:
        return Progress("following", done, total, time.monotonic() - began)

    yield from _told(answers, following.through(answers), progress)


def _told(
    answers: Answers,
    steps: Generator[tuple[int, dict[int, FrameMask]], None, None],
    progress: Callable[[int], Progress],
) -> Generator[object, None, None]:
    """Masks frame by frame; before each, the worker may make it together with those of others."""
    done = 0
    with closing(steps):
        while True:
            yield Shared(answers)
            found = next(steps, None)
            if found is None:
                return
            done += 1
            yield Found(*found, progress(done))
