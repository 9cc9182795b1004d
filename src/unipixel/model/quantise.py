"""The language model's weights in 8 bits, through torchao; everything else stays as it was opened.

What becomes int8 are the linear layers of the decoder: attention and MLP, one scale for each row of a weight.
They hold nine tenths of a large model's parameters and answer in words. Embeddings, vocabulary, norms, visual
tower, `<|seg|>` head, object memory and SAM 2.1 keep their precision, so that masks do.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from unipixel.errors import ConfigError
from unipixel.model.unipixel import UniPixel

LanguageForm: TypeAlias = Literal["full", "int8"]
"""How the language model's weights are held: in the precision of the rest, or in 8 bits."""
DEVICES = ("cpu", "cuda")
"""Kinds of devices that compute with int8 weights."""
DECODER = "model.layers."
"""Published prefix of the layers that become int8."""
ADAPTER = ".lora_"
"""In the names of an adapter's factors."""


def check_form(form: str, device: torch.device) -> None:
    """ConfigError unless weights can be held in this form on this device, here."""
    if form not in get_args(LanguageForm):
        known = " or ".join(map(repr, get_args(LanguageForm)))
        raise ConfigError(f"language is {form!r}; expected {known}")
    if form == "full":
        return
    if device.type not in DEVICES:
        raise ConfigError(
            f"int8 weights are for {' and '.join(DEVICES)}, not for {device.type}; choose device='cpu', or "
            "leave language='int8' out"
        )
    if importlib.util.find_spec("torchao") is None:
        raise ConfigError("int8 weights need torchao: pip install 'unipixel[int8]'")


def quantise_language(model: UniPixel, device: torch.device) -> None:
    """Turn the decoder's linear weights into int8 on `device`, layer after layer, in place.

    Each row w of a weight becomes round(w / s) with s = max |w| / 127.5 or so (torchao's symmetric rounding).
    Only for answering: such a model can neither be trained nor saved. Raises ConfigError for a model that is
    int8 already, or that has adapters beside its weights.
    """
    check_form("int8", device)
    layers = model.backbone.text.layers
    assert isinstance(layers, nn.Module), f"the decoder's layers are a {type(layers).__name__}"
    if any(ADAPTER in name for name, _ in layers.named_parameters()):
        raise ConfigError(
            "the language model has adapters that are not merged into its weights, and int8 weights cannot "
            "take them up later; open the folder that the training run exported, which merges them"
        )
    if is_quantised(model):
        raise ConfigError("the language model's weights are int8 already; quantise a model once")
    from torchao.quantization import Int8WeightOnlyConfig, quantize_  # takes seconds to import

    # Its settings for torch.compile would be those of the whole process.
    quantize_(layers, Int8WeightOnlyConfig(set_inductor_config=False), device=device)


def is_quantised(model: nn.Module) -> bool:
    """Whether any weight is held in another form than as plain numbers."""
    return any(_is_composed(parameter) for parameter in model.parameters())


def plain_state(model: nn.Module) -> dict[str, Tensor]:
    """A model's state with plain tensors alone: an int8 weight `w` is `w.qdata` int8 [out, in], `w.scale`
    [out, 1] and what else it consists of."""
    return dict(part for name, tensor in model.state_dict().items() for part in _parts(name, tensor))


def _is_composed(tensor: object) -> bool:
    """Whether it is a tensor made of others, as torchao's are."""
    return is_traceable_wrapper_subclass(tensor)


def _parts(name: str, tensor: Any) -> Iterator[tuple[str, Tensor]]:
    if not _is_composed(tensor):
        yield name, tensor
        return
    for part in tensor.__tensor_flatten__()[0]:
        yield f"{name}.{part}", getattr(tensor, part)


def saved_bytes(shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype) -> int:
    """By how many bytes int8 makes tensors of these published names and shapes smaller than `dtype`. Each row
    takes a float32 scale and an int8 zero beside."""
    weights = [shape for name, shape in shapes.items() if name.startswith(DECODER) and len(shape) == 2]
    return sum(rows * columns * (dtype.itemsize - 1) - 5 * rows for rows, columns in weights)
