"""Files of tensors: what may be opened, how names map, and that nothing is ever ignored."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from unipixel.errors import WeightsError
from unipixel.loading import empty_model
from unipixel.model.checkpoint import read_config
from unipixel.model.unipixel import UniPixel
from unipixel.model.weights import (
    PUBLISHED_NAMES,
    adapter_name,
    compare,
    grow_vocabulary,
    load_state,
    merge_adapter,
    published_name,
    published_state,
    read_sam2_state,
    read_shapes,
    read_tensors,
    sam2_name,
    weight_files,
)
from unipixel.processing.tokenizer import Tokenizer

State = dict[str, Tensor]
DOWN = "base_model.model.model.layers.0.q_proj.lora_A.weight"
UP = "base_model.model.model.layers.0.q_proj.lora_B.weight"
LORA = {"peft_type": "LORA", "r": 2, "lora_alpha": 4}


@pytest.fixture(scope="module")
def state(golden_checkpoint: Path) -> State:
    return load_file(golden_checkpoint / "model.safetensors")


@pytest.fixture(scope="module")
def model(golden_checkpoint: Path) -> UniPixel:
    config = read_config(golden_checkpoint, Tokenizer.open(golden_checkpoint).ids())
    return empty_model(config, torch.float32)


# Names -------------------------------------------------------------------------------------------------


def test_every_tensor_of_the_model_has_one_published_name(model: UniPixel, state: State) -> None:
    names = [published_name(name) for name in model.state_dict() if not name.startswith("backbone.head")]
    assert len(set(names)) == len(names)
    assert set(names) == set(state)


def test_unknown_module_has_no_published_name() -> None:
    with pytest.raises(AssertionError, match="no published name for somewhere"):
        published_name("somewhere.weight")


@pytest.mark.parametrize(
    ("name", "published"),
    [
        (
            "base_model.model.model.language_model.layers.0.mlp.up_proj.weight",
            "model.layers.0.mlp.up_proj.weight",
        ),
        ("base_model.model.model.visual.merger.ln_q.weight", "visual.merger.ln_q.weight"),
        ("base_model.model.seg_head.1.weight", "seg_head.1.weight"),
        ("base_model.model.lm_head.weight", "lm_head.weight"),
        ("model.embed_tokens.weight", "model.embed_tokens.weight"),
    ],
)
def test_adapter_names_become_published_ones(name: str, published: str) -> None:
    assert adapter_name(name) == published


def test_only_the_fusers_gamma_is_renamed() -> None:
    assert sam2_name("memory_encoder.fuser.layers.1.gamma") == "memory_encoder.fuser.layers.1.weight"
    assert sam2_name("image_encoder.trunk.blocks.0.gamma") == "image_encoder.trunk.blocks.0.gamma"
    assert sam2_name("no_mem_embed") == "no_mem_embed"


def test_prefixes_are_unambiguous() -> None:
    ours = [ours for ours, _ in PUBLISHED_NAMES]
    assert not [(a, b) for a in ours for b in ours if a != b and a.startswith(b)]


# A strict report ---------------------------------------------------------------------------------------


def test_golden_state_goes_in_and_comes_out_unchanged(model: UniPixel, state: State) -> None:
    load_state(model, state, "golden")
    out = published_state(model)
    assert set(out) == set(state)
    assert all(torch.equal(out[name], state[name]) for name in state)


def test_report_lists_every_kind_of_misfit(model: UniPixel, state: State) -> None:
    damaged = dict(state)
    del damaged["seg_head.1.bias"]
    damaged["seg_head.9.bias"] = torch.zeros(3)
    damaged["msk_proj.0.bias"] = torch.zeros(5)
    expected = len(state["msk_proj.0.bias"])
    with pytest.raises(WeightsError) as caught:
        load_state(model, damaged, "here.safetensors")
    message = str(caught.value)
    assert message.startswith("here.safetensors does not fit")
    assert "1 missing: seg_head.1.bias" in message
    assert "1 unexpected: seg_head.9.bias" in message
    assert f"1 mismatched: msk_proj.0.bias [5] (expected [{expected}])" in message


def test_a_refused_state_changes_nothing(model: UniPixel, state: State) -> None:
    load_state(model, state, "golden")
    damaged = {name: tensor + 1 for name, tensor in state.items() if name != "tem_emb.weight"}
    with pytest.raises(WeightsError, match=r"tem_emb\.weight"):
        load_state(model, damaged, "damaged")
    assert torch.equal(published_state(model)["seg_head.1.weight"], state["seg_head.1.weight"])


def test_long_lists_are_cut_with_their_count(model: UniPixel, state: State) -> None:
    report = compare(
        model, {name: tuple(state[name].shape) for name in state if not name.startswith("visual.")}
    )
    count = sum(name.startswith("visual.") for name in state)
    assert not report.complete
    assert f"{count} missing: visual." in str(report)
    assert f"and {count - 12} more" in str(report)


def test_fitting_state_says_so(model: UniPixel, state: State) -> None:
    assert str(compare(model, {name: tuple(tensor.shape) for name, tensor in state.items()})) == (
        "every name and shape fits"
    )


def test_tied_head_must_equal_the_embeddings(model: UniPixel, state: State) -> None:
    table = state["model.embed_tokens.weight"]
    load_state(model, state | {"lm_head.weight": table.clone()}, "a repeated head")
    with pytest.raises(WeightsError, match=r"lm_head\.weight differs.*tie_word_embeddings"):
        load_state(model, state | {"lm_head.weight": table + 1}, "another head")


# Files -------------------------------------------------------------------------------------------------


def write_shards(folder: Path, state: State) -> list[str]:
    names = sorted(state)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({name: state[name] for name in held}, folder / file)
    places = {name: file for file, held in parts.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return sorted(parts)


def test_shards_equal_the_single_file(tmp_path: Path, state: State) -> None:
    write_shards(tmp_path, state)
    files = weight_files(tmp_path)
    assert len(files) == 2
    read = read_tensors(files)
    assert set(read) == set(state)
    assert all(torch.equal(read[name], state[name]) for name in state)
    assert read_shapes(files) == {name: tuple(tensor.shape) for name, tensor in state.items()}


def test_a_missing_shard_is_named(tmp_path: Path, state: State) -> None:
    second = write_shards(tmp_path, state)[1]
    (tmp_path / second).unlink()
    with pytest.raises(WeightsError, match=f"lacks 1 of its 2 shards: {second}"):
        weight_files(tmp_path)


@pytest.mark.parametrize("content", ["{}", '{"weight_map": []}', "[1]", "{"])
def test_a_damaged_index_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(WeightsError, match=r"model\.safetensors\.index\.json"):
        weight_files(tmp_path)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(
        WeightsError, match=r"pytorch_model\.bin cannot be opened safely; convert to safetensors"
    ):
        weight_files(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds no model\.safetensors"):
        weight_files(tmp_path)


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    "damage", [_cut, lambda data: data[:4], lambda _: b"", lambda _: b"not safetensors" * 9]
)
def test_damaged_safetensors_are_refused(
    tmp_path: Path, golden_checkpoint: Path, damage: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(damage((golden_checkpoint / "model.safetensors").read_bytes()))
    for read in (read_tensors, read_shapes):
        with pytest.raises(WeightsError, match=r"model\.safetensors cannot be read as safetensors"):
            read([file])


# Adapters ----------------------------------------------------------------------------------------------


def adapter(folder: Path, tensors: State, config: dict[str, object]) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def base_state() -> State:
    return {"model.layers.0.q_proj.weight": torch.arange(12.0).view(3, 4)}


def factors() -> State:
    return {DOWN: torch.arange(8.0).view(2, 4), UP: torch.arange(6.0).view(3, 2)}


@pytest.mark.parametrize(("extra", "scale"), [({}, 2.0), ({"use_rslora": True}, 4 / 2**0.5)])
def test_lora_adds_the_scaled_product(tmp_path: Path, extra: dict[str, object], scale: float) -> None:
    base = base_state()
    merged = merge_adapter(base, adapter(tmp_path, factors(), LORA | extra))
    wanted = torch.arange(12.0).view(3, 4) + scale * factors()[UP] @ factors()[DOWN]
    torch.testing.assert_close(merged["model.layers.0.q_proj.weight"], wanted)
    assert torch.equal(base["model.layers.0.q_proj.weight"], torch.arange(12.0).view(3, 4)), (
        "the base was changed"
    )


def test_the_partial_file_lies_over_everything(tmp_path: Path) -> None:
    adapter(tmp_path, factors(), LORA)
    save_file(
        {"base_model.model.model.language_model.layers.0.q_proj.weight": torch.ones(3, 4)},
        tmp_path / "pytorch_model.safetensors",
    )
    assert torch.equal(
        merge_adapter(base_state(), tmp_path)["model.layers.0.q_proj.weight"], torch.ones(3, 4)
    )


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({DOWN: torch.zeros(2, 4)}, "no lora_B"),
        ({UP: torch.zeros(3, 2)}, "no pairs of LoRA factors"),
        (
            {
                DOWN.replace("q_proj", "k_proj"): torch.zeros(2, 4),
                UP.replace("q_proj", "k_proj"): torch.zeros(3, 2),
            },
            "no base weight",
        ),
        ({DOWN: torch.zeros(2, 5), UP: torch.zeros(3, 2)}, "is this the right base"),
        (factors() | {"base_model.model.x.bias": torch.zeros(1)}, r"1 tensors that are no pairs.*x\.bias"),
    ],
)
def test_unmergeable_factors_are_refused(tmp_path: Path, tensors: State, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        merge_adapter(base_state(), adapter(tmp_path, tensors, LORA))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (LORA | {"use_dora": True}, "only plain LoRA"),
        (LORA | {"peft_type": "IA3"}, "IA3"),
        (LORA | {"rank_pattern": {"q_proj": 8}}, "rank_pattern"),
        ({"peft_type": "LORA", "lora_alpha": 4}, "needs a rank r"),
    ],
)
def test_other_adapters_are_refused(tmp_path: Path, config: dict[str, object], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        merge_adapter(base_state(), adapter(tmp_path, factors(), config))


# Meta's SAM 2.1 and the vocabulary ---------------------------------------------------------------------


def test_metas_file_is_read_under_published_names(tmp_path: Path) -> None:
    held = {"memory_encoder.fuser.layers.0.gamma": torch.ones(2), "no_mem_embed": torch.zeros(1)}
    torch.save({"model": held}, tmp_path / "sam.pt")
    read = read_sam2_state(tmp_path / "sam.pt")
    assert set(read) == {"sam2.memory_encoder.fuser.layers.0.weight", "sam2.no_mem_embed"}


class Trap:
    """Would create a file if it were unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


