"""The small model made in one small step a phase and stage, by this process or as one of torchrun's."""

import logging
import sys
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch

from unipixel.data.mixture import Shard
from unipixel.training.recipe import Batching
from unipixel.training.recipes import get_recipe
from unipixel.training.tiny.loop import Schedule
from unipixel.training.tiny.make import STAGES, make
from unipixel.training.tiny.scenes import WHOLE
from unipixel.training.tiny.seg_phase import SegHeadPhase
from unipixel.training.tiny.workshop import Budget, Phase, TalkPlan, Workshop

SAMPLES = 4
open_phases = Workshop.phases


def small_phases(workshop: Workshop, shard: Shard = WHOLE) -> dict[str, Phase]:
    """As they are, but with few samples a step."""
    small: dict[str, Phase] = {}
    for name, phase in open_phases(workshop, shard).items():
        if isinstance(phase, SegHeadPhase):
            small[name] = phase  # draws no scenes
            continue
        size = {"size": SAMPLES} if isinstance(phase.plan, TalkPlan) else {"num_scenes": SAMPLES}
        small[name] = replace(phase, plan=replace(phase.plan, **size))
    return small


def make_in_steps(folder: Path) -> Path:
    """The finished checkpoint's folder."""
    budget = Budget(**{field.name: Schedule(1, 1e-4) for field in fields(Budget)})
    batch = Batching(SAMPLES, SAMPLES // 2)
    short = {name: replace(get_recipe(name), steps=1, batch=batch) for name in STAGES}
    with (
        patch("unipixel.training.tiny.make.get_recipe", partial(dict.__getitem__, short)),
        patch.object(Workshop, "phases", small_phases),
    ):
        return make(folder, budget)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    torch.set_num_threads(1)
    make_in_steps(Path(sys.argv[1]))
