"""Other layouts become items that say the same: objects, masks, boxes, times, words, the rest as facts.

Over 500 lines: one section for each layout, checked by the same helpers.
"""

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unipixel.core.masks import RLE
from unipixel.core.prompts import Box, Point
from unipixel.core.writing import write_picture
from unipixel.data.checking import check_jsonl
from unipixel.data.importers import (
    import_coco,
    import_labelme,
    import_mot,
    import_refcoco,
    import_vos,
    import_yolo,
)
from unipixel.data.jsonl import Describe, Find, Item, Outline, open_jsonl, write_jsonl
from unipixel.data.sample import Exchange, Sample
from unipixel.errors import ConfigError, DataError

WIDTH, HEIGHT = 64, 48


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8))
    return path


def save(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def block(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def corners(left: int, top: int, right: int, bottom: int) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


def sound(items: Iterator[Item], root: Path) -> list[Item]:
    """The items, after they were written, found to be without problems, and read again."""
    file = root / "all.jsonl"
    given = list(items)
    write_jsonl(file, given)
    problems: list[DataError] = []
    assert check_jsonl(file, None, problems.append).items == len(given)
    assert [*map(str, problems)] == []
    return given


def masks(root: Path, index: int, frames: tuple[int, ...] = (0,)) -> np.ndarray:
    """All masks of an item of the written file [O, T, H, W]."""
    sample: Sample = open_jsonl(root / "all.jsonl")[index]
    assert sample.masks is not None
    return sample.masks.read(frames, HEIGHT, WIDTH)


# COCO

MASK = block(40, 20, 50, 40)


def coco(root: Path, **changes: Any) -> Path:
    """Two pictures with objects and one without; the second picture has an object with a box and no mask."""
    for number in (1, 2, 3):
        picture(root / "coco" / "images" / f"{number}.jpg")
    content = {
        "images": [
            {"id": n, "file_name": f"{n}.jpg", "width": WIDTH, "height": HEIGHT, "license": 4}
            for n in (1, 2, 3)
        ],
        "categories": [{"id": 7, "name": "dog"}, {"id": 9, "name": "traffic light"}],
        "annotations": [
            thing(31, 1, 7, segmentation=[corners(2, 4, 12, 14), corners(20, 4, 24, 8)]),
            thing(32, 1, 9, segmentation=RLE.from_mask(MASK).to_coco()),
            thing(33, 1, 7, segmentation=[corners(30, 30, 34, 34)], attributes={"wet": True}),
            thing(34, 1, 7, iscrowd=1, segmentation={"size": [HEIGHT, WIDTH], "counts": [0, 48, 48 * 63]}),
            thing(41, 2, 7, bbox=[0, 0, 10.5, 20]),
            thing(42, 2, 9, segmentation=[corners(2, 4, 12, 14)]),
            thing(43, 2, 7, segmentation=[corners(30, 30, 34, 34)]),
        ],
    }
    return save(root / "coco" / "instances.json", content | changes)


def thing(id: int, image: int, category: int, **fields: Any) -> dict[str, Any]:
    return {"id": id, "image_id": image, "category_id": category, "iscrowd": 0, "area": 100.5, **fields}


def test_coco_becomes_an_expression_for_each_category(root: Path) -> None:
    notes: list[str] = []
    file = coco(root)
    first, second, pointed = sound(import_coco(file, file.parent / "images", root, notes.append), root)
    assert first.id == "1" and first.media is not None
    assert first.media.paths == ("coco/images/1.jpg",) and first.media.size == (WIDTH, HEIGHT)
    assert first.rounds == (Find("dog", (0, 2)), Find("traffic light", (1,)))
    read = masks(root, 0)[:, 0]
    np.testing.assert_array_equal(read[0], block(2, 4, 12, 14) | block(20, 4, 24, 8))
    np.testing.assert_array_equal(read[1], MASK)
    sample = open_jsonl(root / "all.jsonl")[0]
    assert sample.ignored is not None
    np.testing.assert_array_equal(sample.ignored.read([0], HEIGHT, WIDTH)[0, 0], block(0, 0, 1, HEIGHT))
    # One dog has only a box: dogs cannot be asked for as masks, but each can be pointed at.
    assert (second.id, second.rounds) == ("2", (Find("traffic light", (1,)),))
    assert (pointed.id, pointed.task) == ("2/pointed", "refer")
    assert pointed.rounds == (Describe(0, "dog", "brief"), Describe(2, "dog", "brief"))
    assert open_jsonl(root / "all.jsonl")[2].pointers == ((Box(0, 0, 9.5, 19),), ())
    assert notes == ["1 pictures without objects are left out"]


def test_coco_keeps_what_it_says(root: Path) -> None:
    file = coco(root)
    first, second, _ = import_coco(file, file.parent / "images", root)
    assert first.facts == {"license": "4"}
    assert first.objects[2].facts == {"id": "33", "area": "100.5", "attributes": '{"wet": true}'}
    assert second.objects[0].facts["id"] == "42"


COCO_DAMAGE = {
    "annotations[0].category_id: found 8; expected the id of one of `categories`": thing(
        31, 1, 8, bbox=[1, 2, 3, 4]
    ),
    "annotations[0].image_id: found 5; expected the id of one of `images`": thing(
        31, 5, 7, bbox=[1, 2, 3, 4]
    ),
    "annotations[0].segmentation[0]: found 4 numbers": thing(31, 1, 7, segmentation=[[1, 2, 3, 4]]),
    "annotations[0].segmentation: found The run lengths cover 3 pixels": thing(
        31, 1, 7, segmentation={"size": [48, 64], "counts": [3]}
    ),
    "annotations[0].bbox: found nothing": thing(31, 1, 7),
    "annotations[0].bbox: found the box [500.0, 2.0, 3.0, 4.0]": thing(31, 1, 7, bbox=[500, 2, 3, 4]),
    "annotations[0].bbox: found a list with 3 items; expected x, y, width, height": thing(
        31, 1, 7, bbox=[1, 2, 3]
    ),
    "annotations[0].category_id: found nothing": {"id": 1, "image_id": 1, "bbox": [1, 2, 3, 4]},
    "image 1, objects[0].regions[0].polygons[0]: found a polygon outside": thing(
        31, 1, 7, segmentation=[corners(90, 4, 99, 9)]
    ),
    "image 1, objects[0].regions[0].rle.size: found a mask of 8x8": thing(
        31, 1, 7, segmentation={"size": [8, 8], "counts": [60, 4]}
    ),
}


@pytest.mark.parametrize("told", COCO_DAMAGE)
def test_damaged_coco_is_named_with_its_place(root: Path, told: str) -> None:
    file = coco(root, annotations=[COCO_DAMAGE[told]])
    with pytest.raises(DataError) as error:
        list(import_coco(file, file.parent / "images", root))
    assert error.value.file == str(file) and told in str(error.value)


def test_pictures_must_be_inside_the_root(root: Path) -> None:
    file = coco(root)
    with pytest.raises(ConfigError, match=r"is not inside .*name such a folder as root"):
        list(import_coco(file, file.parent / "images", root / "other"))
    outside = [{"id": 1, "file_name": "../../../a.jpg", "width": 1, "height": 1}]
    with pytest.raises(DataError, match=r"images\[0\]\.file_name: found '\.\./\.\./\.\./a\.jpg'"):
        list(import_coco(coco(root, images=outside), file.parent / "images", root))


# Referring expressions


def refs(root: Path, **changes: Any) -> tuple[Path, Path, Path]:
    instances = coco(root)
    listed = [
        ref(5, 1, 31, "train", ("the left dog", 50), ("dog on the left", 51)),
        ref(6, 1, [31, 33], "train", ("both dogs", 60)),
        ref(7, 1, [-1], "train", ("a cat", 70)),
        ref(8, 1, 32, "val", ("the light", 80)),
    ]
    listed[0] |= changes
    return save(root / "refs.json", listed), instances, instances.parent / "images"


def ref(id: int, image: int, target: Any, split: str, *sentences: tuple[str, int]) -> dict[str, Any]:
    said = [{"sent": text, "raw": text + ".", "sent_id": number} for text, number in sentences]
    return {"ref_id": id, "image_id": image, "ann_id": target, "split": split, "sentences": said}


def test_sentences_become_expressions(root: Path) -> None:
    train, val = sound(import_refcoco(*refs(root), root), root)
    assert (train.id, val.id) == ("train/1", "val/1")
    assert train.rounds == (
        Find("the left dog", (0,), id="50"),
        Find("dog on the left", (0,), id="51"),
        Find("both dogs", (0, 1), id="60"),
        Find("a cat", (), id="70"),
    )
    assert [(one.name, one.facts["id"]) for one in train.objects] == [("dog", "31"), ("dog", "33")]
    assert train.facts["split"] == "train"
    np.testing.assert_array_equal(masks(root, 1)[0, 0], MASK)


def test_one_split_of_the_sentences(root: Path) -> None:
    notes: list[str] = []
    (val,) = import_refcoco(*refs(root), root, "val", notes.append)
    assert val.id == "val/1" and notes == ["3 references of other splits are left out"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ann_id": 99}, "[0].ann_id: found 99; expected the id of one of the annotations"),
        ({"image_id": 99}, "[0].image_id: found 99; expected the id of one of the images"),
        ({"sentences": [{"sent": " "}]}, "[0].sentences[0].sent: found ' '; expected words"),
        ({"sentences": [{}]}, "[0].sentences[0].raw: found nothing"),
        ({"sentences": [{"sent": "<|seg|>"}]}, "conversation[0]: found '<|seg|>' in the text"),
    ],
)
def test_damaged_sentences_are_named(root: Path, change: dict[str, Any], told: str) -> None:
    files = refs(root, **change)
    with pytest.raises(DataError) as error:
        list(import_refcoco(*files, root))
    assert error.value.file == str(files[0]) and told in str(error.value)


# YouTube-VOS and DAVIS


def vos(root: Path) -> tuple[Path, Path]:
    """A video of three frames, of which the first and last have masks of the objects 1 and 2."""
    for name in ("00000", "00005", "00010"):
        picture(root / "JPEGImages" / "dance" / f"{name}.jpg")
    first, last = block(0, 0, 10, 10) * 1 + block(20, 20, 30, 30) * 2, block(5, 5, 15, 15) * 2
    last = last + block(60, 40, 64, 48) * 255
    for name, labels in (("00000", first), ("00010", last)):
        path = root / "Annotations" / "dance" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        paletted = Image.fromarray(labels.astype(np.uint8), mode="P")
        paletted.putpalette(list(range(256)) * 3)
        paletted.save(path)
    return root / "JPEGImages", root / "Annotations"


META = {"videos": {"dance": {"objects": {"1": {"category": "dog"}, "2": {"category": "skirt"}}}}}
EXPRESSIONS = {
    "videos": {
        "dance": {
            "frames": ["00000", "00005", "00010"],
            "expressions": {"0": {"exp": "a dog", "obj_id": "1"}, "1": {"exp": "all", "obj_id": [1, 2]}},
        }
    }
}


def test_davis_is_asked_by_pointing(root: Path) -> None:
    (item,) = sound(import_vos(*vos(root), root), root)
    assert (item.id, item.task, item.annotated) == ("dance", "remember", (0, 2))
    assert item.rounds == (Exchange("Please segment [1], [2] in this video.", "[1], [2]"),)
    read = masks(root, 0, (0, 1, 2))
    np.testing.assert_array_equal(read[0, 0], block(0, 0, 10, 10))
    np.testing.assert_array_equal(read[1, 2], block(5, 5, 15, 15))
    assert read.any(axis=(2, 3)).tolist() == [[True, False, False], [True, False, True]]
    sample = open_jsonl(root / "all.jsonl")[0]
    assert sample.ignored is not None and sample.media is not None and sample.media.vid == "dance"
    np.testing.assert_array_equal(sample.ignored.read([2], HEIGHT, WIDTH)[0, 0], block(60, 40, 64, 48))


def test_youtube_vos_is_asked_by_category(root: Path) -> None:
    meta = save(root / "meta.json", META)
    (item,) = sound(import_vos(*vos(root), root, [meta]), root)
    assert item.rounds == (Find("dog", (1,)), Find("skirt", (2,)))


def test_every_expression_of_a_video_is_an_item(root: Path) -> None:
    metas = [save(root / "m.json", META), save(root / "e.json", EXPRESSIONS)]
    one, both = sound(import_vos(*vos(root), root, metas), root)
    assert (one.id, one.rounds) == ("dance/0", (Find("a dog", (1,), id="0"),))
    assert (both.id, both.rounds) == ("dance/1", (Find("all", (1, 2), id="1"),))
    assert [thing.name for thing in both.objects] == ["dog", "skirt"]


def test_what_has_no_mask_is_left_out_and_told(root: Path) -> None:
    content = {"exp": "a cat", "obj_id": "7"}
    expressions = {
        "videos": {"dance": {"expressions": {"0": content}}, "gone": {"expressions": {"0": content}}}
    }
    notes: list[str] = []
    assert [*import_vos(*vos(root), root, [save(root / "e.json", expressions)], notes.append)] == []
    assert notes == [
        "dance/0: objects [7] are on no mask, left out",
        "dance: no expression means the objects [1, 2], left out",
        "gone: no masks, left out",
    ]


def test_a_mask_of_no_frame_is_an_error(root: Path) -> None:
    folders = vos(root)
    (root / "JPEGImages" / "dance" / "00010.jpg").unlink()
    with pytest.raises(DataError, match=r"00010\.png: found a mask of no frame"):
        list(import_vos(*folders, root))


@pytest.mark.parametrize(
    ("dance", "told"),
    [
        ({"expressions": {"0": {"exp": "a"}}}, 'expected an object with|expected "obj_id"'),
        ({"expressions": {"0": {"exp": " ", "obj_id": 1}}}, r"expressions\.0"),
        ({"expressions": {"0": {"exp": "a", "obj_id": "x"}}}, r"obj_id: found 'x'; expected a whole number"),
        ({"frames": ["00099"], "expressions": {"0": {"exp": "a"}}}, r"frames\[0\]: found '00099'"),
        ({"other": 1}, r'videos: found an object with 1 items; expected videos with "expressions"'),
    ],
)
def test_damaged_expressions_are_named(root: Path, dance: Mapping[str, Any], told: str) -> None:
    meta = save(root / "e.json", {"videos": {"dance": dance}})
    with pytest.raises(DataError, match=told) as error:
        list(import_vos(*vos(root), root, [meta]))
    assert error.value.file == str(meta)


# LabelMe


def labelme(root: Path, *shapes: dict[str, Any], **changes: Any) -> Path:
    picture(root / "labelled" / "a.jpg")
    size = {"imageWidth": WIDTH, "imageHeight": HEIGHT, "imagePath": "a.jpg", "imageData": None}
    return save(
        root / "labelled" / "a.json", {"version": "5.4", "shapes": shapes, **size, "flags": {}} | changes
    )


def shape(label: str, kind: str, *points: tuple[float, float], **fields: Any) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": points, "group_id": None, "flags": {}, **fields}


SQUARE = ((2, 4), (12, 4), (12, 14), (2, 14))


def test_labels_become_expressions(root: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((5, 4), 1, dtype=np.uint8)).save(buffer, format="PNG")
    png = base64.b64encode(buffer.getvalue()).decode()
    file = labelme(
        root,
        shape("dog", "polygon", *SQUARE, group_id=3, description="wet"),
        shape("dog", "polygon", (20, 20), (30, 20), (30, 30), group_id=3),
        shape("dog", "mask", (40, 30), (44, 35), mask=png),
        shape("ball", "circle", (50, 20), (55, 20)),
        shape("cup", "rectangle", (30, 40), (20, 36)),
        shape("nose", "point", (5, 6)),
    )
    masked, pointed = sound(import_labelme([file.parent], root), root)
    assert masked.id == "labelled/a" and masked.rounds == (Find("dog", (0, 1)), Find("ball", (2,)))
    read = masks(root, 0)[:, 0]
    assert read[0, 4:14, 2:12].all() and read[0, 22, 28]  # two outlines, one object
    np.testing.assert_array_equal(read[1], block(40, 30, 44, 35))
    assert read[2].sum() == pytest.approx(np.pi * 25, rel=0.1)
    assert [dict(one.facts) for one in masked.objects] == [{"group_id": "3"}, {}, {}]
    assert masked.objects[0].regions[0].facts == {"description": "wet"}
    assert masked.objects[2].regions[0].facts == {"shape_type": "circle", "points": "[[50, 20], [55, 20]]"}
    assert pointed.rounds == (Describe(3, "cup", "brief"), Describe(4, "nose", "brief"))
    assert open_jsonl(root / "all.jsonl")[1].pointers == ((Box(20, 36, 29, 39),), (Point(5, 6),))


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        (shape("dog", "line", (1, 2), (3, 4)), "shapes[0]: found a line of 2 points"),
        (shape("dog", "polygon", (1, 2), (3, 4)), "shapes[0]: found a polygon of 2 points"),
        (shape(" ", "polygon", *SQUARE), "shapes[0].label: found ' '"),
        (
            shape("dog", "polygon", (1, 2), (3, 4), (5, 6, 7)),
            "shapes[0].points[2]: found a list with 3 items",
        ),  # type: ignore[arg-type]
        (shape("dog", "rectangle", (500, 2), (510, 4)), "shapes[0]: found a rectangle"),
        (shape("dog", "mask", (1, 2), (3, 4), mask="no"), "shapes[0].mask: found no picture"),
        (shape("dog", "mask", (1, 2), (3, 4)), "shapes[0].mask: found nothing"),
        (shape("dog", "polygon", (90, 2), (95, 4), (99, 9)), "found a polygon outside the picture"),
    ],
)
def test_damaged_labels_are_named(root: Path, damaged: dict[str, Any], told: str) -> None:
    file = labelme(root, damaged)
    with pytest.raises(DataError) as error:
        list(import_labelme([file], root))
    assert error.value.file == str(file) and told in str(error.value)


