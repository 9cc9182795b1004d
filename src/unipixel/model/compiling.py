"""Compiled parts for a GPU (`torch.compile`): those whose shapes are fixed, or vary in one length alone."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from unipixel.model.unipixel import UniPixel


def compile_parts(model: UniPixel) -> bool:
    """Compile the image encoder, for frames of the one size that it takes, and the MLPs of the decoder's
    layers, for any length; in place, names of weights stay. False, with a warning, where that fails: then all
    is as before.

    Attention of the decoder is left out: its cache grows with every token, so every token would be a new
    shape. The parts run once, because compilers fail at the first use; that takes a minute or so. The image
    encoder is compiled again for every other number of frames at once.
    """
    encoder, mlps = model.sam2.image_encoder, _mlps(model)
    try:
        encoder.compile(dynamic=False)
        for mlp in mlps:
            mlp.compile(dynamic=True)
        _run_once(model, mlps)
    except RuntimeError as error:  # of dynamo, of the compiler behind it, or of a system that has neither
        for part in (encoder, *mlps):
            part._compiled_call_impl = None  # as before `compile`; torch has no public way back
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        warnings.warn(f"torch.compile fails here ({reason}); going on without it", stacklevel=3)
        return False
    return True


def _mlps(model: UniPixel) -> list[nn.Module]:
    layers = model.backbone.text.layers
    assert isinstance(layers, nn.ModuleList), f"the decoder's layers are a {type(layers).__name__}"
    return [layer.get_submodule("mlp") for layer in layers]


@torch.inference_mode()
def _run_once(model: UniPixel, mlps: list[nn.Module]) -> None:
    """One frame, and texts of one token and of several."""
    side, width = model.config.sam2.image_size, model.backbone.hidden_size
    model.sam2.encode(torch.zeros(1, 3, side, side, device=model.device, dtype=model.dtype))
    for length in (1, 8):
        tokens = torch.zeros(1, length, width, device=model.device, dtype=model.dtype)
        for mlp in mlps:
            mlp(tokens)
