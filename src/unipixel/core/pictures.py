"""Reading pictures and animations with Pillow, and arrays as pictures.

Orientation tags are applied, transparent pixels lie on white, 16-bit grey is scaled to 8 bits. Of a
multi-page TIFF the first page counts.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from unipixel.core.frames import MAX_PIXELS, Footage, Frame, check_readable, check_size, even_times
from unipixel.errors import MediaError

FRAMES_PER_SECOND = 2.0
"""Assumed for frames that carry no times."""

SUFFIXES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Files of a folder that are taken for frames by their name, so that a damaged one is not passed over."""

FRAME_PIXELS, ANIMATION_PIXELS = 2**25, 2**30
"""Room of an animation's frame (8K video), and of all frames together: they are decoded when it is opened,
and a small file may announce far more than that."""

_PICTURES = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_ANIMATIONS = ("AVIF", "GIF", "PNG", "WEBP")
# What Pillow's readers raise on damaged files.
_PICTURE_FAILURES = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, ArithmeticError),
    *(struct.error, zlib.error, RuntimeError, AssertionError, Image.DecompressionBombError),
)


# Files


def open_picture_file(path: Path) -> Footage | None:
    """A picture or animation; None when the file's content is of another kind.

    Raises:
        MediaError: the picture is damaged or too large.
    """
    picture = identify(path)
    if picture is None:
        return None
    with picture, _reading(str(path)):
        # A PNG may begin with a stand-in for viewers without animation.
        first = 1 if getattr(picture, "default_image", False) else 0
        is_animated = picture.format in _ANIMATIONS and getattr(picture, "n_frames", 1) - first > 1
    return _open_animation(path, first) if is_animated else open_stills(path.name, (path,))


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """Open a picture file; what goes wrong with it inside the block, decoding too, becomes a MediaError."""
    check_readable(path)
    picture = identify(path)
    if picture is None:
        raise MediaError(
            f"{path}: the file is not a picture that can be read; give JPEG, PNG, WebP, TIFF, BMP or GIF."
        )
    with picture, _reading(str(path)):
        yield picture


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except MediaError:
        raise
    except _PICTURE_FAILURES as error:
        raise MediaError(
            f"{name}: the picture is damaged or incomplete ({error}); fetch or save it again."
        ) from error


def identify(path: Path) -> Image.Image | None:
    """The picture in a file, not yet decoded, or None when its content is of another kind."""
    try:
        picture = Image.open(path, formats=_PICTURES)
    except UnidentifiedImageError:
        return None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaError(
            f"{path}: the picture is too large, more than {MAX_PIXELS} pixels; scale it down."
        ) from error
    except MemoryError as error:  # a length in the file that nothing is as long as
        raise MediaError(
            f"{path}: the picture is damaged (a part of it is said to be larger than memory); "
            "fetch or save it again."
        ) from error
    except _PICTURE_FAILURES as error:
        raise MediaError(f"{path}: the picture is damaged ({error}); fetch or save it again.") from error
    check_size(picture.width, picture.height, str(path))
    return picture


# Pixels


def from_pil(picture: Image.Image, name: str) -> Frame:
    """RGB pixels with the orientation tag applied and transparency on white."""
    check_size(picture.width, picture.height, name)
    if picture.mode == "F":
        raise MediaError(f"{name}: floating-point pictures have no agreed range; save it with 8 or 16 bits.")
    with _reading(name):
        picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I"):
            return from_array(np.clip(np.asarray(picture), 0, 65535).astype(np.uint16), name)
        if picture.has_transparency_data:
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture.convert("RGBA"))
        return np.array(picture.convert("RGB"), dtype=np.uint8)


def from_array(array: NDArray[Any], name: str) -> Frame:
    """A copy as RGB: grey is repeated, 16 bits are scaled, transparency lies on white."""
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or array.dtype not in (np.uint8, np.uint16):
        raise MediaError(
            f"{name}: found shape {array.shape}, {array.dtype}; a picture is uint8 [height, width, 3], "
            "a video uint8 [frames, height, width, 3], values 0 to 255."
        )
    check_size(array.shape[1], array.shape[0], name)
    if array.dtype == np.uint16:
        array = ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.shape[-1] == 4:
        return from_pil(Image.fromarray(np.ascontiguousarray(array)), name)
    return np.array(np.broadcast_to(array, (*array.shape[:2], 3)), dtype=np.uint8)