def test_a_picture_without_shapes_is_told(root: Path) -> None:
    notes: list[str] = []
    assert [*import_labelme([labelme(root)], root, notes.append)] == []
    assert notes == ["a.json: no shapes, left out"]


# MOT


def mot(root: Path, text: str) -> Path:
    for number in (1, 2, 3):
        picture(root / "MOT-02" / "img1" / f"{number:06d}.jpg")
    info = f"[Sequence]\nname=MOT-02\nimDir=img1\nframeRate=30\nimWidth={WIDTH}\nimHeight={HEIGHT}\n"
    save(root / "MOT-02" / "seqinfo.ini", info)
    save(root / "MOT-02" / "gt" / "gt.txt", text)
    return root / "MOT-02"


def test_tracks_become_objects_that_are_pointed_at(root: Path) -> None:
    text = "1,2,11,21,10,20,1,1,0.75\n3,2,-4,21,10,20,1,1,1\n1,5,1,1,4,4,0,11,1\n2,7,31,1,4,4,1,3,1\n"
    text += "3,7,99,99,4,4,1,3,1\n"
    notes: list[str] = []
    (item,) = sound(import_mot([mot(root, text)], root, notes.append), root)
    assert (item.id, item.task, item.annotated) == ("MOT-02", "refer", "all")
    assert item.rounds == (Describe(2, "pedestrian", "brief"), Describe(7, "car", "brief"))
    assert [(one.id, one.name) for one in item.objects] == [
        (2, "pedestrian"),
        (5, "occluder full"),
        (7, "car"),
    ]
    sample = open_jsonl(root / "all.jsonl")[0]
    assert sample.pointers == (
        (Box(10, 20, 19, 39, frame=0), Box(0, 20, 4, 39, frame=2)),
        (Box(0, 0, 3, 3, frame=0),),
        (Box(30, 0, 33, 3, frame=1),),
    )
    first, cut = item.objects[0].regions
    assert first.facts == {"confidence": "1", "class": "1", "visibility": "0.75"}
    assert cut.facts["source_box"] == "-4,21,10,20"
    assert item.facts["frameRate"] == "30" and item.media is not None and item.media.fps == 30
    assert notes == ["MOT-02: 1 boxes outside of the picture are left out"]


