"""Questions to a session: what they say, what their answers leave behind, and which frames they show."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.inference.noise_clips import PIXELS, Open, assert_same, block, noise, told

from unipixel.core.conversation import Segment, assistant
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.objects import Pointing, SessionObject
from unipixel.core.prompts import Point, RegionMask
from unipixel.core.request import Decoding
from unipixel.errors import RequestError, SessionError
from unipixel.inference.prompting import MaskView, prompted_frames
from unipixel.inference.questions import AnswerInterrupted, ask_together, covering_frames
from unipixel.inference.session import Session
from unipixel.inference.tracking import Track
from unipixel.predictor import Predictor

SHORT = Decoding(10)


def test_masks_of_an_answer_become_objects(open_session: Open) -> None:
    session = open_session(3)
    first = told(session, "Both?", "[0] ", Segment(), " and ", Segment())
    assert [found.id for found in first.objects] == [0, 1]
    assert first.text == "[0] and [1]"
    second = told(session, "Again?", "[0] ", Segment())
    assert [found.id for found in second.objects] == [2], "a known object keeps its mask"
    assert second.text == "[0] [2]"
    assert [known.id for known in session.objects] == [0, 1, 2]
    assert session[0].masks == first.objects[0].masks


def test_an_answer_gives_its_mask_to_what_the_question_points_at(open_session: Open) -> None:
    session = open_session(3)
    session.refer(Point(3, 3))
    answer = told(session, "What is [1]?", "[1] ", Segment(), prompts=[Point(9, 9, 1)])
    assert [found.id for found in answer.objects] == [1]
    assert session[1].pointer == Point(9, 9, 1)


def test_what_was_only_pointed_at_is_pointed_at_again(open_session: Open) -> None:
    """No mask, so no `<|mem|>`: a later mention is a `<|ref|>` again."""
    session = open_session(3)
    told(session, "What is [0] here?", "A disc.", prompts=[Point(9, 9, 1)])
    assert session[0].masks is None
    request = session.question("Does [0] move?").request
    assert request.turns[-1].prompts == (Point(9, 9, 1),)
    assert request.memory == ()
    later = told(session, "Mask [0].", "[0] ", Segment())
    assert [found.id for found in later.objects] == [0]
    assert session.question("Does [0] move?").request.memory[0].id == 0
    other = open_session(3)
    told(other, "What is [0] here?", "A disc.", prompts=[Point(9, 9, 1)])
    corrected = other.correct(0, Point(12, 12, 1))
    assert [len(pointing.prompts) for pointing in corrected.pointings] == [1, 1]


def test_memory_is_listed_in_the_order_of_the_text(open_session: Open) -> None:
    session = open_session(4)
    for left in (2, 20, 35):
        session.refer(block(session.clip, 0, left), follow=False)
    request = session.question("[2], [0] or [2]?").request
    assert [remembered.id for remembered in request.memory] == [2, 0]
    decoded = session.processor.tokenizer.decode(
        session.processor.prepare(request).inputs.token_ids[0].tolist(), keep_control=True
    )
    assert "[2]: <1>-<2> <|mem|>\n[0]: <1>-<2> <|mem|>\n[2], [0] or [2]?" in decoded


def test_follow_ups_know_what_was_said_and_others_do_not(open_session: Open) -> None:
    session = open_session(3)
    session.refer(block(session.clip), follow=False)
    told(session, "What is [0]?", "A block.")
    alone = session.question("And where?").request
    assert len(alone.turns) == 1
    assert alone.memory == ()
    with_words = session.question("And where?", follow_up=True).request
    assert [turn.parts for turn in with_words.turns] == [("What is [0]?",), ("A block.",), ("And where?",)]
    assert [remembered.id for remembered in with_words.memory] == [0]
    session.remove(0)
    assert session.question("And where?", follow_up=True).request.memory == ()


def test_sessions_answer_together_as_alone(model: Predictor) -> None:
    texts = ["What?", "Segment [0] and tell what it does.", "Where does it go, and why?"]

    def sessions() -> Iterator[Session]:
        for place in range(3):
            session = model.session(noise(2 + 3 * place, 40 + 16 * place, 60, place), pixels=PIXELS)
            if place == 1:
                session.refer(block(session.clip), follow=False)
            yield session

    asked = [one.question(text, decoding=Decoding(15)) for one, text in zip(sessions(), texts, strict=True)]
    for together, session, text in zip(ask_together(asked), sessions(), texts, strict=True):
        assert_same(together, session.ask(text, decoding=Decoding(15)))
    with pytest.raises(RequestError, match="one question at a time"):
        ask_together([asked[0], asked[0]])
    assert ask_together([]) == []


def test_a_stream_gives_the_text_as_it_is_written(open_session: Open) -> None:
    session, decoding = open_session(4), Decoding(14)
    stream = session.stream("Tell me.", decoding=decoding)
    pieces = list(stream)
    assert len(pieces) > 2
    whole = open_session(4).ask("Tell me.", decoding=decoding)
    assert_same(stream.response, whole)
    assert "".join(pieces).strip() == whole.text
    assert session.exchanges[0].question == "Tell me."
    late = open_session(4).stream("Tell me.", decoding=decoding)
    assert_same(late.response, whole)


def test_closed_sessions_say_so(open_session: Open) -> None:
    with open_session(3) as session:
        session.refer(Point(4, 4))
    assert session.nbytes == 0
    assert session[0].masks is not None, "what was made stays readable"
    for act in (
        lambda: session.ask("What?"),
        lambda: session.refer(Point(4, 4)),
        lambda: session.correct(0, Point(4, 4)),
        lambda: list(session.track()),
    ):
        with pytest.raises(SessionError, match="closed"):
            act()


def test_fifty_sessions_leave_no_trace(model: Predictor) -> None:
    def rss() -> int:
        gc.collect()
        pages = Path("/proc/self/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def one(place: int) -> int:
        with model.session(noise(8, seed=place), pixels=PIXELS) as session:
            session.refer(Point(20, 20, 4))
            session.ask("What is [0]?", decoding=Decoding(3))
            return session.nbytes

    held = one(0)
    for place in range(5):
        one(place)
    before = rss()
    for place in range(50):
        one(place)
    grown = rss() - before
    print(f"50 sessions of {held / 1e6:.1f} MB: {grown / 1e6:+.1f} MB")
    assert grown < 4 * held, "sessions are not freed"


# What is in the way of each other ------------------------------------------------------------------------


def test_a_question_is_asked_of_the_session_it_was_made_for(open_session: Open) -> None:
    session = open_session(3)
    question = session.question("What is [0]?", [Point(9, 9)], decoding=Decoding(1))
    session.refer(block(session.clip), "precious")
    with pytest.raises(SessionError, match="have changed since"):
        ask_together([question])
    assert session[0].name == "precious" and session[0].masks is not None
    stream = session.stream("And what is [1]?", [Point(9, 9)], decoding=Decoding(3))
    next(iter(stream), None)
    session.refer(block(session.clip, 1))
    with pytest.raises(SessionError, match="have changed since"):
        _ = stream.response
    assert session[1].pointings


def test_following_that_is_overtaken_by_a_correction_leaves_it_alone(open_session: Open) -> None:
    session = open_session(5)
    session.refer(Point(20, 20, 0))
    running = session.track()
    next(running), next(running)
    region = block(session.clip, 1, 30)
    session.correct(0, region)
    corrected = session[0].masks
    running.close()  # type: ignore[attr-defined]
    assert session[0].masks == corrected


def test_only_numbers_that_are_written_name_what_is_pointed_at(open_session: Open) -> None:
    session = open_session(3)
    answer = told(session, "Segment the cat next to [0].", "Sure, ", Segment(), prompts=[Point(9, 9)])
    assert [found.id for found in answer.objects] == [1]
    assert session[0].masks is None and session[0].pointer == Point(9, 9)
    far = told(session, "And?", "[20000000] ", Segment())
    assert [found.id for found in far.objects] == [2], "numbers far away would leave a hole behind them"


def test_an_interrupted_batch_knows_all_its_answers(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [model.session(noise(4, seed=seed), pixels=PIXELS) for seed in range(2)]
    asked = [
        one.question("Segment it.", forced_answer=assistant("[0] ", Segment(), f" {place}"))
        for place, one in enumerate(sessions)
    ]
    step = Track._step

    def interrupted(track: Track, number: int, index: int, *others: object) -> object:
        if index == 2:
            raise KeyboardInterrupt
        return step(track, number, index, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(Track, "_step", interrupted)
    with pytest.raises(AnswerInterrupted) as caught:
        ask_together(asked)
    assert [mask.index for mask in caught.value.response.objects[0].masks] == [0, 1]
    assert [one.exchanges[0].answer for one in sessions] == ["[0] 0", "[0] 1"]
    monkeypatch.undo()
    assert len(list(sessions[1].track())) == 4


def test_what_was_not_followed_yet_cannot_be_spoken_of(
    open_session: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(3)

    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(Track, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        session.refer(Point(9, 9))
    monkeypatch.undo()
    with pytest.raises(SessionError, match=r"\[0\] has no masks yet; follow it with track"):
        session.ask("What is [0]?")
    list(session.track())
    assert session[0].masks is not None


# Frames that are shown -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("areas", "kept", "shown", "expected"),
    [
        ([{4: 9}, {5: 9}], (), (0, 4, 8), (4, 5)),
        ([{6: 1, 1: 9}, {6: 1, 2: 9}, {6: 1, 3: 9}], (), (0, 8), (6,)),
        ([{0: 1, 5: 99}], (), (0, 4, 8), (0,)),
        ([{3: 5}], (3,), (0, 3, 8), (3,)),
        ([{1: 5, 2: 7}], (8,), (0, 8), (2, 8)),
        ([], (1,), (0, 1), (1,)),
    ],
)
def test_frames_that_show_every_object(
    areas: list[dict[int, int]], kept: tuple[int, ...], shown: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert covering_frames(areas, kept, shown) == expected


def test_objects_that_do_not_fit_the_frames_are_refused_with_both_numbers(open_session: Open) -> None:
    session = open_session(9, num_frames=2)
    for index in (3, 5, 6):
        mask = FrameMask(index, RLE.from_mask(block(session.clip).mask), 1.0, True)
        session.add(MaskTrack((mask,)))
    assert session.ask("[0] and [2]?", decoding=Decoding(1)).frames_seen == (3, 6)
    with pytest.raises(SessionError, match="no fewer than 3 frames, but the language model sees 2"):
        session.ask("[0], [1] and [2]?")


def test_a_thin_mask_is_not_lost(open_session: Open) -> None:
    clip = Clip.open(np.random.default_rng(0).integers(0, 255, (2, 400, 400, 3), dtype=np.uint8))
    line = np.zeros((400, 400), bool)
    line[200] = True
    model = open_session(1).model
    view = MaskView.of(clip, model.config.sam2)
    (frame,) = prompted_frames(SessionObject(0, "pointed", pointings=(Pointing((RegionMask(line),)),)), view)
    prompt = frame.steps[0].mask
    assert prompt is not None and prompt.sum() > 0
