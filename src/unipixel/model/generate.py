"""Decoding, with its state in the open: what was read once, the answer's tokens, and the hidden tokens of
every `<|seg|>` really emitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from unipixel.core.request import Decoding
from unipixel.model.backbone import KeyValues, VisualFeatures
from unipixel.model.inputs import Inputs
from unipixel.model.unipixel import UniPixel

EndsText: TypeAlias = Callable[[Sequence[int]], bool]
"""Whether these tokens, those behind the last `<|seg|>`, hold a text at which the answer ends."""


@dataclass(frozen=True)
class Prefix:
    """What the language model has read of B texts, to go on from as often as one likes; nothing changes it.

    attention_mask bool [B, P] (False: padding); next_position int [B]: the next rotary position; seen: what
    the visual tower made of the clips in them.
    """

    key_values: KeyValues
    attention_mask: Tensor
    next_position: Tensor
    seen: VisualFeatures

    def __len__(self) -> int:
        return int(self.attention_mask.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of keys, values and visual features."""
        tensors = (part for layer in self.key_values for part in layer)
        return self.seen.nbytes + sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@dataclass
class GenerationState:
    """What decoding carries from one token to the next, for B answers at once.

    cache: keys and values of all tokens so far; attention_mask bool [B, cached]; next_position int [B]: the
        next rotary position; hidden [B, d]: the state that predicts the next token.
    """

    cache: Any
    attention_mask: Tensor
    next_position: Tensor
    hidden: Tensor


@dataclass
class Generated:
    """One answer: its tokens without the stop token, a mask prompt [h, c] for each
    `<|seg|>` in order, and whether it stopped."""

    token_ids: list[int] = field(default_factory=list)
    mask_prompts: list[Tensor] = field(default_factory=list)
    stopped: bool = False


def generate(
    model: UniPixel,
    inputs: Inputs,
    decodings: Sequence[Decoding],
    on_step: Callable[[Tensor, Tensor], None] | None = None,
) -> list[Generated]:
    """Continue every sample of a left-padded batch. `on_step` sees each step's logits
    [B, vocabulary] and states [B, d]."""
    answers = [Generated() for _ in decodings]
    writers = [Writer(model, *pair) for pair in zip(decodings, answers, strict=True)]
    for _ in write(model, prefill(model, inputs), writers, on_step):
        pass
    return answers


@torch.inference_mode()
def read_prefix(model: UniPixel, inputs: Inputs) -> Prefix:
    """Read texts with their clips, to go on from."""
    seen = model.backbone.see(inputs.view)
    positions = model.backbone.positions(inputs)
    cache = model.backbone.new_cache()
    read = model.read(inputs, seen)
    model.backbone.think(read.tokens, positions, inputs.attention_mask, cache, read.deep)
    kept = replace(seen, deep=())  # only the clip itself is read with these
    return Prefix(model.backbone.key_values(cache), inputs.attention_mask, _behind(positions), kept)


def join_prefixes(prefixes: Sequence[Prefix]) -> Prefix:
    """Several prefixes as one batch, padded on the left."""
    if len(prefixes) == 1:
        return prefixes[0]
    longest = max(len(prefix) for prefix in prefixes)

    layers = zip(*(prefix.key_values for prefix in prefixes), strict=True)
    missing = [longest - len(prefix) for prefix in prefixes]
    return Prefix(
        key_values=tuple(
            (_padded([keys for keys, _ in layer], missing), _padded([values for _, values in layer], missing))
            for layer in layers
        ),
        attention_mask=torch.cat(
            [
                F.pad(prefix.attention_mask, (count, 0))
                for prefix, count in zip(prefixes, missing, strict=True)
            ]
        ),
        next_position=torch.cat([prefix.next_position for prefix in prefixes]),
        seen=VisualFeatures(
            merged=torch.cat([prefix.seen.merged for prefix in prefixes]),
            unmerged=torch.cat([prefix.seen.unmerged for prefix in prefixes]),
            windowed=torch.cat([prefix.seen.windowed for prefix in prefixes]),
            grids=tuple(grid for prefix in prefixes for grid in prefix.seen.grids),
        ),
    )


@torch.inference_mode()
def prefill(model: UniPixel, inputs: Inputs, prefix: Prefix | None = None) -> GenerationState:
    """Read whole questions, or what of them stands behind a prefix (then without clips of their own)."""
    return _read(model, inputs, prefix)[0]


@torch.inference_mode()
def read_answers(model: UniPixel, inputs: Inputs, prefix: Prefix) -> tuple[Tensor, ...]:
    """Teacher forcing: read questions with their answers behind a prefix; per sample the mask prompts [n,
    h, c] of all `<|seg|>`."""
    return model.mask_prompts(_read(model, inputs, prefix)[1], inputs.token_ids)


def _read(model: UniPixel, inputs: Inputs, prefix: Prefix | None) -> tuple[GenerationState, Tensor]:
    """What is known behind the last token, and the hidden states [B, L, d] of all."""
    mask = inputs.attention_mask
    if prefix is None:
        read, positions = model.read(inputs), model.backbone.positions(inputs)
    else:
        read, positions = model.read(inputs, prefix.seen), _go_on(prefix, mask)
        mask = torch.cat([prefix.attention_mask, mask], dim=1)
    cache = model.backbone.new_cache(prefix.key_values if prefix else ())
    hidden = model.backbone.think(read.tokens, positions, mask, cache, read.deep).hidden
    return GenerationState(cache, mask, _behind(positions), hidden[:, -1]), hidden


