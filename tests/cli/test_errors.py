"""Bad input: a clear line on stderr, exit code 2, no traceback, nothing on stdout, nothing left behind."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unipixel.core.writing import write_picture

FAST = 4.0  # seconds, in a process of its own: 0.4 on an idle machine, importing torch alone takes 2


def is_clean_error(outcome, *fragments: str) -> bool:
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    for fragment in fragments:
        assert fragment in outcome.err, outcome.err
    return True


def empty(folder: Path, media) -> Path:
    file = folder / "empty.mp4"
    file.touch()
    return file


def text(folder: Path, media) -> Path:
    file = folder / "text.mp4"
    file.write_text("this is no video\n" * 50)
    return file


def truncated(folder: Path, media) -> Path:
    file = folder / "cut.mp4"
    content = media.video.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])
    return file


def noise(folder: Path, media) -> Path:
    file = folder / "noise.jpg"
    file.write_bytes(np.random.default_rng(0).bytes(4000))
    return file


@pytest.mark.parametrize(
    ("make", "fragment"),
    [
        (lambda folder, media: folder / "nowhere.mp4", "no such file"),
        (empty, "the file is empty"),
        (text, "neither a picture nor a video"),
        (truncated, "fetch it again"),
        (noise, "neither a picture nor a video"),
    ],
    ids=["missing", "empty", "text", "truncated", "noise"],
)
def test_unusable_media(run, media, tmp_path: Path, make: Callable[..., Path], fragment: str) -> None:
    file = make(tmp_path, media)
    assert is_clean_error(run("ask", file, "What is this?", "-o", tmp_path / "out"), str(file), fragment)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--point", "500,5"], ["(500, 5)", "128x96"]),
        (["--point", "-1,5"], ["outside the 128x96 picture"]),
        (["--point", "5,5@77"], ["frame 77", "0 to 5"]),
        (["--point", "5,5@-1"], ["frame -1"]),
        (["--point", "abc"], ["--point 'abc'", "X,Y[@FRAME]"]),
        (["--point", "1,2,3"], ["3 numbers, not 2"]),
        (["--point", "1,2@x"], ["'x' is no frame number"]),
        (["--point", "nan,2"], ["finite"]),
        (["--box", "40,40,10,10"], ["swapped corners", "(10, 10, 40, 40)"]),
        (["--box", "4,4,10"], ["3 numbers, not 4"]),
        (["--scribble", "4,4;x"], ["--scribble", "no number"]),
        (["--mask", "nowhere.png"], ["nowhere.png", "no such file"]),
        (["--frames", "0"], ["at least 1 frame"]),
        (["--temperature", "-1"], ["temperature"]),
        (["--top-p", "2"], ["top_p"]),
        (["--max-new-tokens", "0"], ["max_new_tokens"]),
        (["--seed", str(2**63)], ["seed must be"]),
        (["--mask", "m" * 300 + "@0"], ["cannot be read"]),
        (["-o", "o" * 300], ["cannot be written"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_unusable_request(run, media, arguments: list[str], fragments: list[str]) -> None:
    assert is_clean_error(run("ask", media.video, "What is [0]?", *arguments), *fragments)


def test_media_that_no_model_can_see(run_without_torch, media, tmp_path: Path) -> None:
    write_picture(tmp_path / "thin.png", np.zeros((2, 401, 3), dtype=np.uint8))
    outcome = run_without_torch("ask", tmp_path / "thin.png", "What is this?")
    assert is_clean_error(outcome, "thin.png", "401x2", "a factor of 200")


def test_prompts_on_more_frames_than_are_shown(run_without_torch, media) -> None:
    prompts = ["--point", "5,5@0", "--point", "5,5@2", "--frames", "1"]
    outcome = run_without_torch("ask", media.video, "[0] or [1]?", *prompts)
    assert is_clean_error(outcome, "2 different frames", "sees only 1")


@pytest.mark.parametrize("question", ["", "  \n "])
def test_empty_text(run, media, question: str) -> None:
    assert is_clean_error(run("ask", media.video, question), "the question is empty")


def test_mask_of_the_wrong_size(run, media, tmp_path: Path) -> None:
    write_picture(tmp_path / "small.png", np.full((50, 128, 3), 255, dtype=np.uint8))
    outcome = run("ask", media.video, "What is [0]?", "--mask", tmp_path / "small.png")
    assert is_clean_error(outcome, "128x50", "128x96")


@pytest.mark.parametrize("target", ["picture.jpg/out", "picture.jpg"])
def test_output_that_cannot_be_written(run_apart, media, target: str) -> None:
    before = time.perf_counter()
    outcome = run_apart("ask", media.picture, "What is this?", "-o", media.picture.parent / target)
    assert is_clean_error(outcome, "picture.jpg")
    assert time.perf_counter() - before < FAST


def test_convert_where_nothing_can_be_written(run, media) -> None:
    # Below a file nobody can write, root included; /proc is a read-only folder where there is one.
    targets = [media.picture / "converted", *(proc / "nowhere" for proc in [Path("/proc")] if proc.is_dir())]
    for target in targets:
        outcome = run("convert", "unipixel-tiny", target, "--to", "unipixel")
        assert is_clean_error(outcome, str(target), "cannot be written")


def test_output_with_files_in_it(run, media, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    outcome = run("ask", media.picture, "What is this?", "-o", tmp_path)
    assert is_clean_error(outcome, "is not empty", "--overwrite")
    outcome = run("ask", media.picture, "What is this?", "-o", tmp_path, "--overwrite")
    assert is_clean_error(outcome, "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_unknown_model(run, media, tmp_path: Path) -> None:
    outcome = run("ask", media.picture, "Hello?", "-m", "unipixel-tini", "-o", tmp_path / "a" / "b")
    assert is_clean_error(outcome, "'unipixel-tini'", "did you mean 'unipixel-tiny'?")
    assert list(tmp_path.iterdir()) == []


def test_folder_without_checkpoint(run, media, tmp_path: Path) -> None:
    outcome = run("ask", media.picture, "Hello?", "-m", tmp_path)
    assert is_clean_error(outcome, "is no checkpoint", "config.json")


def test_checkpoint_with_a_missing_tensor(run, media, broken_checkpoint: Path, tmp_path: Path) -> None:
    outcome = run("ask", media.picture, "Hello?", "-m", broken_checkpoint, "-o", tmp_path / "out")
    assert is_clean_error(outcome, "1 missing: seg_head.1.weight")
    assert not (tmp_path / "out").exists()


def test_convert_into_something_that_exists(run, tmp_path: Path) -> None:
    outcome = run("convert", "unipixel-tiny", tmp_path, "--to", "published")
    assert is_clean_error(outcome, "exists already")


def test_doctor_with_half_a_comparison(run, tmp_path: Path) -> None:
    assert is_clean_error(run("doctor", "--golden", tmp_path), "--checkpoint")


def test_bad_input_answers_before_torch_is_imported(run_apart, tmp_path: Path) -> None:
    before = time.perf_counter()
    outcome = run_apart("ask", tmp_path / "nowhere.mp4", "What is this?")
    took = time.perf_counter() - before
    print(f"bad input: {took:.2f} s")
    assert is_clean_error(outcome, "no such file")
    assert took < FAST


@pytest.mark.parametrize("name", ["unipixel-tini", "folder"])
@pytest.mark.parametrize("command", ["ask", "convert", "doctor"])
def test_a_wrong_model_is_told_before_torch_is_imported(
    run_without_torch, media, tmp_path: Path, command: str, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    model = name if name == "unipixel-tini" else tmp_path / name
    arguments = {
        "ask": [media.picture, "Hello?", "--model", model],
        "convert": [model, tmp_path / "new", "--to", "unipixel", "--dtype", "bfloat16"],
        "doctor": ["--model", model],
    }[command]
    before = time.perf_counter()
    outcome = run_without_torch(command, *arguments)
    took = time.perf_counter() - before
    print(f"wrong model: {took:.2f} s")
    expected = "did you mean 'unipixel-tiny'?" if name == "unipixel-tini" else "is no checkpoint"
    assert is_clean_error(outcome, str(model), expected)
    assert took < FAST


def test_wrong_usage(run) -> None:
    outcome = run("ask", "clip.mp4")
    assert outcome.code == 2
    assert "Missing argument 'TEXT'" in outcome.err
