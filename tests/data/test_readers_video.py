"""Every video data set is read from its published layout to the expected texts and masks."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.data.published import BUILDERS
from tests.data.published.drawing import HEIGHT, WIDTH, block
from tests.data.published.videos import make_vicas_folder

from unipixel.data.registry import Dataset, datasets, get_dataset, open_dataset
from unipixel.data.sample import Expression, Sample
from unipixel.errors import ConfigError, DataError

VIDEO = [
    *("revos", "mevis", "lvvis", "ref_youtube_vos", "ref_davis17", "ref_sav_eval"),
    *("ref_sav", "groundmore", "vicas"),
]


def built(name: str, split: str, root: Path, **choices: str) -> Dataset:
    BUILDERS[name](root)
    return open_dataset(name, split, root, cache=root / "cache", **choices)


def masks(sample: Sample) -> np.ndarray:
    """The only object's masks on all frames of the clip [T, H, W]."""
    assert sample.media is not None and sample.masks is not None
    count = sample.media.num_frames or sample.media.open().num_frames
    read = sample.masks.read(range(count), HEIGHT, WIDTH)
    assert read.shape == (1, count, HEIGHT, WIDTH)
    return read[0]


def assert_masks(sample: Sample, *frames: np.ndarray) -> None:
    np.testing.assert_array_equal(masks(sample), np.stack(frames))


def said(sample: Sample) -> Expression:
    (expression,) = sample.rounds
    assert isinstance(expression, Expression)
    return expression


NONE = block()


@pytest.mark.parametrize("name", VIDEO)
def test_every_split_that_is_there_has_samples_that_open_and_travel(name: str, tmp_path: Path) -> None:
    BUILDERS[name](tmp_path)
    total = 0
    for split in get_dataset(name).splits:
        data = open_dataset(name, split, tmp_path, cache=tmp_path / "cache")
        again = pickle.loads(pickle.dumps(data))
        assert [sample.id for sample in data] == [sample.id for sample in again]
        assert len({sample.id for sample in data}) == len(data)
        for sample in data:
            assert sample.dataset == name and sample.task == "segment" and sample.media is not None
            clip = sample.media.open()
            assert (clip.width, clip.height) == (WIDTH, HEIGHT)
            if sample.masks is not None:
                assert sample.masks.read([0, 0], HEIGHT, WIDTH).shape == (1, 2, HEIGHT, WIDTH)
            total += 1
    assert total


def test_revos_train(tmp_path: Path) -> None:
    data = built("revos", "train", tmp_path)
    assert [sample.id for sample in data] == ["clip_a/0", "clip_a/1", "TAO/clip_b/0", "TAO/clip_b/1"]
    assert [said(sample).text for sample in data][:2] == ["The red car.", "Which cars are moving?"]
    assert [said(sample).form for sample in data] == ["query", "sentence", "query", "query"]
    assert_masks(data[0], block((0, 0, 4, 4)), block((1, 0, 5, 4)), NONE)
    assert_masks(data[1], block((0, 0, 4, 4)), block((1, 0, 5, 4), (10, 5, 14, 9)), NONE)
    assert data[1].facts == {"type_id": "1", "obj_id": "1,2", "height": "12", "width": "16"}
    assert data.notes["left out without target"] == "1" and data.notes["left out as too short"] == "1"


def test_revos_cuts_videos_of_tao_by_the_first_expression_of_a_group(tmp_path: Path) -> None:
    data = built("revos", "train", tmp_path)
    first, second = data[2], data[3]  # frames 1 to 3 of 5
    assert first.media is not None and first.media.names == ("00001", "00002", "00003")
    assert first.media == second.media
    assert_masks(first, block((2, 2, 6, 6)), NONE, block((8, 2, 12, 6)))
    assert_masks(second, block((0, 0, 2, 2)), NONE, block((0, 0, 3, 3)))
    assert first.media.open().frame(0).mean() == pytest.approx(10, abs=2)  # the second frame's grey


