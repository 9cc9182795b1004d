"""Every golden case, from the given tensors and from raw frames, and that a departure is found and named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from unipixel.core.tokens import IGNORE_INDEX
from unipixel.errors import ConfigError, RequestError
from unipixel.loading import load
from unipixel.model.presets import PUBLISHED_SIZES, PublishedSize, published_config
from unipixel.model.unipixel import UniPixel
from unipixel.parity import CaseReport, check_cases, check_folder, format_report
from unipixel.parity.cases import GoldenCase, find_cases
from unipixel.parity.check import check_case
from unipixel.parity.compare import FLOAT32
from unipixel.parity.gradients import compare_gradients
from unipixel.parity.ledger import Ledger
from unipixel.parity.published import check_layout
from unipixel.parity.raw import request_for
from unipixel.predictor import Predictor
from unipixel.training.examples import conversation_labels

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = (
    "adapter",
    "generate",
    "image_seg",
    "memory",
    "no_seg",
    "pixelqa",
    "ref_box",
    "ref_mix_seg",
    "ref_point",
    "train",
    "train_batch2",
    "video_seg",
    "video_seg_long",
)
MINIMUM = {
    "adapter": {"memory.out.logits", "video_seg.out.seg_head"},
    "generate": {"out.step_logits", "out.step_position_ids", "out.generated_ids", "out.seg_masks"},
    "pixelqa": {
        "pass1.out.seg_masks",
        "pass2.in.refer_mask.0",
        "pass2.out.mem_emb",
        "pass2.out.generated_ids",
    },
    "train": {"out.loss", "out.seg_loss.0.loss_iou", "parameters without gradient", "grad.seg_head.1.weight"},
    "train_batch2": {"out.loss", "out.seg_loss.1.loss_mask", "mid.position_ids", "out.mem_emb"},
    "memory": {"out.mem_emb", "in.refer_mask.0", "out.logits"},
    "video_seg_long": {"sam.maskmem_features", "sam.obj_ptr", "sam.low_res_multimasks", "out.seg_masks"},
}
"""Rows without which a case would pass for want of anything to compare."""


@pytest.fixture(scope="module")
def model() -> Predictor:
    return load(GOLDEN / "checkpoint", device="cpu", dtype="float32")


def explain(case: CaseReport) -> str:
    return "\n" + format_report(case)


def test_every_case_is_here() -> None:
    assert tuple(folder.name for folder in find_cases(GOLDEN)) == CASES


def test_the_folder_stays_small() -> None:
    assert sum(file.stat().st_size for file in GOLDEN.rglob("*") if file.is_file()) < 18e6


@pytest.mark.parametrize("name", CASES)
def test_case_in_float32(model: Predictor, name: str) -> None:
    found = check_case(GoldenCase.open(GOLDEN / name), model, FLOAT32)
    assert found.passed, explain(found)
    rows = {row.name for row in found.tensors}
    assert MINIMUM.get(name, {"out.logits", "in.input_ids"}) <= rows
    assert {row.path for row in found.tensors} == ({"given"} if name == "adapter" else {"given", "raw"})
    assert all(row.error == 0 for row in found.tensors if row.name.startswith("in.frames")), explain(found)


@pytest.mark.parametrize("name", ["video_seg", "generate"])
def test_case_in_bfloat16(name: str) -> None:
    (found,) = check_cases([GOLDEN / name], GOLDEN / "checkpoint", device="cpu", dtype="bfloat16")
    assert found.passed, explain(found)
    assert found.largest("language") > 1e-3, "this is too close for bfloat16: was it computed in float32?"


def test_gradients_that_are_all_a_little_off_fail(model: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a single tensor may depart is too much for half of them."""

    def compare_scaled(ledger: Ledger, unipixel: UniPixel) -> None:
        for parameter in unipixel.parameters():
            if parameter.grad is not None:
                parameter.grad *= 1 + FLOAT32.gradient / 2
        compare_gradients(ledger, unipixel)

    monkeypatch.setattr("unipixel.parity.gradients.compare_gradients", compare_scaled)
    found = check_case(GoldenCase.open(GOLDEN / "train"), model, FLOAT32)
    assert [row.name for row in found.tensors if not row.passed] == ["gradients (median)"], explain(found)


def test_gradients_of_all_parameters_are_compared(model: Predictor) -> None:
    case = GoldenCase.open(GOLDEN / "train")
    found = check_case(case, model, FLOAT32)
    gradients = [row for row in found.tensors if row.kind == "gradient"]
    parameters = {parameter.data_ptr() for parameter in model.model.parameters()}
    assert len(gradients) + len(case.about["params_without_grad"]) == len(parameters)
    assert not any(parameter.requires_grad for parameter in model.model.parameters())


