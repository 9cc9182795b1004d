"""From the given tensors: `in.*` -> every recorded value on the way to logits and masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from unipixel.core.request import Decoding
from unipixel.model.generate import advance, generate, prefill
from unipixel.model.inputs import Inputs, Output
from unipixel.model.sam2 import FrameFeatures, FrameMasks, MaskPrompt, low_res_to_size
from unipixel.model.unipixel import UniPixel
from unipixel.parity.cases import GoldenCase
from unipixel.parity.compare import CaseReport, Standard
from unipixel.parity.ledger import Ledger

SCORES = "sam.object_score_logits"
FINAL_LOGITS = "sam.mask_logits_video_res"


def on_model(model: UniPixel, inputs: Inputs) -> Inputs:
    """Inputs where the model is, in its dtype."""
    return inputs.to(model.sam2.no_mem_embed.device, model.sam2.no_mem_embed.dtype)


@torch.inference_mode()
def check_given(model: UniPixel, case: GoldenCase, standard: Standard) -> Ledger:
    """Forward, generation and masks of one case or part of a case."""
    ledger = Ledger(case, standard, "given")
    inputs = on_model(model, case.inputs())
    output = compare_language(ledger, model, inputs)
    if case.has("out.generated_ids"):
        hidden = compare_generation(ledger, model, inputs)
    else:
        hidden = output.mask_prompts[0]
    if case.has("out.seg_masks"):
        compare_masks(ledger, model, hidden)
    return ledger


def compare_language(ledger: Ledger, model: UniPixel, inputs: Inputs) -> Output:
    """Visual tower, object prompts, object memory and language model."""
    read = inputs.attention_mask
    ledger.tensor("mid.position_ids", "equal", model.backbone.positions(inputs), read.expand(3, -1, -1))
    seen = model.backbone.see(inputs.view)
    ledger.tensor("mid.merger_mlp_input_window_order", "language", seen.windowed)
    ledger.tensor("mid.video_embeds", "language", seen.merged)
    if inputs.prompts:
        ledger.tensor("out.ref_emb", "language", model.object_prompt(inputs.prompts))
    if any(region is not None for region in inputs.regions):
        memory = model.object_memory(seen, inputs.regions)
        ledger.tensor("out.mem_emb", "language", memory)
    ledger.tensor("mid.inputs_embeds", "language", model.read(inputs).tokens, read)
    output: Output = model(inputs)
    ledger.tensor("mid.hidden_before_norm", "language", output.hidden, read)
    ledger.tensor("out.logits", "language", output.logits, read)
    ledger.choice("out.logits", output.logits, ledger.standard.margin_language, "largest")
    ledger.tensor("out.seg_head", "language", model.seg_head(output.hidden), read)
    ledger.tensor("out.seg_head_at_seg", "language", torch.cat(output.mask_prompts))
    return output


def compare_generation(ledger: Ledger, model: UniPixel, inputs: Inputs) -> Tensor:
    """Decode step by step along the golden answer, so that one different choice does not hide the rest;
    hidden tokens [O, h, c] of its `<|seg|>`."""
    golden = ledger.case.need("out.generated_ids")
    if not ledger.case.has("out.step_logits"):
        compare_answer(ledger, model, inputs, golden)
        return torch.empty(0)
    state = prefill(model, inputs)
    positions, logits, hidden = [], [], []
    for token in golden.to(inputs.token_ids.device):
        positions.append((state.next_position - 1).expand(3))
        logits.append(model.backbone.speak(state.hidden)[0])
        hidden.append(model.seg_head(state.hidden)[0])
        advance(model, state, token[None])
    ledger.tensor("out.step_position_ids", "equal", torch.stack(positions))
    ledger.tensor("out.step_logits", "language", torch.stack(logits))
    ledger.choice("out.step_logits", torch.stack(logits), ledger.standard.margin_language, "largest")
    ledger.tensor("out.step_seg_head", "language", torch.stack(hidden))
    compare_answer(ledger, model, inputs, golden)
    return torch.stack(hidden)[golden.to(hidden[0].device) == model.tokens.seg]


def compare_answer(ledger: Ledger, model: UniPixel, inputs: Inputs, golden: Tensor) -> None:
    """Greedy decoding on its own; one early difference changes the rest, so only where decisions are safe."""
    if not ledger.standard.chained:
        return
    answer = generate(model, inputs, [Decoding(max_new_tokens=len(golden))])[0]
    wanted = golden.tolist()
    changed = sum(ours != theirs for ours, theirs in zip(answer.token_ids, wanted, strict=False))
    changed += abs(len(wanted) - len(answer.token_ids))
    ledger.write("out.generated_ids", "equal", float(changed))


def compare_masks(ledger: Ledger, model: UniPixel, prompts: Tensor) -> None:
    """The mask decoder over all frames of the clip, for hidden tokens [O, h, c]."""
    config = model.config.sam2
    frames = ledger.case.mask_view(config.image_size).to(prompts.device, prompts.dtype)
    features = model.sam2.encode(frames)
    for level, ours in enumerate((*features.high_res, features.top)):
        ledger.tensor(f"sam.backbone_fpn{level}", "sam", ours)
    ledger.tensor("sam.hidden", "language", prompts)
    compare_tracked(ledger, follow(model, features, prompts, hide_absent=True))


def follow(model: UniPixel, features: FrameFeatures, prompts: Tensor, hide_absent: bool) -> list[FrameMasks]:
    """Masks on every frame, prompted on the first."""
    state = model.tracker.start(len(features))
    prompt: MaskPrompt | None = MaskPrompt(hidden=prompts)
    answers = []
    for index in range(len(features)):
        masks, state = model.tracker.step(state, features[index], prompt, hide_absent=hide_absent)
        answers.append(replace(masks, conditioned=masks.conditioned.expand(len(prompts), -1, -1, -1)))
        prompt = None
    return answers


def compare_tracked(ledger: Ledger, frames: Sequence[FrameMasks]) -> None:
    """What each step of the tracker computed, stacked [O, T, ...]. An object whose presence differs is
    left out of what presence replaces: the row on presence says so."""

    def stack(name: str) -> Tensor:
        return torch.stack([getattr(frame, name) for frame in frames], dim=1)

    score = stack("object_score").float()
    ledger.tracked("sam.memory_conditioned_features", "sam", stack("conditioned"))
    ledger.tracked(SCORES, "score", score)
    agree = ledger.presence(SCORES, score > 0)
    # The constant logits of absent objects would dwarf all others in a relative measure.
    drawn = agree & (score.cpu() > 0) if ledger.standard.measure == "relative" else agree
    ledger.tracked("sam.low_res_multimasks", "sam", stack("candidates"), drawn)
    ledger.tracked("sam.ious", "score", stack("ious"))
    ledger.choice("sam.ious", stack("ious"), ledger.standard.margin_sam, "best candidate")
    ledger.tracked("sam.low_res_masks", "sam", stack("logits"), drawn)
    ledger.tracked("sam.obj_ptr", "sam", stack("pointer"), agree)
    ledger.tracked("sam.maskmem_features", "sam", stack("memory"), agree)
    height, width = ledger.case.raw_frames().shape[1:3]
    final = low_res_to_size(stack("logits").float(), height, width)
    ledger.tracked(FINAL_LOGITS, "sam", final, drawn)
    ledger.masks("out.seg_masks", final > 0, FINAL_LOGITS, agree)


def report(name: str, *ledgers: Ledger) -> CaseReport:
    """One case's report from the rows of its parts and paths."""
    return CaseReport(name, tuple(row for ledger in ledgers for row in ledger.rows))
