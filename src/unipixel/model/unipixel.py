"""UniPixel (arXiv 2509.18094, figure 3): one language model that refers, segments and remembers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unipixel.model.backbone import Backbone, DeepFeatures, VisualFeatures
from unipixel.model.config import ModelConfig, TokenIds
from unipixel.model.inputs import Inputs, Output
from unipixel.model.object_memory import ObjectMemory
from unipixel.model.object_prompt import ObjectPromptEncoder
from unipixel.model.own_parts import find_class
from unipixel.model.sam2 import MaskTracker, Sam2


@dataclass(frozen=True)
class Reading:
    """All that the language model reads: embeddings tokens [B, L, d], and the visual features that enter
    behind its first layers, if the base model has such."""

    tokens: Tensor
    deep: DeepFeatures | None = None


class SegHead(nn.Sequential):
    """The state that predicts `<|seg|>` [..., d] -> the hidden tokens that prompt the
    mask decoder [..., h, c]."""

    def __init__(self, hidden_size: int, num_tokens: int, width: int) -> None:
        super().__init__(
            nn.RMSNorm(hidden_size, eps=1e-6),
            nn.Linear(hidden_size, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, num_tokens * width),
        )
        self.num_tokens = num_tokens

    def forward(self, state: Tensor) -> Tensor:
        tokens: Tensor = super().forward(state)  # type: ignore[no-untyped-call]
        split: Tensor = tokens.unflatten(-1, (self.num_tokens, -1))
        return split


class UniPixel(nn.Module):
    """The parts of the figure: backbone, object-prompt encoder, object memory,
    `<|seg|>` head and mask decoder."""

    def __init__(self, config: ModelConfig, backbone: Backbone) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.object_prompt = ObjectPromptEncoder(config.sam2, backbone.hidden_size)
        self.object_memory = ObjectMemory(backbone.visual_size, backbone.hidden_size, config.region_order)
        self.seg_head = SegHead(backbone.hidden_size, config.hidden_tokens, config.sam2.d_model)
        self.sam2 = Sam2(config.sam2)
        self.tracker_class: Callable[[Sam2], MaskTracker] = MaskTracker
        for part, path in config.own_parts.items():
            self.replace_part(part, find_class(path))

    def replace_part(self, part: str, kind: Any) -> None:
        """Put a new instance of a user's own class in the place of a part (`model.own_parts`)."""
        if part == "tracker":
            self.tracker_class = kind
        else:
            setattr(self, part, kind(self.config, self.backbone))

    @property
    def tokens(self) -> TokenIds:
        return self.config.tokens

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.sam2.no_mem_embed.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return self.sam2.no_mem_embed.dtype

    @property
    def tracker(self) -> MaskTracker:
        """Turns hidden tokens into masks, frame after frame."""
        return self.tracker_class(self.sam2)

    def read(self, x: Inputs, seen: VisualFeatures | None = None) -> Reading:
        """Everything that the language model reads.

        seen: what the tower made of the clips, if that is known: of those in x, or of those in the text from
        which x, without clips of its own, goes on.
        """
        tokens = self.backbone.embed(x.token_ids)
        seen = self.backbone.see(x.view) if seen is None else seen
        vision = (x.token_ids == self.tokens.video) | (x.token_ids == self.tokens.image)
        merged = seen.merged if x.view.grids else seen.merged[:0]
        tokens = place(tokens, vision, merged, "visual placeholders")
        if x.prompts or (x.token_ids == self.tokens.ref).any():
            prompts = self.object_prompt(x.prompts) if x.prompts else tokens.new_zeros(0, tokens.shape[-1])
            tokens = place(tokens, x.token_ids == self.tokens.ref, prompts, "<|ref|> slots")
        if any(region is not None for region in x.regions) or (x.token_ids == self.tokens.mem).any():
            assert x.regions, "the text has <|mem|> slots, but no region was given"
            memory = self.object_memory(seen, x.regions)
            tokens = place(tokens, x.token_ids == self.tokens.mem, memory, "<|mem|> slots")
        deep = DeepFeatures(vision, seen.deep) if seen.deep and x.view.grids else None
        return Reading(tokens, deep)

    def think(self, x: Inputs, cache: Any = None) -> Tensor:
        """What the language model makes of its input: hidden states [B, L, d] before the final norm."""
        read, positions = self.read(x), self.backbone.positions(x)
        return self.backbone.think(read.tokens, positions, x.attention_mask, cache, read.deep).hidden

    def forward(self, x: Inputs, cache: Any = None) -> Output:
        """Read, think, speak; and for every `<|seg|>` in the input the hidden tokens
        that ask for its mask."""
        hidden = self.think(x, cache)
        return Output(
            hidden=hidden,
            logits=self.backbone.speak(hidden),
            mask_prompts=self.mask_prompts(hidden, x.token_ids),
        )

    def mask_prompts(self, hidden: Tensor, token_ids: Tensor) -> tuple[Tensor, ...]:
        """Per sample [n, h, c]: from the state *before* each `<|seg|>`, the one that predicts it."""
        asks = torch.zeros_like(token_ids, dtype=torch.bool)
        asks[:, :-1] = token_ids[:, 1:] == self.tokens.seg
        return tuple(self.seg_head(hidden[row, asks[row]]) for row in range(len(token_ids)))


def place(tokens: Tensor, slots: Tensor, features: Tensor, what: str) -> Tensor:
    """tokens [B, L, d] with features [n, d] in the n true places of slots [B, L]; refuses any other count."""
    count = int(slots.sum())
    assert count == features.shape[0], (
        f"the text has {count} {what}, but {features.shape[0]} features were given"
    )
    return tokens.masked_scatter(slots[..., None], features.to(tokens.dtype))
