"""COCO instances: objects of named categories on pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from unipixel.data.files import Node, read_json
from unipixel.data.importers.common import (
    OnNote,
    about,
    box_shape,
    check_numbers,
    facts_of,
    items_by_name,
    mask_shape,
    named_file,
    relative,
    unheard,
)
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.parts import ItemMedia, ItemObject, Region
from unipixel.data.sample import Facts
from unipixel.errors import DataError

_HANDLED = ("image_id", "category_id", "segmentation", "iscrowd")


def import_coco(annotations: Path, pictures: Path, root: Path, on_note: OnNote = unheard) -> Iterator[Item]:
    """One item for each picture: each category that it shows is an expression for all its objects.

    Crowds (`iscrowd` 1) are what is ignored. Objects with a box and no mask can only point (`items_by_name`).

    Args:
        annotations: `instances_*.json`.
        pictures: the folder of its `file_name`s.
        root: the folder that written paths are relative to.
        on_note: told how many pictures show nothing and are left out.

    Raises:
        DataError: the file is damaged, or names what is not there; with file and place.
        ConfigError: the pictures are not inside the root.
    """
    file = read_json(annotations)
    names = category_names(file)
    marked = annotations_by_picture(file)
    empty = 0
    for image in file["images"].list():
        here = marked.pop(image["id"].name(), [])
        things = [node for node in here if not _is_crowd(node)]
        empty += not things
        with about(annotations, f"image {image['id'].name()}"):
            found = CocoPicture.of(image, pictures, root)
            objects = [found.thing(number, node, names) for number, node in enumerate(things)]
            ignored = [found.region(node) for node in here if _is_crowd(node)]
            yield from items_by_name(found.id, found.media, objects, ignored, found.facts)
    check_no_strays(marked)
    if empty:
        on_note(f"{empty} pictures without objects are left out")


def category_names(file: Node) -> dict[str, str]:
    """Names of the categories by their ids."""
    return {entry["id"].name(): entry["name"].text() for entry in file["categories"].list()}


def annotations_by_picture(file: Node) -> dict[str, list[Node]]:
    """The annotations of each picture, by its id, in the order of the file."""
    found: dict[str, list[Node]] = {}
    for node in file["annotations"].list():
        found.setdefault(node["image_id"].name(), []).append(node)
    return found


def check_no_strays(left: Mapping[str, list[Node]]) -> None:
    """DataError if there are annotations of pictures that are not listed."""
    for nodes in left.values():
        raise nodes[0]["image_id"].error("the id of one of `images`")


def _is_crowd(node: Node) -> bool:
    crowd = node.get("iscrowd")
    return crowd is not None and crowd.integer() == 1


@dataclass(frozen=True)
class CocoPicture:
    """A picture of a COCO file."""

    id: str
    media: ItemMedia
    size: tuple[int, int]
    facts: Facts

    @classmethod
    def of(cls, image: Node, pictures: Path, root: Path) -> CocoPicture:
        size = image["width"].integer(), image["height"].integer()
        path = named_file(pictures, image["file_name"])
        media = ItemMedia("image", (relative(path, root),), size=size)
        return cls(image["id"].name(), media, size, facts_of(image, ("id", "file_name", "width", "height")))

    def thing(self, id: int, node: Node, names: Mapping[str, str]) -> ItemObject:
        """An annotation as an object: its mask, or the box where it has none."""
        category = node["category_id"]
        if category.name() not in names:
            raise category.error("the id of one of `categories`")
        return ItemObject(id, names[category.name()], (self.region(node),), facts=facts_of(node, _HANDLED))

    def region(self, node: Node) -> Region:
        """Where an annotation is: its mask, or the box where it has none."""
        mask = node.get("segmentation")
        if mask is not None and mask.value:
            return Region(mask_shape(mask))
        corners = [value.number() for value in node["bbox"].list()]
        check_numbers(corners, node["bbox"])
        if len(corners) != 4:
            raise node["bbox"].error("x, y, width, height")
        box = box_shape(corners[0], corners[1], corners[2], corners[3], self.size)
        if box is None:
            expected = f"a box in a picture of {self.size[0]}x{self.size[1]}"
            raise DataError(node.file, node["bbox"].place, f"the box {corners}", expected)
        return Region(box)
