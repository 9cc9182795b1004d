"""A person's own data, by the name `jsonl`: `{split}.jsonl` in the root (docs/data.md)."""

from __future__ import annotations

from unipixel.data.jsonl.file import rows
from unipixel.data.registry import Rows, Source, dataset


@dataset(
    "jsonl",
    task="segment",  # and any other: each line says its own
    splits=("train", "val", "test"),
    licence="the user's",
    annotations="{train,val,test}.jsonl",
    media=".",
)
def read_jsonl(source: Source) -> Rows[int]:
    """One sample for each line."""
    return rows(source.path(f"{source.split}.jsonl"), source.root)