def test_revos_as_its_authors_publish_it_has_one_folder_more(tmp_path: Path) -> None:
    BUILDERS["revos"](tmp_path)
    (tmp_path / "revos" / "JPEGImages").mkdir()
    (tmp_path / "revos" / "clip_a").rename(tmp_path / "revos" / "JPEGImages" / "clip_a")
    media = open_dataset("revos", "train", tmp_path)[0].media
    assert media is not None and media.open().num_frames == 3


def test_revos_valid_drops_nothing_and_knows_the_foreground(tmp_path: Path) -> None:
    data = built("revos", "valid", tmp_path)
    assert [said(sample).form for sample in data] == ["query", "sentence"]
    assert_masks(data[0], block((3, 3, 9, 9)), NONE)
    assert_masks(data[1], NONE, NONE)
    assert data[1].facts["type_id"] == "2" and "obj_id" not in data[1].facts
    assert data[0].foreground is not None
    foreground = data[0].foreground.read([1, 0], HEIGHT, WIDTH)[0]
    np.testing.assert_array_equal(foreground[0], block((12, 0, 16, 2)))
    np.testing.assert_array_equal(foreground[1], block((3, 3, 9, 9), (12, 0, 16, 2)))
    (tmp_path / "revos" / "mask_dict_foreground.json").unlink()
    data = open_dataset("revos", "valid", tmp_path, cache=tmp_path / "cache")
    assert data[0].foreground is None and "is not there" in data.notes["foreground"]


def test_mevis(tmp_path: Path) -> None:
    data = built("mevis", "train", tmp_path)
    assert [said(sample).text for sample in data] == ["the bird that flies off", "birds that stay"]
    assert_masks(data[0], block((3, 3, 9, 9)), NONE)  # doubled: 4 to 7, and one pixel more on each side
    assert_masks(data[1], block((0, 0, 2, 2), (8, 8, 10, 10)), block((0, 0, 2, 3)))
    assert len(open_dataset("mevis", "valid_u", tmp_path)) == 3
    (hidden,) = open_dataset("mevis", "valid", tmp_path)
    assert hidden.masks is None and hidden.media is not None and hidden.media.vid == "cc"


def test_lvvis(tmp_path: Path) -> None:
    (sample,) = built("lvvis", "train", tmp_path)
    assert said(sample).text == "traffic light" and said(sample).form == "query"
    assert_masks(sample, NONE, block((4, 4, 8, 8)))


def column(number: int) -> np.ndarray:
    return block((number, 0, number + 1, 6))


def test_ref_youtube_vos_finds_the_count_that_fits(tmp_path: Path) -> None:
    data = built("ref_youtube_vos", "train", tmp_path)
    assert data.notes["mask_order"] == "string_sorted" and data.choices["mask_order"] == "auto"
    assert [sample.id for sample in data][9:] == ["v_b/9", "v_b/10", "v_b/11", "v_a/0"]
    for number in range(12):
        thing = number // 3 + 1
        assert_masks(data[number], column(thing), column(thing), NONE)
    assert_masks(data[12], column(9), NONE)
    assert data[10].facts["obj_id"] == "4"


def test_another_count_gives_the_masks_of_other_things(tmp_path: Path) -> None:
    data = built("ref_youtube_vos", "train", tmp_path, mask_order="json")
    assert_masks(data[2], column(4), column(4), NONE)  # expression 2 gets those of 10
    wrong = open_dataset("ref_youtube_vos", "train", tmp_path, mask_order="sorted")
    with pytest.raises(DataError, match="one entry for each of 2 frames"):
        masks(wrong[12])


def test_ref_youtube_vos_valid_has_no_masks(tmp_path: Path) -> None:
    data = built("ref_youtube_vos", "valid", tmp_path)
    assert [said(sample).text for sample in data] == ["a person", "a horse"]
    assert data[0].masks is None and data.notes["masks"] == "not published for this split"


