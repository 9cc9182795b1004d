"""Other weights of SAM 2.1 that follow objects, once the model's own mask decoder has found them on a
frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from unipixel.model.sam2 import MaskTracker, Sam2


@dataclass(frozen=True, eq=False)
class Propagator:
    """Weights of SAM 2.1, in their own precision where they are. `tracker` follows with them."""

    sam2: Sam2
    tracker: MaskTracker = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tracker", MaskTracker(self.sam2))

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.sam2.no_mem_embed.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return self.sam2.no_mem_embed.dtype
