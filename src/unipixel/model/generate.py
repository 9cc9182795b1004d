"""Decoding, with its state in the open: the answer's tokens, and the hidden tokens
of every `<|seg|>` really emitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from unipixel.core.request import Decoding
from unipixel.model.inputs import Inputs
from unipixel.model.unipixel import UniPixel


@dataclass
class GenerationState:
    """What decoding carries from one token to the next, for B answers at once.

    cache: keys and values of all tokens so far; attention_mask bool [B, cached]; next_position int [B]: the
        next rotary position;
    hidden [B, d]: the state that predicts the next token; finished bool [B].
    """

    cache: Any
    attention_mask: Tensor
    next_position: Tensor
    hidden: Tensor
    finished: Tensor


@dataclass
class Generated:
    """One answer: its tokens without the stop token, a mask prompt [h, c] for each
    `<|seg|>` in order, and whether it stopped."""

    token_ids: list[int] = field(default_factory=list)
    mask_prompts: list[Tensor] = field(default_factory=list)
    stopped: bool = False


@torch.inference_mode()
def generate(
    model: UniPixel,
    inputs: Inputs,
    decodings: Sequence[Decoding],
    on_step: Callable[[Tensor, Tensor], None] | None = None,
) -> list[Generated]:
    """Continue every sample of a left-padded batch. `on_step` sees each step's logits
    [B, vocabulary] and states [B, d]."""
    assert len(decodings) == inputs.batch_size, f"{inputs.batch_size} samples, but {len(decodings)} decodings"
    choosers = [_Chooser(decoding, inputs.token_ids.device) for decoding in decodings]
    answers = [Generated() for _ in decodings]
    state = prefill(model, inputs)
    for step in range(max(decoding.max_new_tokens for decoding in decodings)):
        logits = model.backbone.speak(state.hidden)
        if on_step is not None:
            on_step(logits, state.hidden)
        chosen = torch.stack([choose(row) for choose, row in zip(choosers, logits, strict=True)])
        _record(model, answers, chosen, state)
        full = torch.tensor(
            [step + 1 >= decoding.max_new_tokens for decoding in decodings], device=chosen.device
        )
        state.finished |= full
        if state.finished.all():
            break
        advance(model, state, chosen)
    return answers


def prefill(model: UniPixel, inputs: Inputs) -> GenerationState:
    """Read the whole question."""
    cache = model.backbone.new_cache()
    positions = model.backbone.positions(inputs)
    thought = model.backbone.think(model.read(inputs), positions, inputs.attention_mask, cache)
    return GenerationState(
        cache=thought.cache,
        attention_mask=inputs.attention_mask,
        next_position=positions.amax(dim=(0, 2)) + 1,
        hidden=thought.hidden[:, -1],
        finished=torch.zeros(inputs.batch_size, dtype=torch.bool, device=inputs.token_ids.device),
    )


def advance(model: UniPixel, state: GenerationState, chosen: Tensor) -> None:
    """Read one more token per sample, int [B]; finished samples read on, unseen and unused."""
    state.attention_mask = torch.cat(
        [state.attention_mask, torch.ones_like(chosen[:, None], dtype=torch.bool)], dim=1
    )
    positions = state.next_position.view(1, -1, 1).expand(3, -1, -1)
    tokens = model.backbone.embed(chosen[:, None])
    thought = model.backbone.think(tokens, positions, state.attention_mask, state.cache)
    state.hidden = thought.hidden[:, -1]
    state.next_position = state.next_position + 1


def _record(model: UniPixel, answers: Sequence[Generated], chosen: Tensor, state: GenerationState) -> None:
    """Write the chosen tokens down; a `<|seg|>` takes the state that predicted it."""
    for row, token in enumerate(chosen.tolist()):
        if state.finished[row]:
            continue
        if token in model.tokens.stops:
            answers[row].stopped = True
            state.finished[row] = True
            continue
        answers[row].token_ids.append(token)
        if token == model.tokens.seg:
            answers[row].mask_prompts.append(model.seg_head(state.hidden[row]))


class _Chooser:
    """Picks one token from logits [vocabulary]: the largest, or drawn with a generator
    of its own (batching changes nothing)."""

    def __init__(self, decoding: Decoding, device: torch.device) -> None:
        self.decoding = decoding
        self.generator = torch.Generator(device).manual_seed(decoding.seed)

    def __call__(self, logits: Tensor) -> Tensor:
        if self.decoding.temperature == 0:
            return logits.argmax()
        probabilities = (logits.float() / self.decoding.temperature).softmax(-1)
        ordered, order = probabilities.sort(descending=True)
        outside = ordered.cumsum(-1) - ordered >= self.decoding.top_p
        drawn = torch.multinomial(ordered.masked_fill(outside, 0), 1, generator=self.generator)
        return order[drawn][0]
