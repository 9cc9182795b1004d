"""What UniPixel needs of a vision-language model. A second base model is a second
file that satisfies `Backbone`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor, nn

from unipixel.model.inputs import QWEN2_5_LAYOUT, Grid, Inputs, LanguageView

KeyValues: TypeAlias = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values of every decoder layer, [B, heads, L, e] each."""


@dataclass(frozen=True)
class VisualFeatures:
    """Features of the clips of a batch, merged cells in raster order unless the order says otherwise.

    merged [n, d]: what enters the language model; unmerged [n, v]: what enters the merger's MLP (2x2 groups
    side by side), in raster order; windowed [n, v]: the same in the order in which the tower computes them
    (window by window). grids: of the clips, one after the other.
    """

    merged: Tensor
    unmerged: Tensor
    windowed: Tensor
    grids: tuple[Grid, ...]


@dataclass(frozen=True)
class Thought:
    """hidden [B, L, d] before the final norm, and the key/value cache that now also
    holds these tokens (or None)."""

    hidden: Tensor
    cache: Any


class Backbone(nn.Module, ABC):
    """The seams of the base model; all of them are pure but for the cache that the caller holds."""

    hidden_size: int
    visual_size: int
    vocabulary_size: int

    @abstractmethod
    def see(self, view: LanguageView) -> VisualFeatures:
        """Visual tower."""

    @abstractmethod
    def embed(self, token_ids: Tensor) -> Tensor:
        """Token embeddings [B, L, d]."""

    @abstractmethod
    def positions(self, inputs: Inputs) -> Tensor:
        """Rotary positions [3, B, L] of a batch (time, height, width)."""

    @abstractmethod
    def new_cache(self, past: KeyValues = ()) -> Any:
        """A key/value cache that the caller holds: empty, or a copy of what was read before."""

    @abstractmethod
    def key_values(self, cache: Any) -> KeyValues:
        """What a cache holds; the tensors are the cache's own."""

    @abstractmethod
    def think(self, tokens: Tensor, positions: Tensor, attention_mask: Tensor, cache: Any = None) -> Thought:
        """Decoder layers. attention_mask bool [B, cached + L]."""

    @abstractmethod
    def speak(self, hidden: Tensor) -> Tensor:
        """Final norm and vocabulary: logits [..., vocabulary]."""

    @property
    @abstractmethod
    def merger(self) -> nn.Module:
        """The projection from unmerged to merged features (the object memory's starts as its copy)."""


LAYOUTS = {"qwen2_5_vl": QWEN2_5_LAYOUT}
"""How each known base model cuts its pictures. A second one is a row here and a file with its class."""
