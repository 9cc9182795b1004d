"""`unipixel doctor`: what is here, whether it works, and whether it gives the known numbers."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unipixel.cli.terminal import manners
from unipixel.errors import RequestError

if TYPE_CHECKING:
    from unipixel.predictor import Predictor

PACKAGES = (
    "unipixel",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "pillow",
    "av",
    "pycocotools",
    "huggingface_hub",
    "typer",
)
BUNDLED = "unipixel-tiny"
SELF_TEST_INDEX = 1
SELF_TEST_TOKENS = 32
SELF_TEST_IOU = 0.5


def doctor(
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Look at this model instead of the bundled one.")
    ] = None,
    golden: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Compare with the golden cases in this folder.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The checkpoint that the golden cases were made with.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps …")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
) -> None:
    """Show what is here and run a self-test.

    With --golden and --checkpoint: compare with known numbers instead; exit code 1 when a case fails.
    """
    with manners():
        if (golden is None) != (checkpoint is None):
            raise RequestError("--golden and --checkpoint belong together; give both folders")
        if golden is not None and checkpoint is not None:
            healthy = _compare(golden, checkpoint, device, dtype)
        else:
            healthy = _examine(model, device, dtype)
    if not healthy:
        raise typer.Exit(1)


def _examine(model: str | None, device: str, dtype: str) -> bool:
    from unipixel.hub import find_checkpoint

    name = model or BUNDLED
    folder = find_checkpoint(name)  # before torch is imported
    _show_versions()
    _show_devices()
    if model is None and not _is_bundled():
        typer.echo("self-test: SKIPPED, no model is bundled with this installation; give --model")
        return True
    _show_memory(folder, name, device, dtype)
    from unipixel.loading import load

    opened = load(folder, device=device, dtype=dtype)
    _show_licences(opened, name)
    return _self_test(opened)


def _show_versions() -> None:
    typer.echo(f"python: {platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in PACKAGES:
        try:
            typer.echo(f"{package}: {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            typer.echo(f"{package}: not installed")


def _show_devices() -> None:
    import torch

    from unipixel.footprint import CPU, available_bytes
    from unipixel.loading import choose_device

    typer.echo(f"device: {choose_device('auto')} is what 'auto' takes")
    free = available_bytes(CPU)
    typer.echo(f"cpu: {torch.get_num_threads()} threads, {_gigabytes(free) if free else 'unknown'} free")
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        typer.echo(f"cuda:{index}: {name}, {_gigabytes(free)} of {_gigabytes(total)} free")
    if torch.backends.mps.is_available():
        typer.echo(f"mps: {_gigabytes(torch.mps.recommended_max_memory())} recommended at most")


def _show_memory(folder: Path, name: str, device: str, dtype: str) -> None:
    from unipixel.footprint import estimate_bytes
    from unipixel.hub import is_adapter
    from unipixel.loading import choose_device, choose_dtype
    from unipixel.model.weights import read_shapes, weight_files

    if is_adapter(folder):
        typer.echo(f"memory: {name} is an adapter; its base decides")
        return
    kind = choose_dtype(dtype, choose_device(device))
    needed = estimate_bytes(read_shapes(weight_files(folder)), kind)
    typer.echo(
        f"memory: the weights of {name} take {_gigabytes(needed)} as {str(kind).removeprefix('torch.')}"
    )


def _show_licences(opened: Predictor, name: str) -> None:
    terms = opened.config.licences
    typer.echo(f"licences of {name}:")
    for what in ("code", "weights", "base", "data"):
        typer.echo(f"  {what}: {getattr(terms, what)}")


def _self_test(opened: Predictor) -> bool:
    """Ask for the target of a made-up clip that no training saw; its mask is known."""
    import numpy as np

    from unipixel.core.request import Decoding
    from unipixel.data.synthetic.scene import evaluation_seed, make_scene
    from unipixel.evaluation.fresh_clips import QUESTION, WORLD

    scene = make_scene(evaluation_seed(SELF_TEST_INDEX), WORLD)
    question = QUESTION.format(name=scene.expression(scene.target), picture="video")
    response = opened.ask(scene.frames, question, decoding=Decoding(max_new_tokens=SELF_TEST_TOKENS))
    truth = scene.masks[scene.target]
    found = response.objects[0].masks.to_array() if response.objects else np.zeros_like(truth)
    iou = float((found & truth).sum() / (found | truth).sum())
    passed = iou >= SELF_TEST_IOU
    typer.echo(
        f"self-test: {question!r} -> {response.text!r}, IoU {iou:.2f}, at least {SELF_TEST_IOU} expected"
    )
    typer.echo("self-test: OK" if passed else "self-test: FAIL")
    return passed


def _compare(golden: Path, checkpoint: Path, device: str, dtype: str) -> bool:
    from unipixel.parity import check_folder, format_reports

    reports = check_folder(golden, checkpoint, device, "float32" if dtype == "auto" else dtype)
    typer.echo(format_reports(reports))
    return all(report.passed for report in reports)


def _is_bundled() -> bool:
    from unipixel.hub import find_checkpoint

    return find_checkpoint(BUNDLED).is_dir()


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
