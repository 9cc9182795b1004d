"""From what a person names to items."""

import json
from pathlib import Path

import numpy as np
import pytest

from unipixel.archive.boxes import import_marked
from unipixel.archive.inputs import Asked, find_items, read_prompts
from unipixel.archive.items import Item, Mark, Marked, Words
from unipixel.core.masks import RLE
from unipixel.core.prompts import Box, Point
from unipixel.core.writing import write_picture
from unipixel.errors import ConfigError, DataError, MediaError, PromptError, RequestError

RED = Asked(("red?",))


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, np.zeros((40, 60, 3), dtype=np.uint8))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("in/b.png", "in/a.jpg", "in/deep/c.png", "in/.hidden/d.png"):
        picture(tmp_path / name)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    (tmp_path / "in" / "v.MP4").write_bytes(b"not opened before its turn")
    return tmp_path


def names(items: tuple[Item, ...]) -> list[str]:
    return [item.id for item in items]


def test_a_folder_gives_everything_below_it_by_name(folder: Path) -> None:
    found = find_items([folder / "in"], RED)
    assert names(found) == ["a.jpg", "b.png", "v.MP4", "deep/c.png"]
    assert all(item.queries == (Words("red?"),) for item in found)


def test_folders_of_pictures_may_be_clips(folder: Path) -> None:
    found = find_items([folder / "in"], Asked(("red?",), folders_are_clips=True))
    assert names(found) == ["in", "v.MP4", "deep"]


def test_patterns_and_files(folder: Path) -> None:
    assert names(find_items([folder / "in" / "*.png", folder / "in" / "a.jpg"], RED)) == ["b.png", "a.jpg"]
    with pytest.raises(MediaError, match="no such file"):
        find_items([folder / "in" / "*.gif"], RED)
    with pytest.raises(MediaError, match="no pictures"):
        find_items([picture(folder / "x" / ".q.png").parent], RED)


def test_names_of_a_pattern_count_from_its_plain_part(folder: Path) -> None:
    pattern = folder / "in" / "**" / "*.png"
    assert names(find_items([pattern], RED)) == ["b.png", "deep/c.png"]
    picture(folder / "in" / "deeper" / "c.png")  # what comes later does not rename what is there
    assert names(find_items([pattern], RED)) == ["b.png", "deep/c.png", "deeper/c.png"]
    assert names(find_items([folder / "in" / "d*"], RED)) == ["deep/c.png", "deeper/c.png"]


def test_links_in_a_circle_and_folders_of_results_are_passed_over(folder: Path) -> None:
    picture(folder / "in" / "out" / "overlays" / "b.png")
    (folder / "in" / "out" / "archive.json").write_text("{}")
    (folder / "in" / "deep" / "up").symlink_to(folder / "in")
    (folder / "in" / "twin").symlink_to(folder / "in" / "deep")
    assert names(find_items([folder / "in"], RED)) == [
        "a.jpg",
        "b.png",
        "v.MP4",
        "deep/c.png",
        "twin/c.png",
    ]


def test_names_that_people_and_systems_give_are_taken(folder: Path) -> None:
    for name in ("screen\u202fshot.png", "図 1.png", "100%.png"):
        picture(folder / "odd" / name)
    assert len(find_items([folder / "odd"], RED)) == 3
    for name in ("two\nlines.png", "half\udcff.png"):
        with pytest.raises(RequestError, match="rename"):
            Item(name, (Path(name),), RED.words)
    with pytest.raises(MediaError, match="no such file"):
        find_items(["x" * 5000], RED)


def test_equal_names_of_two_folders_are_told_apart(folder: Path) -> None:
    picture(folder / "other" / "a.jpg")
    found = find_items([folder / "in", folder / "other"], RED)
    assert (folder / "other" / "a.jpg").as_posix() in names(found)
    with pytest.raises(RequestError, match="two items"):
        find_items([folder / "in" / "a.jpg", folder / "in" / "a.jpg"], RED)


def test_nothing_asked_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="--ask"):
        find_items([folder / "in"])


def test_prompts_file(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("# two\n\nthe red one\n the blue one \n")
    assert read_prompts(tmp_path / "p.txt") == ("the red one", "the blue one")
    (tmp_path / "p.txt").write_text("#\n")
    with pytest.raises(ConfigError, match="no question"):
        read_prompts(tmp_path / "p.txt")


# Manifests

ROWS: list[dict[str, object]] = [
    {"media": "a.mp4", "ask": ["red?", "blue?"], "fps": 5},
    {"media": "b.png", "id": "B", "objects": [{"id": 3, "name": "car", "box": [1, 2, 30, 20]}]},
    {"frames": ["1.png", "2.png"], "id": "f", "objects": [{"point": [4, 5], "frame": 1}], "ask": "red?"},
]


def check_rows(found: tuple[Item, ...], folder: Path) -> None:
    assert names(found) == ["a.mp4", "B", "f"]
    assert found[0].queries == (Words("all?"), Words("red?"), Words("blue?")) and found[0].fps == 5
    assert found[0].media == (folder / "a.mp4",)
    assert found[1].queries[1] == Marked(3, (Mark(0, Box(1, 2, 30, 20)),), "car")
    assert found[2].media == (folder / "1.png", folder / "2.png")
    assert found[2].queries[2] == Marked(0, (Mark(1, Point(4, 5)),))


def test_jsonl(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS) + "\n")
    check_rows(find_items([tmp_path / "m.jsonl"], Asked(("all?",))), tmp_path)


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [
        {**row, "ask": [row["ask"]] if isinstance(row.get("ask"), str) else row.get("ask")} for row in ROWS
    ]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "m.parquet")
    columns = parquet.read_schema(tmp_path / "m.parquet").names
    assert "ask" in columns
    rows = [
        {name: row.get(name) for name in ("media", "frames", "id", "ask", "objects", "fps")} for row in rows
    ]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "m.parquet")
    check_rows(find_items([tmp_path / "m.parquet"], Asked(("all?",))), tmp_path)


