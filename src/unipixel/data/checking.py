"""Looking for problems in data: everything that is wrong, with its place, and on past the first."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from unipixel.core.media import Clip
from unipixel.core.progress import OnProgress, watched
from unipixel.data.files import inside
from unipixel.data.findings import Findings, files_behind, key_of
from unipixel.data.jsonl.file import Lines, read_items
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.parts import FrameSpan, ItemMedia, MaskPicture, Outline, Region, Shape, When, told
from unipixel.data.jsonl.reading import Report
from unipixel.data.jsonl.rules import wrong_size
from unipixel.data.jsonl.samples import Placed, PlacedMasks, make_sample, open_media
from unipixel.data.registry import Dataset
from unipixel.data.sample import Media, Sample
from unipixel.errors import DataError, LeftOut, UniPixelError

_BLOCK = 16  # frames whose masks are decoded together


# A user's file


@dataclass(frozen=True)
class Checked:
    """How many items there are; how many of them hold nothing that is asked for; how many were as they had
    been when they were looked at before."""

    items: int
    left_out: int = 0
    known: int = 0

    def __add__(self, other: Checked) -> Checked:
        return Checked(self.items + other.items, self.left_out + other.left_out, self.known + other.known)


def check_jsonl(
    file: Path,
    root: Path | None,
    report: Report,
    on_progress: OnProgress | None = None,
    cache: Path | None = None,
) -> Checked:
    """Check every line of a JSONL file, its pictures, videos and masks.

    Args:
        file: the file.
        root: the folder that its paths are relative to; None is its own.
        report: told of every problem.
        on_progress: told after every item that could be read.
        cache: folder for what is found (`data.long_json.default_cache`), so that the same items need no
        second look; None keeps nothing.

    Raises:
        DataError: the file is missing, cannot be read, or is empty.
    """
    lines, base, clips = Lines.of(file), root or file.parent, _Clips()
    items = watched(read_items(file, report), f"checking {file.name}", len(lines), on_progress)
    with Findings(cache, f"{file.resolve()}") as findings:
        for line, item in items:
            text = (str(file), line, str(base), lines.read(line - 1))
            look = partial(_look_into, item, line, file, base, clips)
            findings.look(key_of(text, _files_of(item, base)), look, report)
        return Checked(len(lines), known=findings.known)


def _look_into(item: Item, line: int, file: Path, root: Path, clips: _Clips, report: Report) -> None:
    _ItemCheck(item, line, file, root, clips, report).run()


def _files_of(item: Item, root: Path) -> Iterator[Path]:
    """The pictures, videos and pictures of masks that an item names."""
    for path in item.media.paths if item.media is not None else ():
        yield root / path
    for _, region in _regions(item):
        if isinstance(region.shape, MaskPicture):
            yield root / region.shape.path


class _Clips:
    """The clip that was opened last: items of one clip mostly follow each other."""

    def __init__(self) -> None:
        self.media: Media | None = None
        self.clip: Clip | None = None

    def open(self, media: Media) -> Clip:
        if self.clip is None or self.media != media:
            self.media, self.clip = None, None
            self.clip, self.media = media.open(), media
        return self.clip


@dataclass(frozen=True)
class _ItemCheck:
    """What only the files can tell of one item."""

    item: Item
    line: int
    file: Path
    root: Path
    clips: _Clips
    report: Report

    def run(self) -> None:
        media = self.item.media
        clip = None
        if media is not None and self._has_files(media):
            with self._part("media"):
                clip = self.clips.open(open_media(media, self.root))
            if clip is not None:
                self._check_clip(media, clip)
        if clip is None:
            for place, region in _regions(self.item):
                self._has_mask(region.shape, place)
            if media is not None and media.kind == "video":
                return  # its frames cannot be counted
        with self._part(""):
            sample = make_sample(self.item, self.file, self.line, self.root)
            if clip is not None:
                self._check_masks(sample, clip)

    @contextmanager
    def _part(self, place: str) -> Iterator[None]:
        try:
            yield
        except DataError as error:
            self.report(error)
        except UniPixelError as error:
            self._tell(place, str(error).removesuffix("."), "files that can be read")

    def _tell(self, place: str, found: str, expected: str) -> None:
        where = f"line {self.line}, {place}" if place else f"line {self.line}"
        self.report(DataError(self.file, where, found, expected))

    def _has_files(self, media: ItemMedia) -> bool:
        """Whether all files are there; each that is not is told."""
        complete = True
        for number, path in enumerate(media.paths):
            with self._part("media"):
                if os.path.isfile(inside(self.root, path)):
                    continue
            place = f"media.{media.kind}" + (f"[{number}]" if media.kind == "frames" else "")
            self._tell(place, f"no file {path!r}", f"a file in {self.root}")
            complete = False
        return complete

    def _has_mask(self, shape: Shape, place: str) -> bool:
        """Whether the picture of a mask is there, if it is one; told where it is not."""
        if not isinstance(shape, MaskPicture) or os.path.isfile(inside(self.root, shape.path)):
            return True
        self._tell(f"{place}.png", f"no file {shape.path!r}", f"a file in {self.root}")
        return False

    def _check_clip(self, media: ItemMedia, clip: Clip) -> None:
        if media.size is not None and media.size != (clip.width, clip.height):
            found = f"{media.size[0]}x{media.size[1]} pixels"
            self._tell("media.width", found, f"{clip.width}x{clip.height}, which the file has")
        if media.fps is not None and media.kind == "video" and abs(media.fps / clip.fps - 1) > 0.01:
            self._tell("media.fps", f"{media.fps:g}", f"{clip.fps:g}, which the video has")
        if media.kind == "video":
            for place, when in _times(self.item):
                if isinstance(when, FrameSpan) and when.last >= clip.num_frames:
                    self._tell(place, told(when), f"frames 0 to {clip.num_frames - 1}, which the video has")

    def _check_masks(self, sample: Sample, clip: Clip) -> None:
        if self.item.media is not None and self.item.media.size is None:
            for place, region in _regions(self.item):
                for wrong in (
                    wrong_size(region.shape, clip.width, clip.height, place) if region.is_pointer else ()
                ):
                    self._tell(wrong.place, wrong.found, wrong.expected)
        if isinstance(sample.masks, PlacedMasks):
            for number, regions in enumerate(sample.masks.objects):
                self._check_regions(regions, sample.masks, clip, f"objects[{number}]")
        if isinstance(sample.ignored, PlacedMasks):
            self._check_regions(sample.ignored.objects[0], sample.ignored, clip, "ignored")

    def _check_regions(self, regions: Sequence[Placed], masks: PlacedMasks, clip: Clip, place: str) -> None:
        """Decode each mask once; an object with masks must have a pixel somewhere."""
        decoded = []
        marked = [placed for placed in regions if not placed.region.is_pointer]
        for placed in marked:
            if not self._has_mask(placed.region.shape, placed.place):
                continue
            with self._part(placed.place):
                mask = masks.decode(placed, clip.height, clip.width)
                decoded.append(mask.any())
                if isinstance(placed.region.shape, Outline) and not mask.any():
                    self._tell(
                        f"{placed.place}.polygons", "polygons without a pixel", "an outline around some"
                    )
        if marked and len(decoded) == len(marked) and not any(decoded):
            self._tell(place, "masks without a pixel", "an object that is seen; where nothing fits: no masks")


def _regions(item: Item) -> Iterator[tuple[str, Region]]:
    """Every region of an item, with its place."""
    for number, thing in enumerate(item.objects):
        for place, region in enumerate(thing.regions):
            yield f"objects[{number}].regions[{place}]", region
    for place, region in enumerate(item.ignored):
        yield f"ignored[{place}]", region


def _times(item: Item) -> Iterator[tuple[str, When]]:
    """Every time in an item, with its place."""
    for here, region in _regions(item):
        if region.when is not None:
            yield here, region.when
    for number, thing in enumerate(item.objects):
        for place, when in enumerate(thing.exists or ()):
            yield f"objects[{number}].exists[{place}]", when
    for frame in item.annotated if isinstance(item.annotated, tuple) else ():
        yield "annotated", FrameSpan(frame, frame)
    if item.key_frame is not None:
        yield "key_frame", FrameSpan(item.key_frame, item.key_frame)


# A registered data set


def check_dataset(
    data: Dataset, report: Report, on_progress: OnProgress | None = None, cache: Path | None = None
) -> Checked:
    """Make every sample of a data set, open its pictures and decode its masks.

    What is wrong with the annotations is told when the data set is opened (`open_dataset`'s `on_problem`).

    Args:
        data: the data set.
        report: told of every problem.
        on_progress: told after every sample.
        cache: see `check_jsonl`.
    """
    clips, left_out = _Clips(), 0
    seen: dict[str, int] = {}
    name = f"{data.info.name} {data.split}"
    with Findings(cache, f"{name} {data.rows.file} {data.choices}") as findings:
        for index in watched(range(len(data)), f"checking {name}", len(data), on_progress):
            try:
                sample = data[index]
            except LeftOut:
                left_out += 1
                continue
            except UniPixelError as error:
                report(_placed(error, data, f"sample {index}"))
                continue
            place = f"sample {index} ({sample.id})"
            if sample.id in seen:
                found = f"one unlike sample {seen[sample.id]}"
                report(DataError(data.rows.file, place, "its name again", found))
            seen.setdefault(sample.id, index)
            key = key_of((name, place, data.choices), chain([data.rows.file], files_behind(sample)))
            findings.look(key, partial(_read_whole, sample, clips, data, place), report)
        return Checked(len(data), left_out, findings.known)


def _placed(error: UniPixelError, data: Dataset, place: str) -> DataError:
    """A problem with its file and place."""
    if isinstance(error, DataError):
        return DataError(error.file or data.rows.file, error.place or place, error.found, error.expected)
    return DataError(data.rows.file, place, str(error).removesuffix("."), "files that can be read")


def _read_whole(sample: Sample, clips: _Clips, data: Dataset, place: str, report: Report) -> None:
    """Open the clip and decode all masks; tell if that cannot be done."""
    try:
        _decode_all(sample, clips)
    except UniPixelError as error:
        report(_placed(error, data, place))


def _decode_all(sample: Sample, clips: _Clips) -> None:
    """Open the clip and decode all masks on the frames that carry them."""
    if sample.media is None:
        return
    clip = clips.open(sample.media)
    frames = range(clip.num_frames) if sample.annotated is None else sample.annotated
    if frames and frames[-1] >= clip.num_frames:
        found = f"an annotation on frame {frames[-1]}"
        raise DataError("", f"sample {sample.id}", found, f"frames 0 to {clip.num_frames - 1} of {clip.name}")
    for masks in (sample.masks, sample.ignored, sample.foreground):
        for start in range(0, len(frames) if masks is not None else 0, _BLOCK):
            assert masks is not None, "counted above"
            masks.read(frames[start : start + _BLOCK], clip.height, clip.width)
