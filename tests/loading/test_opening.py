"""Opening models: all of it comes back, and what does not fit is refused."""

import json
import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.loading.checkpoints import (
    ADDED,
    assert_same_weights,
    assert_tables_equal,
    copy,
    drop_tokens,
    edit_json,
    edit_tensors,
    edit_text,
    unread,
)
from torch import Tensor

from unipixel import footprint, loading
from unipixel.errors import ConfigError, WeightsError
from unipixel.hub import find_checkpoint
from unipixel.loading import load
from unipixel.model.checkpoint import build_backbone
from unipixel.model.unipixel import UniPixel
from unipixel.model.weights import published_state
from unipixel.predictor import Predictor


def test_published_checkpoint_opens_with_the_published_choices(
    golden: Predictor, golden_checkpoint: Path
) -> None:
    state = load_file(golden_checkpoint / "model.safetensors")
    out = published_state(golden.model)
    assert set(out) == set(state)
    assert all(torch.equal(out[name], state[name]) for name in state)
    assert golden.config.region_order == golden.model.object_memory.region_order == "window"
    assert golden.config.sam2.rotary_gradients == "published"
    assert golden.config.seconds == "published"
    assert golden.config.tokens.seg == 375
    assert golden.sources == (golden_checkpoint,)
    assert not golden.model.training
    assert not any(parameter.requires_grad for parameter in golden.model.parameters())


def test_tied_tables_are_one(golden: Predictor) -> None:
    assert golden.model.backbone.head.weight is golden.model.backbone.text.embed_tokens.weight


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_lower_precision_casts_weights_but_no_rotary_table(
    golden: Predictor, golden_checkpoint: Path, dtype: torch.dtype
) -> None:
    half = load(golden_checkpoint, dtype=dtype)
    assert half.dtype == dtype
    assert {parameter.dtype for parameter in half.model.parameters()} == {dtype}
    assert torch.get_default_dtype() == torch.float32
    assert_tables_equal(half, golden)
    assert_matrices_exact(half, golden)
    assert_matrices_exact(Predictor(copy_of(golden).to(dtype), golden.processor, ()), golden)


def copy_of(predictor: Predictor) -> UniPixel:
    return deepcopy(predictor.model)


def assert_matrices_exact(one: Predictor, other: Predictor) -> None:
    """The Fourier matrices, which checkpoints do hold, keep it too."""
    ours, theirs = published_state(one.model), published_state(other.model)
    for name in loading.POSITION_MATRICES:
        assert ours[name].dtype == torch.float32, name
        assert torch.equal(ours[name], theirs[name]), name


