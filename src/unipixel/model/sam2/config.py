"""Sizes of SAM 2.1 as frozen values: one preset per public model, or read from an architecture file."""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from unipixel.errors import ConfigError

TOTAL_STRIDE = 32  # of the deepest Hiera stage; 8 cells of stride 4, the windowed position table, also fit
DECODER_MULTIPLE = 16  # the mask decoder has 8 heads and halves the width in cross attention


@dataclass(frozen=True)
class HieraConfig:
    """Sizes of the Hiera trunk; channels and heads double with each stage.

    Windows are squares of cells, one size per stage. Raises ConfigError for sizes that contradict each other.
    """

    embed_dim: int
    num_heads: int
    stages: tuple[int, ...]
    global_attention_blocks: tuple[int, ...]
    window_position_size: tuple[int, int]
    window_spec: tuple[int, ...] = (8, 4, 14, 7)
    drop_path_rate: float = 0.0

    def __post_init__(self) -> None:
        _require(
            len(self.stages) == len(self.window_spec) == 4 and min(self.stages) > 0,
            f"Hiera has stages {self.stages} and windows {self.window_spec}; expected four each, none empty.",
        )
        _require(
            self.embed_dim % self.num_heads == 0,
            f"Hiera's embed_dim {self.embed_dim} must be divisible by its {self.num_heads} heads.",
        )
        _require(
            all(0 <= block < sum(self.stages) for block in self.global_attention_blocks),
            f"global attention blocks {self.global_attention_blocks} must lie in 0..{sum(self.stages) - 1}.",
        )
        _require(
            0.0 <= self.drop_path_rate < 1.0,
            f"drop_path_rate is {self.drop_path_rate}; expected 0 or more, below 1.",
        )

    @property
    def stage_channels(self) -> tuple[int, ...]:
        """Channels of the four stages, fine to coarse."""
        return tuple(self.embed_dim * 2**stage for stage in range(4))


@dataclass(frozen=True)
class MemoryAttentionConfig:
    """Sizes of memory attention; dropout acts on attention weights and on each residual branch."""

    num_layers: int = 4
    num_heads: int = 1
    dim_feedforward: int = 2048
    rope_theta: float = 10000.0
    dropout: float = 0.1


@dataclass(frozen=True)
class MemoryEncoderConfig:
    """Sizes of the memory encoder: `out_dim` channels per memory cell, a fuser of depthwise blocks."""

    out_dim: int = 64
    fuser_layers: int = 2
    fuser_kernel: int = 7


