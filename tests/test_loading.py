"""Opening, saving, converting and starting models: all of it comes back, and what does not fit is refused."""

import json
import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from unipixel import footprint, loading
from unipixel.core.conversation import Refer, Segment, assistant, user
from unipixel.core.media import Clip
from unipixel.core.prompts import Point, RegionMask
from unipixel.core.question import remember
from unipixel.core.request import PixelBudget, Request
from unipixel.errors import ConfigError, OutputError, WeightsError
from unipixel.footprint import available_bytes, check_memory, estimate_bytes
from unipixel.hub import find_checkpoint
from unipixel.loading import choose_device, choose_dtype, load, save
from unipixel.model.checkpoint import FRESH_LICENCES, build_backbone, shapes_of
from unipixel.model.config import Licences
from unipixel.model.unipixel import UniPixel
from unipixel.model.weights import published_state, read_shapes
from unipixel.predictor import Predictor

ADDED = ("<|ref|>", "<|seg|>", "<|mem|>")


@pytest.fixture(scope="module")
def golden(golden_checkpoint: Path) -> Predictor:
    return load(golden_checkpoint)


@pytest.fixture(scope="module")
def adapter_case(golden_checkpoint: Path) -> Path:
    folder = golden_checkpoint.parent / "adapter"
    if not (folder / "base" / "config.json").is_file():
        pytest.fail("the golden adapter is not here")
    return folder