def test_shards_open_like_the_single_file(golden: Predictor, folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = list(state)
    parts = {"model-00001-of-00002.safetensors": names[:100], "model-00002-of-00002.safetensors": names[100:]}
    for file, held in parts.items():
        save_file({name: state[name] for name in held}, folder / file)
    places = {name: file for file, held in parts.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert_same_weights(load(folder), golden)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("seg_head.3.bias"), r"1 missing: seg_head\.3\.bias"),
        (lambda state: state.update(extra=torch.zeros(1)), "1 unexpected: extra"),
        (
            lambda state: state.update({"sam2.no_obj_ptr": torch.zeros(1, 3)}),
            r"1 mismatched: sam2\.no_obj_ptr \[1, 3\] \(expected \[1, 64\]\)",
        ),
        (lambda state: state.update({"lm_head.weight": torch.zeros(400, 64)}), "lm_head.weight differs"),
    ],
)
def test_misfits_are_refused_by_name(
    folder: Path, change: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    edit_tensors(folder / "model.safetensors", change)
    with pytest.raises(WeightsError, match=message):
        load(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").write_text("{"), r"config\.json cannot be read as JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "must hold a JSON object; found list"),
        (lambda f: (f / "config.json").unlink(), r"is no checkpoint: it holds no config\.json"),
        (lambda f: edit_json(f / "config.json", model_type="llava"), "model_type 'llava'; expected"),
        (lambda f: (f / "tokenizer.json").unlink(), r"holds no tokenizer\.json"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "is no tokenizer definition"),
        (lambda f: drop_tokens(f, ADDED), r"no token '<\|ref\|>'"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "convert to safetensors"),
    ],
)
def test_damaged_folders_are_refused(folder: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(folder)
    with pytest.raises(WeightsError, match=message):
        load(folder)


def test_without_sizes_the_preset_is_needed(folder: Path) -> None:
    (folder / "sam2_architecture.json").unlink()
    with pytest.raises(
        WeightsError, match=r"config\.json: unknown SAM 2\.1 preset .configs/sam2\.1_hiera_oracle.; closest"
    ):
        load(folder)
    edit_json(folder / "config.json", sam2_config=None)
    with pytest.raises(WeightsError, match="names no sam2_config"):
        load(folder)


def edit_window(folder: Path, value: object) -> None:
    file = folder / "sam2_architecture.json"
    hiera = json.loads(file.read_text())["hiera"]
    edit_json(file, hiera=hiera | {"window_pos_embed_bkg_spatial_size": value})


def write_index(folder: Path, place: object) -> None:
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"one": place, "two": "model.safetensors"}}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f: edit_json(f / "config.json", text_config=[1]),
            r"config\.json describes no model.*text_config",
        ),
        (lambda f: edit_text(f, hidden_size="abc"), r"config\.json describes no model.*hidden_size"),
        (lambda f: edit_text(f, num_attention_heads=7), r"config\.json describes no model.*num_heads.*7"),
        (lambda f: edit_json(f / "config.json", sam2_hidden_tokens="x"), r"config\.json describes .*'x'"),
        (lambda f: edit_json(f / "config.json", sam2_hidden_tokens=0), r"config\.json: hidden_tokens is 0"),
        (lambda f: edit_json(f / "config.json", sam2_image_size=None), r"config\.json describes .*NoneType"),
        (lambda f: edit_window(f, [7]), r"sam2_architecture\.json: .*wrong kind"),
        (lambda f: write_index(f, 5), "tensors lie in 5; expected names of files beside it"),
        (lambda f: write_index(f, "../x.safetensors"), r"tensors lie in '\.\./x\.safetensors'"),
        (lambda f: write_index(f, "a\\x.safetensors"), "expected names of files beside it"),
        (lambda f: write_index(f, "x" * 300), "lacks 1 of its 2 shards"),
    ],
)
def test_damaged_sizes_are_refused_with_their_file(
    folder: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(folder)
    with pytest.raises(WeightsError, match=message):
        load(folder)


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (
            lambda f: edit_text(f, intermediate_size=2**30),
            rf"mismatched: .*mlp\.down_proj\.weight \[64, \d+\] \(expected \[64, {2**30}\]\)",
        ),
        (
            lambda f: edit_json(f / "config.json", vision_config=...),
            r"mismatched: .*visual\.blocks\.0\.attn\.proj\.weight \[32, 32\] \(expected \[3584, 3584\]\)",
        ),
    ],
    ids=["a size", "no vision sizes"],
)
def test_false_sizes_are_refused_before_a_model_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, lie: Callable[[Path], object], message: str
) -> None:
    """A size of 2**30 would take 256 GiB a layer; a configuration without vision sizes describes large
    ones."""
    lie(folder)
    monkeypatch.setattr(footprint, "available_bytes", lambda _: None)
    monkeypatch.setattr(loading, "read_tensors", unread)
    monkeypatch.setattr(loading, "empty_model", unmade)
    with pytest.raises(WeightsError, match=message):
        load(folder)


