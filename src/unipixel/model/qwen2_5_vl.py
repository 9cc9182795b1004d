"""Qwen2.5-VL as a backbone: transformers' tower and decoder, our own positions, both
visual feature levels, no hooks."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLTextConfig,
    Qwen2_5_VLVisionConfig,
)
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
    Qwen2_5_VLTextModel,
)

from unipixel.model.backbone import Backbone, KeyValues, Thought, VisualFeatures
from unipixel.model.inputs import Grid, Inputs, LanguageView


class Qwen2_5_VL(Backbone):
    """The backbone of the published checkpoints (arXiv 2502.13923).

    The final norm is held here instead of inside the text model, because `<|seg|>` and the vocabulary read
    different sides of it (architecture.md section 2).
    """

    def __init__(
        self, config: Qwen2_5_VLConfig, seconds: Literal["published", "fractional"] = "fractional"
    ) -> None:
        super().__init__()
        self.config = config
        self.seconds = seconds
        vision, text = config.vision_config, config.text_config
        assert isinstance(vision, Qwen2_5_VLVisionConfig), f"vision_config is a {type(vision).__name__}"
        assert isinstance(text, Qwen2_5_VLTextConfig), f"text_config is a {type(text).__name__}"
        self.vision_config, self.text_config = vision, text
        self.visual = Qwen2_5_VisionTransformerPretrainedModel(vision)
        self.text = Qwen2_5_VLTextModel(text)
        self.norm = self.text.norm
        self.text.norm = nn.Identity()  # type: ignore[assignment]
        self.hidden_size: int = text.hidden_size
        self.vocabulary_size: int = text.vocab_size
        self.merge: int = vision.spatial_merge_size
        self.visual_size: int = vision.hidden_size * self.merge**2
        self.head = nn.Linear(self.hidden_size, self.vocabulary_size, bias=False)
        if self.tied:
            self.head.weight = self.text.embed_tokens.weight

    @property
    def tied(self) -> bool:
        """Whether input and output embeddings are one table (3B: yes, 7B: no)."""
        return bool(self.config.tie_word_embeddings)

    @property
    def merger(self) -> nn.Module:
        merger: nn.Module = self.visual.merger
        return merger

    def see(self, view: LanguageView) -> VisualFeatures:
        if not view.grids:  # a conversation without any picture
            merged, unmerged = (
                view.patches.new_empty(0, size) for size in (self.hidden_size, self.visual_size)
            )
            return VisualFeatures(merged, unmerged, unmerged, ())
        grids = torch.tensor([[g.time, g.height, g.width] for g in view.grids], device=view.patches.device)
        seen = self.visual(view.patches, grids)
        windowed = self.visual.merger.ln_q(seen.last_hidden_state).view(-1, self.visual_size)
        order = torch.argsort(self.window_order(view.grids)).to(windowed.device)
        return VisualFeatures(seen.pooler_output, windowed[order], windowed, view.grids)

    def window_order(self, grids: tuple[Grid, ...]) -> Tensor:
        """Raster indices [n] of the merged cells in the order of the tower's attention windows.

        A window spans 4 x 4 merged cells of one pair of frames; windows and the cells inside them go row by
        row.
        """
        vision = self.vision_config
        assert isinstance(vision.patch_size, int), f"patches are square here; found {vision.patch_size}"
        side = vision.window_size // self.merge // vision.patch_size
        orders, start = [], 0
        for grid in grids:
            time, height, width = grid.merged()
            cells = torch.arange(time * height * width).view(time, height, width)
            windows = [
                cells[t, top : top + side, left : left + side].flatten()
                for t in range(time)
                for top in range(0, height, side)
                for left in range(0, width, side)
            ]
            orders.append(torch.cat(windows) + start)
            start += time * height * width
        return torch.cat(orders)

    def embed(self, token_ids: Tensor) -> Tensor:
        embedded: Tensor = self.text.embed_tokens(token_ids)
        return embedded

    def positions(self, inputs: Inputs) -> Tensor:
        """M-RoPE positions [3, B, L] as in transformers 4.53-4.57, with which the published weights were
        trained.

        Text advances all three axes together; a clip's cells sit at (time, row, column) after the text before
        it, and the text after it goes on from the largest position. Padding gets 1.
        """
        positions = torch.ones(3, *inputs.token_ids.shape, dtype=torch.long)
        token_ids, mask = inputs.token_ids.cpu(), inputs.attention_mask.cpu().bool()
        clips = iter(zip(inputs.view.grids, inputs.view.seconds_per_grid, inputs.view.is_image, strict=True))
        for row in range(inputs.batch_size):
            positions[:, row, mask[row]] = self._row_positions(token_ids[row, mask[row]], clips)
        return positions.to(inputs.token_ids.device)

    def _row_positions(self, token_ids: Tensor, clips: Any) -> Tensor:
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
                grid, seconds, is_image = next(clips)
                cells = self._clip_positions(grid, seconds, is_image) + next_position
                pieces.append(cells)
                next_position = int(cells.max()) + 1
                index += cells.shape[1]
        return torch.cat(pieces, dim=1)

    def _clip_positions(self, grid: Grid, seconds: float, is_image: bool) -> Tensor:
        time, height, width = grid.merged()
        speed = self.vision_config.tokens_per_second
        if is_image:
            ticks = torch.zeros(time, dtype=torch.long)
        elif self.seconds == "published":
            ticks = torch.arange(time) * int(seconds) * speed
        else:
            ticks = (torch.arange(time) * (seconds * speed)).long()
        axes = torch.meshgrid(ticks, torch.arange(height), torch.arange(width), indexing="ij")
        return torch.stack([axis.flatten() for axis in axes])

    def new_cache(self, past: KeyValues = ()) -> DynamicCache:
        return DynamicCache(ddp_cache_data=past or None, config=self.text_config)

    def key_values(self, cache: DynamicCache) -> KeyValues:
        return tuple((layer.keys, layer.values) for layer in cache.layers)  # type: ignore[union-attr, misc]

    def think(self, tokens: Tensor, positions: Tensor, attention_mask: Tensor, cache: Any = None) -> Thought:
        thought = self.text(
            inputs_embeds=tokens,
            position_ids=positions,
            attention_mask=attention_mask,
            past_key_values=cache,
            use_cache=cache is not None,
        )
        return Thought(hidden=thought.last_hidden_state, cache=cache)

    def speak(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(hidden))
        return logits
