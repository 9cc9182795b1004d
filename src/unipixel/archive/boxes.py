"""Objects that other layouts mark (COCO, YOLO, MOT; any file of docs/data.md): one tracked object each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np

from unipixel.archive.items import Item, Mark, Marked, Query, Words
from unipixel.core.masks import RLE, polygons_to_mask, read_mask
from unipixel.core.media import Clip
from unipixel.core.pictures import open_picture
from unipixel.core.pixels import Mask
from unipixel.core.prompts import Box, Point
from unipixel.data import importers
from unipixel.data.jsonl import Find, FrameSpan, MaskPicture, Outline, Region, TimeSpan
from unipixel.data.jsonl import Item as DataItem
from unipixel.data.jsonl.parts import ItemMedia, ItemObject, frames_at
from unipixel.data.sample import Exchange
from unipixel.errors import ConfigError

Layout: TypeAlias = Literal["coco", "yolo", "mot"]
OnNote: TypeAlias = Callable[[str], None]
NEEDED = {"coco": "instances.json PICTURES", "yolo": "PICTURES LABELS classes.txt", "mot": "SEQUENCE…"}


def import_marked(
    layout: str, sources: Sequence[Path], words: Sequence[Query] = (), on_note: OnNote = lambda note: None
) -> Iterator[Item]:
    """Items of another layout; each of its boxes (in MOT, each of its numbers) is one tracked object.

    sources: coco: instances.json and the folder of pictures; yolo: pictures, labels and classes.txt; mot:
    folders of sequences. words: also asked about each.

    Raises:
        ConfigError: an unknown layout, or another number of sources. DataError, MediaError: as its importer.
    """
    if layout not in get_args(Layout):
        raise ConfigError(f"there is no layout {layout!r}; choose from {', '.join(get_args(Layout))}")
    if len(sources) != {"coco": 2, "yolo": 3}.get(layout, max(1, len(sources))):
        raise ConfigError(f"{layout} takes {NEEDED[layout]}; found {len(sources)} names")
    root = Path(sources[0].absolute().anchor)
    first, *others = (path.absolute() for path in sources)
    if layout == "coco":
        found = importers.import_coco(first, others[0], root, on_note)
    elif layout == "yolo":
        found = importers.import_yolo(first, others[0], others[1], root, on_note)
    else:
        found = importers.import_mot([first, *others], root, on_note)
    for item in found:
        converted = from_data(item, root, words, with_questions=False)
        if converted is not None:
            yield converted


def from_data(
    item: DataItem, root: Path, words: Sequence[Query] = (), *, with_questions: bool = True
) -> Item | None:
    """An item of the project's own form: its objects followed, its questions asked, except those that point
    at something. None if it shows nothing."""
    if item.media is None:
        return None
    media = tuple(root / path for path in item.media.paths)
    clock = _Clock(item.media, media)
    marked = [one for thing in item.objects if (one := _marked(thing, clock, root)) is not None]
    asked = list(_questions(item)) if with_questions else []
    queries = (*words, *asked, *marked)
    fps = item.media.fps if item.media.kind == "frames" else None
    return Item(item.id, media, queries, fps, item.media.step) if queries else None


def _questions(item: DataItem) -> Iterator[Words]:
    for said in item.rounds:
        text = said.text if isinstance(said, Find) else said.question if isinstance(said, Exchange) else ""
        if text and "[" not in text:
            yield Words(text)


@dataclass(frozen=True)
class _Clock:
    """Where times lie among the frames, and how large these are; opened only where it must be."""

    media: ItemMedia
    paths: tuple[Path, ...]

    def open(self) -> Clip:
        return Clip.open(self.paths[0])

    def size(self) -> tuple[int, int]:
        """(height, width)."""
        if self.media.size is not None:
            return self.media.size[1], self.media.size[0]
        clip = self.open()
        return clip.height, clip.width

    def frames(self, when: FrameSpan | TimeSpan | None) -> range:
        """Frames of the item's own count."""
        if when is None:
            return range(1)  # a still, or an object that one region marks throughout: its first frame
        if isinstance(when, FrameSpan):
            return range(when.first, when.last + 1)
        fps = self.media.fps or self.open().fps / self.media.step
        return frames_at(when, fps)


def _marked(thing: ItemObject, clock: _Clock, root: Path) -> Marked | None:
    """An object with its marks: of several regions on one frame the last counts, masks before boxes."""
    marks: dict[int, Mark] = {}
    for region in sorted(thing.regions, key=lambda one: not one.is_pointer):
        shape = _shape(region, clock, root)
        for frame in clock.frames(region.when):
            marks[frame * clock.media.step] = Mark(frame * clock.media.step, shape)
    return Marked(thing.id, tuple(marks.values()), thing.name) if marks else None


def _shape(region: Region, clock: _Clock, root: Path) -> Box | Point | RLE:
    shape = region.shape
    if isinstance(shape, Outline):
        height, width = clock.size()
        return RLE.from_mask(polygons_to_mask([list(polygon) for polygon in shape.polygons], height, width))
    if isinstance(shape, MaskPicture):
        return RLE.from_mask(_picture(root / shape.path, shape.value))
    return shape


def _picture(path: Path, value: int | None) -> Mask:
    if value is None:
        return read_mask(path)
    with open_picture(path) as picture:
        found: Mask = np.asarray(picture) == value
        return found
