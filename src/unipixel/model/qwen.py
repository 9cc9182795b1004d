"""What the Qwen backbones share: a tower and a decoder of transformers, a cache that the caller holds, and
our own rotary positions; no hooks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.cache_utils import DynamicCache

from unipixel.model.backbone import Backbone, DeepFeatures, KeyValues, Thought, VisualFeatures
from unipixel.model.inputs import Inputs, LanguageView


class QwenBackbone(Backbone):
    """A tower and a decoder under one roof.

    The final norm is held here instead of inside the text model, because `<|seg|>` and the vocabulary read
    different sides of it.
    """

    def __init__(self, config: PretrainedConfig, visual: PreTrainedModel, text: PreTrainedModel) -> None:
        super().__init__()
        self.config = config
        self.visual = visual
        self.text = text
        self.norm = text.norm  # type: ignore[assignment]
        self.text.norm = nn.Identity()
        self.hidden_size: int = text.config.hidden_size
        self.vocabulary_size: int = text.config.vocab_size
        self.merge: int = visual.config.spatial_merge_size
        self.visual_size: int = visual.config.hidden_size * self.merge**2
        self.head = nn.Linear(self.hidden_size, self.vocabulary_size, bias=False)
        if self.tied:
            self.head.weight = self.text.embed_tokens.weight  # type: ignore[union-attr, assignment]

    @property
    def tied(self) -> bool:
        """Whether input and output embeddings are one table (the small models: yes, the large ones: no)."""
        return bool(self.config.tie_word_embeddings)

    def see(self, view: LanguageView) -> VisualFeatures:
        if not view.grids:  # a conversation without any picture
            merged, unmerged = (
                view.patches.new_empty(0, size) for size in (self.hidden_size, self.visual_size)
            )
            return VisualFeatures(merged, unmerged, unmerged, ())
        grids = torch.tensor([[g.time, g.height, g.width] for g in view.grids], device=view.patches.device)
        return self._features(self.visual(view.patches, grids), view)

    @abstractmethod
    def _features(self, seen: Any, view: LanguageView) -> VisualFeatures:
        """What the tower's output holds."""

    def embed(self, token_ids: Tensor) -> Tensor:
        embedded: Tensor = self.text.embed_tokens(token_ids)  # type: ignore[operator]
        return embedded

    def positions(self, inputs: Inputs) -> Tensor:
        """M-RoPE positions [3, B, L]: text advances all three axes together; cells sit at (time, row, column)
        after the text before them, and the text after them goes on from the largest position. Padding
        gets 1."""
        positions = torch.ones(3, *inputs.token_ids.shape, dtype=torch.long)
        token_ids, mask = inputs.token_ids.cpu(), inputs.attention_mask.cpu().bool()
        blocks = self._blocks(inputs.view)
        for row in range(inputs.batch_size):
            positions[:, row, mask[row]] = self._row_positions(token_ids[row, mask[row]], blocks)
        return positions.to(inputs.token_ids.device)

    @abstractmethod
    def _blocks(self, view: LanguageView) -> Iterator[Tensor]:
        """Positions [3, n] of the cells of a batch, from 0 on, in pieces of one run of the text or less."""

    def _row_positions(self, token_ids: Tensor, blocks: Iterator[Tensor]) -> Tensor:
        visual = (token_ids == self.config.video_token_id) | (token_ids == self.config.image_token_id)
        pieces: list[Tensor] = []
        next_position, index, length = 0, 0, len(token_ids)
        visual_starts = visual.nonzero().flatten().tolist()
        while index < length:
            stop = next((start for start in visual_starts if start >= index), length)
            text = torch.arange(stop - index) + next_position
            pieces.append(text.expand(3, -1))
            next_position += stop - index
            index = stop
            if index < length:
                cells = next(blocks) + next_position
                pieces.append(cells)
                next_position = int(cells.max()) + 1
                index += cells.shape[1]
        return torch.cat(pieces, dim=1)

    def new_cache(self, past: KeyValues = ()) -> DynamicCache:
        return DynamicCache(ddp_cache_data=past or None, config=self.text.config)

    def key_values(self, cache: DynamicCache) -> KeyValues:
        return tuple((layer.keys, layer.values) for layer in cache.layers)  # type: ignore[union-attr, misc]

    def think(
        self,
        tokens: Tensor,
        positions: Tensor,
        attention_mask: Tensor,
        cache: Any = None,
        deep: DeepFeatures | None = None,
    ) -> Thought:
        thought = self.text(
            inputs_embeds=tokens,
            position_ids=positions,
            attention_mask=attention_mask,
            past_key_values=cache,
            use_cache=cache is not None,
            **self._deep_arguments(deep),
        )
        return Thought(hidden=thought.last_hidden_state, cache=cache)

    def _deep_arguments(self, deep: DeepFeatures | None) -> dict[str, Any]:
        """The decoder's own form of `deep`; a decoder that takes none is never given some."""
        assert deep is None, f"{type(self).__name__} takes visual features before its first layer only"
        return {}

    def speak(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(hidden))
        return logits


def cell_positions(ticks: Tensor, height: int, width: int) -> Tensor:
    """(time, row, column) of cells in raster order, int [3, len(ticks) * height * width]."""
    axes = torch.meshgrid(ticks, torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([axis.flatten() for axis in axes])
