"""The six encodings of masks, each against masks that were worked out by hand, and their odd cases."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.data.published.drawing import HEIGHT, WIDTH, block, listed_rle, rle, write_json, write_labels

from unipixel.data.annotations import (
    GivenTrack,
    LabelMaps,
    MaskFiles,
    Masklet,
    RegionMasks,
    Shapes,
    StoredTrack,
    TableTrack,
    decode_region,
    is_empty_region,
    read_labels,
    resize_region,
    vicas_masks,
)
from unipixel.data.files import Node
from unipixel.data.long_json import JsonTable
from unipixel.errors import DataError

NONE = block()
FILE = Path("masks.json")


def node(value: Any) -> Node:
    return Node(FILE, "here", value)


def one(value: Any, **options: Any) -> np.ndarray:
    return decode_region(node(value), HEIGHT, WIDTH, **options)


# Resizing


@pytest.mark.parametrize(("old", "new"), list(itertools.product(range(1, 9), range(1, 9))))
def test_resizing_takes_whatever_the_filter_weighs(old: int, new: int) -> None:
    """Against the definition: a triangle around each new pixel's centre, as wide as the larger pixel."""
    scale = old / new
    for lit in range(old):
        mask = np.zeros((1, old), dtype=bool)
        mask[0, lit] = True
        weighed = [max(scale, 1) - abs(lit + 0.5 - (place + 0.5) * scale) > 1e-9 for place in range(new)]
        assert resize_region(mask, 1, new)[0].tolist() == weighed
        assert resize_region(mask.T, new, 1)[:, 0].tolist() == weighed


def test_resizing_agrees_with_a_floating_point_library() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        height, width, new_height, new_width = (int(side) for side in rng.integers(2, 50, 4))
        mask = rng.random((height, width)) < 0.1
        picture = Image.fromarray(mask.astype(np.float32))
        scaled = np.asarray(picture.resize((new_width, new_height), Image.Resampling.BILINEAR))
        ours = resize_region(mask, new_height, new_width)
        assert not (ours & (scaled <= 0)).any()
        assert not (~ours & (scaled > 1e-5)).any()


def test_a_mask_of_the_right_size_is_left_alone() -> None:
    mask = block((3, 3, 4, 4))
    np.testing.assert_array_equal(resize_region(mask, HEIGHT, WIDTH), mask)


# Single regions


@pytest.mark.parametrize(
    "value",
    [
        rle((2, 3, 5, 7)),
        {**rle((2, 3, 5, 7)), "counts": rle((2, 3, 5, 7))["counts"].encode()},
        listed_rle((2, 3, 5, 7)),
        [[2, 3, 5, 3, 5, 7, 2, 7]],
        [[2, 3, 4, 3, 4, 7, 2, 7], [3, 3, 5, 3, 5, 7, 3, 7]],
        [rle((2, 3, 5, 5)), listed_rle((2, 5, 5, 7))],
        [rle((2, 3, 5, 5)), [[2, 5, 5, 5, 5, 7, 2, 7]], None],
        ([(2.0, 3.0, 5.0, 3.0, 5.0, 7.0, 2.0, 7.0)],),
    ],
    ids=["text", "bytes", "list", "polygon", "polygons", "regions", "mixed", "tuples"],
)
def test_the_same_region_in_every_spelling(value: Any) -> None:
    np.testing.assert_array_equal(one(value), block((2, 3, 5, 7)))


@pytest.mark.parametrize("value", [None, [], [None], [None, []]])
def test_nothing(value: Any) -> None:
    assert is_empty_region(value)
    np.testing.assert_array_equal(one(value), NONE)


def test_an_empty_mask_is_no_missing_one() -> None:
    assert not is_empty_region(rle())
    np.testing.assert_array_equal(one(rle()), NONE)


def test_regions_of_other_sizes_grow_and_are_united() -> None:
    half = rle((2, 2, 4, 4), width=8, height=6)
    np.testing.assert_array_equal(one(half), block((3, 3, 9, 9)))
    np.testing.assert_array_equal(one([half, rle((0, 0, 1, 1))]), block((3, 3, 9, 9), (0, 0, 1, 1)))
    double = rle((4, 4, 6, 6), width=32, height=24)
    np.testing.assert_array_equal(one(double), block((1, 1, 4, 4)))  # 2, and what the filter reaches


