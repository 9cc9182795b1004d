"""Adapters over their base, and fresh models of a base and SAM 2.1."""

import json
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.loading.checkpoints import (
    ADDED,
    assert_same_answers,
    assert_same_weights,
    assert_tables_equal,
    copy,
    drop_tokens,
    edit_json,
    edit_tensors,
    request,
)
from torch import Tensor

from unipixel import loading
from unipixel.errors import WeightsError
from unipixel.loading import load, save
from unipixel.model.checkpoint import FRESH_LICENCES
from unipixel.model.weights import published_state


def test_adapter_finds_its_base_or_takes_a_given_one(adapter_case: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="random position matrices.*drawn anew"):
        found = load(adapter_case / "adapter")
    assert found.sources == (adapter_case / "adapter", adapter_case / "adapter" / ".." / "base")
    moved = copy(adapter_case / "adapter", tmp_path / "adapter")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = load(moved, base=adapter_case / "base")
    assert_same_weights(found, given)
    assert_same_answers(found, given)


def test_complete_adapters_do_not_warn(adapter_case: Path, tmp_path: Path) -> None:
    moved = copy(adapter_case / "adapter", tmp_path / "adapter")
    with pytest.warns(UserWarning, match="drawn anew"):
        first = load(moved, base=adapter_case / "base")
    matrices = {name: published_state(first.model)[name] for name in loading.POSITION_MATRICES}
    edit_tensors(moved / "pytorch_model.safetensors", lambda state: state.update(matrices))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = load(moved, base=adapter_case / "base")
    assert_same_weights(first, again)


def test_a_missing_base_is_explained(
    adapter_case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = copy(adapter_case / "adapter", tmp_path / "deep" / "adapter")
    with pytest.raises(WeightsError, match=r"base of the adapter .*give its folder as base=….*'\.\./base'"):
        load(moved)
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda *_, **__: (_ for _ in ()).throw(OSError("off"))
    )
    edit_json(moved / "config.json", base_model_path="model_zoo/Qwen2.5-VL-3B-Instruct")
    with pytest.raises(WeightsError, match=r"give its folder as base=….*model_zoo/Qwen2\.5-VL-3B-Instruct"):
        load(moved)
    edit_json(moved / "config.json", base_model_path=None)
    with pytest.raises(WeightsError, match=r"names no base_model_path.*give base=…"):
        load(moved)


def test_fresh_model_copies_what_begins_as_a_copy(adapter_case: Path, sam_file: Path) -> None:
    fresh = load(adapter_case / "base", sam2=sam_file)
    model, config = fresh.model, fresh.config
    base, sam = load_file(adapter_case / "base" / "model.safetensors"), torch.load(sam_file)["model"]
    assert config.region_order == model.object_memory.region_order == "raster"
    assert config.sam2.rotary_gradients == "corrected"
    assert config.seconds == model.backbone.seconds == "fractional"
    assert config.licences == FRESH_LICENCES
    assert "untrained parts: Apache-2.0" in config.licences.weights
    state = published_state(model)
    assert all(torch.equal(state[name], base[name]) for name in base)
    assert torch.equal(
        state["sam2.memory_encoder.fuser.layers.0.weight"], sam["memory_encoder.fuser.layers.0.gamma"]
    )
    for index in (0, 2):
        for part in ("weight", "bias"):
            copied = state[f"msk_proj.{index}.{part}"]
            assert torch.equal(copied, base[f"visual.merger.mlp.{index}.{part}"])
    points = model.object_prompt.points.state_dict()
    assert "pe_layer.positional_encoding_gaussian_matrix" in points
    assert all(torch.equal(points[name], sam[f"sam_prompt_encoder.{name}"]) for name in points)
    assert not any(tensor.isnan().any() for tensor in state.values())
    assert len(fresh.answer([request()])[0].objects) == 2


def test_own_parts_are_drawn_xavier_uniform(adapter_case: Path, sam_file: Path) -> None:
    model = load(adapter_case / "base", sam2=sam_file).model
    for layer in (
        model.seg_head[1],
        model.seg_head[3],
        model.object_prompt.fuse[1],
        model.object_prompt.click,
    ):
        limit = (6 / sum(layer.weight.shape)) ** 0.5
        assert 0.95 * limit < layer.weight.abs().max() <= limit
        assert not layer.bias.any()


def test_a_fresh_start_follows_its_seed_and_nothing_else(adapter_case: Path, sam_file: Path) -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first = load(adapter_case / "base", sam2=sam_file)
    assert torch.equal(torch.random.get_rng_state(), before), "loading drew from the caller's numbers"
    torch.manual_seed(8)
    assert_same_weights(load(adapter_case / "base", sam2=sam_file, seed=0), first)
    other = published_state(load(adapter_case / "base", sam2=sam_file, seed=1).model)
    same = published_state(first.model)
    differing = {name for name in same if not torch.equal(same[name], other[name])}
    assert {name.split(".")[0] for name in differing} == {
        *("seg_head", "ref_proj", "ref_proj_single", "ref_proj_double", "tem_proj", "tem_emb", "tem_pe")
    }
    assert (first.model.seg_head[0].weight == 1).all()


