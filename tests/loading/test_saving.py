"""Saving and converting models: every bit and choice comes back, in either layout."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.loading.checkpoints import assert_same_answers, assert_same_weights, edit_json
from torch import Tensor

from unipixel import loading
from unipixel.core.request import PixelBudget
from unipixel.errors import ConfigError, OutputError, WeightsError
from unipixel.loading import load, save
from unipixel.model.config import Licences
from unipixel.model.weights import published_state
from unipixel.predictor import Predictor


def with_choices(golden_checkpoint: Path) -> Predictor:
    """A model whose every choice differs from the published one and from the default."""
    opened = load(golden_checkpoint)
    config = replace(
        opened.config,
        region_order="raster",
        seconds="fractional",
        num_frames=5,
        pixels=PixelBudget(784, 7840, None),
        licences=Licences(weights="MIT", base="b", data="d"),
        name="named",
        sam2=replace(opened.config.sam2, rotary_gradients="corrected"),
    )
    opened.model.config = config
    opened.model.object_memory.region_order = "raster"
    return opened


def test_our_layout_returns_every_bit_and_choice(golden_checkpoint: Path, tmp_path: Path) -> None:
    ours = with_choices(golden_checkpoint)
    assert save(ours, tmp_path / "ours") == tmp_path / "ours"
    again = load(tmp_path / "ours")
    assert again.config == ours.config
    assert again.model.object_memory.region_order == "raster"
    assert again.processor.tokenizer.definition == ours.processor.tokenizer.definition
    assert_same_weights(again, ours)
    assert_same_answers(again, ours)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_files_round_trip(golden: Predictor, tmp_path: Path, dtype: torch.dtype) -> None:
    save(golden, tmp_path / "half", dtype=dtype)
    opened = load(tmp_path / "half", dtype=dtype)
    wanted, found = published_state(golden.model), published_state(opened.model)
    kinds = dict.fromkeys(wanted, dtype) | dict.fromkeys(loading.POSITION_MATRICES, torch.float32)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name].to(kind)) for name, kind in kinds.items())
    save(opened, tmp_path / "again")
    ours, again = (load_file(tmp_path / name / "model.safetensors") for name in ("half", "again"))
    assert all(torch.equal(ours[name], again[name]) and again[name].dtype == kinds[name] for name in ours)


def test_ours_to_published_and_back(golden: Predictor, golden_checkpoint: Path, tmp_path: Path) -> None:
    save(golden, tmp_path / "ours")
    save(load(tmp_path / "ours"), tmp_path / "published", layout="published")
    wanted = load_file(golden_checkpoint / "model.safetensors")
    written = load_file(tmp_path / "published" / "model.safetensors")
    assert {name: tensor.shape for name, tensor in written.items()} == {
        name: tensor.shape for name, tensor in wanted.items()
    }
    assert all(torch.equal(written[name], wanted[name]) for name in wanted)
    opened = load(tmp_path / "published")
    assert opened.config == golden.config
    assert_same_answers(opened, golden)


def test_published_file_keeps_what_its_reader_needs(
    golden: Predictor, golden_checkpoint: Path, tmp_path: Path
) -> None:
    save(golden, tmp_path / "published", layout="published")
    wanted = json.loads((golden_checkpoint / "config.json").read_text())
    assert json.loads((tmp_path / "published" / "config.json").read_text()) == wanted
    assert (tmp_path / "published" / "tokenizer.json").read_text() == (
        golden_checkpoint / "tokenizer.json"
    ).read_text()


def test_choices_that_published_readers_do_not_make_need_force(
    golden_checkpoint: Path, tmp_path: Path
) -> None:
    ours = with_choices(golden_checkpoint)
    before = ours.config
    target = tmp_path / "deep" / "published"
    with pytest.raises(ConfigError, match=r"region_order='raster' .*'window'.*seconds='fractional'.*force"):
        save(ours, target, layout="published")
    assert list(tmp_path.iterdir()) == []
    save(ours, target, layout="published", force=True)
    assert ours.config is before, "saving changed the model"
    assert ours.model.object_memory.region_order == "raster"
    opened = load(target)
    assert opened.config.region_order == "window"
    assert opened.config.seconds == "published"
    assert_same_weights(opened, ours)


def test_force_changes_nothing_in_our_own_layout(golden_checkpoint: Path, tmp_path: Path) -> None:
    ours = with_choices(golden_checkpoint)
    save(ours, tmp_path / "ours", force=True)
    assert load(tmp_path / "ours").config == ours.config


def test_a_name_that_is_too_long_is_refused(golden: Predictor, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save(golden, tmp_path / ("n" * 300))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(golden: Predictor, tmp_path: Path) -> None:
    target = tmp_path / "here"
    target.mkdir()
    (target / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="exists already; choose a new folder"):
        save(golden, target)
    assert [path.name for path in tmp_path.rglob("*")] == ["here", "mine.txt"]


def test_a_place_under_a_file_is_refused(golden: Predictor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("keep")
    with pytest.raises(OutputError, match="cannot be written"):
        save(golden, tmp_path / "file" / "model")
    assert [path.name for path in tmp_path.rglob("*")] == ["file"]


def test_a_full_disk_leaves_nothing_behind(
    golden: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    def full(_: Mapping[str, Tensor], file: Path, **__: object) -> None:
        Path(file).write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OutputError, match="No space left on device"):
        save(golden, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "has format 2; this version reads format 1"),
        ({"sam2": ...}, "is incomplete"),
        ({"backbone": "qwen9"}, "unknown backbone 'qwen9'"),
    ],
)
def test_damaged_configurations_of_ours_are_refused(
    golden: Predictor, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    save(golden, tmp_path / "ours")
    edit_json(tmp_path / "ours" / "config.json", **changes)
    with pytest.raises((WeightsError, ConfigError), match=message):
        load(tmp_path / "ours")
