"""Every data set of regions, talk and choices is read from its published layout: texts, masks, filters.

Over 500 lines: one section for each publisher, checked by the same helpers.
"""

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.data.published import BUILDERS
from tests.data.published.drawing import HEIGHT, WIDTH, block
from tests.data.published.regions import BUILDERS as OWN
from tests.data.published.regions import FOLDERS, INST_IT, SUITE, VIDEOMME_ROWS, make_original_questions

from unipixel.data.readers import videorefer
from unipixel.data.readers.choices import TASKS, read_parquet
from unipixel.data.readers.inst_it import clean
from unipixel.data.readers.osprey import mend_tags
from unipixel.data.registry import Dataset, get_dataset, open_dataset
from unipixel.data.sample import Caption, Choice, Exchange, Media, Sample
from unipixel.errors import ConfigError, DataError

NONE = block()


def built(name: str, root: Path, **choices: str) -> Dataset:
    BUILDERS[name](root)
    return open_dataset(name, get_dataset(name).splits[0], root, cache=root / "cache", **choices)


def talk(sample: Sample) -> list[tuple[str, str]]:
    """Questions and answers."""
    assert all(isinstance(turn, Exchange) for turn in sample.rounds)
    return [(turn.question, turn.answer) for turn in sample.rounds if isinstance(turn, Exchange)]


def only(sample: Sample) -> Any:
    (turn,) = sample.rounds
    return turn


def media(sample: Sample) -> Media:
    assert sample.media is not None
    return sample.media


def assert_masks(sample: Sample, seen: dict[int, list[np.ndarray]], count: int) -> None:
    """Masks of all objects on the frames where any is seen; all others of the clip's frames are empty."""
    assert sample.masks is not None
    masks = sample.masks.read(range(count), HEIGHT, WIDTH)
    empty = [NONE] * sample.masks.num_objects
    expected = np.stack([np.stack(seen.get(frame, empty)) for frame in range(count)], axis=1)
    np.testing.assert_array_equal(masks, expected)


