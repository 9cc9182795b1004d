"""Clips: every kind of picture and video that a person may give, and what is said about broken ones.

Over 500 lines: the broken files are made from the whole ones, by the same few helpers.
"""

import os
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from unipixel.core import media
from unipixel.core import video as reader
from unipixel.core.media import Clip
from unipixel.core.writing import write_picture, write_video
from unipixel.errors import MediaError, OutputError

Frame = NDArray[np.uint8]
WIDTH, HEIGHT = 96, 64
CODECS = {
    "libx264": "mp4",
    "libx265": "mp4",
    "libvpx": "webm",
    "libvpx-vp9": "webm",
    "libsvtav1": "mkv",
    "libaom-av1": "mkv",
    "mpeg4": "mp4",
    "mpeg2video": "mpg",
    "mjpeg": "mkv",
}
ENCODERS = [name for name in CODECS if name in av.codecs_available]
QUIET = {"libx265": {"x265-params": "log-level=none"}, "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"}}


def painted(number: int, width: int = WIDTH, height: int = HEIGHT) -> Frame:
    """Red tells the frame, a white square marks the top-left corner, a green bar moves."""
    frame = np.zeros((height, width, 3), dtype=np.uint8)
    frame[..., 0] = number * 4 % 256
    frame[: height // 4, : height // 4] = 255
    frame[height // 2 : height // 2 + 8, number * 3 % (width - 16) :][:, :16, 1] = 255
    return frame


@contextmanager
def own_priority() -> Iterator[None]:
    """Some encoders (SVT-AV1) put the whole process under real-time scheduling and leave it there, where
    they may: whatever is tested next would keep all others from the processor."""
    if not hasattr(os, "sched_getscheduler"):  # not on macOS
        yield
        return
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, before, parameters)


def make_video(path: Path, count: int = 40, **how: Any) -> Path:
    codec = how.get("codec", "libx264")
    with (
        own_priority(),
        av.open(str(path), "w", format=how.get("format"), options=how.get("muxing", {})) as container,
    ):
        options = {**QUIET.get(codec, {}), **how.get("options", {})}
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 1_000_000
        stream.codec_context.gop_size = how.get("gop", 10)
        for number, stamp in enumerate(how.get("stamps", range(count))):
            frame = av.VideoFrame.from_ndarray(painted(number), format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def reds(frames: Frame) -> list[int]:
    """The frame numbers that `painted` put into the red of the lower right corner."""
    return [round(float(frame[-6:, -6:, 0].mean()) / 4) for frame in frames]


def assert_reads_agree(clip: Clip) -> Frame:
    """All frames in one pass; single and scattered reads must equal them."""
    everything = np.stack([frame for _, frame in clip.walk()])
    assert everything.shape == (clip.num_frames, clip.height, clip.width, 3)
    scattered = [clip.num_frames - 1, 0, clip.num_frames // 2, 0]
    assert (clip.read(scattered) == everything[scattered]).all()
    assert (clip.frame(clip.num_frames - 2) == everything[-2]).all()
    tail = list(clip.walk(start=clip.num_frames - 4, step=2))
    assert [index for index, _ in tail] == [clip.num_frames - 4, clip.num_frames - 2]
    assert (np.stack([frame for _, frame in tail]) == everything[-4::2]).all()
    return everything


# Videos


@pytest.fixture(params=[24, 0], ids=["usual", "always seek"])
def _seeking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_SEEK_GAIN", request.param)


@pytest.mark.usefixtures("_seeking")
@pytest.mark.parametrize("codec", ENCODERS)
def test_codecs_read_the_same_in_any_order(codec: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"clip.{CODECS[codec]}", codec=codec)
    clip = Clip.open(path)
    assert (clip.width, clip.height, clip.num_frames, clip.fps) == (WIDTH, HEIGHT, 40, 25.0)
    assert clip.times == pytest.approx(np.arange(40) / 25, abs=1e-3)
    assert not clip.is_image
    frames = assert_reads_agree(clip)
    assert np.abs(np.array(reds(frames)) - np.arange(40)).max() <= 2
    assert frames[:, 4:12, 4:12].mean() > 225


OPEN_GROUPS = "open-gop=1:keyint=10:bframes=3:b-adapt=0"
ODDITIES: dict[str, dict[str, Any]] = {
    "groups that lean on their neighbours.mp4": {"options": {"x264-params": OPEN_GROUPS}},
    "groups that lean on their neighbours.mkv": {"options": {"x264-params": OPEN_GROUPS}},
    "no key frames but the first.mkv": {"options": {"x264-params": "intra-refresh=1:keyint=10"}},
    "interlaced.mp4": {"options": {"flags": "+ildct+ilme"}},
    "interlaced.ts": {"options": {"flags": "+ildct+ilme"}},
    "broadcast.ts": {},
    "no stamps.h264": {"format": "h264"},
    "stamps of decoding.avi": {},
    "program stream.mpg": {"codec": "mpeg2video", "format": "mpeg"},
    "fragments.mp4": {"muxing": {"movflags": "frag_keyframe+empty_moov"}},
    "hidden frames.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
    "starts late.mp4": {"stamps": range(50, 90)},
}


@pytest.mark.usefixtures("_seeking")
@pytest.mark.parametrize("name", ODDITIES)
def test_odd_streams_read_the_same_in_any_order(name: str, tmp_path: Path) -> None:
    clip = Clip.open(make_video(tmp_path / name, **ODDITIES[name]))
    assert clip.num_frames == 40
    assert clip.times[0] == 0.0
    assert clip.times[-1] == pytest.approx(39 / 25, abs=1e-3)
    assert np.abs(np.array(reds(assert_reads_agree(clip))) - np.arange(40)).max() <= 2


def test_frames_before_an_edit_list_starts_are_not_shown(tmp_path: Path) -> None:
    clip = Clip.open(make_video(tmp_path / "trimmed.mp4", stamps=range(-7, 33)))
    assert (clip.num_frames, clip.times[0]) == (33, 0.0)
    assert reds(assert_reads_agree(clip)) == pytest.approx(range(7, 40), abs=1)


def test_a_stream_that_starts_amid_a_group_begins_with_its_first_whole_frame(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.ts").read_bytes()
    (tmp_path / "joined.ts").write_bytes(whole[188 * 6 :])
    clip = Clip.open(tmp_path / "joined.ts")
    assert 20 < clip.num_frames < 40
    assert reds(assert_reads_agree(clip)) == pytest.approx(range(40 - clip.num_frames, 40), abs=1)


def test_times_follow_a_variable_frame_rate(tmp_path: Path) -> None:
    stamps = [0, 1, 2, 10, 11, 40, 41, 50]
    clip = Clip.open(make_video(tmp_path / "variable.mp4", stamps=stamps))
    assert clip.times == pytest.approx([stamp / 25 for stamp in stamps], abs=1e-3)
    assert clip.fps == pytest.approx(7 / 2.0)
    assert reds(assert_reads_agree(clip)) == pytest.approx(range(8), abs=1)


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [((0, 1, -1, 0), "top right"), ((-1, 0, 0, -1), "bottom right"), ((0, -1, 1, 0), "bottom left")],
    ids=["quarter turn right", "half turn", "quarter turn left"],
)
def test_rotation_tags_are_obeyed(matrix: tuple[int, ...], corner: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / "turned.mp4", count=4)
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    clip = Clip.open(path)
    assert (clip.width, clip.height) == ((WIDTH, HEIGHT) if matrix[1] == 0 else (HEIGHT, WIDTH))
    frame = clip.frame(0)
    corners = {
        "top left": frame[:12, :12],
        "top right": frame[:12, -12:],
        "bottom left": frame[-12:, :12],
        "bottom right": frame[-12:, -12:],
    }
    assert {name for name, pixels in corners.items() if pixels.mean() > 200} == {corner}


def test_seeking_skips_what_is_not_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    plain = reader._Cursor._advance

    def advance(cursor: reader._Cursor, target: int) -> Any:
        before = cursor._next
        found = plain(cursor, target)
        decoded.append(cursor._next - before)
        return found

    monkeypatch.setattr(reader._Cursor, "_advance", advance)
    clip = Clip.open(make_video(tmp_path / "long.mp4", count=300))
    clip.read([150, 290, 0])
    assert sum(decoded) < 40
    decoded.clear()
    clip.read([0, 5, 12, 20, 31])
    assert sum(decoded) == 32


def test_an_index_that_leads_astray_costs_time_but_not_truth(tmp_path: Path) -> None:
    clip = Clip.open(make_video(tmp_path / "clip.mp4", count=120))
    frames: Any = clip._frames
    wrong = tuple((index, stamp + 30 * 512) for index, stamp in frames.keys)
    lying = reader._Video(frames.path, frames.size, frames.num_frames, frames.number_of, wrong)
    assert (np.stack(list(lying.pick([60, 100]))) == clip.read([60, 100])).all()


def test_nothing_stays_open_and_clips_can_be_pickled(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4")
    clip = pickle.loads(pickle.dumps(Clip.open(path)))
    first = next(iter(clip.walk()))[1]
    assert (clip.frame(0) == first).all()
    if sys.platform == "linux":
        held = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        assert path not in held


# Pictures


def test_a_still_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    Image.fromarray(painted(3)).save(tmp_path / "still.png")
    clip = Clip.open(tmp_path / "still.png")
    assert clip.is_image
    assert (clip.num_frames, clip.fps, clip.times, clip.name) == (1, 1.0, (0.0,), "still.png")
    assert (clip.frame(0) == painted(3)).all()
    assert clip.read([]).shape == (0, HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("name", ["photo.JPG", "photo.jpeg", "photo.mp4", "photo", "photo.png"])
def test_names_do_not_matter(name: str, tmp_path: Path) -> None:
    Image.fromarray(painted(3)).save(tmp_path / name, format="JPEG", quality=95)
    assert np.abs(Clip.open(str(tmp_path / name)).frame(0).astype(int) - painted(3)).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_tags_are_obeyed(kind: str, orientation: int, tmp_path: Path) -> None:
    upright = painted(20)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    tags = Image.Exif()
    tags[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "photo", format=kind, exif=tags, **options)
    clip = Clip.open(tmp_path / "photo")
    assert (clip.width, clip.height) == (WIDTH, HEIGHT)
    assert np.abs(clip.frame(0).astype(int) - upright).mean() < (3 if kind == "JPEG" else 1e-9)


def test_pixel_formats_become_rgb(tmp_path: Path) -> None:
    plain = painted(5)
    picture = Image.fromarray(plain)
    ramp = np.linspace(0, 65535, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    eight = np.dstack([np.rint(ramp / 257)] * 3)
    bits = plain[..., 1] > 128
    clear = Image.fromarray(np.dstack([plain, np.full((HEIGHT, WIDTH), 255, np.uint8)]))
    clear.paste((9, 9, 9, 0), (0, 0, WIDTH, 10))
    on_white = plain.copy()
    on_white[:10] = 255
    keyed = picture.copy()
    keyed.info["transparency"] = (20, 0, 0)
    without_key = np.where((plain == (20, 0, 0)).all(axis=-1)[..., None], 255, plain)
    cases: dict[str, tuple[Image.Image, NDArray[Any]]] = {
        "clear.png": (clear, on_white),
        "clear.webp": (clear, on_white),
        "clear grey.png": (clear.convert("LA"), np.array(Image.fromarray(on_white).convert("L"))[..., None]),
        "sixteen.png": (Image.fromarray(ramp), eight),
        "sixteen.pgm": (Image.fromarray(ramp.astype(np.int32)), eight),
        "one bit.png": (Image.fromarray(bits), bits[..., None] * 255),
        "palette.png": (picture.quantize(16), plain),
        "cmyk.tif": (picture.convert("CMYK"), plain),
        "keyed.png": (keyed, without_key),
        "plain.bmp": (picture, plain),
    }
    for name, (stored, expected) in cases.items():
        options: dict[str, Any] = {"lossless": True} if name.endswith("webp") else {}
        stored.save(tmp_path / name, **options)
        assert np.abs(Clip.open(tmp_path / name).frame(0) - expected.astype(int)).max() <= 1, name


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_animations_are_videos_with_their_durations(kind: str, tmp_path: Path) -> None:
    frames = [Image.fromarray(painted(number)) for number in (0, 20, 40, 60)]
    options: dict[str, Any] = {"lossless": True} if kind == "webp" else {}
    options.update(save_all=True, append_images=frames[1:], duration=[100, 200, 50, 150])
    frames[0].save(tmp_path / f"moving.{kind}", **options)
    clip = Clip.open(tmp_path / f"moving.{kind}")
    assert clip.num_frames == 4
    assert clip.times == pytest.approx([0, 0.1, 0.3, 0.35])
    assert clip.fps == pytest.approx(8.0)
    assert reds(assert_reads_agree(clip)) == [0, 20, 40, 60]


def test_the_stand_in_of_an_animated_png_is_no_frame(tmp_path: Path) -> None:
    frames = [Image.fromarray(painted(number)) for number in (60, 0, 20)]
    frames[0].save(
        tmp_path / "moving.png", save_all=True, append_images=frames[1:], duration=100, default_image=True
    )
    clip = Clip.open(tmp_path / "moving.png")
    assert reds(clip.read([0, 1])) == [0, 20]
    assert clip.num_frames == 2


# Arrays, lists and folders


def test_arrays_pictures_and_lists(tmp_path: Path) -> None:
    write_picture(tmp_path / "two.png", painted(2))
    video = np.stack([painted(number) for number in range(3)])
    mixed = Clip.open([painted(0), Image.fromarray(painted(1)), tmp_path / "two.png"])
    for clip in (Clip.open(video), mixed):
        assert (clip.num_frames, clip.fps, clip.times) == (3, 2.0, (0.0, 0.5, 1.0))
        assert (clip.read([2, 0, 2]) == video[[2, 0, 2]]).all()
    assert Clip.open(mixed) is mixed
    assert Clip.open(painted(0)).is_image
    assert Clip.open(video[:1]).is_image
    assert (Clip.open(Image.fromarray(painted(1))).frame(0) == painted(1)).all()
    assert (Clip.open(painted(1)[..., 0]).frame(0) == painted(1)[..., :1]).all()
    deep = np.full((2, 2), 65535, np.uint16)
    assert (Clip.open(deep).frame(0) == 255).all()


def test_a_clip_does_not_change_with_its_source_or_its_reader() -> None:
    source = painted(1)
    clip = Clip.open(source)
    source[:] = 7
    next(clip.walk())[1][:] = 9
    assert (clip.frame(0) == painted(1)).all()


def test_the_clock_can_be_replaced(tmp_path: Path) -> None:
    clip = Clip.open(make_video(tmp_path / "clip.mp4", count=6), fps=4)
    assert (clip.num_frames, clip.fps, clip.times[-1]) == (6, 4.0, 1.25)
    for fps in (0, -1, float("nan"), float("inf")):
        with pytest.raises(MediaError, match="frames per second"):
            Clip.open(clip, fps=fps)


def test_folders_are_sorted_by_number(tmp_path: Path) -> None:
    for number in (10, 9, 100, 1):
        Image.fromarray(painted(number % 60)).save(tmp_path / f"frame_{number}.PNG", format="PNG")
    Image.fromarray(painted(30)).save(tmp_path / "11.dat", format="PNG")
    (tmp_path / ".hidden.png").write_bytes(b"junk")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "12 folder.png").mkdir()
    clip = Clip.open(tmp_path)
    assert (clip.num_frames, clip.fps, clip.name) == (5, 2.0, tmp_path.name)
    assert reds(clip.read(range(5))) == [1, 9, 10, 30, 40]


# What is broken


def broken_files(folder: Path) -> dict[str, str]:
    """File name → what the message must say."""
    whole = make_video(folder / "whole.mp4").read_bytes()
    (folder / "no moov.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("hello " * 200)
    (folder / "playlist.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nwhole.mp4\n")
    (folder / "concat.mp4").write_text("ffconcat version 1.0\nfile whole.mp4\n")
    (folder / "noise.jpg").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with av.open(str(folder / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return {
        "missing.mp4": "no such file",
        "https://example.org/a.mp4": "download",
        "no moov.mp4": "index is missing",
        "empty.mp4": "is empty",
        "text.mp4": "neither a picture nor a video",
        "playlist.mp4": "neither a picture nor a video",
        "concat.mp4": "neither a picture nor a video",
        "noise.jpg": "neither a picture nor a video",
        "photo.heic": "HEIC",
        "sound.mp4": "only sound",
        "n" * 300: "cannot be read",
    }


def test_broken_files_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, said in broken_files(tmp_path).items():
        with pytest.raises(MediaError, match=said) as caught:
            Clip.open(name)
        assert name.split("/")[-1] in str(caught.value)


@pytest.mark.parametrize("share", [0.4, 0.7, 0.99])
def test_a_cut_video_says_how_many_frames_are_left(share: float, tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mp4", muxing={"movflags": "faststart"}).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(
        MediaError, match=r"cut\.mp4: the video announces 40 frames but the file ends after \d+"
    ):
        Clip.open(tmp_path / "cut.mp4")


def test_a_cut_matroska_is_a_shorter_video(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 7 // 10])
    clip = Clip.open(tmp_path / "cut.mkv")
    assert 10 < clip.num_frames < 40
    assert len(list(clip.walk())) == clip.num_frames


def test_damage_amid_a_video_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = make_video(tmp_path / "holed.mp4")
    with av.open(str(path)) as container:
        entry = [e for e in container.streams.video[0].index_entries if e.is_keyframe][2]
        place, size = entry.pos, entry.size
    data = bytearray(path.read_bytes())
    data[place : place + size] = b"\xff" * size
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"holed\.mp4: .*cannot be decoded"):
        Clip.open(path).read(range(40))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_cut_pictures_are_refused(kind: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut", format=kind)
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:2000])
    with pytest.raises(MediaError, match="cut"):
        Clip.open(tmp_path / "cut").frame(0)


def test_absurdly_large_pictures_are_refused_before_decoding(tmp_path: Path) -> None:
    Image.fromarray(painted(0)).save(tmp_path / "bomb.png")
    data = bytearray((tmp_path / "bomb.png").read_bytes())
    data[16:24] = struct.pack(">II", 60000, 60000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    (tmp_path / "bomb.png").write_bytes(data)
    with pytest.raises(MediaError, match=r"bomb\.png: .* too large"):
        Clip.open(tmp_path / "bomb.png")


def test_folders_that_are_no_clips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no pictures"):
        Clip.open(tmp_path)
    for number, side in enumerate((8, 8, 9, 7)):
        write_picture(tmp_path / f"{number}.png", np.zeros((side, 8, 3), np.uint8))
    with pytest.raises(MediaError, match=r"frame 2 \(2\.png\) is 8x9, frame 0 \(0\.png\) is 8x8"):
        Clip.open(tmp_path)
    (tmp_path / "2.png").write_bytes(b"junk")
    with pytest.raises(MediaError, match=r"2\.png: .*not a picture"):
        Clip.open(tmp_path)


def test_files_without_permission_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_picture(tmp_path / "secret.png", painted(0))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MediaError, match=r"secret\.png: .*Permission denied.*permissions"):
        Clip.open(tmp_path / "secret.png")


@pytest.mark.parametrize(
    "source",
    [
        7,
        [],
        [b"bytes"],
        np.zeros((3, 8, 9), np.uint8),
        np.zeros((8, 9, 3), np.float32),
        np.zeros((0, 8, 9, 3), np.uint8),
        np.zeros((0, 9, 3), np.uint8),
        Image.fromarray(np.zeros((4, 4), np.float32)),
    ],
)
def test_sources_that_are_no_pictures_are_refused(source: Any) -> None:
    with pytest.raises(MediaError):
        Clip.open(source)


def test_frames_outside_the_clip_are_refused() -> None:
    clip = Clip.open(np.zeros((3, 4, 5, 3), np.uint8))
    for index in (-1, 3):
        with pytest.raises(MediaError, match=f"no frame {index}; the clip has frames 0 to 2"):
            clip.read([0, index])
    for start, stop, step in ((2, 1, 1), (0, 4, 1), (-1, 2, 1), (0, 3, 0)):
        with pytest.raises(MediaError, match="cannot walk"):
            clip.walk(start, stop, step)
    assert list(clip.walk(1, 1)) == []


# Writing


@pytest.mark.parametrize("suffix", [".mp4", ".MOV", ".mkv"])
def test_written_videos_come_back(suffix: str, tmp_path: Path) -> None:
    frames = [painted(number, 95, 63) for number in range(12)]
    write_video(tmp_path / f"out{suffix}", iter(frames), fps=30000 / 1001)
    clip = Clip.open(tmp_path / f"out{suffix}")
    assert (clip.width, clip.height, clip.num_frames) == (96, 64, 12)
    assert clip.fps == pytest.approx(30000 / 1001)
    assert all(after > before for before, after in pairwise(clip.times))
    read = clip.read(range(12))
    assert np.abs(read[:, :63, :95].astype(int) - np.stack(frames)).mean() < 6
    assert np.abs(read[:, 63].astype(int) - read[:, 62]).mean() < 4
    assert [path.name for path in tmp_path.iterdir()] == [f"out{suffix}"]


def test_a_very_slow_video_is_written(tmp_path: Path) -> None:
    write_video(tmp_path / "out.mp4", [painted(0), painted(1)], fps=1 / 3000)
    assert Clip.open(tmp_path / "out.mp4").times == (0.0, 1001.0)


def test_written_videos_name_their_colours(tmp_path: Path) -> None:
    write_video(tmp_path / "out.mp4", [painted(0)], fps=10)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).colorspace == 5


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.JPEG", "out.webp", "out.bmp", "out.tiff"])
def test_written_pictures_come_back(name: str, tmp_path: Path) -> None:
    write_picture(tmp_path / name, painted(9))
    assert np.abs(Clip.open(tmp_path / name).frame(0).astype(int) - painted(9)).mean() < 4


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    write_video(target, [painted(0)], fps=5)
    before = target.read_bytes()
    with pytest.raises(OutputError, match="Frame 1"):
        write_video(target, [painted(0), painted(1)[:-2]], fps=5)
    with pytest.raises(RuntimeError):
        write_video(target, failing(), fps=5)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def failing() -> Any:
    yield painted(0)
    raise RuntimeError


def test_outputs_that_cannot_be_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.png").mkdir()
    for name in ("missing/out.png", "out.gif", "out", "folder.png"):
        with pytest.raises(OutputError):
            write_picture(tmp_path / name, painted(0))
    for path, frames, fps, crf in (
        ("out.avi", [painted(0)], 5.0, 18),
        ("out.mp4", [], 5.0, 18),
        ("out.mp4", [painted(0)], 0.0, 18),
        ("out.mp4", [painted(0)], 5.0, 99),
        ("missing/out.mp4", [painted(0)], 5.0, 18),
    ):
        with pytest.raises(OutputError):
            write_video(tmp_path / path, frames, fps=fps, crf=crf)
    with pytest.raises(OutputError, match="Frame 0"):
        write_picture(tmp_path / "out.png", painted(0).astype(np.float32))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        write_picture(tmp_path / "out.png", painted(0))
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_importing_stays_cheap() -> None:
    code = "import sys, unipixel.output.export; print(*{'av', 'pycocotools', 'torch'} & set(sys.modules))"
    paths = {"PYTHONPATH": str(Path(media.__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=paths)
    assert run.stdout.strip() == ""
