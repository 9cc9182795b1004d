"""Referring expressions in the manner of RefCOCO, as JSON: sentences for objects of a COCO file.

The pickles of RefCOCO itself are registered data sets and need no import.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unipixel.data.files import Node, read_json
from unipixel.data.importers.coco import CocoPicture, category_names
from unipixel.data.importers.common import OnNote, about, relative, unheard
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.parts import Find, ItemObject
from unipixel.data.sample import Facts

_NOBODY = "-1"
"""What gRefCOCO writes for "no object"."""


def import_refcoco(
    refs: Path,
    instances: Path,
    pictures: Path,
    root: Path,
    split: str | None = None,
    on_note: OnNote = unheard,
) -> Iterator[Item]:
    """One item for each picture and split, with all its sentences as expressions.

    Args:
        refs: a list of `{"ref_id", "image_id", "ann_id", "split", "sentences": [{"sent", "sent_id"}]}`, also
            under the name "refs". An `ann_id` may be a list: several objects, or none (`[]`, `-1`).
        instances: the COCO file with `images`, `annotations` and `categories`.
        pictures: the folder of its `file_name`s.
        root: the folder that written paths are relative to.
        split: only this one; None is all.
        on_note: told how many sentences other splits have, which are left out.

    Raises:
        DataError: a file is damaged, or names what is not there; with file and place.
        ConfigError: the pictures are not inside the root.
    """
    relative(pictures, root)
    file = read_json(instances)
    images = {node["id"].name(): node for node in file["images"].list()}
    marked = {node["id"].name(): node for node in file["annotations"].list()}
    names = category_names(file)
    groups, left_out = _grouped(read_json(refs), split)
    for (image, part), members in groups.items():
        if image not in images:
            raise members[0]["image_id"].error(f"the id of one of the images of {instances.name}")
        with about(refs, f"image {image}"):
            found = CocoPicture.of(images[image], pictures, root)
            numbers: dict[str, int] = {}
            rounds = [turn for ref in members for turn in _sentences(ref, numbers, marked)]
            objects: list[ItemObject] = []
            for annotation, number in numbers.items():
                objects.append(found.thing(number, marked[annotation], names))
            yield Item(
                id=f"{part}/{image}" if part else image,
                task="segment",
                rounds=tuple(rounds),
                media=found.media,
                objects=tuple(objects),
                facts=Facts({**found.facts, "split": part} if part else found.facts),
            )
    if left_out:
        on_note(f"{left_out} references of other splits are left out")


def _grouped(file: Node, split: str | None) -> tuple[dict[tuple[str, str], list[Node]], int]:
    """References by picture and split, in the order of the file, and how many are of other splits."""
    listed = file["refs"] if isinstance(file.value, dict) else file
    groups: dict[tuple[str, str], list[Node]] = {}
    left_out = 0
    for ref in listed.list():
        named = ref.get("split")
        part = named.text() if named else ""
        if split is not None and part != split:
            left_out += 1
            continue
        groups.setdefault((ref["image_id"].name(), part), []).append(ref)
    return groups, left_out


def _sentences(ref: Node, numbers: dict[str, int], marked: dict[str, Node]) -> Iterator[Find]:
    """The expressions of a reference; its objects get the next numbers."""
    target = ref["ann_id"]
    targets = list(target.list()) if isinstance(target.value, list) else [target]
    wanted = dict.fromkeys(node.name() for node in targets if node.name() != _NOBODY)
    for node in targets:
        if node.name() in wanted and node.name() not in marked:
            raise node.error("the id of one of the annotations")
    ids = tuple(numbers.setdefault(annotation, len(numbers)) for annotation in wanted)
    for sentence in ref["sentences"].list():
        text = sentence.get("sent") or sentence["raw"]
        if not text.text().strip():
            raise text.error("words")
        name = sentence.get("sent_id") or ref.get("ref_id")
        yield Find(text.text(), ids, id=name.name() if name else "")
