"""Reading videos with PyAV: the first picture stream, turned as its rotation tag says.

Frames of damaged or cut files are refused, never made up. Non-square pixels are not stretched.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unipixel.core.frames import Footage, Frame, check_size, even_times, head, reason
from unipixel.errors import MediaError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Containers that ffmpeg may recognise; playlists are left out, they would open other files.
_CONTAINERS = (
    "3gp,aac,aiff,asf,av1,avi,flac,flv,h264,hevc,ivf,m4v,matroska,mov,mp3,mp4,mpeg,mpegts,mpegvideo,mxf,"
    "obu,ogg,rm,vc1,wav,webm,yuv4mpegpipe"
)
# Decoding on over fewer frames than this is quicker than a seek, which empties the decoder's threads.
_SEEK_GAIN = 24
_NO_STAMP = -(1 << 63)


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
                found = cursor.frame(index)
                with _decoding(self.path):
                    frame = _upright(found, self.size)
                yield frame
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


def open_video(path: Path) -> Footage:
    """What a video file shows; it is read through once, packet by packet.

    Raises:
        MediaError: neither picture nor video, no picture stream, cut or damaged.
    """
    container, stream = _open_stream(path)
    with container:
        packets, first = _scan(path, container, stream)
        kind = container.format.name
        rate = stream.average_rate or stream.guessed_rate
        time_base = stream.time_base or Fraction(1, 1000)
    size = (first.width, first.height) if first.rotation % 180 == 0 else (first.height, first.width)
    check_size(*size, str(path))
    if _must_count(kind, first, packets):
        fps, num_frames = float(rate or 25), _count_decoded(path)
        video = _Video(path, size, num_frames, {}, ())
        return Footage(size, even_times(num_frames, fps), fps, video)
    # Frames before the first that decodes belong to a group whose start is missing; players skip them too.
    shown = [packet for packet in packets if packet.pts >= (first.pts or 0)]
    stamps = sorted(packet.pts for packet in shown)
    number_of = {stamp: number for number, stamp in enumerate(stamps)}
    keys = sorted((number_of[packet.pts], _seek_stamp(kind, packet)) for packet in shown if packet.is_key)
    times = tuple(float((stamp - stamps[0]) * time_base) for stamp in stamps)
    video = _Video(path, size, len(stamps), number_of, tuple(keys) if _is_indexed(kind) else ())
    return Footage(size, times, _mean_rate(times, rate), video)


def _open_stream(path: Path) -> "tuple[InputContainer, VideoStream]":
    """Open a file and find its first stream of pictures (cover art is none)."""
    import av

    options = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    try:
        container = av.open(str(path.absolute()), options=options, metadata_errors="ignore")
    except (av.FFmpegError, ValueError) as error:
        is_mp4 = head(path)[4:8] == b"ftyp"
        found = "the video's index is missing, the file is cut" if is_mp4 else "neither a picture nor a video"
        raise MediaError(
            f"{path}: {found} ({reason(error)}); fetch it again or convert it to MP4, JPEG or PNG."
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
            f"{path}: the video cannot be decoded ({reason(error)}); it is damaged, fetch it again."
        ) from error
