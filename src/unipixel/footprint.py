"""Whether a model's weights fit into this machine, found out before they are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from unipixel.errors import WeightsError

CPU = torch.device("cpu")


def estimate_bytes(shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype) -> int:
    """Bytes that tensors of these shapes take as `dtype`."""
    return sum(torch.Size(shape).numel() for shape in shapes.values()) * dtype.itemsize


def available_bytes(device: torch.device) -> int | None:
    """Bytes that can still be taken: on cuda of that device, elsewhere of the system's memory; None where the
    system does not tell."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + _cached_bytes()
    except (ValueError, OSError, AttributeError):
        return None


def check_memory(
    shapes: Mapping[str, tuple[int, ...]],
    dtype: torch.dtype,
    device: torch.device,
    source: str,
    merging: int = 0,
    saved: int = 0,
) -> None:
    """WeightsError if the weights alone cannot fit.

    They are put together in main memory, where `merging` bytes more are needed on the way, and then moved to
    `device`, in a form that takes `saved` bytes less: for cuda both are checked. What the model takes beside
    its weights while it answers is not.
    """
    weights = estimate_bytes(shapes, dtype)
    _check(CPU, weights + merging, dtype, source)
    if device.type == "cuda":
        _check(device, weights - saved, dtype, source)


def _check(place: torch.device, needed: int, dtype: torch.dtype, source: str) -> None:
    available = available_bytes(place)
    if available is None or needed <= available:
        return
    memory = "main memory" if place.type == "cpu" else f"memory on {place}"
    remedy = "dtype='bfloat16' or a smaller model" if dtype.itemsize > 2 else "a smaller model"
    raise WeightsError(
        f"{source} needs {needed / 1e9:.1f} GB of {memory} as {str(dtype).removeprefix('torch.')}, but "
        f"{available / 1e9:.1f} GB are free; try {remedy}"
    )


def _cached_bytes() -> int:
    """Memory that the system gives back when asked (Linux page cache)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
    return max(0, sizes.get("MemAvailable", 0) - sizes.get("MemFree", 0))
