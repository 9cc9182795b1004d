"""A person's own data: what a line may say, what comes of it, and what every kind of damage is called."""

import copy
import json
import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.own_data import EXAMPLES, HEIGHT, NUM_FRAMES, WIDTH, make_files, written

from unipixel.core.masks import RLE
from unipixel.core.prompts import Box, Point
from unipixel.data.checking import check_jsonl
from unipixel.data.jsonl import (
    FrameSpan,
    Item,
    ItemMedia,
    ItemObject,
    Outline,
    Region,
    open_jsonl,
    read_items,
    write_jsonl,
)
from unipixel.data.jsonl.parts import Find
from unipixel.data.registry import open_dataset
from unipixel.data.sample import Caption, Choice, Exchange, Expression
from unipixel.errors import DataError, OutputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mine")
    make_files(root)
    return root


def problems(file: Path, root: Path | None = None) -> list[str]:
    found: list[DataError] = []
    check_jsonl(file, root, found.append)
    return [str(problem) for problem in found]


# The document


def test_the_document_has_an_example_of_each_task() -> None:
    assert {example["task"] for example in EXAMPLES} == {
        *("segment", "refer", "describe", "remember", "choose", "chat")
    }


def test_the_examples_of_the_document_are_right(folder: Path) -> None:
    file = written(folder, *EXAMPLES)
    assert problems(file) == []
    for index, sample in enumerate(open_jsonl(file)):
        assert (sample.id, sample.task) == (EXAMPLES[index]["id"], EXAMPLES[index]["task"])


def test_the_examples_come_back_as_they_were_written(folder: Path) -> None:
    items = [item for _, item in read_items(written(folder, *EXAMPLES))]
    again = folder / "again.jsonl"
    assert write_jsonl(again, items) == len(EXAMPLES)
    assert [item for _, item in read_items(again)] == items


# Samples


def test_expressions(folder: Path) -> None:
    sample = open_jsonl(written(folder, EXAMPLES[1]))[0]
    assert sample.object_ids == (1, 2, 3, 4)  # the last stands for "nothing fits"
    assert sample.rounds == (
        Expression("the dog", "query", (0,)),
        Expression("everyone who waits", "description", (1, 2)),
        Expression("Who may cross the street?", "question", (1,), "The child at the crossing"),
        Expression("a bicycle", "query", (3,)),
    )
    assert sample.masks is not None and sample.annotated is None and sample.pointers == ()
    masks = sample.masks.read([0], HEIGHT, WIDTH)[:, 0]
    columns = masks[0].any(axis=0).nonzero()[0]
    assert masks[0].sum() == 60 and columns.tolist() == [20, 21]
    assert masks[1].sum() == 30 * 70 and masks[1, 20:90, 10:40].all()
    assert masks[2].sum() == 40 * 40 and masks[2, 20:60, 30:70].all()
    assert not masks[3].any()


def test_masks_hold_for_their_time(folder: Path) -> None:
    sample = open_jsonl(written(folder, EXAMPLES[2]))[0]
    assert sample.annotated == (0, 8, 9, 10, 11, 12)
    assert sample.masks is not None
    shown = sample.masks.read(range(NUM_FRAMES), HEIGHT, WIDTH).any(axis=(2, 3))
    assert shown[0].nonzero()[0].tolist() == [0, 8, 9, 10, 11, 12]
    assert shown[1].nonzero()[0].tolist() == [8, 9, 10, 11, 12]  # 1 to 1.5 seconds of 8 frames a second
    assert sample.rounds[0].mentioned == (1, 2)  # type: ignore[union-attr]


def test_without_a_list_frames_that_regions_name_are_annotated(folder: Path) -> None:
    example = {name: value for name, value in EXAMPLES[2].items() if name != "annotated"}
    assert open_jsonl(written(folder, example))[0].annotated == (0, 8, 9, 10, 11, 12)
    assert open_jsonl(written(folder, example | {"annotated": "all"}))[0].annotated is None