def test_tracks_of_2015_have_no_class(root: Path) -> None:
    (item,) = import_mot([mot(root, "1,1,1,1,5,5,1,-1,-1,-1\n")], root)
    assert item.objects[0].name == "pedestrian"
    assert item.objects[0].regions[0].facts == {"confidence": "1", "x": "-1", "y": "-1", "z": "-1"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1,2,1,1,5,5,1,1,1\n1,2,a,1,5,5\n", "line 2: found '1,2,a,1,5,5'; expected frame, id, left"),
        ("1,2,1,1\n", "line 1: found '1,2,1,1'"),
        ("1,2,nan,1,5,5,1,1,1\n", "line 1: found '1,2,nan"),
        ("1.5,2,1,1,5,5,1,1,1\n", "line 1: found '1.5,2"),
        ("4,2,1,1,5,5,1,1,1\n", "line 1: found frame 4; expected frames 1 to 3"),
        ("0,2,1,1,5,5,1,1,1\n", "line 1: found frame 0; expected frames 1 to 3"),
        ("1,2,1,1,5,5\n2,2,1,1,5,5\n1,2,9,9,5,5\n", "line 3: found object 2 on frame 1 again"),
    ],
)
def test_damaged_tracks_are_named_with_their_line(root: Path, text: str, told: str) -> None:
    folder = mot(root, text)
    with pytest.raises(DataError) as error:
        list(import_mot([folder], root))
    assert error.value.file == str(folder / "gt" / "gt.txt") and told in str(error.value)


