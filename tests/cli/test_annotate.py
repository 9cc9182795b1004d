"""`unipixel annotate` as a person calls it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from unipixel.archive.lines import read_annotations
from unipixel.core.writing import write_picture

ASK = ("--ask", "Please segment the red circle.")


@pytest.fixture
def folder(media, tmp_path: Path) -> Path:  # type: ignore[no-untyped-def]
    """A video and a picture."""
    (tmp_path / "in").mkdir()
    for path in (media.video, media.picture):
        (tmp_path / "in" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "in"


def test_a_folder_is_annotated_and_the_second_run_has_nothing_to_do(run: Callable, folder: Path) -> None:  # type: ignore[type-arg]
    out = folder.parent / "out"
    first = run("annotate", folder, *ASK, "-o", out, "--frames", "4", "--coco")
    assert first.code == 0, first.err
    assert "2 of 2 items" in first.err and "annotations.jsonl" in first.err
    assert [item.item for item in read_annotations(out)] == ["clip.mp4", "picture.jpg"]
    assert (out / "coco.json").is_file()
    again = run("annotate", folder, *ASK, "-o", out, "--frames", "4")
    assert again.code == 0 and "0 of 2 items" in again.err and "2 were done before" in again.err


def test_failures_end_with_1_and_say_why(run: Callable, folder: Path) -> None:  # type: ignore[type-arg]
    (folder / "broken.png").write_bytes(b"no picture")
    outcome = run("annotate", folder / "broken.png", *ASK, "-o", folder.parent / "out")
    assert outcome.code == 1
    assert "broken.png: failed: MediaError" in outcome.err and "--retry-failed" in outcome.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--ask"),
        ((*ASK, "--shard", "4/4"), "no shard"),
        ((*ASK, "--window", "8", "--overlap", "8"), "smaller"),
        ((*ASK, "--fps", "0"), "above 0"),
        ((*ASK, "--workers", "0"), "at least 1"),
        ((*ASK, "--threads", "0"), "0 threads"),
        (("--prompts", "missing.txt"), "missing.txt"),
    ],
)
def test_what_cannot_be_ends_with_2_before_any_work(
    run: Callable,  # type: ignore[type-arg]
    folder: Path,
    options: tuple[str, ...],
    message: str,
) -> None:
    outcome = run("annotate", folder, "-o", folder.parent / "out", *options)
    assert outcome.code == 2 and message in outcome.err
    assert not (folder.parent / "out").exists()


def test_a_plan_writes_nothing(run: Callable, folder: Path) -> None:  # type: ignore[type-arg]
    outcome = run("annotate", folder, *ASK, "-o", folder.parent / "out", "--plan", "--frames", "2")
    assert outcome.code == 0 and "items      2 (2 opened" in outcome.out and "disk" in outcome.out
    assert not (folder.parent / "out").exists()


def test_mot_boxes_are_followed(run: Callable, media, tmp_path: Path) -> None:  # type: ignore[no-untyped-def, type-arg]
    from unipixel.core.media import Clip

    clip = Clip.open(media.video)
    (tmp_path / "seq" / "gt").mkdir(parents=True)
    (tmp_path / "seq" / "img1").mkdir()
    for index, frame in clip.walk(0, 3):
        write_picture(tmp_path / "seq" / "img1" / f"{index + 1:06d}.png", frame)
    (tmp_path / "seq" / "gt" / "gt.txt").write_text("1,7,22,30,36,36,1,1,1\n3,7,34,30,36,36,1,1,1\n")
    outcome = run("annotate", tmp_path / "seq", "--boxes", "mot", "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    (item,) = read_annotations(tmp_path / "out")
    (followed,) = item.objects
    assert (followed.id, followed.name) == (7, "pedestrian")
    assert {mask.frame for mask in followed.masks} == {0, 1, 2}
