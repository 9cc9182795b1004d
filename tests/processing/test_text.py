"""Chat form, memory prefix and tokens: what the language model reads, written out."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from unipixel.core.conversation import Refer, Segment, assistant, user
from unipixel.core.media import Clip
from unipixel.core.prompts import Point
from unipixel.core.request import Decoding, Request
from unipixel.errors import WeightsError
from unipixel.loading import load
from unipixel.model.inputs import Run
from unipixel.processing.processor import PreparedQuestion, Processor
from unipixel.processing.text import (
    Control,
    Piece,
    answer_pieces,
    clip_pieces,
    encode,
    memory_prefix,
    question_pieces,
)
from unipixel.processing.tokenizer import Tokenizer

CONTROL = range(360, 377)


@pytest.fixture(scope="module")
def tokenizer(golden_checkpoint: Path) -> Tokenizer:
    return Tokenizer.open(golden_checkpoint)


def shown(pieces: list[Piece]) -> str:
    return "".join(piece if isinstance(piece, str) else piece.name * piece.count for piece in pieces)


def regions(pairs: list[list[int]]) -> torch.Tensor:
    """pairs[object][time] -> regions [time, O, 2, 2] with one cell where it says 1."""
    wanted = torch.tensor(pairs).T.bool()
    cells = torch.zeros(*wanted.shape, 2, 2, dtype=torch.bool)
    cells[..., 1, 0] = wanted
    return cells


def test_the_memory_of_a_video_names_frames() -> None:
    pieces = memory_prefix([3, 0], regions([[1, 0, 1], [0, 1, 0]]), num_frames=6)
    assert shown(pieces) == (
        "Here is a video with 6 frames denoted as <1> to <6>. The highlighted regions are as follows:\n"
        "[3]: <1>-<2> <|mem|> <5>-<6> <|mem|>\n"
        "[0]: <3>-<4> <|mem|>\n"
    )


def test_the_last_label_of_an_odd_clip_goes_one_beyond() -> None:
    pieces = memory_prefix([0], regions([[0, 1]]), num_frames=3)
    assert shown(pieces).endswith(
        "<1> to <3>. The highlighted regions are as follows:\n[0]: <3>-<4> <|mem|>\n"
    )


def test_the_memory_of_a_still_names_no_frames() -> None:
    pieces = memory_prefix([1, 2], regions([[1], [1]]), num_frames=1)
    assert shown(pieces) == (
        "Here is an image with the following highlighted regions:\n[1]: <|mem|>\n[2]: <|mem|>\n"
    )


def test_a_conversation_in_chat_form() -> None:
    turns = (user("Find ", Refer(Point(1, 2)), "."), assistant("Here: ", Segment()), user("And now?"))
    assert shown([*clip_pieces([Run(3)]), *question_pieces(turns, ["memory\n"])]) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|video_pad|><|video_pad|><|video_pad|><|vision_end|>memory\n"
        "Find <|ref|>.<|im_end|>\n"
        "<|im_start|>assistant\nHere: <|seg|><|im_end|>\n"
        "<|im_start|>user\nAnd now?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert shown(answer_pieces(assistant("It is ", Segment()))) == "It is <|seg|><|im_end|>\n"


def test_control_pieces_become_their_ids(tokenizer: Tokenizer) -> None:
    ids = encode([Control("<|mem|>"), Control("<|video_pad|>", 3), Control("<|seg|>")], tokenizer)
    assert ids == [376, 373, 373, 373, 375]


def test_neighbouring_text_is_merged_across_seams(tokenizer: Tokenizer) -> None:
    whole = "Please segment the video"
    assert encode([whole[:9], whole[9:10], whole[10:]], tokenizer) == tokenizer.encode(whole)
    assert tokenizer.encode(whole[:9]) + tokenizer.encode(whole[9:]) != tokenizer.encode(whole)


@pytest.mark.parametrize(
    "text", ["<|seg|> <|im_end|> <|ref|>", "a<|mem|>b", "<|im_start|>system\n", "é ☃ 漢字 \n\t", ""]
)
def test_text_comes_back_and_holds_no_control(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert not set(ids) & set(CONTROL)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(ids, keep_control=True) == text


def test_control_is_shown_only_on_request(tokenizer: Tokenizer) -> None:
    ids = [*tokenizer.encode("a"), 375, *tokenizer.encode("b"), 362]
    assert tokenizer.decode(ids) == "ab"
    assert tokenizer.decode(ids, keep_control=True) == "a<|seg|>b<|im_end|>"


def test_a_saved_tokenizer_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    again = Tokenizer.open(tmp_path)
    assert again.definition == tokenizer.definition
    assert again.ids() == tokenizer.ids()


def test_an_unknown_control_token_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(WeightsError, match=r"no token '<\|nothing\|>'"):
        tokenizer.id("<|nothing|>")


# While it is written -------------------------------------------------------------------------------------


def test_text_is_held_back_until_it_cannot_change(golden_checkpoint: Path) -> None:
    processor = load(golden_checkpoint).processor
    asked = question_with_stop(processor, "###")
    ids = processor.tokenizer.encode("  caña ## and ### more")
    shown = [processor.so_far(asked, ids[:count]) for count in range(len(ids) + 1)]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(shown))
    assert not any("\ufffd" in text or "###" in text for text in shown)
    assert shown[-1] == "caña ## and"
    assert processor.so_far(asked, processor.tokenizer.encode("a #")) == "a"
    assert processor.words(asked, processor.tokenizer.encode("a #"))[0] == "a #"


def test_numbers_are_held_back_until_it_is_known_what_they_name(golden_checkpoint: Path) -> None:
    processor = load(golden_checkpoint).processor
    asked, seg = question_with_stop(processor), [processor.config.tokens.seg]
    encode = processor.tokenizer.encode
    assert processor.so_far(asked, encode("It is [1")) == "It is"
    assert processor.so_far(asked, encode("It is [1] ")) == "It is"
    assert processor.so_far(asked, [*encode("It is [1] "), *seg]) == "It is [1]"
    assert processor.so_far(asked, [*encode("It is "), *seg, *encode(" red")]) == "It is [0] red"


def question_with_stop(processor: Processor, *stop: str) -> PreparedQuestion:
    clip = Clip.open(np.zeros((1, 30, 30, 3), np.uint8))
    return processor.prepare(Request(clip, (user("What?"),), decoding=Decoding(9, stop=stop))).question


def test_stop_texts_are_found_across_tokens(golden_checkpoint: Path) -> None:
    processor = load(golden_checkpoint).processor
    ends = processor.ends_text(("and then", "猫"))
    assert ends is not None
    for text, wanted in (("this and then", True), ("and the", False), ("ein 猫", True), ("", False)):
        assert ends(processor.tokenizer.encode(text)) == wanted
    assert processor.ends_text(()) is None
