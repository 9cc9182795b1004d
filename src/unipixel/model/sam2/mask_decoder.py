"""SAM 2.1 mask decoder: prompt tokens and image features exchange information, then tokens become masks.

Letters: O objects, N tokens, c channels, h w = S/16.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unipixel.model.sam2.layers import Attention, ChannelNorm, Mlp

NUM_MASKS = 4  # one for unambiguous prompts, three candidates
NUM_HEADS = 8
HIDDEN = 2048
QUALITY_HIDDEN = 256


@dataclass(frozen=True)
class DecodedMasks:
    """All four masks: logits [O, 4, 4h, 4w], qualities 0..1 [O, 4], tokens [O, 4, c]; score logits [O]."""

    logits: Tensor
    ious: Tensor
    tokens: Tensor
    object_score: Tensor


class MaskDecoder(nn.Module):
    """Predicts masks from features [B, c, h, w], high-resolution maps and prompts; B is 1 or O."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(channels)
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(NUM_MASKS, channels)
        self.obj_score_token = nn.Embedding(1, channels)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 4, kernel_size=2, stride=2),
            ChannelNorm(channels // 4),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.conv_s0 = nn.Conv2d(channels, channels // 8, kernel_size=1)
        self.conv_s1 = nn.Conv2d(channels, channels // 4, kernel_size=1)
        self.output_hypernetworks_mlps = nn.ModuleList(
            Mlp(channels, channels, channels // 8, depth=3) for _ in range(NUM_MASKS)
        )
        self.iou_prediction_head = Mlp(channels, QUALITY_HIDDEN, NUM_MASKS, depth=3)
        self.pred_obj_score_head = Mlp(channels, channels, 1, depth=3)

    def forward(
        self,
        features: Tensor,
        position: Tensor,
        high_res: tuple[Tensor, Tensor],
        sparse: Tensor,
        dense: Tensor,
    ) -> DecodedMasks:
        """Features and dense prompt [1 or O, c, h, w], position [1, c, h, w], sparse prompt [O, N, c]."""
        objects = sparse.shape[0]
        own = torch.cat([self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(objects, -1, -1), sparse.to(own.dtype)], dim=1)
        image = (features + dense).expand(objects, -1, -1, -1)
        tokens, cells = self.transformer(tokens, image.flatten(2).mT, position.flatten(2).mT)
        masks = tokens[:, 2 : 2 + NUM_MASKS]
        return DecodedMasks(
            logits=self._draw(masks, cells.mT.reshape(image.shape), high_res),
            ious=self.iou_prediction_head(tokens[:, 1]).sigmoid(),
            tokens=masks,
            object_score=self.pred_obj_score_head(tokens[:, 0])[:, 0],
        )

    def _draw(self, tokens: Tensor, image: Tensor, high_res: tuple[Tensor, Tensor]) -> Tensor:
        """Each mask token becomes a pointwise filter on the upscaled image features."""
        grow, norm, act, grow_again, act_again = self.output_upscaling
        fine, middle = high_res
        upscaled = act(norm(grow(image) + middle))
        upscaled = act_again(grow_again(upscaled) + fine)
        filters = torch.stack(
            [mlp(tokens[:, index]) for index, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1
        )
        return torch.einsum("onc,ochw->onhw", filters, upscaled)


class TwoWayTransformer(nn.Module):
    """Tokens [O, N, c] and image [O, h·w, c], placed by position [1, h·w, c], update each other twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(channels, is_first=index == 0) for index in range(2))
        self.final_attn_token_to_image = Attention(channels, NUM_HEADS, downsample=2)
        self.norm_final_attn = nn.LayerNorm(channels)

    def forward(self, prompt: Tensor, image: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        tokens = prompt
        for layer in self.layers:
            tokens, image = layer(tokens, image, prompt, position)
        tokens = tokens + self.final_attn_token_to_image(tokens + prompt, image + position, image)
        return self.norm_final_attn(tokens), image


class TwoWayLayer(nn.Module):
    """Self-attention of tokens, tokens to image, MLP, image to tokens. The first tokens are the prompt."""

    def __init__(self, channels: int, is_first: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.self_attn = Attention(channels, NUM_HEADS)
        self.norm1 = nn.LayerNorm(channels)
        self.cross_attn_token_to_image = Attention(channels, NUM_HEADS, downsample=2)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, HIDDEN, channels, depth=2, activation=F.relu)
        self.norm3 = nn.LayerNorm(channels)
        self.norm4 = nn.LayerNorm(channels)
        self.cross_attn_image_to_token = Attention(channels, NUM_HEADS, downsample=2)

    def forward(
        self, tokens: Tensor, image: Tensor, prompt: Tensor, position: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.is_first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            tokens = tokens + self.self_attn(tokens + prompt, tokens + prompt, tokens)
        tokens = self.norm1(tokens)
        placed = image + position
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + prompt, placed, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        return tokens, self.norm4(image + self.cross_attn_image_to_token(placed, tokens + prompt, tokens))