@torch.inference_mode()
def write(
    model: UniPixel,
    state: GenerationState,
    writers: Sequence[Writer],
    on_step: Callable[[Tensor, Tensor], None] | None = None,
) -> Iterator[None]:
    """Write all answers to their ends, one token of each per turn; between turns the caller may look at them,
    and stop early."""
    assert len(writers) == len(state.hidden), f"{len(state.hidden)} samples, but {len(writers)} decodings"
    while True:
        chosen = choose(model, state, writers, on_step)
        yield
        if all(writer.finished for writer in writers):
            return
        advance(model, state, torch.tensor(chosen, device=state.hidden.device))


@torch.inference_mode()
def choose(
    model: UniPixel,
    state: GenerationState,
    writers: Sequence[Writer],
    on_step: Callable[[Tensor, Tensor], None] | None = None,
) -> list[int]:
    """One more token of every answer, written down; those that are finished get one that means nothing."""
    logits = model.backbone.speak(state.hidden)
    if on_step is not None:
        on_step(logits, state.hidden)
    return [
        model.tokens.end_of_text if writer.finished else writer.take(row, hidden)
        for writer, row, hidden in zip(writers, logits, state.hidden, strict=True)
    ]


@torch.inference_mode()
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


@torch.inference_mode()
def keep_rows(model: UniPixel, state: GenerationState, rows: Sequence[int]) -> GenerationState:
    """Some of the answers, in this order; padding that none of them needs goes with the others."""
    at = torch.tensor(list(rows), device=state.hidden.device)
    mask = state.attention_mask[at]
    first = int(mask.any(dim=0).int().argmax())
    past = tuple(
        (keys[at, :, first:], values[at, :, first:])
        for keys, values in model.backbone.key_values(state.cache)
    )
    cache = model.backbone.new_cache(past)
    return GenerationState(cache, mask[:, first:], state.next_position[at], state.hidden[at])


@torch.inference_mode()
def join_generations(model: UniPixel, states: Sequence[GenerationState]) -> GenerationState:
    """Answers that are under way as one batch, padded on the left."""
    if len(states) == 1:
        return states[0]
    missing = [state.attention_mask.shape[1] for state in states]
    missing = [max(missing) - length for length in missing]
    layers = zip(*(model.backbone.key_values(state.cache) for state in states), strict=True)
    past = tuple(
        (_padded([k for k, _ in layer], missing), _padded([v for _, v in layer], missing)) for layer in layers
    )
    masks = [F.pad(state.attention_mask, (count, 0)) for state, count in zip(states, missing, strict=True)]
    return GenerationState(
        cache=model.backbone.new_cache(past),
        attention_mask=torch.cat(masks),
        next_position=torch.cat([state.next_position for state in states]),
        hidden=torch.cat([state.hidden for state in states]),
    )


def _padded(parts: Sequence[Tensor], missing: Sequence[int]) -> Tensor:
    """[B, heads, L, e] each, padded on the left, one below the other."""
    return torch.cat([F.pad(part, (0, 0, count, 0)) for part, count in zip(parts, missing, strict=True)])


def _behind(positions: Tensor) -> Tensor:
    """The next rotary position of each row, int [B], behind positions [3, B, L]."""
    return positions.amax(dim=(0, 2)) + 1


def _go_on(prefix: Prefix, mask: Tensor) -> Tensor:
    """Rotary positions [3, B, L] of text behind a prefix: all axes advance together; padding gets 1, as in
    the prefix."""
    steps = mask.long().cumsum(1) - 1 + prefix.next_position[:, None]
    return steps.masked_fill(~mask, 1).expand(3, -1, -1)


class Writer:
    """Writes one answer, token by token, as its `Decoding` says.

    ends: whether the tokens behind the last `<|seg|>` hold one of the texts of `decoding.stop`.
    """

    def __init__(
        self, model: UniPixel, decoding: Decoding, answer: Generated, ends: EndsText | None = None
    ) -> None:
        self.answer = answer
        self.finished = False
        self._model = model
        self._decoding = decoding
        self._choose = Chooser(decoding, model.sam2.no_mem_embed.device)
        self._ends = ends
        self._behind_seg = 0

    def take(self, logits: Tensor, hidden: Tensor) -> int:
        """Choose the next token from logits [vocabulary] and write it down; a `<|seg|>` takes the state [d]
        that predicted it."""
        tokens, written = self._model.tokens, self.answer.token_ids
        token = self._choose(logits)
        is_last = len(written) + 1 >= self._decoding.max_new_tokens
        if self._lacks_mask and (token in tokens.stops or is_last):
            token = tokens.seg
        if token in tokens.stops:
            self.answer.stopped = self.finished = True
            return token
        written.append(token)
        if token == tokens.seg:
            self.answer.mask_prompts.append(self._model.seg_head(hidden))
            self._behind_seg = len(written)
        elif self._ends is not None and not self._lacks_mask and self._ends(written[self._behind_seg :]):
            self.answer.stopped = self.finished = True
        self.finished |= is_last
        return token

    @property
    def _lacks_mask(self) -> bool:
        return self._decoding.require_mask and not self.answer.mask_prompts


class Chooser:
    """Picks one token from logits [vocabulary]: the largest, or drawn with a generator
    of its own (batching changes nothing)."""

    def __init__(self, decoding: Decoding, device: torch.device) -> None:
        self.decoding = decoding
        self.generator = torch.Generator(device).manual_seed(decoding.seed)

    def __call__(self, logits: Tensor) -> int:
        if self.decoding.temperature == 0:
            return int(logits.argmax())
        probabilities = (logits.float() / self.decoding.temperature).softmax(-1)
        ordered, order = probabilities.sort(descending=True)
        outside = ordered.cumsum(-1) - ordered >= self.decoding.top_p
        drawn = torch.multinomial(ordered.masked_fill(outside, 0), 1, generator=self.generator)
        return int(order[drawn][0])
