"""A model that brings code of its own is opened only by those who say so, whatever opens it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import unipixel

BUNDLED = Path(unipixel.__file__).parent / "checkpoints" / "unipixel-tiny"
STILL = Path(__file__).parents[2] / "examples" / "media" / "still.jpg"
PART = """
from unipixel.model.sam2 import MaskTracker


class Mine(MaskTracker):
    pass
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model with a tracker of its own."""
    folder = tmp_path_factory.mktemp("model")
    for file in BUNDLED.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "part.py").write_text(PART)
    config = json.loads((BUNDLED / "config.json").read_text())
    (folder / "config.json").unlink()
    config["own_parts"] = {"tracker": f"{folder / 'part.py'}:Mine"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def unipixel_command(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "unipixel.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_code_of_a_model_is_run_by_those_who_trust_it(model: Path) -> None:
    asked = ("ask", STILL, "Where is the green circle?", "--model", model)
    refused = unipixel_command(*asked)
    assert refused.returncode == 2 and "--trust-code" in refused.stderr and "Mine" in refused.stderr
    trusted = unipixel_command(*asked, "--trust-code")
    assert trusted.returncode == 0 and "[0]" in trusted.stdout


def test_an_evaluation_asks_for_trust(model: Path, tmp_path: Path) -> None:
    refused = unipixel_command(
        "eval", "fresh_clips", "--model", model, "--limit", "1", "-o", tmp_path / "out"
    )
    assert refused.returncode == 2 and "--trust-code" in refused.stderr


def test_a_server_that_has_no_model_ends(model: Path, tmp_path: Path) -> None:
    refused = unipixel_command("serve", "--model", model, "--data", tmp_path / "data", "--port", "0")
    assert refused.returncode == 2 and "--trust-code" in refused.stderr
    assert "Traceback" not in refused.stderr
