"""From raw frames, prompt and pixel budget: the public path of `Processor.prepare` and `Predictor.answer`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from unipixel.core.conversation import Part, Refer, Segment, Turn
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.prompts import Box, Point, SlotPrompt
from unipixel.core.request import Decoding, RememberedObject, Request
from unipixel.core.response import Response
from unipixel.core.tokens import MEM, REF, SEG, TURN_END
from unipixel.model.inputs import Inputs, ObjectPrompt, collate
from unipixel.parity.cases import GoldenCase
from unipixel.parity.compare import Standard
from unipixel.parity.given import FINAL_LOGITS, SCORES, compare_language, on_model
from unipixel.parity.ledger import Ledger
from unipixel.predictor import Predictor
from unipixel.processing.vision import mask_view

SLOT = re.compile(f"({re.escape(REF)}|{re.escape(SEG)})")
OBJECT_NUMBER = re.compile(r"\[(\d+)\]:")


@torch.inference_mode()
def check_raw(predictor: Predictor, case: GoldenCase, standard: Standard) -> Ledger:
    """A question about a clip, from its raw frames to text and masks."""
    ledger = Ledger(case, standard, "raw")
    request = request_for(case, predictor.config.sam2.image_size)
    inputs = predictor.processor.prepare(request).inputs
    compare_inputs(ledger, predictor, inputs)
    if case.expected("out.logits") is not None:
        compare_language(ledger, predictor.model, on_model(predictor.model, inputs))
    golden = case.whole("out.generated_ids")
    if golden is not None:
        request = replace(request, decoding=Decoding(max_new_tokens=len(golden)))
    if case.has("out.seg_masks"):
        compare_response(ledger, predictor, predictor.answer([request])[0])
    return ledger


def compare_inputs(ledger: Ledger, predictor: Predictor, inputs: Inputs) -> None:
    """What the processor made of the raw frames and words."""
    case, side = ledger.case, predictor.config.sam2.image_size
    ledger.tensor("in.input_ids", "equal", inputs.token_ids)
    ledger.tensor("in.attention_mask", "equal", inputs.attention_mask.long())
    ledger.tensor("in.pixel_values_videos", "view", inputs.view.patches)
    grids = [[grid.time, grid.height, grid.width] for grid in inputs.view.grids]
    ledger.tensor("in.video_grid_thw", "equal", torch.tensor(grids))
    ledger.tensor("in.second_per_grid_ts", "equal", torch.tensor(inputs.view.seconds_per_grid))
    prompts = iter(inputs.prompts)
    for sample in range(case.num_samples):
        for index, (golden, ours) in enumerate(zip(case.prompts(sample), prompts, strict=False)):
            ledger.tensor(f"in.point_coords.{sample}.{index}", "place", ours.coords)
            ledger.tensor(f"in.point_labels.{sample}.{index}", "equal", ours.labels)
            ledger.write(f"in.point_frames.{sample}.0[{index}]", "place", abs(ours.time - golden.time))
        region = inputs.regions[sample]
        if region is not None:
            ledger.tensor(f"in.refer_mask.{sample}", "equal", region.to(torch.uint8))
        ledger.tensor(f"in.frames.{sample}", "view", mask_view(case.raw_frames(sample).numpy(), side))


def compare_response(ledger: Ledger, predictor: Predictor, response: Response) -> None:
    """The answer's tokens and the masks of all its objects."""
    golden = ledger.case.whole("out.generated_ids")
    if golden is not None:
        if not ledger.standard.chained:
            return
        wanted = predictor.processor.tokenizer.decode(golden.tolist(), keep_control=True)
        note = "" if response.raw_text == wanted else f"{response.raw_text!r}, golden {wanted!r}"
        ledger.write("out.generated_ids", "equal", float(bool(note)), note)
    if response.objects:
        masks = [torch.from_numpy(found.masks.to_array()) for found in response.objects]
        present = torch.tensor([[frame.present for frame in found.masks] for found in response.objects])
        agree = ledger.presence(SCORES, present)
        ledger.masks("out.seg_masks", torch.stack(masks), FINAL_LOGITS, agree)


