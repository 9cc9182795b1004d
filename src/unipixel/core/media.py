"""Clip: one picture or video whose frames are read when needed; and writing pictures and videos.

Frames are uint8 RGB arrays [H, W, 3]. What a file is, is decided by its content, never by its name.

- Pictures: orientation tags are applied, transparent pixels lie on white, 16-bit grey is scaled to 8 bits.
  Animations (GIF, WebP, PNG, AVIF) are videos with their own durations; of a multi-page TIFF the first page
  counts.
- Videos: the first picture stream, turned as its rotation tag says; frames of damaged or cut files are
  refused, never made up. Non-square pixels are not stretched.
- Frame folders, lists and arrays have no times of their own: two frames a second unless `fps` says otherwise
  (benchmarks.md, section 0.2), one for a single still.
"""

import math
import os
import re
import secrets
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from unipixel.errors import MediaError, OutputError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Frame: TypeAlias = NDArray[np.uint8]
Source: TypeAlias = Union[str, "os.PathLike[str]", NDArray[Any], Image.Image, Sequence[Any], "Clip"]

MAX_PIXELS = 178_956_970
"""Largest picture that is opened; Pillow's own limit against decompression bombs."""

FRAMES_PER_SECOND = 2.0
"""Assumed for frames that carry no times."""

_PICTURES = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_ANIMATIONS = ("AVIF", "GIF", "PNG", "WEBP")
_SUFFIXES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
# What Pillow's readers raise on damaged files.
_PICTURE_FAILURES = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)
# Containers that ffmpeg may recognise; playlists are left out, they would open other files.
_CONTAINERS = (
    "3gp,aac,aiff,asf,av1,avi,flac,flv,h264,hevc,ivf,m4v,matroska,mov,mp3,mp4,mpeg,mpegts,mpegvideo,mxf,"
    "obu,ogg,rm,vc1,wav,webm,yuv4mpegpipe"
)
# Decoding on over fewer frames than this is quicker than a seek, which empties the decoder's threads.
_SEEK_GAIN = 24
_NO_STAMP = -(1 << 63)


@dataclass(frozen=True, eq=False)
class Clip:
    """One picture or video. Immutable; keeps no file open between calls; may be pickled and shared.

    Attributes:
        name: file or folder name, or what kind of array it came from; for people.
        width: pixels, after orientation and rotation.
        height: pixels, after orientation and rotation.
        times: seconds from the first frame, one for each frame, not decreasing.
        fps: mean frames per second; 1.0 for a still.
    """

    name: str
    width: int
    height: int
    times: tuple[float, ...]
    fps: float
    _frames: "_Frames"

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
        return replace(clip, fps=float(fps), times=_even_times(clip.num_frames, fps))

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
        if not 0 <= index < self.num_frames:
            raise MediaError(
                f"{self.name}: there is no frame {index}; the clip has frames 0 to {self.num_frames - 1}."
            )
        return int(index)


