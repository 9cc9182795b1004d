"""Decoding: what is recorded, when it stops, and that a batch changes nothing."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from unipixel.core.request import Decoding
from unipixel.loading import load
from unipixel.model.generate import (
    Chooser,
    EndsText,
    Generated,
    Writer,
    advance,
    generate,
    join_prefixes,
    prefill,
    read_prefix,
    write,
)
from unipixel.model.inputs import Inputs, LanguageView, collate
from unipixel.model.unipixel import UniPixel, place
from unipixel.parity.cases import GoldenCase

PAD = 360


@pytest.fixture(scope="module")
def model(golden_checkpoint: Path) -> UniPixel:
    return load(golden_checkpoint).model


@pytest.fixture
def scripted(model: UniPixel, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Token rows that the model will speak step after step, whatever it thinks."""
    script: list[list[int]] = []

    def speak(hidden: Tensor) -> Tensor:
        logits = torch.zeros(*hidden.shape[:-1], 400)
        step = script.pop(0)
        for row, token in enumerate(step):
            logits[row, token] = 1.0
        return logits

    monkeypatch.setattr(model.backbone, "speak", speak)
    return script


def words(*tokens: int) -> Inputs:
    token_ids = torch.tensor([tokens])
    view = LanguageView(torch.zeros(0, 3 * 2 * 14 * 14), (), ())
    return Inputs(token_ids, torch.ones_like(token_ids).bool(), view)


def run(model: UniPixel, samples: list[Inputs], *decodings: Decoding) -> list[Generated]:
    return generate(model, collate(samples, PAD, pad_left=True), decodings)


def test_golden_answer_is_generated_with_its_mask_prompt(model: UniPixel, golden_checkpoint: Path) -> None:
    folder = golden_checkpoint.parent / "generate"
    if not folder.is_dir():
        pytest.fail("the golden case is not here")
    case = GoldenCase.open(folder)
    wanted = case.about["generated_ids"]
    states: list[Tensor] = []
    answer = generate(
        model, case.inputs(), [Decoding(max_new_tokens=12)], on_step=lambda _, hidden: states.append(hidden)
    )[0]
    assert answer.token_ids == wanted
    assert not answer.stopped
    assert len(answer.mask_prompts) == 1
    at = wanted.index(model.tokens.seg)
    assert torch.equal(answer.mask_prompts[0], model.seg_head(states[at])[0]), (
        "not the state that predicts it"
    )
    assert len(states) == 12


def test_one_mask_prompt_for_each_seg_and_none_after_the_stop(
    model: UniPixel, scripted: list[list[int]]
) -> None:
    seg, stop, other = model.tokens.seg, model.tokens.turn_end, model.tokens.end_of_text
    scripted += [[seg, 7, stop], [8, seg, seg], [seg, other, seg], [stop, seg, seg]]
    answers = run(model, [words(1, 2), words(3), words(4, 5, 6)], *[Decoding(max_new_tokens=9)] * 3)
    assert [answer.token_ids for answer in answers] == [[seg, 8, seg], [7, seg], []]
    assert [len(answer.mask_prompts) for answer in answers] == [2, 1, 0]
    assert all(answer.stopped for answer in answers)
    assert answers[0].mask_prompts[0].shape == (2, 64)
    assert not scripted, "decoding must end when the last answer has stopped"


def test_limits_are_each_answers_own(model: UniPixel, scripted: list[list[int]]) -> None:
    scripted += [[7, 8], [9, 10], [11, 12], [13, model.tokens.turn_end]]
    answers = run(model, [words(1), words(2)], Decoding(max_new_tokens=2), Decoding(max_new_tokens=4))
    assert [(answer.token_ids, answer.stopped) for answer in answers] == [
        ([7, 9], False),
        ([8, 10, 12], True),
    ]


def test_the_prompt_of_a_seg_feels_what_was_said_before(model: UniPixel, scripted: list[list[int]]) -> None:
    """The same question, then another word before `<|seg|>`: another state, so another mask."""
    seg = model.tokens.seg
    scripted += [[7, 9], [seg, seg]]
    one, two = run(model, [words(1, 2), words(1, 2)], *[Decoding(max_new_tokens=2)] * 2)
    assert (one.mask_prompts[0] - two.mask_prompts[0]).abs().max() > 1e-4