def edit(file: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("name", sorted(OWN))
def test_every_sample_opens_and_travels(name: str, tmp_path: Path) -> None:
    data = built(name, tmp_path)
    again = pickle.loads(pickle.dumps(data))
    assert len(data) and [sample.id for sample in data] == [again[index].id for index in range(len(data))]
    assert len({sample.id for sample in data}) == len(data)
    for sample in data:
        assert sample.dataset == name and sample.task == data.info.task
        if sample.media is None:
            continue
        clip = sample.media.open()
        assert (clip.width, clip.height) == (WIDTH, HEIGHT)
        if sample.masks is not None:
            masks = sample.masks.read(range(clip.num_frames), HEIGHT, WIDTH)
            assert masks.any(axis=(1, 2, 3)).all()


def test_what_counts_in_the_published_recipe() -> None:
    repeats = {name: get_dataset(name).repeats for name in OWN}
    assert {name for name, each in repeats.items() if each[0]} == {
        "videorefer_short_caption_ref",
        "inst_it_image_short_caption_raw_ref",
    }
    assert repeats["videorefer_short_caption"] == (0, 0, 0)
    assert repeats["videorefer_qa"] == repeats["osprey_pos_neg"] == (0, 0, 5)
    assert repeats["videorefer_qa_mem"] == repeats["inst_it_video_qa_raw_mem"] == (0, 0, 3)


# VideoRefer


def test_short_captions_to_point_at(tmp_path: Path) -> None:
    data = built("videorefer_short_caption_ref", tmp_path)
    assert [sample.id for sample in data] == ["0", "3", "4"]  # places in the list: masks are called by them
    assert [talk(sample) for sample in data] == [
        [("What is [0]?", "A red ball.")],
        [("Name [0].", "A blue box.")],
        [("What is [0]?", "A cat.")],
    ]
    assert all(sample.free_ids and sample.object_ids == (0,) for sample in data)
    assert [sample.annotated for sample in data] == [(4,), (0,), (2,)]
    assert_masks(data[0], {4: [block((1, 1, 5, 5))]}, 6)
    assert_masks(data[1], {0: [block((2, 2, 4, 4), (6, 6, 8, 8))]}, 6)
    assert data.notes == {"items": "5", "samples": "3"}


def test_a_video_may_be_a_folder_of_frames(tmp_path: Path) -> None:
    sample = built("videorefer_short_caption_ref", tmp_path)[2]
    assert media(sample).names == ("frame_1", "frame_2", "frame_10", "frame_100")
    assert_masks(sample, {2: [block((3, 3, 6, 6))]}, 4)


def test_short_captions_about_regions(tmp_path: Path) -> None:
    data = built("videorefer_short_caption", tmp_path)
    assert [sample.id for sample in data] == ["0", "1", "2", "4"]  # 3 shows too little of its object
    assert talk(data[1]) == [("What is [0]?", "A dog."), ("And now?", "Still a dog.")]
    assert talk(data[2]) == [("[0] and [1]?", "Two dogs.")] and data[2].object_ids == (0, 1)
    assert_masks(data[2], {1: [block((0, 0, 2, 2)), block((8, 0, 9, 2))]}, 6)


def test_short_captions_know_one_frame_only(tmp_path: Path) -> None:
    BUILDERS["videorefer_short_caption"](tmp_path)
    folder = tmp_path.joinpath(*SUITE)

    def annotate(items: list[Any]) -> None:
        items[0]["annotation"] = [{"4": None, "1": None}]

    edit(folder / "videorefer-short-caption-500k-wo-masks.json", annotate)
    edit(folder / "masks_short_caption" / "0.json", lambda masks: masks[0].append(masks[0][0]))
    sample = open_dataset("videorefer_short_caption", "train", tmp_path)[0]
    assert sample.annotated == (1,)
    assert_masks(sample, {1: [block((1, 1, 5, 5))]}, 6)


def test_detailed_captions(tmp_path: Path) -> None:
    data = built("videorefer_detailed_caption", tmp_path)
    assert [sample.id for sample in data] == ["0", "4"]
    assert talk(data[0]) == [("Describe [0] in detail.", "A ball that rolls away.")]
    assert data[0].annotated == (0, 3, 5)
    assert_masks(data[0], {0: [block((0, 0, 3, 3))], 3: [block((1, 0, 4, 3), (12, 9, 16, 12))]}, 6)


TWO = {
    0: [block((0, 0, 2, 2)), NONE],
    2: [block((1, 0, 3, 2)), block((8, 8, 10, 10))],
    4: [NONE, block((9, 8, 11, 10))],
}


def test_questions_about_regions(tmp_path: Path) -> None:
    data = built("videorefer_qa", tmp_path)
    assert [sample.id for sample in data] == ["0", "1", "2", "3", "5"]
    assert talk(data[0]) == [("Does [1] follow [3]?", "[1] does.")]
    assert data[0].object_ids == (3, 1) and not data[0].free_ids and data[0].annotated == (0, 2, 4)
    assert_masks(data[0], TWO, 6)
    assert talk(data[1]) == [("What is [1]?", "A dog."), ("Its tail?", "Short.")]
    assert talk(data[2]) == [("What is [0] doing?", "It sleeps.")] and data[2].free_ids
    assert talk(data[4]) == [("What happens?", "They play.")] and data[4].object_ids == (3, 1)


def test_questions_to_remember_keep_the_line_that_names_the_objects(tmp_path: Path) -> None:
    data = built("videorefer_qa_mem", tmp_path)
    assert [sample.id for sample in data] == ["0", "1", "2", "5"]  # 3 has one annotated frame
    introduced = "There are [3] and [1] in the video.\n"
    assert talk(data[0]) == [(f"{introduced}Does [1] follow [3]?", "[1] does.")]
    assert data[0].object_ids == (3, 1)
    assert_masks(data[0], TWO, 6)


def test_questions_to_remember_without_that_line_have_the_objects_that_they_mention(tmp_path: Path) -> None:
    data = built("videorefer_qa_mem", tmp_path, introduction="dropped")
    assert [sample.id for sample in data] == ["0", "1", "2"]
    assert talk(data[0]) == [("Does [1] follow [3]?", "[1] does.")] and data[0].object_ids == (1, 3)
    assert_masks(data[0], {frame: each[::-1] for frame, each in TWO.items()}, 6)
    assert data[1].object_ids == (1,)
    assert_masks(data[1], {frame: each[1:] for frame, each in TWO.items()}, 6)


def test_videorefer_as_its_authors_publish_it(tmp_path: Path) -> None:
    make_original_questions(tmp_path)
    data = open_dataset("videorefer_qa", "train", tmp_path)
    assert [sample.id for sample in data] == ["0", "1", "2", "3", "4"]
    assert talk(data[0]) == [("Does [1] follow [3]?", "[1] does.")] and data[0].annotated == (0, 2, 4)
    assert_masks(data[0], TWO, 6)


def test_numbers_of_regions() -> None:
    numbered = videorefer.number_regions(("<object2><region> by <region>, <region>", "<object2> <object10>"))
    assert numbered.texts == ("[2] by [0], [1]", "[2] [10]")
    assert numbered.ids == (2, 0, 1) and not numbered.are_free


def bad_count(items: list[Any]) -> None:
    items[0]["annotation"].append({"0": None})


def unknown_object(items: list[Any]) -> None:
    items[0]["conversations"][1]["value"] = "<object4> does."


def two_questions(items: list[Any]) -> None:
    items[0]["conversations"][1]["from"] = "human"


def bad_frame(items: list[Any]) -> None:
    items[0]["annotation"][0] = {"first": None}


def leave(items: list[Any]) -> None:
    items[0]["video"] = "../../../secret.mp4"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            bad_count,
            r"\[0\].annotation: found a list with 3 items; expected as many objects as .* regions, 2",
        ),
        (unknown_object, r"text that mentions \[4\]"),
        (two_questions, r"\[0\].conversations\[1\].from: found 'human'; expected 'gpt'"),
        (bad_frame, r"\[0\].annotation\[0\] \(its name\): found 'first'; expected the number of a frame"),
        (leave, "stays inside"),
    ],
)
def test_damage_is_named(damage: Callable[[list[Any]], None], message: str, tmp_path: Path) -> None:
    BUILDERS["videorefer_qa"](tmp_path)
    edit(tmp_path.joinpath(*SUITE) / "videorefer-qa-75k-wo-masks.json", damage)
    with pytest.raises(DataError, match=message):
        open_dataset("videorefer_qa", "train", tmp_path)[0]