@dataclass(frozen=True)
class Sam2Config:
    """All sizes of SAM 2.1.

    `image_size` is the side S of the square mask view in pixels, a multiple of 32. `rotary_gradients`
    "published" reproduces the published training, in which rotated queries and keys receive no gradient
    (docs/parity.md); the values computed are the same.
    Raises ConfigError for sizes that contradict each other.
    """

    image_size: int
    hiera: HieraConfig
    d_model: int = 256
    top_down_levels: tuple[int, ...] = (2, 3)
    memory_attention: MemoryAttentionConfig = field(default_factory=MemoryAttentionConfig)
    memory_encoder: MemoryEncoderConfig = field(default_factory=MemoryEncoderConfig)
    num_maskmem: int = 7
    max_object_pointers: int = 16
    rotary_gradients: Literal["corrected", "published"] = "corrected"

    def __post_init__(self) -> None:
        heads, memory_width = self.memory_attention.num_heads, self.memory_encoder.out_dim
        _require(
            self.image_size >= TOTAL_STRIDE and self.image_size % TOTAL_STRIDE == 0,
            f"image_size is {self.image_size}; expected a positive multiple of {TOTAL_STRIDE}, for example "
            f"{max(1, round(self.image_size / TOTAL_STRIDE)) * TOTAL_STRIDE}.",
        )
        _require(
            all(self.d_model % size == 0 for size in (DECODER_MULTIPLE, memory_width, 4 * heads)),
            f"d_model is {self.d_model}; expected a multiple of {DECODER_MULTIPLE}, of the memory width "
            f"{memory_width} (object pointers are cut into memory tokens) and of 4 x {heads} memory heads.",
        )
        _require(memory_width % 4 == 0, f"the memory width is {memory_width}; expected a multiple of 4.")
        _require(
            min(self.num_maskmem, self.max_object_pointers) > 1,
            f"num_maskmem is {self.num_maskmem} and max_object_pointers {self.max_object_pointers}; "
            "both must be 2 or more.",
        )
        _require(
            self.rotary_gradients in ("corrected", "published"),
            f'rotary_gradients is {self.rotary_gradients!r}; expected "corrected" or "published".',
        )

    @property
    def backbone_channels(self) -> tuple[int, ...]:
        """Channels of the trunk's four outputs, coarse to fine, as the feature pyramid takes them."""
        return self.hiera.stage_channels[::-1]

    @property
    def feature_size(self) -> int:
        """Side of the top feature map (stride 16)."""
        return self.image_size // 16

    @property
    def mask_size(self) -> int:
        """Side of low-resolution mask logits (stride 4)."""
        return self.image_size // 4

    @classmethod
    def preset(cls, name: str, image_size: int = 768) -> "Sam2Config":
        """Sizes of a public SAM 2.1 model: "t", "s", "b+" or "l", with the dropout that they train with.

        Longer names ("sam2.1_hiera_b+", "configs/sam2.1_hiera_b+") are understood. ConfigError if unknown.
        """
        short = name.rsplit("/", 1)[-1].removesuffix(".yaml").removeprefix("sam2.1_hiera_")
        if short not in _PRESETS:
            closest = difflib.get_close_matches(short, _PRESETS, n=1, cutoff=0.0)[0]
            raise ConfigError(
                f"unknown SAM 2.1 preset {name!r}; closest is {closest!r}. Choose from {', '.join(_PRESETS)}."
            )
        return cls(image_size=image_size, hiera=_PRESETS[short])

    @classmethod
    def from_architecture(cls, architecture: Mapping[str, Any]) -> "Sam2Config":
        """Read the layout of `sam2_architecture.json`, for a checkpoint whose sizes are no public preset.

        Raises ConfigError when a size is missing or when the file asks for what this model cannot be.
        """
        try:
            config = _read(architecture)
        except ConfigError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, ZeroDivisionError) as error:
            raise ConfigError(
                f"the SAM architecture lacks a size, or has one of a wrong kind ({error}). Expected "
                "image_size, hiera, fpn, memory_attention, memory_encoder, num_maskmem, "
                "max_obj_ptrs_in_encoder. "
                "`to_architecture` writes a complete one."
            ) from error
        ours = _flatten(config.to_architecture())
        unsupported = [
            f"{name} is {value}, this model has {ours.get(name, 'no such size')}"
            for name, value in _flatten(architecture).items()
            if ours.get(name) != value
        ]
        _require(
            not unsupported, f"the SAM architecture does not fit: {'; '.join(unsupported)}. Correct the file."
        )
        return config

    def to_architecture(self) -> dict[str, Any]:
        """Write the layout of `sam2_architecture.json`, ready for JSON."""
        hiera = asdict(self.hiera)
        hiera["window_pos_embed_bkg_spatial_size"] = hiera.pop("window_position_size")
        fpn = {
            "d_model": self.d_model,
            "backbone_channels": self.backbone_channels,
            "top_down_levels": self.top_down_levels,
            "interpolation": "nearest",
            "scalp": 1,
        }
        widths = dict.fromkeys(("in_dim", "mask_downsampler_embed_dim", "fuser_dim"), self.d_model)
        attention = {"d_model": self.d_model, "kv_in_dim": self.memory_encoder.out_dim}
        return {
            "image_size": self.image_size,
            "hiera": _lists(hiera),
            "fpn": _lists(fpn),
            "memory_attention": attention | asdict(self.memory_attention),
            "memory_encoder": widths | asdict(self.memory_encoder),
            "num_maskmem": self.num_maskmem,
            "max_obj_ptrs_in_encoder": self.max_object_pointers,
        }


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)


def _read(source: Mapping[str, Any]) -> Sam2Config:
    trunk, attention, encoder = source["hiera"], source["memory_attention"], source["memory_encoder"]
    height, width = trunk["window_pos_embed_bkg_spatial_size"]
    hiera = HieraConfig(
        embed_dim=trunk["embed_dim"],
        num_heads=trunk["num_heads"],
        stages=tuple(trunk["stages"]),
        global_attention_blocks=tuple(trunk["global_attention_blocks"]),
        window_position_size=(height, width),
        window_spec=tuple(trunk.get("window_spec", (8, 4, 14, 7))),
        drop_path_rate=trunk.get("drop_path_rate", 0.0),
    )
    return Sam2Config(
        image_size=source["image_size"],
        hiera=hiera,
        d_model=source["fpn"]["d_model"],
        top_down_levels=tuple(source["fpn"]["top_down_levels"]),
        memory_attention=MemoryAttentionConfig(**_only(MemoryAttentionConfig, attention)),
        memory_encoder=MemoryEncoderConfig(**_only(MemoryEncoderConfig, encoder)),
        num_maskmem=source["num_maskmem"],
        max_object_pointers=source["max_obj_ptrs_in_encoder"],
    )


def _only(kind: type, source: Mapping[str, Any]) -> dict[str, Any]:
    return {name: source[name] for name in kind.__annotations__}


def _lists(sizes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in sizes.items()}


def _flatten(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names of all sizes; a comment is no size."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": leaf for inner, leaf in _flatten(value).items()}
        elif name != "comment":
            flat[name] = value
    return flat


_PRESETS = {
    "t": HieraConfig(96, 1, (1, 2, 7, 2), (5, 7, 9), (7, 7), drop_path_rate=0.1),
    "s": HieraConfig(96, 1, (1, 2, 11, 2), (7, 10, 13), (7, 7), drop_path_rate=0.1),
    "b+": HieraConfig(112, 2, (2, 3, 16, 3), (12, 16, 20), (14, 14), drop_path_rate=0.1),
    "l": HieraConfig(144, 2, (2, 6, 36, 4), (23, 33, 43), (7, 7), (8, 4, 16, 8), drop_path_rate=0.1),
}
