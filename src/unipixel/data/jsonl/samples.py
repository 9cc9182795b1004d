"""From items to samples: frames for times, masks that are decoded when they are read, pointers."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unipixel.core.masks import RLE, polygons_to_mask, read_mask
from unipixel.core.pixels import Mask
from unipixel.core.prompts import Box, Point, SlotPrompt
from unipixel.data.annotations import read_labels
from unipixel.data.files import inside
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.parts import (
    Describe,
    Find,
    FrameSpan,
    ItemMedia,
    ItemObject,
    MaskPicture,
    Outline,
    Region,
    TimeSpan,
    When,
    frames_at,
    told,
)
from unipixel.data.jsonl.parts import Round as ItemRound
from unipixel.data.jsonl.rules import wrong_size
from unipixel.data.sample import Caption, Expression, Masks, Media, Round, Sample
from unipixel.errors import DataError, PromptError

_TICK = 1e-6  # seconds are rounded when they are written


def make_sample(item: Item, file: Path, line: int, root: Path, dataset: str = "jsonl") -> Sample:
    """The sample of an item. Only a video whose annotations count in seconds without `fps` is opened.

    Args:
        item: what the line says.
        file: the JSONL file, for errors.
        line: the line, for errors.
        root: the folder that paths are relative to.
        dataset: the name of the data set.

    Raises:
        DataError: a time has no frames.
        MediaError: a video that must be opened for its clock cannot be.
    """
    media = None if item.media is None else open_media(item.media, root)
    where = _Where(file, f"line {line}")
    placed = place_objects(item, Timeline.of(item.media, media), where)
    ids = [thing.id for thing in item.objects]
    rounds = tuple(_round(said, ids) for said in item.rounds)
    finds_nothing = any(isinstance(said, Find) and not said.masks for said in item.rounds)
    if finds_nothing:  # an object that is never seen stands for it
        ids.append(max(ids, default=-1) + 1)
        placed = replace(placed, objects=(*placed.objects, ()))
    pointers = tuple(_pointers(regions) for regions in placed.objects)
    has_masks = finds_nothing or any(thing.has_mask for thing in item.objects)
    return Sample(
        dataset=dataset,
        id=item.id,
        task=item.task,
        media=media,
        rounds=rounds,
        object_ids=tuple(ids),
        masks=PlacedMasks(placed.objects, root, where) if has_masks else None,
        annotated=_annotated(item, placed),
        key_frame=item.key_frame,
        free_ids=item.free_ids,
        literal=True,
        ignored=PlacedMasks((placed.ignored,), root, where) if placed.ignored else None,
        pointers=pointers if any(pointers) else (),
        facts=item.facts,
    )


def open_media(media: ItemMedia, root: Path) -> Media:
    """Where the pictures are; DataError for a path that leads out of the root."""
    paths = tuple(inside(root, path) for path in media.paths)
    name = media.name or (media.paths[0] if media.kind != "frames" else str(Path(media.paths[0]).parent))
    if media.kind == "video":
        return Media(name, video=paths[0], step=media.step)
    return Media(name, frames=paths)


# Times


@dataclass(frozen=True)
class _Where:
    """What errors name: a line of a file."""

    file: Path
    line: str

    def error(self, place: str, found: str, expected: str) -> DataError:
        return DataError(self.file, f"{self.line}, {place}", found, expected)


@dataclass(frozen=True)
class Timeline:
    """Which frames a time has: a clock of even frames, or the times of a video, which are read if needed."""

    total: int | None
    fps: float | None
    video: Media | None

    @classmethod
    def of(cls, media: ItemMedia | None, opened: Media | None) -> Timeline:
        if media is None:
            return cls(0, None, None)
        return cls(media.num_frames, media.fps, opened if media.kind == "video" else None)

    def frames(self, when: When) -> range:
        """The frames of a span, empty if there are none."""
        if isinstance(when, FrameSpan):
            return range(when.first, when.last + 1)
        if self.fps is not None:
            return frames_at(when, self.fps, self.total)
        return self._timed(when)

    def _timed(self, when: TimeSpan) -> range:
        times = self._times
        return range(bisect_left(times, when.first - _TICK), bisect_right(times, when.last + _TICK))

    @cached_property
    def _times(self) -> tuple[float, ...]:
        assert self.video is not None, "only a video has a clock of its own"
        return self.video.open().times


@dataclass(frozen=True)
class Placed:
    """A region on its frames; `place` is where the file has it."""

    region: Region
    spans: tuple[range, ...]
    place: str

    def covers(self, frame: int) -> bool:
        return any(frame in span for span in self.spans)


@dataclass(frozen=True)
class PlacedItem:
    """All regions of an item on their frames."""

    objects: tuple[tuple[Placed, ...], ...]
    ignored: tuple[Placed, ...]


def place_objects(item: Item, timeline: Timeline, where: _Where) -> PlacedItem:
    """Find the frames of every region; DataError for a time without frames, or outside of `exists`."""
    objects = tuple(
        tuple(_place_thing(thing, f"objects[{number}]", timeline, where))
        for number, thing in enumerate(item.objects)
    )
    ignored = _place_regions(item.ignored, None, "ignored", timeline, where)
    return PlacedItem(objects, tuple(ignored))


def _place_thing(thing: ItemObject, place: str, timeline: Timeline, where: _Where) -> Iterable[Placed]:
    exists = None
    if thing.exists is not None:
        exists = tuple(
            _frames(when, f"{place}.exists[{number}]", timeline, where)
            for number, when in enumerate(thing.exists)
        )
    return _place_regions(thing.regions, exists, f"{place}.regions", timeline, where)


def _place_regions(
    regions: Sequence[Region],
    exists: tuple[range, ...] | None,
    place: str,
    timeline: Timeline,
    where: _Where,
) -> Iterable[Placed]:
    for number, region in enumerate(regions):
        here = f"{place}[{number}]"
        if region.when is None:
            yield Placed(region, exists or (range(timeline.total or 0),), here)
            continue
        span = _frames(region.when, here, timeline, where)
        if exists is not None and not any(span[0] in time and span[-1] in time for time in exists):
            raise where.error(here, f"{told(region.when)}, when the object does not exist", "a time inside")
        yield Placed(region, (span,), here)


def _frames(when: When, place: str, timeline: Timeline, where: _Where) -> range:
    span = timeline.frames(when)
    if not span:
        raise where.error(place, f"{told(when)}, without a frame", "a time in which the clip has frames")
    return span


def _annotated(item: Item, placed: PlacedItem) -> tuple[int, ...] | None:
    """Frame numbers with annotations; None is all of them."""
    if item.media is None or item.media.is_still or item.annotated == "all":
        return None
    if isinstance(item.annotated, tuple):
        return item.annotated
    spans = [span for regions in placed.objects for region in regions for span in region.spans]
    frames = sorted({frame for span in spans for frame in span})
    return None if not frames or len(frames) == item.media.num_frames else tuple(frames)


def _pointers(regions: Sequence[Placed]) -> tuple[SlotPrompt, ...]:
    """The boxes and points of an object, each on its frames."""
    return tuple(
        replace(placed.region.shape, frame=frame)
        for placed in regions
        if isinstance(placed.region.shape, Box | Point)
        for span in placed.spans
        for frame in span
    )


# Words


def _round(said: ItemRound, ids: Sequence[int]) -> Round:
    if isinstance(said, Find):
        places = tuple(ids.index(id) for id in said.masks) or (len(ids),)
        return Expression(said.text, said.form, places, said.answer, said.part, said.id)
    if isinstance(said, Describe):
        return Caption(said.text, ids.index(said.object), said.style, said.id)
    return said


# Masks


@dataclass(frozen=True)
class PlacedMasks:
    """ObjectMasks of an item: all encodings, mixed. Nothing is resized: sizes must be the frame's.

    Attributes:
        objects: for each object its regions; boxes and points among them are no masks.
        root: the folder that paths are relative to.
        where: the line, for errors.
    """

    objects: tuple[tuple[Placed, ...], ...]
    root: Path
    where: _Where

    @property
    def num_objects(self) -> int:
        return len(self.objects)

    def only(self, objects: Sequence[int]) -> PlacedMasks:
        """Some of the objects; see SelectiveMasks."""
        return replace(self, objects=tuple(self.objects[place] for place in objects))

    def read(self, frames: Sequence[int], height: int, width: int) -> Masks:
        """Masks of all objects: bool [O, len(frames), height, width]; see ObjectMasks."""
        result = np.zeros((self.num_objects, len(frames), height, width), dtype=np.bool_)
        pictures: dict[Path, NDArray[np.int64]] = {}  # several objects may share one
        for masks, regions in zip(result, self.objects, strict=True):
            for placed in regions:
                if placed.region.is_pointer:
                    continue
                wanted = [place for place, frame in enumerate(frames) if placed.covers(frame)]
                mask = self.decode(placed, height, width, pictures) if wanted else None
                for place in wanted:
                    masks[place] |= mask
        return result

    def decode(
        self, placed: Placed, height: int, width: int, pictures: dict[Path, NDArray[np.int64]] | None = None
    ) -> Mask:
        """One region that is no pointer: bool [height, width]. `pictures` keeps what was read, for others.

        Raises:
            DataError: it has another size, or is damaged.
            MediaError: its picture is missing or damaged.
        """
        shape = placed.region.shape
        for wrong in wrong_size(shape, width, height, placed.place):
            raise self.where.error(wrong.place, wrong.found, wrong.expected)
        if isinstance(shape, RLE):
            return shape.decode()
        try:
            if isinstance(shape, Outline):
                return polygons_to_mask(shape.polygons, height, width)
            assert isinstance(shape, MaskPicture), "pointers are no masks"
            return self._picture(shape, placed.place, (height, width), {} if pictures is None else pictures)
        except PromptError as error:
            raise self.where.error(placed.place, str(error)[:-1], "a mask") from error

    def _picture(
        self, shape: MaskPicture, place: str, size: tuple[int, int], pictures: dict[Path, NDArray[np.int64]]
    ) -> Mask:
        path = inside(self.root, shape.path)
        if shape.value is None:
            mask = read_mask(path)
            self._check_size(mask.shape, size, path, place)
            return mask
        if path not in pictures:
            pictures[path] = read_labels(path)
        labels = pictures[path]
        self._check_size(labels.shape, size, path, place)
        return np.asarray(labels == shape.value)

    def _check_size(self, found: tuple[int, ...], size: tuple[int, int], path: Path, place: str) -> None:
        if found != size:
            raise self.where.error(
                f"{place}.png",
                f"{path.name} of {found[1]}x{found[0]}",
                f"{size[1]}x{size[0]}, the size of its frame",
            )
