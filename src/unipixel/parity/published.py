"""Names and shapes of the full-size published models, built without memory for their weights."""

from __future__ import annotations

from pathlib import Path

import torch

from unipixel.model.checkpoint import build_backbone
from unipixel.model.presets import PUBLISHED_SIZES, PublishedSize, published_config
from unipixel.model.unipixel import UniPixel
from unipixel.model.weights import LoadReport, compare, read_json
from unipixel.parity.compare import CaseReport, TensorReport


def layout_file(golden: Path, size: PublishedSize) -> Path:
    """The golden folder's list of names and shapes of a size."""
    return golden / f"published_{size}_tensors.json"


def check_layout(golden: Path, size: PublishedSize) -> LoadReport:
    """How the listed names and shapes fit the model that we would build, both ways."""
    config = published_config(size)
    with torch.device("meta"):
        model = UniPixel(config, build_backbone(config))
    listed = read_json(layout_file(golden, size))["tensors"]
    return compare(model, {name: tuple(shape) for name, shape in listed.items()})


def check_layouts(golden: Path) -> list[CaseReport]:
    """The sizes whose lists the golden folder holds."""
    reports = []
    for size in PUBLISHED_SIZES:
        if layout_file(golden, size).is_file():
            found = check_layout(golden, size)
            wrong = len(found.missing) + len(found.unexpected) + len(found.mismatched)
            row = TensorReport("given", "names and shapes", "equal", float(wrong), 0.0, str(found))
            reports.append(CaseReport(f"published_{size}", (row,)))
    return reports