class _Frames(Protocol):
    """Where the frames of a clip come from."""

    def pick(self, wanted: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames of the strictly increasing indices `wanted`, each [H, W, 3] in the clip's size."""
        ...


# Opening


def _open(source: Source) -> Clip:
    if isinstance(source, Clip):
        return source
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return _open_folder(path) if _is_folder(path) else _open_file(path)
    if isinstance(source, Image.Image):
        return _stills_clip("picture", (_from_pil(source, "picture"),))
    if isinstance(source, np.ndarray):
        return _open_array(source)
    if isinstance(source, (list, tuple)):
        return _stills_clip(
            f"{len(source)} pictures", tuple(_as_still(item, i) for i, item in enumerate(source))
        )
    raise MediaError(
        f"A {type(source).__name__} is no picture or video; give a path, a NumPy array, a PIL picture or a "
        "list of pictures."
    )


def _open_file(path: Path) -> Clip:
    _check_readable(path)
    picture = _identify(path)
    if picture is None:
        return _open_video(path)
    with picture:
        first = (
            1 if getattr(picture, "default_image", False) else 0
        )  # a PNG's stand-in for viewers without animation
        is_animated = picture.format in _ANIMATIONS and getattr(picture, "n_frames", 1) - first > 1
    return _open_animation(path, first) if is_animated else _stills_clip(path.name, (path,))


def _open_folder(folder: Path) -> Clip:
    try:
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    except OSError as error:
        raise MediaError(
            f"{folder}: the folder cannot be listed ({error.strerror}); check its permissions."
        ) from error
    pictures: list[Path] = [
        path for path in files if path.suffix.lower() in _SUFFIXES or _identify(path) is not None
    ]
    if not pictures:
        raise MediaError(
            f"{folder}: the folder holds no pictures; give one with the frames as picture files."
        )
    pictures.sort(key=_frame_number)
    return _stills_clip(folder.name or str(folder), tuple(pictures))


def _frame_number(path: Path) -> tuple[list[int], str]:
    """Sorting key: the integer after the leading non-digits; of several numbers in a name, each in turn."""
    return [int(number) for number in re.findall(r"\d+", path.stem)], path.name


def _open_array(array: NDArray[Any]) -> Clip:
    frames = array if array.ndim == 4 else array[None]
    return _stills_clip("array", tuple(_from_array(frame, "array") for frame in frames))


def _as_still(item: Any, number: int) -> "Frame | Path":
    if isinstance(item, (str, os.PathLike)):
        return Path(item)
    if isinstance(item, Image.Image):
        return _from_pil(item, f"picture {number}")
    if isinstance(item, np.ndarray):
        return _from_array(item, f"picture {number}")
    raise MediaError(
        f"Item {number} of the list is a {type(item).__name__}; give paths, NumPy arrays or PIL pictures."
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long, or above it a folder that may not be entered
        return False


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(12)


def _check_readable(path: Path) -> None:
    try:
        is_file = path.is_file() or not path.exists()  # not a pipe or device, which may never end
        head = _head(path) if is_file else b""
    except FileNotFoundError as error:
        hint = "download it first" if re.match(r"https?:/", str(path)) else "check the path"
        raise MediaError(f"{path}: there is no such file; {hint}.") from error
    except (OSError, ValueError) as error:
        raise MediaError(
            f"{path}: the file cannot be read ({_reason(error)}); check its permissions."
        ) from error
    if not is_file:
        raise MediaError(f"{path}: is not a file; give a picture, a video or a folder of frames.")
    if not head:
        raise MediaError(f"{path}: the file is empty; fetch it again.")
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"hevx"):
        raise MediaError(f"{path}: HEIC pictures cannot be read; convert it to JPEG or PNG.")


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


def _stills_clip(name: str, items: "tuple[Frame | Path, ...]") -> Clip:
    if not items:
        raise MediaError(f"{name}: no frames; give at least one picture.")
    size = _still_size(items[0])
    for number, item in enumerate(items):
        if _still_size(item) != size:
            raise MediaError(
                f"{name}: frame {number} ({_label(item)}) is {_shape(_still_size(item))}, frame 0 "
                f"({_label(items[0])}) "
                f"is {_shape(size)}; all frames of a clip must have one size."
            )
    fps = 1.0 if len(items) == 1 else FRAMES_PER_SECOND
    return Clip(name, *size, _even_times(len(items), fps), fps, _Stills(items, size))


def _label(item: "Frame | Path") -> str:
    return item.name if isinstance(item, Path) else "array"


def _shape(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _even_times(num_frames: int, fps: float) -> tuple[float, ...]:
    return tuple(index / fps for index in range(num_frames))


def _still_size(item: "Frame | Path") -> tuple[int, int]:
    if not isinstance(item, Path):
        return item.shape[1], item.shape[0]
    with open_picture(item) as picture:
        turned = picture.format != "TIFF" and picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        width, height = picture.size
        return (height, width) if turned else (width, height)


def _read_picture(path: Path) -> Frame:
    with open_picture(path) as picture:
        return _from_pil(picture, str(path))


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """Open a picture file; what goes wrong with it inside the block, decoding too, becomes a MediaError."""
    _check_readable(path)
    picture = _identify(path)
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


def _identify(path: Path) -> Image.Image | None:
    """The picture in a file, not yet decoded, or None when its content is of another kind."""
    try:
        picture = Image.open(path, formats=_PICTURES)
    except UnidentifiedImageError:
        return None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaError(
            f"{path}: the picture is too large, more than {MAX_PIXELS} pixels; scale it down."
        ) from error
    except _PICTURE_FAILURES as error:
        raise MediaError(f"{path}: the picture is damaged ({error}); fetch or save it again.") from error
    _check_size(picture.width, picture.height, str(path))
    return picture


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise MediaError(
            f"{name}: {width}x{height} is too large, the limit is {MAX_PIXELS} pixels; scale it down."
        )
    if width < 1 or height < 1:
        raise MediaError(f"{name}: the picture is {width}x{height} and shows nothing; give one with pixels.")


def _from_pil(picture: Image.Image, name: str) -> Frame:
    """RGB pixels with the orientation tag applied and transparency on white."""
    _check_size(picture.width, picture.height, name)
    if picture.mode == "F":
        raise MediaError(f"{name}: floating-point pictures have no agreed range; save it with 8 or 16 bits.")
    with _reading(name):
        picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I"):
            return _from_array(np.clip(np.asarray(picture), 0, 65535).astype(np.uint16), name)
        if picture.has_transparency_data:
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture.convert("RGBA"))
        return np.array(picture.convert("RGB"), dtype=np.uint8)


def _from_array(array: NDArray[Any], name: str) -> Frame:
    """A copy as RGB: grey is repeated, 16 bits are scaled, transparency lies on white."""
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or array.dtype not in (np.uint8, np.uint16):
        raise MediaError(
            f"{name}: found shape {array.shape}, {array.dtype}; a picture is uint8 [height, width, 3], "
            "a video uint8 [frames, height, width, 3], values 0 to 255."
        )
    _check_size(array.shape[1], array.shape[0], name)
    if array.dtype == np.uint16:
        array = ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.shape[-1] == 4:
        return _from_pil(Image.fromarray(np.ascontiguousarray(array)), name)
    return np.array(np.broadcast_to(array, (*array.shape[:2], 3)), dtype=np.uint8)


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
                yield _from_pil(picture, str(self.path))


def _open_animation(path: Path, first: int) -> Clip:
    durations = []
    with open_picture(path) as picture:
        for number in range(first, getattr(picture, "n_frames", 1)):
            picture.seek(number)
            picture.load()
            durations.append(
                float(picture.info.get("duration") or 100) / 1000
            )  # 0 means 0.1 s to every browser
        width, height = _from_pil(picture, str(path)).shape[1::-1]
    times = (0.0, *np.cumsum(durations)[:-1].tolist())
    return Clip(path.name, width, height, times, len(durations) / sum(durations), _Animation(path, first))


# Videos


@dataclass(frozen=True, eq=False)
class _Video:
    """A video file and what a pass over its packets told.

    Attributes:
        path: the file.
        size: (width, height) as shown.
        num_frames: frames that are shown.
        number_of: frame number by presentation stamp; empty when the stamps cannot be trusted, then frames
            are counted.
        keys: (frame number, stamp to seek to) of the frames where decoding may begin, increasing; empty: only
            at the start.
    """

    path: Path
    size: tuple[int, int]
    num_frames: int
    number_of: dict[int, int]
    keys: tuple[tuple[int, int], ...]

    def pick(self, wanted: Sequence[int]) -> Iterator[Frame]:
        cursor = _Cursor(self)
        try:
            for index in wanted:
                yield _upright(cursor.frame(index), self.size)
        finally:
            cursor.close()


class _Cursor:
    """A position in an open video that only moves forward."""

    def __init__(self, video: _Video) -> None:
        self._video = video
        self._may_seek = True
        self._next = 0
        self._rewind()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def frame(self, target: int) -> "VideoFrame":
        """Decode frame `target`, seeking first when the key frames allow a leap worth its cost."""
        place = bisect_right(self._video.keys, target, key=itemgetter(0)) - 1
        key, stamp = self._video.keys[place] if place >= 0 else (0, 0)
        if self._may_seek and key - self._next > _SEEK_GAIN:
            self._container.seek(stamp, stream=self._stream)
            self._frames, self._next = self._decoded(), key
            found = self._advance(target)
            if found is not None:
                return found
            self._may_seek = False  # the file's index leads astray: from the start is always right
            self.close()
            self._rewind()
        found = self._advance(target)
        if found is None:
            raise MediaError(
                f"{self._video.path}: frame {target} of {self._video.num_frames} cannot be decoded; "
                "the file is damaged, fetch it again."
            )
        return found

    def _rewind(self) -> None:
        self._container, self._stream = _open_stream(self._video.path)
        self._stream.thread_type = "AUTO"
        self._frames, self._next = self._decoded(), 0

    def _advance(self, target: int) -> "VideoFrame | None":
        for index, frame in self._frames:
            self._next = index + 1
            if index >= target:
                return frame if index == target else None
        return None

    def _decoded(self) -> "Iterator[tuple[int, VideoFrame]]":
        """Number every shown frame by its stamp, or by counting when there are no usable stamps."""
        number_of = self._video.number_of
        with _decoding(self._video.path):
            for count, frame in enumerate(self._container.decode(self._stream)):
                if not number_of:
                    yield count, frame
                elif frame.pts in number_of:
                    yield number_of[frame.pts], frame


@dataclass(frozen=True)
class _Packet:
    """A packet's stamps in the stream's time base; `_NO_STAMP` where it has none."""

    pts: int
    dts: int
    is_key: bool


def _as_packet(packet: "Packet[Any]") -> _Packet:
    pts = _NO_STAMP if packet.pts is None else packet.pts
    return _Packet(pts, pts if packet.dts is None else packet.dts, packet.is_keyframe)


def _open_video(path: Path) -> Clip:
    container, stream = _open_stream(path)
    with container:
        packets, first = _scan(path, container, stream)
        kind = container.format.name
        rate = stream.average_rate or stream.guessed_rate
        time_base = stream.time_base or Fraction(1, 1000)
    size = (first.width, first.height) if first.rotation % 180 == 0 else (first.height, first.width)
    _check_size(*size, str(path))
    if _must_count(kind, first, packets):
        fps, num_frames = float(rate or 25), _count_decoded(path)
        video = _Video(path, size, num_frames, {}, ())
        return Clip(path.name, *size, _even_times(num_frames, fps), fps, video)
    # Frames before the first that decodes belong to a group whose start is missing; players skip them too.
    shown = [packet for packet in packets if packet.pts >= (first.pts or 0)]
    stamps = sorted(packet.pts for packet in shown)
    number_of = {stamp: number for number, stamp in enumerate(stamps)}
    keys = sorted((number_of[packet.pts], _seek_stamp(kind, packet)) for packet in shown if packet.is_key)
    times = tuple(float((stamp - stamps[0]) * time_base) for stamp in stamps)
    video = _Video(path, size, len(stamps), number_of, tuple(keys) if _is_indexed(kind) else ())
    return Clip(path.name, *size, times, _mean_rate(times, rate), video)


def _open_stream(path: Path) -> "tuple[InputContainer, VideoStream]":
    """Open a file and find its first stream of pictures (cover art is none)."""
    import av

    options = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    try:
        container = av.open(str(path.absolute()), options=options, metadata_errors="ignore")
    except (av.FFmpegError, ValueError) as error:
        is_mp4 = _head(path)[4:8] == b"ftyp"
        found = "the video's index is missing, the file is cut" if is_mp4 else "neither a picture nor a video"
        raise MediaError(
            f"{path}: {found} ({_reason(error)}); fetch it again or convert it to MP4, JPEG or PNG."
        ) from error
    moving = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not moving:
        container.close()
        raise MediaError(f"{path}: the file holds no pictures, only sound or data; give a video.")
    return container, moving[0]


def _scan(
    path: Path, container: "InputContainer", stream: "VideoStream"
) -> "tuple[list[_Packet], VideoFrame]":
    """Read all packets of the stream without decoding them, except as many as the first frame needs."""
    if stream.codec_context is None:
        raise MediaError(
            f"{path}: the video's index is missing, the file is cut or its recording was not finished; fetch "
            "it again."
        )
    lost = _samples_beyond_end(path, container, stream)
    packets: list[_Packet] = []
    first: VideoFrame | None = None
    num_whole = 0
    with _decoding(path):
        for packet in container.demux(stream):
            if packet.size and not packet.is_corrupt:
                num_whole += 1
                if not packet.is_discard and not _is_hidden(stream, packet):
                    packets.append(_as_packet(packet))
            if first is None and not packet.is_corrupt:
                first = next(iter(packet.decode()), None)
    announced = num_whole + lost if "mov" in container.format.name else stream.frames
    if num_whole < announced:
        raise MediaError(
            f"{path}: the video announces {announced} frames but the file ends after {num_whole}; it is cut, "
            "fetch it again."
        )
    if first is None:
        raise MediaError(
            f"{path}: the video has no frame that can be decoded; it is cut or damaged, fetch it again."
        )
    return packets, first


def _samples_beyond_end(path: Path, container: "InputContainer", stream: "VideoStream") -> int:
    """How many samples the index of an MP4 places beyond the file's end; others have no such index."""
    if "mov" not in container.format.name:
        return 0
    length = path.stat().st_size
    return sum(entry.pos + entry.size > length for entry in stream.index_entries)


def _is_hidden(stream: "VideoStream", packet: Any) -> bool:
    """VP8 packs frames that are never shown on their own; bit 4 of the first byte says whether it is."""
    return stream.codec_context.name == "vp8" and not bytes(packet)[0] & 0x10


def _is_indexed(kind: str) -> bool:
    """Whether packets hold whole frames and key frames are found exactly; else reading starts at frame 0."""
    return "mov" in kind or "matroska" in kind


def _must_count(kind: str, first: "VideoFrame", packets: list[_Packet]) -> bool:
    """Whether packets do not tell the frames: no stamps, AVI (decoding order), fields in own packets."""
    stamps = {packet.pts for packet in packets}
    if _NO_STAMP in stamps or len(stamps) < len(packets) or first.pts not in stamps:
        return True
    return kind == "avi" or (first.interlaced_frame and not _is_indexed(kind))


def _count_decoded(path: Path) -> int:
    container, stream = _open_stream(path)
    stream.thread_type = "AUTO"
    with container, _decoding(path):
        return sum(1 for _ in container.decode(stream))


def _seek_stamp(kind: str, packet: _Packet) -> int:
    """The stamp by which a key frame is found: Matroska indexes presentation times, MP4 decoding times."""
    return packet.pts if "matroska" in kind else packet.dts


def _mean_rate(times: tuple[float, ...], rate: Fraction | None) -> float:
    """The announced frames per second where the (rounded) times bear it out, else their mean."""
    if len(times) < 2 or times[-1] <= 0:
        return float(rate or 1)
    mean = (len(times) - 1) / times[-1]
    return float(rate) if rate and abs(float(rate) / mean - 1) < 0.005 else mean


def _upright(frame: "VideoFrame", size: tuple[int, int]) -> Frame:
    """RGB pixels, turned as the rotation tag says; should the size change on the way, in the first size."""
    turns = round(frame.rotation / 90) % 4
    width, height = size if turns % 2 == 0 else size[::-1]
    pixels = frame.to_ndarray(format="rgb24", width=width, height=height)
    return np.ascontiguousarray(np.rot90(pixels, turns)).astype(np.uint8, copy=False)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    import av

    try:
        yield
    except av.FFmpegError as error:
        raise MediaError(
            f"{path}: the video cannot be decoded ({_reason(error)}); it is damaged, fetch it again."
        ) from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


# Writing


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it takes the place of `path`, on failure it is removed.

    Raises:
        OutputError: the folder does not exist or cannot be written, or `path` is a folder.
    """
    path = Path(path)
    if _is_folder(path):
        raise OutputError(f"{path}: is a folder; give the name of a file.")
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        temporary.touch(exist_ok=False)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be written ({reason}); give a folder that exists and is writable."
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
        fps: frames per second, above 0.
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
        _encode(temporary, frames, Fraction(fps).limit_denominator(1001), crf)


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
            stream.codec_context.colorspace = (
                Colorspace.ITU601
            )  # say what the conversion below does, players guess

            def mux(number: int, frame: Frame) -> None:
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                picture.pts, picture.time_base = number, 1 / rate
                container.mux(stream.encode(picture))

            yield mux
            container.mux(stream.encode(None))
    except av.FFmpegError as error:
        raise OutputError(f"{path.name}: the video cannot be encoded ({_reason(error)}).") from error


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
