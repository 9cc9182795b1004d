"""Whole runs, with a model: stopped, continued, spread, failing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unipixel.archive import (
    Asked,
    Cut,
    Item,
    Manner,
    Mark,
    Marked,
    Output,
    Settings,
    Words,
    annotate,
    find_items,
    read_annotations,
)
from unipixel.archive.finding import Finder
from unipixel.archive.recording import Recording
from unipixel.archive.run import ArchiveProgress, duration
from unipixel.archive.units import Unit
from unipixel.core.masks import RLE
from unipixel.core.prompts import Box, Point
from unipixel.errors import ConfigError
from unipixel.evaluation.predictions import Shard
from unipixel.predictor import Predictor

ASKS = Asked(("Please segment the red circle.",))
SETTINGS = Settings(cut=Cut(10, 4), num_frames=4, chunk=3)
"""Four windows for the long clip."""


class Stop(Exception):
    """Stands for a kill."""


def stop_after(count: int) -> Callable[[ArchiveProgress], None]:
    heard = 0

    def hear(_progress: ArchiveProgress) -> None:
        nonlocal heard
        heard += 1
        if heard == count:
            raise Stop

    return hear


@pytest.fixture(scope="module")
def whole(archive: Path, model: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    report = annotate(model, find_items([archive], ASKS), folder, SETTINGS)
    assert (report.total, report.done, report.failed, report.complete) == (7, 7, 0, True)
    return folder


def content(folder: Path) -> bytes:
    return (folder / "annotations.jsonl").read_bytes()


def test_every_item_is_there_once_in_order(whole: Path) -> None:
    found = list(read_annotations(whole))
    assert [item.item for item in found] == ["clip.mp4", "long.mp4", *(f"still-{n}.png" for n in range(5))]
    assert all(item.status == "done" for item in found)
    long = found[1]
    assert long.clip["frames"] == [[0, 25, 1]] and long.clip["num_frames"] == 26
    assert [answer["frames"] for answer in long.answers] == [[0, 7], [8, 13], [14, 18], [19, 25]]
    for item in found:
        for one in item.objects:
            frames = [mask.frame for mask in one.masks]
            assert frames == sorted(set(frames)) and all(mask.rle.area for mask in one.masks)
    assert not (whole / "parts").exists() and not (whole / "windows").exists()


@pytest.mark.parametrize("count", [5])
def test_a_stopped_run_goes_on_and_gives_the_same(
    whole: Path, archive: Path, model: Predictor, tmp_path: Path, count: int
) -> None:
    items = find_items([archive], ASKS)
    with pytest.raises(Stop):
        annotate(model, items, tmp_path, SETTINGS, manner=Manner(on_progress=stop_after(count)))
    for part in (tmp_path / "parts").glob("*.jsonl"):
        with part.open("ab") as stream:
            stream.write(b'{"item":"half')
    report = annotate(model, items, tmp_path, SETTINGS)
    assert report.complete and report.windows <= 10 - count + 3  # a chunk of short items is asked again
    assert content(tmp_path) == content(whole)


def test_shards_give_what_one_run_gives(whole: Path, archive: Path, model: Predictor, tmp_path: Path) -> None:
    items = find_items([archive], ASKS)
    reports = [
        annotate(model, items, tmp_path, SETTINGS, manner=Manner(Shard(number, 2))) for number in (1, 0)
    ]
    assert [report.complete for report in reports] == [False, True]
    assert sum(report.total for report in reports) == 7
    assert content(tmp_path) == content(whole)


def test_other_settings_are_refused(whole: Path, archive: Path, model: Predictor) -> None:
    with pytest.raises(ConfigError, match="fps was None, is 2"):
        annotate(
            model, find_items([archive], ASKS), whole, Settings(cut=Cut(10, 4), fps=2, num_frames=4, chunk=3)
        )


def test_failures_have_reasons_and_are_tried_again(archive: Path, model: Predictor, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    corner = np.zeros((128, 128), dtype=bool)
    corner[20:60, 30:70] = True
    square = RLE.from_mask(corner)
    items = [
        Item("broken", (broken,), (Words("Please segment the red circle."),)),
        Item(
            "partly",
            (archive / "still-0.png",),
            (Marked(0, (Mark(0, square),)), Marked(1, (Mark(0, Point(999, 5)),))),
        ),
    ]
    heard: list[str] = []
    manner = Manner(on_failure=lambda happened: heard.append(f"{happened.item} {happened.status}"))
    out = tmp_path / "out"
    report = annotate(model, items, out, manner=manner)
    assert (report.done, report.failed, report.complete) == (2, 2, True)
    assert heard == ["broken failed", "partly partly"]
    failed, partly = read_annotations(out)
    assert failed.status == "failed" and "MediaError" in failed.failures[0]["reason"]
    assert partly.status == "partly" and "999" in partly.failures[0]["reason"]
    assert [[mask.rle for mask in one.masks] for one in partly.objects] == [[square]]
    second = annotate(model, items, out)
    assert (second.done, second.failed, second.failed_before) == (0, 0, 2)
    broken.write_bytes((archive / "still-1.png").read_bytes())
    again = annotate(model, items, out, manner=Manner(retry_failed=True))
    assert (again.done, again.failed, again.failed_before) == (2, 1, 0)
    assert [item.status for item in read_annotations(out)] == ["done", "partly"]


def test_a_rate_gives_no_masks_between(archive: Path, model: Predictor, tmp_path: Path) -> None:
    item = Item("long", (archive / "long.mp4",), (Words("Please segment the red circle."),))
    annotate(model, [item], tmp_path, Settings(fps=2, num_frames=4))
    (found,) = read_annotations(tmp_path)
    assert found.clip["frames"] == [[0, 24, 4]]
    assert {mask.frame % 4 for one in found.objects for mask in one.masks} <= {0}


def test_a_mark_is_followed_through_all_windows_both_ways(
    archive: Path, model: Predictor, tmp_path: Path
) -> None:
    thing = Marked(4, (Mark(16, Box(30, 30, 90, 90)),), "thing")
    item = Item("long", (archive / "long.mp4",), (thing, Words("Please segment the red circle.")))
    recording = Recording.open(item, SETTINGS)
    assert [(step.window, step.queries, step.backward) for step in recording.steps] == [
        (0, (1,), False),
        (1, (1,), False),
        (2, (0, 1), False),
        (3, (0, 1), False),
        (1, (0,), True),
        (0, (0,), True),
    ]
    annotate(model, [item], tmp_path, SETTINGS)
    (found,) = read_annotations(tmp_path)
    assert found.queries[0] == {"object": 4, "name": "thing"}
    (followed,) = (one for one in found.objects if one.id == 4)
    assert followed.name == "thing" and followed.query == 0
    assert min(mask.frame for mask in followed.masks) < 8 and max(mask.frame for mask in followed.masks) > 20
    assert all(one.id > 4 for one in found.objects if one.query == 1)


def test_marks_on_several_frames_say_when_the_object_is_there(
    archive: Path, model: Predictor, tmp_path: Path
) -> None:
    box = Box(30, 30, 90, 90)
    item = Item("long", (archive / "long.mp4",), (Marked(0, (Mark(3, box), Mark(9, box))),))
    annotate(model, [item], tmp_path, SETTINGS)
    (found,) = read_annotations(tmp_path)
    frames = {mask.frame for one in found.objects for mask in one.masks}
    assert frames and frames <= set(range(3, 10))


def test_an_object_of_one_late_window_alone(archive: Path, model: Predictor, tmp_path: Path) -> None:
    box = Box(30, 30, 90, 90)
    item = Item("long", (archive / "long.mp4",), (Marked(0, (Mark(22, box), Mark(25, box))),))
    recording = Recording.open(item, SETTINGS)
    assert len(recording.steps) == 1 and not recording.is_short
    annotate(model, [item], tmp_path, SETTINGS)
    (found,) = read_annotations(tmp_path)
    assert {mask.frame for one in found.objects for mask in one.masks} <= set(range(22, 26))


def test_an_object_that_is_out_of_sight_on_the_overlap_is_known_by_its_mark(
    archive: Path, model: Predictor
) -> None:
    thing = Marked(4, (Mark(2, Box(30, 30, 90, 90)),))
    item = Item("long", (archive / "long.mp4",), (Words("Please segment the red circle."), thing))
    recording = Recording.open(item, SETTINGS)
    last = recording.steps[-1]
    task = recording.task(last, lambda window: {1: Unit(window, 1)})  # the window before saw nothing of it
    assert last.window == 3 and task.carried == {1: thing.marks[0]} and 2 not in task.frames
    words, followed = Finder(model, SETTINGS).find([task])[0]
    (one,) = followed.objects
    assert not followed.failed and one.start == 2
    assert {mask.frame for mask in one.masks} <= set(task.frames)
    (alone,) = Finder(model, SETTINGS).find([replace(task, queries=(0,), carried={})])[0]
    assert words.text == alone.text  # the language model does not see the frame outside
    assert [found.start for found in words.objects] == [found.start for found in alone.objects]


def test_all_kinds_of_output(archive: Path, model: Predictor, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    items = find_items([archive / "clip.mp4", archive / "still-0.png"], ASKS)
    output = Output(tmp_path, "parquet", frozenset(("coco", "png", "overlay")))
    annotate(model, items, output, Settings(num_frames=4))
    found = list(read_annotations(tmp_path))
    masks = [mask for item in found for one in item.objects for mask in one.masks]
    table = parquet.read_table(tmp_path / "masks" / "part=00000" / "masks.parquet").to_pylist()
    assert [row["counts"] for row in table] == [mask.rle.counts for mask in masks]
    rows = parquet.read_table(tmp_path / "items").to_pylist()
    assert [row["item"] for row in rows] == ["clip.mp4", "still-0.png"]
    stale = tmp_path / "items" / "part=00001" / "items.parquet"
    stale.parent.mkdir()
    stale.write_bytes((tmp_path / "items" / "part=00000" / "items.parquet").read_bytes())
    (tmp_path / "masks" / "_SUCCESS").unlink()  # as a run leaves it that is killed while it writes
    annotate(model, items, output, Settings(num_frames=4))
    assert len(parquet.read_table(tmp_path / "items")) == 2 and not stale.exists()
    coco = json.loads((tmp_path / "coco.json").read_text())
    assert len(coco["annotations"]) == len(masks) and len(coco["images"]) == 5
    assert {row["name"] for row in coco["categories"]} == {ASKS.texts[0]}
    assert len(list((tmp_path / "png" / "clip.mp4").glob("*.png"))) == 4
    assert (tmp_path / "overlays" / "clip.mp4.mp4").is_file()
    assert (tmp_path / "overlays" / "still-0.png.png").is_file()


def test_durations_read_well() -> None:
    assert [duration(seconds) for seconds in (3, 119, 600, 10_000, 400_000)] == [
        "3 s",
        "119 s",
        "10 min",
        "2.8 h",
        "4.6 days",
    ]
