"""SAM prompt encoder: points, box corners and masks to tokens; also UniPixel's `ref_encoder`.

Letters: N prompts, P points, c channels, S image side, h w = S/16.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unipixel.model.sam2.layers import ChannelNorm

POINT_KINDS = 4  # labels: 0 negative click, 1 positive click, 2 top-left corner, 3 bottom-right corner
PADDING = -1  # label of a token that stands for no point
FOURIER_MATRIX = "positional_encoding_gaussian_matrix"  # the last part of such a tensor's name


class FourierPositions(nn.Module):
    """Random Fourier features of positions in [0, 1]: float32 [..., k] → [..., c], sines before cosines.

    The matrix is part of a checkpoint, and float32 whatever the model's precision: the angles run over many
    turns.
    """

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, channels: int, dimensions: int = 2) -> None:
        super().__init__()
        matrix = torch.randn(dimensions, channels // 2, dtype=torch.float32)
        self.register_buffer(FOURIER_MATRIX, matrix)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FourierPositions":
        # Only the device follows, as for `Table`.
        matrix = self.positional_encoding_gaussian_matrix
        self.positional_encoding_gaussian_matrix = matrix.to(fn(matrix.new_empty(0)).device)
        return self

    def forward(self, position: Tensor) -> Tensor:
        matrix = self.positional_encoding_gaussian_matrix.float()
        angle = 2 * math.pi * ((2 * position.float() - 1) @ matrix)
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class PromptEncoder(nn.Module):
    """Encodes prompts given in pixels of the square mask view of side `image_size`."""

    def __init__(self, channels: int, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.pe_layer = FourierPositions(channels)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, channels) for _ in range(POINT_KINDS))
        self.not_a_point_embed = nn.Embedding(1, channels)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=2, stride=2),
            ChannelNorm(4),
            nn.GELU(),
            nn.Conv2d(4, 16, kernel_size=2, stride=2),
            ChannelNorm(16),
            nn.GELU(),
            nn.Conv2d(16, channels, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, channels)

    def encode_points(self, coords: Tensor, labels: Tensor, pad: bool) -> Tensor:
        """Points [N, P, 2] (x, y in pixels 0..S-1) with labels [N, P] → tokens [N, P (+1), c].

        Labels: 1 positive click, 0 negative, 2 top-left, 3 bottom-right, -1 no point. `pad` appends one.
        """
        coords = coords.float() + 0.5
        if pad:
            coords = F.pad(coords, (0, 0, 0, 1))
            labels = F.pad(labels, (0, 1), value=PADDING)
        kind = torch.stack(
            [embedding.weight[0] for embedding in self._kinds()]
        )  # [1 + 4, c], row 0: no point
        placed = (labels != PADDING).unsqueeze(-1)
        position = self.pe_layer(coords / self.image_size).to(kind.dtype)
        return torch.where(placed, position, torch.zeros_like(position)) + F.embedding(
            labels.long() + 1, kind
        )

    def encode_masks(self, logits: Tensor) -> Tensor:
        """Mask logits [N, 1, S/4, S/4] → dense prompt [N, c, h, w]."""
        dense: Tensor = self.mask_downscaling(logits)
        return dense

    def no_mask_dense(self) -> Tensor:
        """The dense prompt that stands for "no mask": [1, c, h, w], without copying."""
        side = self.image_size // 16
        return self.no_mask_embed.weight[:, :, None, None].expand(-1, -1, side, side)

    def dense_position_encoding(self) -> Tensor:
        """Fourier features of the cell centres of the top map: [1, c, h, w]."""
        side = self.image_size // 16
        centre = (
            torch.arange(side, device=self.no_mask_embed.weight.device, dtype=torch.float32) + 0.5
        ) / side
        y, x = torch.meshgrid(centre, centre, indexing="ij")
        grid: Tensor = self.pe_layer(torch.stack([x, y], dim=-1))
        return grid.permute(2, 0, 1)[None].to(self.no_mask_embed.weight.dtype)

    def _kinds(self) -> list[nn.Embedding]:
        kinds = [self.not_a_point_embed]
        kinds.extend(layer for layer in self.point_embeddings if isinstance(layer, nn.Embedding))
        return kinds
