"""Every image data set is read from its published layout to the expected texts and masks."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.published import BUILDERS
from tests.data.published.drawing import HEIGHT, WIDTH, block, write_json
from tests.data.published.images import make_refcoco, stripe, striped, write_labelled

from unipixel.data.coco_file import CocoFile
from unipixel.data.readers.labelled_pixels import ade20k_classes, cocostuff_classes
from unipixel.data.registry import Dataset, Source, datasets, get_dataset, open_dataset
from unipixel.data.sample import Expression, Facts, Sample
from unipixel.errors import DataError, LeftOut

IMAGES = [
    *("reason_seg", "ade20k", "cocostuff", "mapillary", "paco_lvis", "pascal_part"),
    *("refcoco", "refcoco+", "refcocog", "refclef"),
]
REASON_SEG = Path("lisa", "reason_seg", "ReasonSeg")
PACO = Path("lisa", "vlpart", "paco", "annotations", "paco_lvis_v1_train.json")


def built(name: str, split: str, root: Path, **choices: str) -> Dataset:
    BUILDERS[name](root)
    return open_dataset(name, split, root, cache=root / "cache", **choices)


def masks(sample: Sample) -> np.ndarray:
    """The objects' masks [O, H, W]."""
    assert sample.masks is not None
    read = sample.masks.read([0], HEIGHT, WIDTH)
    assert read.shape == (len(sample.object_ids), 1, HEIGHT, WIDTH)
    return read[:, 0]


def assert_masks(sample: Sample, *objects: np.ndarray) -> None:
    np.testing.assert_array_equal(masks(sample), np.stack(objects))


def said(sample: Sample) -> list[Expression]:
    assert all(isinstance(turn, Expression) for turn in sample.rounds)
    return [turn for turn in sample.rounds if isinstance(turn, Expression)]


def texts(sample: Sample) -> list[str]:
    return [expression.text for expression in said(sample)]


