"""`unipixel convert`: a checkpoint in another layout."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unipixel.cli.folder import check_writable
from unipixel.cli.terminal import introduce, manners, note

if TYPE_CHECKING:
    import torch

    from unipixel.predictor import Predictor

KEEP = "keep"


class LayoutName(StrEnum):
    """The two layouts of a checkpoint folder."""

    UNIPIXEL = "unipixel"
    PUBLISHED = "published"


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A checkpoint or adapter: a bundled name, a folder or a hub id."
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A folder that does not exist yet.")],
    to: Annotated[LayoutName, typer.Option(help="The layout to write.")],
    base: Annotated[str | None, typer.Option(help="The base of an adapter.")] = None,
    sam2: Annotated[Path | None, typer.Option(help="Meta's SAM 2.1 file, for a plain Qwen2.5-VL.")] = None,
    sam2_preset: Annotated[
        str | None, typer.Option(help="The size of that file: t, s, b+ (unless said) or l.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="keep, float32, bfloat16 or float16.")] = KEEP,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Write the published layout even where its reader will answer differently."
        ),
    ] = False,
) -> None:
    """Write a checkpoint in our own or the published layout."""
    with manners():
        from unipixel.hub import find_checkpoint

        check_writable(target)
        folder = find_checkpoint(source)  # before torch is imported
        named = None if dtype == KEEP else _named_dtype(dtype)
        from unipixel.loading import load, save

        # Loaded as float32, into which every kind of weight goes exactly, so that "keep" is bit for bit.
        opened = load(folder, device="cpu", dtype="float32", base=base, sam2=sam2, sam2_preset=sam2_preset)
        introduce(opened, source)
        if named is None:
            _keep_dtypes(opened)
        save(opened, target, layout=to.value, dtype=named, force=force)
        note(f"written to {target}: {to.value} layout, dtype {dtype}")


def _named_dtype(name: str) -> torch.dtype:
    import torch

    from unipixel.loading import choose_dtype

    return choose_dtype(name, torch.device("cpu"))


def _keep_dtypes(opened: Predictor) -> None:
    """Give every tensor the type that it has in the source's files; what is in none stays as it is."""
    from unipixel.model.weights import published_name

    kinds = _source_dtypes(opened.sources)
    saved = opened.model.state_dict().keys()
    for name, tensor in (*opened.model.named_parameters(), *opened.model.named_buffers()):
        kind = kinds.get(published_name(name)) if name in saved else None
        if kind is not None:
            tensor.data = tensor.data.to(kind)


def _source_dtypes(sources: tuple[Path, ...]) -> dict[str, torch.dtype]:
    """Types by published name; of an adapter and its base, the adapter's come first."""
    import torch
    from safetensors import safe_open

    from unipixel.model.weights import adapter_name

    known = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
    kinds: dict[str, torch.dtype] = {}
    for file in (file for folder in sources for file in sorted(folder.glob("*.safetensors"))):
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():
                kind = known.get(opened.get_slice(name).get_dtype())
                if kind is not None:
                    kinds.setdefault(adapter_name(name), kind)
    return kinds
