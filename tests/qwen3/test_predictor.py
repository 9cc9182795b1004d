"""Whole answers, as in tests/test_predictor.py, with the other base model."""

from dataclasses import replace

import torch
from tests.test_predictor import (  # noqa: F401
    assert_same,
    four,
    model,
    said,
    test_a_call_leaves_no_trace,
    test_a_given_answer_predicts_no_words,
    test_an_answer_prefix_is_read_and_not_repeated,
    test_given_and_generated_answers_mix_in_a_batch,
    test_masks_cover_every_frame_whatever_the_language_model_sees,
    test_one_object_for_each_seg,
    test_sampled_answers_do_not_depend_on_the_batch,
    test_segs_of_earlier_turns_are_not_answered_again,
    test_the_prompts_frame_is_shown,
    test_typed_control_tokens_are_text,
    test_where_one_points_matters,
)

from unipixel.core.request import Request
from unipixel.predictor import Predictor


def four_with_masks() -> list[Request]:
    """These weights write no `<|seg|>` of their own accord: each answer must hold one."""
    return [replace(one, decoding=replace(one.decoding, require_mask=True)) for one in four()]


def test_four_clips_in_a_batch_answer_as_alone(model: Predictor) -> None:  # noqa: F811
    together = model.answer(four_with_masks())
    assert [len(response.objects) for response in together] == [1] * 4
    for response, request in zip(together, four_with_masks(), strict=True):
        assert_same(response, model.answer([request])[0])


def test_generated_masks_are_those_of_the_answer_read_back(model: Predictor) -> None:  # noqa: F811
    """What decoding recorded for `<|seg|>` is what one pass over the same answer computes."""
    request = four_with_masks()[2]
    prepared = model.processor.prepare(request)
    spoken = said(model, [request])[0]
    ids = torch.cat([prepared.inputs.token_ids, torch.tensor([spoken.token_ids])], dim=1)
    with torch.inference_mode():
        whole = model.model(
            replace(prepared.inputs, token_ids=ids, attention_mask=torch.ones_like(ids).bool())
        )
    assert len(spoken.mask_prompts) == 1
    torch.testing.assert_close(whole.mask_prompts[0], spoken.mask_prompts, rtol=0, atol=5e-5)