def test_a_region_without_time_holds_while_its_object_exists(folder: Path) -> None:
    thing = {
        "id": 1,
        "exists": [{"frames": [3, 5]}, {"seconds": [1, 1.2]}],
        "regions": [{"png": "masks/cook-0.png"}],
    }
    example = EXAMPLES[7] | {"id": "x", "task": "describe", "media": {"video": "clips/kitchen.mp4"}}
    example |= {"objects": [thing], "conversation": said("Who is [1]?", "A cook.")}
    file = written(folder, example)
    assert problems(file) == []
    sample = open_jsonl(file)[0]
    assert sample.annotated == (3, 4, 5, 8, 9)
    assert sample.masks is not None
    assert sample.masks.read([2, 3, 8, 10], HEIGHT, WIDTH).any(axis=(0, 2, 3)).tolist() == [
        False,
        True,
        True,
        False,
    ]


def test_encodings_of_one_object_are_joined(folder: Path) -> None:
    regions = [
        {"polygons": [[0, 0, 10, 0, 10, 10, 0, 10]]},
        {"rle": RLE.from_mask(block(20, 30)).to_coco()},
        {"png": "masks/street.png"},
    ]
    sample = open_jsonl(written(folder, find([{"id": 1, "regions": regions}])))[0]
    assert sample.masks is not None
    assert sample.masks.read([0], HEIGHT, WIDTH).sum() == 100 + 100 + 1600


