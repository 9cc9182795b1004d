"""Phrases for single things in stills: RefCOCO, RefCOCO+, RefCOCOg and RefCLEF.

All have one layout: a pickle of references, each with several sentences for one annotation, and a file of
annotations in COCO's layout. For training one picture is one sample with all sentences about it; for
evaluation every sentence is a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from unipixel.data.coco_file import CocoFile, CocoMasks, canvas
from unipixel.data.files import Node
from unipixel.data.registry import DatasetInfo, Option, Rows, Source, dataset
from unipixel.data.sample import Expression, Facts, Media, Sample

_HOME = "lisa/refer_seg"
_COCO = "images/mscoco/images/train2014"

LETTERS = Option(
    "letters",
    ("published", "lower"),
    "Capitals in sentences. published leaves them, and is the default because the published training and "
    "evaluation do (what is asked later has a small first letter); lower writes all of them small, as LISA "
    "does, whose numbers differ by that.",
)


@dataclass(frozen=True)
class Layout:
    """Where one data set differs from the others.

    Attributes:
        folder: with the references and annotations.
        by: who split it: the file of references is `refs(BY).p`.
        pictures: folder of the pictures.
    """

    folder: str
    by: str
    pictures: str = _COCO


@dataclass(frozen=True)
class Said:
    """One sentence; `annotation` is the place of the thing it means in the list of annotations."""

    id: str
    text: str
    annotation: int
    ref: str


@dataclass(frozen=True)
class Picture:
    """Sentences about one picture; `image` is its place in the list of images."""

    image: int
    said: tuple[Said, ...]


def read_references(layout: Layout, source: Source) -> Rows[Picture]:
    """One sample for each picture of train, and for each sentence of the other splits."""
    refs = source.pickle(*_HOME.split("/"), layout.folder, f"refs({layout.by}).p")
    coco = CocoFile.open(source, *_HOME.split("/"), layout.folder, "instances.json")
    images, annotations = coco.images.places(), coco.annotations.places()
    found: list[tuple[int, Said]] = []
    wordless = 0
    for ref in refs.list():
        with source.part():
            if ref["split"].text() != source.split:
                continue
            image = _place(ref["image_id"], images)
            annotation = _place(ref["ann_id"], annotations)
            sentences = [_said(sentence, ref, annotation, source) for sentence in ref["sentences"].list()]
            found += [(image, said) for said in sentences if said.text.strip()]
            wordless += sum(not said.text.strip() for said in sentences)
    pictures = _grouped(found) if source.split == "train" else [Picture(i, (said,)) for i, said in found]
    notes = {"expressions": str(len(found)), "left out without words": str(wordless)}
    return Rows(refs.file, pictures, partial(_make, layout, source, coco), notes)


def _place(id: Node, places: dict[int, int]) -> int:
    if id.integer() not in places:
        raise id.error("an id that instances.json has")
    return places[id.integer()]


def _said(sentence: Node, ref: Node, annotation: int, source: Source) -> Said:
    text = sentence["sent"].text()
    if source.choices["letters"] == "lower":
        text = text.lower()
    return Said(sentence["sent_id"].name(), text, annotation, ref["ref_id"].name())


def _grouped(found: Sequence[tuple[int, Said]]) -> list[Picture]:
    """Pictures in the order in which they are first spoken of."""
    groups: dict[int, list[Said]] = {}
    for image, said in found:
        groups.setdefault(image, []).append(said)
    return [Picture(image, tuple(said)) for image, said in groups.items()]


def _make(layout: Layout, source: Source, coco: CocoFile, item: Picture) -> Sample:
    image = coco.images[item.image]
    vid = image["id"].name()
    folder = (*_HOME.split("/"), *layout.pictures.split("/"))
    objects = tuple(dict.fromkeys(said.annotation for said in item.said))
    is_group = source.split == "train"
    return Sample(
        dataset=source.name,
        id=vid if is_group else f"{vid}/{item.said[0].id}",
        task="segment",
        media=Media(vid, (source.path(*folder, image["file_name"].text()),)),
        rounds=tuple(
            Expression(said.text, "query", (objects.index(said.annotation),), id=said.id)
            for said in item.said
        ),
        object_ids=tuple(range(len(objects))),
        masks=CocoMasks(coco.annotations, objects, canvas(image)),
        facts=Facts() if is_group else _facts(coco, item.said[0]),
    )


def _facts(coco: CocoFile, said: Said) -> Facts:
    """`box` is x1 y1 x2 y2 in pixels, for the accuracy of boxes."""
    annotation = coco.annotations[said.annotation]
    sides = annotation["bbox"]
    x, y, width, height = (sides[number].number() for number in range(4))
    box = " ".join(repr(value) for value in (x, y, x + width, y + height))
    return Facts({"box": box, "ref_id": said.ref, "ann_id": annotation["id"].name()})


# The data sets


def _register(
    name: str, layout: Layout, licence: str, splits: tuple[str, ...], repeats: tuple[int, int, int]
) -> DatasetInfo:
    folder = f"{_HOME}/{layout.folder}"
    return dataset(
        name,
        task="segment",
        splits=splits,
        licence=licence,
        annotations=f"{folder}/refs({layout.by}).p, {folder}/instances.json",
        media=f"{_HOME}/{layout.pictures}",
        repeats=repeats,
        options=(LETTERS,),
    )(partial(read_references, layout))


_LICENCE = "Apache-2.0 (its code; the data's is not stated); pictures under COCO's terms"
_SPLITS = ("train", "val", "testA", "testB")

REFCOCO = _register("refcoco", Layout("refcoco", "unc"), _LICENCE, _SPLITS, (0, 5, 10))
REFCOCO_PLUS = _register("refcoco+", Layout("refcoco+", "unc"), _LICENCE, _SPLITS, (0, 5, 10))
REFCOCOG = _register("refcocog", Layout("refcocog", "umd"), _LICENCE, ("train", "val", "test"), (0, 5, 10))
REFCLEF = _register(
    "refclef", Layout("refclef", "unc", "images/saiapr_tc-12"), "not stated", ("train",), (0, 5, 10)
)
