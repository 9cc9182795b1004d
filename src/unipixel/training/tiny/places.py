"""How a mask decoder that is trained from nothing starts out, so that a click is heard.

A click's token and the map's cells carry the same Fourier code of their places, but meet only in the inner
product of two projections of it, eight channels a head. Drawn independently, these say nothing about who is
near whom, and until they happen to agree clicks look all the same (docs/log.md).
"""

from __future__ import annotations

import torch

from unipixel.model.sam2 import Sam2
from unipixel.model.sam2.layers import Attention
from unipixel.model.sam2.mask_decoder import TwoWayLayer, TwoWayTransformer

NEARNESS = 5.0
"""Attention logit of each head between a click and its own cell, at the start."""
REST = 0.3
"""How much of the random projections is kept."""


def align_places(sam2: Sam2) -> None:
    """Make every attention between tokens and cells look where its prompt points, from the first step on.

    Each head compares a few of the code's lowest frequencies: the sum of their cosines falls with distance.
    """
    matrix = sam2.sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
    lowest_first = matrix.norm(dim=0).argsort()
    for attention in _between_tokens_and_cells(sam2.sam_mask_decoder.transformer):
        _align(attention, lowest_first)


def _between_tokens_and_cells(transformer: TwoWayTransformer) -> list[Attention]:
    parts = [transformer.final_attn_token_to_image]
    for layer in transformer.layers:
        if isinstance(layer, TwoWayLayer):
            parts += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    return parts


@torch.no_grad()
def _align(attention: Attention, frequencies: torch.Tensor) -> None:
    """Frequencies [c / 2]: head h takes number h, h + heads, … of them, its sine and its cosine."""
    inner, width = attention.q_proj.weight.shape
    pairs = inner // 2
    per_head = pairs // attention.num_heads
    # Each frequency adds scale² (sin² + cos²) to a logit that is divided by the root of the head's width.
    scale = (NEARNESS * (2 * per_head) ** 0.5 / per_head) ** 0.5
    number = torch.arange(pairs)
    chosen = frequencies[number]
    row = number % attention.num_heads * 2 * per_head + number // attention.num_heads * 2
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight.mul_(REST)
        projection.weight[row, chosen] += scale
        projection.weight[row + 1, width // 2 + chosen] += scale
