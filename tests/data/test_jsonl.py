"""A person's own data: what a line may say, and what comes of it."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.data.damaged_lines import BOTH, find, said
from tests.data.own_data import EXAMPLES, HEIGHT, NUM_FRAMES, WIDTH, problems, written

from unipixel.core.masks import RLE
from unipixel.core.prompts import Box, Point
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