def test_decoding_is_the_same_as_reading_the_answer(model: UniPixel) -> None:
    """Cached steps give the states that one pass over question and answer gives."""
    question = words(*range(20, 30))
    states: list[Tensor] = []
    answer = generate(model, question, [Decoding(max_new_tokens=6)], lambda _, hidden: states.append(hidden))[
        0
    ]
    with torch.inference_mode():
        whole = model(words(*range(20, 30), *answer.token_ids)).hidden[0, 9:-1]
    torch.testing.assert_close(torch.cat(states), whole, rtol=0, atol=2e-5)


def test_positions_go_on_behind_the_question(model: UniPixel) -> None:
    state = prefill(model, collate([words(1, 2, 3), words(4, 5)], PAD, pad_left=True))
    assert state.next_position.tolist() == [3, 2], "a padded row goes on behind its own length"


def test_each_sample_needs_its_decoding(model: UniPixel) -> None:
    with pytest.raises(AssertionError, match="1 samples, but 2 decodings"):
        generate(model, words(1), [Decoding(), Decoding()])


# Choosing ------------------------------------------------------------------------------------------------

LOGITS = torch.tensor([0.0, 2.0, 1.0, -1.0])


def draws(decoding: Decoding, count: int = 400) -> Tensor:
    choose = Chooser(decoding, torch.device("cpu"))
    return torch.tensor([choose(LOGITS) for _ in range(count)])


def test_temperature_zero_takes_the_largest() -> None:
    assert draws(Decoding(), 3).tolist() == [1, 1, 1]


def test_sampling_follows_the_probabilities() -> None:
    shares = draws(Decoding(temperature=2.0), 4000).bincount(minlength=4) / 4000
    torch.testing.assert_close(shares, (LOGITS / 2).softmax(0), rtol=0, atol=0.03)


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    """Probabilities 0.64, 0.24, 0.09, 0.03: two tokens reach 0.7, one reaches 0.6."""
    assert set(draws(Decoding(temperature=1.0, top_p=0.7)).tolist()) == {1, 2}
    assert set(draws(Decoding(temperature=1.0, top_p=0.6)).tolist()) == {1}
    assert set(draws(Decoding(temperature=1.0, top_p=0.9)).tolist()) == {0, 1, 2}


def test_seeds_repeat_and_differ() -> None:
    first = draws(Decoding(temperature=1.0, seed=1), 50)
    assert torch.equal(first, draws(Decoding(temperature=1.0, seed=1), 50))
    assert not torch.equal(first, draws(Decoding(temperature=1.0, seed=2), 50))


# Slots ---------------------------------------------------------------------------------------------------


def test_features_fill_slots_in_order_of_appearance() -> None:
    slots = torch.tensor([[False, True, False], [True, False, True]])
    placed = place(torch.zeros(2, 3, 2), slots, torch.arange(1.0, 7).view(3, 2), "slots")
    assert placed[0].tolist() == [[0, 0], [1, 2], [0, 0]]
    assert placed[1].tolist() == [[3, 4], [0, 0], [5, 6]]


def test_a_wrong_number_of_features_is_refused_with_both() -> None:
    with pytest.raises(AssertionError, match="the text has 1 slots, but 2 features"):
        place(torch.zeros(1, 3, 2), torch.tensor([[True, False, False]]), torch.zeros(2, 2), "slots")


@pytest.mark.parametrize("name", ["ref", "mem"])
def test_slots_without_a_prompt_are_refused(model: UniPixel, name: str) -> None:
    with pytest.raises(AssertionError, match=rf"<\|{name}\|> slots"):
        model.read(words(1, getattr(model.tokens, name), 2))


# Stop texts and required masks -------------------------------------------------------------------------


def stop_at(*tokens: int) -> EndsText:
    """The answer's end is this run of tokens."""
    return lambda written: tuple(written[-len(tokens) :]) == tokens


