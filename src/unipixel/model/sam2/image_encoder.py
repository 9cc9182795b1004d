"""SAM 2.1 image encoder: the Hiera trunk and its feature pyramid. Parameter names are Meta's.

Letters: B images, h w map height and width, c channels, S image side.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unipixel.model.sam2.config import HieraConfig, Sam2Config
from unipixel.model.sam2.layers import Mlp


class ImageEncoder(nn.Module):
    """Images [B, 3, S, S] → three maps of `d_model` channels at strides 4, 8 and 16."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        self.trunk = Hiera(config.hiera)
        self.neck = FeaturePyramid(config.backbone_channels, config.d_model, config.top_down_levels)

    def forward(self, images: Tensor) -> list[Tensor]:
        # The coarsest level (stride 32) only feeds the one above it and is then dropped.
        levels: list[Tensor] = self.neck(self.trunk(images))
        return levels[:-1]


class Hiera(nn.Module):
    """Windowed vision transformer: [B, 3, S, S] → four maps [B, c·2^i, h, w] at strides 4, 8, 16, 32."""

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(config.embed_dim)
        window = config.window_spec[0]
        self.pos_embed = nn.Parameter(torch.zeros(1, config.embed_dim, *config.window_position_size))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, config.embed_dim, window, window))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.pos_embed_window, std=0.02)
        self.blocks = nn.ModuleList(_blocks(config))
        self.stage_ends = [sum(config.stages[: stage + 1]) - 1 for stage in range(4)]

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.patch_embed(images)
        x = x + self._position(x.shape[1], x.shape[2])
        outputs = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                outputs.append(x.permute(0, 3, 1, 2))
        return outputs

    def _position(self, height: int, width: int) -> Tensor:
        """A stretched global table plus a tiled window table: [1, h, w, c]."""
        window = self.pos_embed_window
        spread = F.interpolate(self.pos_embed, size=(height, width), mode="bicubic")
        tiled = window.tile(1, 1, height // window.shape[2], width // window.shape[3])
        return (spread + tiled).permute(0, 2, 3, 1)


class PatchEmbedding(nn.Module):
    """Overlapping patches of 7 pixels, one in 4: [B, 3, S, S] → [B, S/4, S/4, c]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, kernel_size=7, stride=4, padding=3)

    def forward(self, images: Tensor) -> Tensor:
        patches: Tensor = self.proj(images)
        return patches.permute(0, 2, 3, 1)


def _blocks(config: HieraConfig) -> list["Block"]:
    rates = torch.linspace(0, config.drop_path_rate, sum(config.stages), device="cpu").tolist()
    blocks: list[Block] = []
    for stage, depth in enumerate(config.stages):
        for position in range(depth):
            first = position == 0 and stage > 0
            # The block that changes the stage still works in the windows of the stage before.
            window = config.window_spec[stage - 1 if first else stage]
            blocks.append(
                Block(
                    channels=config.stage_channels[stage - 1 if first else stage],
                    channels_out=config.stage_channels[stage],
                    num_heads=config.num_heads * 2**stage,
                    window=0 if len(blocks) in config.global_attention_blocks else window,
                    drop_path=rates[len(blocks)],
                )
            )
    return blocks


class Block(nn.Module):
    """One block on maps [B, h, w, c]; it halves the map when it widens the channels. Window 0 is global."""

    def __init__(
        self, channels: int, channels_out: int, num_heads: int, window: int, drop_path: float
    ) -> None:
        super().__init__()
        self.window, self.drop_path = window, drop_path
        self.pools = channels != channels_out
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = PoolingAttention(channels, channels_out, num_heads, self.pools)
        self.norm2 = nn.LayerNorm(channels_out, eps=1e-6)
        self.mlp = Mlp(channels_out, channels_out * 4, channels_out, depth=2, activation=F.gelu)
        if self.pools:
            self.proj = nn.Linear(channels, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        shortcut = pool(self.proj(normed)) if self.pools else x
        x = shortcut + self._drop(self._attend(normed, shortcut.shape[1], shortcut.shape[2]))
        return x + self._drop(self.mlp(self.norm2(x)))

    def _attend(self, x: Tensor, height: int, width: int) -> Tensor:
        if self.window == 0:
            mixed: Tensor = self.attn(x)
            return mixed
        windows, rows, columns = split_windows(x, self.window)
        return join_windows(self.attn(windows), rows, columns)[:, :height, :width]

    def _drop(self, branch: Tensor) -> Tensor:
        """Stochastic depth: drop the whole branch of some images and scale up the others."""
        if not self.training or self.drop_path == 0.0:
            return branch
        keep = 1.0 - self.drop_path
        kept = branch.new_empty(branch.shape[0], 1, 1, 1).bernoulli_(keep)
        return branch * kept / keep


class PoolingAttention(nn.Module):
    """Self-attention over all cells of [B, h, w, c]; `pools` takes the maximum of 2 by 2 queries first."""

    def __init__(self, channels: int, channels_out: int, num_heads: int, pools: bool) -> None:
        super().__init__()
        self.num_heads, self.pools = num_heads, pools
        self.qkv = nn.Linear(channels, channels_out * 3)
        self.proj = nn.Linear(channels_out, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q = pool(q) if self.pools else q
        height, width = q.shape[1:3]
        mixed = F.scaled_dot_product_attention(self._split(q), self._split(k), self._split(v))
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(len(x), height, width, -1))
        return out

    def _split(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        return x.reshape(batch, height * width, self.num_heads, channels // self.num_heads).transpose(1, 2)


def pool(x: Tensor) -> Tensor:
    """Max pooling of 2 by 2 cells of [B, h, w, c]."""
    return F.max_pool2d(x.permute(0, 3, 1, 2), kernel_size=2).permute(0, 2, 3, 1)


def split_windows(x: Tensor, window: int) -> tuple[Tensor, int, int]:
    """[B, h, w, c] → ([B·rows·columns, window, window, c], rows, columns), zero-padded at the end."""
    batch, height, width, channels = x.shape
    x = F.pad(x, (0, 0, 0, -width % window, 0, -height % window))
    rows, columns = x.shape[1] // window, x.shape[2] // window
    x = x.view(batch, rows, window, columns, window, channels).transpose(2, 3)
    return x.reshape(-1, window, window, channels), rows, columns


def join_windows(windows: Tensor, rows: int, columns: int) -> Tensor:
    """Inverse of `split_windows`, padding included: [B·rows·columns, window, window, c] → [B, h, w, c]."""
    window, channels = windows.shape[1], windows.shape[3]
    x = windows.view(-1, rows, columns, window, window, channels).transpose(2, 3)
    return x.reshape(-1, rows * window, columns * window, channels)


class LateralConvolution(nn.Module):
    """Pointwise convolution under the name `conv`."""

    def __init__(self, channels: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels_out, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class FeaturePyramid(nn.Module):
    """Four trunk maps, fine to coarse → four of `d_model` channels; `top_down_levels` add the level above."""

    def __init__(self, channels: tuple[int, ...], d_model: int, top_down_levels: tuple[int, ...]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(LateralConvolution(size, d_model) for size in channels)  # coarse to fine
        self.top_down_levels = top_down_levels

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        last = len(maps) - 1
        levels: list[Tensor] = []
        for level in range(last, -1, -1):
            lateral = self.convs[last - level](maps[level])
            if level in self.top_down_levels and level < last:
                lateral = lateral + F.interpolate(levels[-1], scale_factor=2.0, mode="nearest")
            levels.append(lateral)
        return levels[::-1]