def test_polygons_are_drawn_in_their_own_canvas() -> None:
    polygon = [[2, 2, 4, 2, 4, 4, 2, 4]]
    np.testing.assert_array_equal(one(polygon, canvas=(6, 8)), block((3, 3, 9, 9)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", "found 'x'; expected a run-length mask"),
        (7, "found 7; expected a run-length mask"),
        ({"size": [12, 16]}, '"counts"'),
        ({"size": [12, 16], "counts": [5, 5]}, "10 pixels"),
        ({"size": [12, 16], "counts": "~~"}, "damaged"),
        ({"size": [3, 3], "counts": rle()["counts"]}, "192 pixels"),
        ([[1, 2, 3, 4]], "2 points"),
        ([[1, 2, "a", 4, 5, 6]], "x, y pairs"),
    ],
)
def test_damaged_regions_are_named(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        one(value)
    assert caught.value.file == "masks.json" and caught.value.place.startswith("here")


# `rle` and `vicas`


def test_region_masks_unite_tracks_and_keep_the_order_of_frames() -> None:
    first = GivenTrack(node([rle((0, 0, 1, 1)), None, rle((0, 0, 2, 2))]))
    second = GivenTrack(node([rle((5, 5, 6, 6)), [rle((7, 7, 8, 8)), rle((9, 9, 10, 10))], None]))
    masks = RegionMasks(((first, second), (), (second,)))
    assert masks.num_objects == 3
    read = masks.read([2, 0, 0, 1], HEIGHT, WIDTH)
    assert read.shape == (3, 4, HEIGHT, WIDTH) and read.dtype == np.bool_
    np.testing.assert_array_equal(read[0, 0], block((0, 0, 2, 2)))
    np.testing.assert_array_equal(read[0, 1], block((0, 0, 1, 1), (5, 5, 6, 6)))
    np.testing.assert_array_equal(read[0, 1], read[0, 2])
    np.testing.assert_array_equal(read[2, 3], block((7, 7, 8, 8), (9, 9, 10, 10)))
    assert not read[1].any()
    assert masks.read([], HEIGHT, WIDTH).shape == (3, 0, HEIGHT, WIDTH)


def test_region_masks_on_some_frames_only() -> None:
    track = GivenTrack(node([rle((0, 0, 1, 1)), rle((0, 0, 2, 2)), rle((0, 0, 3, 3))]))
    masks = RegionMasks(((track,),), frames=(4, -1, 9))
    areas = masks.read([4, 9, 0, 5], HEIGHT, WIDTH).sum(axis=(0, 2, 3))
    assert areas.tolist() == [1, 9, 0, 0]
    with pytest.raises(DataError, match="3 items; expected one entry for each of 2 frames"):
        RegionMasks(((track,),), frames=(0, 1)).read([0], HEIGHT, WIDTH)
    with pytest.raises(DataError, match=r"here\[3\]: found nothing"):
        RegionMasks(((track,),)).read([3], HEIGHT, WIDTH)


def test_tracks_in_files(tmp_path: Path) -> None:
    write_json(tmp_path / "0.json", [[rle((0, 0, 1, 1)), rle((2, 2, 3, 3))], None])
    write_json(tmp_path / "1.json", [[None, None], rle((0, 0, 3, 3))])
    masks = vicas_masks([tmp_path / "0.json", tmp_path / "1.json"], frames=(0, 1))
    assert masks.read([0, 1], HEIGHT, WIDTH).sum(axis=(2, 3)).tolist() == [[2, 0], [0, 9]]
    write_json(tmp_path / "all.json", {"a": [[None], [rle((0, 0, 2, 2))]], "b": {"way": [rle((0, 0, 1, 1))]}})
    table = JsonTable.open(tmp_path / "all.json")
    tracks = (StoredTrack(tmp_path / "all.json", ("a", 1)),), (TableTrack(table, "b", ("way",)),)
    assert RegionMasks(tracks).read([0], HEIGHT, WIDTH).sum(axis=(2, 3)).tolist() == [[4], [1]]
    with pytest.raises(DataError, match="no such file"):
        vicas_masks([tmp_path / "2.json"]).read([0], HEIGHT, WIDTH)
    with pytest.raises(DataError, match=r"all\.json, c: found nothing"):
        RegionMasks(((TableTrack(table, "c"),),)).read([0], HEIGHT, WIDTH)


# `image` and `image_sep`


@pytest.mark.parametrize("palette", [None, [9] * 768], ids=["grey", "palette"])
def test_label_maps(palette: list[int] | None, tmp_path: Path) -> None:
    labels = np.zeros((HEIGHT, WIDTH))
    labels[block((0, 0, 4, 4))] = 1
    labels[block((8, 8, 12, 12))] = 2
    labels[block((0, 10, 2, 12))] = 255
    write_labels(tmp_path / "0.png", labels, palette)
    masks = LabelMaps((tmp_path / "0.png", None), ((1, 2), (255,), (3,)))
    read = masks.read([1, 0], HEIGHT, WIDTH)
    assert masks.num_objects == 3 and not read[:, 0].any() and not read[2].any()
    np.testing.assert_array_equal(read[0, 1], block((0, 0, 4, 4), (8, 8, 12, 12)))
    np.testing.assert_array_equal(read[1, 1], block((0, 10, 2, 12)))
    with pytest.raises(DataError, match="16x12; expected 8x6"):
        masks.read([0], 6, 8)


def test_labels_above_255(tmp_path: Path) -> None:
    labels = np.full((2, 3), 40_000, dtype=np.uint16)
    Image.fromarray(labels).save(tmp_path / "deep.png")
    assert read_labels(tmp_path / "deep.png").tolist() == labels.tolist()
    Image.new("RGB", (3, 2)).save(tmp_path / "colour.png")
    with pytest.raises(DataError, match="3 channels"):
        read_labels(tmp_path / "colour.png")


def test_mask_files_count_255_only(tmp_path: Path) -> None:
    labels = np.zeros((HEIGHT, WIDTH))
    labels[block((0, 0, 4, 4))] = 255
    labels[block((8, 8, 12, 12))] = 254
    write_labels(tmp_path / "0.png", labels)
    read = MaskFiles(((tmp_path / "0.png", None), (None, tmp_path / "0.png"))).read([0, 1], HEIGHT, WIDTH)
    np.testing.assert_array_equal(read[0, 0], block((0, 0, 4, 4)))
    assert read.sum(axis=(2, 3)).tolist() == [[16, 0], [0, 16]]


# `polygon`


def square(label: str, x1: float, y1: float, x2: float, y2: float) -> dict[str, Any]:
    return {"label": label, "shape_type": "polygon", "points": [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]}


def shapes(path: Path, *drawn: dict[str, Any]) -> Path:
    write_json(path, {"shapes": list(drawn), "text": ["x"]})
    return path


def test_shapes_are_drawn_large_ones_first(tmp_path: Path) -> None:
    file = shapes(
        tmp_path / "a.json",
        square("ignore", 4, 4, 6, 6),
        square("target", 5.9, 5.9, 5.9, 5.9),
        square("target", 2, 2, 9.7, 9),
        square("ignore", 0, 0, 14, 10),
        square("flag", 0, 0, 15, 11),
    )
    target = block((2, 2, 10, 10))  # borders count, and corners are cut to whole pixels
    target[4:7, 4:7] = False
    target[5, 5] = True
    ignored = block((0, 0, 15, 11)) & ~target
    read = Shapes(file).read([0, 0], HEIGHT, WIDTH)
    np.testing.assert_array_equal(read, np.stack([target, target])[None])
    np.testing.assert_array_equal(Shapes(file, of="ignore").read([0], HEIGHT, WIDTH)[0, 0], ignored)


def test_shapes_without_area_and_outside_are_drawn(tmp_path: Path) -> None:
    sliver = {"label": "target", "points": [[1, 1], [9, 1]]}
    file = shapes(tmp_path / "a.json", sliver, square("target", 13, 9, 99, 99))
    read = Shapes(file).read([0], HEIGHT, WIDTH)[0, 0]
    np.testing.assert_array_equal(read, block((1, 1, 10, 2), (13, 9, 16, 12)))
    assert not Shapes(shapes(tmp_path / "b.json")).read([0], HEIGHT, WIDTH).any()


def test_a_triangle_has_its_border(tmp_path: Path) -> None:
    file = shapes(tmp_path / "a.json", {"label": "target", "points": [[1, 1], [13, 1], [1, 9]]})
    read = Shapes(file).read([0], HEIGHT, WIDTH)[0, 0]
    assert [int(row.sum()) for row in read[1:10]] == pytest.approx(
        [math.floor(12 * (9 - y) / 8) + 1 for y in range(1, 10)], abs=1
    )
    assert read[1, 13] and read[9, 1] and not read[9, 2] and not read[0].any()


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        ({"label": "thing", "points": [[1, 1]]}, r"shapes\[0\].label: found 'thing'"),
        ({"label": "target", "points": [[1, "a"]]}, r"shapes\[0\].points\[0\]\[1\]: found 'a'"),
        ({"label": "target", "points": []}, r"shapes\[0\].points: found a list with nothing"),
        ({"label": "target"}, r"shapes\[0\].points: found nothing"),
    ],
)
def test_damaged_shapes_are_named(shape: dict[str, Any], place: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=place):
        Shapes(shapes(tmp_path / "a.json", shape)).read([0], HEIGHT, WIDTH)


# `sav`


def test_masklets(tmp_path: Path) -> None:
    half = rle((2, 2, 4, 4), width=8, height=6)
    write_json(tmp_path / "m.json", {"masklet": [[rle(), half], [rle((0, 0, 1, 1)), rle((0, 0, 2, 2))]]})
    masks = Masklet(tmp_path / "m.json", 1)
    read = masks.read([1, 0, 1], HEIGHT, WIDTH)
    assert read.shape == (1, 3, HEIGHT, WIDTH)
    np.testing.assert_array_equal(read[0, 0], block((0, 0, 2, 2)))
    np.testing.assert_array_equal(read[0, 1], block((3, 3, 9, 9)))
    assert masks.read([], HEIGHT, WIDTH).shape == (1, 0, HEIGHT, WIDTH)
    with pytest.raises(DataError, match=r"masklet\[0\]\[2\]: found nothing"):
        Masklet(tmp_path / "m.json", 2).read([0], HEIGHT, WIDTH)
    (tmp_path / "m.json").write_text(json.dumps({"masklets": []}))
    with pytest.raises(DataError, match="masklet: found nothing"):
        masks.read([0], HEIGHT, WIDTH)