def test_whoever_listens_hears_of_items_that_cannot_be_judged(tmp_path: Path) -> None:
    BUILDERS["videorefer_qa"](tmp_path)
    file = tmp_path.joinpath(*SUITE) / "videorefer-qa-75k-wo-masks.json"
    edit(file, lambda items: items[2].pop("ratio"))
    problems: list[DataError] = []
    data = open_dataset("videorefer_qa", "train", tmp_path, on_problem=problems.append)
    assert [sample.id for sample in data] == ["0", "1", "3", "5"]
    assert [problem.place for problem in problems] == ["[2].ratio"]
    with pytest.raises(DataError, match=r"\[2\].ratio: found nothing"):
        open_dataset("videorefer_qa", "train", tmp_path)


def test_bench_q(tmp_path: Path) -> None:
    data = built("videorefer_bench_q", tmp_path)
    choice = only(data[0])
    assert isinstance(choice, Choice)
    assert choice.question == "What does [0] do to [2], and [0] after that?"
    assert choice.options == ("It runs.", "It bites [2].", "Nothing")
    assert choice.letter == "B" and choice.id == "7"
    assert data[0].object_ids == (0, 2) and not data[0].free_ids
    assert data[0].annotated == (0, 4) and data[0].key_frame == 4
    assert data[0].facts == {"type": "Relationship Questions"}
    polygon = block((2, 2, 6, 6))
    assert_masks(data[0], {0: [block((0, 0, 4, 4)), NONE], 4: [polygon, block((10, 4, 14, 8))]}, 6)
    assert only(data[1]).letter == "D"


def test_bench_q_with_the_masks_of_one_frame_sees_the_same_frames(tmp_path: Path) -> None:
    sample = built("videorefer_bench_q", tmp_path, mode="single_frame")[0]
    assert sample.annotated == (0, 4) and sample.key_frame == 4
    assert_masks(sample, {4: [block((2, 2, 6, 6)), block((10, 4, 14, 8))]}, 6)


