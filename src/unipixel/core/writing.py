"""Writing pictures and videos, all or nothing."""

import math
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from unipixel.core.frames import Frame, is_folder, reason
from unipixel.errors import OutputError

SLOWEST = Fraction(1, 1001)
"""Frames per second of the slowest video that is written: a rate that rounds to 0 would be none."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it takes the place of `path`, on failure it is removed.

    Raises:
        OutputError: the folder does not exist or cannot be written, or `path` is a folder.
    """
    path = Path(path)
    if is_folder(path):
        raise OutputError(f"{path}: is a folder; give the name of a file.")
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        temporary.touch(exist_ok=False)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({reason(error)}); give a folder that exists and is writable."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_picture(path: str | Path, frame: Frame) -> None:
    """Write one frame, uint8 [H, W, 3], as PNG, JPEG, WebP, BMP or TIFF by the suffix of `path`; all or
    nothing.

    Raises:
        OutputError: unknown suffix, no picture, or the folder cannot be written.
    """
    _check_frame(frame, 0, frame.shape)
    if Path(path).suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"):
        raise OutputError(f"{path}: unknown kind of picture; end the name in .png, .jpg or .webp.")
    with replacing(path) as temporary:
        Image.fromarray(frame).save(temporary, quality=95)


def write_video(path: str | Path, frames: Iterable[Frame], fps: float, crf: int = 18) -> None:
    """Write frames, uint8 [H, W, 3] of one size, as H.264 (yuv420p); all or nothing, one frame in memory.

    Args:
        path: ends in .mp4, .mov or .mkv.
        frames: at least one; odd sides are padded to even ones by repeating the last row or column.
        fps: frames per second, above 0; below 1 frame in 1001 seconds it is raised to that.
        crf: quality, 0 (best) to 51; 18 looks lossless.

    Raises:
        OutputError: unknown suffix, bad rate or frames, or the folder cannot be written.
    """
    if Path(path).suffix.lower() not in (".mp4", ".mov", ".mkv"):
        raise OutputError(f"{path}: unknown kind of video; end the name in .mp4, .mov or .mkv.")
    if not (math.isfinite(fps) and fps > 0):
        raise OutputError(f"{path}: {fps} frames per second is impossible; give a number above 0.")
    if not 0 <= crf <= 51:
        raise OutputError(f"{path}: quality {crf} is impossible; give 0 (best) to 51.")
    with replacing(path) as temporary:
        _encode(temporary, frames, max(Fraction(fps).limit_denominator(1001), SLOWEST), crf)


def _encode(path: Path, frames: Iterable[Frame], rate: Fraction, crf: int) -> None:
    remaining = iter(frames)
    frame = next(remaining, None)
    if frame is None:
        raise OutputError(f"{path.name}: there are no frames to write; give at least one.")
    shape = frame.shape
    with _encoder(path, shape, rate, crf) as mux:
        number = 0
        while frame is not None:
            _check_frame(frame, number, shape)
            mux(number, np.pad(frame, ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0)), mode="edge"))
            number, frame = number + 1, next(remaining, None)


@contextmanager
def _encoder(
    path: Path, shape: tuple[int, ...], rate: Fraction, crf: int
) -> "Iterator[Callable[[int, Frame], None]]":
    """Open a video file for writing; gives a function that appends frame `number`."""
    import av
    from av.video.reformatter import Colorspace

    options = {"movflags": "faststart"} if path.suffix.lower() != ".mkv" else {}
    try:
        with av.open(str(path.absolute()), "w", options=options) as container:
            stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf)})
            stream.height, stream.width = shape[0] + shape[0] % 2, shape[1] + shape[1] % 2
            stream.pix_fmt = "yuv420p"
            # Say what the conversion below does; players guess otherwise.
            stream.codec_context.colorspace = Colorspace.ITU601

            def mux(number: int, frame: Frame) -> None:
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                picture.pts, picture.time_base = number, 1 / rate
                container.mux(stream.encode(picture))

            yield mux
            container.mux(stream.encode(None))
    except av.FFmpegError as error:
        raise OutputError(f"{path.name}: the video cannot be encoded ({reason(error)}).") from error


def _check_frame(frame: Frame, number: int, shape: tuple[int, ...]) -> None:
    if (
        frame.dtype != np.uint8
        or frame.ndim != 3
        or frame.shape[2] != 3
        or 0 in frame.shape
        or frame.shape != shape
    ):
        raise OutputError(
            f"Frame {number} has shape {frame.shape}, {frame.dtype}; it must be uint8 [height, width, 3] "
            "and all frames must have one size."
        )
