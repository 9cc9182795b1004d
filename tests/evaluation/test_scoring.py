"""Scoring stored predictions: right numbers, second protocols, and every kind of wrong prediction by name."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.published.drawing import rle, write_frames, write_json
from tests.data.published.videos import frame_names, said, video, write_davis
from tests.evaluation.stub import Stub, build, plan_of, run_stub

from unipixel.core.masks import RLE
from unipixel.errors import ConfigError, OutputError
from unipixel.evaluation.benchmark import Case, Metric, Part
from unipixel.evaluation.benchmarks import find_benchmarks, find_protocol
from unipixel.evaluation.metrics.clips import score_clip
from unipixel.evaluation.predictions import Predictions
from unipixel.evaluation.scoring import HowToScore
from unipixel.evaluation.work import plan_work, score_pictures, score_work, stored_work


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("data"))


def outcome(name, data, folder, protocol="published", **options):
    """The result of a stub's predictions under one protocol."""
    plan = plan_of(name, data, folder / name)
    if not plan.folder.exists():
        run_stub(plan)
    work = next(
        work
        for work in plan_work([plan.benchmark], protocol, data, folder)
        if work.plan.folder == plan.folder
    )
    return score_work(work, **options).results[0]


def by_stub(frames, height=12, width=16):
    return np.stack([Stub()._mask(frame, height, width) for frame in range(frames)])


def block(x1, y1, x2, y2):
    mask = np.zeros((12, 16), dtype=bool)
    mask[y1:y2, x1:x2] = True
    return mask


# Numbers


def test_video_scores_are_those_of_the_metrics(data, tmp_path):
    result = outcome("mevis_val_u", data, tmp_path)
    empty = np.zeros((12, 16), dtype=bool)
    truths = {
        "bb/1": [block(0, 0, 2, 2) | block(8, 8, 10, 10), block(0, 0, 2, 3)],
        "bb/2": [empty, empty],
    }
    found = {case.sample: case for case in result.cases}
    for sample, truth in truths.items():
        expected = score_clip(by_stub(2), np.stack(truth))
        assert found[sample].values["J"] == pytest.approx(expected.mean_j, abs=1e-12)
        assert found[sample].values["F"] == pytest.approx(expected.mean_f, abs=1e-12)
    j, f = (np.mean([case.values[name] for case in result.cases]) for name in "JF")
    assert result.score("J").all.value == pytest.approx(100 * j)
    assert result.score("J&F").all.value == pytest.approx(50 * (j + f))


def test_revos_is_the_mean_of_two_parts_and_has_two_kinds_of_robustness(tmp_path):
    build(tmp_path, "revos")
    meta = tmp_path / "revos" / "meta_expressions_valid_.json"
    content = json.loads(meta.read_text())
    expressions = content["videos"]["clip_c"]["expressions"]
    expressions["2"] = said("What floats?", [7], [16], type_id=1)
    expressions["3"] = said("the ship", [8], [17], type_id=0)
    meta.write_text(json.dumps(content))
    masks = json.loads((tmp_path / "revos" / "mask_dict.json").read_text())
    write_json(tmp_path / "revos" / "mask_dict.json", masks | {"17": [rle((2, 2, 9, 8)), rle((0, 0, 2, 2))]})
    result = outcome("revos", tmp_path, tmp_path / "out")
    cases = {case.sample.split("/")[1]: case for case in result.cases}
    assert [cases[n].kind for n in "0123"] == ["referring", "no target", "reasoning", "referring"]
    referring = (cases["0"].values["J"] + cases["3"].values["J"]) / 2
    assert result.score("J").all.value == pytest.approx(50 * (referring + cases["2"].values["J"]))
    assert result.score("referring J").all.value == pytest.approx(100 * referring)
    assert cases["0"].values["J"] == round(cases["0"].values["J"], 4), "rounded to two decimals of a hundred"
    binary = outcome("revos", tmp_path, tmp_path / "out", "binary")
    assert binary.score("J").all == result.score("J").all
    assert binary.score("R").all.value > result.score("R").all.value
    assert binary.score("A").all.value > result.score("A").all.value
    assert set(result.by_kind) == {"no target", "reasoning", "referring"}
    assert result.by_kind["reasoning"][0].all.value == pytest.approx(100 * cases["2"].values["J"])