def changed(file: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(file.read_text())
    change(content)
    write_json(file, content)


@pytest.mark.parametrize("name", IMAGES)
def test_every_split_has_samples_that_open_and_travel(name: str, tmp_path: Path) -> None:
    BUILDERS[name](tmp_path)
    empty = {("ade20k", "ADE_train_00000010")}
    for split in get_dataset(name).splits:
        data = open_dataset(name, split, tmp_path, cache=tmp_path / "cache")
        again = pickle.loads(pickle.dumps(data))
        assert len(data) > 0
        ids = set()
        for index in range(len(data)):
            if (name, data.rows.items[index]) in empty:
                continue
            sample = data[index]
            assert (again[index].id, again[index].rounds) == (sample.id, sample.rounds)
            assert sample.dataset == name and sample.task == "segment" and sample.media is not None
            assert sample.media.is_still
            assert (sample.media.open().width, sample.media.open().height) == (WIDTH, HEIGHT)
            assert masks(sample).any(axis=(1, 2)).all()
            np.testing.assert_array_equal(masks(again[index]), masks(sample))
            assert sample.masks is not None
            assert sample.masks.read([0, 0], HEIGHT, WIDTH).shape[1] == 2
            ids.add(sample.id)
        assert len(ids) >= len(data) - 1


def test_every_image_data_set_is_listed() -> None:
    listed = {info.name: info for info in datasets()}
    assert {name: listed[name].repeats for name in IMAGES} == {
        "reason_seg": (0, 0, 10),
        **dict.fromkeys(IMAGES[1:6], (0, 0, 3)),
        **dict.fromkeys(IMAGES[6:], (0, 5, 10)),
    }


# ReasonSeg


def inclusive(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    """Outlines are drawn with their border."""
    return block((x1, y1, x2 + 1, y2 + 1))


CUP = inclusive(2, 2, 9, 9) & ~inclusive(4, 4, 6, 6)


def test_reason_seg_train(tmp_path: Path) -> None:
    data = built("reason_seg", "train", tmp_path)
    assert [sample.id for sample in data] == ["9/0", "10/0", "10/1", "10/explanatory"]
    assert [texts(sample)[0] for sample in data] == [
        "the door of the café",
        "What holds the tea?",
        "Which thing would you drink from?",
        "What is the cup for?",
    ]
    assert [said(sample)[0].form for sample in data] == ["query", "sentence", "sentence", "explanatory"]
    assert said(data[3])[0].answer == "It holds tea."
    assert_masks(data[0], inclusive(1, 1, 3, 3) | inclusive(8, 8, 8, 10))
    for index in (1, 2, 3):
        assert_masks(data[index], CUP)
        assert data[index].ignored is None
    assert data.notes == {"expressions": "4", "explanations": "1"}


def test_reason_seg_as_its_authors_score_it(tmp_path: Path) -> None:
    (sample,) = built("reason_seg", "test", tmp_path, ignore_regions="left_out", texts="first")
    assert sample.id == "image_4/0"
    assert_masks(sample, CUP)
    assert sample.ignored is not None
    ignored = sample.ignored.read([0], HEIGHT, WIDTH)[0, 0]
    np.testing.assert_array_equal(ignored, inclusive(4, 4, 6, 6) | inclusive(12, 1, 13, 2))
    assert len(open_dataset("reason_seg", "test", tmp_path)) == 2


def test_reason_seg_explanations_must_match(tmp_path: Path) -> None:
    BUILDERS["reason_seg"](tmp_path)
    file = tmp_path / REASON_SEG / "explanatory" / "train.json"
    changed(file, lambda content: content.append({**content[0], "image": "11.jpg"}))
    with pytest.raises(DataError, match=r"train.json, \[1\].image: found '11.jpg'; expected the name"):
        open_dataset("reason_seg", "train", tmp_path)
    changed(file, lambda content: content[1].update(image="10.jpg"))
    with pytest.raises(DataError, match="expected each picture once"):
        open_dataset("reason_seg", "train", tmp_path)
    assert len(open_dataset("reason_seg", "val", tmp_path)) == 1  # only train has explanations


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"is_sentence": "yes"}, r"image_3.json, is_sentence: found 'yes'; expected true or false"),
        ({"text": []}, r"text: found a list with nothing in it; expected at least one text"),
        ({"text": ["a", " "]}, r"text\[1\]: found ' '; expected words"),
        ({"text": "a"}, r"text: found 'a'; expected a list"),
    ],
)
def test_reason_seg_names_what_is_wrong(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    BUILDERS["reason_seg"](tmp_path)
    changed(tmp_path / REASON_SEG / "val" / "image_3.json", lambda content: content.update(change))
    with pytest.raises(DataError, match=message):
        open_dataset("reason_seg", "val", tmp_path)
    problems: list[DataError] = []
    open_dataset("reason_seg", "val", tmp_path, on_problem=problems.append)
    assert len(problems) == 1


def test_reason_seg_picture_without_annotation(tmp_path: Path) -> None:
    BUILDERS["reason_seg"](tmp_path)
    (tmp_path / REASON_SEG / "val" / "image_3.json").unlink()
    with pytest.raises(DataError, match=r"image_3.json: found no such file"):
        open_dataset("reason_seg", "val", tmp_path)


# Label maps


def test_ade20k(tmp_path: Path) -> None:
    data = built("ade20k", "train", tmp_path)
    assert len(data) == 2
    assert texts(data[0]) == ["person", "flag"] and data[0].id == "ADE_train_00000002"
    assert [(turn.form, turn.objects, turn.id) for turn in said(data[0])] == [
        ("query", (0,), "13"),
        ("query", (1,), "150"),
    ]
    assert_masks(data[0], stripe(0), stripe(1))
    with pytest.raises(LeftOut, match=r"10: found nothing to ask for; .*not only \[0, 255\]"):
        data[1]
    assert texts(open_dataset("ade20k", "val", tmp_path)[0]) == ["wall", "sky"]


def test_class_names_stand_at_their_values(tmp_path: Path) -> None:
    def source(**choices: str) -> Source:
        return Source("any", "train", tmp_path, Facts(choices), None)

    ade = ade20k_classes(source())
    assert len(ade.names) == 151 and len(set(ade.names)) == 151
    assert [ade.name(value) for value in (0, 1, 21, 90, 118, 150, 151)] == [
        *("unlabelled", "wall", "car", "television receiver", "cradle", "flag", None)
    ]
    stuff = cocostuff_classes(source(numbering="from_0", unasked="published"))
    assert len(stuff.names) == 182 and len(set(stuff.names)) == 182
    # COCO's category ids, less one, and the first and last of its stuff.
    places = {"person": 0, "stop sign": 12, "toothbrush": 89, "banner": 91, "wood": 181, "tv": 71}
    assert {name: stuff.names.index(name) for name in places} == places
    assert len(stuff.unasked) == 30
    by_one = cocostuff_classes(source(numbering="from_1", unasked="by_name"))
    assert by_one.unasked == stuff.unasked and by_one.name(1) == "person" and by_one.name(0) is None


def test_cocostuff_asks_for_what_the_published_training_asks_for(tmp_path: Path) -> None:
    (sample,) = built("cocostuff", "train", tmp_path)
    assert texts(sample) == ["bicycle", "building-other", "ceiling-other"]
    assert_masks(sample, stripe(1), stripe(2), stripe(4))


def test_cocostuff_by_name(tmp_path: Path) -> None:
    (sample,) = built("cocostuff", "train", tmp_path, unasked="by_name")
    assert texts(sample) == ["person", "bicycle", "bush", "cloth", "wood"]
    assert_masks(sample, stripe(0), stripe(1), stripe(3), stripe(5), stripe(6))


def test_cocostuff_from_1(tmp_path: Path) -> None:
    (sample,) = built("cocostuff", "train", tmp_path, numbering="from_1")
    assert [turn.id for turn in said(sample)] == ["1", "95", "101"]
    assert texts(sample) == ["person", "bridge", "carpet"]


def test_mapillary(tmp_path: Path) -> None:
    (sample,) = built("mapillary", "train", tmp_path)
    assert sample.id == "0035fkbjWljhaftpVM37-g"
    assert texts(sample) == ["ground animal", "road", "ego vehicle"]
    assert_masks(sample, stripe(0), stripe(2), stripe(1))
    assert open_dataset("mapillary", "val", tmp_path)[0].id == "_1Gn_xkw7sa_i9GU4mkxxQ"


def test_a_value_without_name_is_refused(tmp_path: Path) -> None:
    data = built("cocostuff", "val", tmp_path)
    folder = tmp_path / "lisa" / "cocostuff" / "val2017"
    write_labelled(folder, tmp_path / "pictures", {"000000000139": striped(2, 182, 255)})
    with pytest.raises(DataError, match=r"139.png: found the value 182; expected 0 to 181"):
        data[0]


def test_label_maps_are_opened_when_the_sample_is_made(tmp_path: Path) -> None:
    BUILDERS["ade20k"](tmp_path)
    for file in (tmp_path / "lisa" / "ade20k" / "annotations" / "training").iterdir():
        file.write_bytes(b"no picture")
    assert len(open_dataset("ade20k", "train", tmp_path)) == 2


# Things and parts


def test_paco_lvis(tmp_path: Path) -> None:
    data = built("paco_lvis", "train", tmp_path)
    assert [sample.id for sample in data] == ["500", "8"]
    assert data.notes == {"expressions": "4", "left out without annotation": "1"}
    assert texts(data[0]) == ["trash_can"] and said(data[0])[0].form == "query"
    assert_masks(data[0], block((0, 0, 4, 4), (10, 6, 14, 10)))
    assert [(turn.text, turn.part, turn.form, turn.id) for turn in said(data[1])] == [
        ("car", "", "query", "1"),
        ("car", "wheel", "part", "3"),
        ("chair", "leg", "part", "4"),
    ]
    assert_masks(data[1], block((0, 0, 8, 6)), block((0, 4, 2, 6)), block((5, 5, 7, 9)))
    assert data[1].media is not None
    assert data[1].media.frames == (tmp_path / "lisa" / "coco" / "val2017" / "000000000008.jpg",)
    assert texts(open_dataset("paco_lvis", "val", tmp_path)[0]) == ["mug"]
    assert texts(open_dataset("paco_lvis", "train", tmp_path, underscores="spaces")[0]) == ["trash can"]


def test_pascal_part_masks_have_the_size_of_the_picture(tmp_path: Path) -> None:
    data = built("pascal_part", "train", tmp_path)
    assert [(turn.text, turn.part) for sample in data for turn in said(sample)] == [
        ("aeroplane", "stern"),
        ("aeroplane", "body"),
    ]
    assert_masks(data[0], block((2, 2, 6, 4)))
    assert_masks(data[1], block((3, 3, 9, 9)))  # halved: 4 to 7, and one pixel more on each side


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["annotations"][2].pop("image_id"), r"annotations\[2\].image_id: found nothing"),
        (
            lambda c: c["annotations"][2].update(image_id=9),
            r"annotations\[2\].image_id: found 9; expected the id",
        ),
        (lambda c: c["categories"][0].update(name="a:b:c"), r"categories\[0\].name: found 'a:b:c'"),
        (lambda c: c["images"][1].update(id=500), r"images\[1\].id: found 500, as images\[0\] has"),
    ],
)
def test_paco_names_what_is_wrong_when_it_opens(
    change: Callable[[Any], object], message: str, tmp_path: Path
) -> None:
    BUILDERS["paco_lvis"](tmp_path)
    changed(tmp_path / PACO, change)
    with pytest.raises(DataError, match=message):
        open_dataset("paco_lvis", "train", tmp_path)
    problems: list[DataError] = []
    open_dataset("paco_lvis", "train", tmp_path, on_problem=problems.append)
    assert problems and all(Path(problem.file) == tmp_path / PACO for problem in problems)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["annotations"][1].update(category_id=1), r"annotations\[1\].category_id: found 1"),
        (lambda c: c["images"][0].update(file_name="../a.jpg"), r"found the path '../a.jpg'"),
        (lambda c: c["images"][0].update(height=0), r"images\[0\]: found height and width \(0, 16\)"),
        (
            lambda c: c["annotations"][1].update(segmentation={"size": [9, 9], "counts": [5]}),
            r"annotations\[1\].segmentation",
        ),
    ],
)
def test_paco_names_what_is_wrong_in_a_sample(
    change: Callable[[Any], object], message: str, tmp_path: Path
) -> None:
    BUILDERS["paco_lvis"](tmp_path)
    changed(tmp_path / PACO, change)
    data = open_dataset("paco_lvis", "train", tmp_path)
    with pytest.raises(DataError, match=message):
        masks(data[0])