def test_bench_d(tmp_path: Path) -> None:
    data = built("videorefer_bench_d", tmp_path)
    caption = only(data[0])
    assert isinstance(caption, Caption) and caption.style == "detailed" and caption.object == 0
    assert caption.text == "A man in a blue coat walks." and data[0].object_ids == (0,)
    assert data[0].annotated == (2, 3, 5) and data[0].key_frame == 3
    assert_masks(data[0], {2: [block((0, 0, 4, 4))], 3: [block((1, 0, 5, 4))]}, 6)
    single = open_dataset("videorefer_bench_d", "test", tmp_path, mode="single_frame")[0]
    assert_masks(single, {3: [block((1, 0, 5, 4))]}, 6)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("frame_idx", "3", "one of the annotated frames"),
        ("Answer", "(D) It runs.", "one of the 3 options"),
        ("options", ["(A) It runs.", "(C) Nothing"], r"begins with \(B\)"),
        ("annotation", [{"4": {"segmentation": None}}], "as many objects as the text has regions, 2"),
    ],
)
def test_damage_of_the_bench_is_named(field: str, value: object, message: str, tmp_path: Path) -> None:
    BUILDERS["videorefer_bench_q"](tmp_path)
    file = tmp_path / "videorefer" / "VideoRefer-Bench" / "VideoRefer-Bench-Q.json"
    edit(file, lambda items: items[0].update({field: value}))
    with pytest.raises(DataError, match=message):
        open_dataset("videorefer_bench_q", "test", tmp_path)[0]


# Inst-IT


def test_inst_it_pictures(tmp_path: Path) -> None:
    data = built("inst_it_image_short_caption_raw_ref", tmp_path)
    assert [sample.id for sample in data] == ["0/2", "0/5", "1/1"]
    assert [only(sample).text for sample in data] == ["A tall man.", "A hat", "A cup."]
    assert all(only(sample).style == "brief" and media(sample).is_still for sample in data)
    assert [sample.object_ids for sample in data] == [(2,), (5,), (1,)]
    assert media(data[0]).vid == "sa/1.jpg"
    assert_masks(data[0], {0: [block((2, 2, 6, 10))]}, 1)
    assert_masks(data[1], {0: [block((3, 3, 9, 9))]}, 1)  # doubled: 4 to 7, and one pixel more on each side


def column(number: int) -> np.ndarray:
    return block((number, 0, number + 1, 6))


def test_inst_it_videos(tmp_path: Path) -> None:
    data = built("inst_it_video_qa_raw", tmp_path)
    assert [sample.id for sample in data] == ["0/0", "0/2", "1/0", "2/0", "5/0"]
    assert talk(data[0]) == [("What is [2] doing at <1>?", "[2] hits [1] at <3>.")]
    assert talk(data[1]) == [("Who is [1]?", "A man [9 years] old.")]
    assert data[0].object_ids == (2, 1) and data[0].every_frame and data[0].annotated is None
    assert media(data[0]).names == ("a_0", "a_1", "a_2", "a_3")
    assert_masks(data[0], {1: [NONE, column(1)], 2: [column(2), column(1)]}, 4)
    assert len(media(data[3]).frames) == 10 and media(data[4]).is_still
    assert data.notes == {"items": "6", "samples": "5"}


def test_inst_it_videos_to_remember(tmp_path: Path) -> None:
    data = built("inst_it_video_qa_raw_mem", tmp_path)
    assert [sample.id for sample in data] == ["0/0", "0/2", "4/0", "4/2", "5/0"]
    assert data[2].object_ids == (1, 2, 3, 4, 5) and data[3].object_ids == (6,)


def test_inst_it_objects_may_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    sample = built("inst_it_video_qa_raw", tmp_path, id_order="number")[0]
    assert sample.object_ids == (1, 2) and talk(sample)[0][0].startswith("What is [2]")
    assert_masks(sample, {1: [column(1), NONE], 2: [column(1), column(2)]}, 4)


def test_what_was_chosen_of_a_long_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unipixel.data.long_json._KEPT_FROM", 0)
    first = built("inst_it_video_qa_raw", tmp_path)
    kept = [file for file in (tmp_path / "cache").iterdir() if file.suffix == ".npz"]
    assert len(kept) == 2  # where items begin, and which count
    monkeypatch.setattr("unipixel.data.long_json.JsonArray.__iter__", None)  # nobody looks through it again
    again = open_dataset("inst_it_video_qa_raw", "train", tmp_path, cache=tmp_path / "cache")
    assert [again[index].id for index in range(len(again))] == ["0/0", "0/2", "1/0", "2/0", "5/0"]
    assert again.notes == first.notes
    with pytest.raises(TypeError):  # another choice is not answered with this one
        open_dataset("inst_it_video_qa_raw_mem", "train", tmp_path, cache=tmp_path / "cache")


def test_inst_it_text() -> None:
    assert clean("<0> [03] [10] [00] <10> [012]") == "<1> [3] [10] [0] <10> [012]"


