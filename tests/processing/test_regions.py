"""What one points at, in the model's coordinates: clicks and boxes in the mask view, masks as cells."""

import numpy as np
import pytest
import torch
from tests.processing.pooling import pool_masks

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.prompts import Box, Point
from unipixel.core.request import RememberedObject
from unipixel.errors import PromptError
from unipixel.model.inputs import Grid
from unipixel.processing.regions import memory_regions, object_prompt

SIZE = (40, 80)  # height, width of the clip


def test_a_click_is_scaled_side_by_side() -> None:
    prompt = object_prompt(Point(20, 30, frame=7), SIZE, [0, 7, 9], Grid(2, 2, 2), side=160)
    assert prompt.coords.tolist() == [[40.0, 120.0]]
    assert prompt.labels.tolist() == [1]
    assert prompt.time == pytest.approx(1 / 3), "second of the shown frames, of 4 with the padding"


def test_a_box_has_two_labelled_corners() -> None:
    prompt = object_prompt(Box(8, 4, 40, 20), SIZE, [0], Grid(1, 2, 2), side=160)
    assert prompt.coords.tolist() == [[16.0, 16.0], [80.0, 80.0]]
    assert prompt.labels.tolist() == [2, 3]
    assert prompt.time == 0


def test_the_last_shown_frame_has_time_one() -> None:
    shown = [0, 3, 6, 9]
    assert object_prompt(Point(1, 1, frame=9), SIZE, shown, Grid(2, 2, 2), side=64).time == 1.0


def test_cells_are_the_maximum_over_pairs_and_pixels() -> None:
    masks = torch.zeros(4, 56, 84)
    masks[0, 0, 0] = 1
    masks[1, 55, 83] = 1
    masks[2, 28, 27] = 1
    pooled = pool_masks(masks, Grid(2, 4, 6))
    assert pooled.dtype == torch.bool
    assert pooled.nonzero().tolist() == [[0, 0, 0], [0, 1, 2], [1, 1, 0]]


def test_an_odd_last_mask_stands_for_its_pair() -> None:
    masks = torch.zeros(3, 28, 28)
    masks[2, 5, 5] = 1
    assert pool_masks(masks, Grid(2, 2, 2)).flatten().tolist() == [False, True]


def test_a_small_object_survives_shrinking() -> None:
    """One pixel of 560 x 560 on a view of 56 x 56: only smoothing keeps it."""
    masks = torch.zeros(1, 560, 560)
    masks[0, 302, 12] = 1
    assert pool_masks(masks, Grid(1, 4, 4))[0].nonzero().tolist() == [[1, 0]]


def remembered(number: int, frames: dict[int, tuple[slice, slice]]) -> RememberedObject:
    entries = []
    for index, place in frames.items():
        mask = np.zeros((56, 56), dtype=np.bool_)
        mask[place] = True
        entries.append(FrameMask(index, RLE.from_mask(mask), 1.0, bool(mask.any())))
    return RememberedObject(number, MaskTrack(tuple(entries)))


LEFT, RIGHT, NOWHERE = (
    (slice(0, 28), slice(0, 28)),
    (slice(28, 56), slice(28, 56)),
    (slice(0, 0), slice(0, 0)),
)


def test_each_object_has_its_own_column() -> None:
    objects = [remembered(4, {0: LEFT, 5: RIGHT}), remembered(2, {9: RIGHT})]
    regions = memory_regions(objects, [0, 3, 5, 9], Grid(2, 4, 4))
    assert regions.shape == (2, 2, 2, 2)
    assert regions.nonzero().tolist() == [[0, 0, 0, 0], [1, 0, 1, 1], [1, 1, 1, 1]]


@pytest.mark.parametrize("frames", [{3: LEFT}, {0: NOWHERE}])
def test_an_object_on_no_shown_frame_is_refused_by_name(frames: dict[int, tuple[slice, slice]]) -> None:
    objects = [remembered(0, {0: LEFT}), remembered(8, frames)]
    with pytest.raises(PromptError, match=r"object \[8\] is visible on none .*\[0, 6\]"):
        memory_regions(objects, [0, 6], Grid(1, 4, 4))


@pytest.mark.parametrize(
    "size", [(40, 80), (56, 84), (57, 83), (300, 40), (28, 28), (13, 7), (720, 1280), (480, 854)]
)
@pytest.mark.parametrize("cells", [(2, 3), (5, 4), (1, 1), (18, 22)])
def test_cells_from_run_lengths_are_those_of_the_resize(
    size: tuple[int, int], cells: tuple[int, int]
) -> None:
    rng = np.random.default_rng(hash((size, cells)) % 1000)
    height, width = size
    masks = np.zeros((4, height, width), dtype=bool)
    masks[0, rng.integers(height, size=4), rng.integers(width, size=4)] = True
    top, left = rng.integers(height), rng.integers(width)
    masks[1, top : top + height // 3 + 1, left : left + width // 3 + 1] = True
    masks[2, :, width // 2 :] = True
    grid = Grid(2, 2 * cells[0], 2 * cells[1])
    track = MaskTrack(tuple(FrameMask(n, RLE.from_mask(mask), 1.0, True) for n, mask in enumerate(masks[:3])))
    regions = memory_regions([RememberedObject(0, track)], range(4), grid)
    torch.testing.assert_close(regions[:, 0], pool_masks(torch.from_numpy(masks).float(), grid))
