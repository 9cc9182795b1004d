"""Several processes, each with a device, as torchrun starts them; one process is the normal case."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from unipixel.errors import ConfigError
from unipixel.training.learner import Learner
from unipixel.training.recipe import Strategy

PATIENCE = timedelta(minutes=30)
"""How long one process waits for another, which may be writing a checkpoint."""


@dataclass(frozen=True)
class World:
    """This process among all. rank: its number of `ranks`; device: what it trains on."""

    rank: int
    ranks: int
    device: torch.device
    strategy: Literal["single", "ddp", "fsdp"]

    @property
    def is_first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait for all."""
        if self.ranks > 1:
            dist.barrier()

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes."""
        if self.ranks == 1:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total / self.ranks


@contextmanager
def join_world(strategy: Strategy, device: torch.device) -> Iterator[World]:
    """The world that torchrun's environment describes, or this process alone. Who is in it already stays in
    it: processes cannot meet twice.

    Raises ConfigError for a strategy that does not fit the number of processes.
    """
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks == 1:
        if strategy in ("ddp", "fsdp"):
            raise ConfigError(
                f"strategy {strategy!r} needs several processes; start with torchrun --nproc-per-node=N "
                "-m unipixel.cli.main train …, or take strategy='auto'"
            )
        yield World(0, 1, device, "single")
        return
    if strategy == "single":
        raise ConfigError(f"strategy 'single' with {ranks} processes; take 'ddp' or 'fsdp'")
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    is_joined = dist.is_initialized()
    if not is_joined:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield World(dist.get_rank(), ranks, device, "ddp" if strategy == "auto" else strategy)
    finally:
        if not is_joined:
            dist.destroy_process_group()


def distribute(learner: Learner, world: World) -> nn.Module:
    """The learner as every process of the world calls it; gradients are means over processes."""
    if world.strategy == "single":
        return learner
    if world.strategy == "ddp":
        devices = [world.device] if world.device.type == "cuda" else None
        # A text without pictures leaves the tower out, and only some kinds have masks.
        return DistributedDataParallel(learner, devices, broadcast_buffers=False, find_unused_parameters=True)
    mesh = init_device_mesh(world.device.type, (world.ranks,))
    backbone = learner.model.backbone
    for stack in (backbone.text.layers, backbone.visual.blocks):
        assert isinstance(stack, nn.ModuleList), f"layers are listed; found a {type(stack).__name__}"
        for layer in stack:
            fully_shard(layer, mesh=mesh)
    fully_shard(learner, mesh=mesh, reshard_after_forward=False)
    return learner


def gathering(module: nn.Module, is_last: bool) -> AbstractContextManager[None]:
    """Inside is the backward pass of one of several micro-batches: only the last adds up over processes."""
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(is_last)
    if isinstance(module, DistributedDataParallel) and not is_last:
        no_sync: AbstractContextManager[None] = module.no_sync()
        return no_sync
    return nullcontext()


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may be sharded, whole on the processor; every process must ask."""
    full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return full.detach().to("cpu", copy=True)


def fill(target: Tensor, source: Tensor) -> None:
    """Copy a whole tensor into one that may be sharded; every process must do so."""
    with torch.no_grad():
        if isinstance(target, DTensor):
            spread = distribute_tensor(
                source.to(target.device), target.device_mesh, target.placements, src_data_rank=None
            )
            target.copy_(spread)
        else:
            target.copy_(source)


def like(source: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor spread as a parameter is."""
    made = torch.empty_like(parameter, dtype=source.dtype)
    fill(made, source)
    return made


def complete(parameters: Iterable[nn.Parameter]) -> None:
    """A gradient of zero for each parameter that took no part in a step, so that one process and several
    do the same."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
