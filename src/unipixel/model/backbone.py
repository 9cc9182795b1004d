"""What UniPixel needs of a vision-language model. A second base model is a second
file that satisfies `Backbone`, and a row in `families` (docs/backbones.md)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from unipixel.model.inputs import Grid, Inputs, LanguageView, VisualLayout

if TYPE_CHECKING:
    from unipixel.model.config import ModelConfig

KeyValues: TypeAlias = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values of every decoder layer, [B, heads, L, e] each."""


@dataclass(frozen=True)
class VisualFeatures:
    """Features of the clips of a batch, merged cells in raster order unless the order says otherwise.

    merged [n, d]: what enters the language model; unmerged [n, v]: what enters the merger's MLP (2x2 groups
    side by side), in raster order; windowed [n, v]: the same in the order in which the tower computes them
    (window by window; a tower without windows has raster order here too). grids: of the clips, one after the
    other. deep: what earlier layers of the tower add behind the first decoder layers, [n, d] for each of
    these (DeepStack, arXiv 2406.04334); empty where the base model has no such thing.
    """

    merged: Tensor
    unmerged: Tensor
    windowed: Tensor
    grids: tuple[Grid, ...]
    deep: tuple[Tensor, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of all features; what is there twice under two names counts once."""
        tensors = {id(one): one for one in (self.merged, self.unmerged, self.windowed, *self.deep)}
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


@dataclass(frozen=True)
class DeepFeatures:
    """Visual features that enter behind the first decoder layers: `levels`, [n, d] for each of these, are
    added at the n true places of `slots` [B, L]."""

    slots: Tensor
    levels: tuple[Tensor, ...]


@dataclass(frozen=True)
class Thought:
    """hidden [B, L, d] before the final norm, and the key/value cache that now also
    holds these tokens (or None)."""

    hidden: Tensor
    cache: Any


class Backbone(nn.Module, ABC):
    """The seams of the base model; all of them are pure but for the cache that the caller holds.

    visual, text: the tower, whose layers are its `blocks`, and the decoder without its final norm, whose
    layers are its `layers`; norm, head: that norm, and the vocabulary. These four hold every parameter, under
    these names: training groups, adapts and shards them by name.
    """

    visual: PreTrainedModel
    text: PreTrainedModel
    norm: nn.Module
    head: nn.Linear
    hidden_size: int
    visual_size: int
    vocabulary_size: int

    @property
    @abstractmethod
    def tied(self) -> bool:
        """Whether input and output embeddings are one table."""

    @abstractmethod
    def see(self, view: LanguageView) -> VisualFeatures:
        """Visual tower."""

    @abstractmethod
    def embed(self, token_ids: Tensor) -> Tensor:
        """Token embeddings [B, L, d]."""

    @abstractmethod
    def positions(self, inputs: Inputs) -> Tensor:
        """Rotary positions [3, B, L] of a batch (time, height, width); text goes on one behind the largest.
        Padding gets 1."""

    @abstractmethod
    def new_cache(self, past: KeyValues = ()) -> Any:
        """A key/value cache that the caller holds: empty, or a copy of what was read before."""

    @abstractmethod
    def key_values(self, cache: Any) -> KeyValues:
        """What a cache holds; the tensors are the cache's own."""

    @abstractmethod
    def think(
        self,
        tokens: Tensor,
        positions: Tensor,
        attention_mask: Tensor,
        cache: Any = None,
        deep: DeepFeatures | None = None,
    ) -> Thought:
        """Decoder layers. attention_mask bool [B, cached + L]; deep: of the clips among these tokens, from
        `see`, where it gave some."""

    @abstractmethod
    def speak(self, hidden: Tensor) -> Tensor:
        """Final norm and vocabulary: logits [..., vocabulary]."""

    @property
    @abstractmethod
    def merger(self) -> tuple[nn.Linear, nn.Linear]:
        """The two layers, a GELU between them, of the projection from unmerged to merged features (the object
        memory's starts as its copy)."""


@dataclass(frozen=True)
class Family:
    """A base model as the rest of the project meets it.

    title: its name for people; layout: how it cuts pictures, and how a clip stands in its text; sizes: the
    class of its configuration; make: builds it, with fresh weights, from such a configuration and the model's
    own.
    """

    title: str
    layout: VisualLayout
    sizes: type[PretrainedConfig]
    make: Callable[[Any, ModelConfig], Backbone]
