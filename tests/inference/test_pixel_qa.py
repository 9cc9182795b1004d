"""PixelQA through its public call: both passes, choices, and what happens to objects that are not found."""

import numpy as np
import pytest
from tests.inference.noise_clips import PIXELS, Open, block, noise

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.prompts import Box, Point
from unipixel.core.request import Decoding
from unipixel.errors import ConfigError, RequestError, SessionError
from unipixel.inference.pixel_qa import PixelQaWording, chosen, find_masks, pixel_qa
from unipixel.predictor import Predictor


def test_masks_then_an_answer_that_rests_on_them(model: Predictor, open_session: Open) -> None:
    clip, prompts = noise(5), [Point(20, 20, 2), Box(5, 5, 30, 30, 1)]
    answer = model.pixel_qa(
        clip,
        "What does [0] do to [1]?",
        prompts,
        ["nothing", "all"],
        pixels=PIXELS,
        unseen="everywhere",
        decoding=Decoding(6),
    )
    assert [found.id for found in answer.objects] == [0, 1]
    assert all(len(found.masks) == 5 for found in answer.objects)
    session = open_session(5)
    first = find_masks(session, "What does [0] do to [1]?", prompts)
    assert first.raw_text == "[0] <|seg|> [1] <|seg|>"
    assert first.finish_reason == "forced"


def test_the_two_passes_are_worded_as_wanted(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    session, asked = open_session(4), []
    question = type(session).question

    def recording(self: object, text: str, *others: object, **options: object) -> object:
        asked.append((text, options.get("answer_prefix", "")))
        return question(self, text, *others, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(type(session), "question", recording)
    wording = PixelQaWording(masks="Find: {question}!", best=" Choose.", answer_prefix="Option (")
    pixel_qa(
        session,
        "Is [0] red?",
        [block(session.clip)],
        ["yes", "no"],
        wording=wording,
        unseen="everywhere",
        decoding=Decoding(2),
    )
    whole = "Is [0] red?\nOptions:\n(A) yes\n(B) no Choose."
    assert asked == [(f"Find: {whole}!", ""), (whole, "Option (")]


def test_an_open_question_has_no_prefix_and_no_choice(model: Predictor) -> None:
    answer = model.pixel_qa(
        noise(2), "What is this?", [Point(9, 9)], pixels=PIXELS, unseen="everywhere", decoding=Decoding(3)
    )
    assert answer.choice is None
    assert answer.text == answer.response.text


def test_an_object_that_is_not_found_is_named(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """`find_masks` gives it nothing: refused, or seen everywhere as the published evaluation has it."""
    import unipixel.inference.pixel_qa as module

    def nothing(session: object, text: str, prompts: object) -> None:
        empty = RLE.from_mask(np.zeros((40, 60), bool))
        session.add(MaskTrack(tuple(FrameMask(t, empty, 0.1, False) for t in range(3))))  # type: ignore[attr-defined]

    monkeypatch.setattr(module, "find_masks", nothing)
    with pytest.raises(SessionError, match=r"object \[0\] was found on no frame"):
        pixel_qa(open_session(3), "What is [0]?", [Point(9, 9)], decoding=Decoding(1))
    answer = pixel_qa(
        open_session(3), "What is [0]?", [Point(9, 9)], unseen="everywhere", decoding=Decoding(1)
    )
    assert answer.objects[0].masks.area == 3 * 40 * 60


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("A", "A"),
        ("(b) the red one", "B"),
        ("c.", "C"),
        ("a) yes", "A"),
        ("D", None),
        ("", None),
        ("red", None),
    ],
)
def test_choices(text: str, choice: str | None) -> None:
    assert chosen(text, ["A", "B", "C"]) == choice


def test_bad_calls(open_session: Open) -> None:
    with pytest.raises(RequestError, match="give prompts"):
        pixel_qa(open_session(2), "What?", [])
    with pytest.raises(RequestError, match="2 to 26 options"):
        pixel_qa(open_session(2), "What is [0]?", [Point(1, 1)], ["only"])
    with pytest.raises(RequestError, match="a list of 2 to 26"):
        pixel_qa(open_session(2), "What is [0]?", [Point(1, 1)], "yes")
    with pytest.raises(RequestError, match="unseen is 'bogus'"):
        pixel_qa(open_session(2), "What is [0]?", Point(1, 1), unseen="bogus")  # type: ignore[arg-type]
    for wording in ("no question", "{question} {x}", "{question", "{}"):
        with pytest.raises(ConfigError, match="masks is"):
            PixelQaWording(masks=wording)
