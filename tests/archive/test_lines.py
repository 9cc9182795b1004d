"""Lines of at most a megabyte, and back."""

import json
from pathlib import Path

import numpy as np
import pytest

from unipixel.archive.lines import (
    Entry,
    ItemMask,
    LineHead,
    ObjectHead,
    places,
    read_annotations,
    read_lines,
    to_lines,
)
from unipixel.core.masks import RLE
from unipixel.errors import OutputError

CLIP = {"media": ["a.mp4"], "size": [60, 60], "num_frames": 50, "fps": 10.0, "frames": [[0, 49, 1]]}


def noise(seed: int, side: int = 60) -> RLE:
    return RLE.from_mask(np.random.default_rng(seed).random((side, side)) < 0.5)


def head(item: str = 'odd "name"\\ä.mp4') -> LineHead:
    return LineHead(item, 0, False, "done", "ab12")


def entries(num_masks: int, side: int = 60) -> list[Entry]:
    first, second = ObjectHead(0, 0), ObjectHead(7, 1, "the car")
    found: list[Entry] = [("queries", {"ask": "red?"}), ("queries", {"object": 7, "name": "the car"})]
    for frame in range(num_masks):
        found.append(("answers", {"query": 0, "window": frame, "text": "[0]"}))
        found.append((first, ItemMask(frame, frame / 10, noise(frame, side), 0.9)))
        found.append((second, ItemMask(frame, frame / 10, noise(-frame - 1 + 2**20, side), 0.8, 0.25)))
    return found


@pytest.mark.parametrize("limit", [3_000, 10_000, 1_000_000])
def test_lines_keep_the_limit_and_give_everything_back(limit: int) -> None:
    given = entries(12)
    lines = list(to_lines(head(), CLIP, given, limit))
    assert all(len(line) <= limit for line in lines)
    assert (len(lines) == 1) == (limit == 1_000_000)
    assert [LineHead.of(line).part for line in lines] == list(range(len(lines)))
    assert [LineHead.of(line).more for line in lines] == [True] * (len(lines) - 1) + [False]
    found = read_lines(lines)
    assert (found.item, found.status, found.digest) == (head().item, "done", "ab12")
    assert dict(found.clip) == CLIP
    assert list(found.queries) == [entry for key, entry in given if key == "queries"]
    assert list(found.answers) == [entry for key, entry in given if key == "answers"]
    for one in found.objects:
        assert list(one.masks) == [
            mask for key, mask in given if key == ObjectHead(one.id, one.query, one.name)
        ]


def test_a_mask_that_is_longer_than_a_line_goes_on_in_the_next() -> None:
    given = entries(2, side=200)
    lines = list(to_lines(head(), CLIP, given, 4_000))
    assert all(len(line) <= 4_000 for line in lines)
    assert any(b'"goes_on":true' in line for line in lines)
    found = read_lines(lines)
    assert [mask.rle for mask in found.objects[0].masks] == [noise(0, 200), noise(1, 200)]


def test_files_and_frames_of_a_clip_go_on_in_the_next_line() -> None:
    files = [f"a/long/path/of/frames/{number:06d}.png" for number in range(900)]
    frames = [
        [3 * number, 3 * number + 1, 1] for number in range(900)
    ]  # as of 24 frames a second, looked at 10
    given: list[Entry] = [*(("media", file) for file in files), *(("frames", span) for span in frames)]
    lines = list(to_lines(head(), {"size": [60, 60]}, [*given, *entries(2)], 6_000))
    assert all(len(line) <= 6_000 for line in lines) and len(lines) > 5
    found = read_lines(lines)
    assert dict(found.clip) == {"size": [60, 60], "media": files, "frames": frames}


def test_every_line_is_json_with_the_masks_of_a_response() -> None:
    (line,) = to_lines(head(), CLIP, entries(1))
    document = json.loads(line)
    frame = document["objects"][1]["frames"][0]
    assert RLE.from_coco(frame["rle"]) == noise(2**20 - 1)
    assert frame["area"] == noise(2**20 - 1).area and frame["quality"] == 0.25
    assert document["objects"][1]["name"] == "the car"


def test_an_item_that_is_not_there_as_a_whole_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    whole = list(to_lines(head("whole"), CLIP, entries(3), 3_000))
    half = list(to_lines(head("half"), CLIP, entries(3), 3_000))
    assert len(half) > 2
    file.write_bytes(b"".join([*whole, *half[:-1]]))
    assert [place.head.item for place in places(file)] == ["whole"]
    file.write_bytes(b"".join([*whole, *half])[:-1])
    assert [place.head.item for place in places(file)] == ["whole"]
    file.write_bytes(b"".join([*whole, *half]))
    assert [item.item for item in read_annotations(file)] == ["whole", "half"]


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"sample": 1}\n')
    with pytest.raises(OutputError, match="no line of annotations"):
        list(read_annotations(tmp_path / "a.jsonl"))
    with pytest.raises(OutputError, match="no such file"):
        list(read_annotations(tmp_path))