# Files in COCO's layout


def opened(file: Path, content: bytes) -> CocoFile:
    file.write_bytes(content)
    return CocoFile.open(Source("any", "train", file.parent, Facts(), file.parent / "cache"), file.name)


def test_coco_lists_are_found_in_any_order_and_spacing(tmp_path: Path) -> None:
    content = (
        b'\xef\xbb\xbf \n{"a\\"b": {"images": [1]}, "annotations" :\t'
        b'[ {"id": 1, "t": "\xc3\xa9]"} , {"id": 2}\n],'
        b'"images":[],"n": -1.5e3 } '
    )
    coco = opened(tmp_path / "a.json", content)
    assert (len(coco.images), len(coco.annotations), len(coco.categories)) == (0, 2, 0)
    assert coco.annotations[0]["t"].text() == "é]" and coco.annotations[1].place == "annotations[1]"
    assert coco.annotations.numbers("id") == [1, 2] and coco.images.places() == {}
    assert len(opened(tmp_path / "a.json", b"{}").annotations) == 0


def test_coco_items_may_be_longer_than_what_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unipixel.data.coco_file._WINDOW", 3)
    items = [{"id": number, "mask": [[number] * number]} for number in (12345, 7, 800)]
    content = {"info": "x" * 40, "categories": [1, 23, 456], "annotations": items, "licence": 789}
    coco = opened(tmp_path / "a.json", json.dumps(content, indent=1).encode())
    assert [item.value for item in coco.annotations] == items
    assert [item.value for item in coco.categories] == [1, 23, 456]


