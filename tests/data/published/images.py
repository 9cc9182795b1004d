"""Image data sets: ReasonSeg, label maps, things and parts, and the RefCOCO family."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from tests.data.published.drawing import (
    HEIGHT,
    WIDTH,
    Box,
    block,
    listed_rle,
    rle,
    write_json,
    write_labels,
    write_picture,
)

LISA = "lisa"


def outline(*corners: tuple[float, float]) -> list[list[float]]:
    """LabelMe points."""
    return [list(corner) for corner in corners]


def filled(box: Box) -> list[float]:
    """A box as a flat COCO polygon."""
    x1, y1, x2, y2 = box
    return [x1, y1, x2, y1, x2, y2, x1, y2]


# ReasonSeg


def make_reason_seg(root: Path) -> None:
    """train: a sentence with two texts and an explanation, an ignored hole and a flag; a phrase in a file
    that is not UTF-8. val: one text. test: two texts."""
    folder = root / LISA / "reason_seg" / "ReasonSeg"
    cup = {
        "text": ["What holds the tea?", "Which thing would you drink from?"],
        "is_sentence": True,
        "shapes": [
            shape("ignore", outline((4, 4), (6, 4), (6, 6), (4, 6))),
            shape("target", outline((2.7, 2.2), (9.9, 2), (9, 9), (2, 9))),
            shape("flag", outline((0, 0), (15, 0), (15, 11))),
            shape("ignore", outline((12, 1), (13, 1), (13, 2), (12, 2))),
        ],
    }
    door = {
        "text": ["the door of the café"],
        "is_sentence": False,
        "shapes": [
            shape("target", outline((1, 1), (3, 1), (3, 3), (1, 3))),
            shape("target", outline((8, 8), (8, 10))),
        ],
    }
    for split, names in {"train": ("10", "9"), "val": ("image_3",), "test": ("image_4",)}.items():
        for name in names:
            write_picture(folder / split / f"{name}.jpg")
            write_json(folder / split / f"{name}.json", cup)
    write_json(folder / "val" / "image_3.json", {**cup, "text": cup["text"][:1]})
    (folder / "train" / "9.json").write_bytes(json.dumps(door, ensure_ascii=False).encode("cp1252"))
    explained = {"image": "10.jpg", "query": "What is the cup for?", "outputs": "It holds tea."}
    write_json(folder / "explanatory" / "train.json", [explained])


def shape(label: str, points: list[list[float]]) -> dict[str, Any]:
    return {
        "label": label,
        "points": points,
        "shape_type": "polygon",
        "image_name": "any.jpg",
        "group_id": None,
    }


# Label maps


def striped(*values: int) -> np.ndarray:
    """A label map of upright stripes, 2 pixels each; what is left has the last value."""
    labels = np.full((HEIGHT, WIDTH), values[-1])
    for place, value in enumerate(values):
        labels[:, 2 * place : 2 * place + 2] = value
    return labels


def stripe(place: int) -> np.ndarray:
    """The mask of one but the last stripe."""
    return block((2 * place, 0, 2 * place + 2, HEIGHT))


def make_ade20k(root: Path) -> None:
    """Unlabelled pixels, the last class, a label map with nothing to ask for."""
    folder = root / LISA / "ade20k"
    write_labelled(
        folder / "annotations" / "training",
        folder / "images" / "training",
        {"ADE_train_00000002": striped(13, 150, 0), "ADE_train_00000010": striped(0, 255)},
    )
    write_labelled(
        folder / "annotations" / "validation",
        folder / "images" / "validation",
        {"ADE_val_00000001": striped(1, 3)},
    )


def make_cocostuff(root: Path) -> None:
    """person, bicycle, building-other, bush, ceiling-other, cloth, wood; unlabelled."""
    folder = root / LISA
    write_labelled(
        folder / "cocostuff" / "train2017",
        folder / "coco" / "train2017",
        {"000000000009": striped(0, 1, 95, 96, 101, 103, 181, 255)},
    )
    write_labelled(
        folder / "cocostuff" / "val2017", folder / "coco" / "val2017", {"000000000139": striped(2, 255)}
    )


MAPILLARY_NAMES = {0: "Bird", 1: "Ground Animal", 21: "Road", 122: "Ego Vehicle", 123: "Unlabeled"}


def make_mapillary(root: Path) -> None:
    """Palette pictures with letters in their names; 124 readable names."""
    folder = root / LISA / "mapillary"
    labels = [
        {"name": f"thing--{n}", "readable": MAPILLARY_NAMES.get(n, f"Thing {n}"), "instances": False}
        for n in range(124)
    ]
    write_json(folder / "config_v2.0.json", {"labels": labels, "version": "2.0"})
    palette = [value for number in range(256) for value in (number, 255 - number, 7)]
    for split, name in {"training": "0035fkbjWljhaftpVM37-g", "validation": "_1Gn_xkw7sa_i9GU4mkxxQ"}.items():
        write_picture(folder / split / "images" / f"{name}.jpg")
        write_labels(
            folder / split / "v2.0" / "labels" / f"{name}.png", striped(1, 122, 21, 123, 255), palette
        )


def write_labelled(labels: Path, pictures: Path, maps: dict[str, np.ndarray]) -> None:
    for name, values in maps.items():
        write_labels(labels / f"{name}.png", values)
        write_picture(pictures / f"{name}.jpg")


# Things and parts


def image(id: int, file_name: str, **fields: Any) -> dict[str, Any]:
    return {"id": id, "file_name": file_name, "height": HEIGHT, "width": WIDTH, **fields}


def annotation(id: int, image_id: int, category: int, segmentation: Any) -> dict[str, Any]:
    return {
        **{"id": id, "image_id": image_id, "category_id": category, "iscrowd": 0, "area": 1.0},
        **{"bbox": [0, 0, 1, 1], "segmentation": segmentation},
    }


def make_paco_lvis(root: Path) -> None:
    """Explained names, names of two words, a part, several polygons, run lengths; a picture without
    annotations; annotations not in the order of the pictures."""
    folder = root / LISA
    categories = [
        {"id": 4, "name": "mug", "supercategory": "OBJECT"},
        {"id": 7, "name": "trash_can", "supercategory": "OBJECT"},
        {"id": 41, "name": "car_(automobile):wheel", "supercategory": "PART"},
        {"id": 42, "name": "chair:leg_(support)", "supercategory": "PART"},
        {"id": 9, "name": "car_(automobile)", "supercategory": "OBJECT"},
    ]
    images = [
        image(500, "train2017/000000000500.jpg"),
        image(3, "train2017/000000000003.jpg"),
        image(8, "val2017/000000000008.jpg"),
    ]
    annotations = [
        annotation(1, 8, 9, [filled((0, 0, 8, 6))]),
        annotation(2, 500, 7, [filled((0, 0, 4, 4)), filled((10, 6, 14, 10))]),
        annotation(3, 8, 41, [filled((0, 4, 2, 6))]),
        annotation(4, 8, 42, rle((5, 5, 7, 9))),
    ]
    content = {
        "info": {"description": "PACO", "years": [2022, {"month": "]}"}]},
        **{"images": images, "annotations": annotations, "categories": categories},
        "attributes": [{"id": 0, "name": "black"}],
    }
    write_json(folder / "vlpart" / "paco" / "annotations" / "paco_lvis_v1_train.json", content)
    content = {"images": images[1:2], "annotations": [], "categories": categories}
    content["annotations"] = [annotation(1, 3, 4, [filled((1, 1, 5, 5))])]
    write_json(folder / "vlpart" / "paco" / "annotations" / "paco_lvis_v1_val.json", content)
    for entry in images:
        write_picture(folder / "coco" / entry["file_name"])


def make_pascal_part(root: Path) -> None:
    """The categories first; run lengths as a list; a picture that is half as large as its annotations."""
    folder = root / LISA / "vlpart" / "pascal_part"
    categories = [{"id": 1, "name": "aeroplane:body"}, {"id": 2, "name": "aeroplane:stern"}]
    images = [image(1, "2008_000008.jpg"), image(2, "2009_000001.jpg", height=2 * HEIGHT, width=2 * WIDTH)]
    annotations = [
        annotation(1, 1, 2, listed_rle((2, 2, 6, 4))),
        annotation(2, 2, 1, [filled((8, 8, 16, 16))]),
    ]
    write_json(
        folder / "train.json", {"categories": categories, "images": images, "annotations": annotations}
    )
    for entry in images:
        write_picture(folder / "VOCdevkit" / "VOC2010" / "JPEGImages" / entry["file_name"])


# The RefCOCO family


def reference(number: int, split: str, image_id: int, file_name: str, *sentences: str) -> dict[str, Any]:
    """As REFER has them: sentences of reference n are 10 n, 10 n + 1, ...; its annotation is 100 n."""
    said = [
        {"tokens": text.split(), "raw": f" {text} ", "sent_id": 10 * number + place, "sent": text}
        for place, text in enumerate(sentences)
    ]
    return {
        **{"sent_ids": [sentence["sent_id"] for sentence in said], "file_name": file_name},
        **{"ann_id": 100 * number, "ref_id": number, "image_id": image_id, "split": split},
        **{"sentences": said, "category_id": 1},
    }


def make_refcoco(root: Path, name: str = "refcoco", by: str = "unc") -> None:
    """Two references for one picture, spoken of in turns; a sentence without words; polygons and run lengths;
    every split, one of which has capitals."""
    file = "COCO_train2014_{:012d}.jpg"
    splits = ("val", "test") if by == "umd" else ("val", "testA", "testB")
    refs = [
        reference(1, "train", 77, file.format(77), "the left man", "man in red"),
        reference(2, "train", 78, file.format(78), "boat"),
        reference(3, "train", 77, file.format(77), "guy on the RIGHT", " "),
        *(
            reference(4 + n, split, 79, file.format(79), f"A Dog of {split}")
            for n, split in enumerate(splits)
        ),
    ]
    masks: list[Any] = [
        [filled((0, 0, 4, 8))],
        [filled((2, 2, 6, 4)), filled((8, 2, 12, 4))],
        rle((10, 0, 14, 8)),
        *([filled((3, 3, 7, 9))] for _ in splits),
    ]
    annotations = [
        {**annotation(ref["ann_id"], ref["image_id"], 1, mask), "bbox": [3, 3.5, 4, 5.5]}
        for ref, mask in zip(refs, masks, strict=True)
    ]
    images = [image(number, file.format(number)) for number in (79, 77, 78)]
    write_references(root, name, by, refs, {"annotations": annotations, "images": images})
    for entry in images:
        pictures = root / LISA / "refer_seg" / "images" / "mscoco" / "images" / "train2014"
        write_picture(pictures / entry["file_name"])


def make_refcoco_plus(root: Path) -> None:
    """The same for RefCOCO+."""
    make_refcoco(root, "refcoco+")


def make_refcocog(root: Path) -> None:
    """The same for RefCOCOg, split by umd."""
    make_refcoco(root, "refcocog", "umd")


def make_refclef(root: Path) -> None:
    """Masks that are lists of run lengths, pictures in folders; a test reference that is not registered."""
    refs = [
        reference(1, "train", 5, "5.jpg", "the two lakes"),
        reference(2, "testC", 6, "6.jpg", "sky"),
    ]
    masks = [[rle((0, 0, 2, 2)), listed_rle((4, 4, 6, 6))], [rle((0, 0, 16, 3))]]
    annotations = [
        annotation(ref["ann_id"], ref["image_id"], 1, mask) for ref, mask in zip(refs, masks, strict=True)
    ]
    images = [image(5, "02/images/5.jpg"), image(6, "39/images/6.jpg")]
    write_references(root, "refclef", "unc", refs, {"annotations": annotations, "images": images})
    for entry in images:
        write_picture(root / LISA / "refer_seg" / "images" / "saiapr_tc-12" / entry["file_name"])


def write_references(root: Path, name: str, by: str, refs: list[Any], instances: dict[str, Any]) -> None:
    folder = root / LISA / "refer_seg" / name
    write_json(folder / "instances.json", {"info": {}, **instances, "categories": [{"id": 1, "name": "a"}]})
    (folder / f"refs({by}).p").write_bytes(python2_pickle(refs))


def python2_pickle(value: Any) -> bytes:
    """A pickle as Python 2 writes it (protocol 0): text is STRING, whole numbers are INT or LONG."""
    return _python2(value).encode("ascii") + b"."


def _python2(value: Any) -> str:
    if isinstance(value, dict):
        return "(d" + "".join(_python2(key) + _python2(item) + "s" for key, item in value.items())
    if isinstance(value, list):
        return "(l" + "".join(_python2(item) + "a" for item in value)
    if isinstance(value, str):
        return f"S{value!r}\n"
    return f"I{value}\n" if value < 100 else f"L{value}L\n"


BUILDERS = {
    "reason_seg": make_reason_seg,
    "ade20k": make_ade20k,
    "cocostuff": make_cocostuff,
    "mapillary": make_mapillary,
    "paco_lvis": make_paco_lvis,
    "pascal_part": make_pascal_part,
    "refcoco": make_refcoco,
    "refcoco+": make_refcoco_plus,
    "refcocog": make_refcocog,
    "refclef": make_refclef,
}
