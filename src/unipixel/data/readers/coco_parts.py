"""Things and their parts in stills: PACO-LVIS and Pascal-Part.

Both are files in COCO's layout. One picture is one sample, every annotation of it an expression: the name of
a thing, or of a thing and a part. Pictures without annotations are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from unipixel.data.coco_file import ABSENT, CocoFile, CocoMasks, canvas
from unipixel.data.files import Node
from unipixel.data.registry import Option, Rows, Source, dataset
from unipixel.data.sample import Expression, Media, Sample
from unipixel.errors import DataError

UNDERSCORES = Option(
    "underscores",
    ("kept", "spaces"),
    'Names such as "trash_can". kept leaves them as published, and is the default because the published '
    "training asks for them so; spaces reads them as people would write them.",
)


@dataclass(frozen=True)
class Layout:
    """Where one data set differs from the other; `{split}` stands for the split."""

    annotations: str
    pictures: str


@dataclass(frozen=True)
class Name:
    """What a category is called; `part` is empty for whole things."""

    whole: str
    part: str


@dataclass(frozen=True)
class Picture:
    """Places of an image and its annotations in their lists."""

    image: int
    annotations: tuple[int, ...]


def read_parts(layout: Layout, source: Source) -> Rows[Picture]:
    """One sample for each picture with annotations."""
    coco = CocoFile.open(source, *layout.annotations.format(split=source.split).split("/"))
    names: dict[int, Name] = {}
    for category in coco.categories:
        with source.part():
            names[category["id"].integer()] = _name(category["name"], source.choices["underscores"])
    pictures = _pictures(source, coco)
    notes = {
        "expressions": str(sum(len(picture.annotations) for picture in pictures)),
        "left out without annotation": str(len(coco.images) - len(pictures)),
    }
    return Rows(coco.file, pictures, partial(_make, layout, source, coco, names), notes)


def _pictures(source: Source, coco: CocoFile) -> list[Picture]:
    images = coco.images.places()
    found: dict[int, list[int]] = {}
    for place, id in enumerate(coco.annotations.numbers("image_id")):
        if id in images:
            found.setdefault(images[id], []).append(place)
        elif id != ABSENT:
            with source.part():
                where = f"annotations[{place}].image_id"
                raise DataError(coco.file, where, f"{id}", "the id of one of the images")
    return [Picture(image, tuple(found[image])) for image in sorted(found)]


def _name(node: Node, underscores: str) -> Name:
    """ "a:b" is part b of a; what follows "_(" explains a name and is left out."""
    pieces = [piece.split("_(")[0] for piece in node.text().strip().split(":")]
    if len(pieces) > 2 or not all(pieces):
        raise node.error('a name, or "thing:part"')
    if underscores == "spaces":
        pieces = [piece.replace("_", " ") for piece in pieces]
    return Name(pieces[0], pieces[1] if len(pieces) == 2 else "")


def _make(layout: Layout, source: Source, coco: CocoFile, names: Mapping[int, Name], item: Picture) -> Sample:
    image = coco.images[item.image]
    id = image["id"].name()
    file = source.path(*layout.pictures.split("/"), image["file_name"].text())
    rounds = [
        _expression(annotation, names, place)
        for place, annotation in enumerate(coco.annotations.pick(item.annotations))
    ]
    return Sample(
        dataset=source.name,
        id=id,
        task="segment",
        media=Media(id, (file,)),
        rounds=tuple(rounds),
        object_ids=tuple(range(len(rounds))),
        masks=CocoMasks(coco.annotations, item.annotations, canvas(image)),
    )


def _expression(annotation: Node, names: Mapping[int, Name], place: int) -> Expression:
    category = annotation["category_id"]
    if category.integer() not in names:
        raise category.error("the id of one of the categories")
    name, id = names[category.integer()], annotation["id"].name()
    return Expression(name.whole, "part" if name.part else "query", (place,), part=name.part, id=id)


# The data sets

PACO_LVIS = dataset(
    "paco_lvis",
    task="segment",
    splits=("train", "val"),
    licence="not stated; pictures under COCO's terms",
    annotations="lisa/vlpart/paco/annotations/paco_lvis_v1_{train,val}.json",
    media="lisa/coco/{train2017,val2017}",
    repeats=(0, 0, 3),
    options=(UNDERSCORES,),
)(
    partial(
        read_parts,
        Layout(
            annotations="lisa/vlpart/paco/annotations/paco_lvis_v1_{split}.json",
            pictures="lisa/coco",  # the names of pictures begin with train2017/ or val2017/
        ),
    )
)

PASCAL_PART = dataset(
    "pascal_part",
    task="segment",
    splits=("train",),
    licence="not stated",
    annotations="lisa/vlpart/pascal_part/train.json",
    media="lisa/vlpart/pascal_part/VOCdevkit/VOC2010/JPEGImages",
    repeats=(0, 0, 3),
    options=(UNDERSCORES,),
)(
    partial(
        read_parts,
        Layout(
            annotations="lisa/vlpart/pascal_part/train.json",
            pictures="lisa/vlpart/pascal_part/VOCdevkit/VOC2010/JPEGImages",
        ),
    )
)
