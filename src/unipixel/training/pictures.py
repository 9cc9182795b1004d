"""What a model in training makes of its samples, for somebody else to draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unipixel.core.frames import Frame
from unipixel.model.inputs import move
from unipixel.model.sam2 import low_res_to_size
from unipixel.model.unipixel import UniPixel
from unipixel.processing.vision import MASK_MEAN, MASK_STD
from unipixel.training.learner import Clip, Exercise, track


@dataclass(frozen=True)
class Pictured:
    """A sample: its mask view uint8 [S, S, 3] for each frame; wanted, found: masks bool [T, O, S, S]."""

    name: str
    frames: tuple[Frame, ...]
    wanted: NDArray[np.bool_]
    found: NDArray[np.bool_]


def picture(model: UniPixel, exercise: Exercise) -> Pictured | None:
    """The first sample's masks as the model sees them now; None where no mask is asked for.

    Needs the whole model in this process: not for sharded ones.
    """
    if not len(exercise.chosen[0]):
        return None
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            here = move(exercise, model.device)
            hidden = model.think(here.what.inputs)
            prompts = model.mask_prompts(hidden, here.what.inputs.token_ids)[0][here.chosen[0]]
            frames = here.what.targets.frames[0]
            (tracked,) = track(model, [Clip(frames, prompts)])
    finally:
        for module, training in modes.items():
            module.training = training
    side = frames.shape[-1]
    found = torch.stack([low_res_to_size(answer.logits, side, side) > 0 for answer in tracked])
    wanted = exercise.what.targets.masks[0][:, exercise.chosen[0]]
    return Pictured(exercise.names, _as_frames(frames), wanted.numpy(), found.cpu().numpy())


def _as_frames(view: Tensor) -> tuple[Frame, ...]:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MASK_MEAN, MASK_STD))
    pixels = (view.float().cpu() * std + mean).clamp(0, 1) * 255
    return tuple(pixels.round().byte().permute(0, 2, 3, 1).numpy())