def test_coco_ids_may_be_in_quotes(tmp_path: Path) -> None:
    items = (
        b'{"annotations": [{"id": "7", "image_id": 1}, {"id": 2.5}, {"id": true}, {"id": %d}, {}]}' % 2**70
    )
    file = tmp_path / "a.json"
    file.write_bytes(items)
    problems: list[DataError] = []
    source = Source("any", "train", tmp_path, Facts(), None, problems.append)
    assert CocoFile.open(source, "a.json").annotations.numbers("id")[0] == 7
    assert [(problem.place, problem.found) for problem in problems] == [
        ("annotations[1].id", "2.5"),
        ("annotations[2].id", "True"),
        ("annotations[3].id", str(2**70)),
        ("annotations[4].id", "nothing"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found an empty file"),
        (b"[]", r"line 1 column 1: found '\['; expected '{'"),
        (b'{"images": {}}', r"line 1 column 12: found '{'; expected '\['"),
        (b'{"images": [\n{"id": 1},\n{"id": }]}', "line 3 column 1: found a value that is no JSON"),
        (b'{"images": [{"id": 1} {"id": 2}]}', r"column 23: found '{'; expected ',' or '\]'"),
        (b'{"images": [{"id": 1}', "found the end"),
        (b"{1: 2}", "found '1'; expected a name in quotes"),
        (b"{} {}", "found more behind the end"),
    ],
)
def test_coco_files_that_are_damaged(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        opened(tmp_path / "a.json", content)


def test_what_was_found_in_a_long_coco_file_is_kept_until_it_changes(tmp_path: Path) -> None:
    items = [{"id": number, "text": "x" * 1000} for number in range(1200)]
    file = tmp_path / "a.json"
    coco = opened(file, json.dumps({"annotations": items}).encode())
    assert coco.annotations.numbers("id") == list(range(1200))
    kept = sorted((tmp_path / "cache").iterdir())
    assert len(kept) == 1
    again = opened(file, json.dumps({"annotations": items[::-1]}).encode())
    assert again.annotations.numbers("id") == list(range(1200))[::-1]
    assert len(list((tmp_path / "cache").iterdir())) == 2


# The RefCOCO family


@pytest.mark.parametrize("name", ["refcoco", "refcoco+", "refcocog"])
def test_refcoco_train_keeps_the_sentences_of_a_picture_together(name: str, tmp_path: Path) -> None:
    data = built(name, "train", tmp_path)
    assert [sample.id for sample in data] == ["77", "78"]
    assert [(turn.text, turn.objects, turn.id) for turn in said(data[0])] == [
        ("the left man", (0,), "10"),
        ("man in red", (0,), "11"),
        ("guy on the RIGHT", (1,), "30"),
    ]
    assert_masks(data[0], block((0, 0, 4, 8)), block((10, 0, 14, 8)))
    assert_masks(data[1], block((2, 2, 6, 4), (8, 2, 12, 4)))
    assert data.notes == {"expressions": "4", "left out without words": "1"}
    assert data[0].media is not None
    assert data[0].media.names == ("COCO_train2014_000000000077",)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("refcoco", "val"),
        ("refcoco", "testA"),
        ("refcoco+", "testB"),
        ("refcocog", "val"),
        ("refcocog", "test"),
    ],
)
def test_refcoco_evaluation_has_a_sample_for_each_sentence(name: str, split: str, tmp_path: Path) -> None:
    (sample,) = built(name, split, tmp_path)
    assert texts(sample) == [f"A Dog of {split}"]
    assert sample.id == f"79/{said(sample)[0].id}"
    assert_masks(sample, block((3, 3, 7, 9)))
    assert [float(side) for side in sample.facts["box"].split()] == [3, 3.5, 7, 9]
    assert sample.facts["ann_id"] == str(100 * int(sample.facts["ref_id"]))
    (small,) = open_dataset(name, split, tmp_path, letters="lower")
    assert texts(small) == [f"a dog of {split.lower()}"]


