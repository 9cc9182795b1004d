"""What a checkpoint is made of: sizes, token ids, and the named choices where the
published code has a defect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from unipixel.core.request import PixelBudget
from unipixel.errors import ConfigError
from unipixel.model.object_memory import RegionOrder
from unipixel.model.own_parts import check_own_parts
from unipixel.model.sam2.config import Sam2Config

Seconds: TypeAlias = Literal["published", "fractional"]


@dataclass(frozen=True)
class TokenIds:
    """Ids of the tokens that steer the model, looked up in the tokenizer by name
    when a checkpoint is opened."""

    ref: int
    seg: int
    mem: int
    image: int
    video: int
    turn_end: int
    end_of_text: int

    @property
    def stops(self) -> tuple[int, ...]:
        """Tokens that end an answer."""
        return self.turn_end, self.end_of_text

    @property
    def rows(self) -> int:
        """Rows that a vocabulary table needs at least to hold them all."""
        largest: int = max(astuple(self))
        return 1 + largest


@dataclass(frozen=True)
class Licences:
    """Terms of use, as far as somebody has read them; "unknown" otherwise."""

    code: str = "Apache-2.0"
    weights: str = "unknown"
    base: str = "unknown"
    data: str = "unknown"


@dataclass(frozen=True)
class ModelConfig:
    """Everything that is not a weight.

    `backbone` names the family and `backbone_config` holds its sizes as transformers writes them.
    `region_order`, `seconds` and `sam2.rotary_gradients` are the named choices of docs/parity.md.
    `num_frames` and `pixels`: what the language model is shown by default. `own_parts`: a user's classes in
    place of the model's, by part (`model.own_parts`); whoever builds the model has asked for consent.
    Raises ConfigError for values of a wrong kind and unknown choices.
    """

    backbone_config: Mapping[str, Any]
    sam2: Sam2Config
    tokens: TokenIds
    backbone: str = "qwen2_5_vl"
    hidden_tokens: int = 2
    region_order: RegionOrder = "raster"
    seconds: Seconds = "fractional"
    num_frames: int = 16
    pixels: PixelBudget = field(default_factory=PixelBudget)
    licences: Licences = field(default_factory=Licences)
    name: str = "unnamed"
    own_parts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_own_parts(self.own_parts)
        for name, choices in (("region_order", get_args(RegionOrder)), ("seconds", get_args(Seconds))):
            if getattr(self, name) not in choices:
                expected = " or ".join(repr(choice) for choice in choices)
                raise ConfigError(f"{name} is {getattr(self, name)!r}; expected {expected}")
        for name in ("hidden_tokens", "num_frames"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name} is {value!r}; expected a whole number, 1 or more")
        for name, kind, what in (
            ("backbone", str, "the name of a family of models"),
            ("backbone_config", Mapping, "sizes by name"),
        ):
            found = getattr(self, name)
            if not isinstance(found, kind):
                raise ConfigError(f"{name} is of type {type(found).__name__}; expected {what}")