# Stills


@dataclass(frozen=True, eq=False)
class _Stills:
    """Pictures held in memory or read from their files."""

    items: "tuple[Frame | Path, ...]"
    size: tuple[int, int]

    def pick(self, wanted: Sequence[int]) -> Iterator[Frame]:
        for index in wanted:
            item = self.items[index]
            frame = _read_picture(item) if isinstance(item, Path) else item.copy()
            if frame.shape[1::-1] != self.size:
                raise MediaError(f"{item}: the picture has changed since it was opened; open the clip again.")
            yield frame


def open_stills(name: str, items: "tuple[Frame | Path, ...]") -> Footage:
    """Pictures of one size, held in memory or in files; `name` is what they are called together.

    Raises:
        MediaError: no pictures, one that cannot be read, or several sizes.
    """
    if not items:
        raise MediaError(f"{name}: no frames; give at least one picture.")
    size = _still_size(items[0])
    for number, item in enumerate(items):
        if _still_size(item) != size:
            raise MediaError(
                f"{name}: frame {number} ({_label(item)}) is {_shape(_still_size(item))}, frame 0 "
                f"({_label(items[0])}) is {_shape(size)}; all frames of a clip must have one size."
            )
    fps = 1.0 if len(items) == 1 else FRAMES_PER_SECOND
    return Footage(size, even_times(len(items), fps), fps, _Stills(items, size))


def _label(item: "Frame | Path") -> str:
    return item.name if isinstance(item, Path) else "array"


def _shape(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _still_size(item: "Frame | Path") -> tuple[int, int]:
    if not isinstance(item, Path):
        return item.shape[1], item.shape[0]
    with open_picture(item) as picture:
        turned = picture.format != "TIFF" and picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        width, height = picture.size
        return (height, width) if turned else (width, height)


def _read_picture(path: Path) -> Frame:
    with open_picture(path) as picture:
        return from_pil(picture, str(path))


# Animations


@dataclass(frozen=True, eq=False)
class _Animation:
    """An animated picture file; Pillow composes its frames one after the other."""

    path: Path
    first: int

    def pick(self, wanted: Sequence[int]) -> Iterator[Frame]:
        with open_picture(self.path) as picture:
            for index in wanted:
                picture.seek(self.first + index)
                yield from_pil(picture, str(self.path))


def _check_room(path: Path, size: tuple[int, int], frames: int) -> None:
    pixels = size[0] * size[1]
    if pixels > FRAME_PIXELS or frames * pixels > ANIMATION_PIXELS:
        raise MediaError(
            f"{path}: an animation of {frames} frames, {_shape(size)}, is too large; the limits are "
            f"{FRAME_PIXELS} pixels a frame and {ANIMATION_PIXELS} in all; "
            "scale it down, or make a video of it."
        )


def _open_animation(path: Path, first: int) -> Footage:
    durations, canvas = [], None
    with open_picture(path) as picture:
        count = getattr(picture, "n_frames", 1)
        _check_room(path, picture.size, count - first)
        for number in range(first, count):
            picture.seek(number)
            picture.load()
            canvas = canvas or picture.size
            if picture.size != canvas:  # Pillow makes room for a frame of a GIF that leaves its canvas
                raise MediaError(
                    f"{path}: frame {number - first} is {_shape(picture.size)}, frame 0 is {_shape(canvas)}; "
                    "all frames of a clip must have one size."
                )
            # 0 means 0.1 s to every browser.
            durations.append(float(picture.info.get("duration") or 100) / 1000)
        width, height = from_pil(picture, str(path)).shape[1::-1]
    times = (0.0, *np.cumsum(durations)[:-1].tolist())
    return Footage((width, height), times, len(durations) / sum(durations), _Animation(path, first))