def test_ref_davis17(tmp_path: Path) -> None:
    train = built("ref_davis17", "train", tmp_path)
    assert train.notes["mask_order"] == "json"
    assert len(train) == 12
    assert_masks(train[10], column(3), NONE)
    assert_masks(train[5], NONE, NONE)  # no masks at all
    assert_masks(train[6], NONE, NONE)
    valid = open_dataset("ref_davis17", "valid", tmp_path)
    assert valid.notes["mask_order"] == "sorted"
    assert [sample.id for sample in valid][-1] == "bay/0"
    assert_masks(valid[12], column(9), NONE)
    for number in range(12):
        assert_masks(valid[number], *[column(number // 4 + 1)] * 2, NONE)


def test_ref_sav_eval(tmp_path: Path) -> None:
    data = built("ref_sav_eval", "valid", tmp_path)
    assert [said(sample).form for sample in data] == ["description"] * 2
    assert [sample.facts["type_id"] for sample in data] == ["0", "1"]
    assert_masks(data[0], block((1, 1, 3, 9)), block((0, 1, 2, 9)))


def test_ref_sav_thins_the_video_to_its_masks(tmp_path: Path) -> None:
    (sample,) = built("ref_sav", "train", tmp_path)
    assert sample.id == "sav_000001/1" and said(sample).text == "A red ball that rolls away."
    assert said(sample).form == "description" and sample.media is not None
    assert_masks(sample, block((4, 4, 8, 8)), block((5, 4, 9, 8)), NONE)
    clip = sample.media.open()
    assert clip.num_frames == 3 and clip.fps == pytest.approx(6)
    assert [round(frame.mean()) for frame in clip.read([0, 2, 1])] == pytest.approx([0, 80, 40], abs=6)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("video_path", "data/sav_test/a.mp4", "FOLDER/sav_train"),
        ("video_path", "data/sav_train/../../../secret.mp4", "stays inside"),
        ("anno_path", "data/sav_train/sav_000/sav_000001_auto.json", r"\*_manual.json"),
    ],
)
def test_ref_sav_refuses_other_paths(field: str, value: str, message: str, tmp_path: Path) -> None:
    BUILDERS["ref_sav"](tmp_path)
    file = tmp_path / "ref_sav" / "Ref-SAV-Min-Ratio-0.3.json"
    content = json.loads(file.read_text())
    content["sav_000001"][field] = value
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        open_dataset("ref_sav", "train", tmp_path)[0]


def test_groundmore_train(tmp_path: Path) -> None:
    data = built("groundmore", "train", tmp_path)
    assert [said(sample).text for sample in data] == ["Who kicks the ball?", "What moves?"]
    assert said(data[0]).answer == "the boy" and said(data[0]).form == "question"
    assert data[0].media is not None and data[0].media.names == ("0000001", "0000003")
    assert_masks(data[0], *[block((0, 0, 4, 4))] * 2)
    assert_masks(data[1], *[block((0, 0, 4, 4), (8, 8, 12, 12))] * 2)
    assert data.notes["videos left out without folder"] == "1"
    assert data.notes["videos left out without masks"] == "1"
    assert data[1].facts == {"q_type": "Descriptive", "obj_id": "1, 2"}


def test_groundmore_test(tmp_path: Path) -> None:
    (sample,) = built("groundmore", "test", tmp_path)
    numbers = [0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13, 15, 16, 17, 18, 20, 21, 22, 24]
    assert sample.facts["frame_numbers"] == " ".join(map(str, numbers))
    assert (sample.facts["action_first"], sample.facts["action_last"]) == ("6", "11")
    assert sample.media is not None and sample.media.names[4] == "frame_000005"
    seen = masks(sample).any(axis=(1, 2))
    assert [number for number, is_seen in zip(numbers, seen, strict=True) if is_seen] == [6, 7, 8]
    (plain,) = open_dataset("groundmore", "test", tmp_path, action_window="ignored")
    seen = masks(plain).any(axis=(1, 2))
    assert [number for number, is_seen in zip(numbers, seen, strict=True) if is_seen] == [
        0,
        1,
        2,
        3,
        5,
        6,
        7,
        8,
    ]


def test_vicas(tmp_path: Path) -> None:
    data = built("vicas", "train", tmp_path)
    assert [said(sample).text for sample in data] == ["the man who falls", "both men"]
    assert [sample.id for sample in data] == ["000012/0", "000012/1"]
    assert said(data[0]).form == "sentence" and data[0].media is not None
    assert data[0].media.names == ("00000", "00001", "00003")
    assert_masks(data[0], block((0, 0, 3, 3)), NONE, NONE)
    assert_masks(data[1], block((0, 0, 3, 3), (6, 6, 9, 9)), NONE, NONE)
    assert open_dataset("vicas", "val", tmp_path)[0].id == "000345/0"
    assert open_dataset("vicas", "test", tmp_path).notes["videos without annotation"] == "1"


def test_vicas_as_its_authors_publish_it(tmp_path: Path) -> None:
    make_vicas_folder(tmp_path)
    data = open_dataset("vicas", "train", tmp_path)
    assert data.notes["annotations"] == "a file for each video"
    assert_masks(data[0], block((0, 0, 3, 3)), NONE, NONE)
    assert_masks(data[1], block((0, 0, 3, 3), (6, 6, 9, 9)), NONE, NONE)


# The registry


def test_unknown_names_are_answered_with_the_closest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'mevis'"):
        open_dataset("mevi", "train", tmp_path)
    with pytest.raises(ConfigError, match="did you mean 'valid_u'"):
        open_dataset("mevis", "valid-u", tmp_path)
    with pytest.raises(ConfigError, match="did you mean 'mask_order'"):
        open_dataset("ref_davis17", "train", tmp_path, mask_ordre="json")
    with pytest.raises(ConfigError, match="did you mean 'sorted'"):
        open_dataset("ref_davis17", "train", tmp_path, mask_order="sortd")


def test_every_video_data_set_is_listed() -> None:
    listed = {info.name: info for info in datasets()}
    assert set(VIDEO) <= listed.keys()
    assert listed["ref_youtube_vos"].repeats == (0, 3, 5) and listed["ref_davis17"].repeats == (0, 0, 10)
    assert [option.default for option in listed["ref_davis17"].options] == ["auto"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"meta_expressions.json: found no such file"):
        open_dataset("mevis", "train", tmp_path)


def test_whoever_listens_hears_of_every_problem(tmp_path: Path) -> None:
    BUILDERS["mevis"](tmp_path)
    file = tmp_path / "mevis" / "train" / "meta_expressions.json"
    content = json.loads(file.read_text())
    expressions = content["videos"]["aa"]["expressions"]
    expressions["0"] = {"obj_id": [0], "anno_id": [0]}
    expressions["1"]["exp"] = 7
    expressions["3"] = {"exp": "a late bird", "obj_id": [1], "anno_id": [1]}
    file.write_text(json.dumps(content))
    problems: list[DataError] = []
    data = open_dataset("mevis", "train", tmp_path, on_problem=problems.append)
    assert [said(sample).text for sample in data] == ["a late bird"]
    assert [(Path(problem.file), problem.place, problem.found) for problem in problems] == [
        (file, "videos.aa.expressions.0.exp", "nothing"),
        (file, "videos.aa.expressions.1.exp", "7"),
    ]
    with pytest.raises(DataError, match=r"videos\.aa\.expressions\.0\.exp"):
        open_dataset("mevis", "train", tmp_path)


def test_errors_of_samples_name_the_annotation_file(tmp_path: Path) -> None:
    BUILDERS["lvvis"](tmp_path)
    file = tmp_path / "lvvis" / "meta_expressions.json"
    file.write_text(file.read_text().replace("traffic_light", " "))
    with pytest.raises(DataError, match=r"meta_expressions.json, an expression: found no text"):
        open_dataset("lvvis", "train", tmp_path)[0]


def test_masks_of_another_count_are_refused(tmp_path: Path) -> None:
    BUILDERS["ref_davis17"](tmp_path)
    file = tmp_path / "ref_davis17" / "train" / "mask_dict.pkl"
    tracks = pickle.loads(file.read_bytes())
    del tracks["11"]
    file.write_bytes(pickle.dumps(tracks))
    with pytest.raises(DataError, match="11 items; expected masks of the 12 expressions"):
        open_dataset("ref_davis17", "train", tmp_path)
    problems: list[DataError] = []
    data = open_dataset("ref_davis17", "train", tmp_path, on_problem=problems.append)
    assert len(problems) == 1 and len(data) == 12
    with pytest.raises(DataError, match=r"videos\.dog\.expressions\.11: found no mask number 11"):
        data[11]
