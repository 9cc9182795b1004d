"""Masks: run lengths, polygons, boxes, centres, files and tracks."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from pycocotools import mask as coco

from unipixel.core.masks import (
    RLE,
    FrameMask,
    MaskTrack,
    mask_to_polygons,
    polygons_to_mask,
    read_mask,
)
from unipixel.core.pixels import Mask, mask_center, mask_to_box, resize_mask
from unipixel.errors import MediaError, PromptError

any_mask = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=14))


def disc(height: int, width: int, x: float, y: float, radius: float) -> Mask:
    rows, columns = np.mgrid[:height, :width]
    inside: Mask = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    return inside


def square(height: int = 8, width: int = 10) -> Mask:
    mask = np.zeros((height, width), dtype=bool)
    mask[2:5, 3:7] = True
    return mask


def iou(a: Mask, b: Mask) -> float:
    return RLE.from_mask(a).iou(RLE.from_mask(b))


@given(any_mask)
def test_run_lengths_round_trip(mask: Mask) -> None:
    rle = RLE.from_mask(mask)
    assert (rle.decode() == mask).all()
    assert rle.area == mask.sum()
    assert rle.box == mask_to_box(mask)
    assert RLE.from_coco(json.loads(json.dumps(rle.to_coco()))) == rle


@given(any_mask, st.data())
def test_some_columns_are_decoded_alone(mask: Mask, data: st.DataObject) -> None:
    last = data.draw(st.integers(1, mask.shape[1]))
    first = data.draw(st.integers(0, last - 1))
    rle = RLE.from_mask(mask)
    assert (rle.decode_columns(first, last) == mask[:, first:last]).all()
    for wrong in ((last, last), (-1, last), (first, mask.shape[1] + 1)):
        with pytest.raises(PromptError, match="no columns"):
            rle.decode_columns(*wrong)


@given(any_mask)
def test_uncompressed_counts_are_read(mask: Mask) -> None:
    flat = mask.T.ravel().astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flat)))).tolist()
    counts = np.diff([0, *edges, flat.size]).tolist()
    assert (RLE.from_coco({"size": list(mask.shape), "counts": counts}).decode() == mask).all()


def test_long_runs_survive() -> None:
    mask = np.zeros((700, 900), dtype=bool)
    mask[:, 100:] = True
    mask[350, 400] = False
    assert (RLE.from_mask(mask).decode() == mask).all()
    assert RLE.from_mask(mask).counts == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"size": [4], "counts": "04"},
        {"size": [4, 4]},
        {"size": [4, 4], "counts": "\x00"},
        {"size": [4, 4], "counts": "é"},
        {"size": [4, 4], "counts": ""},
        {"size": [4, 4], "counts": "o" * 40},
        {"size": [4, 4], "counts": [3, 4]},
        {"size": [4, 4], "counts": [-3, 19]},
        {"size": [4, 4], "counts": [3.5, 12.5]},
        {"size": [4, 4], "counts": 16},
        {"size": [0, 4], "counts": []},
        {"size": [10**6, 10**6], "counts": [10**12]},
        {"size": [5, 4], "counts": RLE.from_mask(np.ones((4, 4)) == 1).counts},
        {"size": [2, 2], "counts": coco.encode(np.asfortranarray(np.ones((3, 3), np.uint8)))["counts"]},
    ],
)
def test_damaged_run_lengths_are_refused(mapping: dict[str, object]) -> None:
    with pytest.raises(PromptError):
        RLE.from_coco(mapping)


@given(st.binary(max_size=12))
def test_any_bytes_decode_fully_or_are_refused(counts: bytes) -> None:
    try:
        mask = RLE(3, 4, counts).decode()
    except PromptError:
        return
    assert mask.shape == (3, 4)


@given(arrays(np.bool_, (2, 5, 6)))
def test_union_and_iou(masks: Mask) -> None:
    a, b = (RLE.from_mask(mask) for mask in masks)
    either = masks.any(axis=0)
    assert (a.union(b).decode() == either).all()
    expected = masks.all(axis=0).sum() / either.sum() if either.any() else 1.0
    assert a.iou(b) == pytest.approx(expected)


def test_masks_of_two_sizes_do_not_combine() -> None:
    with pytest.raises(PromptError, match="10x8 and 3x2"):
        RLE.from_mask(square()).union(RLE.from_mask(np.ones((2, 3), dtype=bool)))


@pytest.mark.parametrize("mask", [np.zeros(4, dtype=bool), np.zeros((0, 3), dtype=bool), np.zeros((2, 2))])
def test_what_is_no_mask_is_refused(mask: np.ndarray) -> None:
    with pytest.raises(PromptError, match="boolean or integer array"):
        RLE.from_mask(mask)


def test_polygons_follow_coco_pixel_squares() -> None:
    assert (polygons_to_mask([[3, 2, 7, 2, 7, 5, 3, 5]], 8, 10) == square()).all()
    assert (polygons_to_mask([np.array([[3, 2], [7, 2], [7, 5], [3, 5]])], 8, 10) == square()).all()
    assert not polygons_to_mask([], 8, 10).any()


@pytest.mark.parametrize(
    "polygon", [[1, 1, 2, 2], [1, 2, 3], [0, 0, 1, float("nan"), 2, 2], [0, 0, 1e9, 0, 5, 5], "x"]
)
def test_broken_polygons_are_refused(polygon: object) -> None:
    with pytest.raises(PromptError, match="Polygon 0"):
        polygons_to_mask([polygon], 8, 10)  # type: ignore[list-item]


@pytest.mark.parametrize(
    "mask",
    [
        square(),
        disc(60, 80, 40.3, 31.7, 22),
        disc(60, 80, 40, 30, 25) & ~disc(60, 80, 44, 28, 9),
        disc(60, 80, 20, 30, 12) | disc(60, 80, 60, 20, 9),
        np.ones((5, 7), dtype=bool),
    ],
    ids=["square", "disc", "ring", "two parts", "all"],
)
def test_outlines_give_the_mask_back(mask: Mask) -> None:
    assert iou(polygons_to_mask(mask_to_polygons(mask), *mask.shape), mask) == 1.0


def test_a_square_has_four_corners_and_two_parts_two_polygons() -> None:
    assert sorted(zip(*[iter(mask_to_polygons(square())[0])] * 2, strict=True)) == [
        (3, 2),
        (3, 5),
        (7, 2),
        (7, 5),
    ]
    assert len(mask_to_polygons(np.eye(3, dtype=bool))) == 3
    assert mask_to_polygons(np.zeros((3, 3), dtype=bool)) == []


@settings(max_examples=60)
@given(any_mask)
def test_outlines_of_any_mask_give_it_back(mask: Mask) -> None:
    assert (polygons_to_mask(mask_to_polygons(mask), *mask.shape) == mask).all()


def test_resizing_takes_the_pixel_under_the_centre() -> None:
    assert (resize_mask(resize_mask(square(), 24, 30), 8, 10) == square()).all()
    assert (resize_mask(square(), 16, 20) == np.kron(square(), np.ones((2, 2), dtype=bool))).all()
    assert resize_mask(np.array([[False, True]]), 1, 3).tolist() == [[False, True, True]]
    with pytest.raises(PromptError):
        resize_mask(square(), 0, 3)


def test_box() -> None:
    assert mask_to_box(square()) == (3, 2, 6, 4)
    assert mask_to_box(np.zeros((3, 3), dtype=bool)) is None


def slow_center(mask: Mask) -> tuple[int, int]:
    outside = np.argwhere(~np.pad(mask, 1)) - 1
    inside = np.argwhere(mask)
    depths = ((inside[:, None] - outside[None]) ** 2).sum(axis=-1).min(axis=1)
    row, column = inside[depths.argmax()]
    return int(column), int(row)


@given(any_mask.filter(lambda mask: bool(mask.any())))
def test_center_is_the_deepest_pixel_first_in_raster_order(mask: Mask) -> None:
    assert mask_center(mask) == slow_center(mask)


def test_center_of_large_shapes() -> None:
    assert mask_center(disc(300, 400, 222, 111, 77)) == (222, 111)
    assert mask_center(np.ones((5, 9), dtype=bool)) == (2, 2)
    assert mask_center(np.zeros((5, 9), dtype=bool)) is None
    rows, columns = np.mgrid[:90, :90]
    stripes: Mask = (rows + columns) % 12 < 7
    assert mask_center(stripes) == slow_center(stripes)


def test_masks_are_read_from_palette_grey_colour_and_transparent_pictures(tmp_path: Path) -> None:
    labels = square().astype(np.uint8)
    palette = Image.fromarray(labels * 3)
    palette.putpalette([0, 0, 0] * 4)  # the index counts, not its colour
    transparent = Image.fromarray(np.dstack([labels * 0 + 255] * 3 + [labels * 255]))
    pictures = {
        "palette.png": palette,
        "grey.png": Image.fromarray(labels),
        "bits.png": Image.fromarray(square()),
        "wide.png": Image.fromarray(labels.astype(np.uint16) * 300),
        "colour.png": Image.fromarray(np.dstack([labels, labels * 0, labels * 0])),
        "transparent.png": transparent,
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / name)
        assert (read_mask(tmp_path / name) == square()).all(), name


def test_what_cannot_hold_a_mask_is_refused(tmp_path: Path) -> None:
    (tmp_path / "junk.png").write_bytes(b"not a picture at all")
    Image.fromarray(square()).convert("L").save(tmp_path / "mask.jpg")
    Image.fromarray(square()).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:50])
    for name in ("junk.png", "mask.jpg", "cut.png", "missing.png"):
        with pytest.raises(MediaError, match=name):
            read_mask(tmp_path / name)


def entry(index: int, mask: Mask | None = None) -> FrameMask:
    return FrameMask(index, RLE.from_mask(square() if mask is None else mask), 0.5, True)


def test_track_holds_its_frames() -> None:
    track = MaskTrack((entry(1), entry(4, ~square())))
    assert track.to_array().shape == (2, 8, 10)
    assert track.area == 80
    assert track.indices == (1, 4)
    assert [frame.index for frame in track] == [1, 4]
    assert track.at(4) is track.frames[1]
    assert track.at(2) is None
    assert (len(track), track.height, track.width) == (2, 8, 10)


def test_tracks_that_make_no_sense_are_refused() -> None:
    with pytest.raises(PromptError, match="at least one"):
        MaskTrack(())
    with pytest.raises(PromptError, match="Frame 1 follows frame 1"):
        MaskTrack((entry(1), entry(1)))
    with pytest.raises(PromptError, match="3x3"):
        MaskTrack((entry(1), entry(2, np.ones((3, 3), dtype=bool))))
    with pytest.raises(PromptError, match="finite"):
        FrameMask(0, RLE.from_mask(square()), float("nan"), True)
    with pytest.raises(PromptError, match="-1"):
        entry(-1)


@pytest.mark.parametrize("counts", ["\ud800", "05\u00e9", "\udc80\ud800"])
def test_counts_that_are_no_ascii_are_damaged_counts(counts: str) -> None:
    with pytest.raises(PromptError, match=r"counts of a mask hold '\\"):
        RLE.from_coco({"size": [2, 3], "counts": counts})


def test_runs_are_the_pixels_of_the_object() -> None:
    mask = np.array([[1, 0, 1], [1, 0, 1]], dtype=bool)
    assert RLE.from_mask(mask).runs.tolist() == [[0, 2], [4, 6]]
    assert RLE.from_mask(~mask).runs.tolist() == [[2, 4]]
    assert RLE.from_mask(mask & False).runs.shape == (0, 2)
