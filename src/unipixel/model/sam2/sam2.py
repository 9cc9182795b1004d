"""SAM 2.1 as one module that loads published weights: image encoder, prompt encoder, mask decoder and memory.

Letters: T frames, O objects, c channels, m memory channels, S image side, h w = S/16.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unipixel.errors import MediaError
from unipixel.model.sam2.config import Sam2Config
from unipixel.model.sam2.image_encoder import ImageEncoder
from unipixel.model.sam2.layers import Mlp, sine_time
from unipixel.model.sam2.mask_decoder import MaskDecoder
from unipixel.model.sam2.memory import MemoryAttention, MemoryEncoder
from unipixel.model.sam2.prompt_encoder import PromptEncoder


@dataclass(frozen=True)
class FrameFeatures:
    """Encoded frames: `top` [T, c, S/16, S/16]; `high_res` ([T, c/8, S/4, S/4], [T, c/4, S/8, S/8])."""

    top: Tensor
    high_res: tuple[Tensor, Tensor]

    def __len__(self) -> int:
        return self.top.shape[0]

    def __getitem__(self, index: int) -> "FrameFeatures":
        """One frame, with batch 1 and without copying."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        start = index % len(self)
        fine, middle = self.high_res
        one = slice(start, start + 1)
        return FrameFeatures(self.top[one], (fine[one], middle[one]))

    @property
    def nbytes(self) -> int:
        """Bytes of all maps."""
        return sum(part.numel() * part.element_size() for part in (self.top, *self.high_res))

    def alone(self) -> "FrameFeatures":
        """A copy that holds no other frame's memory."""
        fine, middle = self.high_res
        return FrameFeatures(self.top.clone(), (fine.clone(), middle.clone()))

    def select(self, index: Tensor) -> "FrameFeatures":
        """Frames gathered by an index tensor [O]: one frame for each object."""
        fine, middle = self.high_res
        return FrameFeatures(self.top[index], (fine[index], middle[index]))


class Sam2(nn.Module):
    """SAM 2.1. The parameters carry Meta's names; what happens over time is in `MaskTracker`."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        self.config = config
        width, memory_width = config.d_model, config.memory_encoder.out_dim
        self.image_encoder = ImageEncoder(config)
        self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.memory_attention = MemoryAttention(config)
        self.memory_encoder = MemoryEncoder(config)
        self.sam_prompt_encoder = PromptEncoder(width, config.image_size)
        self.sam_mask_decoder = MaskDecoder(width)
        self.obj_ptr_proj = Mlp(width, width, width, depth=3)
        self.obj_ptr_tpos_proj = nn.Linear(width, memory_width)
        self.maskmem_tpos_enc = _small(config.num_maskmem, 1, 1, memory_width)
        self.no_mem_embed = _small(1, 1, width)
        self.no_mem_pos_enc = _small(1, 1, width)  # in every checkpoint, used by none of the published models
        self.no_obj_ptr = _small(1, width)
        self.no_obj_embed_spatial = _small(1, memory_width)

    def encode(self, frames: Tensor) -> FrameFeatures:
        """Frames [T, 3, S, S], ImageNet-normalised → features. Raises MediaError when the side is not S."""
        side = self.config.image_size
        if frames.ndim != 4 or tuple(frames.shape[1:]) != (3, side, side):
            raise MediaError(
                f"the mask view has shape {tuple(frames.shape)}; expected (frames, 3, {side}, {side}). "
                "Resize it first."
            )
        fine, middle, top = self.image_encoder(frames)
        decoder = self.sam_mask_decoder
        return FrameFeatures(top, (decoder.conv_s0(fine), decoder.conv_s1(middle)))

    def time_encoding(self, distance: Tensor) -> Tensor:
        """Normalised frame distances of object pointers [N] → positions [N, m]."""
        encoded = sine_time(distance, self.config.d_model).to(self.no_obj_ptr.dtype)
        projected: Tensor = self.obj_ptr_tpos_proj(encoded)
        return projected


def _small(*shape: int) -> nn.Parameter:
    parameter = nn.Parameter(torch.zeros(*shape))
    nn.init.trunc_normal_(parameter, std=0.02)
    return parameter
