"""The two views of a clip: what the language model sees, and what the mask decoder
sees."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from unipixel.core.request import FRAME_LIST_STEP
from unipixel.model.inputs import QWEN2_5_LAYOUT, Grid, LanguageView, VisualLayout

MASK_MEAN = (0.485, 0.456, 0.406)
MASK_STD = (0.229, 0.224, 0.225)


def language_size(
    height: int, width: int, min_pixels: int, max_pixels: int, layout: VisualLayout = QWEN2_5_LAYOUT
) -> tuple[int, int]:
    """Height and width of the language view of a frame within a pixel budget, multiples of a token's side
    (28 for Qwen2.5-VL)."""
    cell = layout.cell
    rows, columns = max(cell, round(height / cell) * cell), max(cell, round(width / cell) * cell)
    if rows * columns > max_pixels:
        scale = math.sqrt(height * width / max_pixels)
        rows = max(cell, math.floor(height / scale / cell) * cell)
        columns = max(cell, math.floor(width / scale / cell) * cell)
    elif rows * columns < min_pixels:
        scale = math.sqrt(min_pixels / (height * width))
        rows, columns = math.ceil(height * scale / cell) * cell, math.ceil(width * scale / cell) * cell
    return rows, columns


def language_view(
    frames: NDArray[np.uint8],
    size: tuple[int, int],
    layout: VisualLayout = QWEN2_5_LAYOUT,
    seconds_per_step: float = FRAME_LIST_STEP,
) -> LanguageView:
    """frames uint8 [T, H, W, 3] -> normalised patches of T frames resized to `size` (the last frame repeated
    until the temporal steps are full)."""
    height, width = size
    resized = np.stack([resize_picture(frame, height, width) for frame in frames])
    pixels = torch.from_numpy(resized).float().div_(255)
    pixels.sub_(torch.tensor(layout.mean)).div_(torch.tensor(layout.std))
    if missing := -len(pixels) % layout.pair:
        pixels = torch.cat([pixels, pixels[-1:].expand(missing, -1, -1, -1)])
    grid = Grid(len(pixels) // layout.pair, height // layout.patch, width // layout.patch, layout)
    return LanguageView(_patches(pixels, grid), (grid,), (seconds_per_step,))


def resize_picture(frame: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """PIL's bicubic resize of one RGB picture [H, W, 3]."""
    if frame.shape[:2] == (height, width):
        return frame
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))


def _patches(pixels: Tensor, grid: Grid) -> Tensor:
    """pixels [T, H, W, 3] -> [time * height * width, 3 * pair * patch * patch], the patches of a merged cell
    side by side."""
    pair, merge, patch = grid.layout.pair, grid.layout.merge, grid.layout.patch
    split = pixels.view(
        grid.time, pair, grid.height // merge, merge, patch, grid.width // merge, merge, patch, 3
    )  # temporal step | row group, row in group, y | column group, column in group, x | channel
    order = split.permute(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return order.reshape(grid.num_patches, 3 * pair * patch * patch)


def mask_view(frames: NDArray[np.uint8], side: int, device: torch.device | str = "cpu") -> Tensor:
    """frames uint8 [T, H, W, 3] -> normalised float [T, 3, side, side], aspect ratio ignored."""
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MASK_MEAN, MASK_STD))
    view = torch.empty(len(frames), 3, side, side, device=device)
    for place, frame in enumerate(frames):  # one by one, channels first: a third of the time of all at once
        channels = np.ascontiguousarray(frame.transpose(2, 0, 1))
        pixels = torch.from_numpy(channels).to(device)[None].float().div_(255)
        pixels = F.interpolate(
            pixels, size=(side, side), mode="bilinear", align_corners=False, antialias=True
        )
        torch.div(pixels.sub_(mean), std, out=view[place : place + 1])
    return view
