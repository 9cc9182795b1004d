"""Whole answers: the tests of tests/test_predictor.py with the other base model. Two are written anew, since
these weights write no `<|seg|>` of their own accord."""

from dataclasses import replace

import torch
from tests.test_predictor import *  # noqa: F403
from tests.test_predictor import assert_same, four, said

from unipixel.core.request import Request
from unipixel.predictor import Predictor


def four_with_masks() -> list[Request]:
    return [replace(one, decoding=replace(one.decoding, require_mask=True)) for one in four()]


def test_four_clips_in_a_batch_answer_as_alone(model: Predictor) -> None:
    together = model.answer(four_with_masks())
    assert [len(response.objects) for response in together] == [1] * 4
    for response, request in zip(together, four_with_masks(), strict=True):
        assert_same(response, model.answer([request])[0])


def test_generated_masks_are_those_of_the_answer_read_back(model: Predictor) -> None:
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
