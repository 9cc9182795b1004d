"""What the commands of `unipixel data` share: a data set by its name or file, and safe lines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unipixel.data.registry import Dataset

JOINERS = "\u200c\u200d"

Root = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Of a name: the `data` folder. Of a file: what its paths are relative to."
    ),
]
Split = Annotated[str | None, typer.Option(help="Of a name: the split. Default: the first.")]
Target = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A data set's name, or a JSONL file.")]


def open_target(target: str, root: Path | None, split: str | None) -> Dataset:
    """The data set that is meant."""
    from unipixel.data.jsonl import open_jsonl
    from unipixel.data.registry import get_dataset, open_dataset
    from unipixel.errors import ConfigError

    if not is_file(target):
        info = get_dataset(target)
        return open_dataset(info, split or info.splits[0], needed(root, target))
    if split is not None:
        raise ConfigError(f"a file has no splits; open {target} without --split")
    return open_jsonl(target, root)


def needed(root: Path | None, name: str) -> Path:
    """The root, which must be given."""
    from unipixel.errors import ConfigError

    if root is None:
        raise ConfigError(f"where is {name}? Name the `data` folder with --root")
    return root


def is_file(target: str) -> bool:
    """Whether a JSONL file is meant, and no name."""
    return target.endswith((".jsonl", ".json")) or "/" in target or "\\" in target or os.path.isfile(target)


def printable(line: str) -> str:
    """A line without what could break it or steer the terminal; joiners, which many scripts need, stay."""
    return "".join(
        letter if letter.isprintable() or letter in JOINERS else repr(letter)[1:-1] for letter in line
    )