# From a case to a request


def request_for(
    case: GoldenCase, side: int, sample: int = 0, memory: Sequence[RememberedObject] | None = None
) -> Request:
    """What a caller would ask to get this case: clip, question, pointers, remembered objects, and the answer
    if it is given.

    side: of the mask view, in whose pixels the golden prompts are. memory: what the prefix lists; by
    default the true masks of the objects that it names.
    """
    script = case.script(sample)
    clip = Clip.open(case.raw_frames(sample).numpy())
    prefix, question = split_memory(script.prompt)
    pointers = iter([pointer(prompt, case, side, sample) for prompt in case.prompts(sample)])
    if memory is None:
        named = [int(number) for number in OBJECT_NUMBER.findall(prefix)]
        memory = [remembered(number, case.object_masks(sample)[number]) for number in named]
    answer = script.answer.removesuffix("\n")
    is_whole = answer.endswith(TURN_END)
    asked = Turn("user", tuple(parts(question, pointers)))
    told = Turn("assistant", tuple(parts(answer.removesuffix(TURN_END), pointers))) if is_whole else None
    return Request(
        clip=clip,
        turns=(asked,),
        memory=tuple(memory),
        forced_answer=told,
        answer_prefix="" if is_whole else script.answer,
        num_frames=clip.num_frames,
        pixels=script.pixels,
    )


def batch_from_raw(predictor: Predictor, case: GoldenCase) -> Inputs:
    """All samples of a training case, from raw frames and words, padded on the right.

    The training form ends with the end of the answer's turn; the line break that follows it elsewhere is
    cut off.
    """
    side = predictor.config.sam2.image_size
    rows = []
    for sample in range(case.num_samples):
        inputs = predictor.processor.prepare(request_for(case, side, sample)).inputs
        surplus = (
            0
            if case.script(sample).answer.endswith("\n")
            else len(predictor.processor.tokenizer.encode("\n"))
        )
        length = inputs.token_ids.shape[1] - surplus
        rows.append(
            replace(
                inputs,
                token_ids=inputs.token_ids[:, :length],
                attention_mask=inputs.attention_mask[:, :length],
            )
        )
    return collate(rows, predictor.config.tokens.end_of_text, pad_left=False)


def split_memory(prompt: str) -> tuple[str, str]:
    """A question as the published code writes it -> (the lines up to the last `<|mem|>`, the question)."""
    lines = prompt.split("\n")
    last = max((number for number, line in enumerate(lines) if MEM in line), default=-1)
    return "\n".join(lines[: last + 1]), "\n".join(lines[last + 1 :])


def parts(text: str, pointers: Iterator[SlotPrompt]) -> Iterator[Part]:
    """Text with `<|ref|>` and `<|seg|>` -> the parts of a turn."""
    for piece in SLOT.split(text):
        if piece == REF:
            yield Refer(next(pointers))
        elif piece == SEG:
            yield Segment()
        elif piece:
            yield piece


def pointer(prompt: ObjectPrompt, case: GoldenCase, side: int, sample: int) -> SlotPrompt:
    """A golden prompt, in pixels of the mask view, as a click or box in pixels of the clip."""
    height, width = case.raw_frames(sample).shape[1:3]
    points = prompt.coords.double() * torch.tensor([width / side, height / side])
    frame = round(prompt.time * (2 * case.grids()[sample].time - 1))
    if len(points) == 1:
        x, y = points[0].tolist()
        return Point(x, y, frame)
    x1, y1, x2, y2 = points.flatten().tolist()
    return Box(x1, y1, x2, y2, frame)


def remembered(number: int, masks: Tensor) -> RememberedObject:
    """masks [T, H, W] of one object, as a caller remembers it."""
    frames = [
        FrameMask(index, RLE.from_mask(mask.bool().numpy()), 1.0, bool(mask.any()))
        for index, mask in enumerate(masks)
    ]
    return RememberedObject(number, MaskTrack(tuple(frames)))