@pytest.mark.parametrize(
    ("question", "frame", "message"),
    [("[7]?", "a_0.jpg", "masks of object 7"), ("[1]?", "a_9.jpg", "in the folder, not 'a_9.jpg'")],
)
def test_inst_it_damage_is_named(question: str, frame: str, message: str, tmp_path: Path) -> None:
    BUILDERS["inst_it_video_qa_raw"](tmp_path)

    def damage(items: list[Any]) -> None:
        items[0]["question_answer_pairs"][0]["question"] = question
        items[0]["segmentations"][frame] = {}

    edit(tmp_path.joinpath(*INST_IT) / "inst_it_dataset_video_21k_w_mask.json", damage)
    with pytest.raises(DataError, match=message):
        open_dataset("inst_it_video_qa_raw", "train", tmp_path)[0]


# Osprey


def test_osprey_conversation(tmp_path: Path) -> None:
    data = built("osprey_conversation", tmp_path)
    assert [sample.id for sample in data] == ["0", "7"]
    assert talk(data[0]) == [
        ("Is [3] left of [1]?", "Yes, [3] is."),
        ("And [2]?", "[2] is to the right of [1]."),
    ]
    assert data[0].object_ids == (3, 1, 2) and not data[0].free_ids
    first, second, third = block((0, 0, 4, 4)), block((8, 0, 12, 4)), block((0, 6, 4, 10))
    assert_masks(data[0], {0: [third, first, second]}, 1)
    assert_masks(data[1], {0: [block((1, 1, 3, 3))]}, 1)
    assert data.notes == {"items": "8", "samples": "2"}
    by_number = open_dataset("osprey_conversation", "train", tmp_path, id_order="number")[0]
    assert by_number.object_ids == (1, 2, 3)
    assert_masks(by_number, {0: [first, second, third]}, 1)


def test_osprey_polygons_are_drawn_at_the_published_size(tmp_path: Path) -> None:
    sample = built("osprey_pos_neg", tmp_path)[0]
    assert media(sample).frames[0].parent.name == "imgs"
    assert talk(sample) == [("Is there a cat in [1]? Yes or no.", "No."), ("A dog?", "Yes.")]
    assert sample.masks is not None
    doubled = sample.masks.read([0], 2 * HEIGHT, 2 * WIDTH)[0, 0]
    assert doubled[:8, :8].all() and not doubled[9:].any() and not doubled[:, 9:].any()


def test_osprey_descriptions(tmp_path: Path) -> None:
    (sample,) = built("osprey_detail_description", tmp_path)
    assert [(turn.text, turn.object) for turn in sample.rounds if isinstance(turn, Caption)] == [
        ("A tree behind [1].", 0),
        ("A bench.", 1),
    ]
    assert sample.object_ids == (2, 1)
    assert_masks(sample, {0: [block((8, 0, 12, 4)), block((0, 0, 4, 4))]}, 1)


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("<region1> and <region 2>", "[1] and [2]"),
        ("<Region12>, <regin3>, <region4], <region of5>", "[12], [3], [4], [5]"),
        ("a region of <REGION 07>", "a region of [7]"),
        ("the regions 3 and 4", "the regions 3 and 4"),
        ("<region>", None),
        ("<region one> and <region1>", None),
        ("region3>", None),
    ],
)
def test_osprey_tags(text: str, mended: str | None) -> None:
    assert mend_tags(text) == mended


# Talk


def test_general(tmp_path: Path) -> None:
    still, video, alone, again = built("llava_instruct_665k_videogpt_plus_576k", tmp_path)
    assert talk(still) == [("What colour is the bus?", "White."), ("Is <image>\nthere a driver?", "No.")]
    assert media(still).is_still and media(still).vid == "coco/train2017/000000033471.jpg"
    assert talk(video) == [("What happens here?", "A man dives.")] and video.facts == {"duration": "12.5"}
    assert media(video).open().num_frames == 5
    assert talk(alone) == [("What is a[3] in C?", "The fourth item of a.")] and alone.media is None
    assert talk(again) == [("Where is it?", "In a street.")] and not again.facts
    assert [sample.id for sample in (still, video, alone, again)] == ["0", "1", "2", "3"]


# Choices


