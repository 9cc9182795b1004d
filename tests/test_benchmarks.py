"""The benchmarks run and print their tables; what they measure is for quiet machines."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SMALL = ("--layers", "2", "--width", "128", "--repeats", "1")


def run(name: str, *options: str) -> tuple[list[list[str]], str]:
    """The cells of the table that a benchmark prints, without its head, and everything it prints."""
    command = [sys.executable, f"benchmarks/{name}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=600)
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[1:]], done.stdout


def numbers(rows: list[list[str]], *columns: int) -> list[list[int]]:
    return [[int(row[column]) for column in columns] for row in rows]


def test_objects_encodes_each_frame_once_and_gives_the_same_masks() -> None:
    rows, _ = run("objects.py", "--frames", "2", "--objects", "1,3", "--side", "64")
    assert numbers(rows, 0, 2, 4) == [[1, 2, 2], [3, 2, 6]]
    assert all(float(row[6]) < 1e-3 for row in rows), "pixels that differ"


def test_a_second_question_costs_its_own_text_alone_and_gives_the_same_answer() -> None:
    rows, printed = run("session.py", "--frames", "3", "--tokens", "4", "--side", "64", *SMALL)
    first, second, anew, whole = numbers(rows, 2, 3, 4, 5)
    frames, patches, tokens, own = second
    assert (frames, patches, tokens) == (0, 0, own)
    assert first[0] == 3 and first[1] > 0 and first[2] > first[3], "the first question reads the clip"
    assert anew == whole == [0, first[1], first[2] - first[3] + own, own]
    assert re.findall(r"same text: (\w+)", printed) == ["yes", "yes"]
    differences = [float(found) for found in re.findall(r"difference of logits: (\S+)", printed)]
    assert len(differences) == 2 and max(differences) < 1e-4


def test_the_tracker_remembers_no_more_of_a_longer_clip() -> None:
    rows, printed = run("length.py", "--frames", "60", "--objects", "2", "--side", "64")
    frames, states = zip(*numbers(rows, 0, 1), strict=True)
    assert frames == (20, 40, 60)
    assert len(set(states)) == 1 and states[0] > 0
    assert "kB a frame" in printed and "frames encoded: 60\n" in printed


def test_questions_asked_together_share_the_passes_of_the_language_model() -> None:
    rows, _ = run("batch.py", "--questions", "3", "--tokens", "4", *SMALL)
    # alone: 3 questions of a pass each and 3 more for its answer; reading a clip is a pass, too
    assert numbers(rows, 2, 4, 6) == [[3 * (1 + 4), 3 + 4, 0], [3 * 4, 4, 0]]


def test_objects_of_a_micro_batch_are_followed_together_with_the_same_loss() -> None:
    rows, printed = run("training.py", "--frames", "2", "--batch", "2", "--steps", "1")
    assert [row[0] for row in rows] == ["together", "sample by sample"]
    assert rows[0][6] == rows[1][6], "losses"
    assert "where the time goes: language model" in printed


def test_a_long_file_is_opened_quickly_a_second_time_and_loaders_give_samples() -> None:
    files = ("--items", "4000", "--megabytes", "3")
    small = ("--height", "48", "--side", "64", "--visits", "1", "--workers", "1", "--repeats", "1")
    rows, printed = run("readers.py", *files, *small)
    arrays, coco = rows[0], rows[1]
    assert (arrays[0], arrays[2]) == ("videorefer_short_caption", "4000") and coco[0] == "paco_lvis"
    assert all(2.5 < float(row[1]) < 4 for row in (arrays, coco)), "megabytes"
    assert {line.split(" |")[0] for line in printed.splitlines() if line.count("|") == 8} >= {
        *("| segment", "| refer", "| describe", "| remember")
    }


def test_the_published_sizes_are_those_of_the_readme() -> None:
    rows, printed = run("real_size.py", "--dry-run")
    found = [[float(cell) for cell in row[1:]] for row in rows if row[0] in ("decoder layers", "all")]
    readme = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| [37]B: (?:decoder layers|all) \| (.*) \|$", readme, re.MULTILINE)
    assert found == [[float(cell) for cell in line.split("|")[:4]] for line in told] and len(found) == 4
    assert re.findall(r"keys and values: (\S+) kB", printed) == ["36.9", "57.3"]


@pytest.mark.skipif(importlib.util.find_spec("torchao") is None, reason="needs torchao")
def test_int8_makes_the_weights_smaller_and_changes_little() -> None:
    rows, printed = run("int8.py", "--scenes", "1")
    assert [int(row[1]) for row in rows] == [6] * 6 + [36], "questions"
    assert float(rows[-1][2]) >= 0.95 * 36 and abs(float(rows[-1][5])) < 0.05
    held = re.search(r"weights, MB: (\S+), with int8 (\S+)", printed)
    assert held is not None and float(held[2]) < float(held[1])


def test_quality_is_measured_on_what_was_kept(tmp_path: Path) -> None:
    from unipixel.archive.quality import NAMES

    draw, kept = np.random.default_rng(0), tmp_path / "kept.npz"
    ious = draw.permutation(np.linspace(0, 1, 100))
    signs = np.full((100, len(NAMES)), 0.5)
    signs[:, NAMES.index("score")] = ious  # a decoder that is always right about itself
    clips, kinds = np.repeat([f"clip {number}" for number in range(10)], 10), np.tile(["words", "box"], 50)
    np.savez(kept, signs=signs, ious=ious, clips=clips, kinds=kinds)
    plot = tmp_path / "plot.svg"
    rows, _ = run("quality.py", "measure", "--from", str(kept), "--plot", str(plot))
    alone = [row for row in rows if row[1:2] == ["predicted IoU alone"]]
    assert [row[0] for row in alone] == ["all", "words", "box"]
    assert all(row[2].split(" ")[0] == row[3] for row in alone), "of a right order none is missed"
    assert alone[0][3] == "0.40", "50 of 100 are bad, and 20 are looked at"
    bins = [row for row in rows if len(row) == 3 and row[0].isdigit()]
    assert sum(int(row[0]) for row in bins) == 100
    assert plot.read_text(encoding="utf-8").count("<circle") == len(bins)
    _, fitted = run("quality.py", "fit", "--from", str(kept))
    weights = {line.split()[0]: float(line.split()[1]) for line in fitted.splitlines()[2:]}
    assert list(weights) == ["constant", *NAMES]
    assert weights["score"] > 1 and max(abs(weights[name]) for name in NAMES if name != "score") < 0.1


def test_finished_runs_of_an_ablation_are_told_with_their_range(tmp_path: Path) -> None:
    _, listed = run("ablations.py", "--list")
    assert {line.split(" ")[0] for line in listed.splitlines()} >= {"memory", "propagation", "hidden_tokens"}
    for seed, value in enumerate((0.5, 0.7)):
        done = tmp_path / "memory" / f"with_{seed}" / "scores.json"
        done.parent.mkdir(parents=True)
        done.write_text(json.dumps({"region_choices": value}))
    rows, _ = run("ablations.py", "memory", "--table", "-o", str(tmp_path))
    assert rows == [["with", "0.600 (0.500 to 0.700)"], ["without"]]