@pytest.fixture
def folder(golden_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the golden checkpoint that a test may damage."""
    return copy(golden_checkpoint, tmp_path / "checkpoint")


def copy(source: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    for file in source.iterdir():
        shutil.copyfile(file, target / file.name)
    return target


def edit_json(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text())
    content.update(changes)
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not ...}))


def edit_tensors(file: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    state = load_file(file)
    change(state)
    save_file(state, file)


def request() -> Request:
    """A question that uses every part of the model: click, remembered object, mask."""
    clip = Clip.open(np.random.default_rng(0).integers(0, 255, (3, 56, 84, 3), dtype=np.uint8))
    region = np.zeros((56, 84), dtype=np.bool_)
    region[10:40, 20:60] = True
    return Request(
        clip=clip,
        turns=(user("Segment ", Refer(Point(30, 20)), " beside [1]."),),
        memory=(remember(1, RegionMask(region)),),
        forced_answer=assistant("[0] ", Segment(), " and [1] ", Segment()),
        pixels=PixelBudget(28 * 28, 16 * 28 * 28),
    )


def read(predictor: Predictor) -> tuple[Tensor, np.ndarray]:
    """Logits and masks."""
    prepared = predictor.processor.prepare(request())
    with torch.inference_mode():
        logits = predictor.model(prepared.inputs).logits
    objects = predictor.answer([request()])[0].objects
    return logits, np.stack([found.masks.to_array() for found in objects])


def assert_same_answers(one: Predictor, other: Predictor) -> None:
    (logits, masks), (other_logits, other_masks) = read(one), read(other)
    assert torch.equal(logits, other_logits)
    assert np.array_equal(masks, other_masks)


def assert_same_weights(one: Predictor, other: Predictor) -> None:
    ours, theirs = one.model.state_dict(), other.model.state_dict()
    assert list(ours) == list(theirs)
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not different


# Opening -------------------------------------------------------------------------------------------------


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


def assert_tables_equal(one: Predictor, other: Predictor) -> None:
    """Buffers that no checkpoint holds (rotary frequencies) keep their full precision."""
    saved = one.model.state_dict()
    tables = [name for name, _ in one.model.named_buffers() if name not in saved]
    assert tables
    for name in tables:
        ours, theirs = one.model.get_buffer(name), other.model.get_buffer(name)
        assert ours.dtype == theirs.dtype, name
        assert torch.equal(ours, theirs), name


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


def edit_text(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "config.json").read_text())
    edit_json(folder / "config.json", text_config=content["text_config"] | changes)


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


def drop_tokens(folder: Path, names: tuple[str, ...]) -> None:
    definition = json.loads((folder / "tokenizer.json").read_text())
    definition["added_tokens"] = [
        token for token in definition["added_tokens"] if token["content"] not in names
    ]
    (folder / "tokenizer.json").write_text(json.dumps(definition))


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


# Devices, precision, memory ------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["nonsense", "cuda:x"] + ([] if torch.cuda.is_available() else ["cuda"]))
def test_absent_devices_are_refused(device: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{device}' cannot be used here.*try 'auto' or 'cpu'"):
        choose_device(device)


def test_precision_follows_the_device() -> None:
    assert choose_dtype("auto", torch.device("cuda")) == torch.bfloat16
    assert choose_dtype("auto", torch.device("cpu")) == torch.float32
    assert choose_dtype("float16", torch.device("cpu")) == torch.float16
    assert choose_dtype(torch.bfloat16, torch.device("cpu")) == torch.bfloat16


@pytest.mark.parametrize("dtype", ["fp32", torch.int8])
def test_unknown_precision_is_refused(dtype: str | torch.dtype) -> None:
    with pytest.raises(ConfigError, match=r"choose .*float32, bfloat16"):
        choose_dtype(dtype, torch.device("cpu"))


def test_estimate_is_the_size_of_the_tensors(golden: Predictor, golden_checkpoint: Path) -> None:
    shapes = read_shapes([golden_checkpoint / "model.safetensors"])
    held = sum(tensor.numel() * 4 for tensor in published_state(golden.model).values())
    assert estimate_bytes(shapes, torch.float32) == held
    assert estimate_bytes(shapes, torch.bfloat16) == held // 2
    assert shapes_of(golden.config) == shapes


def unread(*_: object) -> dict[str, Tensor]:
    raise AssertionError("the weights were read")


def test_too_little_memory_is_said_before_reading(
    golden_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footprint, "available_bytes", lambda _: 4_000_000)
    monkeypatch.setattr(loading, "read_tensors", unread)
    with pytest.raises(
        WeightsError, match=r"as float32, but 0\.0 GB are free; try dtype='bfloat16' or a smaller"
    ):
        load(golden_checkpoint, dtype="float32")
    with pytest.raises(AssertionError, match="were read"):
        load(golden_checkpoint, dtype="bfloat16")


def test_unknown_memory_does_not_stop(golden_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "available_bytes", lambda _: None)
    assert load(golden_checkpoint).model is not None


def test_adapters_need_their_merged_weights_in_float32_too(
    adapter_case: Path, golden: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = estimate_bytes(shapes_of(golden.config), torch.bfloat16)
    monkeypatch.setattr(loading, "read_tensors", unread)
    monkeypatch.setattr(footprint, "available_bytes", lambda _: weights)
    with pytest.raises(WeightsError, match=r"adapter over .*as bfloat16, but .* try a smaller model"):
        load(adapter_case / "adapter", dtype="bfloat16")
    monkeypatch.setattr(footprint, "available_bytes", lambda _: 2 * weights)
    with pytest.raises(AssertionError, match="were read"):
        load(adapter_case / "adapter", dtype="bfloat16")


def test_a_fresh_start_checks_memory_before_reading(
    adapter_case: Path, sam_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "read_tensors", unread)
    monkeypatch.setattr(footprint, "available_bytes", lambda _: 4_000_000)
    with pytest.raises(WeightsError, match=r"base with .*as float32, but 0\.0 GB are free"):
        load(adapter_case / "base", sam2=sam_file, dtype="float32")


def test_on_cuda_both_memories_must_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes, cuda = {"weight": (10, 100)}, torch.device("cuda:1")

    def check(main: int, device: int, merging: int = 0) -> None:
        free = {torch.device("cpu"): main, cuda: device}
        monkeypatch.setattr(footprint, "available_bytes", free.__getitem__)
        check_memory(shapes, torch.float16, cuda, "it", merging)

    check(2000, 2000)
    check(2500, 2000, merging=500)
    with pytest.raises(WeightsError, match=r"it needs .* of main memory as float16"):
        check(2499, 2000, merging=500)
    with pytest.raises(WeightsError, match=r"it needs .* of memory on cuda:1 as float16"):
        check(9999, 1999)


def test_cuda_counts_what_torch_holds_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 50)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 30)
    assert available_bytes(torch.device("cuda")) == 120
    assert available_bytes(torch.device("cpu")) != 120


# Saving --------------------------------------------------------------------------------------------------


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


# Adapters ------------------------------------------------------------------------------------------------


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


# A fresh start -------------------------------------------------------------------------------------------


@pytest.fixture
def sam_file(golden_checkpoint: Path, tmp_path: Path) -> Path:
    """The golden mask decoder as Meta would publish it, its sizes beside it."""
    place = tmp_path / "sam"
    place.mkdir()
    tensors = {}
    for name, tensor in load_file(golden_checkpoint / "model.safetensors").items():
        if name.startswith("sam2."):
            short = name.removeprefix("sam2.")
            if short.startswith("memory_encoder.fuser.layers.") and short.count(".") == 4:
                short = short.removesuffix("weight") + "gamma"
            tensors[short] = tensor
    assert sum(name.endswith("gamma") for name in tensors) == 2
    torch.save({"model": tensors}, place / "sam2.1.pt")
    shutil.copyfile(golden_checkpoint / "sam2_architecture.json", place / "sam2_architecture.json")
    return place / "sam2.1.pt"


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
