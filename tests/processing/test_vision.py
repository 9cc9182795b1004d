"""The two views of a clip: sizes within a budget, Qwen's patch layout, and the square mask view."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from unipixel.core.conversation import user
from unipixel.core.media import Clip, check_sides
from unipixel.core.request import PixelBudget, Request
from unipixel.errors import MediaError, RequestError
from unipixel.loading import load
from unipixel.model.inputs import QWEN2_5_LAYOUT
from unipixel.processing.vision import (
    MASK_MEAN,
    MASK_STD,
    language_size,
    language_view,
    mask_view,
)

UNIT = 28 * 28
EVALUATION = (128 * UNIT, 256 * UNIT)


def noise(frames: int, height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "budget", "size"),
    [
        (300, 400, EVALUATION, (308, 392)),  # 10.7 and 14.3 cells, within the budget
        (720, 1280, EVALUATION, (336, 588)),  # above: divided by sqrt(720 * 1280 / 200704) = 15/7, then down
        (480, 854, EVALUATION, (308, 588)),
        (30, 30, EVALUATION, (336, 336)),  # below: times sqrt(100352 / 900) = 10.6, then up
        (70, 98, (1, 10**9), (56, 112)),  # 2.5 and 3.5 cells: halves go to the even number
        (10, 1000, (1, 10**9), (28, 1008)),  # at least one cell
        (20, 3000, (1, 16 * UNIT), (28, 1344)),  # the same when shrinking: only then the budget is exceeded
        (448, 448, (1, 256 * UNIT), (448, 448)),  # exactly the maximum
        (28, 28, (UNIT, UNIT), (28, 28)),
        (10, 2000, (1, 10**9), (28, 1988)),  # 71.4 cells; a ratio of 200 is still taken
    ],
)
def test_language_sizes_of_hand_made_cases(
    height: int, width: int, budget: tuple[int, int], size: tuple[int, int]
) -> None:
    assert language_size(height, width, *budget) == size
    assert language_size(width, height, *budget) == size[::-1]


@pytest.mark.parametrize(("height", "width"), [(10, 2001), (2001, 10)])
def test_slivers_are_refused(height: int, width: int) -> None:
    clip = Clip.open(np.zeros((height, width, 3), dtype=np.uint8))
    with pytest.raises(MediaError, match=f"{width}x{height}"):
        check_sides(clip)
    check_sides(Clip.open(np.zeros((10, 2000, 3), dtype=np.uint8)))


@pytest.mark.parametrize(("frames", "factor"), [(1, 16), (2, 8), (3, 5), (8, 2), (9, 1), (16, 1), (40, 1)])
def test_short_clips_share_the_budget_of_16_frames(frames: int, factor: int) -> None:
    assert PixelBudget().for_frames(frames) == (128 * UNIT, 256 * UNIT * factor)
    assert PixelBudget(UNIT, 2 * UNIT, None).for_frames(frames) == (UNIT, 2 * UNIT)


def test_patches_follow_the_documented_layout() -> None:
    """Pairs of frames; 2x2 groups of patches in raster order; inside a patch channel, frame, row, column."""
    frames = noise(4, 56, 84)
    view = language_view(frames, (56, 84))
    assert (view.grids[0].time, view.grids[0].height, view.grids[0].width) == (2, 4, 6)
    expected = []
    for pair in (0, 2):
        for top in range(0, 56, 28):
            for left in range(0, 84, 28):
                for y in (top, top + 14):
                    for x in (left, left + 14):
                        block = frames[pair : pair + 2, y : y + 14, x : x + 14].astype(np.float64) / 255
                        block = (block - QWEN2_5_LAYOUT.mean) / QWEN2_5_LAYOUT.std
                        expected.append(block.transpose(3, 0, 1, 2).ravel())
    np.testing.assert_allclose(view.patches.numpy(), np.stack(expected), rtol=0, atol=1e-6)


def test_a_still_equals_what_transformers_makes_of_it() -> None:
    module = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    frame = noise(1, 112, 84)
    budget = {"shortest_edge": UNIT, "longest_edge": 64 * UNIT}
    reference = module.Qwen2VLImageProcessorPil(size=budget)
    theirs = reference(Image.fromarray(frame[0]), return_tensors="pt")
    view = language_view(frame, language_size(112, 84, UNIT, 64 * UNIT))
    grid = view.grids[0]
    assert theirs["image_grid_thw"].tolist() == [[grid.time, grid.height, grid.width]]
    torch.testing.assert_close(view.patches, theirs["pixel_values"], rtol=0, atol=1e-6)


def test_an_odd_last_frame_is_repeated() -> None:
    frames = noise(3, 28, 56)
    odd = language_view(frames, (28, 56))
    even = language_view(np.concatenate([frames, frames[-1:]]), (28, 56))
    assert odd.grids == even.grids
    assert torch.equal(odd.patches, even.patches)


def test_frames_are_resized_one_by_one_by_pil() -> None:
    frames = noise(2, 50, 70)
    view = language_view(frames, (28, 56))
    small = [Image.fromarray(frame).resize((56, 28), Image.Resampling.BICUBIC) for frame in frames]
    assert torch.equal(view.patches, language_view(np.stack(small), (28, 56)).patches)


def test_the_mask_view_is_square_and_normalised() -> None:
    frames = np.full((2, 30, 70, 3), (255, 0, 128), dtype=np.uint8)
    view = mask_view(frames, 64)
    assert view.shape == (2, 3, 64, 64)
    wanted = (torch.tensor([1.0, 0.0, 128 / 255]) - torch.tensor(MASK_MEAN)) / torch.tensor(MASK_STD)
    torch.testing.assert_close(view, wanted.view(1, 3, 1, 1).expand(2, -1, 64, 64), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(480, 852), (97, 33), (1, 1)])
def test_the_mask_view_frame_by_frame_is_that_of_all_at_once(size: tuple[int, int]) -> None:
    frames = np.random.default_rng(3).integers(0, 256, (3, *size, 3)).astype(np.uint8)
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous().float() / 255
    pixels = F.interpolate(pixels, size=(64, 64), mode="bilinear", align_corners=False, antialias=True)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MASK_MEAN, MASK_STD))
    before = frames.copy()
    assert torch.equal(mask_view(frames, 64), (pixels - mean) / std)
    assert np.array_equal(frames, before)
    assert mask_view(frames[:0], 64).shape == (0, 3, 64, 64)


def test_the_mask_view_ignores_the_aspect_ratio_and_smooths() -> None:
    """The left half stays the left half; fine stripes become grey instead of aliasing."""
    frame = np.zeros((1, 40, 400, 3), dtype=np.uint8)
    frame[:, :, :200] = 255
    frame[:, :, 200::2] = 255
    red = mask_view(frame, 32)[0, 0] * MASK_STD[0] + MASK_MEAN[0]
    torch.testing.assert_close(red[:, :15], torch.ones(32, 15), rtol=0, atol=1e-5)
    assert (red[:, 17:] - 0.5).abs().max() < 0.1


def test_the_clock_of_a_film_reaches_the_language_view(golden_checkpoint: Path) -> None:
    """Steps of two seconds move the second pair two positions further than steps of one (2 ticks a
    second)."""
    processor = load(golden_checkpoint).processor
    clip = Clip.open(np.zeros((4, 30, 30, 3), np.uint8))
    model = load(golden_checkpoint).model
    rows = []
    for seconds in (1.0, 2.0):
        request = Request(clip, (user("What?"),), seconds_per_step=seconds)
        inputs = processor.prepare(request).inputs
        assert inputs.view.seconds_per_grid == (seconds,)
        rows.append(model.backbone.positions(inputs)[0, 0])
    visual = inputs.token_ids[0] == model.tokens.video
    first, second = (positions[visual].unique() for positions in rows)
    assert (first[1] - first[0]).item() == 2
    assert (second[1] - second[0]).item() == 4
    with pytest.raises(RequestError, match="above 0"):
        Request(clip, (user("What?"),), seconds_per_step=0)