def test_labels_of_a_training_sample(model: Predictor) -> None:
    """Only the answer and the end of its turn are supervised."""
    case = GoldenCase.open(GOLDEN / "train")
    prepared = model.processor.prepare(request_for(case, model.config.sam2.image_size))
    labels = conversation_labels(prepared.inputs.token_ids, model.processor)
    golden = case.need("in.labels")
    assert torch.equal(labels[:, : golden.shape[1]], golden)
    assert bool((labels[:, golden.shape[1] :] == IGNORE_INDEX).all())


@pytest.mark.parametrize("size", PUBLISHED_SIZES)
def test_names_and_shapes_at_full_size(size: PublishedSize) -> None:
    found = check_layout(GOLDEN, size)
    assert found.complete, str(found)
    assert published_config(size).tokens.seg == 151666


def corrupted(target: Path, name: str, change: Callable[[Tensor], Tensor]) -> Path:
    """The golden checkpoint with one tensor changed."""
    shutil.copytree(GOLDEN / "checkpoint", target)
    file = target / "model.safetensors"
    state = load_file(file)
    state[name] = change(state[name]).contiguous()
    save_file(state, file, metadata={"format": "pt"})
    return target


def one_more(tensor: Tensor) -> Tensor:
    """One element moved by one."""
    flat = tensor.flatten().clone()
    flat[len(flat) // 2] += 1.0
    return flat.view(tensor.shape)


@pytest.mark.parametrize(
    ("weight", "case", "departs"),
    [
        ("visual.blocks.0.mlp.down_proj.weight", "video_seg", "mid.merger_mlp_input_window_order"),
        ("visual.merger.mlp.2.weight", "video_seg", "mid.video_embeds"),
        ("ref_proj_single.weight", "ref_point", "out.ref_emb"),
        ("msk_proj.0.bias", "memory", "out.mem_emb"),
        ("model.layers.0.self_attn.v_proj.weight", "video_seg", "mid.hidden_before_norm"),
        ("model.norm.weight", "video_seg", "out.logits"),
        ("seg_head.3.bias", "video_seg", "out.seg_head"),
        ("sam2.image_encoder.neck.convs.3.conv.weight", "video_seg", "sam.backbone_fpn0"),
        ("sam2.maskmem_tpos_enc", "video_seg", "sam.memory_conditioned_features"),
        ("sam2.sam_mask_decoder.iou_token.weight", "video_seg", "sam.object_score_logits"),
    ],
)
def test_a_changed_weight_fails_where_it_acts(tmp_path: Path, weight: str, case: str, departs: str) -> None:
    checkpoint = corrupted(tmp_path / "checkpoint", weight, one_more)
    (found,) = check_cases([GOLDEN / case], checkpoint, device="cpu")
    first = found.first_departure
    assert first is not None
    assert first.name == departs, explain(found)
    text = format_report(found)
    assert text.endswith(f"{case} FAIL")
    assert f"first departure: given {departs}: " in text


def test_a_half_broken_model_fails_in_bfloat16(tmp_path: Path) -> None:
    checkpoint = corrupted(
        tmp_path / "checkpoint", "model.layers.1.self_attn.o_proj.weight", torch.zeros_like
    )
    (found,) = check_cases([GOLDEN / "video_seg"], checkpoint, device="cpu", dtype="bfloat16")
    assert found.first_departure is not None
    assert found.first_departure.name == "mid.hidden_before_norm"


def test_region_order_matters_to_object_memory(model: Predictor) -> None:
    """Raster order is right and is not what the published numbers were made with."""
    memory = model.model.object_memory
    memory.region_order = "raster"
    try:
        found = check_case(GoldenCase.open(GOLDEN / "memory"), model, FLOAT32)
    finally:
        memory.region_order = "window"
    assert found.first_departure is not None
    assert found.first_departure.name == "out.mem_emb"


def test_report_of_a_folder(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "no_seg", tmp_path / "no_seg")
    found = check_folder(tmp_path, GOLDEN / "checkpoint", device="cpu")
    assert [case.name for case in found] == ["no_seg"]
    assert format_report(found[0]).endswith("no_seg PASS")


def test_bad_folder_and_dtype(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no golden case"):
        check_folder(tmp_path)
    with pytest.raises(RequestError, match="is no folder"):
        check_folder(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="bfloat16"):
        check_folder(GOLDEN, dtype="float16")
