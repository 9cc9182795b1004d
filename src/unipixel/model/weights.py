"""Tensors of checkpoints: their names in files and in memory, strict loading, adapters, Meta's SAM 2.1 file.

Tensors always pass through published names; `PUBLISHED_NAMES` maps them to the modules in memory. Nothing is
ignored: names that are missing, unexpected or of another shape are an error with the list.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import torch
from torch import Tensor

from unipixel.errors import WeightsError

PUBLISHED_NAMES = (
    ("backbone.text.", "model."),
    ("backbone.norm.", "model.norm."),
    ("backbone.head.", "lm_head."),
    ("backbone.visual.", "visual."),
    ("object_prompt.points.", "ref_encoder."),
    ("object_prompt.click.", "ref_proj_single."),
    ("object_prompt.box.", "ref_proj_double."),
    ("object_prompt.fuse.", "ref_proj."),
    ("object_prompt.time_encoding.", "tem_pe."),
    ("object_prompt.time_embedding.", "tem_emb."),
    ("object_prompt.time.", "tem_proj."),
    ("object_memory.project.", "msk_proj."),
    ("seg_head.", "seg_head."),
    ("sam2.", "sam2."),
)
"""(prefix in memory, prefix in a published file)."""
OWN_PARTS = ("object_prompt.", "object_memory.")
"""Prefixes of parts that may be a user's own, whose tensors have no published names."""

HEAD = "lm_head.weight"
VOCABULARY_TABLES = ("model.embed_tokens.weight", HEAD)
"""Tensors with one row per token."""
ADAPTER_PREFIX = "base_model.model."
LISTED_NAMES = 12
UNPICKLING_ERRORS = (
    OSError,
    EOFError,
    RuntimeError,
    pickle.UnpicklingError,
    struct.error,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
)
"""What the restricted unpickler raises for files that are no plain checkpoints."""


def published_name(name: str) -> str:
    """`backbone.text.layers.0.…` -> `model.layers.0.…`."""
    for ours, theirs in PUBLISHED_NAMES:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    assert name.startswith(OWN_PARTS), f"no published name for {name}"
    return name


def adapter_name(name: str) -> str:
    """A name in an adapter, a partial file or a plain base model (PEFT prefix, transformers' names in memory,
    which newer base models have in their files too) -> the published name; published ones stay."""
    name = name.removeprefix(ADAPTER_PREFIX)
    for theirs, published in (("model.language_model.", "model."), ("model.visual.", "visual.")):
        if name.startswith(theirs):
            return published + name.removeprefix(theirs)
    return name


