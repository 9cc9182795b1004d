"""The one value that says what a caller wants: checked when it is made."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from unipixel.core.conversation import Refer, assistant, user
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.prompts import Box, Point, RegionMask
from unipixel.core.question import remember
from unipixel.core.request import Decoding, PixelBudget, RememberedObject, Request
from unipixel.errors import PromptError, RequestError

CLIP = Clip.open(np.zeros((5, 40, 60, 3), dtype=np.uint8))
ASKED = (user("What is it?"),)


def remembered(number: int, height: int = 40, width: int = 60) -> RememberedObject:
    rle = RLE.from_mask(np.ones((height, width), dtype=np.bool_))
    return RememberedObject(number, MaskTrack((FrameMask(0, rle, 1.0, True),)))


def test_lists_become_tuples_and_nothing_changes_later() -> None:
    request = Request(CLIP, list(ASKED), [remembered(1)])  # type: ignore[arg-type]
    assert request.turns == ASKED
    assert isinstance(request.memory, tuple)
    with pytest.raises(FrozenInstanceError):
        request.num_frames = 3  # type: ignore[misc]


def test_frames_of_prompts_are_kept_with_those_asked_for() -> None:
    turn = user("Is ", Refer(Point(1, 1, frame=3)), " like ", Refer(Box(1, 1, 4, 4, frame=1)), "?")
    assert Request(CLIP, (turn,), keep_frames=(4, 3)).keep_frames == (1, 3, 4)
    assert Request(CLIP, ASKED).keep_frames == ()


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ((), "needs at least one question"),
        ((assistant("Yes."),), "turn 0 is said by the assistant; turns alternate"),
        ((user("a"), user("b")), "turn 1 is said by the user"),
        ((user("a"), assistant("b")), "the last turn must be the user's"),
    ],
)
def test_turns_alternate_and_end_with_a_question(turns: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Request(CLIP, turns)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forced_answer": user("no")}, "must be the assistant's turn"),
        ({"forced_answer": assistant("It is ", Refer(Point(1, 1)))}, "belong in the user's turns"),
        ({"forced_answer": assistant("a"), "answer_prefix": "b"}, "either forced_answer or answer_prefix"),
        ({"num_frames": 0}, "at least 1 frame; found num_frames=0"),
        ({"num_frames": 2.0}, r"num_frames must be a whole number; found 2\.0"),
        ({"answer_prefix": "\ud800"}, r"the text holds '\\ud800', which is no character"),
        ({"clip": 5}, "a request is about a Clip; found int"),
        ({"memory": (remembered(2), remembered(2))}, r"its own id; found \[2, 2\]"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Request(**({"clip": CLIP, "turns": ASKED} | options))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Request(CLIP, ASKED, keep_frames=(5,)),
            "frame 5 does not exist: the clip has frames 0 to 4",
        ),
        (lambda: Request(CLIP, ASKED, keep_frames=(-1,)), "frame -1 does not exist"),
        (lambda: Request(CLIP, (user("x ", Refer(Point(1, 1, 5))),)), "on frame 5"),
        (lambda: Request(CLIP, (user("x ", Refer(Point(60, 1))),)), "outside the 60x40 picture"),
        (
            lambda: Request(CLIP, ASKED, (remembered(3, 60, 40),)),
            r"object \[3\] has masks of 40x60 pixels, but the clip is 60x40",
        ),
    ],
)
def test_what_does_not_fit_the_clip_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(PromptError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Decoding(max_new_tokens=0), "max_new_tokens must be at least 1"),
        (lambda: Decoding(temperature=-0.1), "temperature must be 0"),
        (lambda: Decoding(temperature=float("nan")), "temperature must be 0"),
        (lambda: Decoding(top_p=0), r"top_p must lie in \(0, 1\]"),
        (lambda: Decoding(top_p=1.1), "top_p"),
        (lambda: Decoding(seed=-1), r"seed must be a whole number from 0 to 2\*\*63 - 1; found -1"),
        (lambda: Decoding(seed=2**63), "seed must be"),
        (lambda: Decoding(seed=1.5), "seed must be"),  # type: ignore[arg-type]
        (lambda: user("a \udcff b"), "which is no character"),
        (lambda: assistant("\ud83d"), "which is no character"),
        (lambda: PixelBudget(10, 9), "found 10 and 9"),
        (lambda: PixelBudget(0, 9), "found 0 and 9"),
        (lambda: PixelBudget(shared_frames=0), "shared_frames must be at least 1"),
        (lambda: remembered(-1), "id must be 0 or more"),
    ],
)
def test_impossible_options_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make()


def test_temperatures_next_to_nothing_are_greedy() -> None:
    assert Decoding(temperature=1e-40).temperature == 0
    assert Decoding(temperature=1e-5).temperature == 1e-5
    assert Decoding(seed=2**63 - 1).seed == 2**63 - 1


def test_memory_on_frames_outside_the_clip_is_refused() -> None:
    region = np.ones((CLIP.height, CLIP.width), dtype=np.bool_)
    late = remember(3, RegionMask(region, CLIP.num_frames))
    with pytest.raises(PromptError, match=r"object \[3\] has a mask on frame 5, .* frames 0 to 4"):
        Request(CLIP, ASKED, (late,))
