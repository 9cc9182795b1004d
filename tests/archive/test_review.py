"""What people decide about annotations: kept, taken back, never lost; and what comes of it as data."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.archive.annotated import CIRCLE, CLIP, STILL, Made, Thing, shapes, still, truth, write
from typer.testing import CliRunner

from unipixel.archive.lines import ItemMask
from unipixel.archive.review import LONGEST, Decision, Decisions, Review, Verdict
from unipixel.archive.review_export import export_review
from unipixel.cli.main import app
from unipixel.core.masks import RLE
from unipixel.data.jsonl import open_jsonl, read_items
from unipixel.data.sample import Exchange
from unipixel.errors import ConfigError, OutputError, RequestError

KEYS = [("a.mp4", 0), ("a.mp4", 1), ('odd "name"\\ä.png', 0)]


def mask(seed: int, side: int = 12) -> ItemMask:
    pixels = np.random.default_rng(seed).random((side, side)) < 0.5
    return ItemMask(seed, seed / 8, RLE.from_mask(pixels), 0.5)


def decide(record: Decisions, key: tuple[str, int], verdict: Verdict, seed: int = 0) -> None:
    masks = [mask(seed), mask(seed + 1)] if verdict == "corrected" else []
    record.decide(key, verdict, "of", masks)


def states(record: Decisions) -> list[tuple[str, Any] | None]:
    found: list[Decision | None] = [record.latest(key, "of") for key in KEYS]
    return [None if one is None else (one.verdict, record.masks(one)) for one in found]


verdicts = st.sampled_from(["accepted", "corrected", "rejected", "undo"])
acts = st.lists(st.tuples(st.integers(0, 2), verdicts, st.integers(0, 99)), max_size=12)


@settings(max_examples=25, deadline=None)
@given(acts=acts, cut=st.integers(0, 400), opens=st.sets(st.integers(0, 11)))
def test_the_latest_decision_wins_wherever_a_process_was_killed(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[int, Any, int]], cut: int, opens: set[int]
) -> None:
    file = tmp_path_factory.mktemp("record") / "review.jsonl"
    record, known, stacks = Decisions(file), [(0, [None] * 3)], [list[Any]() for _ in KEYS]
    for turn, (place, verdict, seed) in enumerate(acts):
        if turn in opens:
            record = Decisions(file)
        if verdict == "undo":
            if not stacks[place]:
                with pytest.raises(RequestError):
                    record.undo(KEYS[place], "of")
                continue
            record.undo(KEYS[place], "of")
            stacks[place].pop()
        else:
            decide(record, KEYS[place], verdict, seed)
            masks = (mask(seed), mask(seed + 1)) if verdict == "corrected" else ()
            stacks[place].append(
                (verdict, tuple(ItemMask(m.frame, round(m.time, 4), m.rle, m.score) for m in masks))
            )
        known.append((file.stat().st_size, [stack[-1] if stack else None for stack in stacks]))
    assert states(record) == states(Decisions(file)) == known[-1][1]
    if file.exists():  # killed while it wrote: all that was decided before is there, and it goes on
        size = max(0, file.stat().st_size - cut)
        with file.open("ab") as stream:
            stream.truncate(size)
        before = [state for end, state in known if end <= size][-1]
        again = Decisions(file)
        assert states(again) == before
        decide(again, KEYS[0], "rejected")
        assert states(Decisions(file)) == [("rejected", ()), *before[1:]]


def test_long_corrections_stand_in_several_lines_and_count_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "review.jsonl"
    masks = [mask(seed, 700) for seed in range(6)]
    assert len(masks[0].rle.counts) > LONGEST / 8
    Decisions(file).decide(KEYS[0], "corrected", "of", masks)
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) > 1
    assert all(len(line) < 1_000_000 for line in lines)
    record = Decisions(file)
    latest = record.latest(KEYS[0], "of")
    assert latest is not None
    assert [one.rle for one in record.masks(latest)] == [one.rle for one in masks]
    file.write_bytes(b"".join(lines[:-1]))  # killed before the line that decides
    record = Decisions(file)
    assert record.latest(KEYS[0], "of") is None
    decide(record, KEYS[1], "accepted")
    assert len(file.read_bytes().splitlines()) == 1


def test_two_processes_write_one_record(tmp_path: Path) -> None:
    file = tmp_path / "review.jsonl"
    one, other = Decisions(file), Decisions(file)
    decide(one, KEYS[0], "accepted")
    decide(other, KEYS[1], "rejected")
    decide(one, KEYS[0], "corrected", 5)
    other.refresh()
    assert states(one) == states(other) == states(Decisions(file))
    assert [state and state[0] for state in states(one)] == ["corrected", "rejected", None]


def test_a_decision_about_other_masks_does_not_count(tmp_path: Path) -> None:
    out = write(tmp_path / "out", shapes())
    Review(out).decide(("shapes.mp4", 0), "accepted")
    made = shapes()
    write(out, Made(made.item, made.media, made.queries, [made.things[1], *made.things[2:]]))
    review = Review(out)
    assert {one.id: one.state for one in review} == {1: "undecided", 7: "undecided"}
    write(out, shapes())
    assert review.refresh()
    assert review["shapes.mp4", 0].state == "accepted"  # they are those again


def test_damage_before_the_end_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "review.jsonl"
    decide(Decisions(file), KEYS[0], "accepted")
    file.write_bytes(file.read_bytes() + b'{"item": 3}\n' + file.read_bytes())
    with pytest.raises(OutputError, match="line 2"):
        Decisions(file)


def test_the_worst_comes_first_and_annotations_stay_as_they_are(tmp_path: Path) -> None:
    out = write(tmp_path / "out", shapes(), still())
    before = (out / "annotations.jsonl").read_bytes()
    review = Review(out)
    ranked = sorted(review, key=lambda one: one.rank)
    assert [(one.item, one.id) for one in ranked] == [
        ("stills/still.jpg", 1),
        ("shapes.mp4", 1),
        ("shapes.mp4", 7),
        ("stills/still.jpg", 0),
        ("shapes.mp4", 0),
    ]
    triangle = ranked[1]
    assert (triangle.worst, triangle.frames, triangle.question) == (
        23,
        24,
        "Please segment the blue triangle.",
    )
    assert triangle.lowest == pytest.approx(0.14)
    with pytest.raises(RequestError):
        review.decide(triangle.key, "corrected")  # without masks
    with pytest.raises(RequestError):
        review.decide(("shapes.mp4", 99), "accepted")
    review.decide(triangle.key, "corrected", [ItemMask(0, 0.0, truth(3)[0], 1.0)])
    assert [one.rle for one in review.masks(triangle.key)] == [truth(3)[0]]
    assert review.undo(triangle.key).state == "undecided"
    assert (out / "annotations.jsonl").read_bytes() == before
    with pytest.raises(OutputError, match="finished"):
        Review(tmp_path)


# Export


@pytest.fixture
def reviewed(tmp_path: Path) -> Review:
    """Media and results in one folder: the circle accepted, the triangle and the ball corrected, one of the
    picture's two objects rejected."""
    for path in (CLIP, STILL):
        shutil.copy(path, tmp_path)
    review = Review(write(tmp_path / "out", shapes(tmp_path / CLIP.name), still(tmp_path / STILL.name)))
    review.decide(("shapes.mp4", 0), "accepted")
    for number, value in ((1, 3), (7, CIRCLE)):
        masks = [ItemMask(frame, frame / 8, rle, 1.0) for frame, rle in enumerate(truth(value))]
        review.decide(("shapes.mp4", number), "corrected", masks)
    review.decide(("stills/still.jpg", 0), "accepted")
    review.decide(("stills/still.jpg", 1), "rejected")
    return review


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_reviewed_objects_become_data_that_can_be_checked_and_taught(
    reviewed: Review, tmp_path: Path
) -> None:
    file = tmp_path / "mine.jsonl"
    done = run("review", "export", reviewed.folder, "-o", file)
    assert done.exit_code == 0, done.output
    assert done.output == f"{file}: 4 items, 4 objects\n"
    items = {item.id: item for _, item in read_items(file)}
    assert list(items) == ["shapes.mp4#0", "shapes.mp4#1", "shapes.mp4#2", "stills/still.jpg#0"]
    assert items["shapes.mp4#0"].rounds == (Exchange("Please segment the blue circle.", "Here it is: [0]."),)
    assert items["shapes.mp4#2"].rounds == (Exchange("Please segment [7].", "[7]"),)
    assert items["shapes.mp4#2"].task == "remember"
    assert items["shapes.mp4#1"].annotated == "all"
    picture = items["stills/still.jpg#0"]
    assert picture.rounds == (Exchange("Please segment the circles.", "It is [0]."),)  # one was rejected
    assert [dict(thing.facts) for thing in picture.objects] == [{"review": "accepted"}]
    sample = open_jsonl(file)[1]
    assert sample.masks is not None
    found = sample.masks.read(range(24), 192, 256)[0]
    assert np.array_equal(found, np.stack([one.decode() for one in truth(3)]))
    checked = run("data", "check", file)
    assert checked.exit_code == 0, checked.output
    assert "4 items, no problems" in checked.output