def block(x: int, y: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    mask[y - 20 : y - 10, x + 60 : x + 70] = True
    return mask


def test_boxes_and_points_are_pointers_and_no_masks(folder: Path) -> None:
    sample = open_jsonl(written(folder, EXAMPLES[3]))[0]
    assert sample.masks is None
    assert sample.pointers == ((Box(20, 30, 60, 110, frame=1),), (Point(80, 12, frame=0),))
    assert sample.rounds == (
        Exchange("What does [1] sell?", "Apples."),
        Caption("a green awning", 1, "brief"),
    )


def test_a_pointer_beside_a_mask(folder: Path) -> None:
    sample = open_jsonl(written(folder, EXAMPLES[5]))[0]
    assert sample.pointers == ((Point(30, 40),), ())
    assert sample.masks is not None and sample.masks.num_objects == 2
    assert sample.media is not None and sample.media.vid == "kitchen"


def test_options(folder: Path) -> None:
    sample = open_jsonl(written(folder, EXAMPLES[6]))[0]
    assert sample.rounds == (Choice("What is [1] doing?", ("baking", "sleeping"), 0),)
    assert sample.key_frame == 8 and sample.facts == {"type": "action"} and sample.annotated == (8,)


def test_seconds_count_by_the_clock_of_the_file_where_it_has_one(folder: Path) -> None:
    media = {"frames": ["market/0.jpg", "market/1.jpg"], "fps": 2}
    thing = {"id": 1, "regions": [{"seconds": [0.5, 9], "box": [1, 1, 5, 5]}]}
    sample = open_jsonl(
        written(
            folder, EXAMPLES[3] | {"media": media, "objects": [thing], "conversation": said("[1]?", "A box.")}
        )
    )[0]
    assert sample.pointers == ((Box(1, 1, 5, 5, frame=1),),)


def test_talk_needs_no_picture(folder: Path) -> None:
    sample = open_jsonl(written(folder, EXAMPLES[-1]))[0]
    assert sample.media is None and sample.task == "chat"


def test_a_later_question_may_name_what_an_answer_named(folder: Path) -> None:
    item = find(
        BOTH, conversation=[*said("Where is the cup?", "It is [1]."), *said("And what is beside [1]?", "[2]")]
    )
    assert problems(written(folder, item)) == []


# The file


def test_it_travels_and_is_opened_by_name(folder: Path, tmp_path: Path) -> None:
    written(folder, *EXAMPLES, name="val.jsonl")
    data = open_dataset("jsonl", "val", folder, cache=tmp_path)
    again = pickle.loads(pickle.dumps(data))
    assert [sample.id for sample in again] == [example["id"] for example in EXAMPLES]
    masks = pickle.loads(pickle.dumps(data[1])).masks
    assert masks.read([0], HEIGHT, WIDTH).any()


def test_paths_may_be_relative_to_another_folder(folder: Path, tmp_path: Path) -> None:
    file = written(tmp_path, *EXAMPLES)
    assert problems(file, folder) == []
    sample = open_jsonl(file, folder)[0]
    assert sample.media is not None and sample.media.open().width == WIDTH
    assert len(problems(file)) > len(EXAMPLES)


def test_opening_reads_no_line(tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    good = json.dumps(EXAMPLES[-1])
    file.write_text("\n".join(["{no json", good, good]), "utf-8")  # the last line has no end
    data = open_jsonl(file)
    assert len(data) == 3 and data[1].id == data[-1].id == "talk-1"
    with pytest.raises(DataError, match=r"many\.jsonl, line 1, column 2: found no JSON"):
        data[0]
    with pytest.raises(IndexError):
        data[3]


def test_a_byte_order_mark_and_other_line_ends_are_read(tmp_path: Path) -> None:
    file = tmp_path / "windows.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(EXAMPLES[-1]).encode() + b"\r\n")
    assert problems(file) == []


def test_writing_is_all_or_nothing(folder: Path, tmp_path: Path) -> None:
    item = next(read_items(written(folder, EXAMPLES[0])))[1]
    file = tmp_path / "out.jsonl"
    with pytest.raises(DataError, match="'cups-1' again"):
        write_jsonl(file, [item, item])
    with pytest.raises(DataError, match="no items to write"):
        write_jsonl(file, [])
    with pytest.raises(OutputError, match="cannot be written"):
        write_jsonl(tmp_path / "nowhere" / "out.jsonl", [item])
    assert list(tmp_path.iterdir()) == []


def test_items_check_themselves() -> None:
    thing = ItemObject(1, "cup", (Region(Box(1, 2, 3, 4)),))
    with pytest.raises(
        DataError, match=r"conversation\[1\]\.masks: found object \[1\] with only boxes or points"
    ):
        Item("a", "segment", (Find("cup", (1,)),), ItemMedia("image", ("a.jpg",)), (thing,))
    with pytest.raises(DataError, match="found frames 5 to 2"):
        FrameSpan(5, 2)
    with pytest.raises(DataError, match="found 4 numbers; expected"):
        Outline(((1, 2, 3, 4),))


# Damage


def said(question: str, answer: str) -> list[dict[str, Any]]:
    return [{"role": "user", "text": question}, {"role": "assistant", "text": answer}]


SQUARE = {"polygons": [[10, 10, 40, 10, 40, 40, 10, 40]]}
BOTH = [{"id": 1, "regions": [SQUARE]}, {"id": 2, "regions": [SQUARE]}]


def find(objects: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """A right item but for what is given."""
    turns = [{"role": "user", "expression": "the cup"}, {"role": "assistant", "masks": [1]}]
    item = {"id": "a", "task": "segment", "media": {"image": "pictures/cups.jpg"}, "conversation": turns}
    return item | {"objects": objects} | fields


def one(region: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return find([{"id": 1, "regions": [region]}], **fields)


def video(region: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return one(region, media={"video": "clips/kitchen.mp4"}, **fields)


def turn(question: dict[str, Any], answer: dict[str, Any], **fields: Any) -> dict[str, Any]:
    turns = [{"role": "user", **question}, {"role": "assistant", **answer}]
    return find(BOTH, **({"conversation": turns} | fields))


GOOD = find(BOTH)
RUN = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH - 9, 9]}

# what is damaged -> (the item, or the bytes of the line; where; what is found; what is expected)
DAMAGE: dict[str, tuple[Any, str, str, str]] = {
    # the line
    "broken JSON": (b'{"id": "a", ', "column 13", "no JSON", "one JSON object"),
    "not UTF-8": (b'{"id": "\xff"}', "", r"no UTF-8 (byte 9 of the line, b'\xff')", "text in UTF-8"),
    "an empty line": (b"", "", "an empty line", "an item"),
    "no object": ([1], "", "a list with 1 items", "an object"),
    "too deep": (b"[" * 100_000, "", "lists within lists without end", "one JSON object"),
    "a field twice": (b'{"id": "a", "id": "b"}', "id", "the field 'id' twice", "each field once"),
    "NaN": (b'{"id": NaN}', "", "the number NaN", "finite numbers"),
    # its fields
    "unknown field": (GOOD | {"medai": 1}, "medai", "the unknown field 'medai'", "did you mean 'media'?"),
    "unknown field of a region": (
        one(SQUARE | {"frme": 0}),
        "objects[0].regions[0].frme",
        "unknown",
        "'frame'",
    ),
    "unknown field of a turn": (
        turn({"expression": "a cup", "from": "query"}, {"masks": [1]}),
        "conversation[0].from",
        "unknown",
        "'form'",
    ),
    "no id": ({k: v for k, v in GOOD.items() if k != "id"}, "id", "nothing", "this field"),
    "empty id": (GOOD | {"id": " "}, "id", "' '", "words"),
    "wrong type of a field": (
        GOOD | {"objects": {"1": SQUARE}},
        "objects",
        "an object with 1 items",
        "a list",
    ),
    "number in quotes": (
        find([{"id": "1", "regions": [SQUARE]}]),
        "objects[0].id",
        "'1'",
        "a whole number from 0",
    ),
    "true for a number": (
        one({"frame": True, **SQUARE}),
        "objects[0].regions[0].frame",
        "True",
        "a whole number",
    ),
    "unknown task": (GOOD | {"task": "segmnt"}, "task", "'segmnt'", "did you mean 'segment'?"),
    "no media": (
        {k: v for k, v in GOOD.items() if k != "media"},
        "media",
        "nothing",
        "a picture, a video or frames",
    ),
    "two kinds of media": (
        GOOD | {"media": {"image": "a", "video": "b"}},
        "media",
        "['image', 'video']",
        "exactly one",
    ),
    "facts of another kind": (
        GOOD | {"facts": {"a": [1]}},
        "facts.a",
        "a list with 1 items",
        "text, a number",
    ),
    # paths
    "a path out of the root": (
        GOOD | {"media": {"image": "../a.jpg"}},
        "media.image",
        "'../a.jpg'",
        "a path relative",
    ),
    "an absolute path": (
        one({"png": "/etc/a.png"}),
        "objects[0].regions[0].png",
        "'/etc/a.png'",
        "a path relative",
    ),
    "missing picture": (
        GOOD | {"media": {"image": "no.jpg"}},
        "media.image",
        "no file 'no.jpg'",
        "a file in",
    ),
    "missing frame": (
        one({"frame": 0, **SQUARE}, media={"frames": ["market/0.jpg", "market/7.jpg"]}),
        "media.frames[1]",
        "no file 'market/7.jpg'",
        "a file in",
    ),
    "missing video": (
        video({"frame": 0, **SQUARE}) | {"media": {"video": "clips/no.mp4"}},
        "media.video",
        "no file",
        "a file in",
    ),
    "a missing mask of a missing picture": (
        one({"png": "masks/no.png"}, media={"image": "no.jpg"}),
        "objects[0].regions[0].png",
        "no file",
        "a file in",
    ),
    "a picture that is called a mask": (
        one({"png": "masks/jpeg.png"}),
        "objects[0].regions[0]",
        "a JPEG cannot hold a mask",
        "files that can be read",
    ),
    "a mask of another kind": (one({"png": "a.jpg"}), "objects[0].regions[0].png", "'a.jpg'", "a PNG"),
    "missing mask": (
        one({"png": "masks/no.png"}),
        "objects[0].regions[0].png",
        "no file 'masks/no.png'",
        "a file in",
    ),
    "a damaged picture": (
        GOOD | {"media": {"image": "damaged.jpg"}},
        "media",
        "damaged.jpg",
        "files that can be read",
    ),
    # sizes
    "PNG of another size": (
        one({"png": "masks/small.png"}),
        "objects[0].regions[0].png",
        "small.png of 160x50",
        "160x120",
    ),
    "RLE of another size": (
        one({"rle": {"size": [60, 80], "counts": [4791, 9]}}),
        "objects[0].regions[0].rle.size",
        "80x60",
        "160x120",
    ),
    "RLE that covers too little": (
        one({"rle": {"size": [120, 160], "counts": [5, 9]}}),
        "objects[0].regions[0].rle",
        "cover 14 pixels",
        "COCO",
    ),
    "RLE of nonsense": (
        one({"rle": {"size": [120, 160], "counts": "~~"}}),
        "objects[0].regions[0].rle",
        "damaged",
        "COCO",
    ),
    "another size than the picture": (
        GOOD | {"media": {"image": "pictures/cups.jpg", "width": 80, "height": 60}},
        "media.width",
        "80x60",
        "160x120",
    ),
    "a width without height": (
        GOOD | {"media": {"image": "a.jpg", "width": 8}},
        "media",
        "an object",
        "both width and",
    ),
    # coordinates
    "NaN coordinates": (
        json.dumps(one({"box": [1, 2, float("nan"), 4]})).encode(),
        "",
        "the number NaN",
        "finite numbers",
    ),
    "too large a number": (
        b'{"id": "a", "task": "chat", "media": {"frames": ["a.jpg"], "fps": 1e999}, "conversation": []}',
        "media.fps",
        "inf",
        "a finite number",
    ),
    "swapped corners": (
        one({"box": [40, 10, 10, 40]}),
        "objects[0].regions[0].box",
        "swapped corners",
        "x1 <= x2",
    ),
    "polygon of 2 points": (
        one({"polygons": [[1, 2, 3, 4]]}),
        "objects[0].regions[0].polygons[0]",
        "4 numbers",
        "at least 3 points",
    ),
    "odd polygon": (
        one({"polygons": [[1] * 7]}),
        "objects[0].regions[0].polygons[0]",
        "7 numbers",
        "at least 3 points",
    ),
    "no polygon": (one({"polygons": []}), "objects[0].regions[0].polygons", "no polygon", "at least one"),
    "polygon outside": (
        one({"polygons": [[500, 10, 540, 10, 540, 40]]}),
        "objects[0].regions[0].polygons[0]",
        "outside",
        "160x120",
    ),
    "polygon without a pixel": (
        one({"polygons": [[5, 5, 5, 5, 5, 5]]}),
        "objects[0].regions[0].polygons",
        "without a pixel",
        "an outline",
    ),
    "box outside the picture": (
        one({"box": [10, 10, 200, 40]}, task="refer", conversation=said("[1]?", "A cup.")),
        "objects[0].regions[0].box",
        "[10.0, 10.0, 200.0, 40.0]",
        "x from 0 to 159",
    ),
    "a box of 3 numbers": (
        one({"box": [1, 2, 3]}),
        "objects[0].regions[0].box",
        "a list with 3 items",
        "4 numbers",
    ),
    # time
    "frame out of range": (
        one({"frame": 2, **SQUARE}, media={"frames": ["market/0.jpg", "market/1.jpg"]}),
        "objects[0].regions[0]",
        "frame 2",
        "frames 0 to 1",
    ),
    "frame behind a video": (
        video({"frame": 24, **SQUARE}),
        "objects[0].regions[0]",
        "frame 24",
        "frames 0 to 23",
    ),
    "swapped frames": (
        video({"frames": [5, 2], **SQUARE}),
        "objects[0].regions[0].frames",
        "frames 5 to 2",
        "first",
    ),
    "negative time": (
        video({"seconds": [-1, 2], **SQUARE}),
        "objects[0].regions[0].seconds",
        "-1 to 2 seconds",
        "the beginning",
    ),
    "seconds without a clock": (
        one({"seconds": [0, 1], **SQUARE}, media={"frames": ["market/0.jpg"] * 2}),
        "objects[0].regions[0]",
        "0 to 1 seconds",
        '"fps" in `media`',
    ),
    "seconds behind a video": (
        video({"seconds": [50, 60], **SQUARE}),
        "objects[0].regions[0]",
        "without a frame",
        "a time in which",
    ),
    "no time in a video": (
        video(SQUARE),
        "objects[0].regions[0]",
        "no time",
        '"frame", "frames" or "seconds"',
    ),
    "two times": (
        video({"frame": 1, "seconds": [0, 1], **SQUARE}),
        "objects[0].regions[0]",
        "['frame', 'sec",
        "one of",
    ),
    "outside of its existence": (
        find(
            [{"id": 1, "exists": [{"frames": [0, 3]}], "regions": [{"frame": 4, **SQUARE}]}],
            media={"video": "clips/kitchen.mp4"},
        ),
        "objects[0].regions[0]",
        "frame 4, when the object does not exist",
        "a time inside",
    ),
    "outside of its existence, by two clocks": (
        find(
            [{"id": 1, "exists": [{"seconds": [0, 1]}], "regions": [{"frame": 12, **SQUARE}]}],
            media={"video": "clips/kitchen.mp4"},
        ),
        "objects[0].regions[0]",
        "frame 12, when the object does not exist",
        "a time inside",
    ),
    "annotated frames in disorder": (
        video({"frame": 1, **SQUARE}, annotated=[3, 1]),
        "annotated",
        "[3, 1]",
        "increasing frame numbers",
    ),
    "a key frame that is not there": (
        video({"frame": 1, **SQUARE}, key_frame=99),
        "key_frame",
        "frame 99",
        "0 to 23",
    ),
    # objects
    "duplicate object ids": (
        find([BOTH[0], BOTH[0]]),
        "objects[1].id",
        "1 again",
        "a number unlike objects[0]",
    ),
    "an id without object": (
        turn({"expression": "x"}, {"masks": [7]}),
        "conversation[1].masks",
        "[7], which no object is",
        "[1, 2]",
    ),
    "an id in a text without object": (
        turn({"text": "Where?"}, {"text": "It is [9]."}),
        "conversation[1].text",
        "[9], which no object is",
        "[1, 2]",
    ),
    "a box where a mask is needed": (
        one({"box": [1, 2, 3, 4]}),
        "conversation[1].masks",
        "object [1] with only boxes or points",
        "a mask (rle",
    ),
    "a box where what is under it is needed": (
        one({"box": [1, 2, 3, 4]}, task="describe", conversation=said("[1]?", "A cup.")),
        "conversation[0].text",
        "object [1] with only boxes or points",
        "use task 'refer'",
    ),
    "an object without region": (
        find([{"id": 1}]),
        "conversation[1].masks",
        "object [1] with no region",
        "a mask",
    ),
    "masks without a pixel": (
        one({"png": "masks/street.png", "value": 5}),
        "objects[0]",
        "masks without a pixel",
        "an object that is seen",
    ),
    "two encodings in one region": (
        one(SQUARE | RUN),
        "objects[0].regions[0].counts",
        "unknown field",
        "one of",
    ),
    "a box to be ignored": (
        find(BOTH, ignored=[{"box": [1, 2, 3, 4]}]),
        "ignored[0]",
        "a box or point",
        "a mask",
    ),
    # the conversation
    "empty text": (turn({"text": ""}, {"text": "[1]"}), "conversation[0].text", "''", "words"),
    "no turns": (
        find(BOTH, conversation=[]),
        "conversation",
        "a list with nothing in it",
        "a question and its answer",
    ),
    "no answer": (
        find(BOTH, conversation=[{"role": "user", "text": "x"}]),
        "conversation[0]",
        "an object",
        "an assistant's turn",
    ),
    "wrong order": (
        find(BOTH, conversation=said("a", "[1]")[::-1]),
        "conversation[0].role",
        "'assistant'",
        "the user begins",
    ),
    "masks asked of a text": (
        turn({"text": "Where?"}, {"masks": [1]}),
        "conversation[1].masks",
        "unknown field",
        "one of",
    ),
    "no mask in any answer": (
        turn({"text": "Where?"}, {"text": "There."}),
        "conversation",
        "no mask in any answer",
        '"masks"',
    ),
    "pointing without a pointer": (
        turn({"text": "What is beside [1]?"}, {"text": "[2]"}),
        "conversation[0].text",
        "[1], which no answer",
        "'remember'",
    ),
    "nothing pointed at": (
        turn({"text": "Where?"}, {"text": "[1]"}, task="refer"),
        "conversation",
        "no object in any question",
        "an [id]",
    ),
    "a control token": (
        turn({"text": "x"}, {"text": "It is <|seg|>, [1]."}),
        "conversation[1]",
        "'<|seg|>' in the text",
        "plain words",
    ),
    "a region tag": (
        turn({"text": "What is <region1>?"}, {"text": "[1]"}),
        "conversation[0]",
        "'<region1>' in the text",
        "plain words",
    ),
    "a placeholder": (
        find([], task="chat", conversation=said("<image>\nWhat?", "x")),
        "conversation[0]",
        "'<image>'",
        "plain words",
    ),
    "an object twice in a mask": (
        turn({"expression": "x"}, {"masks": [1, 1]}),
        "conversation[1].masks",
        "[1, 1]",
        "each object once",
    ),
    "a part without its name": (
        turn({"expression": "cup", "form": "part"}, {"masks": [1]}),
        "conversation[0]",
        "form 'part' with part ''",
        "both",
    ),
    "an explanation that is missing": (
        turn({"expression": "cup", "form": "explanatory"}, {"masks": [1]}),
        "conversation[1]",
        "no text",
        "the words",
    ),
    "a letter of no option": (
        turn({"text": "x", "options": ["a", "b"]}, {"option": "C"}, task="choose"),
        "conversation[1].option",
        "'C'",
        "['A', 'B']",
    ),
    "one option": (
        turn({"text": "x", "options": ["a"]}, {"option": "A"}, task="choose"),
        "conversation[0].options",
        "1 items",
        "2 to 26",
    ),
    "a turn of another task": (
        turn({"describe": 1}, {"text": "x"}),
        "conversation[0]",
        "task 'segment' does not",
        '"expression"',
    ),
    "objects in talk": (
        find(BOTH, task="chat", conversation=said("a", "b")),
        "objects",
        "2 objects",
        "chat cannot",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_its_place(folder: Path, name: str) -> None:
    damaged, place, found, expected = DAMAGE[name]
    line = damaged if isinstance(damaged, bytes) else json.dumps(damaged).encode()
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    file = folder / "damaged.jsonl"
    good = [json.dumps(GOOD | {"id": f"good {number}"}).encode() for number in range(2)]
    file.write_bytes(b"\n".join([good[0], line, good[1]]) + b"\n")
    told: list[DataError] = []
    assert check_jsonl(file, None, told.append).items == 3
    assert told, "the damage was not found"
    where = f"line 2, {place}" if place else "line 2"
    assert [problem.place for problem in told if problem.place == where] == [where], [*map(str, told)]
    problem = next(problem for problem in told if problem.place == where)
    assert problem.file == str(file)
    assert found in problem.found and expected in problem.expected, str(problem)
    assert {one.place.split(",")[0] for one in told} == {"line 2"}  # the others are right, and were looked at


JUNK: list[Any] = [
    *(None, True, -1, 0, 10**8, 10**400, 1e308, -0.5, "", "x", "../x", "\0", "\ud800", "a" * 300),
    *([], [[]], [1, 2], [-1, 5, 9, 7], {}, {"a": {}}, {"\ud800\n": 1}),
    *({"size": [1e9, 2], "counts": "0"}, {"size": [HEIGHT, WIDTH], "counts": [-1, True]}),
]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every value inside a value."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def test_any_value_in_any_place_is_read_or_named(folder: Path) -> None:
    """Nothing but a DataError comes of nonsense, whose message is text that can be shown."""
    items = []
    for example in EXAMPLES:
        for number in range(len(list(places(example)))):
            for junk in JUNK:
                broken = copy.deepcopy(example) | {"id": f"item {len(items)}"}
                container, key = list(places(broken))[number]
                container[key] = junk
                items.append(broken)
    draw = random.Random(5).sample(items, 1000)
    file = written(folder, *draw, name="junk.jsonl")
    told: list[DataError] = []
    assert check_jsonl(file, None, told.append).items == len(draw)
    named = {int(problem.place.split(",")[0].removeprefix("line ")) for problem in told}
    good = dict(read_items(file, lambda _: None))
    read = set(good)
    assert named | read == set(range(1, len(draw) + 1))
    for line in read - named:
        assert open_jsonl(file)[line - 1].id == good[line].id
    again = folder / "again.jsonl"
    unique = {item.id: item for item in good.values()}
    write_jsonl(again, unique.values())
    assert [item for _, item in read_items(again)] == [*unique.values()]


def test_the_table_of_damage_is_long_enough() -> None:
    assert len(DAMAGE) >= 30


def test_the_same_item_twice(folder: Path) -> None:
    file = written(folder, GOOD, GOOD | {"id": "b"}, GOOD)
    assert problems(file) == [f"{file}, line 3, id: found 'a' again; expected a name unlike that of line 1."]


def test_a_missing_and_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.jsonl: found no such file"):
        open_jsonl(tmp_path / "no.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match=r"empty\.jsonl: found an empty file"):
        open_jsonl(tmp_path / "empty.jsonl")


def test_a_line_with_several_problems_names_them_all(folder: Path) -> None:
    item = find(
        [{"id": -1, "regions": [SQUARE]}, {"id": 2, "regions": [{"box": [9, 1, 2, 3]}]}], task="x", colour=1
    )
    told: list[DataError] = []
    assert [*read_items(written(folder, item), told.append)] == []
    assert [one.place.removeprefix("line 1, ") for one in told] == [
        *("colour", "task", "objects[0].id", "objects[1].regions[0].box")
    ]


def test_reading_stops_at_the_first_problem_where_nobody_listens(folder: Path) -> None:
    item = find([{"id": -1}, {"id": -2}])
    with pytest.raises(DataError, match=r"mine\.jsonl, line 1, objects\[0\]\.id: found -1; expected a whole"):
        next(read_items(written(folder, item)))


def test_masks_are_refused_by_training_too(folder: Path) -> None:
    """Not only `check` notices a mask of another size: reading it does."""
    for damaged in ("PNG of another size", "RLE of another size"):
        item, place, found, _ = DAMAGE[damaged]
        sample = open_jsonl(written(folder, item))[0]
        assert sample.masks is not None
        with pytest.raises(DataError) as error:
            sample.masks.read([0], HEIGHT, WIDTH)
        assert error.value.place == f"line 1, {place}" and found in error.value.found
