"""What each of several processes does in test_distributed: gradients of the first step, losses of some."""

import sys
from pathlib import Path

import torch

from unipixel.training.distributed import join_world, whole
from unipixel.training.recipe_file import read_recipe
from unipixel.training.run import open_trainer


def measure(recipe_words: list[str], folder: Path, steps: int) -> None:
    """Writes gradients.pt, losses.pt and a state below `folder`."""
    recipe = read_recipe("debug", recipe_words)
    with join_world(recipe.strategy, torch.device("cpu")) as world:
        trainer = open_trainer(recipe, folder, world)
        batches = trainer.stream.steps()
        exercises = next(batches)
        trainer.add_gradients(exercises)
        gradients = {name: whole(parameter.grad) for name, parameter in trainer.parameters.items()}
        trainer.optimiser.zero_grad()
        losses = [trainer.take_step(exercises)["total"]]
        losses += [trainer.take_step(next(batches))["total"] for _ in range(steps - 1)]
        trainer.save()
        if world.is_first:
            torch.save(gradients, folder / "gradients.pt")
            torch.save(losses, folder / "losses.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    measure(sys.argv[3:], Path(sys.argv[1]), int(sys.argv[2]))
