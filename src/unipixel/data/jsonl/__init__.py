"""A person's own data: one JSONL file, one line for each item (docs/data.md)."""

from __future__ import annotations

from pathlib import Path

from unipixel.data.jsonl.file import read_items, rows, write_jsonl
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.parts import (
    Describe,
    Find,
    FrameSpan,
    ItemMedia,
    ItemObject,
    MaskPicture,
    Outline,
    Region,
    TimeSpan,
)
from unipixel.data.registry import Dataset, get_dataset
from unipixel.data.sample import Facts

__all__ = [
    "Describe",
    "Find",
    "FrameSpan",
    "Item",
    "ItemMedia",
    "ItemObject",
    "MaskPicture",
    "Outline",
    "Region",
    "TimeSpan",
    "open_jsonl",
    "read_items",
    "write_jsonl",
]


def open_jsonl(file: str | Path, root: str | Path | None = None) -> Dataset:
    """Open a JSONL file; its lines are read when their samples are asked for.

    Args:
        file: the file. Its name without ending is the split.
        root: the folder that paths in it are relative to; None is the file's own.

    Raises:
        DataError: the file is missing, cannot be read, or is empty.
    """
    file = Path(file)
    return Dataset(get_dataset("jsonl"), file.stem, Facts(), rows(file, None if root is None else Path(root)))