def test_mvbench(tmp_path: Path) -> None:
    data = built("mvbench", tmp_path)
    assert dict(TASKS) == FOLDERS
    assert len(data) == 22 and [sample.facts["task"] for sample in data][:2] == [
        "action_antonym",
        "action_count",
    ]
    for sample in data:
        choice = only(sample)
        assert choice.question == "What happens here?" and choice.letter == "B"
        assert choice.options == ("A man runs", "A dog barks", "Nothing")
    samples = {sample.id: sample for sample in data}
    first = samples["action_sequence/0"]
    assert media(first).open().num_frames == 12 and not first.every_frame
    assert first.facts == {"task": "action_sequence", "start": "0.1", "end": "0.26"}
    episode = samples["episodic_reasoning/0"]
    assert (
        media(episode).names == tuple(f"{number:05d}" for number in range(1, 64, 2)) and episode.every_frame
    )
    assert len(media(samples["episodic_reasoning/1"]).names) == 10
    assert media(samples["episodic_reasoning/2"]).names == tuple(
        f"{number:05d}" for number in range(1, 62, 2)
    )


def test_mvbench_with_bounds(tmp_path: Path) -> None:
    samples = {sample.id: sample for sample in built("mvbench", tmp_path, bounds="applied")}
    clip = media(samples["action_sequence/0"]).open()
    assert clip.num_frames == 5 and clip.fps == pytest.approx(24) and clip.times[0] == 0
    assert [round(frame.mean()) for frame in clip.read([0, 4])] == pytest.approx([20, 60], abs=6)
    assert media(samples["action_antonym/0"]).open().num_frames == 12
    episode = media(samples["episodic_reasoning/0"]).names
    assert (episode[0], episode[-1], len(episode)) == ("00006", "00015", 10)
    assert media(samples["episodic_reasoning/1"]).names[-1] == "00010"


def test_mvbench_damage_is_named(tmp_path: Path) -> None:
    BUILDERS["mvbench"](tmp_path)
    folder = tmp_path / "mvbench" / "json"
    (folder / "object_shuffle.json").unlink()
    edit(folder / "action_antonym.json", lambda items: items[0].update(answer="a dog barks"))
    problems: list[DataError] = []
    data = open_dataset("mvbench", "test", tmp_path, on_problem=problems.append)
    assert len(data) == 21 and [Path(problem.file).name for problem in problems] == ["object_shuffle.json"]
    with pytest.raises(DataError, match=r"action_antonym.json, \[0\].answer: .* one of the candidates"):
        data[0]


def check_videomme(data: Dataset) -> None:
    assert [only(sample).question for sample in data] == ["How many apples?", "What is read?"]
    assert only(data[0]).options == ("One.", "Two.", "Three.", "Four.") and only(data[0]).letter == "C"
    assert only(data[1]).options == ("Stop", "Go", "5. Avenue", "None")
    assert [sample.facts["duration"] for sample in data] == ["short", "long"]
    assert data[0].facts["question_id"] == "001-1"
    assert media(data[1]).vid == "dQ_-3" and media(data[1]).open().num_frames == 4


def test_videomme(tmp_path: Path) -> None:
    check_videomme(built("videomme", tmp_path))


def test_videomme_in_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows come from the library's table; `pyarrow` itself is no part of what tests need."""
    BUILDERS["videomme"](tmp_path)
    file = tmp_path / "videomme" / "test-00000-of-00001.json"
    file.unlink()
    file.with_suffix(".parquet").write_bytes(b"PAR1")
    table = SimpleNamespace(to_pylist=lambda: VIDEOMME_ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", SimpleNamespace(read_table=lambda file: table))
    check_videomme(open_dataset("videomme", "test", tmp_path))


def test_parquet_without_pyarrow_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    file = tmp_path / "table.parquet"
    with pytest.raises(DataError, match="no such file"):
        read_parquet(file)
    file.write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match=r"pip install pyarrow.* table.json beside it"):
        read_parquet(file)


@pytest.mark.parametrize(
    ("field", "value"), [("answer", "E"), ("options", ["A. x", "A. y"]), ("answer", "AB")]
)
def test_videomme_damage_is_named(field: str, value: object, tmp_path: Path) -> None:
    BUILDERS["videomme"](tmp_path)
    edit(tmp_path / "videomme" / "test-00000-of-00001.json", lambda rows: rows[0].update({field: value}))
    with pytest.raises(DataError, match=rf"\[0\].{field}"):
        open_dataset("videomme", "test", tmp_path)[0]
