"""Sizes, boxes, outlines, prompts and cells: what holds for any picture."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco
from tests.properties.few import few

from unipixel.core.masks import RLE, FrameMask, MaskTrack, mask_to_polygons, polygons_to_mask
from unipixel.core.pixels import Mask, mask_to_box, resize_mask
from unipixel.core.prompts import Box, Point, Scribble
from unipixel.core.request import Decoding, PixelBudget, RememberedObject
from unipixel.data.annotations import resize_region
from unipixel.errors import PromptError, RequestError

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=16))
SIDES = st.integers(1, 40)
ODD_NUMBERS = st.sampled_from([float("nan"), float("inf"), 10**400, -(10**400), None, "x", [1], {}])


@few
@given(MASKS, SIDES, SIDES)
def test_a_new_pixel_is_the_old_one_under_its_centre(mask: Mask, height: int, width: int) -> None:
    resized = resize_mask(mask, height, width)
    half = Fraction(1, 2)
    rows = [int((i + half) * mask.shape[0] / height) for i in range(height)]
    columns = [int((j + half) * mask.shape[1] / width) for j in range(width)]
    assert (resized == mask[np.ix_(rows, columns)]).all()


@few
@given(MASKS, st.integers(1, 4), st.integers(1, 4))
def test_enlarging_by_whole_numbers_and_back_changes_nothing(mask: Mask, down: int, across: int) -> None:
    larger = resize_mask(mask, mask.shape[0] * down, mask.shape[1] * across)
    assert larger.sum() == mask.sum() * down * across
    assert (resize_mask(larger, *mask.shape) == mask).all()


@few
@given(MASKS, SIDES, SIDES)
def test_regions_of_data_sets_never_vanish(mask: Mask, height: int, width: int) -> None:
    resized = resize_region(mask, height, width)
    assert resized.shape == (height, width)
    assert resized.any() == mask.any()
    more = np.roll(mask, 1, axis=0) | mask
    assert (resize_region(more, height, width) >= resized).all(), "more before is more after"


@few
@given(MASKS)
def test_the_box_holds_the_object_and_touches_it(mask: Mask) -> None:
    box = mask_to_box(mask)
    assert (box is None) == (not mask.any())
    if box is not None:
        x1, y1, x2, y2 = box
        cut = mask[y1 : y2 + 1, x1 : x2 + 1]
        assert cut.sum() == mask.sum()
        assert cut[0].any() and cut[-1].any() and cut[:, 0].any() and cut[:, -1].any()


@few
@given(MASKS)
def test_outlines_are_read_by_coco_as_the_mask(mask: Mask) -> None:
    polygons = mask_to_polygons(mask)
    assert bool(polygons) == mask.any()
    if polygons:
        theirs = coco.decode(coco.merge(coco.frPyObjects(polygons, *mask.shape)))
        assert (theirs == mask).all()


@few
@given(st.lists(st.floats(-20, 40, allow_nan=False), min_size=6, max_size=14), SIDES, SIDES)
def test_any_polygon_is_drawn_as_coco_draws_it(values: list[float], height: int, width: int) -> None:
    polygon = values[: len(values) // 2 * 2]
    assume(max(map(abs, polygon)) <= 10 * max(height, width))
    theirs = coco.decode(coco.frPyObjects([polygon], height, width))[..., 0]
    assert (polygons_to_mask([polygon], height, width) == theirs).all()


@few
@given(
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), min_size=1, max_size=5),
    st.floats(0.1, 9, allow_nan=False),
)
def test_a_stroke_covers_its_points(points: list[tuple[int, int]], thickness: float) -> None:
    mask = Scribble(tuple(points), 0, thickness).to_mask(40, 40).mask
    assert mask.shape == (40, 40)
    assert all(mask[y, x] for x, y in (points[0], points[-1]))


@few
@given(ODD_NUMBERS)
def test_coordinates_that_are_none_are_refused(odd: object) -> None:
    for make in (
        lambda: Point(odd, 1),  # type: ignore[arg-type]
        lambda: Box(0, 0, 1, odd),  # type: ignore[arg-type]
        lambda: Scribble(((1, odd),)),  # type: ignore[arg-type]
        lambda: Scribble(((1, 1),), thickness=odd),  # type: ignore[arg-type]
        lambda: FrameMask(0, RLE.from_mask([[True]]), odd, True),  # type: ignore[arg-type]
    ):
        with pytest.raises(PromptError):
            make()
    with pytest.raises(RequestError):
        Decoding(temperature=odd)  # type: ignore[arg-type]


def test_cells_of_any_mask_are_those_of_its_resize() -> None:
    import torch
    from tests.processing.pooling import pool_masks

    from unipixel.model.inputs import Grid
    from unipixel.processing.regions import memory_regions

    @few
    @given(arrays(np.bool_, st.tuples(st.integers(1, 4), SIDES, SIDES)), st.integers(1, 3), st.integers(1, 3))
    def cells_agree(masks: Mask, rows: int, columns: int) -> None:
        assume(masks.any())
        grid = Grid(-(-len(masks) // 2), 2 * rows, 2 * columns)
        track = MaskTrack(tuple(FrameMask(i, RLE.from_mask(one), 1, True) for i, one in enumerate(masks)))
        found = memory_regions([RememberedObject(0, track)], range(len(masks)), grid)
        assert torch.equal(found[:, 0], pool_masks(torch.from_numpy(masks).float(), grid))

    cells_agree()


def test_a_prompt_stays_where_it_is_in_the_view() -> None:
    from unipixel.model.inputs import Grid
    from unipixel.processing.regions import object_prompt

    @few
    @given(st.data(), st.integers(1, 900), st.integers(1, 900), st.integers(1, 9))
    def stays(data: st.DataObject, height: int, width: int, frames: int) -> None:
        xs = sorted(data.draw(st.lists(st.integers(0, width - 1), min_size=2, max_size=2)))
        ys = sorted(data.draw(st.lists(st.integers(0, height - 1), min_size=2, max_size=2)))
        shown = sorted(data.draw(st.sets(st.integers(0, 99), min_size=frames, max_size=frames)))
        place = data.draw(st.integers(0, frames - 1))
        grid = Grid(-(-frames // 2), 4, 4)
        box = Box(xs[0], ys[0], xs[1], ys[1], shown[place])
        prompt = object_prompt(box, (height, width), shown, grid, side=768)
        assert 0 <= prompt.time <= 1 and prompt.time * (2 * grid.time - 1) == pytest.approx(place)
        assert ((prompt.coords >= 0) & (prompt.coords < 768)).all()
        back = prompt.coords.double().numpy() / 768 * [width, height]
        assert np.abs(back - [[xs[0], ys[0]], [xs[1], ys[1]]]).max() < 1e-3

    stays()


def test_the_language_view_is_whole_tokens_within_the_budget() -> None:
    from unipixel.processing.vision import language_size

    @few
    @given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 16))
    def fits(height: int, width: int, frames: int) -> None:
        assume(max(height, width) <= 200 * min(height, width))
        least, most = PixelBudget().for_frames(frames)
        rows, columns = language_size(height, width, least, most)
        assert rows % 28 == columns % 28 == 0
        assert rows * columns >= least or rows * columns > most * 0.5
        assert rows * columns <= most or min(rows, columns) == 28
        assert language_size(width, height, least, most) == (columns, rows), "turned"

    fits()
