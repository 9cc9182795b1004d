"""Golden cases on disk: a folder with `data.safetensors` (in.*, mid.*, out.*, sam.*, grad.*) and `case.json`.

A trimmed case may leave out what can be made again and say so in `case.json`: `sampled` names tensors of
which only every k-th element was kept, `elsewhere` names tensors that another case of the same folder
holds ("case:name").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unipixel.core.request import PixelBudget
from unipixel.errors import RequestError
from unipixel.model.inputs import Grid, Inputs, LanguageView, ObjectPrompt
from unipixel.model.weights import read_json, read_tensors
from unipixel.processing.vision import language_view, mask_view

ABOUT, DATA = "case.json", "data.safetensors"
ASSISTANT = "<|im_start|>assistant\n"


@dataclass(frozen=True)
class Recorded:
    """A golden tensor: all of it, or every `stride`-th element of it, flat."""

    values: Tensor
    stride: int = 1

    def pick(self, ours: Tensor) -> Tensor:
        """The same elements of our tensor, float32 on the CPU when it is floating."""
        ours = ours.detach().cpu()
        ours = ours.float() if ours.is_floating_point() else ours
        return ours.flatten()[:: self.stride] if self.stride > 1 else ours.reshape(self.values.shape)


@dataclass(frozen=True)
class Script:
    """What was said: the question with its slots, how the assistant's turn goes on, and the pixel budget."""

    prompt: str
    answer: str
    pixels: PixelBudget


@dataclass(frozen=True)
class GoldenCase:
    """One case. `prefix` narrows it to one of its parts (the passes of a chain)."""

    name: str
    folder: Path
    about: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    prefix: str = ""

    @classmethod
    def open(cls, folder: Path) -> GoldenCase:
        return cls(folder.name, folder, read_json(folder / ABOUT), read_tensors([folder / DATA]))

    def part(self, prefix: str) -> GoldenCase:
        """The part whose names begin with `prefix`."""
        return replace(self, prefix=prefix)

    def has(self, name: str) -> bool:
        return self.prefix + name in self.tensors or self.prefix + name in self.about.get("elsewhere", {})

    def expected(self, name: str) -> Recorded | None:
        """A golden tensor, whole or sampled; None if the case has none of this name."""
        full = self.prefix + name
        if full not in self.tensors:
            return None
        return Recorded(self.tensors[full], int(self.about.get("sampled", {}).get(full, 1)))

    def whole(self, name: str) -> Tensor | None:
        """All of a golden tensor, from another case if need be; None if it is not there, or only a sample
        of it."""
        full = self.prefix + name
        if full in self.tensors:
            return None if full in self.about.get("sampled", {}) else self.tensors[full]
        other = self.about.get("elsewhere", {}).get(full)
        if other is None:
            return None
        case, _, there = other.partition(":")
        return read_tensors([self.folder.parent / case / DATA])[there]

    def need(self, name: str) -> Tensor:
        """All of a golden tensor; RequestError if the case does not hold it."""
        found = self.whole(name)
        if found is None:
            raise RequestError(
                f"{self.folder} lacks the tensor {self.prefix + name!r}; copy the golden folder again"
            )
        return found

    @property
    def num_samples(self) -> int:
        return len(self.need("in.input_ids"))

    def script(self, sample: int = 0) -> Script:
        """The words of one sample, or of this part."""
        part = self.about.get(self.prefix.rstrip("."), self.about) if self.prefix else self.about
        words = part["samples"][sample] if "samples" in part else part
        pixels = words.get("pixels") or self.about["pixels"]
        budget = PixelBudget(pixels["min_pixels"], pixels["max_pixels"], shared_frames=None)
        return Script(words["prompt"], words["text"].rpartition(ASSISTANT)[2], budget)

    def _of_sample(self, name: str, sample: int) -> Tensor | None:
        """A tensor that is named once per sample, or once for the whole case."""
        parts = (self, replace(self, prefix=""))
        names = (f"{name}.{sample}", name)
        return next(
            (found for part in parts for key in names if (found := part.whole(key)) is not None), None
        )

    def raw_frames(self, sample: int = 0) -> Tensor:
        """uint8 [T, H, W, 3]."""
        found = self._of_sample("in.raw_frames", sample)
        return found if found is not None else self.need("in.raw_frames")

    def object_masks(self, sample: int = 0) -> Tensor:
        """True masks, uint8 [O, T, H, W]."""
        found = self._of_sample("in.gt_masks", sample)
        return found if found is not None else self.need("in.gt_masks")

    def grids(self) -> tuple[Grid, ...]:
        return tuple(Grid(*row.tolist()) for row in self.need("in.video_grid_thw"))

    def mask_view(self, side: int, sample: int = 0) -> Tensor:
        """float [T, 3, S, S]: as given, else made from the raw frames."""
        given = self.whole(f"in.frames.{sample}")
        return given if given is not None else mask_view(self.raw_frames(sample).numpy(), side)

    def prompts(self, sample: int) -> tuple[ObjectPrompt, ...]:
        """Clicks and boxes of a sample in the order of their slots."""
        frames = self.whole(f"in.point_frames.{sample}.0")
        if frames is None:
            return ()
        last = 2 * self.grids()[sample].time - 1
        return tuple(
            ObjectPrompt(
                coords=self.need(f"in.point_coords.{sample}.{index}")[0].float(),
                labels=self.need(f"in.point_labels.{sample}.{index}")[0].long(),
                time=frame / last,
            )
            for index, frame in enumerate(frames.tolist())
        )

    def region(self, sample: int) -> Tensor | None:
        """bool [time, O, height, width]: the cells behind each `<|mem|>`."""
        found = self.whole(f"in.refer_mask.{sample}")
        return None if found is None else found.bool()

    def inputs(self) -> Inputs:
        """What the language side reads, from the given tensors."""
        samples = range(self.num_samples)
        return Inputs(
            token_ids=self.need("in.input_ids"),
            attention_mask=self.need("in.attention_mask").bool(),
            view=LanguageView(
                self._patches(), self.grids(), tuple(self.need("in.second_per_grid_ts").tolist())
            ),
            prompts=tuple(prompt for sample in samples for prompt in self.prompts(sample)),
            regions=tuple(self.region(sample) for sample in samples),
        )

    def _patches(self) -> Tensor:
        given = self.whole("in.pixel_values_videos")
        if given is not None:
            return given
        views = [
            language_view(self.raw_frames(sample).numpy(), grid.size)
            for sample, grid in enumerate(self.grids())
        ]
        return torch.cat([view.patches for view in views])


def find_cases(golden: Path) -> list[Path]:
    """The case folders inside `golden`, by name; RequestError if there is none."""
    if not golden.is_dir():
        raise RequestError(f"{golden} is no folder; give the folder that holds the golden cases")
    found = sorted(path.parent for path in golden.glob(f"*/{ABOUT}") if (path.parent / DATA).is_file())
    if not found:
        raise RequestError(f"{golden} holds no golden case (a folder with {ABOUT} and {DATA})")
    return found
