"""Pointing: what fits a clip, what is refused and how it is said, where a pointer stands in a question."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from unipixel.core.conversation import Refer, Segment, Turn, assistant, user
from unipixel.core.media import Clip
from unipixel.core.prompts import Box, Point, Prompt, RegionMask, Scribble
from unipixel.core.question import compose_question
from unipixel.errors import PromptError, RequestError

WIDTH, HEIGHT, FRAMES = 60, 40, 3


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Clip.open(np.zeros((FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8))


def mask(*, frame: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)) -> RegionMask:
    cells = np.zeros(size, dtype=np.bool_)
    cells[2:5, 3:9] = True
    return RegionMask(cells, frame)


@pytest.mark.parametrize(
    "prompt",
    [
        Point(0, 0),
        Point(59.9, 39.9, 2),
        Box(0, 0, 59, 39),
        Box(5, 5, 5, 5),
        mask(frame=2),
        Scribble(((0, 0), (9, 9))),
    ],
)
def test_prompts_inside_the_clip_fit(prompt: Prompt) -> None:
    prompt.check(WIDTH, HEIGHT, FRAMES)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (
            Point(60, 0),
            r"the point \(60, 0\) lies outside the 60x40 picture; x runs from 0 to 59, y from 0 to 39",
        ),
        (Point(0, -0.5), r"\(0, -0\.5\) lies outside"),
        (Point(1, 1, 3), "the point is on frame 3, but the clip has 3 frames; give a frame from 0 to 2"),
        (Point(1, 1, -1), "on frame -1"),
        (Box(-1, 0, 5, 5), r"the box's top-left corner \(-1, 0\) lies outside"),
        (Box(0, 0, 5, 40), r"the box's bottom-right corner \(5, 40\) lies outside"),
        (mask(size=(60, 40)), "the mask is 40x60 pixels, but the clip is 60x40"),
        (mask(frame=5), "the mask is on frame 5"),
        (Scribble(((1, 1), (70, 1))), r"the scribble's point \(70, 1\) lies outside"),
    ],
)
def test_prompts_outside_the_clip_say_what_would_fit(prompt: Prompt, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        prompt.check(WIDTH, HEIGHT, FRAMES)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Point(math.nan, 1), "expected finite numbers"),
        (lambda: Box(0, 0, math.inf, 1), "expected finite numbers"),
        (lambda: Box(9, 1, 2, 5), r"swapped corners.*did you mean \(2, 1, 9, 5\)"),
        (lambda: RegionMask(np.zeros((4, 4))), "empty; mark at least one pixel"),
        (lambda: RegionMask(np.ones((4, 4, 3))), r"must be \[height, width\]; found shape \(4, 4, 3\)"),
        (lambda: Scribble(()), "at least one point"),
        (lambda: Scribble(((1, 1),), thickness=0), "thickness must be positive"),
        (lambda: Refer(Point(1, 1, positive=False)), "a negative click cannot stand alone"),
    ],
)
def test_impossible_prompts_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(PromptError, match=message):
        make()


def test_a_region_mask_is_a_copy_that_cannot_change() -> None:
    source = np.zeros((4, 4), dtype=np.uint8)
    source[1, 1] = 255
    region = RegionMask(source)  # type: ignore[arg-type]
    source[:] = 0
    assert region.mask.sum() == 1
    with pytest.raises(ValueError, match="read-only"):
        region.mask[0, 0] = True


def test_a_scribble_covers_its_stroke() -> None:
    stroke = Scribble(((10, 20), (40, 20)), frame=1, thickness=5).to_mask(WIDTH, HEIGHT)
    assert stroke.frame == 1
    assert stroke.mask[20, 10:41].all()
    rows = np.flatnonzero(stroke.mask[:, 25])
    assert (rows.min(), rows.max()) == (18, 22)
    assert stroke.mask.sum() < 6 * 40


def test_a_single_point_scribble_is_a_dot() -> None:
    dot = Scribble(((10, 20),), thickness=7).to_mask(WIDTH, HEIGHT)
    assert dot.mask[20, 10]
    assert 25 <= dot.mask.sum() <= 60


# Questions -----------------------------------------------------------------------------------------------


def test_pointers_stand_behind_their_first_mention(clip: Clip) -> None:
    first, second = Point(1, 1), Box(1, 1, 5, 5)
    turn, memory = compose_question("Does [1] touch [0], and [1] leave?", [first, second], clip)
    assert turn == user("Does [1] ", Refer(second), " touch [0] ", Refer(first), ", and [1] leave?")
    assert turn.prompts == (second, first)
    assert memory == ()


def test_unmentioned_pointers_come_last(clip: Clip) -> None:
    turn, _ = compose_question("What is this?", [Point(1, 1), Point(2, 2)], clip)
    assert turn.parts == (
        "What is this?",
        " [0] ",
        Refer(Point(1, 1)),
        " [1] ",
        Refer(Point(2, 2)),
    )


def test_numbers_are_whole(clip: Clip) -> None:
    prompts = [Point(index, 1) for index in range(11)]
    turn, _ = compose_question("[10] and [1]", prompts, clip)
    assert turn.parts[:4] == ("[10] ", Refer(prompts[10]), " and [1] ", Refer(prompts[1]))


def test_masks_and_scribbles_are_remembered(clip: Clip) -> None:
    region, stroke = mask(frame=2), Scribble(((10, 20), (40, 20)), frame=1)
    turn, memory = compose_question("[0], [1] and [2]?", [region, Point(1, 1), stroke], clip)
    assert turn == user("[0], [1] ", Refer(Point(1, 1)), " and [2]?")
    assert [(kept.id, kept.masks.indices) for kept in memory] == [(0, (2,)), (2, (1,))]
    assert np.array_equal(memory[0].masks.to_array()[0], region.mask)
    assert np.array_equal(memory[1].masks.to_array()[0], stroke.to_mask(WIDTH, HEIGHT).mask)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_question_is_refused_even_with_pointers(clip: Clip, text: str) -> None:
    with pytest.raises(RequestError, match="the question is empty"):
        compose_question(text, [Point(1, 1)], clip)


def test_pointers_are_checked_against_the_clip(clip: Clip) -> None:
    with pytest.raises(PromptError, match="on frame 3"):
        compose_question("What is this?", [Point(1, 1), mask(frame=3)], clip)


# Turns ---------------------------------------------------------------------------------------------------


def test_turns_count_what_they_hold() -> None:
    turn = assistant("[0] ", Segment(), " and [1] ", Segment())
    assert (turn.num_masks, turn.prompts) == (2, ())
    assert assistant(Segment()).num_masks == 1, "a slot alone is no empty text"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: user(" \n"), "the user's text is empty"),
        (lambda: user(), "the user's text is empty"),
        (lambda: Turn("system", ("x",)), "must be 'user' or 'assistant'; found 'system'"),  # type: ignore[arg-type]
        (lambda: user("a", Point(1, 1)), "made of text, Refer and Segment; found Point"),  # type: ignore[arg-type]
    ],
)
def test_impossible_turns_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda frame: Point(1, 1, frame),
        lambda frame: Box(1, 1, 2, 2, frame),
        lambda frame: mask(frame=frame),
        lambda frame: Scribble(((1, 1),), frame),
    ],
)
def test_frames_are_whole_numbers(make: Callable[[object], Prompt]) -> None:
    for wrong in (1.0, "1", None):
        with pytest.raises(PromptError, match="a frame's number is whole"):
            make(wrong)
    assert type(make(np.int64(2)).frame) is int


@pytest.mark.parametrize("value", [math.nan, "yes", None])
def test_masks_that_say_neither_yes_nor_no_are_refused(value: object) -> None:
    with pytest.raises(PromptError, match="yes or no of every pixel"):
        RegionMask(np.array([[1, value], [0, 1]]))


def test_questions_are_text_that_can_be_written(clip: Clip) -> None:
    with pytest.raises(RequestError, match="which is no character"):
        compose_question("what is \ud800?", (), clip)
    with pytest.raises(RequestError, match="a question is text; found int"):
        compose_question(5, (), clip)  # type: ignore[arg-type]
