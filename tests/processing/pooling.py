"""What cells are by definition. `processing.regions.memory_regions` comes to the same without pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from unipixel.model.inputs import Grid


def pool_masks(masks: Tensor, grid: Grid) -> Tensor:
    """masks float [T, H, W] -> bool [time, height, width] of the merged grid: maximum over the frames of each
    temporal step, resize with antialias to the language view's size, maximum over each token's cell, > 0."""
    layout = grid.layout
    missing = -len(masks) % layout.pair
    masks = torch.cat([masks, masks[-1:].expand(missing, -1, -1)])
    pairs = masks.unflatten(0, (-1, layout.pair)).amax(1)
    resized = F.interpolate(
        pairs[:, None], size=grid.size, mode="bilinear", align_corners=False, antialias=True
    )
    return F.max_pool2d(resized, layout.cell, layout.cell)[:, 0] > 0
