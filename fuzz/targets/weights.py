"""Checkpoint folders in which one file is changed, and Meta's SAM 2.1 file.

An input is the name of the file, a line end, and its content; of safetensors the header only, behind which
the tensors of the good file stand.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from random import Random

import torch

import unipixel
from fuzz.changes import change_bytes, change_json, change_safetensors
from fuzz.target import Check, Target
from fuzz.targets.sessions import CHECKPOINT
from unipixel.model.weights import read_sam2_state

ADAPTER = CHECKPOINT.parent / "adapter"
TINY = Path(unipixel.__file__).parent / "checkpoints" / "unipixel-tiny"
FOLDERS = {"published": CHECKPOINT, "tiny": TINY, "adapter": ADAPTER / "adapter"}


def seeds() -> list[bytes]:
    """The files that are read of a published checkpoint, of ours and of an adapter; a SAM 2.1 file."""
    names = ("config.json", "sam2_architecture.json", "tokenizer.json", "model.safetensors")
    names += ("adapter_config.json", "adapter_model.safetensors", "pytorch_model.safetensors")
    found = []
    for kind, folder in FOLDERS.items():
        for name in names:
            if (folder / name).is_file():
                content = (folder / name).read_bytes()
                found.append(
                    f"{kind}/{name}\n".encode() + (_header(content) if "tensors" in name else content)
                )
    index = b'{"weight_map": {"model.norm.weight": "model.safetensors"}}'
    buffer = io.BytesIO()
    torch.save({"model": {"image_encoder.x": torch.zeros(3), "memory.y": torch.ones(2, 2)}}, buffer)
    return [*found, b"published/model.safetensors.index.json\n" + index, b"sam2.pt\n" + buffer.getvalue()]


def _header(content: bytes) -> bytes:
    return content[: 8 + int.from_bytes(content[:8], "little")]


def change(data: bytes, rng: Random) -> bytes:
    name, _, content = data.partition(b"\n")
    if name.endswith(b".safetensors"):
        return name + b"\n" + change_safetensors(content, rng)
    return (
        name + b"\n" + (change_json(content, rng) if name.endswith(b".json") else change_bytes(content, rng))
    )


def prepare() -> Check:
    torch.set_num_threads(1)
    for folder in (CHECKPOINT, TINY):
        unipixel.load(folder)  # imports, once
    return check


def check(data: bytes, folder: Path) -> str:
    place, _, content = data.partition(b"\n")
    kind, _, name = place.decode("latin-1").partition("/")
    if kind == "sam2.pt":
        (folder / kind).write_bytes(content)
        return f"{len(read_sam2_state(folder / kind))} tensors"
    if kind not in FOLDERS or not name or "/" in name or "\0" in name:
        return "no input"
    for file in FOLDERS[kind].iterdir():
        if file.name != name:
            os.symlink(file, folder / file.name)
    if "tensors" in name and (FOLDERS[kind] / name).is_file():
        good = (FOLDERS[kind] / name).read_bytes()
        content += good[len(_header(good)) :]
    (folder / name).write_bytes(content)
    base = ADAPTER / "base" if kind == "adapter" else None
    opened = unipixel.load(folder, base=base)
    return f"a model of {kind}, {opened.config.hidden_tokens}"


TARGET = Target(seeds, change, prepare, seconds=60, gigabytes=12)
