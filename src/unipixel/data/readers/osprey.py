"""Osprey: talk about, and descriptions of, regions of COCO pictures.

Text mentions regions as `<region3>`, counted from 1 in the item's `annotation`; here they are `[3]`. Slips of
the pen (`<region 3>`, `<Region3>`, `<regin3>`, `<region3]`, `<region of3>`) are mended. An item is left out
when a tag has no number or cannot be mended, when its number is beyond the annotation, or when a region has
no mask.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from unipixel.data.annotations import GivenTrack, RegionMasks, is_empty_region
from unipixel.data.files import Node
from unipixel.data.long_json import JsonArray
from unipixel.data.readers.listed import (
    ID_ORDER,
    count_left_out,
    in_order,
    kept_items,
    read_turns,
    without_media_tag,
)
from unipixel.data.registry import Rows, Source, dataset
from unipixel.data.sample import Caption, Exchange, Media, Round, Sample

LICENCE = "not stated; pictures are those of COCO"
_FOLDER = ("osprey", "Osprey-724K")

_TAG = re.compile(r"<\s*reg[ion]{1,4}s?\s*(?:of\s*)?(\d+)\s*[>\])]", re.IGNORECASE)
_REST = re.compile(r"<\s*reg[ion]{1,4}|\bregions?\s*(?:of\s*)?\d*\s*>", re.IGNORECASE)
_DESCRIBED = re.compile(r"\s*\[(\d+)\]\s*:?\s*(.*)", re.DOTALL)


def mend_tags(text: str) -> str | None:
    """The text with `[3]` for each tag of region 3; None where something is left that cannot be mended."""
    mended = _TAG.sub(lambda match: f"[{int(match[1])}]", text)
    return None if _REST.search(mended) else mended


@dataclass(frozen=True)
class Layout:
    """Where one of the data sets differs from the others.

    Attributes:
        file: the annotations.
        pictures: the folder of pictures.
        described: whether it lists descriptions, in the place of talk.
    """

    file: str
    pictures: tuple[str, ...]
    described: bool = False


def read_osprey(layout: Layout, source: Source) -> Rows[int]:
    """One sample for each picture whose tags all have a mask."""
    array = source.array(*_FOLDER, layout.file)
    kept = kept_items(source, array, partial(_is_sound, layout), "1")
    return Rows(array.file, kept, partial(_make, layout, source, array), count_left_out(array, kept))


def _is_sound(layout: Layout, item: Node) -> bool:
    texts = [mend_tags(text) for text in _texts(layout, item)]
    sound = [text for text in texts if text is not None]
    regions = item["annotation"].list()
    ids = in_order(sound, "text")
    if len(sound) < len(texts) or not ids or not all(1 <= id <= len(regions) for id in ids):
        return False
    if layout.described and not all(_DESCRIBED.fullmatch(text) for text in sound):
        return False
    masks = [regions[id - 1].get("segmentation") for id in ids]
    return all(mask is not None and not is_empty_region(mask.value) for mask in masks)


def _texts(layout: Layout, item: Node) -> list[str]:
    """Descriptions; or questions and answers in turn."""
    if layout.described:
        return [node.text() for node in item["description"].list()]
    texts = [value.text() for turn in read_turns(item["conversations"]) for value in turn]
    return [without_media_tag(texts[0]), *texts[1:]]


def _make(layout: Layout, source: Source, array: JsonArray, place: int) -> Sample:
    item = array[int(place)]
    texts = [mend_tags(text) or "" for text in _texts(layout, item)]
    ids = in_order(texts, source.choices["id_order"])
    name = item["file_name"].text()
    regions = [item["annotation"][id - 1]["segmentation"] for id in ids]
    tracks = [(GivenTrack(Node(region.file, region.place, [region.value])),) for region in regions]
    canvas = item["height"].integer(), item["width"].integer()
    return Sample(
        dataset=source.name,
        id=str(int(place)),
        task="describe",
        media=Media(name, (source.path(*layout.pictures, name),)),
        rounds=_captions(texts, ids) if layout.described else _exchanges(texts),
        object_ids=ids,
        masks=RegionMasks(tuple(tracks), canvas=canvas),
    )


def _captions(texts: Sequence[str], ids: tuple[int, ...]) -> tuple[Round, ...]:
    """`[3]: A tall tree.` is a description of region 3."""
    matches = [_DESCRIBED.fullmatch(text) for text in texts]
    return tuple(Caption(match[2], ids.index(int(match[1])), "detailed") for match in matches if match)


def _exchanges(texts: Sequence[str]) -> tuple[Round, ...]:
    return tuple(Exchange(*pair) for pair in zip(texts[::2], texts[1::2], strict=True))


OSPREY_CONVERSATION = dataset(
    "osprey_conversation",
    task="describe",
    splits=("train",),
    licence=LICENCE,
    annotations="osprey/Osprey-724K/osprey_conversation.json",
    media="osprey/coco/train2014",
    repeats=(0, 0, 5),
    options=(ID_ORDER,),
)(partial(read_osprey, Layout("osprey_conversation.json", ("osprey", "coco", "train2014"))))

OSPREY_POS_NEG = dataset(
    "osprey_pos_neg",
    task="describe",
    splits=("train",),
    licence=LICENCE,
    annotations="osprey/Osprey-724K/osprey_lvis_positive_negative.json",
    media="osprey/coco/imgs",
    repeats=(0, 0, 5),
    options=(ID_ORDER,),
)(partial(read_osprey, Layout("osprey_lvis_positive_negative.json", ("osprey", "coco", "imgs"))))

OSPREY_DETAIL_DESCRIPTION = dataset(
    "osprey_detail_description",
    task="describe",
    splits=("train",),
    licence=LICENCE,
    annotations="osprey/Osprey-724K/osprey_detail_description.json",
    media="osprey/coco/train2014",
    repeats=(0, 0, 5),
    options=(ID_ORDER,),
)(
    partial(
        read_osprey,
        Layout("osprey_detail_description.json", ("osprey", "coco", "train2014"), described=True),
    )
)