def test_adapters_and_fresh_starts_refuse_false_sizes_before_a_model_is_made(
    adapter_case: Path, sam_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for made in ("empty_model", "_model_for_parts"):
        monkeypatch.setattr(loading, made, unmade)
    monkeypatch.setattr(footprint, "available_bytes", lambda _: None)
    base, adapter = (copy(adapter_case / name, tmp_path / name) for name in ("base", "adapter"))
    for folder in (base, adapter):
        edit_text(folder, intermediate_size=2**30)
    with pytest.raises(WeightsError, match=rf"base with .*gate_proj.*expected \[{2**30}, 64\]"):
        load(base, sam2=sam_file)
    with (
        pytest.warns(UserWarning, match="drawn anew"),
        pytest.raises(WeightsError, match=rf"adapter over .*gate_proj.*expected \[{2**30}, 64\]"),
    ):
        load(adapter, base=adapter_case / "base")


def unmade(*_: object) -> UniPixel:
    raise AssertionError("a model was made")


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("setting", ["attn_implementation", "_attn_implementation"])
def test_a_configuration_does_not_choose_code(golden: Predictor, setting: str, nested: bool) -> None:
    stranger: dict[str, Any] = {setting: "kernels-community/x"}
    content = dict(golden.config.backbone_config)
    text, vision = content.pop("text_config"), content.pop("vision_config")
    text = {name: value for name, value in text.items() if value is not None}
    content |= stranger | {"vision_config": vision | stranger}
    content |= {"text_config": text | stranger} if nested else text | {"model_type": "qwen2_5_vl"} | stranger
    with torch.device("meta"):
        backbone = build_backbone(replace(golden.config, backbone_config=content))
    for part in (backbone.config, backbone.config.text_config, backbone.config.vision_config):
        assert part._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"region_order": "spiral"}, "region_order is 'spiral'; expected 'window' or 'raster'"),
        ({"seconds": "whole"}, "seconds is 'whole'; expected 'published' or 'fractional'"),
        ({"num_frames": 0}, "num_frames is 0; expected a whole number, 1 or more"),
        ({"num_frames": 2.0}, "num_frames is 2"),
        ({"hidden_tokens": True}, "hidden_tokens is True"),
        ({"backbone": 5}, "backbone is of type int"),
        ({"backbone_config": [1]}, "backbone_config is of type list"),
    ],
)
def test_impossible_choices_are_refused(golden: Predictor, choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(golden.config, **choices)


@pytest.mark.parametrize(
    ("name", "closest"),
    [("unipixel-tinny", "unipixel-tiny"), ("UniPixel-3B", "PolyU-ChenLab/UniPixel-3B")],
)
def test_unknown_names_give_the_closest(name: str, closest: str) -> None:
    with pytest.raises(WeightsError, match=f"unknown model '{name}'; did you mean '{closest}'"):
        load(name)


def test_hopeless_names_list_what_there_is() -> None:
    with pytest.raises(WeightsError, match=r"unknown model '0000'\. Give a folder.*unipixel-tiny"):
        find_checkpoint("0000")


def test_a_file_is_no_checkpoint(golden_checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match="is a file; give the checkpoint's folder"):
        load(golden_checkpoint / "model.safetensors")


@pytest.mark.parametrize("name", ["my models/tiny", "a/" + "x" * 300, "x" * 300, "/" + "y" * 300])
def test_names_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(WeightsError, match=r"check the path|unknown model"):
        find_checkpoint(name)


def test_folders_that_may_not_be_entered_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.stat

    def closed(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", closed)
    with pytest.raises(WeightsError, match="unknown model"):
        find_checkpoint(tmp_path / "closed" / "model")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "x"}, "a whole checkpoint is opened without base: leave base out"),
        ({"sam2": "x.pt", "seed": 0}, "opened without sam2, seed"),
        ({"sam2_preset": "t"}, "opened without sam2_preset"),
    ],
)
def test_options_without_use_are_refused(
    golden_checkpoint: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(golden_checkpoint, **options)


def test_adapters_and_fresh_starts_refuse_each_others_options(adapter_case: Path, sam_file: Path) -> None:
    with pytest.raises(ConfigError, match="an adapter is opened without seed; it takes base and sam2"):
        load(adapter_case / "adapter", seed=1)
    with pytest.raises(ConfigError, match=r"a plain Qwen2\.5-VL is opened without base"):
        load(adapter_case / "base", sam2=sam_file, base=adapter_case / "base")


def test_an_unreachable_hub_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(
        WeightsError, match=r"did not give it \(ConnectionError\).*mean 'PolyU-ChenLab/UniPixel-3B'"
    ):
        load("PolyU-ChenLab/UniPixel-3")