def test_davis_has_a_classic_protocol(tmp_path):
    """Two things, each found half by each other's mask: alone and merged differ."""
    expressions = {str(n): {"exp": f"thing {n}", "obj_id": str(n // 4 + 1)} for n in range(8)}
    tracks = [
        [rle((0, 0, 4, 6))] * 2 if int(key) < 4 else [rle((8, 0, 12, 6))] * 2 for key in sorted(expressions)
    ]
    folder = tmp_path / "ref_davis17"
    write_davis(folder, "valid", {"sea": video(2, expressions)}, tracks)
    alone = outcome("ref_davis17", tmp_path, tmp_path / "out")
    classic = outcome("ref_davis17", tmp_path, tmp_path / "out", "classic")
    shown = by_stub(2)
    expected = [score_clip(shown, np.stack([block(x, 0, x + 4, 6)] * 2)).mean_j for x in (0, 8)]
    assert alone.score("J").all.value == pytest.approx(100 * np.mean(expected))
    # Equal masks: the merged labels hold only the first object, paired with the thing that it fits better.
    assert classic.score("J").all.value == pytest.approx(100 * max(expected) / 2)
    assert len(classic.cases) == 8 and len(classic.by_kind) == 4


def test_ref_sav_counts_expressions_or_subsets(tmp_path):
    folder = tmp_path / "ref_sav" / "valid"
    expressions = {
        "0": said("A long description of the man.", [0], [5], type_id=0),
        "1": said("the man", [0], [5], type_id=1),
        "2": said("the other", [0], [6], type_id=1),
    }
    write_json(folder / "meta_expressions_valid.json", {"videos": {"sav_1": video(2, expressions)}})
    write_json(folder / "mask_dict.json", {"5": [rle((1, 2, 9, 8))] * 2, "6": [rle()] * 2})
    write_frames(folder / "videos" / "sav_1", frame_names(2))
    published = outcome("ref_sav", tmp_path, tmp_path / "out")
    subsets = outcome("ref_sav", tmp_path, tmp_path / "out", "sa2va")
    a, b, c = (case.values["J"] for case in published.cases)
    assert published.score("J").all.value == pytest.approx(100 * (a + b + c) / 3)
    assert subsets.score("J").all.value == pytest.approx(100 * (a + (b + c) / 2) / 2)
    assert a == b > c == 0


def test_pictures_have_two_kinds_of_iou_and_boxes(data, tmp_path):
    result = outcome("refcoco_val", data, tmp_path)
    truth, shown = block(3, 3, 7, 9), by_stub(1)[0]
    inside, either = (truth & shown).sum(), (truth | shown).sum()
    assert result.score("cIoU").all.value == pytest.approx(100 * inside / either)
    assert result.score("gIoU").all.value == pytest.approx(100 * inside / either)
    assert result.score("box accuracy").all.value in (0.0, 100.0)


def test_reason_seg_leaves_out_ignored_regions_in_the_second_protocol(data, tmp_path):
    published = outcome("reason_seg_test", data, tmp_path)
    lisa = outcome("reason_seg_test", data, tmp_path, "lisa")
    assert (published.total, lisa.total) == (2, 1), "all texts, and the first of each picture"


def test_pixelqa_weighs_objects_equally_and_counts_options(data, tmp_path):
    result = outcome("pixelqa_point", data, tmp_path)
    assert [case.values["objects"] for case in result.cases] == [2.0, 1.0]
    total = sum(case.values["J"] for case in result.cases)
    assert result.score("J").all.value == pytest.approx(100 * total / 3)
    assert result.score("accuracy").all.value == 50.0, "B is right for the first question only"
    assert set(result.by_kind) == {"Basic Questions", "Relationship Questions"}


def test_choices_are_read_in_two_ways(data, tmp_path):
    plan = plan_of("videorefer_q_multi", data, tmp_path / "videorefer_q_multi")
    run_stub(plan, Stub(text="It is (B)"))
    published = outcome("videorefer_q_multi", data, tmp_path)
    upstream = outcome("videorefer_q_multi", data, tmp_path, "upstream")
    assert published.score("accuracy").all.value == 0.0
    assert published.score("no option").all.value == 100.0
    assert upstream.score("accuracy").all.value == 50.0


def test_processes_change_nothing(data, tmp_path):
    alone = outcome("ref_davis17", data, tmp_path)
    together = outcome("ref_davis17", data, tmp_path, how=HowToScore(processes=2))
    assert together == alone


def test_a_metric_without_cases_has_no_score():
    metric = Metric("x", (Part("x", kinds=("a",)), Part("x", kinds=("b",))))
    cases = [Case("1", "1", "a", "answered", {"x": 0.5})]
    assert metric.score(cases) is None and metric.score([]) is None
    assert metric.score([*cases, replace(cases[0], kind="b", values={"x": 1.0})]).value == 75.0


# Wrong predictions


def change_line(folder, number, change):
    file = next(folder.glob("predictions.*.jsonl"))
    lines = file.read_bytes().splitlines(keepends=True)
    lines[number] = change(lines[number])
    file.write_bytes(b"".join(lines))


def fewer_frames(line):
    entry = json.loads(line)
    entry["objects"][0] |= {"frames": 1, "counts": entry["objects"][0]["counts"][:1]}
    return json.dumps(entry).encode() + b"\n"


def other_size(line):
    entry = json.loads(line)
    small = RLE.from_mask(np.ones((3, 5), dtype=bool))
    entry["objects"][0] |= {"size": [3, 5], "counts": [small.counts.decode()] * 2}
    return json.dumps(entry).encode() + b"\n"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda line: b"", "missing prediction: bb/1: nothing was predicted for it"),
        (
            lambda line: line + line,
            "duplicate line: predictions.0-of-1.jsonl, line 3: bb/1 was predicted before",
        ),
        (lambda line: line[:-30] + b"\n", "damaged line: predictions.0-of-1.jsonl, line 2"),
        (fewer_frames, "missing frame: bb/1: no mask for 1 frames: 00001"),
        (other_size, "wrong size: bb/1: 5x3 instead of 16x12 pixels"),
    ],
    ids=["missing", "duplicate", "damaged", "frames", "size"],
)
def test_wrong_lines_are_named(change, expected, data, tmp_path):
    plan = plan_of("mevis_val_u", data, tmp_path / "mevis_val_u")
    run_stub(plan)
    change_line(plan.folder, 1, change)
    result = outcome("mevis_val_u", data, tmp_path)
    assert any(str(problem).startswith(expected) for problem in result.problems), result.problems
    assert not result.is_sound and result.total == 3


