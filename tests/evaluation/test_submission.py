"""Archives for servers: exactly the wanted pictures, or none at all."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from tests.data.published.drawing import write_json
from tests.evaluation.stub import Stub, build, plan_of, run_stub

from unipixel.errors import ConfigError
from unipixel.evaluation.predictions import Predictions
from unipixel.evaluation.submission import as_png, check_archive
from unipixel.evaluation.work import Work, make_archive


def work_of(name, root, stub=None, **options):
    plan = plan_of(name, root, root / "out" / name, **options)
    run_stub(plan, stub)
    return Work(plan, ())


@pytest.fixture
def root(tmp_path):
    return build(tmp_path, "mevis", "ref_youtube_vos")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mevis_val", ["cc/0/00000.png", "cc/0/00001.png"]),
        (
            "ref_youtube_vos",
            [f"Annotations/v_c/{expression}/0000{frame}.png" for expression in "01" for frame in "01"],
        ),
    ],
)
def test_the_archive_holds_exactly_what_the_server_wants(name, expected, root):
    work = work_of(name, root)
    archive = make_archive(work)
    assert archive.written and archive.file == work.plan.folder / "submission.zip"
    with zipfile.ZipFile(archive.file) as file:
        assert file.namelist() == expected
        for number, entry in enumerate(expected):
            with Image.open(io.BytesIO(file.read(entry))) as picture:
                assert picture.mode == "L" and picture.size == (16, 12)
                mask = Stub()._mask(number % 2, 12, 16)
                assert np.array_equal(np.asarray(picture), mask * 255)
    assert (archive.videos, archive.frames) == (1, len(expected))
    assert any("the server's split has" in note for note in archive.notes), "a fixture is not the split"


def test_equal_predictions_make_equal_archives(root):
    work = work_of("mevis_val", root)
    first = make_archive(work).file.read_bytes()
    assert make_archive(work, root / "again.zip").file.read_bytes() == first


def test_an_expression_without_an_answer_is_black_and_counted(root):
    archive = make_archive(work_of("ref_youtube_vos", root, Stub(silent=True)))
    assert archive.written and archive.empty == 2
    assert "2 expressions without an answer have empty masks" in archive.notes
    with (
        zipfile.ZipFile(archive.file) as file,
        Image.open(io.BytesIO(file.read(file.namelist()[0]))) as picture,
    ):
        assert not np.asarray(picture).any()


def test_missing_predictions_keep_the_archive_from_being_written(root):
    work = work_of("ref_youtube_vos", root)
    file = work.plan.folder / "predictions.0-of-1.jsonl"
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    archive = make_archive(work)
    assert not archive.written and not archive.file.exists()
    assert [str(problem) for problem in archive.problems] == ["missing prediction: v_c/1: no prediction"]


def test_wrong_sizes_and_frames_keep_it_too(root):
    work = work_of("ref_youtube_vos", root)
    file = work.plan.folder / "predictions.0-of-1.jsonl"
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    entries[0]["objects"][0] |= {"frames": 1, "counts": entries[0]["objects"][0]["counts"][:1]}
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert [problem.kind for problem in make_archive(work).problems] == ["missing frame"]


def test_videos_of_the_test_split_are_left_out(root):
    listed = root / "ref_youtube_vos" / "meta_expressions" / "test" / "meta_expressions.json"
    write_json(listed, {"videos": {"v_c": {}}})
    archive = make_archive(work_of("ref_youtube_vos", root))
    assert archive.expressions == 0
    assert archive.notes[0] == "2 expressions of videos of the test split are left out"


def test_a_trial_makes_no_archive(root):
    with pytest.raises(ConfigError, match="asked with --limit 1"):
        make_archive(work_of("ref_youtube_vos", root, limit=1))


def spoiled(file, change):
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def colour(entries):
    content = io.BytesIO()
    Image.new("RGB", (16, 12)).save(content, "PNG")
    entries["cc/0/00001.png"] = content.getvalue()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda entries: entries.pop("cc/0/00001.png"), "missing picture: cc/0/00001.png"),
        (lambda entries: entries.update({"cc/0/2.png": b""}), "unknown picture: cc/0/2.png"),
        (
            lambda entries: entries.update({"cc/0/00001.png": as_png(np.ones((3, 3), dtype=bool))}),
            "wrong picture: cc/0/00001.png: mode L, 3x3; it should be L, 16x12",
        ),
        (colour, "wrong picture: cc/0/00001.png: mode RGB"),
        (
            lambda entries: entries.update({"cc/0/00001.png": b"PNG"}),
            "wrong picture: cc/0/00001.png: no picture",
        ),
    ],
    ids=["missing", "unknown", "size", "mode", "broken"],
)
def test_the_check_sees_what_is_wrong(change, expected, root):
    work = work_of("mevis_val", root)
    file = make_archive(work).file
    samples = list(work.plan.open().samples)
    assert check_archive(file, "mevis", samples) == []
    spoiled(file, change)
    (problem,) = check_archive(file, "mevis", samples)
    assert str(problem).startswith(expected)
    assert len(Predictions.open(work.plan.folder)) == 1
