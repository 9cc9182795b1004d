"""Parts that `ablations.py` puts in the place of the model's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from torch import Tensor

from unipixel.model.backbone import Backbone, VisualFeatures
from unipixel.model.config import ModelConfig
from unipixel.model.object_memory import ObjectMemory
from unipixel.model.sam2 import FrameFeatures, FrameMasks, MaskPrompt, MaskTracker, TrackState
from unipixel.model.unipixel import SegHead


class EmptyMemory(ObjectMemory):
    """Objects have their place in the text, but every `<|mem|>` is nothing: what is left without the
    memory."""

    def __init__(self, config: ModelConfig, backbone: Backbone) -> None:
        super().__init__(backbone.visual_size, backbone.hidden_size, config.region_order)

    def forward(self, seen: VisualFeatures, regions: Sequence[Tensor | None]) -> Tensor:
        return super().forward(seen, regions) * 0


class OneToken(SegHead):
    """A single hidden token for each mask; the published model has two."""

    count = 1

    def __init__(self, config: ModelConfig, backbone: Backbone) -> None:
        super().__init__(backbone.hidden_size, self.count, config.sam2.d_model)


class TwoTokens(OneToken):
    """As published, but begun anew like the others."""

    count = 2


class FourTokens(OneToken):
    """Four hidden tokens."""

    count = 4


@dataclass(frozen=True)
class Asked(TrackState):
    """A clip that is tracked, with what asked for its objects."""

    prompt: MaskPrompt | None = None


class PerFrame(MaskTracker):
    """Finds the objects on every frame anew, by the same hidden tokens: no propagation."""

    def start(self, num_frames: int | None, direction: int = 1, frame: int = 0) -> Asked:
        begun = super().start(num_frames, direction, frame)
        return Asked(**{part.name: getattr(begun, part.name) for part in fields(begun)})

    def step(
        self,
        state: TrackState,
        features: FrameFeatures,
        prompt: MaskPrompt | None = None,
        hide_absent: bool = True,
    ) -> tuple[FrameMasks, TrackState]:
        assert isinstance(state, Asked), "tracking begins with `start`"
        asked = prompt or state.prompt
        fresh = super().start(state.num_frames, state.direction, state.frame)
        masks, after = super().step(fresh, features, asked, hide_absent)
        kept = state.conditioning or after.conditioning
        there = Asked(after.frame, after.num_frames, after.direction, conditioning=kept, prompt=asked)
        return masks, there