def test_a_truncated_file_is_named(data, tmp_path):
    plan = plan_of("mevis_val_u", data, tmp_path / "mevis_val_u")
    run_stub(plan)
    change_line(plan.folder, 2, lambda line: line[:40])
    problems = {problem.kind: problem.where for problem in outcome("mevis_val_u", data, tmp_path).problems}
    assert problems == {
        "truncated file": "predictions.0-of-1.jsonl, line 3",
        "missing prediction": "bb/2",
    }


def test_stored_predictions_are_found_and_scored_without_a_model(data, tmp_path):
    for name in ("mevis_val_u", "refcoco_val"):
        run_stub(plan_of(name, data, tmp_path / name))
    works = stored_work(tmp_path, None)
    assert [work.plan.benchmark.name for work in works] == ["mevis_val_u", "refcoco_val"]
    assert [protocol.name for protocol in works[1].protocols] == ["published"], "lisa asks apart"
    assert stored_work(tmp_path / "mevis_val_u", data)[0].plan.root == data
    assert stored_work(tmp_path / "nothing", data) == []


# Other systems' pictures


def write_pngs(plan, folder):
    """A stub's predictions as folders of pictures."""
    run_stub(plan)
    opened, known = plan.open(), Predictions.open(plan.folder)
    for sample in opened.samples:
        place = folder / sample.media.vid / sample.rounds[0].id
        place.mkdir(parents=True)
        for name, mask in zip(sample.media.names, known.read(sample.id).objects[0].masks, strict=True):
            Image.fromarray(mask.decode().astype(np.uint8) * 255).save(place / f"{name}.png")