def test_code_in_a_pickle_does_not_run(tmp_path: Path) -> None:
    torch.save({"model": Trap(tmp_path / "sprung")}, tmp_path / "sam.pt")
    with pytest.raises(WeightsError, match="of plain tensors"):
        read_sam2_state(tmp_path / "sam.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x02}q\x00."])
def test_other_files_are_no_sam(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sam.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"sam\.pt"):
        read_sam2_state(tmp_path / "sam.pt")


def test_a_missing_or_foreign_sam_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.pt"):
        read_sam2_state(tmp_path / "none.pt")
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="expected a dict with the key 'model'"):
        read_sam2_state(tmp_path / "other.pt")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_small_table_grows_by_its_mean(dtype: torch.dtype) -> None:
    table = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    grown = grow_vocabulary({"model.embed_tokens.weight": table, "model.norm.weight": torch.ones(3)}, 8)
    rows = grown["model.embed_tokens.weight"]
    assert rows.dtype == dtype
    assert torch.equal(rows[:6], table)
    mean = table.float().mean(0).to(dtype)
    assert torch.equal(rows[6:], torch.stack([mean, mean]))
    assert torch.equal(grown["model.norm.weight"], torch.ones(3))


def test_a_large_enough_table_stays_as_it_is() -> None:
    table = torch.randn(8, 3)
    assert grow_vocabulary({"lm_head.weight": table}, 8)["lm_head.weight"] is table


def test_an_index_wins_over_a_stale_single_file(tmp_path: Path) -> None:
    write_shards(tmp_path, {"a": torch.zeros(1), "b": torch.ones(1)})
    save_file({"stale": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert set(read_tensors(weight_files(tmp_path))) == {"a", "b"}