def published_state(model: torch.nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers that a checkpoint holds, under published names; a tied head is left out."""
    state = {published_name(name): tensor for name, tensor in model.state_dict().items()}
    if model.backbone.tied:  # type: ignore[union-attr]
        state.pop(HEAD, None)
    return state


@dataclass(frozen=True)
class LoadReport:
    """What did not fit: published names; `mismatched` with both shapes."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        parts = []
        for what in ("missing", "unexpected", "mismatched"):
            names = getattr(self, what)
            if names:
                shown = ", ".join(names[:LISTED_NAMES])
                more = f" and {len(names) - LISTED_NAMES} more" if len(names) > LISTED_NAMES else ""
                parts.append(f"{len(names)} {what}: {shown}{more}")
        return "; ".join(parts) or "every name and shape fits"


def compare(model: torch.nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> LoadReport:
    """How a file's names and shapes fit the model's."""
    return _compare(shapes_in(published_state(model)), shapes)


def shapes_in(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of tensors."""
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def check_fit(
    wanted: Mapping[str, tuple[int, ...]], shapes: Mapping[str, tuple[int, ...]], source: str
) -> None:
    """WeightsError where a file's names and shapes are not those that its configuration describes.

    For before the model is made: a false size must not take the memory of the model that it describes. An
    output table beside tied ones is let through; `load_state` looks at its numbers.
    """
    tied = HEAD not in wanted
    found = {name: shape for name, shape in shapes.items() if not (tied and name == HEAD)}
    _check(_compare(wanted, found), source)


def _check(report: LoadReport, source: str) -> None:
    if not report.complete:
        raise WeightsError(f"{source} does not fit its configuration: {report}")


def _compare(wanted: Mapping[str, tuple[int, ...]], shapes: Mapping[str, tuple[int, ...]]) -> LoadReport:
    return LoadReport(
        missing=tuple(sorted(wanted.keys() - shapes.keys())),
        unexpected=tuple(sorted(shapes.keys() - wanted.keys())),
        mismatched=tuple(
            f"{name} {list(shapes[name])} (expected {list(wanted[name])})"
            for name in sorted(wanted.keys() & shapes.keys())
            if tuple(shapes[name]) != wanted[name]
        ),
    )


def load_state(model: torch.nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy a whole checkpoint (published names) into the model, cast to the model's
    dtypes; refuse anything that does not fit."""
    state = _without_tied_head(model, dict(state), source)
    _check(compare(model, shapes_in(state)), source)
    own = model.state_dict()
    with torch.no_grad():
        for name, tensor in own.items():
            published = published_name(name)
            if published in state:
                tensor.copy_(state[published])


def _without_tied_head(model: torch.nn.Module, state: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    if model.backbone.tied and HEAD in state:  # type: ignore[union-attr]
        head = state.pop(HEAD)
        if not torch.equal(head, state.get("model.embed_tokens.weight", torch.empty(0))):
            raise WeightsError(
                f"{source} says that input and output embeddings are tied, but its lm_head.weight differs "
                "from "
                f"model.embed_tokens.weight; correct tie_word_embeddings in config.json"
            )
    return state


# Files


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a whole checkpoint: one file, or the shards that its index names."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        places = read_json(index).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise WeightsError(f"{index} holds no weight_map (tensor -> shard); fetch or copy it again")
        odd = [place for place in places.values() if not _is_plain_name(place)]
        if odd:
            raise WeightsError(
                f"{index} says that tensors lie in {odd[0]!r}; expected names of files beside it"
            )
        shards = sorted(set(places.values()))
        missing = [name for name in shards if not os.path.isfile(folder / name)]
        if missing:
            raise WeightsError(
                f"{folder} lacks {len(missing)} of its {len(shards)} shards: {', '.join(missing)}"
            )
        return [folder / name for name in shards]
    single = folder / "model.safetensors"
    if single.is_file():
        return [single]
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    hint = f" ({', '.join(pickled)} cannot be opened safely; convert to safetensors)" if pickled else ""
    raise WeightsError(f"{folder} holds no model.safetensors and no model.safetensors.index.json{hint}")


def _is_plain_name(place: object) -> bool:
    """Whether it names a file of the same folder, on any system."""
    return isinstance(place, str) and place == PureWindowsPath(place).name and place not in ("", ".", "..")


def read_tensors(files: list[Path], device: str = "cpu") -> dict[str, Tensor]:
    """All tensors of some safetensors files."""
    state: dict[str, Tensor] = {}
    for file in files:
        state.update(
            _open_safetensors(
                file, lambda opened: {name: opened.get_tensor(name) for name in opened.keys()}, device
            )
        )
    return state


def read_shapes(files: list[Path]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of some safetensors files, without reading the tensors."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        shapes.update(
            _open_safetensors(
                file,
                lambda opened: {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()},
            )
        )
    return shapes


def _open_safetensors(
    file: Path, read: Callable[[Any], dict[str, Any]], device: str = "cpu"
) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt", device=device) as opened:
            return read(opened)
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{file} cannot be read as safetensors ({error}); fetch or copy it again"
        ) from error


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object, or WeightsError."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{file} cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{file} must hold a JSON object; found {type(content).__name__}")
    return content


# Adapters and fresh starts


def merge_adapter(state: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """Add the LoRA deltas of `folder` to a base state and lay its partial file (all other trained parameters)
    over it.

    W += (alpha / r) B A, in float32. Refuses a delta without a base weight.
    """
    merged = dict(state)
    lora = folder / "adapter_model.safetensors"
    if lora.is_file():
        scale = _lora_scale(read_json(folder / "adapter_config.json"))
        tensors = {adapter_name(name): tensor for name, tensor in read_tensors([lora]).items()}
        for name, down in _lora_parts(tensors, "lora_A"):
            target = name + ".weight"
            up = tensors.pop(name + ".lora_B.weight", None)
            if target not in merged or up is None:
                raise WeightsError(
                    f"{lora}: {name} has no {'base weight' if up is not None else 'lora_B'} to merge with"
                )
            if down.shape[0] != up.shape[1] or (up.shape[0], down.shape[1]) != tuple(merged[target].shape):
                raise WeightsError(
                    f"{lora}: {name} has factors {list(up.shape)} x {list(down.shape)}, "
                    f"but its base weight is {list(merged[target].shape)}; is this the right base?"
                )
            merged[target] = merged[target].float() + scale * (up.float() @ down.float())
        odd = [name for name in tensors if ".lora_A." not in name]
        if odd:
            raise WeightsError(
                f"{lora} holds {len(odd)} tensors that are no pairs of LoRA factors: "
                f"{', '.join(odd[:LISTED_NAMES])}"
            )
    partial = folder / "pytorch_model.safetensors"
    if partial.is_file():
        merged.update({adapter_name(name): tensor for name, tensor in read_tensors([partial]).items()})
    return merged


def merged_names(folder: Path) -> tuple[str, ...]:
    """Published names of the weights to which `merge_adapter` adds deltas; it then holds them in float32."""
    lora, suffix = folder / "adapter_model.safetensors", ".lora_A.weight"
    names = [adapter_name(name) for name in read_shapes([lora])] if lora.is_file() else []
    return tuple(name.removesuffix(suffix) + ".weight" for name in names if name.endswith(suffix))


def _lora_parts(tensors: Mapping[str, Tensor], part: str) -> Iterator[tuple[str, Tensor]]:
    suffix = f".{part}.weight"
    for name, tensor in list(tensors.items()):
        if name.endswith(suffix):
            yield name.removesuffix(suffix), tensor


def _lora_scale(config: Mapping[str, Any]) -> float:
    if config.get("peft_type") != "LORA" or config.get("use_dora"):
        raise WeightsError(
            f"only plain LoRA adapters can be merged; found {config.get('peft_type')}, "
            f"use_dora={config.get('use_dora')}"
        )
    if config.get("rank_pattern") or config.get("alpha_pattern"):
        raise WeightsError(
            "adapters with rank_pattern or alpha_pattern cannot be merged; merge them with peft first"
        )
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int | float) or not isinstance(alpha, int | float) or rank <= 0:
        raise WeightsError(f"adapter_config.json needs a rank r and lora_alpha; found {rank!r} and {alpha!r}")
    return float(alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank)


def grow_vocabulary(state: Mapping[str, Tensor], rows: int) -> dict[str, Tensor]:
    """Token tables with at least `rows` rows; new ones are the mean of the old.

    Larger tables stay as they are.
    """
    grown = dict(state)
    for name in VOCABULARY_TABLES:
        table = state.get(name)
        if table is not None and len(table) < rows:
            mean = table.float().mean(dim=0, keepdim=True).to(table.dtype)
            grown[name] = torch.cat([table, mean.expand(rows - len(table), -1)])
    return grown


def read_sam2_state(file: Path) -> dict[str, Tensor]:
    """Meta's SAM 2.1 `.pt` (a dict with `model`) -> tensors under `sam2.*`; only
    plain tensors are unpickled."""
    if not os.path.isfile(file):
        raise WeightsError(
            f"{file} is no file; give Meta's SAM 2.1 checkpoint, for example sam2.1_hiera_base_plus.pt"
        )
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except UNPICKLING_ERRORS as error:  # its own message advises to open the file unsafely
        raise WeightsError(
            f"{file} cannot be opened as a SAM 2.1 checkpoint of plain tensors ({type(error).__name__}); "
            "fetch Meta's file again"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise WeightsError(f"{file} is no SAM 2.1 checkpoint: expected a dict with the key 'model'")
    return {"sam2." + sam2_name(name): tensor for name, tensor in content["model"].items()}


def sam2_name(name: str) -> str:
    """Meta's name -> the published one: the fuser's `gamma` is called `weight` there."""
    if name.startswith("memory_encoder.fuser.layers.") and name.endswith(".gamma"):
        return name.removesuffix("gamma") + "weight"
    return name
