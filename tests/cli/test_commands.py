"""`unipixel convert`, `unipixel doctor` and the entry point."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import unipixel
import unipixel.parity
from unipixel.parity import CaseReport, TensorReport


def test_version(run) -> None:
    assert run("--version").out == f"unipixel {unipixel.__version__}\n"


@pytest.mark.parametrize("command", ["ask", "convert", "doctor"])
def test_help(run, command: str) -> None:
    outcome = run(command, "--help")
    assert outcome.code == 0
    assert "Usage" in outcome.out


def test_convert_there_and_back_is_bit_for_bit(run, golden_checkpoint: Path, tmp_path: Path) -> None:
    ours, back = tmp_path / "ours", tmp_path / "new" / "published"
    assert run("convert", golden_checkpoint, ours, "--to", "unipixel").code == 0
    outcome = run("convert", ours, back, "--to", "published")
    assert outcome.code == 0, outcome.err
    first, again = (load_file(folder / "model.safetensors") for folder in (golden_checkpoint, back))
    assert first.keys() == again.keys()
    for name, tensor in first.items():
        assert tensor.dtype == again[name].dtype, name
        assert torch.equal(tensor, again[name]), name


def test_convert_to_half_precision_keeps_it_afterwards(run, golden_checkpoint: Path, tmp_path: Path) -> None:
    half, kept = tmp_path / "half", tmp_path / "kept"
    assert run("convert", golden_checkpoint, half, "--to", "unipixel", "--dtype", "bfloat16").code == 0
    assert run("convert", half, kept, "--to", "unipixel").code == 0
    first, again = (load_file(folder / "model.safetensors") for folder in (half, kept))
    exact = {name for name, tensor in again.items() if tensor.dtype == torch.float32}
    assert exact == {name for name in again if name.endswith("positional_encoding_gaussian_matrix")}
    assert {again[name].dtype for name in again.keys() - exact} == {torch.bfloat16}
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())


def test_convert_refuses_an_unknown_type(run, golden_checkpoint: Path, tmp_path: Path) -> None:
    outcome = run("convert", golden_checkpoint, tmp_path / "x", "--to", "unipixel", "--dtype", "int3")
    assert outcome.code == 2
    assert "unknown dtype 'int3'" in outcome.err


def test_doctor_examines_a_model_and_fails_when_it_does_not_segment(run, golden_checkpoint: Path) -> None:
    outcome = run("doctor", "--model", golden_checkpoint, "--device", "cpu")
    assert outcome.code == 1, outcome  # its weights are random
    for line in ("torch: ", "device: ", "  data: ", "memory: the weights", "self-test: FAIL"):
        assert line in outcome.out


def test_doctor_passes_with_the_bundled_model(run) -> None:
    outcome = run("doctor", "--device", "cpu")
    assert outcome.code == 0, outcome
    assert "self-test: OK" in outcome.out


@pytest.mark.parametrize(("passed", "code"), [((True, True), 0), ((True, False), 1)])
def test_doctor_reports_golden_cases(
    run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, passed: tuple[bool, ...], code: int
) -> None:
    reports = [CaseReport(f"case{i}", (tensor_report(ok),)) for i, ok in enumerate(passed)]
    asked = []
    monkeypatch.setattr(unipixel.parity, "check_folder", lambda *given: asked.append(given) or reports)
    outcome = run("doctor", "--golden", tmp_path, "--checkpoint", "a", "--device", "cpu")
    assert outcome.code == code
    assert [line for line in outcome.out.splitlines() if line.startswith("case")] == [
        f"case{i} {'PASS' if ok else 'FAIL'}" for i, ok in enumerate(passed)
    ]
    assert asked == [(tmp_path, Path("a"), "cpu", "float32")]


def tensor_report(passed: bool) -> TensorReport:
    return TensorReport("given", "out.logits", "close", error=0.0 if passed else 1.0, limit=0.5)


def test_doctor_says_which_golden_folder_is_none(run, golden_checkpoint: Path, tmp_path: Path) -> None:
    outcome = run("doctor", "--golden", tmp_path, "--checkpoint", golden_checkpoint)
    assert outcome.code == 2
    assert str(tmp_path) in outcome.err
    assert "Traceback" not in outcome.err