def test_csv_rows_of_one_item_are_joined(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(
        "media,ask,object,name,frame,x1,y1,x2,y2\n"
        "a.mp4,red?,,,,,,,\n"
        "a.mp4,,3,car,0,1,2,3,4\n"
        "a.mp4,,3,,9,2,2,4,4\n"
        "b.png,blue?,,,,,,,\n"
    )
    found = find_items([tmp_path / "m.csv"])
    assert names(found) == ["a.mp4", "b.png"]
    car = Marked(3, (Mark(0, Box(1, 2, 3, 4)), Mark(9, Box(2, 2, 4, 4))), "car")
    assert found[0].queries == (Words("red?"), car)
    assert car.reach == (0, 9)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"media": "a.mp4", "asks": "red?"}', "line 1.*asks"),
        ('{"media": "a.mp4", "ask": "red?", "objects": [{"box": [5, 5, 1, 1]}]}', "line 1.*swapped"),
        ('{"ask": "red?"}', "no file"),
        ("[1]", "line 1"),
        ("{", "no JSON"),
    ],
)
def test_damaged_rows_are_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "m.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=message):
        find_items([tmp_path / "m.jsonl"])


def test_the_own_form_is_followed_and_asked(tmp_path: Path) -> None:
    rle = RLE.from_mask(np.eye(40, 60, dtype=bool)).to_coco()
    item = {
        "id": "x",
        "task": "segment",
        "media": {"image": "a.png", "width": 60, "height": 40},
        "conversation": [{"role": "user", "expression": "the line"}, {"role": "assistant", "masks": [2]}],
        "objects": [{"id": 2, "name": "line", "regions": [{"rle": rle}]}],
    }
    (tmp_path / "m.jsonl").write_text(json.dumps(item) + "\n")
    (found,) = find_items([tmp_path / "m.jsonl"])
    assert found.queries == (Words("the line"), Marked(2, (Mark(0, RLE.from_coco(rle)),), "line"))


# Other layouts


def test_mot_boxes_become_one_object_each(tmp_path: Path) -> None:
    for number in range(1, 4):
        picture(tmp_path / "seq" / "img1" / f"{number:06d}.png")
    (tmp_path / "seq" / "gt").mkdir()
    lines = [f"{frame},{id},5,6,10,12,1,1,1" for frame in (1, 2, 3) for id in (4, 9)][:-1]
    (tmp_path / "seq" / "gt" / "gt.txt").write_text("\n".join(lines) + "\n")
    (found,) = import_marked("mot", [tmp_path / "seq"], (Words("who?"),))
    assert found.queries[0] == Words("who?")
    tracks = [query for query in found.queries if isinstance(query, Marked)]
    assert [(one.id, one.name, one.reach) for one in tracks] == [
        (4, "pedestrian", (0, 2)),
        (9, "pedestrian", (0, 1)),
    ]
    assert tracks[0].marks[0].shape == Box(4, 5, 13, 16)
    assert found.first_free == 10
    assert found.open().num_frames == 3


def test_yolo_and_coco_boxes_become_one_object_each(tmp_path: Path) -> None:
    picture(tmp_path / "p" / "one.png")
    (tmp_path / "l").mkdir()
    (tmp_path / "l" / "one.txt").write_text("1 0.5 0.5 0.5 0.5\n0 0.25 0.25 0.1 0.1\n")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (item,) = import_marked("yolo", [tmp_path / "p", tmp_path / "l", tmp_path / "classes.txt"])
    assert [query.name for query in item.queries if isinstance(query, Marked)] == ["dog", "cat"]
    coco = {
        "images": [{"id": 1, "file_name": "one.png", "width": 60, "height": 40}],
        "categories": [{"id": 5, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [2, 3, 10, 8], "iscrowd": 0}],
    }
    (tmp_path / "c.json").write_text(json.dumps(coco))
    (item,) = import_marked("coco", [tmp_path / "c.json", tmp_path / "p"])
    assert item.queries == (Marked(0, (Mark(0, Box(2, 3, 11, 10)),), "cat"),)
    with pytest.raises(ConfigError, match="takes instances"):
        list(import_marked("coco", [tmp_path / "c.json"]))


def test_items_that_cannot_be_are_refused() -> None:
    with pytest.raises(PromptError, match="one mark on each"):
        Marked(0, (Mark(1, Point(1, 1)), Mark(1, Point(2, 2))))
    with pytest.raises(PromptError, match="one number"):
        Item("a", (Path("a"),), (Marked(0, (Mark(1, Point(1, 1)),)), Marked(0, (Mark(1, Point(2, 2)),))))
    with pytest.raises(RequestError, match="a question"):
        Item("a", (Path("a"),), ())
