"""The loop: micro-batches in, gradients, a step, figures, and now and then a state to go on from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from unipixel.errors import UniPixelError
from unipixel.model.unipixel import UniPixel
from unipixel.training.checkpoints import Progress, latest, load_state, save_state
from unipixel.training.distributed import World, complete, distribute, gathering
from unipixel.training.learner import NAMES, WEIGHTS, Exercise, Learner
from unipixel.training.parameters import group_parameters, make_optimiser, trained
from unipixel.training.recipe import Recipe
from unipixel.training.reporting import Pace, Reporter, Watcher, tell
from unipixel.training.start import ready, seed_everything
from unipixel.training.stream import Stream, count_steps

GIGABYTE = 1e9


class LossError(UniPixelError):
    """The loss is no number; the message names step and samples."""


@dataclass
class Trainer:
    """A run in progress."""

    recipe: Recipe
    world: World
    module: nn.Module
    model: UniPixel
    optimiser: torch.optim.Optimizer
    parameters: Mapping[str, nn.Parameter]
    stream: Stream
    folder: Path
    steps: int
    step: int = 0
    samples: int = 0

    @classmethod
    def open(cls, recipe: Recipe, model: UniPixel, stream: Stream, folder: Path) -> Trainer:
        """A run at its beginning; the model becomes trainable and moves to the world's device."""
        world = stream.world
        seed_everything(recipe.seed + world.rank)
        ready(model, recipe).to(world.device)
        autocast = None if recipe.precision == "float32" else torch.bfloat16
        weights = replace(WEIGHTS, quality_gradients=recipe.resolved.quality_gradients or "corrected")
        learner = Learner(model, weights, recompute=recipe.recompute, autocast=autocast)
        module = distribute(learner, world)
        groups = group_parameters(model, recipe)
        steps = count_steps(recipe, stream.mixture, world.ranks)
        optimiser = make_optimiser(groups, recipe)
        return cls(recipe, world, module, model, optimiser, dict(trained(groups)), stream, folder, steps)

    def resume(self) -> bool:
        """Go on from the last state, if there is one."""
        state = latest(self.folder)
        if state is not None:
            progress = load_state(state, self.parameters, self.optimiser, self.world)
            self.step, self.samples, self.stream.position = progress.step, progress.samples, progress.position
        return state is not None

    def save(self) -> Path:
        """Write a state."""
        progress = Progress(self.step, self.stream.position, self.samples)
        keep = self.recipe.save.keep
        return save_state(self.folder, self.parameters, self.optimiser, progress, self.world, keep)

    def run(self, reporters: Sequence[Reporter] = (), watchers: Sequence[Watcher] = ()) -> None:
        """All steps that are left; raises LossError and TooManyFailures."""
        every, saved = self.recipe.save.every, self.step
        with closing(self.stream.steps()) as steps:
            while self.step < self.steps:
                start = time.monotonic()
                exercises = next(steps)
                waited = time.monotonic() - start
                figures = self.take_step(exercises)
                self.report(reporters, figures, Pace(time.monotonic() - start, waited))
                if self.world.is_first:
                    for watcher in watchers:
                        watcher.after_step(self.step, self.model, exercises)
                if every is not None and self.step % every == 0:
                    self.save()
                    saved = self.step
        if saved < self.step:
            self.save()

    def take_step(self, exercises: Sequence[Exercise]) -> dict[str, float]:
        """One step of the optimiser. Returns the mean figures of all processes."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate_at(self.step, self.steps, group["initial_lr"])
        figures = self.add_gradients(exercises)
        norm = self.clip()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.samples += self.recipe.batch.size
        return figures | ({} if norm is None else {"gradient": float(norm)})

    def add_gradients(self, exercises: Sequence[Exercise]) -> dict[str, float]:
        """Gradients of the mean over micro-batches and processes; all weigh equally."""
        sums = torch.zeros(len(NAMES), device=self.world.device)
        for number, exercise in enumerate(exercises):
            with gathering(self.module, is_last=number + 1 == len(exercises)):
                losses = self.module(exercise, self.object_counts(exercise), self.world.strategy == "fsdp")
                if not torch.isfinite(losses.total):
                    raise LossError(
                        f"step {self.step + 1}: the loss is {losses.total.item()} for {exercise.names}; "
                        f"{self.folder} has the last state before it"
                    )
                (losses.total / len(exercises)).backward()
            sums += losses.figures() / len(exercises)
        complete(self.parameters.values())
        return dict(zip(NAMES, self.world.mean(sums).tolist(), strict=True))

    def object_counts(self, exercise: Exercise) -> tuple[float, ...] | None:
        """What sums over objects are divided by, where that is agreed among processes."""
        counts = exercise.object_counts
        if self.recipe.resolved.object_counts == "sample" or not any(counts):
            return None
        return tuple(self.world.mean(torch.tensor(counts, device=self.world.device)).tolist())

    def clip(self) -> Tensor | None:
        """Shorten the gradients if they are to be; their norm before."""
        most = self.recipe.optimiser.clip
        if most is None:
            return None
        norm = nn.utils.clip_grad_norm_(self.parameters.values(), most)
        return norm.full_tensor() if hasattr(norm, "full_tensor") else norm

    def report(self, reporters: Sequence[Reporter], figures: dict[str, float], pace: Pace) -> None:
        """Tell the figures of the last step, with how fast it was and how long the rest takes."""
        due = self.step % self.recipe.report.every == 0 or self.step == self.steps
        if not due or not self.world.is_first:
            return
        figures |= {
            "rate": self.optimiser.param_groups[0]["lr"],
            "failed_samples": float(self.stream.tally.failed.total()),
            **pace.figures(self.recipe.batch.size, self.steps - self.step),
        }
        if self.world.device.type == "cuda":
            figures["peak_gigabytes"] = torch.cuda.max_memory_allocated(self.world.device) / GIGABYTE
        tell(reporters, self.step, self.steps, figures)
