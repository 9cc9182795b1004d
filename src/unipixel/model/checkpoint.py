"""A checkpoint folder's configuration: the published layout, our own, and what tells them apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from huggingface_hub.errors import StrictDataclassError

from unipixel.core.request import TOKEN_PIXELS, PixelBudget
from unipixel.errors import ConfigError, UniPixelError, WeightsError
from unipixel.model.backbone import Backbone
from unipixel.model.config import Licences, ModelConfig, TokenIds
from unipixel.model.families import FAMILIES, get_family, plain_family, titles
from unipixel.model.inputs import VisualLayout
from unipixel.model.sam2 import Sam2Config
from unipixel.model.sam2.prompt_encoder import FOURIER_MATRIX
from unipixel.model.unipixel import UniPixel
from unipixel.model.weights import published_state, read_json, shapes_in

Layout: TypeAlias = Literal["unipixel", "published"]

CONFIG = "config.json"
ARCHITECTURE = "sam2_architecture.json"
WEIGHTS = "model.safetensors"
PUBLISHED_TYPE = "pixel_qwen2_5_vl"
OUR_TYPE = "unipixel"
FORMAT = 1
BASE_TYPES = tuple(FAMILIES)
PUBLISHED_BASE = "qwen2_5_vl"
BACKBONE_FIELDS = (
    "text_config",
    "vision_config",
    "image_token_id",
    "video_token_id",
    "vision_start_token_id",
    "vision_end_token_id",
    "tie_word_embeddings",
)

ATTENTION = "sdpa"
"""The attention code. A stranger's configuration must not choose it: transformers fetches and runs code for
names such as "owner/kernel"."""
CHOOSES_CODE = ("attn_implementation", "experts_implementation")
"""Settings, with whatever stands before or behind, that name code instead of sizes."""
UNREADABLE = (
    StrictDataclassError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What transformers, torch and our own reading raise for sizes of a wrong kind, or that contradict each
other."""

PUBLISHED_LICENCES = {
    "weights": "unknown (see the model card of the checkpoint that you opened)",
    "base": (
        "the terms of the Qwen2.5-VL size it was made from: the 3B base is not under the same terms as 7B; "
        "read both cards"
    ),
    "data": "unknown; several training sets (MeViS, ReVOS among them) are CC BY-NC-SA",
}

FRESH_LICENCES = Licences(
    weights="the untrained parts: Apache-2.0; the rest: the terms of the base and of SAM 2.1",
    base="unknown (see the cards of the base model's size and of the SAM 2.1 file that were given)",
    data="none of this project's; what the base and SAM 2.1 were trained with: unknown",
)
"""Of a model made from a base model and SAM 2.1 that nobody has trained yet."""


def read_config(folder: Path, tokens: TokenIds) -> ModelConfig:
    """The configuration of a checkpoint in our layout or the published one; the
    published defects stay on for the latter."""
    content = read_json(folder / CONFIG)
    kind = content.get("model_type")
    with blame(folder / CONFIG):
        if kind == OUR_TYPE:
            return _from_ours(content, tokens, folder)
        if kind == PUBLISHED_TYPE:
            return from_published(content, tokens, read_sam2_sizes(folder, content))
    raise WeightsError(
        f"{folder / CONFIG} says model_type {kind!r}; expected {OUR_TYPE!r} or {PUBLISHED_TYPE!r}. A plain "
        f"{titles()} folder needs a SAM 2.1 file beside it: "
        "unipixel.load(folder, sam2='sam2.1_hiera_base_plus.pt')"
    )


@contextmanager
def blame(file: Path) -> Iterator[None]:
    """Inside, a configuration is read or a model built from it: what goes wrong becomes a WeightsError that
    names the file."""
    try:
        yield
    except WeightsError:
        raise
    except UniPixelError as error:
        raise WeightsError(f"{file}: {error}") from error
    except UNREADABLE as error:
        kind, what = type(error).__name__, " ".join(str(error).split())
        raise WeightsError(
            f"{file} describes no model that can be built ({kind}: {what}); correct it or fetch it again"
        ) from error


def from_published(content: Mapping[str, Any], tokens: TokenIds, sam2: Sam2Config) -> ModelConfig:
    """A published `config.json` (or a plain base model's) as our configuration, with the
    published choices (docs/parity.md). The language view has as many tokens with every base model."""
    backbone = plain_family(content) or PUBLISHED_BASE
    return ModelConfig(
        backbone=backbone,
        backbone_config=dict(content),
        sam2=replace(sam2, rotary_gradients="published"),
        tokens=tokens,
        hidden_tokens=int(content.get("sam2_hidden_tokens", 2)),
        region_order="window",
        seconds="published",
        pixels=_pixels(FAMILIES[backbone].layout),
        licences=Licences(**PUBLISHED_LICENCES),
        name=str(content.get("model_name_or_path") or "unnamed").rsplit("/", 1)[-1],
    )


