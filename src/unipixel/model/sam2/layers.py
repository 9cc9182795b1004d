"""Layers that several parts of SAM 2.1 share, and the fixed position tables.

Letters: B batch, N tokens, c channels, h w feature map side.
"""

import itertools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a map [B, c, h, w]."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Mlp(nn.Module):
    """`depth` linear layers named `layers.N`, with `activation` between them: [..., in] → [..., out]."""

    def __init__(
        self,
        in_dim: int,
        hidden: int,
        out_dim: int,
        depth: int,
        activation: Callable[[Tensor], Tensor] = F.relu,
    ) -> None:
        super().__init__()
        sizes = [in_dim, *[hidden] * (depth - 1), out_dim]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


class Attention(nn.Module):
    """Multi-head attention: queries [B, N, c], keys and values [B', M, kv] → [B', N, c].

    `downsample` divides the inner width. One query set (B = 1) is shared by all B' key sets.
    """

    def __init__(self, dim: int, num_heads: int, downsample: int = 1, kv_dim: int | None = None) -> None:
        super().__init__()
        inner = dim // downsample
        self.num_heads = num_heads
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(kv_dim or dim, inner)
        self.v_proj = nn.Linear(kv_dim or dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        q, k, v = self.project(queries, keys, values)
        return self.attend(q, k, v)

    def project(self, queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project and split into heads: each [B, heads, N, inner / heads]."""
        q, k, v = self.q_proj(queries), self.k_proj(keys), self.v_proj(values)
        return self._split(q), self._split(k), self._split(v)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, dropout: float = 0.0) -> Tensor:
        """Attention of split heads, merged and projected: [B, N, c]."""
        if q.shape[0] != k.shape[0]:
            q = q.expand(k.shape[0], -1, -1, -1)
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        return x.view(batch, tokens, self.num_heads, width // self.num_heads).transpose(1, 2)


class Table(nn.Module):
    """A constant: computed once, moved with the model, never cast and never saved.

    It is built on the CPU even when the model is built on the meta device, so that it needs no later filling.
    """

    value: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Table":
        # Only the device follows: half precision would spoil the angles.
        device = fn(self.value.new_empty(0)).device
        self.value = self.value.to(device)
        return self


def sine_map(channels: int, side: int) -> Tensor:
    """Sine position encoding of a square map in raster order: [1, side², channels], first half for y."""
    axis = _sine_axis(channels // 2, side)
    rows = axis[:, None].expand(-1, side, -1)
    columns = axis[None].expand(side, -1, -1)
    return torch.cat([rows, columns], dim=-1).flatten(0, 1)[None]


def _sine_axis(channels: int, side: int) -> Tensor:
    """Interleaved sine and cosine of the positions 1..side, scaled to one full turn: [side, channels]."""
    position = torch.arange(1, side + 1, dtype=torch.float32, device="cpu")
    angle = (position / (side + 1e-6) * (2 * math.pi))[:, None] / _wavelengths(channels, position)
    return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], dim=-1).flatten(1)


def sine_time(position: Tensor, channels: int) -> Tensor:
    """Sine encoding of scalar positions [N] with all sines before all cosines: [N, channels]."""
    angle = position[:, None] / _wavelengths(channels // 2, position)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def _wavelengths(channels: int, like: Tensor) -> Tensor:
    index = torch.arange(channels, dtype=torch.float32, device=like.device)
    exponent = 2 * torch.div(index, 2, rounding_mode="floor") / channels
    return torch.as_tensor(10000.0, dtype=torch.float32, device=like.device) ** exponent


def axial_angles(head_dim: int, side: int, theta: float) -> Tensor:
    """Rotary angles of a square map in raster order: [side², head_dim / 2], first half for x."""
    index = torch.arange(0, head_dim, 4, dtype=torch.float32, device="cpu")
    frequency = 1.0 / torch.as_tensor(theta, dtype=torch.float32, device="cpu") ** (index / head_dim)
    cell = torch.arange(side * side, dtype=torch.float32, device="cpu")
    x, y = cell % side, torch.div(cell, side, rounding_mode="floor")
    return torch.cat([x[:, None] * frequency, y[:, None] * frequency], dim=-1)
