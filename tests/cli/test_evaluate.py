"""`unipixel eval`, `score`, `judge` and `compare` with the bundled model."""

import json
import shutil
from pathlib import Path

import pytest
from tests.evaluation.stub import build

from unipixel.evaluation.benchmarks import BENCHMARKS


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return build(
        tmp_path_factory.mktemp("data"),
        "mevis",
        "refcoco",
        "videorefer_bench_q",
        "videorefer_bench_d",
        "mvbench",
    )


FAMILIES = ("mevis", "refcoco_val", "videorefer_d_multi", "videorefer_q_single", "pixelqa_box")


@pytest.fixture(scope="module")
def finished(data, run, tmp_path_factory):
    """One benchmark of every family with the bundled model."""
    folder = tmp_path_factory.mktemp("out")
    return folder, run("eval", *FAMILIES, "--data", data, "-o", folder, "--batch", "2")


def test_list_names_them_all(run):
    outcome = run("eval", "list")
    names = [line.split()[0] for line in outcome.out.splitlines()[1:]]
    assert outcome.code == 0 and names == [row.name for row in BENCHMARKS]


def test_every_family_runs_with_the_bundled_model(finished):
    folder, outcome = finished
    assert outcome.code == 1, "descriptions are not judged yet"
    assert "not judged" in outcome.out
    for name in ("mevis_val_u", "refcoco_val", "videorefer_q_single", "pixelqa_box"):
        content = json.loads((folder / name / "results.json").read_text())
        assert content["settings"]["model"] == "unipixel-tiny" and content["settings"]["fingerprint"]
        assert content["claim"].startswith("complete: all ")
        assert (folder / name / "report.html").stat().st_size > 1000
        assert f"{name} " in outcome.out
    assert "submission.zip: written and checked; 1 videos, 1 expressions, 2 frames" in outcome.out


def test_what_is_there_is_scored_again_without_torch(finished, data, run_without_torch, tmp_path):
    folder, _ = finished
    copy = tmp_path / "copy"
    shutil.copytree(folder / "mevis_val_u", copy / "mevis_val_u")
    before = (copy / "mevis_val_u" / "results.json").read_text()
    (copy / "mevis_val_u" / "results.json").unlink()
    outcome = run_without_torch("score", copy)
    assert outcome.code == 0, outcome.err
    assert (copy / "mevis_val_u" / "results.json").read_text() == before


def test_a_wrong_prediction_makes_the_exit_code_1(finished, run, tmp_path):
    folder, _ = finished
    copy = tmp_path / "mevis_val_u"
    shutil.copytree(folder / "mevis_val_u", copy)
    assert run("score", copy).code == 0
    file = copy / "predictions.0-of-1.jsonl"
    file.write_bytes(file.read_bytes()[:-25])
    outcome = run("score", copy)
    assert outcome.code == 1
    assert "truncated file: predictions.0-of-1.jsonl, line 3" in outcome.out
    assert "missing prediction: bb/2" in outcome.out and "complete: all" not in outcome.out


def test_shards_are_scored_by_the_last(data, run, finished, tmp_path):
    common = ("eval", "refcoco_val", "mevis_val_u", "--data", data, "-o", tmp_path)
    first = run(*common, "--shard", "1/2")
    assert first.code == 0 and "mevis_val_u: shard 1/2 is done" in first.err
    assert not (tmp_path / "mevis_val_u" / "results.json").exists()
    assert run(*common, "--shard", "0/2").code == 0
    for name in ("mevis_val_u", "refcoco_val"):
        whole = (finished[0] / name / "results.json").read_text()
        assert (tmp_path / name / "results.json").read_text() == whole


def test_pictures_of_another_system(data, run, tmp_path):
    from PIL import Image

    for expression in "012":
        for frame in ("00000", "00001"):
            place = tmp_path / "theirs" / "bb" / expression
            place.mkdir(parents=True, exist_ok=True)
            Image.new("L", (16, 12), 255).save(place / f"{frame}.png")
    common = ("score", tmp_path / "theirs", "--benchmark", "mevis_val_u", "--data", data)
    outcome = run(*common, "-o", tmp_path / "scored")
    assert outcome.code == 0 and (tmp_path / "scored" / "results.json").is_file()
    shutil.rmtree(tmp_path / "theirs" / "bb" / "2")
    outcome = run(*common)
    assert outcome.code == 1 and "missing prediction: bb/2" in outcome.out
    assert run("score", tmp_path / "theirs").code == 2


def test_two_runs_are_compared(finished, run):
    folder = finished[0] / "mevis_val_u"
    outcome = run("compare", folder, folder)
    assert outcome.code == 0 and "+0.00" in outcome.out and "3 questions in 1 clips" in outcome.out
    assert r"\begin{tabular}" in run("compare", folder, folder, "--latex").out


def test_a_dry_run_of_the_judge(finished, data, run):
    outcome = run("judge", finished[0], "--dry-run", "--price", "150,600", "--judge-model", "some-judge")
    assert outcome.code == 0
    assert "videorefer_d_multi: 2 to judge by some-judge (0 known)" in outcome.err
    assert "at 150,600 per million tokens" in outcome.err
    assert run("judge", finished[0] / "mevis_val_u", "--dry-run").code == 2


def test_other_settings_are_refused(finished, data, run):
    outcome = run("eval", "mevis_val_u", "--data", data, "-o", finished[0], "--seed", "4")
    assert outcome.code == 2 and "seed was 0, is 4" in outcome.err


def test_a_data_set_that_is_not_there_stops_only_its_own(data, run, tmp_path):
    outcome = run("eval", "refcoco_val", "groundmore", "--data", data, "-o", tmp_path)
    assert outcome.code == 1 and "error: groundmore: " in outcome.err
    assert "refcoco_val" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["mevis_valu"], "did you mean 'mevis_val_u'?"),
        (["mevis_val_u"], "say where the data sets are: --data ROOT"),
        (["fresh_clips", "--shard", "2/2"], "there is no shard 2 of 2"),
        (["fresh_clips", "--limit", "0"], "A limit of 0"),
        (["fresh_clips", "--protocol", "classic"], "fresh_clips has no protocol 'classic'"),
        (["fresh_clips", "--prompts", "missing.json"], "missing.json"),
    ],
)
def test_mistakes_are_told_before_any_work(arguments, expected, run, monkeypatch):
    monkeypatch.delenv("UNIPIXEL_DATA", raising=False)
    outcome = run("eval", *arguments)
    assert outcome.code == 2 and expected.lower() in outcome.err.lower()
