"""Videos as clips."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from fuzz.changes import change_bytes
from fuzz.target import Check, Target
from fuzz.targets.pictures import look_at
from unipixel.core.media import Clip

KINDS = (
    *(("mp4", "libx264"), ("mp4", "mpeg4"), ("mov", "mjpeg"), ("mkv", "libx264"), ("mkv", "ffv1")),
    *(("webm", "libvpx"), ("webm", "libvpx-vp9"), ("avi", "mpeg4"), ("ts", "libx264"), ("y4m", "rawvideo")),
)
"""(ending, codec)."""


def seeds() -> list[bytes]:
    """A few frames in each container and codec that people have."""
    with tempfile.TemporaryDirectory() as folder:
        return [_written(Path(folder) / f"clip.{ending}", codec) for ending, codec in KINDS]


def _written(file: Path, codec: str, frames: int = 10, side: int = 32) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (frames, side, side, 3), dtype=np.uint8)
    with av.open(str(file), "w", format="yuv4mpegpipe" if file.suffix == ".y4m" else None) as container:
        stream = container.add_stream(codec, rate=Fraction(5))
        stream.width = stream.height = side
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if codec not in ("rawvideo", "ffv1", "mjpeg"):
            stream.codec_context.gop_size = 4
        for number, pixels in enumerate(noise):
            frame = av.VideoFrame.from_ndarray(pixels // 8, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.read_bytes()


def prepare() -> Check:
    av.logging.set_level(None)
    return check


def check(data: bytes, folder: Path) -> str:
    file = folder / "video"
    file.write_bytes(data)
    return look_at(Clip.open(file))


TARGET = Target(seeds, change_bytes, prepare)
