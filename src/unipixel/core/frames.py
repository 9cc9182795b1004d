"""What pictures and videos share: the form of their frames, what an opened source tells, checks of files."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from unipixel.errors import MediaError

Frame: TypeAlias = NDArray[np.uint8]
"""RGB pixels, uint8 [H, W, 3]."""

MAX_PIXELS = 178_956_970
"""Largest picture that is opened; Pillow's own limit against decompression bombs."""


class Frames(Protocol):
    """Where the frames of a clip come from."""

    def pick(self, wanted: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames of the strictly increasing indices `wanted`, each [H, W, 3] in the clip's size."""
        ...


@dataclass(frozen=True, eq=False)
class Footage:
    """What a source tells when it is opened.

    Attributes:
        size: (width, height) in pixels, after orientation and rotation.
        times: seconds from the first frame, one for each frame, not decreasing.
        fps: mean frames per second; 1.0 for a still.
        frames: reads them.
    """

    size: tuple[int, int]
    times: tuple[float, ...]
    fps: float
    frames: Frames


def even_times(num_frames: int, fps: float) -> tuple[float, ...]:
    """Seconds of frames that follow each other evenly; the first is at 0."""
    return tuple(index / fps for index in range(num_frames))


def check_size(width: int, height: int, name: str) -> None:
    """MediaError for pictures without pixels or with more than MAX_PIXELS; `name` is what is refused."""
    if width * height > MAX_PIXELS:
        raise MediaError(
            f"{name}: {width}x{height} is too large, the limit is {MAX_PIXELS} pixels; scale it down."
        )
    if width < 1 or height < 1:
        raise MediaError(f"{name}: the picture is {width}x{height} and shows nothing; give one with pixels.")


# Files


def is_folder(path: Path) -> bool:
    """Whether there is a folder at `path`; no error for a path that cannot be."""
    try:
        return path.is_dir()
    except OSError:  # a name that is too long, or above it a folder that may not be entered
        return False


def head(path: Path) -> bytes:
    """The first 12 bytes of a file, which tell the kinds that are built from boxes (MP4, HEIC)."""
    with path.open("rb") as file:
        return file.read(12)


def check_readable(path: Path) -> None:
    """MediaError unless `path` is a file with content that can be read, other than HEIC."""
    try:
        is_file = path.is_file() or not path.exists()  # not a pipe or device, which may never end
        start = head(path) if is_file else b""
    except FileNotFoundError as error:
        hint = "download it first" if re.match(r"https?:/", str(path)) else "check the path"
        raise MediaError(f"{path}: there is no such file; {hint}.") from error
    except (OSError, ValueError) as error:
        raise MediaError(
            f"{path}: the file cannot be read ({reason(error)}); check its permissions."
        ) from error
    if not is_file:
        raise MediaError(f"{path}: is not a file; give a picture, a video or a folder of frames.")
    if not start:
        raise MediaError(f"{path}: the file is empty; fetch it again.")
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"hevc", b"hevx"):
        raise MediaError(f"{path}: HEIC pictures cannot be read; convert it to JPEG or PNG.")


def reason(error: Exception) -> str:
    """Why, in the system's words, without numbers and paths where it can be had."""
    return getattr(error, "strerror", None) or str(error)