# YOLO


def yolo(root: Path, text: str) -> tuple[Path, Path, Path]:
    picture(root / "images" / "a.jpg")
    picture(root / "images" / "b.jpg")
    save(root / "labels" / "a.txt", text)
    return root / "images", root / "labels", save(root / "labels" / "classes.txt", "dog\ntraffic light\n")


def test_boxes_point_and_outlines_are_masks(root: Path) -> None:
    notes: list[str] = []
    text = "0 0.25 0.5 0.25 0.5\n1 0.5 0.5 0.75 0.5 0.75 0.75 0.5 0.75\n\n0 0.5 0.5 1 1 0.9\n"
    masked, pointed = sound(import_yolo(*yolo(root, text), root, notes.append), root)
    assert masked.rounds == (Find("traffic light", (1,)),)
    assert isinstance(masked.objects[0].regions[0].shape, Outline)
    np.testing.assert_array_equal(masks(root, 0)[0, 0], block(32, 24, 48, 36))
    assert pointed.rounds == (Describe(0, "dog", "brief"), Describe(3, "dog", "brief"))
    pointers = open_jsonl(root / "all.jsonl")[1].pointers
    assert pointers == ((Box(8, 12, 23, 35),), (Box(0, 0, WIDTH - 1, HEIGHT - 1),))
    assert pointed.objects[0].regions[0].facts == {"yolo": "0 0.25 0.5 0.25 0.5"}
    assert notes == ["1 pictures without labels are left out"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0 0.5 0.5 0.1 0.1\nx 0.5 0.5 0.1 0.1\n", "line 2: found 'x 0.5 0.5 0.1 0.1'; expected numbers"),
        ("2 0.5 0.5 0.1 0.1\n", "line 1: found class 2; expected a class from 0 to 1"),
        ("0 0.5 0.5\n", "line 1: found 2 numbers behind the class"),
        ("0 50 50 10 10\n", "line 1: found 50; expected parts of the picture's size"),
        ("0 0.5 nan 0.1 0.1\n", "line 1: found '0 0.5 nan"),
        ("0 0.5 0.5 0 0\n", "line 1: found a box without a pixel"),
        ("0.5 0.5 0.5 0.1 0.1\n", "line 1: found '0.5"),
    ],
)
def test_damaged_boxes_are_named_with_their_line(root: Path, text: str, told: str) -> None:
    folders = yolo(root, text)
    with pytest.raises(DataError) as error:
        list(import_yolo(*folders, root))
    assert error.value.file == str(root / "labels" / "a.txt") and told in str(error.value)


def test_labels_of_no_picture_are_an_error(root: Path) -> None:
    folders = yolo(root, "")
    save(root / "labels" / "c.txt", "")
    with pytest.raises(DataError, match=r"c\.txt: found labels of no picture"):
        list(import_yolo(*folders, root))


# All


IMPORTS: dict[str, Callable[[Path], Iterator[Item]]] = {
    "coco": lambda root: import_coco(root / "no.json", root, root),
    "refcoco": lambda root: import_refcoco(root / "no.json", coco(root), root / "coco" / "images", root),
    "vos": lambda root: import_vos(root / "no", root / "no", root),
    "labelme": lambda root: import_labelme([root / "no.json"], root),
    "mot": lambda root: import_mot([root / "no"], root),
    "yolo": lambda root: import_yolo(root, root, root / "no.txt", root),
}


@pytest.mark.parametrize("kind", IMPORTS)
def test_missing_files_are_named(root: Path, kind: str) -> None:
    with pytest.raises(DataError, match="no") as error:
        list(IMPORTS[kind](root))
    assert "no" in Path(error.value.file).name or Path(error.value.file).parent.name == "no"
