"""The plain training loop: Muon for the matrices of layers and AdamW for the rest, a warm-up and a cosine,
products in bfloat16 where the processor has them, a progress line, and a stop at the first loss that is no
number."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unipixel.training.distributed import World, complete

log = logging.getLogger(__name__)

ALONE = World(0, 1, torch.device("cpu"), "single")
FADE = 0.95
"""How much of a running mean one step keeps."""


@dataclass(frozen=True)
class Schedule:
    """Steps and rates of one phase: a linear warm-up to `rate`, then a cosine down to `rate` * `floor`."""

    steps: int
    rate: float
    warmup: int = 50
    floor: float = 0.05
    weight_decay: float = 0.01
    clip: float = 1.0

    def rate_at(self, step: int) -> float:
        """Learning rate of step 0 … steps - 1."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.rate * (self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2)


@dataclass(frozen=True)
class StepResult:
    """The loss to minimise, and figures to show."""

    loss: Tensor
    figures: dict[str, float]


class TrainingError(RuntimeError):
    """The loss is no longer a number."""


def train(
    name: str,
    parts: Callable[[], Iterator[nn.Parameter]],
    schedule: Schedule,
    step: Callable[[int], StepResult],
    matrices: Collection[Tensor] = (),
    world: World = ALONE,
) -> dict[str, float]:
    """Run one phase over the parameters that `parts` yields; returns the running means of the last steps.
    `matrices`: those of them (and others) that Muon trains. `world`: the processes that learn together, each
    from its own samples.

    Raises TrainingError, naming phase and step, when the loss is not finite.
    """
    parameters = list(parts())
    optimisers = make_optimisers(parameters, matrices, schedule)
    means: dict[str, float] = {}
    start = time.monotonic()
    for number in range(schedule.steps):
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate_at(number)
        with quick_products():
            result = step(number)
        if not torch.isfinite(result.loss):
            raise TrainingError(f"{name}: the loss of step {number} is {result.loss.item()}")
        for parameter in parameters:
            parameter.grad = None
        result.loss.backward()
        share_gradients(parameters, world)
        nn.utils.clip_grad_norm_(parameters, schedule.clip)
        for optimiser in optimisers:
            optimiser.step()
        for key, value in {"loss": result.loss.item(), **result.figures}.items():
            means[key] = value if key not in means else FADE * means[key] + (1 - FADE) * value
        if world.is_first and ((number + 1) % 50 == 0 or number + 1 == schedule.steps):
            _report(name, number + 1, schedule.steps, time.monotonic() - start, means)
    return means


def share_gradients(parameters: Sequence[nn.Parameter], world: World) -> None:
    """Every process gets the mean of all gradients; one that a process did not reach counts as zero."""
    if world.ranks == 1:
        return
    complete(parameters)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    mean = world.mean(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, part in zip(
        gradients, mean.split([gradient.numel() for gradient in gradients]), strict=True
    ):
        gradient.copy_(part.view_as(gradient))


def layer_matrices(part: nn.Module) -> set[Tensor]:
    """The matrices between the states of layers: what Muon is made for. Embeddings, norms and convolutions
    are none."""
    known = {module.weight for module in part.modules() if isinstance(module, nn.Embedding)}  # may be tied
    return {module.weight for module in part.modules() if isinstance(module, nn.Linear)} - known


def make_optimisers(
    parameters: Sequence[nn.Parameter], matrices: Collection[Tensor], schedule: Schedule
) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices, whose steps have all directions equally long: the language model learns in half
    the steps (docs/log.md). Its steps are as long as AdamW's, so that one rate serves both."""
    mixing = [parameter for parameter in parameters if parameter in matrices]
    others = [parameter for parameter in parameters if parameter not in matrices]
    made: list[torch.optim.Optimizer] = []
    if mixing:
        made.append(
            torch.optim.Muon(
                mixing,
                lr=schedule.rate,
                weight_decay=schedule.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    if others:
        made.append(
            torch.optim.AdamW(others, lr=schedule.rate, weight_decay=schedule.weight_decay, betas=(0.9, 0.98))
        )
    return tuple(made)


def quick_products() -> torch.autocast:
    """Products in bfloat16, where this processor multiplies such numbers faster (docs/log.md)."""
    has_them = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.autocast("cpu", torch.bfloat16, enabled=has_them)


def _report(name: str, done: int, steps: int, seconds: float, means: dict[str, float]) -> None:
    figures = "  ".join(f"{key} {value:.3f}" for key, value in means.items())
    left = seconds / done * (steps - done)
    log.info("%s %d/%d  %.2f s/step  %.0f s left  %s", name, done, steps, seconds / done, left, figures)
