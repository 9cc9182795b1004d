"""The tensors that enter and leave the model, with their shapes.

Legend: B samples, L tokens, N patches, P object prompts, T frames, O objects, S side of the mask view, d
language-model width, c mask-decoder width, h hidden tokens per mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def move(value: T, device: torch.device | str, dtype: torch.dtype | None = None) -> T:
    """Move every tensor inside a dataclass, tuple or tensor; floating tensors also take `dtype`."""
    if isinstance(value, Tensor):
        cast = dtype if dtype is not None and value.is_floating_point() else None
        return value.to(device=device, dtype=cast)  # type: ignore[return-value]
    if isinstance(value, tuple):
        return tuple(move(item, device, dtype) for item in value)  # type: ignore[return-value]
    if hasattr(value, "__dataclass_fields__"):
        moved = {field.name: move(getattr(value, field.name), device, dtype) for field in fields(value)}  # type: ignore[arg-type]
        return replace(value, **moved)  # type: ignore[type-var]
    return value


@dataclass(frozen=True)
class Run:
    """A run of a clip's cells in the text: `lead`, plain text, and then `count` placeholders between the two
    control tokens that enclose what is seen; those of a picture where `is_image`, else of a video."""

    count: int
    lead: str = ""
    is_image: bool = False


@dataclass(frozen=True)
class VisualLayout:
    """How a base model cuts the language view: `patch` pixels a side, `merge` x `merge` patches a token,
    `pair` frames a temporal step; pixels in [0, 1] are normalised with `mean` and `std`. The defaults are
    Qwen2.5-VL's."""

    patch: int = 14
    merge: int = 2
    pair: int = 2
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    @property
    def cell(self) -> int:
        """Pixels a side of what one token covers."""
        return self.patch * self.merge

    def runs(self, grid: Grid, times: Sequence[float]) -> tuple[Run, ...]:
        """How a clip stands in the text; the placeholders of all runs follow the cells of `grid` in raster
        order. times: seconds of the frames shown, before the last is repeated to fill a temporal step.

        By default all cells stand in one run and as a video, a still too; the text tells no time.
        """
        return (Run(grid.num_tokens),)


QWEN2_5_LAYOUT = VisualLayout()


@dataclass(frozen=True)
class Grid:
    """Patches of one clip in the language view: `time` steps of `height` x `width` patches."""

    time: int
    height: int
    width: int
    layout: VisualLayout = QWEN2_5_LAYOUT

    @property
    def num_patches(self) -> int:
        return self.time * self.height * self.width

    @property
    def num_tokens(self) -> int:
        """Language-model tokens, which is also the number of placeholders in the text."""
        return self.num_patches // self.layout.merge**2

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the language view, pixels."""
        return self.height * self.layout.patch, self.width * self.layout.patch

    def merged(self) -> tuple[int, int, int]:
        """Size in language-model tokens: (time, height, width)."""
        return self.time, self.height // self.layout.merge, self.width // self.layout.merge


@dataclass(frozen=True)
class LanguageView:
    """What the visual tower sees of one or several clips, one after the other.

    patches: float [N, 3 * pair * patch * patch]; grids: one per clip; seconds_per_grid: seconds between two
    temporal steps, one per clip. What stands in the text as an image `is_image`: with Qwen2.5-VL a still of
    the general mix, every other picture being a one-frame video; with Qwen3-VL every single frame.
    """

    patches: Tensor
    grids: tuple[Grid, ...]
    seconds_per_grid: tuple[float, ...]
    is_image: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        if not self.is_image:
            object.__setattr__(self, "is_image", (False,) * len(self.grids))
        expected = sum(grid.num_patches for grid in self.grids)
        assert self.patches.shape[0] == expected, (
            f"{self.patches.shape[0]} patches, but the grids hold {expected}"
        )
        assert len(self.grids) == len(self.seconds_per_grid) == len(self.is_image), (
            "one grid, time and kind per clip"
        )


@dataclass(frozen=True)
class ObjectPrompt:
    """One click or box in the mask view: coords float [n, 2] in 0..S-1, labels int [n] (1 click, 2 and 3 box
    corners, 0 negative), time: position among the shown frames divided by 2 * grid_t - 1, in [0, 1]."""

    coords: Tensor
    labels: Tensor
    time: float


@dataclass(frozen=True)
class Inputs:
    """A batch for the language side.

    token_ids int [B, L] with the visual placeholders expanded; attention_mask bool [B, L] (False: padding, on
    either side); view: the clips of all samples in order; prompts: those of all samples in order of their
    `<|ref|>`; regions: per sample bool [time, O, height, width] on the merged grid, or None: the cells that
    each `<|mem|>` averages.
    """

    token_ids: Tensor
    attention_mask: Tensor
    view: LanguageView
    prompts: tuple[ObjectPrompt, ...] = ()
    regions: tuple[Tensor | None, ...] = ()

    @property
    def batch_size(self) -> int:
        return int(self.token_ids.shape[0])

    def followed_by(self, other: Inputs) -> Inputs:
        """The same samples with more text behind them; `other` has no clips of its own."""
        assert not other.view.grids, "only text can follow"
        return Inputs(
            token_ids=torch.cat([self.token_ids, other.token_ids], dim=1),
            attention_mask=torch.cat([self.attention_mask, other.attention_mask], dim=1),
            view=self.view,
            prompts=self.prompts + other.prompts,
            regions=other.regions,
        )

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Inputs:
        """Move to a device; floating tensors take `dtype`, but coordinates stay
        float32 (bf16 cannot hold a pixel)."""
        moved = move(self, device)
        view = replace(moved.view, patches=move(moved.view.patches, device, dtype))
        return replace(moved, view=view)


NO_CLIP = LanguageView(torch.empty(0, 0), (), ())
"""The view of a text without pictures."""


def collate(samples: Sequence[Inputs], pad_id: int, pad_left: bool) -> Inputs:
    """Join samples into one batch; generation pads on the left, training on the right."""
    length = max(sample.token_ids.shape[1] for sample in samples)

    def pad(rows: Tensor, value: int) -> Tensor:
        missing = length - rows.shape[1]
        return torch.nn.functional.pad(rows, (missing, 0) if pad_left else (0, missing), value=value)

    return Inputs(
        token_ids=torch.cat([pad(sample.token_ids, pad_id) for sample in samples]),
        attention_mask=torch.cat([pad(sample.attention_mask, 0) for sample in samples]).bool(),
        view=LanguageView(
            patches=torch.cat([sample.view.patches for sample in samples]),
            grids=tuple(grid for sample in samples for grid in sample.view.grids),
            seconds_per_grid=tuple(value for sample in samples for value in sample.view.seconds_per_grid),
            is_image=tuple(value for sample in samples for value in sample.view.is_image),
        ),
        prompts=tuple(prompt for sample in samples for prompt in sample.prompts),
        regions=tuple(
            region for sample in samples for region in (sample.regions or (None,) * sample.batch_size)
        ),
    )


@dataclass(frozen=True)
class Targets:
    """What training supervises: labels int [B, L] (-100: not counted); frames float [T, 3, S, S] and
    masks bool [T, O, S, S] per sample, in the order of the sample's `<|seg|>` tokens."""

    labels: Tensor
    frames: tuple[Tensor, ...] = ()
    masks: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Output:
    """hidden [B, L, d]: after the last decoder layer, before its final norm; logits [B, L,
    vocabulary]; mask_prompts: per sample [n, h, c], one for each `<|seg|>` in the input."""

    hidden: Tensor
    logits: Tensor
    mask_prompts: tuple[Tensor, ...]