def test_unused_rows_stay_and_the_tokens_take_them(
    adapter_case: Path, sam_file: Path, tmp_path: Path
) -> None:
    base = copy(adapter_case / "base", tmp_path / "base")
    drop_tokens(base, ADDED)
    fresh = load(base, sam2=sam_file)
    table = load_file(base / "model.safetensors")["model.embed_tokens.weight"]
    tokens = fresh.config.tokens
    assert (tokens.ref, tokens.seg, tokens.mem) == (374, 375, 376)
    assert torch.equal(fresh.model.backbone.text.embed_tokens.weight, table)
    assert fresh.config.backbone_config["text_config"]["vocab_size"] == len(table) == 400


@pytest.mark.parametrize("tied", [True, False])
def test_a_small_table_grows_by_its_mean(
    adapter_case: Path, sam_file: Path, tmp_path: Path, tied: bool
) -> None:
    base = copy(adapter_case / "base", tmp_path / "base")
    drop_tokens(base, ADDED)
    rows = 374
    shrink(base, rows, tied)
    fresh = load(base, sam2=sam_file)
    old = load_file(base / "model.safetensors")
    backbone = fresh.model.backbone
    tables = {
        "model.embed_tokens.weight": backbone.text.embed_tokens.weight,
        "lm_head.weight": backbone.head.weight,
    }
    for name in old.keys() & tables.keys():
        assert torch.equal(tables[name][:rows], old[name])
        assert torch.equal(tables[name][rows:], old[name].mean(0).expand(3, -1))
    assert backbone.tied == tied
    assert (tables["lm_head.weight"] is tables["model.embed_tokens.weight"]) == tied
    assert fresh.config.backbone_config["text_config"]["vocab_size"] == backbone.vocabulary_size == rows + 3
    save(fresh, tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert again.config == fresh.config
    assert_same_weights(again, fresh)
    assert_same_answers(again, fresh)


def shrink(base: Path, rows: int, tied: bool) -> None:
    """Cut the vocabulary table to `rows`; untied: give the output a table of its own."""
    content = json.loads((base / "config.json").read_text())
    text = content["text_config"] | {"vocab_size": rows}
    if not tied:
        del text["tie_word_embeddings"]
        content["tie_word_embeddings"] = False
    (base / "config.json").write_text(json.dumps(content | {"text_config": text, "vocab_size": rows}))

    def cut(state: dict[str, Tensor]) -> None:
        table = state["model.embed_tokens.weight"][:rows].clone()
        state["model.embed_tokens.weight"] = table
        if not tied:
            state["lm_head.weight"] = table.flip(0).contiguous()

    edit_tensors(base / "model.safetensors", cut)


@pytest.mark.parametrize("tied", [True, False])
def test_older_flat_configurations_open_alike(
    adapter_case: Path, sam_file: Path, tmp_path: Path, tied: bool
) -> None:
    """Qwen2.5-VL was first published with the text sizes at the top level."""
    base = copy(adapter_case / "base", tmp_path / "base")
    shrink(base, 400, tied)
    nested = load(base, sam2=sam_file)
    content = json.loads((base / "config.json").read_text())
    sizes = content.pop("text_config")
    flat = sizes | content | {"tie_word_embeddings": tied, "model_type": "qwen2_5_vl"}
    (base / "config.json").write_text(json.dumps(flat))
    opened = load(base, sam2=sam_file)
    opened.model.load_state_dict(nested.model.state_dict())
    assert opened.model.backbone.tied == tied
    assert_same_answers(opened, nested)


def test_an_untied_base_must_bring_its_head(adapter_case: Path, sam_file: Path, tmp_path: Path) -> None:
    base = copy(adapter_case / "base", tmp_path / "base")
    shrink(base, 400, tied=False)
    edit_tensors(base / "model.safetensors", lambda state: state.pop("lm_head.weight"))
    with pytest.raises(WeightsError, match=r"1 missing: lm_head\.weight"):
        load(base, sam2=sam_file)


def test_a_fresh_start_needs_a_fitting_sam(adapter_case: Path, sam_file: Path) -> None:
    with pytest.raises(WeightsError, match=r"plain Qwen2\.5-VL; give Meta's SAM 2\.1 file"):
        load(adapter_case / "base")
    torch.save({"model": {"no_mem_embed": torch.zeros(1, 1, 64)}}, sam_file)
    with pytest.raises(WeightsError, match=r"size 'b\+'.*missing: sam2\."):
        load(adapter_case / "base", sam2=sam_file)


def test_fresh_lower_precision_keeps_rotary_tables(adapter_case: Path, sam_file: Path) -> None:
    half = load(adapter_case / "base", sam2=sam_file, dtype="bfloat16")
    full = load(adapter_case / "base", sam2=sam_file)
    assert {parameter.dtype for parameter in half.model.parameters()} == {torch.bfloat16}
    assert_tables_equal(half, full)
