"""Device, precision and memory are settled before anything is read."""

from pathlib import Path

import pytest
import torch
from tests.loading.checkpoints import unread

from unipixel import footprint, loading
from unipixel.errors import ConfigError, WeightsError
from unipixel.footprint import available_bytes, check_memory, estimate_bytes
from unipixel.loading import choose_device, choose_dtype, load
from unipixel.model.checkpoint import shapes_of
from unipixel.model.weights import published_state, read_shapes
from unipixel.predictor import Predictor


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
