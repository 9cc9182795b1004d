"""Pictures and animations as clips, and as masks."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from fuzz.changes import change_picture
from fuzz.target import Check, Target
from unipixel.core.masks import read_mask
from unipixel.core.media import Clip
from unipixel.errors import UniPixelError


def seeds() -> list[bytes]:
    """A picture in each format and mode that is read, and animations."""
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 255, (12, 15, 3), dtype=np.uint8)) for _ in range(3)]
    found = [
        saved(frames[0], kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "ICO")
    ]
    found += [saved(frames[0], kind, frames[1:]) for kind in ("GIF", "PNG", "WEBP", "AVIF")]
    found += [saved(frames[0].convert(mode), "PNG") for mode in ("P", "L", "LA", "RGBA", "1", "I;16")]
    found += [saved(frames[0].convert(mode), "TIFF") for mode in ("CMYK", "I", "YCbCr", "P")]
    found += [saved(frames[0], "JPEG2000"), saved(frames[0].convert("CMYK"), "JPEG")]
    turned = Image.Exif()
    turned[0x0112] = 6
    found += [saved(frames[0], kind, exif=turned) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    return [one for one in found if one]


def saved(
    picture: Image.Image, kind: str, more: list[Image.Image] | None = None, exif: object = None
) -> bytes:
    buffer = io.BytesIO()
    options: dict[str, object] = {"save_all": True, "append_images": more, "duration": 50} if more else {}
    if exif is not None:
        options["exif"] = exif
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def look_at(clip: Clip) -> str:
    """Read some frames of a clip, and see that it keeps its promises."""
    assert clip.width > 0 and clip.height > 0 and clip.num_frames >= 1
    assert math.isfinite(clip.fps) and clip.fps > 0, clip.fps
    assert len(clip.times) == clip.num_frames and clip.times[0] == 0
    assert all(map(math.isfinite, clip.times)) and list(clip.times) == sorted(clip.times), "times run back"
    wanted = sorted({0, clip.num_frames // 2, clip.num_frames - 1})
    frames = clip.read(wanted)
    assert frames.shape == (len(wanted), clip.height, clip.width, 3) and frames.dtype == np.uint8
    assert np.array_equal(frames[0], next(frame for _, frame in clip.walk()))
    return f"{min(clip.num_frames, 9)} frames"


def prepare() -> Check:
    return check


def check(data: bytes, folder: Path) -> str:
    file = folder / "picture"
    file.write_bytes(data)
    try:
        mask = read_mask(file)
        assert mask.ndim == 2 and mask.dtype == np.bool_
    except UniPixelError:
        pass
    return look_at(Clip.open(file))


TARGET = Target(seeds, change_picture, prepare)
