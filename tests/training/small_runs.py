"""Runs of seconds: a small random model and two clips."""

from pathlib import Path

from tests.data.published import BUILDERS

from unipixel.training.recipe import Recipe
from unipixel.training.recipe_file import read_recipe

SMALL = ("tolerance=1", "seen.min_pixels=3136", "seen.max_pixels=6272", "seen.frames=2", "report.every=1")


def words(checkpoint: Path, root: Path, *more: str) -> list[str]:
    """What makes the debug recipe a run on the fixture of ReVOS below `root`, which is made if need be."""
    if not (root / "revos").exists():
        BUILDERS["revos"](root)
    return [f"start.model={checkpoint}", f"root={root}", "data.revos.repeats=1", *SMALL, *more]


def small_recipe(checkpoint: Path, root: Path, *more: str) -> Recipe:
    """The debug recipe on that fixture, changed by `more`."""
    return read_recipe("debug", words(checkpoint, root, *more))


ADAPTERS = (
    "parts.language.how=lora",
    "parts.visual.how=lora",
    "lora.rank=4",
    "lora.alpha=8",
    'save.exports=["adapter","whole"]',
)
"""The same with adapters, as stage 3 has them."""