def scripted_answer(model: UniPixel, decoding: Decoding, ends: EndsText | None = None) -> Generated:
    answer = Generated()
    for _ in write(model, prefill(model, words(1, 2)), [Writer(model, decoding, answer, ends)]):
        pass
    return answer


def test_a_stop_text_ends_the_answer(model: UniPixel, scripted: list[list[int]]) -> None:
    scripted += [[7], [8], [9], [10]]
    answer = scripted_answer(model, Decoding(9, stop=("x",)), stop_at(8, 9))
    assert (answer.token_ids, answer.stopped) == ([7, 8, 9], True)
    assert scripted == [[10]], "nothing is written behind it"


def test_stop_texts_do_not_reach_over_a_mask(model: UniPixel, scripted: list[list[int]]) -> None:
    seg, stop = model.tokens.seg, model.tokens.turn_end
    scripted += [[8], [seg], [9], [stop]]
    answer = scripted_answer(model, Decoding(9, stop=("x",)), stop_at(8, 9))
    assert answer.token_ids == [8, seg, 9]


@pytest.mark.parametrize("end", ["turn_end", "end_of_text"])
def test_a_required_mask_takes_the_place_of_the_end(
    model: UniPixel, scripted: list[list[int]], end: str
) -> None:
    seg, stop = model.tokens.seg, getattr(model.tokens, end)
    scripted += [[7], [stop], [8], [stop]]
    answer = scripted_answer(model, Decoding(9, require_mask=True))
    assert (answer.token_ids, answer.stopped) == ([7, seg, 8], True)
    assert len(answer.mask_prompts) == 1


def test_a_required_mask_takes_the_last_place(model: UniPixel, scripted: list[list[int]]) -> None:
    scripted += [[7], [8], [9]]
    answer = scripted_answer(model, Decoding(3, require_mask=True))
    assert (answer.token_ids, answer.stopped) == ([7, 8, model.tokens.seg], False)


def test_an_answer_with_a_mask_needs_no_other(model: UniPixel, scripted: list[list[int]]) -> None:
    seg, stop = model.tokens.seg, model.tokens.turn_end
    scripted += [[seg], [7], [stop]]
    assert scripted_answer(model, Decoding(9, require_mask=True)).token_ids == [seg, 7]


def test_a_stop_text_counts_only_behind_a_required_mask(model: UniPixel, scripted: list[list[int]]) -> None:
    seg = model.tokens.seg
    scripted += [[8], [seg], [7], [8]]
    answer = scripted_answer(model, Decoding(9, stop=("x",), require_mask=True), stop_at(8))
    assert answer.token_ids == [8, seg, 7, 8]


# Prefixes ------------------------------------------------------------------------------------------------


def test_a_prefix_may_be_gone_on_from_again_and_again(model: UniPixel) -> None:
    whole = words(*range(20, 32))
    prefix = read_prefix(model, words(*range(20, 28)))
    before = [tensor.clone() for layer in prefix.key_values for tensor in layer]
    wanted = prefill(model, whole).hidden
    for _ in range(2):
        behind = prefill(model, words(*range(28, 32)), prefix)
        torch.testing.assert_close(behind.hidden, wanted, rtol=0, atol=2e-5)
        advance(model, behind, torch.tensor([9]))
    after = [tensor for layer in prefix.key_values for tensor in layer]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_prefixes_of_several_lengths_make_one_batch(model: UniPixel) -> None:
    texts = [(range(20, 28), (5, 6, 7)), (range(30, 33), (8,)), (range(40, 55), (9, 10))]
    prefixes = [read_prefix(model, words(*first)) for first, _ in texts]
    batch = collate([words(*second) for _, second in texts], PAD, pad_left=True)
    together = prefill(model, batch, join_prefixes(prefixes))
    for row, (first, second) in enumerate(texts):
        alone = prefill(model, words(*first, *second))
        torch.testing.assert_close(together.hidden[row], alone.hidden[0], rtol=0, atol=2e-5)
        assert together.next_position[row] == alone.next_position[0] == len(first) + len(second)
