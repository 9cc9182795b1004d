"""SAM 2.1 memory: a mask becomes a memory, and a frame's features read from memories.

Letters: O objects, B 1 or O, c channels, m memory channels, S image side, h w = S/16, N memory tokens.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unipixel.model.sam2.config import Sam2Config
from unipixel.model.sam2.layers import Attention, ChannelNorm, Table, axial_angles, sine_map


@dataclass(frozen=True)
class MemoryTokens:
    """What a frame reads: tokens [O, N, m], position [1, N, m]; the last `num_pointer_tokens` no cells."""

    tokens: Tensor
    position: Tensor
    num_pointer_tokens: int


class MemoryEncoder(nn.Module):
    """Top features [B, c, h, w] and a mask [O, 1, S, S] → one memory [O, m, h, w]."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        sizes = config.memory_encoder
        self.mask_downsampler = MaskDownsampler(config.d_model)
        self.pix_feat_proj = nn.Conv2d(config.d_model, config.d_model, kernel_size=1)
        self.fuser = Fuser(config.d_model, sizes.fuser_layers, sizes.fuser_kernel)
        self.out_proj = nn.Conv2d(config.d_model, sizes.out_dim, kernel_size=1)
        self.position = Table(sine_map(sizes.out_dim, config.feature_size))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        fused = self.fuser(self.pix_feat_proj(features) + self.mask_downsampler(mask))
        memory: Tensor = self.out_proj(fused)
        return memory


class MaskDownsampler(nn.Module):
    """Four halvings, each with four times the channels, then a projection: [O, 1, S, S] → [O, c, h, w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (1, 4, 16, 64):
            halving = nn.Conv2d(width, width * 4, kernel_size=3, stride=2, padding=1)
            layers += [halving, ChannelNorm(width * 4), nn.GELU()]
        self.encoder = nn.Sequential(*layers, nn.Conv2d(256, channels, kernel_size=1))

    def forward(self, mask: Tensor) -> Tensor:
        encoded: Tensor = self.encoder(mask)
        return encoded


class Fuser(nn.Module):
    """A stack of depthwise blocks on [O, c, h, w]."""

    def __init__(self, channels: int, depth: int, kernel: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(FuserLayer(channels, kernel) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class FuserLayer(nn.Module):
    """Depthwise convolution and scaled MLP, added. Meta names the scale `gamma`, UniPixel `weight`."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = ChannelNorm(channels)
        self.pwconv1 = nn.Linear(channels, channels * 4)
        self.pwconv2 = nn.Linear(channels * 4, channels)
        self.weight = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        branch = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)
        branch = self.weight * self.pwconv2(F.gelu(self.pwconv1(branch)))
        moved: Tensor = branch.permute(0, 3, 1, 2)
        return x + moved


class MemoryAttention(nn.Module):
    """Top features [B, c, h, w] read from memory tokens → conditioned features [O, c, h, w]."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        sizes = config.memory_attention
        self.layers = nn.ModuleList(MemoryAttentionLayer(config) for _ in range(sizes.num_layers))
        self.norm = nn.LayerNorm(config.d_model)
        self.position = Table(sine_map(config.d_model, config.feature_size))
        angles = axial_angles(config.d_model // sizes.num_heads, config.feature_size, sizes.rope_theta)
        self.rotation = Table(torch.stack([angles.cos(), angles.sin()]))

    def forward(self, features: Tensor, memory: MemoryTokens) -> Tensor:
        rotation = Rotation(*self.rotation.value)
        x = features.flatten(2).mT + 0.1 * self.position.value.to(features.dtype)
        for layer in self.layers:
            x = layer(x, memory, rotation)
        read: Tensor = self.norm(x)
        return read.mT.reshape(-1, *features.shape[1:])


class MemoryAttentionLayer(nn.Module):
    """Self-attention, attention to memory and MLP, each added. The input may be shared by all objects."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        sizes, width = config.memory_attention, config.d_model
        self.self_attn = RotaryAttention(config, kv_dim=width)
        self.cross_attn_image = RotaryAttention(config, kv_dim=config.memory_encoder.out_dim)
        self.linear1 = nn.Linear(width, sizes.dim_feedforward)
        self.linear2 = nn.Linear(sizes.dim_feedforward, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, x: Tensor, memory: MemoryTokens, rotation: "Rotation") -> Tensor:
        own = self.norm1(x)
        x = x + self.dropout(self.self_attn(own, own, own, rotation))
        keys = memory.tokens + memory.position
        x = x + self.dropout(
            self.cross_attn_image(self.norm2(x), keys, memory.tokens, rotation, memory.num_pointer_tokens)
        )
        hidden = self.dropout(F.relu(self.linear1(self.norm3(x))))
        out: Tensor = x + self.dropout(self.linear2(hidden))
        return out


@dataclass(frozen=True)
class Rotation:
    """Cosines and sines of the map cells' angles: [h·w, head / 2] each."""

    cosine: Tensor
    sine: Tensor

    def turn(self, x: Tensor) -> Tensor:
        """Rotate neighbouring channel pairs of [O, heads, k·h·w, head], the same map k times over."""
        cosine, sine = self.cosine, self.sine
        even, odd = x.float().reshape(*x.shape[:2], -1, *cosine.shape, 2).unbind(-1)
        turned = torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1)
        return turned.view(x.shape).to(x.dtype)


class RotaryAttention(Attention):
    """Attention whose queries and map-cell keys are rotated by position; the last `exclude` keys are not."""

    def __init__(self, config: Sam2Config, kv_dim: int) -> None:
        super().__init__(config.d_model, config.memory_attention.num_heads, kv_dim=kv_dim)
        self.dropout_rate = config.memory_attention.dropout
        self.has_published_gradients = config.rotary_gradients == "published"

    def forward(  # type: ignore[override]
        self, queries: Tensor, keys: Tensor, values: Tensor, rotation: Rotation, exclude: int = 0
    ) -> Tensor:
        q, k, v = self.project(queries, keys, values)
        cells = k.shape[2] - exclude
        # The published training rotates without gradient: none for queries, zero for the rotated keys.
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.has_published_gradients):
            q, rotated = rotation.turn(q), rotation.turn(k[:, :, :cells])
        k = torch.cat([rotated, k[:, :, cells:]], dim=2)
        return self.attend(q, k, v, dropout=self.dropout_rate if self.training else 0.0)