def test_refclef_masks_are_several_run_lengths(tmp_path: Path) -> None:
    (sample,) = built("refclef", "train", tmp_path)
    assert texts(sample) == ["the two lakes"]
    assert_masks(sample, block((0, 0, 2, 2), (4, 4, 6, 6)))
    assert sample.media is not None
    assert sample.media.frames[0] == tmp_path.joinpath(
        "lisa", "refer_seg", "images", "saiapr_tc-12", "02", "images", "5.jpg"
    )


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_references_of_any_pickle(protocol: int, tmp_path: Path) -> None:
    make_refcoco(tmp_path)
    file = tmp_path / "lisa" / "refer_seg" / "refcoco" / "refs(unc).p"
    file.write_bytes(pickle.dumps(pickle.loads(file.read_bytes()), protocol=protocol))
    assert texts(open_dataset("refcoco", "train", tmp_path)[1]) == ["boat"]


def test_hostile_references_are_refused_by_name(tmp_path: Path) -> None:
    make_refcoco(tmp_path)
    file = tmp_path / "lisa" / "refer_seg" / "refcoco" / "refs(unc).p"
    file.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DataError, match=r"refs\(unc\).p: found a pickle that wants os.system"):
        open_dataset("refcoco", "train", tmp_path)


@pytest.mark.parametrize(("section", "field"), [("annotations", "ann_id"), ("images", "image_id")])
def test_references_without_annotation_or_image(section: str, field: str, tmp_path: Path) -> None:
    make_refcoco(tmp_path)
    changed(
        tmp_path / "lisa" / "refer_seg" / "refcoco" / "instances.json", lambda content: content[section].pop()
    )
    split = "testB" if section == "annotations" else "train"
    with pytest.raises(DataError, match=rf"refs\(unc\).p, \[\d\].{field}: found .*instances.json has"):
        open_dataset("refcoco", split, tmp_path)
    problems: list[DataError] = []
    data = open_dataset("refcoco", split, tmp_path, on_problem=problems.append)
    assert len(problems) == 1 and len(data) == (0 if section == "annotations" else 1)
