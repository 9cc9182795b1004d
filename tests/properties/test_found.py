"""What the fuzzers and properties found, each once, as small as it could be made."""

import json
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from fuzz.changes import VALUES, change_json
from PIL import Image

from unipixel.core import pictures
from unipixel.core.masks import RLE, FrameMask, read_mask
from unipixel.core.media import Clip
from unipixel.core.prompts import Point, Scribble
from unipixel.core.request import Decoding
from unipixel.data import coco_file, long_json
from unipixel.data.coco_file import CocoFile
from unipixel.data.files import Node
from unipixel.data.long_json import JsonArray, JsonTable
from unipixel.data.registry import Source
from unipixel.errors import DataError, MediaError, PromptError, RequestError

FOUND = Path(__file__).parent / "found"
HUGE = 10**400
"""A whole number that no float can be."""


@pytest.mark.parametrize("file", sorted(FOUND.iterdir()), ids=lambda file: file.name)
def test_damaged_media_are_refused(file: Path) -> None:
    """IndexError, RuntimeError and ZeroDivisionError of Pillow's readers, OSError of a conversion by PyAV, a
    ValueError of ours where a frame was larger than the first."""
    with suppress(MediaError):  # of the animation, the first frame is whole
        read_mask(file)
    with pytest.raises(MediaError):
        Clip.open(file).read([0])


@pytest.mark.parametrize("window", range(1, 60))
def test_numbers_that_the_window_cuts_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    """`1.` and `1e-` at the edge of a window were read as 1, and the file was refused."""
    monkeypatch.setattr(long_json, "_WINDOW", window)
    monkeypatch.setattr(coco_file, "_WINDOW", window)
    items = [-0.5, 1.25e-7, 2e10, {"id": 1.5}, 12]
    file = tmp_path / "long.json"
    file.write_text('[-0.5, 1.25e-7 ,2E+10,\n{"id": 1.5}, 12]')
    assert [item.value for item in JsonArray.open(file)] == items
    file.write_text(json.dumps({"images": items, "annotations": [], "other": -1e-30}))
    table = JsonTable.open(file)
    assert [table[key].value for key in table.keys] == [items, [], -1e-30]
    coco = CocoFile.open(Source("a", "b", tmp_path, {}, None), file.name)
    assert [item.value for item in coco.images] == items


def test_whole_numbers_that_no_float_can_be_are_refused() -> None:
    with pytest.raises(PromptError):
        Point(HUGE, 0)
    with pytest.raises(PromptError):
        FrameMask(0, RLE.from_mask([[True]]), HUGE, True)
    with pytest.raises(PromptError):
        RLE.from_coco({"size": [float("inf"), 1], "counts": [1]})
    with pytest.raises(RequestError):
        Decoding(temperature=HUGE)
    with pytest.raises(DataError, match="smaller"):
        Node(Path("a.json"), "x", HUGE).number()


def test_a_thin_stroke_of_one_point_leaves_a_pixel() -> None:
    assert Scribble(((0, 0),), thickness=1).to_mask(8, 8).mask.sum() >= 1


def test_changes_of_json_do_not_hang_together() -> None:
    """A list that was put into one input was changed in the next, until it was inside itself."""
    before, data, rng = repr(VALUES), b"[0]", Random(0)
    for _ in range(3000):
        data = change_json(data if len(data) < 200 else b"[0]", rng)
    assert repr(VALUES) == before


def test_a_small_animation_that_announces_a_huge_canvas_is_refused_at_once(tmp_path: Path) -> None:
    """One kilobyte of WebP took 40 seconds and 2.6 GB to open."""
    file = tmp_path / "wide.webp"
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    frames[0].save(file, save_all=True, append_images=frames[1:])
    assert Clip.open(file).num_frames == 3
    data = bytearray(file.read_bytes())
    header = data.index(b"VP8X") + 12  # flags and three unused bytes, then the sides less one
    data[header : header + 3] = (5_000_000).to_bytes(3, "little")
    file.write_bytes(data)
    with pytest.raises(MediaError, match="an animation of 3 frames, 5000001x16, is too large"):
        Clip.open(file)


def test_the_room_of_an_animation_counts_all_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "long.gif"
    frames = [Image.new("RGB", (16, 16), (50 * number, 0, 0)) for number in range(5)]
    frames[0].save(file, save_all=True, append_images=frames[1:])
    monkeypatch.setattr(pictures, "ANIMATION_PIXELS", 5 * 16 * 16)
    assert Clip.open(file).num_frames == 5
    monkeypatch.setattr(pictures, "ANIMATION_PIXELS", 5 * 16 * 16 - 1)
    with pytest.raises(MediaError, match="make a video of it"):
        Clip.open(file)


def test_a_part_that_is_said_to_be_larger_than_memory_is_damage(tmp_path: Path) -> None:
    """A box of a JPEG 2000 file with a length of 96 GB was a MemoryError."""
    file = tmp_path / "long.jp2"
    file.write_bytes(
        b"\x00\x00\x00\x0cjP  \r\n\x87\n\x00\x00\x00\x14ftypjp2 \x00\x00\x00\x00jp2 "
        b"\x00\x00\x00\x01jp2h\x00\x00\x00\x16ihdr"
    )
    with pytest.raises(MediaError, match="larger than memory"):
        Clip.open(file)
