"""ReasonSeg: questions that need reasoning about a still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from unipixel.data.annotations import SHAPES_FALLBACK, Shapes
from unipixel.data.files import Node, list_numbered, read_json
from unipixel.data.registry import Option, Rows, Source, dataset
from unipixel.data.sample import Expression, Media, Sample

_HOME = ("lisa", "reason_seg", "ReasonSeg")

IGNORE_REGIONS = Option(
    "ignore_regions",
    ("background", "left_out"),
    'Pixels of "ignore" outlines when masks are scored (quirk Q1). background: they are no target, and '
    "predicting them is wrong; the default because UniPixel's published scores come about so. left_out: they "
    "count neither way, as the data set's authors (LISA) score.",
)

TEXTS = Option(
    "texts",
    ("all", "first"),
    "Which texts of a picture are asked. all: each is a sample; the default because UniPixel trains and "
    "evaluates so. first: the first one only, as LISA evaluates.",
)


@dataclass(frozen=True)
class Asked:
    """One text about one picture; the outlines lie beside the picture."""

    picture: Path
    expression: Expression


@dataset(
    "reason_seg",
    task="segment",
    splits=("train", "val", "test"),
    licence="not stated",
    annotations="lisa/reason_seg/ReasonSeg/{train,val,test}/*.json, "
    "lisa/reason_seg/ReasonSeg/explanatory/train.json",
    media="lisa/reason_seg/ReasonSeg/{train,val,test}",
    repeats=(0, 0, 10),
    options=(IGNORE_REGIONS, TEXTS),
)
def read_reason_seg(source: Source) -> Rows[Asked]:
    """One sample for each text; train has one more for each picture with an explanation."""
    folder = source.path(*_HOME, source.split)
    pictures = list_numbered(folder, (".jpg",))
    explained = _explained(source, {picture.name for picture in pictures}) if source.split == "train" else {}
    found: list[Asked] = []
    for picture in pictures:
        with source.part():
            found += [Asked(picture, expression) for expression in _texts(picture, source)]
        if picture.name in explained:
            found.append(Asked(picture, explained[picture.name]))
    notes = {"expressions": str(len(found)), "explanations": str(len(explained))}
    return Rows(folder, found, partial(_make, source), notes)


def _texts(picture: Path, source: Source) -> Iterator[Expression]:
    annotation = read_json(picture.with_suffix(".json"), SHAPES_FALLBACK)
    is_sentence = annotation["is_sentence"]
    if not isinstance(is_sentence.value, bool):
        raise is_sentence.error("true or false")
    texts = annotation["text"].list()
    if not texts:
        raise annotation["text"].error("at least one text")
    for number, text in enumerate(texts[:1] if source.choices["texts"] == "first" else texts):
        yield Expression(_words(text), "sentence" if is_sentence.value else "query", id=str(number))


def _explained(source: Source, pictures: set[str]) -> dict[str, Expression]:
    """Questions with explanations, by the name of the picture; each must be one of the split's."""
    found: dict[str, Expression] = {}
    for entry in source.json(*_HOME, "explanatory", "train.json").list():
        with source.part():
            name = entry["image"].text()
            if name not in pictures:
                raise entry["image"].error("the name of a picture of train")
            if name in found:
                raise entry["image"].error("each picture once")
            question, answer = _words(entry["query"]), _words(entry["outputs"])
            found[name] = Expression(question, "explanatory", answer=answer, id="explanatory")
    return found


def _words(node: Node) -> str:
    if not node.text().strip():
        raise node.error("words")
    return node.text()


def _make(source: Source, item: Asked) -> Sample:
    shapes = item.picture.with_suffix(".json")
    is_left_out = source.choices["ignore_regions"] == "left_out"
    return Sample(
        dataset=source.name,
        id=f"{item.picture.stem}/{item.expression.id}",
        task="segment",
        media=Media(item.picture.stem, (item.picture,)),
        rounds=(item.expression,),
        object_ids=(0,),
        masks=Shapes(shapes),
        ignored=Shapes(shapes, of="ignore") if is_left_out else None,
    )
