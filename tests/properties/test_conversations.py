"""Text to tokens and back: a person's words are never control tokens, and an answer read while it is written
is the answer."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.properties.few import few

from unipixel.core import tokens as control
from unipixel.core.conversation import Refer, Turn, assistant, user
from unipixel.core.media import Clip
from unipixel.core.prompts import Point
from unipixel.core.question import compose_question, mentioned
from unipixel.core.request import Decoding, Request
from unipixel.errors import RequestError
from unipixel.model.checkpoint import read_config
from unipixel.model.inputs import Grid, Run
from unipixel.processing.processor import PreparedQuestion, Processor, Shown
from unipixel.processing.text import Control, answer_pieces, clip_pieces, encode, question_pieces
from unipixel.processing.tokenizer import Tokenizer

CONTROL = (
    *(control.REF, control.SEG, control.MEM, control.TURN_START, control.TURN_END, control.END_OF_TEXT),
    *(control.VISION_START, control.VISION_END, control.IMAGE_PAD, control.VIDEO_PAD),
)
LETTERS = st.characters(exclude_categories=("Cs",))
WORDS = st.lists(
    st.text(LETTERS, max_size=6) | st.sampled_from([*CONTROL, "[0]", "<|", "|>", "\n", "system\n"])
).map("".join)
"""What a person may type, control tokens among it."""
CLIP = Clip.open(np.zeros((3, 30, 40, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def tokenizer(golden_checkpoint: Path) -> Tokenizer:
    return Tokenizer.open(golden_checkpoint)


@pytest.fixture(scope="module")
def processor(golden_checkpoint: Path, tokenizer: Tokenizer) -> Processor:
    return Processor(read_config(golden_checkpoint, tokenizer.ids()), tokenizer)


@few
@given(text=WORDS)
def test_words_come_back_and_hold_no_control_token(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert (
        tokenizer.decode(ids)
        == tokenizer.decode(ids, keep_control=True)
        == unicodedata.normalize("NFC", text)
    )
    assert not {tokenizer.id(name) for name in CONTROL} & set(ids)


@few
@given(said=st.lists(WORDS.filter(str.strip), min_size=1, max_size=5), points=st.integers(0, 2))
def test_a_conversation_has_the_control_tokens_of_its_form_only(
    tokenizer: Tokenizer, said: list[str], points: int
) -> None:
    said = said[: len(said) - 1 + len(said) % 2]
    roles = (user, assistant)
    turns: list[Turn] = [roles[place % 2](text) for place, text in enumerate(said)]
    turns[0] = user(said[0], *[Refer(Point(1, 1))] * points)
    pieces = [*clip_pieces([Run(4)]), *question_pieces(turns)]
    ids = encode(pieces, tokenizer)
    wanted = [name for piece in pieces if isinstance(piece, Control) for name in [piece.name] * piece.count]
    names = {tokenizer.id(name): name for name in CONTROL}
    assert [names[token] for token in ids if token in names] == wanted
    assert wanted.count(control.REF) == points
    assert wanted.count(control.TURN_END) == len(turns) + 1
    joined = "".join(piece if isinstance(piece, str) else piece.name * piece.count for piece in pieces)
    assert tokenizer.decode(ids, keep_control=True) == unicodedata.normalize("NFC", joined)


@few
@given(text=WORDS.filter(str.strip))
def test_an_answer_ends_with_its_turn(tokenizer: Tokenizer, text: str) -> None:
    ids = encode(answer_pieces(assistant(text)), tokenizer)
    assert ids.count(tokenizer.id(control.TURN_END)) == 1
    assert tokenizer.decode(ids[: ids.index(tokenizer.id(control.TURN_END))]) == unicodedata.normalize(
        "NFC", text
    )


@few
@given(
    st.lists(st.integers(0, 12).map("[{}]".format) | st.text("ab [].", max_size=4), max_size=6),
    st.dictionaries(st.integers(0, 12), st.integers(0, 29), max_size=4),
)
def test_every_prompt_stands_behind_its_first_mention(parts: list[str], places: dict[int, int]) -> None:
    text = "x" + "".join(parts)
    prompts = {number: Point(place, place) for number, place in places.items()}
    turn, memory = compose_question(text, prompts, CLIP)
    assert memory == ()
    assert sorted(map(repr, turn.prompts)) == sorted(map(repr, prompts.values()))
    words = [part for part in turn.parts if isinstance(part, str)]
    assert set(mentioned("".join(words))) == set(mentioned(text)) | set(prompts)
    for before, part in zip(turn.parts, turn.parts[1:], strict=False):
        if isinstance(part, Refer):
            assert isinstance(before, str), "a label stands before each slot"
            number = mentioned(before)[-1]
            assert prompts[number] == part.prompt and before.endswith(f"[{number}] ")


@few
@given(st.text(st.characters(categories=("Cs",)), min_size=1, max_size=2), st.text(max_size=3))
def test_halves_of_characters_are_refused(half: str, text: str) -> None:
    with pytest.raises(RequestError):
        user(text + half)


SPOKEN = st.lists(
    st.sampled_from(["[0]", "[1]", "[2]", "[", "]", "7", " ", "the cup ", "é", "\n", "."]) | st.none(),
    max_size=8,
)
"""Pieces of an answer; None is `<|seg|>`."""


def prepared(stop: tuple[str, ...], next_id: int) -> PreparedQuestion:
    request = Request(CLIP, (user("What?"),), decoding=Decoding(stop=stop), next_id=next_id)
    return PreparedQuestion(request, None, Shown((0,), Grid(1, 2, 2)), ())  # type: ignore[arg-type]


def token_ids(processor: Processor, said: list[str | None]) -> list[int]:
    seg = processor.config.tokens.seg
    return [token for one in said for token in ([seg] if one is None else processor.tokenizer.encode(one))]


@few
@given(said=SPOKEN, stop=st.sampled_from([(), (".",), ("cup",)]), next_id=st.integers(0, 3))
def test_every_mask_has_a_number_of_its_own_and_its_letters(
    processor: Processor, said: list[str | None], stop: tuple[str, ...], next_id: int
) -> None:
    question = prepared(stop, next_id)
    text, mentions = processor.words(question, token_ids(processor, said))
    numbers = [mention.object_id for mention in mentions]
    assert len(numbers) == said.count(None) == len(set(numbers))
    assert all(number >= next_id for number in numbers), "none is taken from an object that was there"
    assert [text[mention.start : mention.stop].split("]")[0] for mention in mentions] == [
        f"[{number}" for number in numbers
    ]


@few
@given(said=SPOKEN, stop=st.sampled_from([(), (".",), ("cup",)]))
def test_what_is_read_so_far_only_grows(
    processor: Processor, said: list[str | None], stop: tuple[str, ...]
) -> None:
    """Where all objects of an answer are numbered by it, each once, or none is; see AnswerStream."""
    numbered = [
        before in ("[0]", "[1]", "[2]") for before, one in zip([None, *said], said, strict=False) if not one
    ]
    written = [before for before, one in zip([None, *said], said, strict=False) if one is None]
    if any(numbered) and (not all(numbered) or len(set(written)) < len(written)):
        return
    question, ids = prepared(stop, 0), token_ids(processor, said)
    whole, _ = processor.words(question, ids)
    shown = ""
    for length in range(len(ids) + 1):
        now = processor.so_far(question, ids[:length])
        assert now.startswith(shown) or shown.startswith(now), (shown, now)
        assert whole.startswith(now), "what was shown is never taken back"
        shown = max(shown, now, key=len)
