"""Answers in the types of other libraries, which are optional: `pip install 'unipixel[supervision]'`,
`'unipixel[fiftyone]'`. Nothing is written, and nothing is needed of either before it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Literal

import numpy as np

from unipixel.core.masks import FrameMask, MaskTrack
from unipixel.errors import ConfigError

Library = Literal["supervision", "fiftyone"]
Seen = tuple[int, str, FrameMask]
"""An object on a frame: its number, what it is called, its mask."""


def to_supervision(objects: Sequence[tuple[int, str, MaskTrack]]) -> dict[int, Any]:
    """`supervision.Detections` by frame; see `Response.to_supervision`."""
    library = _library("supervision")
    return {frame: _detections(library, seen) for frame, seen in by_frame(objects).items()}


def to_fiftyone(objects: Sequence[tuple[int, str, MaskTrack]]) -> dict[int, Any]:
    """`fiftyone.Detections` by frame; see `Response.to_fiftyone`."""
    library = _library("fiftyone")
    return {
        frame: library.Detections(detections=[_detection(library, *one) for one in seen])
        for frame, seen in by_frame(objects).items()
    }


def by_frame(objects: Sequence[tuple[int, str, MaskTrack]]) -> dict[int, list[Seen]]:
    """Every frame that a track has, in order, and the objects that are seen there; there may be none."""
    frames = sorted({mask.index for _, _, track in objects for mask in track})
    found: dict[int, list[Seen]] = {frame: [] for frame in frames}
    for number, label, track in objects:
        for mask in track:
            if mask.present and mask.rle.area:
                found[mask.index].append((number, label, mask))
    return found


def _detections(library: Any, seen: Sequence[Seen]) -> Any:
    if not seen:
        return library.Detections.empty()
    numbers = np.array([number for number, _, _ in seen])
    return library.Detections(
        xyxy=np.array([mask.rle.box for _, _, mask in seen], dtype=np.float32),
        mask=np.stack([mask.rle.decode() for _, _, mask in seen]),
        confidence=np.array([mask.score for _, _, mask in seen], dtype=np.float32),
        class_id=numbers,
        tracker_id=numbers,
        data={"class_name": np.array([label for _, label, _ in seen])},
    )


def _detection(library: Any, number: int, label: str, mask: FrameMask) -> Any:
    rle = mask.rle
    assert rle.box is not None, "a mask that is seen has a box"
    x1, y1, x2, y2 = rle.box
    width, height = x2 + 1 - x1, y2 + 1 - y1
    return library.Detection(
        label=label,
        bounding_box=[x1 / rle.width, y1 / rle.height, width / rle.width, height / rle.height],
        mask=rle.decode()[y1 : y2 + 1, x1 : x2 + 1],
        confidence=mask.score,
        index=number,
    )


def _library(name: Library) -> Any:
    """ConfigError if it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ConfigError(f"{name} is not installed; pip install 'unipixel[{name}]'") from error
