"""Run golden cases and say, tensor by tensor, how far this machine, library or variant is from the
published numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from unipixel.errors import RequestError
from unipixel.loading import load
from unipixel.parity.cases import GoldenCase, find_cases
from unipixel.parity.chain import FIRST, check_chain
from unipixel.parity.compare import CaseReport, Standard, TensorReport, standard_for
from unipixel.parity.given import check_given, compare_language, on_model, report
from unipixel.parity.gradients import check_training
from unipixel.parity.ledger import Ledger
from unipixel.parity.published import check_layouts
from unipixel.parity.raw import batch_from_raw, check_raw, compare_inputs
from unipixel.predictor import Predictor

CHECKPOINT = "checkpoint"
ADAPTER = "adapter"


def check_folder(
    golden: Path, checkpoint: Path | None = None, device: str = "auto", dtype: str = "float32"
) -> list[CaseReport]:
    """Every golden case in a folder, then the published names and shapes that it lists.

    checkpoint: the model that gave the numbers; by default the folder's own. Raises RequestError for a
    folder without cases, ConfigError for a dtype without recorded tolerances, WeightsError for a
    checkpoint that cannot be opened.
    """
    return list(
        check_cases(find_cases(golden), checkpoint or golden / CHECKPOINT, device, dtype)
    ) + check_layouts(golden)


def check_cases(
    folders: Sequence[Path], checkpoint: Path, device: str = "auto", dtype: str = "float32"
) -> Iterator[CaseReport]:
    """The cases in these folders, one after the other."""
    standard = standard_for(dtype)
    predictor = load(checkpoint, device=device, dtype=dtype)
    for folder in folders:
        with exact_arithmetic():
            yield check_case(GoldenCase.open(folder), predictor, standard)


def check_case(case: GoldenCase, predictor: Predictor, standard: Standard) -> CaseReport:
    """One case, by what it holds: an adapter, a chain of two passes, a training step, or an answer."""
    if (case.folder / ADAPTER).is_dir():
        return report(case.name, *check_adapter(case, predictor, standard))
    if case.has(f"{FIRST}in.input_ids"):
        return report(case.name, *check_chain(predictor, case, standard))
    if case.has("out.loss"):
        given = check_training(predictor.model, case, standard)
        return report(case.name, given, check_training_inputs(predictor, case, standard))
    if not case.has("in.input_ids"):
        raise RequestError(
            f"{case.folder} is a golden case of no known kind; update unipixel, or take it out"
        )
    return report(
        case.name, check_given(predictor.model, case, standard), check_raw(predictor, case, standard)
    )


def check_adapter(case: GoldenCase, predictor: Predictor, standard: Standard) -> list[Ledger]:
    """The case's adapter, opened over its own base and merged."""
    with warnings.catch_warnings():
        # Such checkpoints lack the random position matrices; nothing that is recorded here depends on them.
        warnings.filterwarnings("ignore", message=".*position matrices.*")
        model = load(case.folder / ADAPTER, device=str(predictor.device), dtype=predictor.dtype).model
    prefixes = sorted({name.split(".")[0] + "." for name in case.tensors})
    return [check_given(model, case.part(prefix), standard) for prefix in prefixes]


@torch.inference_mode()
def check_training_inputs(predictor: Predictor, case: GoldenCase, standard: Standard) -> Ledger:
    """A training batch from raw frames and words, up to the logits."""
    ledger = Ledger(case, standard, "raw")
    inputs = batch_from_raw(predictor, case)
    compare_inputs(ledger, predictor, inputs)
    compare_language(ledger, predictor.model, on_model(predictor.model, inputs))
    return ledger


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Full float32 products while it lasts: TF32 alone departs further than the tolerances."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


# As text


def format_reports(reports: Sequence[CaseReport]) -> str:
    """Every tensor's departure, the first that is too far, and `CASE PASS` or `CASE FAIL`, case by case."""
    return "\n".join(format_report(one) for one in reports)


def format_report(case: CaseReport) -> str:
    """One case as lines of text."""
    lines = [f"  {_row(tensor)}" for tensor in case.tensors]
    first = case.first_departure
    if first is not None:
        lines.append(f"  first departure: {first.path} {first.name}: {_size(first)}")
    return "\n".join([*lines, f"{case.name} {'PASS' if case.passed else 'FAIL'}"])


def _row(tensor: TensorReport) -> str:
    mark = " " if tensor.passed else "!"
    note = f"  ({tensor.note})" if tensor.note else ""
    return f"{mark} {tensor.path:5} {tensor.name:48} {_size(tensor)}{note}"


def _size(tensor: TensorReport) -> str:
    if tensor.limit == 0:
        return f"{tensor.error:g} differ" if tensor.error else "equal"
    return f"{tensor.error:.1e} (limit {tensor.limit:.0e})"
