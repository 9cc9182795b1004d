"""Make this folder from the full golden set: `python trim.py FULL_SET TARGET`. See README.md for what is
left out and why."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

KEPT = 2048
"""Elements kept of a large intermediate value or result; gradients keep fewer, because there are 204 of
them."""
KEPT_OF_GRADIENT = 256
WHOLE = 6000
"""Up to so many elements a tensor is kept as it is."""
UNUSED = ("label_obj_to_frame_idx",)
MASKS_NEEDED = ("memory", "train", "train_batch2")
"""Cases in which true masks enter the model."""
GIVEN_WHOLE = {"no_seg": ("in.pixel_values_videos",), "image_seg": ("in.frames.0",)}
"""Inputs that stay although they can be made from raw frames, so that one case of each kind starts from
them."""
DERIVED = ("pixel_values_videos", "in.frames.")
WORDS_DROPPED = (
    "text_expanded",
    "tensors",
    "noise_sdpa_vs_eager_max_abs",
    "noise_2_vs_1_threads_max_abs",
    "group_grad_norms",
)
ADAPTER_FILES = ("config.json", "tokenizer.json", "adapter_config.json", "sam2_architecture.json")
ELSEWHERE = {
    "ref_point": {"in.raw_frames": "ref_mix_seg:in.raw_frames"},
    "ref_box": {"in.raw_frames": "ref_mix_seg:in.raw_frames"},
    "train_batch2": {
        f"in.{name}.0": f"train:in.{name}.0" for name in ("raw_frames", "gt_masks", "label_mask")
    },
    "adapter": {f"{name}.in.raw_frames": f"{name}:in.raw_frames" for name in ("memory", "video_seg")},
}


def stride_for(name: str, tensor: Tensor) -> int:
    """Every how many-th element to keep: 1, or a prime that walks through all rows and columns."""
    kept = KEPT_OF_GRADIENT if name.startswith("grad.") else KEPT
    if tensor.numel() <= (kept if name.startswith("grad.") else WHOLE):
        return 1
    stride = max(7, tensor.numel() // kept)
    while any(stride % divisor == 0 for divisor in range(2, int(stride**0.5) + 1)):
        stride += 1
    return stride


def is_dropped(case: str, name: str) -> bool:
    masks = "gt_masks" in name and case not in MASKS_NEEDED
    return masks or any(part in name for part in UNUSED) or name in ELSEWHERE.get(case, {})


def trim_case(source: Path, target: Path) -> None:
    """One case: data.safetensors and case.json."""
    case, tensors, sampled = source.name, {}, {}
    for name, tensor in load_file(source / "data.safetensors").items():
        if is_dropped(case, name):
            continue
        can_sample = "in." not in name or any(part in name for part in DERIVED)
        stride = stride_for(name, tensor) if can_sample and name not in GIVEN_WHOLE.get(case, ()) else 1
        tensors[name] = tensor.flatten()[::stride].clone() if stride > 1 else tensor
        if stride > 1:
            sampled[name] = stride
    about = json.loads((source / "case.json").read_text(encoding="utf-8"))
    about = {key: value for key, value in about.items() if key not in WORDS_DROPPED}
    for words in about.get("samples", []):
        words.pop("text_expanded", None)
    about["sampled"] = sampled
    if case in ELSEWHERE:
        about["elsewhere"] = ELSEWHERE[case]
    target.mkdir(parents=True)
    save_file(tensors, target / "data.safetensors")
    (target / "case.json").write_text(json.dumps(about, indent=0) + "\n", encoding="utf-8")


def trim_adapter(source: Path, target: Path) -> None:
    """The adapter and its base. Nothing that is recorded reads the mask decoder: its tensors are kept in 8
    bits."""
    for part in ("adapter", "base"):
        (target / part).mkdir()
        for file in sorted((source / part).iterdir()):
            if file.name in ADAPTER_FILES or file.name in ("model.safetensors", "adapter_model.safetensors"):
                shutil.copyfile(file, target / part / file.name)
    state = load_file(source / "adapter" / "pytorch_model.safetensors")
    coarse = {
        name: tensor.to(torch.float8_e4m3fn) if ".sam2." in name and tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }
    save_file(coarse, target / "adapter" / "pytorch_model.safetensors")


def main(source: Path, target: Path) -> None:
    for folder in sorted(path.parent for path in source.glob("*/case.json")):
        trim_case(folder, target / folder.name)
    trim_adapter(source / "adapter", target / "adapter")
    (target / "checkpoint").mkdir()
    for file in sorted((source / "checkpoint").iterdir()):
        shutil.copyfile(file, target / "checkpoint" / file.name)
    for file in sorted(source.glob("published_*_tensors.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        (target / file.name).write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
