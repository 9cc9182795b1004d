"""Making the small model: phases, then stages. Everything is kept in one folder, and a run that was stopped
goes on after the last thing kept."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from unipixel.data.mixture import Shard
from unipixel.loading import load, save
from unipixel.model.checkpoint import initialise_own_parts
from unipixel.predictor import Predictor
from unipixel.training.distributed import World, join_world
from unipixel.training.recipes import get_recipe
from unipixel.training.run import run
from unipixel.training.tiny.loop import layer_matrices, train
from unipixel.training.tiny.workshop import SEED, Budget, Workshop

log = logging.getLogger(__name__)

BASE, FINISHED = "base", "unipixel-tiny-all"
STAGES = ("tiny_1", "tiny_2", "tiny_3")


def make(folder: Path, budget: Budget) -> Path:
    """Train everything; returns the folder of the finished checkpoint (half precision).

    Raises ConfigError if a stage's batch cannot be shared by so many processes.
    """
    with join_world("auto", torch.device("cpu")) as world:
        for stage in STAGES:
            get_recipe(stage).batch.micro_batches(world.ranks)  # refuses now, and not behind the phases
        base = make_base(folder, budget, world)
        for stage in STAGES:
            make_stage(folder, stage, base)
        finished = folder / FINISHED
        if world.is_first and not finished.is_dir():
            save(load(folder / STAGES[-1] / "whole", device="cpu"), finished, dtype=torch.float16)
        world.barrier()
    return finished


def make_base(folder: Path, budget: Budget, world: World) -> Path:
    """Train all phases; returns the folder of the model that the stages start from."""
    folder.mkdir(parents=True, exist_ok=True)
    finished = folder / BASE
    if finished.is_dir():
        return finished
    workshop = Workshop.open()
    # The mask decoder has learned with AdamW alone; what Muon makes of it has not been tried.
    model = workshop.model
    parts = model.backbone, model.seg_head, model.object_memory
    matrices = set[Tensor]().union(*(layer_matrices(part) for part in parts))
    for name, phase in workshop.phases(Shard(world.rank, world.ranks)).items():
        kept = folder / f"{name}.pt"
        world.barrier()  # what one process keeps is there for all
        if kept.is_file():
            log.info("%s: kept from an earlier run", name)
            workshop.restore(torch.load(kept, weights_only=True))
            continue
        torch.manual_seed(SEED)  # whatever was drawn before: a run that goes on draws the same
        if name == "easy_view":
            initialise_own_parts(workshop.model)  # now that there is a prompt encoder to copy
        steps = phase.steps()
        schedule = getattr(budget, name)
        train(name, phase.parameters, schedule, lambda _, steps=steps: next(steps), matrices, world)  # type: ignore[misc]
        if world.is_first:
            partial = kept.with_suffix(".partial")
            torch.save(workshop.state(), partial)
            partial.replace(kept)
    if world.is_first:
        save(Predictor(workshop.model.eval(), workshop.processor), finished)
    world.barrier()
    return finished


def make_stage(folder: Path, name: str, base: Path) -> None:
    """One stage of the paper."""
    recipe = get_recipe(name)
    partials = tuple(str(folder / partial) for partial in recipe.start.partials)
    recipe = replace(recipe, start=replace(recipe.start, model=str(base), partials=partials))
    if not (folder / name / recipe.save.exports[0]).is_dir():
        run(recipe, folder / name, resume=True)
