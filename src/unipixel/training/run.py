"""A recipe from beginning to end: open, train or go on, export."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from unipixel.errors import OutputError
from unipixel.loading import choose_device
from unipixel.model.checkpoint import describe
from unipixel.training.checkpoints import latest
from unipixel.training.distributed import World, join_world
from unipixel.training.export import export
from unipixel.training.recipe import Recipe
from unipixel.training.recipe_file import write_recipe
from unipixel.training.reporting import Watcher, open_reporters
from unipixel.training.start import open_start
from unipixel.training.stream import Stream, open_mixture
from unipixel.training.trainer import Trainer

log = logging.getLogger(__name__)

RECIPE = "recipe.json"


def run(
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool = False,
    trust_code: bool = False,
    watchers: Sequence[Watcher] = (),
) -> Path:
    """Train a recipe, in this process or as one of torchrun's; returns the folder with what was exported.

    resume: go on from the last state in `folder`, if there is one. trust_code: run the code of parts of the
    user's own that the recipe names. watchers hear of every step. Raises OutputError when the folder holds a
    run already and `resume` is not set, and the errors of everything that is opened.
    """
    with join_world(recipe.strategy, choose_device(recipe.device)) as world:
        if not resume and latest(folder) is not None:
            raise OutputError(f"{folder} holds a run already; go on with --resume, or choose a new folder")
        trainer = open_trainer(recipe, folder, world, trust_code)
        if resume and trainer.resume() and world.is_first:
            log.info("going on after step %d", trainer.step)
        reporters = []
        if world.is_first:
            folder.mkdir(parents=True, exist_ok=True)
            notes = {"processes": world.ranks, "steps": trainer.steps}
            write_recipe(recipe, folder / RECIPE, notes)
            reporters = open_reporters(recipe.report.to, folder, recipe.report.project, {"name": recipe.name})
        try:
            trainer.run(reporters, watchers)
        finally:
            for reporter in reporters:
                reporter.close()
        if world.is_first:
            state = latest(folder)
            assert state is not None, "a finished run has a state"
            export(recipe, state, folder, trust_code)
        world.barrier()
    return folder


def open_trainer(recipe: Recipe, folder: Path, world: World, trust_code: bool = False) -> Trainer:
    """A recipe's run at its beginning."""
    recipe.batch.micro_batches(world.ranks)  # refuses before anything is opened
    mixture = open_mixture(recipe, world.ranks)
    opened = open_start(recipe, trust_code)
    if "published" in recipe.save.exports:
        describe(opened.config, "published")  # refuses now, and not behind the last step
    stream = Stream(recipe, mixture, opened.processor, world)
    return Trainer.open(recipe, opened.model, stream, folder)
