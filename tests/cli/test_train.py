"""`unipixel train`."""

from pathlib import Path

import pytest
from PIL import Image
from tests.cli.conftest import Run
from tests.training.small_runs import words

from unipixel.loading import load


@pytest.fixture
def recipe_words(golden_checkpoint: Path, tmp_path: Path) -> list[str]:
    return words(golden_checkpoint, tmp_path / "data", "steps=2")


def test_a_dry_run_shows_what_would_be_done(run: Run, recipe_words: list[str], tmp_path: Path) -> None:
    done = run("train", "debug", *recipe_words, "data.mevis.repeats=2", "-o", tmp_path / "run", "--dry-run")
    assert done.code == 0
    for line in (
        "sam2           full",
        "revos",
        "samples",
        "not here",
        "steps: 2",
        "GB",
        "region_order: raster",
    ):
        assert line in done.out, line
    assert not (tmp_path / "run").exists()


def test_it_trains_and_goes_on(run: Run, recipe_words: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert run("train", "debug", *recipe_words, "-o", folder).code == 0
    assert load(folder / "whole").config.region_order == "raster"
    again = run("train", "debug", *recipe_words, "-o", folder)
    assert again.code == 2 and "--resume" in again.err
    more = run("train", "debug", *recipe_words, "steps=3", "-o", folder, "--resume", "--pictures", "1")
    assert more.code == 0
    with Image.open(folder / "pictures" / "step-00000003.png") as drawn:
        assert drawn.size[0] % 128 == 0 and drawn.size[1] == 2 * 128, "wanted above, found below"
    assert (folder / "step-00000003").is_dir()


def test_published_stages_are_planned_without_anything_on_disk(run: Run, tmp_path: Path) -> None:
    done = run("train", "stage_2_7b", f"root={tmp_path}", "--dry-run")
    assert done.code == 0
    assert "14,687,744" in done.out and "published sizes of 7b" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stage_4"], "did you mean"),
        (["debug", "optimiser.rates=1"], "did you mean 'optimiser.rate'"),
        (["debug"], "names no data"),
        (["debug", "data.revos.repeats=1", "root=nowhere"], "no such file"),
        (["debug", "strategy=ddp", "data.revos.repeats=1"], "torchrun"),
        (["nowhere.toml"], "cannot be read as a recipe"),
    ],
)
def test_mistakes_are_told_in_one_line(run: Run, arguments: list[str], message: str, tmp_path: Path) -> None:
    done = run("train", *arguments, "-o", tmp_path / "run")
    assert done.code == 2
    assert message in done.err and len(done.err.strip().splitlines()) == 1, done.err
