"""Clip: one picture or video whose frames are read when needed.

Frames are uint8 RGB arrays [H, W, 3]. What a file is, is decided by its content, never by its name:
`core.pictures` reads pictures and animations (GIF, WebP, PNG, AVIF: videos with their own durations),
`core.video` everything else. Frame folders, lists and arrays have no times of their own: two frames a second
unless `fps` says otherwise, one for a single still.
"""

import math
import operator
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unipixel.core.frames import Footage, Frame, Frames, check_readable, even_times, is_folder
from unipixel.core.pictures import (
    SUFFIXES,
    from_array,
    from_pil,
    identify,
    open_picture_file,
    open_stills,
)
from unipixel.core.video import open_video
from unipixel.errors import MediaError

Source: TypeAlias = Union[str, "os.PathLike[str]", NDArray[Any], Image.Image, Sequence[Any], "Clip"]


@dataclass(frozen=True, eq=False)
class Clip:
    """One picture or video. Immutable; keeps no file open between calls; may be pickled and shared.

    Attributes:
        name: file or folder name, or what kind of array it came from; for people.
        width: pixels, after orientation and rotation.
        height: pixels, after orientation and rotation.
        times: seconds from the first frame, one for each frame, not decreasing.
        fps: mean frames per second; 1.0 for a still.
        files: from which the frames are read: one video or picture, or a picture for each frame; empty if any
            frame is held in memory.
    """

    name: str
    width: int
    height: int
    times: tuple[float, ...]
    fps: float
    _frames: Frames
    files: tuple[Path, ...] = ()

    @classmethod
    def open(cls, source: Source, fps: float | None = None) -> "Clip":
        """Open a picture, a video, a folder of frames, arrays or PIL pictures.

        Args:
            source: path of a picture, video or folder; uint8 array [H, W], [H, W, 1|3|4] or [T, H, W, 1|3|4];
                PIL picture; list or tuple of pictures (paths, arrays, PIL) of one size; or a Clip. uint16
                grey arrays are scaled.
            fps: replaces the clock of the source: frame i is at i / fps seconds. No frame is dropped or
                repeated.

        Raises:
            MediaError: the source is missing, unreadable, damaged, empty or of an unknown kind; the message
            names it.
        """
        clip = _open(source)
        if fps is None:
            return clip
        if not (math.isfinite(fps) and fps > 0):
            raise MediaError(f"{clip.name}: {fps} frames per second is impossible; give a number above 0.")
        return replace(clip, fps=float(fps), times=even_times(clip.num_frames, fps))

    @property
    def num_frames(self) -> int:
        """Number of frames, at least 1."""
        return len(self.times)

    @property
    def is_image(self) -> bool:
        """Whether there is only one frame."""
        return self.num_frames == 1

    def read(self, indices: Sequence[int]) -> Frame:
        """Frames `indices`, in that order and as often as asked: uint8 [N, H, W, 3].

        Raises:
            MediaError: an index is outside 0..num_frames-1, or a frame cannot be decoded.
        """
        wanted = [self._checked(index) for index in indices]
        places: dict[int, list[int]] = {}
        for place, index in enumerate(wanted):
            places.setdefault(index, []).append(place)
        frames = np.empty((len(wanted), self.height, self.width, 3), dtype=np.uint8)
        ordered = sorted(places)
        for index, frame in zip(ordered, self._frames.pick(ordered), strict=True):
            frames[places[index]] = frame
        return frames

    def frame(self, index: int) -> Frame:
        """Frame `index`: uint8 [H, W, 3]."""
        frame: Frame = self.read([index])[0]
        return frame

    def walk(self, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[tuple[int, Frame]]:
        """Yield (index, frame) for `range(start, stop, step)` in one pass, holding one frame at a time.

        Raises:
            MediaError: the range leaves the clip, runs backwards, or a frame cannot be decoded.
        """
        stop = self.num_frames if stop is None else stop
        if step < 1 or not 0 <= start <= stop <= self.num_frames:
            raise MediaError(
                f"{self.name}: cannot walk from {start} to {stop} by {step}; the clip has {self.num_frames} "
                "frames, "
                "give 0 <= start <= stop <= that number and a step of at least 1."
            )
        indices = range(start, stop, step)
        return zip(indices, self._frames.pick(indices), strict=True)

    def _checked(self, index: int) -> int:
        try:
            index = operator.index(index)
        except TypeError as error:
            raise MediaError(f"{self.name}: {index!r:.60} is no frame; frames are whole numbers.") from error
        if not 0 <= index < self.num_frames:
            raise MediaError(
                f"{self.name}: there is no frame {index}; the clip has frames 0 to {self.num_frames - 1}."
            )
        return index


MAX_ASPECT_RATIO = 200


def check_sides(clip: Clip) -> None:
    """Whether the language model can see frames of this shape; raises MediaError if they are too narrow."""
    if max(clip.height, clip.width) > MAX_ASPECT_RATIO * min(clip.height, clip.width):
        raise MediaError(
            f"{clip.name}: the picture is {clip.width}x{clip.height}; its sides may differ by a factor of "
            f"{MAX_ASPECT_RATIO} at most"
        )


# Opening


def _open(source: Source) -> Clip:
    if isinstance(source, Clip):
        return source
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return _open_folder(path) if is_folder(path) else _open_file(path)
    if isinstance(source, Image.Image):
        return _stills("picture", (from_pil(source, "picture"),))
    if isinstance(source, np.ndarray):
        frames = source if source.ndim == 4 else source[None]
        return _stills("array", tuple(from_array(frame, "array") for frame in frames))
    if isinstance(source, (list, tuple)):
        items = tuple(_as_still(item, number) for number, item in enumerate(source))
        return _stills(f"{len(items)} pictures", items)
    raise MediaError(
        f"A {type(source).__name__} is no picture or video; give a path, a NumPy array, a PIL picture or a "
        "list of pictures."
    )


def _clip(name: str, footage: Footage, files: tuple[Path, ...] = ()) -> Clip:
    return Clip(name, *footage.size, footage.times, footage.fps, footage.frames, files)


def _stills(name: str, items: tuple[Frame | Path, ...]) -> Clip:
    files = tuple(item for item in items if isinstance(item, Path))
    return _clip(name, open_stills(name, items), files if len(files) == len(items) else ())


def _open_file(path: Path) -> Clip:
    check_readable(path)
    return _clip(path.name, open_picture_file(path) or open_video(path), (path,))


def _open_folder(folder: Path) -> Clip:
    try:
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    except OSError as error:
        raise MediaError(
            f"{folder}: the folder cannot be listed ({error.strerror}); check its permissions."
        ) from error
    pictures = [path for path in files if path.suffix.lower() in SUFFIXES or identify(path) is not None]
    if not pictures:
        raise MediaError(
            f"{folder}: the folder holds no pictures; give one with the frames as picture files."
        )
    pictures.sort(key=_frame_number)
    return _stills(folder.name or str(folder), tuple(pictures))


def _frame_number(path: Path) -> tuple[list[int], str]:
    """Sorting key: the integer after the leading non-digits; of several numbers in a name, each in turn."""
    return [int(number) for number in re.findall(r"\d+", path.stem)], path.name


def _as_still(item: Any, number: int) -> Frame | Path:
    if isinstance(item, (str, os.PathLike)):
        return Path(item)
    if isinstance(item, Image.Image):
        return from_pil(item, f"picture {number}")
    if isinstance(item, np.ndarray):
        return from_array(item, f"picture {number}")
    raise MediaError(
        f"Item {number} of the list is a {type(item).__name__}; give paths, NumPy arrays or PIL pictures."
    )
