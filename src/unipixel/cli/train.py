"""`unipixel train`: a recipe, with words that change it, from a plan to a finished model."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unipixel.cli.terminal import manners, note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unipixel.model.unipixel import UniPixel
    from unipixel.training.learner import Exercise
    from unipixel.training.recipe import Recipe
    from unipixel.training.reporting import Watcher


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|FILE",
            help="stage_1_3b, stage_2_3b, stage_3_3b, …_7b, finetune, finetune_tiny, debug; "
            "or a .toml or .json file.",
        ),
    ],
    changes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=VALUE]...", help="For example optimiser.rate=1e-5 data.revos.repeats=2."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Default: runs/ and the recipe's name."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last state in DIR.")] = False,
    pictures: Annotated[
        int | None,
        typer.Option(metavar="N", help="Every N steps draw wanted and found masks into DIR/pictures."),
    ] = None,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Run the code of parts of your own that the recipe names.")
    ] = False,
) -> None:
    """Train a model.

    Several processes: torchrun --nproc-per-node 8 -m unipixel.cli.main train RECIPE … (docs/training.md).
    """
    with manners():
        from unipixel.training.recipe_file import read_recipe

        chosen = read_recipe(recipe, changes or [])
        if dry_run:
            from unipixel.training.plan import describe, make_plan

            typer.echo(describe(make_plan(chosen, int(os.environ.get("WORLD_SIZE", "1")), trust_code)))
            return
        from unipixel.training.run import run

        logging.basicConfig(format="%(message)s")
        first = os.environ.get("RANK", "0") == "0"
        logging.getLogger("unipixel").setLevel(logging.INFO if first else logging.ERROR)
        folder = output or Path("runs") / chosen.name
        watchers = [] if pictures is None else [_painter(chosen, folder / "pictures", pictures)]
        run(chosen, folder, resume=resume, trust_code=trust_code, watchers=watchers)
        if first:
            note(f"written to {folder}")


def _painter(recipe: Recipe, folder: Path, every: int) -> Watcher:
    """Draws the first sample of every so many steps: above as it is wanted, below as it was found."""
    import numpy as np

    from unipixel.core.writing import write_picture
    from unipixel.errors import ConfigError
    from unipixel.output.draw import overlay
    from unipixel.training.pictures import picture

    if recipe.strategy == "fsdp" or every < 1:
        raise ConfigError("--pictures needs 1 or more steps, and a whole model in each process: not 'fsdp'")

    class Painter:
        def after_step(self, step: int, model: UniPixel, exercises: Sequence[Exercise]) -> None:
            shown = picture(model, exercises[0]) if step % every == 0 else None
            if shown is None:
                return
            rows = [
                [overlay(frame, dict(enumerate(masks[t]))) for t, frame in enumerate(shown.frames)]
                for masks in (shown.wanted, shown.found)
            ]
            folder.mkdir(parents=True, exist_ok=True)
            write_picture(folder / f"step-{step:08d}.png", np.vstack([np.hstack(row) for row in rows]))

    return Painter()
