"""Stills with a class for every pixel: ADE20K, COCO-Stuff and Mapillary Vistas.

All have one layout: a folder of pictures, one of label maps with the same names, and a list of class names. A
label map is one sample, and every class that it has and that is asked for an expression; which those are is
found when the sample is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

import numpy as np

from unipixel.data.annotations import LabelMaps, read_labels
from unipixel.data.files import list_numbered
from unipixel.data.registry import Option, Rows, Source, dataset
from unipixel.data.sample import Expression, Media, Sample
from unipixel.errors import DataError, LeftOut

NUMBERING = Option(
    "numbering",
    ("from_0", "from_1"),
    "What the values of COCO-Stuff's label maps count (quirk Q2). from_0: 0 is person and 255 nothing, as in "
    "stuffthingmaps_trainval2017, and therefore the default. from_1: 1 is person and 0 nothing, for label "
    "maps with the numbers of COCO's categories.",
)

UNASKED = Option(
    "unasked",
    ("published", "by_name"),
    'Classes of COCO-Stuff that are never asked for (quirk Q2); meant are those with "-" in their names '
    '("wall-other"). published: 0, 255 and the 28 values one above the places of those names. With numbering '
    "from_0 that leaves out person and whatever follows such a name in the list, and asks for many of them; "
    "the default because the published scores come with it, and every name still fits its pixels. by_name: "
    "what was meant, under either numbering.",
)


@dataclass(frozen=True)
class Classes:
    """What the values of label maps mean.

    Attributes:
        names: of the classes.
        first: the value of the first of them.
        unasked: values that are never asked for, in the list or not.
    """

    names: tuple[str, ...]
    first: int
    unasked: frozenset[int]

    def name(self, value: int) -> str | None:
        """The name for a value; None for one that the list does not have."""
        place = value - self.first
        return self.names[place] if 0 <= place < len(self.names) else None


@dataclass(frozen=True)
class Layout:
    """Where one data set differs from the others; `{split}` stands for what `folders` has for the split.

    Attributes:
        labels: folder of the label maps.
        pictures: folder of the pictures.
        classes: their meaning.
        folders: for train and val.
    """

    labels: str
    pictures: str
    classes: Callable[[Source], Classes]
    folders: tuple[str, str] = ("training", "validation")

    def path(self, pattern: str, split: str) -> tuple[str, ...]:
        """The parts of a folder's path."""
        return tuple(pattern.format(split=self.folders[_SPLITS.index(split)]).split("/"))


_SPLITS = ("train", "val")


def read_labelled(layout: Layout, source: Source) -> Rows[str]:
    """One sample for each label map."""
    folder = source.path(*layout.path(layout.labels, source.split))
    stems = [file.stem for file in list_numbered(folder, (".png",))]
    classes = layout.classes(source)
    notes = {"classes": str(len(classes.names))}
    return Rows(folder, stems, partial(_make, layout, source, classes), notes)


def _make(layout: Layout, source: Source, classes: Classes, stem: str) -> Sample:
    labels = source.path(*layout.path(layout.labels, source.split), f"{stem}.png")
    picture = source.path(*layout.path(layout.pictures, source.split), f"{stem}.jpg")
    values = np.flatnonzero(np.bincount(read_labels(labels).reshape(-1))).tolist()
    asked = [value for value in values if value not in classes.unasked]
    if not asked:
        raise LeftOut(stem, "nothing to ask for", f"a class that is asked for, not only {values}")
    rounds = []
    for place, value in enumerate(asked):
        name = classes.name(value)
        if name is None:
            expected = f"{classes.first} to {classes.first + len(classes.names) - 1}, or unlabelled"
            raise DataError(labels, "", f"the value {value}", expected)
        rounds.append(Expression(name, "query", (place,), id=str(value)))
    return Sample(
        dataset=source.name,
        id=stem,
        task="segment",
        media=Media(stem, (picture,)),
        rounds=tuple(rounds),
        object_ids=tuple(range(len(rounds))),
        masks=LabelMaps((labels,), tuple((value,) for value in asked)),
    )


# Class names


def ade20k_classes(source: Source) -> Classes:
    """150 classes from 1; 0 is unlabelled."""
    return Classes(_listed("ade20k.txt"), 0, frozenset({0, 255}))


def cocostuff_classes(source: Source) -> Classes:
    """182 classes by the numbering that is chosen."""
    names = _listed("cocostuff.txt")
    first = 0 if source.choices["numbering"] == "from_0" else 1
    dashed = [place for place, name in enumerate(names) if "-" in name]
    if source.choices["unasked"] == "published":
        return Classes(names, first, frozenset({0, 255, *_shifted(dashed, 1)}))
    unlabelled = {255} if first == 0 else {0, 255}
    return Classes(names, first, frozenset({*unlabelled, *_shifted(dashed, first)}))


def mapillary_classes(source: Source) -> Classes:
    """The readable names of the data set's own list; its last, 123, is unlabelled."""
    config = source.json("lisa", "mapillary", "config_v2.0.json")
    names = tuple(label["readable"].text().lower() for label in config["labels"].list())
    return Classes(names, 0, frozenset({123, 255}))


def _shifted(places: Sequence[int], by: int) -> list[int]:
    return [place + by for place in places]


def _listed(file: str) -> tuple[str, ...]:
    text = (files("unipixel.data.readers") / "names" / file).read_text(encoding="utf-8")
    return tuple(text.splitlines())


# The data sets

ADE20K = dataset(
    "ade20k",
    task="segment",
    splits=_SPLITS,
    licence="BSD-3-Clause; pictures for research only",
    annotations="lisa/ade20k/annotations/{training,validation}/*.png",
    media="lisa/ade20k/images/{training,validation}",
    repeats=(0, 0, 3),
)(
    partial(
        read_labelled,
        Layout(
            labels="lisa/ade20k/annotations/{split}",
            pictures="lisa/ade20k/images/{split}",
            classes=ade20k_classes,
        ),
    )
)

COCOSTUFF = dataset(
    "cocostuff",
    task="segment",
    splits=_SPLITS,
    licence="CC BY 4.0; pictures under COCO's terms",
    annotations="lisa/cocostuff/{train2017,val2017}/*.png",
    media="lisa/coco/{train2017,val2017}",
    repeats=(0, 0, 3),
    options=(NUMBERING, UNASKED),
)(
    partial(
        read_labelled,
        Layout(
            labels="lisa/cocostuff/{split}",
            pictures="lisa/coco/{split}",
            classes=cocostuff_classes,
            folders=("train2017", "val2017"),
        ),
    )
)

MAPILLARY = dataset(
    "mapillary",
    task="segment",
    splits=_SPLITS,
    licence="CC BY-NC-SA 4.0",
    annotations="lisa/mapillary/{training,validation}/v2.0/labels/*.png, lisa/mapillary/config_v2.0.json",
    media="lisa/mapillary/{training,validation}/images",
    repeats=(0, 0, 3),
)(
    partial(
        read_labelled,
        Layout(
            labels="lisa/mapillary/{split}/v2.0/labels",
            pictures="lisa/mapillary/{split}/images",
            classes=mapillary_classes,
        ),
    )
)