def _pixels(layout: VisualLayout) -> PixelBudget:
    """The published budget in tokens, in a base model's own pixels."""
    published, cell = PixelBudget(), layout.cell**2
    least, most = (size // TOKEN_PIXELS * cell for size in (published.min_pixels, published.max_pixels))
    return PixelBudget(least, most, published.shared_frames)


def read_sam2_sizes(folder: Path, content: Mapping[str, Any]) -> Sam2Config:
    """Sizes of the mask decoder: the architecture file where there is one, else the
    preset that the configuration names."""
    side = int(content.get("sam2_image_size", 768))
    if (folder / ARCHITECTURE).is_file():
        with blame(folder / ARCHITECTURE):
            return Sam2Config.from_architecture(read_json(folder / ARCHITECTURE))
    preset = content.get("sam2_config")
    if not preset:
        raise WeightsError(
            f"{folder / CONFIG} names no sam2_config, and there is no {ARCHITECTURE} beside it"
        )
    return Sam2Config.preset(str(preset), image_size=side)


def _from_ours(content: Mapping[str, Any], tokens: TokenIds, folder: Path) -> ModelConfig:
    if content.get("format") != FORMAT:
        raise WeightsError(
            f"{folder / CONFIG} has format {content.get('format')!r}; this version reads format {FORMAT}: "
            f"update unipixel, or save the checkpoint again with the version that wrote it"
        )
    try:
        sam2 = Sam2Config.from_architecture(content["sam2"])
        return ModelConfig(
            backbone=content["backbone"],
            backbone_config=content["backbone_config"],
            sam2=replace(sam2, rotary_gradients=content["rotary_gradients"]),
            tokens=tokens,
            hidden_tokens=content["hidden_tokens"],
            region_order=content["region_order"],
            seconds=content["seconds"],
            num_frames=content["num_frames"],
            pixels=PixelBudget(**content["pixels"]),
            licences=Licences(**content["licences"]),
            name=content["name"],
            own_parts=content.get("own_parts", {}),
        )
    except (KeyError, TypeError) as error:
        raise WeightsError(
            f"{folder / CONFIG} is incomplete ({error!r}); save the checkpoint again"
        ) from error


def our_config(config: ModelConfig) -> dict[str, Any]:
    """JSON of our own layout."""
    return {
        "model_type": OUR_TYPE,
        "format": FORMAT,
        "name": config.name,
        "backbone": config.backbone,
        "backbone_config": dict(config.backbone_config),
        "sam2": config.sam2.to_architecture(),
        "hidden_tokens": config.hidden_tokens,
        "region_order": config.region_order,
        "seconds": config.seconds,
        "rotary_gradients": config.sam2.rotary_gradients,
        "num_frames": config.num_frames,
        "pixels": asdict(config.pixels),
        "licences": asdict(config.licences),
        **({"own_parts": dict(config.own_parts)} if config.own_parts else {}),
    }


def describe(config: ModelConfig, layout: Layout) -> dict[str, Any]:
    """JSON of a configuration in either layout; ConfigError for choices that the
    published one cannot express."""
    return our_config(config) if layout == "unipixel" else published_config(config)


def is_published(config: ModelConfig) -> bool:
    """Whether the published layout has a place for a configuration."""
    choices = (config.backbone, config.region_order, config.seconds)
    return choices == (PUBLISHED_BASE, "window", "published") and not config.own_parts


def published_config(config: ModelConfig) -> dict[str, Any]:
    """JSON of the published layout. Its reader knows only the published choices:
    others are refused with their names."""
    departures = {
        "region_order": (config.region_order, "window"),
        "seconds": (config.seconds, "published"),
    }
    if config.backbone != PUBLISHED_BASE:
        title, known = get_family(config.backbone).title, FAMILIES[PUBLISHED_BASE].title
        raise ConfigError(
            f"the published code knows {known} only, and this model's base is {title}; "
            "write the layout 'unipixel'"
        )
    if config.own_parts:
        raise ConfigError(
            f"the published layout has no place for parts of one's own ({', '.join(config.own_parts)}); "
            "write the layout 'unipixel'"
        )
    wrong = [
        f"{name}={ours!r} (the published code computes {theirs!r})"
        for name, (ours, theirs) in departures.items()
        if ours != theirs
    ]
    if wrong:
        raise ConfigError(
            f"this model cannot be written in the published layout without changing its answers: "
            f"{', '.join(wrong)}; "
            f"pass force to write it all the same"
        )
    return _published(config)


def _published(config: ModelConfig) -> dict[str, Any]:
    content = dict(config.backbone_config)
    content.update(
        model_type=PUBLISHED_TYPE,
        architectures=["PixelQwen2_5_VLForConditionalGeneration"],
        base_model="qwen2_5_vl",
        sam2_config=content.get("sam2_config", "configs/custom"),
        sam2_image_size=config.sam2.image_size,
        sam2_hidden_tokens=config.hidden_tokens,
        ref_token_id=config.tokens.ref,
        seg_token_id=config.tokens.seg,
        mem_token_id=config.tokens.mem,
    )
    return content


def build_backbone(config: ModelConfig) -> Backbone:
    """The base model that a configuration names, with fresh weights."""
    family = get_family(config.backbone)
    sizes = family.sizes(**_backbone_arguments(config.backbone_config))
    sizes._attn_implementation = ATTENTION  # of its parts too
    return family.make(sizes, config)


def _backbone_arguments(content: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a `config.json` that describe the base model. Newer files nest the text
    sizes, older ones lay them flat. What chooses code is left out at every level."""
    content = _without_code(content)
    nested = {name: deepcopy(content[name]) for name in BACKBONE_FIELDS if content.get(name) is not None}
    if "text_config" in nested:
        return nested
    flat = {
        name: deepcopy(value)
        for name, value in content.items()
        if name not in ("model_type", "architectures")
    }
    return flat | nested


def _without_code(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_code(value) if isinstance(value, Mapping) else value
        for name, value in content.items()
        if not any(setting in name for setting in CHOOSES_CODE)
    }


def build_model(config: ModelConfig) -> UniPixel:
    """A model with fresh weights: Xavier-uniform projections, the object memory a copy of the merger, the
    prompt encoder a copy of SAM's, its random position matrix included."""
    model = UniPixel(config, build_backbone(config))
    initialise_own_parts(model)
    return model


def shapes_of(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Published names and shapes of a model's tensors; no memory is taken for them."""
    from transformers.initialization import no_init_weights

    with torch.device("meta"), no_init_weights():
        model = UniPixel(config, build_backbone(config))
    return shapes_in(published_state(model))


def initialise_own_parts(model: UniPixel) -> None:
    """Draw the projections that no base model brings (Xavier-uniform, biases 0), and copy what begins as a
    copy: SAM's prompt encoder -> object prompts, the merger's MLP -> object memory.

    Needs a filled backbone and mask decoder. Norms and the encoding of time stay as their modules made them.
    """
    assert not model.config.own_parts, "parts of a user's own begin as their classes make them"
    prompt = model.object_prompt
    for module in (*model.seg_head, *prompt.fuse, prompt.click, prompt.box, prompt.time):
        _xavier(module)
    model.object_prompt.points.load_state_dict(model.sam2.sam_prompt_encoder.state_dict())
    first, _, second = model.object_memory.project
    for layer, original in zip((first, second), model.backbone.merger, strict=True):
        layer.load_state_dict(original.state_dict())


def _xavier(module: torch.nn.Module) -> None:
    if isinstance(module, torch.nn.Linear):
        torch.nn.init.xavier_uniform_(module.weight)
        torch.nn.init.zeros_(module.bias)


def write_checkpoint(
    model: UniPixel, config: ModelConfig, folder: Path, layout: Layout, dtype: torch.dtype | None
) -> None:
    """Write weights, and `config` as theirs, into an existing folder; floating tensors take `dtype` if one is
    given, but for the Fourier matrices, which never lose precision."""
    from safetensors.torch import save_file

    content = describe(config, layout)
    state = {}
    for name, tensor in published_state(model).items():
        exact = name.endswith(FOURIER_MATRIX) or not tensor.is_floating_point()
        cast = None if exact else dtype
        state[name] = tensor.detach().to("cpu", cast).contiguous().clone()
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod(0o644)  # safetensors leaves it to its owner alone
    (folder / CONFIG).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if layout == "published":
        sizes = json.dumps(config.sam2.to_architecture(), indent=2)
        (folder / ARCHITECTURE).write_text(sizes + "\n", encoding="utf-8")


def with_vocabulary(config: ModelConfig, rows: int) -> ModelConfig:
    """The same model with a vocabulary of at least `rows` tokens."""
    content = deepcopy(dict(config.backbone_config))
    sizes = [part for part in (content, content.get("text_config")) if part and "vocab_size" in part]
    for part in sizes:
        part["vocab_size"] = max(rows, part["vocab_size"])
    return replace(config, backbone_config=content)


def with_defects(config: ModelConfig, published: bool) -> ModelConfig:
    """The published choices of docs/parity.md, or the corrected ones."""
    return replace(
        config,
        region_order="window" if published else "raster",
        seconds="published" if published else "fractional",
        sam2=replace(config.sam2, rotary_gradients="published" if published else "corrected"),
    )
