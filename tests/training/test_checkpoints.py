"""A run that is killed goes on as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.training.small_runs import ADAPTERS, small_recipe, words

from unipixel.errors import OutputError, WeightsError
from unipixel.training import checkpoints
from unipixel.training.checkpoints import OPTIMISER, TRAINED, latest
from unipixel.training.distributed import World
from unipixel.training.run import RECIPE, open_trainer, run

STEPS = 5
ALONE = World(0, 1, torch.device("cpu"), "single")
DRAWS = (*ADAPTERS, "lora.dropout=0.3", f"steps={STEPS}", "save.every=2", "save.exports=[]")
"""A run that draws random numbers in every step."""


def logged(folder: Path) -> list[dict[str, float]]:
    file = folder / "log.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_killed_in_mid_step_and_resumed_gives_the_same_weights(
    golden_checkpoint: Path, tmp_path: Path
) -> None:
    recipe_words = words(golden_checkpoint, tmp_path / "data", *DRAWS)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-m", "unipixel.cli.main", "train", "debug", *recipe_words, "-o", str(killed)]
    # Sums depend on how many threads share them: as many there as here.
    threads = str(torch.get_num_threads())
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    for _ in range(6000):
        if len(logged(killed)) >= 3 or process.poll() is not None:
            break
        time.sleep(0.1)
    time.sleep(0.05)  # into the fourth step
    os.kill(process.pid, signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    state = latest(killed)
    assert state is not None and state.name == "step-00000002", "two of at least three steps were kept"

    recipe = small_recipe(golden_checkpoint, tmp_path / "data", *DRAWS)
    with pytest.raises(OutputError, match="--resume"):
        run(recipe, killed)
    run(recipe, killed, resume=True)
    run(recipe, whole)
    for file in (TRAINED, OPTIMISER):
        ours, theirs = (load_file(folder / f"step-{STEPS:08d}" / file) for folder in (killed, whole))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours), file
    losses = {line["step"]: line["total"] for line in logged(killed)}
    assert losses == {line["step"]: line["total"] for line in logged(whole)}
    assert len(losses) == STEPS and len(logged(killed)) == STEPS + 1  # the third step was taken twice


def test_a_state_is_written_whole_and_old_ones_go(golden_checkpoint: Path, tmp_path: Path) -> None:
    recipe = small_recipe(golden_checkpoint, tmp_path / "data", "save.keep=2", "parts.sam2.how=frozen")
    trainer = open_trainer(recipe, tmp_path / "run", ALONE)
    (tmp_path / "run" / ".step-00000003.partial").mkdir(parents=True)  # what a killed process leaves behind
    for step in (1, 2, 3):
        trainer.step = step
        trainer.save()
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["step-00000002", "step-00000003"]


def test_a_failure_while_writing_leaves_the_last_state(
    golden_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small_recipe(golden_checkpoint, tmp_path / "data", "parts.sam2.how=frozen")
    trainer = open_trainer(recipe, tmp_path / "run", ALONE)
    trainer.step = 1
    first = trainer.save()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", fail)
    trainer.step = 2
    with pytest.raises(OutputError, match="No space left"):
        trainer.save()
    assert latest(tmp_path / "run") == first


def test_a_state_of_another_run_is_refused(golden_checkpoint: Path, tmp_path: Path) -> None:
    recipe = small_recipe(golden_checkpoint, tmp_path / "data", "parts.sam2.how=frozen")
    trainer = open_trainer(recipe, tmp_path / "run", ALONE)
    trainer.step = 1
    state = trainer.save()
    fewer = small_recipe(
        golden_checkpoint, tmp_path / "data", "parts.sam2.how=frozen", "parts.language.how=frozen"
    )
    with pytest.raises(WeightsError, match=r"backbone\.norm\.weight"):
        open_trainer(fewer, tmp_path / "run", ALONE).resume()
    (state / TRAINED).write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="go on from the one before"):
        trainer.resume()


def test_recipe_versions_and_choices_lie_beside_the_checkpoint(
    golden_checkpoint: Path, tmp_path: Path
) -> None:
    recipe = small_recipe(golden_checkpoint, tmp_path / "data", "steps=1", "save.exports=[]")
    content = json.loads((run(recipe, tmp_path / "run") / RECIPE).read_text())
    assert content["recipe"]["seed"] == 0
    assert content["resolved_choices"]["region_order"] == "raster"
    assert content["versions"]["torch"] == torch.__version__
    assert content["processes"] == 1
