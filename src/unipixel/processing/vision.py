"""The two views of a clip: what the language model sees, and what the mask decoder
sees (architecture.md section 1)."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from unipixel.errors import MediaError
from unipixel.model.inputs import Grid, LanguageView

PATCH = 14
MERGE = 2
PAIR = 2
"""Frames that one temporal step of the language view covers."""
CELL = PATCH * MERGE
MAX_ASPECT_RATIO = 200
SECONDS_PER_GRID = 1.0
"""Frame lists count as 2 frames per second, so one pair lasts one second."""

LANGUAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
LANGUAGE_STD = (0.26862954, 0.26130258, 0.27577711)
MASK_MEAN = (0.485, 0.456, 0.406)
MASK_STD = (0.229, 0.224, 0.225)


def language_size(height: int, width: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Height and width, multiples of 28, of the language view of a frame, within a
    pixel budget (benchmarks.md 0.2)."""
    if max(height, width) > MAX_ASPECT_RATIO * min(height, width):
        raise MediaError(
            f"the picture is {width}x{height}; its sides may differ by a factor of {MAX_ASPECT_RATIO} at most"
        )
    rows, columns = max(CELL, round(height / CELL) * CELL), max(CELL, round(width / CELL) * CELL)
    if rows * columns > max_pixels:
        scale = math.sqrt(height * width / max_pixels)
        rows = max(CELL, math.floor(height / scale / CELL) * CELL)
        columns = max(CELL, math.floor(width / scale / CELL) * CELL)
    elif rows * columns < min_pixels:
        scale = math.sqrt(min_pixels / (height * width))
        rows, columns = math.ceil(height * scale / CELL) * CELL, math.ceil(width * scale / CELL) * CELL
    return rows, columns


def language_view(frames: NDArray[np.uint8], size: tuple[int, int]) -> LanguageView:
    """frames uint8 [T, H, W, 3] -> normalised patches of T frames (the last repeated
    if T is odd) resized to `size`."""
    height, width = size
    resized = np.stack([resize_picture(frame, height, width) for frame in frames])
    pixels = torch.from_numpy(resized).float() / 255
    pixels = (pixels - torch.tensor(LANGUAGE_MEAN)) / torch.tensor(LANGUAGE_STD)
    if len(pixels) % PAIR:
        pixels = torch.cat([pixels, pixels[-1:]])
    grid = Grid(len(pixels) // PAIR, height // PATCH, width // PATCH)
    return LanguageView(_patches(pixels, grid), (grid,), (SECONDS_PER_GRID,))


def resize_picture(frame: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """PIL's bicubic resize of one RGB picture [H, W, 3]."""
    if frame.shape[:2] == (height, width):
        return frame
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))


def _patches(pixels: Tensor, grid: Grid) -> Tensor:
    """pixels [T, H, W, 3] -> [time * height * width, 3 * 2 * 14 * 14], the four
    patches of a merged cell side by side."""
    split = pixels.view(
        grid.time, PAIR, grid.height // MERGE, MERGE, PATCH, grid.width // MERGE, MERGE, PATCH, 3
    )  # time pair | row group, row in group, y | column group, column in group, x | channel
    order = split.permute(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return order.reshape(grid.num_patches, 3 * PAIR * PATCH * PATCH)


def mask_view(frames: NDArray[np.uint8], side: int, device: torch.device | str = "cpu") -> Tensor:
    """frames uint8 [T, H, W, 3] -> normalised float [T, 3, side, side], aspect ratio ignored."""
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).to(device).permute(0, 3, 1, 2).float() / 255
    pixels = F.interpolate(pixels, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MASK_MEAN, MASK_STD))
    return (pixels - mean) / std
