"""PixelQA: raw frames and prompts -> masks of the first pass -> object memory of the second -> answer."""

from __future__ import annotations

import torch

from unipixel.core.request import Decoding, RememberedObject
from unipixel.inference.pixel_qa import PixelQaWording
from unipixel.parity.cases import GoldenCase
from unipixel.parity.compare import Standard
from unipixel.parity.given import check_given, compare_language, on_model
from unipixel.parity.ledger import Ledger
from unipixel.parity.raw import check_raw, compare_inputs, request_for, split_memory
from unipixel.predictor import Predictor

FIRST, SECOND = "pass1.", "pass2."


@torch.inference_mode()
def check_chain(predictor: Predictor, case: GoldenCase, standard: Standard) -> list[Ledger]:
    """Both passes from their given tensors, then the whole chain, in which the second pass remembers the
    masks of our first."""
    first, second = case.part(FIRST), case.part(SECOND)
    ledgers = [check_given(predictor.model, part, standard) for part in (first, second)]
    ledgers.append(check_raw(predictor, first, standard))
    if standard.chained:
        ledgers.append(check_second(predictor, first, second, standard))
    return ledgers


def check_second(predictor: Predictor, first: GoldenCase, second: GoldenCase, standard: Standard) -> Ledger:
    """The second pass, from the first one's answer."""
    side = predictor.config.sam2.image_size
    seen = predictor.answer([request_for(first, side)])[0]
    memory = [RememberedObject(found.id, found.masks) for found in seen.objects]
    request = request_for(second, side, memory=memory)
    ledger = Ledger(second, standard, "raw")
    inputs = predictor.processor.prepare(request).inputs
    compare_inputs(ledger, predictor, inputs)
    compare_language(ledger, predictor.model, on_model(predictor.model, inputs))
    check_answer(ledger, predictor, first, second)
    return ledger


def check_answer(ledger: Ledger, predictor: Predictor, first: GoldenCase, second: GoldenCase) -> None:
    """Both passes as a user calls them."""
    request = request_for(first, predictor.config.sam2.image_size)
    golden = second.need("out.generated_ids")
    question, _, options = split_memory(second.script().prompt)[1].partition("\nOptions:\n")
    answer = predictor.pixel_qa(
        request.clip,
        question,
        request.turns[0].prompts,
        [line.partition(" ")[2] for line in options.split("\n")],
        num_frames=request.num_frames,
        pixels=request.pixels,
        decoding=Decoding(max_new_tokens=len(golden)),
        wording=PixelQaWording(best=""),
    )
    wanted = predictor.processor.tokenizer.decode(golden.tolist(), keep_control=True)
    note = "" if answer.response.raw_text == wanted else f"{answer.response.raw_text!r}, golden {wanted!r}"
    ledger.write("out.generated_ids", "equal", float(bool(note)), note)
