"""Exports: the masks document, palette pictures and overlays."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.pixels import Mask
from unipixel.errors import MediaError, OutputError, PromptError
from unipixel.output.draw import Palette
from unipixel.output.export import (
    ClipInfo,
    masks_document,
    read_masks_json,
    write_masks_json,
    write_overlay,
    write_palette_pngs,
)

INFO = ClipInfo(width=12, height=8, num_frames=3, fps=2.0)


def block(left: int, right: int) -> Mask:
    mask = np.zeros((8, 12), dtype=bool)
    mask[2:5, left:right] = True
    return mask


def track(*masks: Mask | None) -> MaskTrack:
    return MaskTrack(
        tuple(
            FrameMask(index, RLE.from_mask(mask), 0.25 * index, bool(mask.any()))
            for index, mask in enumerate(masks)
            if mask is not None
        )
    )


TRACKS = {3: track(block(0, 6), block(0, 0), block(1, 3)), 0: track(block(4, 9), None, block(2, 4))}


def test_the_document_has_exactly_the_promised_form() -> None:
    document = masks_document(INFO, TRACKS, {3: "cat"})
    assert json.loads(json.dumps(document)) == document
    assert document["clip"] == {"width": 12, "height": 8, "num_frames": 3, "fps": 2.0}
    assert [(entry["id"], entry["name"]) for entry in document["objects"]] == [(0, "object 0"), (3, "cat")]
    assert document["objects"][1]["frames"][0] == {
        "index": 0,
        "present": True,
        "score": 0.0,
        "area": 18,
        "box": [0, 2, 5, 4],
        "rle": {"size": [8, 12], "counts": TRACKS[3].frames[0].rle.counts.decode()},
    }
    absent = document["objects"][1]["frames"][1]
    assert (absent["present"], absent["area"], absent["box"]) == (False, 0, None)
    assert list(document) == ["clip", "objects"]
    assert list(document["objects"][0]) == ["id", "name", "frames"]


def test_documents_come_back(tmp_path: Path) -> None:
    write_masks_json(tmp_path / "masks.json", masks_document(INFO, TRACKS, {0: "Hündchen"}))
    saved = read_masks_json(tmp_path / "masks.json")
    assert saved.clip == INFO
    assert saved.tracks == TRACKS
    assert saved.names == {0: "Hündchen", 3: "object 3"}
    assert [path.name for path in tmp_path.iterdir()] == ["masks.json"]


def without(document: dict[str, Any], *path: Any) -> dict[str, Any]:
    copy: Any = json.loads(json.dumps(document))
    place = copy
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return copy  # type: ignore[no-any-return]


def test_damaged_documents_are_refused_by_name(tmp_path: Path) -> None:
    whole = masks_document(INFO, TRACKS)
    wrong_size = json.loads(json.dumps(whole))
    wrong_size["clip"]["width"] = 13
    twins = json.loads(json.dumps(whole))
    twins["objects"][1]["id"] = 0
    broken = [
        "not json",
        "[]",
        "{}",
        json.dumps(without(whole, "clip", "fps")),
        json.dumps(without(whole, "objects", 0, "frames", 0, "rle")),
        json.dumps(without(whole, "objects", 0, "frames", 0, "rle", "counts")),
        json.dumps(wrong_size),
        json.dumps(twins),
    ]
    for text in broken:
        (tmp_path / "masks.json").write_text(text)
        with pytest.raises(MediaError, match=r"masks\.json"):
            read_masks_json(tmp_path / "masks.json")
    (tmp_path / "masks.json").write_bytes(b"\xff\xfe\x00")
    for name in ("masks.json", "missing.json"):
        with pytest.raises(MediaError, match=name):
            read_masks_json(tmp_path / name)


def test_tracks_that_do_not_fit_the_clip_are_refused() -> None:
    with pytest.raises(OutputError, match="12x8, the clip is 5x5"):
        masks_document(ClipInfo(5, 5, 3, 1.0), TRACKS)
    with pytest.raises(OutputError, match="frame 2, the clip has 2 frames"):
        masks_document(ClipInfo(12, 8, 2, 1.0), TRACKS)
    with pytest.raises(OutputError, match="Object -1"):
        masks_document(INFO, {-1: TRACKS[0]})
    with pytest.raises(PromptError, match="impossible"):
        ClipInfo(12, 8, 3, 0.0)


def test_palette_pictures_hold_id_plus_one_with_the_lower_id_on_top(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "00000.png").write_bytes(b"old")
    files = write_palette_pngs(tmp_path / "out", INFO, TRACKS)
    assert [path.name for path in files] == ["00000.png", "00001.png", "00002.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [path.name for path in files]
    with Image.open(files[0]) as picture:
        assert picture.mode == "P"
        labels = np.array(picture)
        assert picture.getpalette()[3:6] == list(Palette().color(0))  # type: ignore[index]
    expected = np.zeros((8, 12), dtype=np.uint8)
    expected[2:5, :4] = 4
    expected[2:5, 4:9] = 1
    assert (labels == expected).all()
    assert not np.array(Image.open(files[1])).any()


def test_palette_pictures_have_limits(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="255"):
        write_palette_pngs(tmp_path, INFO, {255: TRACKS[0]})
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_palette_pngs(tmp_path / "file", INFO, TRACKS)
    write_palette_pngs(tmp_path / "most", INFO, {254: TRACKS[0]})
    assert np.array(Image.open(tmp_path / "most" / "00000.png")).max() == 255


def big_tracks(count: int) -> dict[int, MaskTrack]:
    mask = np.zeros((48, 65), dtype=bool)
    mask[10:40, 10:50] = True
    return {1: track(*[mask] * count)}


def test_an_overlay_of_a_still_is_a_picture(tmp_path: Path) -> None:
    clip = Clip.open(np.full((48, 65, 3), 90, np.uint8))
    write_overlay(tmp_path / "out.png", clip, big_tracks(1), {1: "box"})
    drawn = Clip.open(tmp_path / "out.png").frame(0)
    assert tuple(drawn[10, 20]) == Palette().color(1)
    assert (drawn[:10] == 90).all()
    with pytest.raises(OutputError, match=r"\.png"):
        write_overlay(tmp_path / "out.mp4", clip, big_tracks(1))


def test_an_overlay_of_a_video_is_a_video_written_frame_by_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Clip.open(np.full((5, 48, 65, 3), 90, np.uint8), fps=8)
    monkeypatch.setattr(Clip, "read", lambda *_: pytest.fail("the whole clip was read"))
    write_overlay(tmp_path / "out.mp4", clip, big_tracks(3))
    monkeypatch.undo()
    written = Clip.open(tmp_path / "out.mp4")
    assert (written.num_frames, written.fps, written.width) == (5, 8.0, 66)
    frames = written.read([0, 4])
    assert np.abs(frames[0, 10:12, 15:45].astype(int) - Palette().color(1)).mean() < 60
    assert np.abs(frames[1].astype(int) - 90).max() < 8  # the track ends before
    with pytest.raises(OutputError, match=r"\.mp4"):
        write_overlay(tmp_path / "out.png", clip, big_tracks(3))
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