@pytest.fixture
def pictures(data, tmp_path) -> Path:
    write_pngs(plan_of("mevis_val_u", data, tmp_path / "mevis_val_u"), tmp_path / "png")
    return tmp_path / "png"


def scored_pictures(data, pictures, name="mevis_val_u"):
    return score_pictures(find_benchmarks([name])[0], pictures, data).results[0]


def test_pictures_score_as_lines_do(data, pictures, tmp_path):
    ours, theirs = outcome("mevis_val_u", data, tmp_path), scored_pictures(data, pictures)
    assert theirs.cases == ours.cases and theirs.scores == ours.scores and theirs.is_sound
    (tmp_path / "archive").mkdir()
    shutil.move(pictures, tmp_path / "archive" / "Annotations")
    assert scored_pictures(data, tmp_path / "archive").scores == ours.scores


def spoil_missing(folder):
    (folder / "bb" / "1" / "00001.png").unlink()


def spoil_expression(folder):
    shutil.rmtree(folder / "bb" / "1")


def spoil_size(folder):
    Image.new("L", (8, 6), 255).save(folder / "bb" / "1" / "00001.png")


def spoil_file(folder):
    file = folder / "bb" / "1" / "00001.png"
    file.write_bytes(file.read_bytes()[:50])


def spoil_levels(folder):
    ramp = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16)
    Image.fromarray(ramp).save(folder / "bb" / "1" / "00001.png")


def spoil_name(folder):
    (folder / "bb" / "1").rename(folder / "bb" / "one")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (spoil_missing, ["missing frame: bb/1: no mask for 1 frames: 00001"]),
        (spoil_expression, ["missing prediction: bb/1: nothing was predicted for it"]),
        (spoil_size, ["wrong size: bb/1/00001.png: 8x6 instead of 16x12 pixels"]),
        (spoil_file, ["damaged picture: bb/1/00001.png: "]),
        (spoil_levels, ["not black and white: bb/1/00001.png: "]),
        (spoil_name, ["unknown expression: bb/one: ", "missing prediction: bb/1: "]),
    ],
    ids=["picture", "expression", "size", "truncated", "levels", "name"],
)
def test_wrong_pictures_are_named(spoil, expected, data, pictures):
    before = scored_pictures(data, pictures)
    spoil(pictures)
    result = scored_pictures(data, pictures)
    assert len(result.problems) == len(expected) and not result.is_sound
    for problem, start in zip(result.problems, expected, strict=True):
        assert str(problem).startswith(start)
    changed = [a.sample for a, b in zip(before.cases, result.cases, strict=True) if a.values != b.values]
    assert changed in (["bb/1"], []), "the others keep their scores"


def test_video_mme_is_scored_by_the_length_of_the_video(tmp_path):
    """The fixture's short question has C as its answer, the long one A; none is of medium length."""
    build(tmp_path, "videomme")
    plan = plan_of("videomme", tmp_path, tmp_path / "out" / "videomme")
    stub = run_stub(plan, Stub(text="C"))
    assert [request.answer_prefix for request in stub.asked] == ["Best Option: ("] * 2
    result = score_work(plan_work([plan.benchmark], "published", tmp_path, tmp_path / "out")[0]).results[0]
    scores = {name: result.score(name).all for name in ("accuracy", "short", "medium", "long")}
    values = {name: score and score.value for name, score in scores.items()}
    assert values == {"accuracy": 50.0, "short": 100.0, "medium": None, "long": 0.0}


def test_pictures_of_words_or_of_nowhere_are_refused(data, tmp_path):
    with pytest.raises(ConfigError, match="cannot be scored from folders"):
        scored_pictures(data, tmp_path, "mvbench")
    with pytest.raises(OutputError, match="is no folder"):
        scored_pictures(data, tmp_path / "gone")


def test_unknown_names_are_refused_with_the_closest():
    with pytest.raises(ConfigError, match="did you mean 'mevis_val_u'"):
        find_benchmarks(["mevis_valu"])
    with pytest.raises(ConfigError, match="there is: published, classic"):
        find_protocol(find_benchmarks(["ref_davis17"])[0], "classical")