def test_a_question_is_left_out_unless_all_that_is_right_is_in(reviewed: Review, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    done = run("review", "export", reviewed.folder, "-o", file, "--only", "corrected")
    assert done.exit_code == 0, done.output
    assert [item.id for _, item in read_items(file)] == ["shapes.mp4#1", "shapes.mp4#2"]
    reviewed.undo(("stills/still.jpg", 1))
    reviewed.decide(("shapes.mp4", 0), "rejected")
    told = export_review([reviewed.folder], file)
    assert told.left_out == {"all rejected": 1, "not all decided": 1}
    assert (told.items, told.objects) == (2, 2)


def test_what_cannot_be_exported_is_told(reviewed: Review, tmp_path: Path) -> None:
    elsewhere = tmp_path / "deep" / "mine.jsonl"
    elsewhere.parent.mkdir()
    with pytest.raises(ConfigError, match="not inside"):
        export_review([reviewed.folder], elsewhere)
    assert not elsewhere.exists()
    assert export_review([reviewed.folder], elsewhere, root=tmp_path).items == 4
    other = write(tmp_path / "other", still(tmp_path / STILL.name))
    with pytest.raises(ConfigError, match="1 not all decided"):
        export_review([other], tmp_path / "none.jsonl")
    assert run("review", "export", tmp_path, "-o", tmp_path / "x.jsonl").exit_code == 2


def test_windows_that_failed_say_nothing_about_their_frames(reviewed: Review, tmp_path: Path) -> None:
    masks = [
        one if frame < 12 else RLE.from_mask(np.zeros((192, 256), bool)) for frame, one in enumerate(truth(2))
    ]
    thing = Thing(0, masks, [0.9] * 24)
    failed = [{"query": 0, "window": 1, "reason": "no memory"}]
    made = Made("half.mp4", tmp_path / CLIP.name, ["Please segment it."], [thing], failures=failed)
    review = Review(write(tmp_path / "half", made))
    review.decide(("half.mp4", 0), "accepted")
    export_review([review.folder], tmp_path / "half.jsonl")
    assert open_jsonl(tmp_path / "half.jsonl")[0].annotated == tuple(range(12))


def test_several_folders_are_exported_together(reviewed: Review, tmp_path: Path) -> None:
    other = Review(write(tmp_path / "other", still(tmp_path / STILL.name)))
    for number in (0, 1):
        other.decide(("stills/still.jpg", number), "accepted")
    told = export_review([reviewed.folder, other.folder], tmp_path / "both.jsonl")
    assert told.items == 5
    assert [item.id for _, item in read_items(tmp_path / "both.jsonl")][-1] == "other/stills/still.jpg#0"
    counted = run("review", "stats", reviewed.folder, other.folder).output
    assert "5 objects: 0 undecided, 2 accepted, 2 corrected, 1 rejected" in counted


def test_reviewing_needs_no_torch() -> None:
    code = "import sys, unipixel.archive.review_export; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_what_annotate_writes_can_be_reviewed_and_exported(
    archive: Path, model: Callable[..., Any], tmp_path: Path
) -> None:
    from unipixel.archive import Asked, annotate, find_items

    items = find_items(
        [str(archive / "still-0.png"), str(archive / "clip.mp4")], Asked(("Please segment a circle.",))
    )
    annotate(model, items, tmp_path / "out")  # type: ignore[arg-type]
    review = Review(tmp_path / "out")
    assert len(review)
    for one in list(review):
        assert one.lowest is not None
        assert 0 <= one.lowest <= (one.mean or 0) <= 1
        review.decide(one.key, "accepted")
    told = export_review([review.folder], tmp_path / "mine.jsonl", root=archive)
    assert told.objects == len(review)
    assert run("data", "check", tmp_path / "mine.jsonl", "--root", archive).exit_code == 0
    first = json.loads((tmp_path / "mine.jsonl").read_text().splitlines()[0])
    assert first["conversation"][0]["text"] == "Please segment a circle."


def test_the_bundled_model_takes_a_step_on_it(reviewed: Review, model: object, tmp_path: Path) -> None:
    from unipixel.training.recipe_file import read_recipe
    from unipixel.training.run import run as train

    export_review([reviewed.folder], tmp_path / "mine.jsonl")
    changes = [f"data.mine.file={tmp_path / 'mine.jsonl'}", "steps=1"]
    train(read_recipe("finetune_tiny", changes), tmp_path / "run")
    (line,) = (tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1:]
    assert json.loads(line)["total"] > 0
