"""Several at once give what each gives alone: answers that come and go, and clips that are followed
together."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import unipixel
from unipixel.core.conversation import user
from unipixel.core.media import Clip
from unipixel.core.prompts import Box, Point, Prompt
from unipixel.core.request import Decoding, Request
from unipixel.inference.answering import Answering, Asked
from unipixel.inference.encoded_clip import EncodedClip
from unipixel.inference.following import Following
from unipixel.inference.tracking import answer_together
from unipixel.model.sam2.together import Step, step_together
from unipixel.predictor import Predictor

MEDIA = Path(__file__).parents[2] / "examples" / "media"
CLIP, STILL = MEDIA / "shapes.mp4", MEDIA / "still.jpg"


@pytest.fixture(scope="module")
def tiny() -> Iterator[Predictor]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield unipixel.load("unipixel-tiny")
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def asked(tiny: Predictor) -> Callable[[str, int], Asked]:
    """A question about the picture or two frames of the video, with an answer of so many tokens."""
    still = EncodedClip(tiny.model, tiny.processor, Clip.open(STILL))
    moving = EncodedClip(tiny.model, tiny.processor, Clip.open(Clip.open(CLIP).read(range(2))))

    def ask(text: str, tokens: int) -> Asked:
        clip = still if "picture" in text else moving
        return Asked(Request(clip.clip, (user(text),), decoding=Decoding(tokens)), clip)

    return ask


def alone(tiny: Predictor, one: Asked) -> tuple[list[int], list[torch.Tensor]]:
    answering = Answering(tiny.model, tiny.processor, [one])
    for _ in answering.write():
        pass
    return answering.token_ids(0), list(answering.said(0).mask_prompts)


def test_answers_come_and_go_and_the_others_stay_as_they_are(
    tiny: Predictor, asked: Callable[[str, int], Asked]
) -> None:
    first = [asked("Please segment the blue triangle.", 12), asked("What is in this picture?", 12)]
    late = [asked("Where is the green circle in this picture?", 12), asked("What moves?", 12)]
    answering = Answering(tiny.model, tiny.processor, first)
    rows, batch = [0, 1], []
    for turn, _ in enumerate(answering.write()):
        batch.append(len(answering._batch))
        if turn == 1:
            rows += answering.add(late)
        if turn == 3:
            answering.stop(0)
    assert rows == [0, 1, 2, 3] and batch[:5] == [2, 2, 4, 4, 3], "a stopped answer's place is free at once"
    for row, one in zip(rows[1:], [*first, *late][1:], strict=True):
        tokens, prompts = alone(tiny, one)
        assert answering.token_ids(row) == tokens
        for found, wanted in zip(answering.said(row).mask_prompts, prompts, strict=True):
            assert torch.allclose(found, wanted, atol=1e-4)
    with pytest.raises(KeyError):
        answering.token_ids(0)


def test_an_answer_that_is_stopped_before_it_is_read_costs_no_batch(
    tiny: Predictor, asked: Callable[[str, int], Asked]
) -> None:
    answering = Answering(tiny.model, tiny.processor, [asked("What moves?", 4)])
    answering.stop(0)
    assert list(answering.write()) == []
    (row,) = answering.add([asked("What moves?", 4)])
    assert len(list(answering.write())) == len(answering.token_ids(row)) == 4


def test_clips_are_followed_together_as_each_alone(tiny: Predictor) -> None:
    """Of different lengths, from different frames, in both directions, with clicks and boxes."""
    video = Clip.open(CLIP)
    prompts: list[tuple[int, list[Prompt]]] = [
        (20, [Point(60, 40, frame=3)]),
        (18, [Point(50, 45, frame=0), Point(5, 5, frame=0, positive=False)]),
        (5, [Box(20, 20, 90, 90, frame=2), Point(60, 40, frame=4)]),
        (20, [Point(60, 40, frame=3), Point(62, 42, frame=9)]),
    ]
    sessions = []
    for length, given in prompts:
        session = tiny.session(video.read(range(length)))
        session.refer(given, follow=False)
        sessions.append(session)
    expected = [dict(session.track([0])) for session in sessions]
    all_following = [Following(one.model, one.encoded, one.known, [0]) for one in sessions]
    answers = [iter(one.track) for one in all_following]
    steps = [one.through(found) for one, found in zip(all_following, answers, strict=True)]
    found: list[dict[int, dict[int, object]]] = [{} for _ in steps]
    sizes = []
    while True:
        answer_together(answers)
        sizes.append(sum(bool(one._next) for one in answers))
        got = [next(one, None) for one in steps]
        if not any(got):
            break
        for place, one in enumerate(got):
            if one is not None:
                found[place][one[0]] = one[1]
    assert sizes[0] == 4
    for mine, wanted in zip(found, expected, strict=True):
        assert mine.keys() == wanted.keys()
        for frame in wanted:
            a, b = mine[frame][0], wanted[frame][0]
            different = (a.rle.decode() != b.rle.decode()).sum()  # type: ignore[attr-defined]
            assert different <= 4, "sums are rounded otherwise in a batch"
    for session, one in zip(sessions, found, strict=True):
        masks = session[0].masks
        assert masks is not None and masks.indices == tuple(sorted(one)), "the objects have what was found"


def test_steps_of_one_form_are_one_step(tiny: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Distances count, not frames: a step backwards joins one forwards."""
    sessions = [tiny.session(Clip.open(CLIP).read(range(20))) for _ in range(2)]
    tracker = tiny.model.tracker
    steps = []
    with torch.inference_mode():
        for session, frame, direction in zip(sessions, (2, 12), (1, -1), strict=True):
            session.refer(Point(60, 40, frame=frame), follow=False)
            following = Following(session.model, session.encoded, session.known, [0])
            list(following.track.prompted())
            memory = following.track._started[0][frame].memory
            state = tracker.start(20, direction, frame + direction)
            steps.append(Step(tracker.remember(state, [memory]), session.encoded.frames[frame + direction]))
        expected = [tracker.step(step.state, step.features) for step in steps]
        calls = []
        plain = type(tracker).step
        monkeypatch.setattr(type(tracker), "step", lambda *given: calls.append(1) or plain(*given))
        together = step_together(tracker, steps)
    assert len(calls) == 1
    for (masks, state), (wanted, after) in zip(together, expected, strict=True):
        assert torch.allclose(masks.logits, wanted.logits, atol=1e-3)
        assert (state.frame, state.direction, state.num_frames) == (after.frame, after.direction, 20)
        assert [one.frame for one in state.recent] == [one.frame for one in after.recent]
        assert state.conditioning[0].tokens is not None and state.nbytes == after.nbytes
