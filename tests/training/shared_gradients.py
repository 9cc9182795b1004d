"""What each of two processes does in test_distributed: its gradients, then those that all step by."""

import sys
from pathlib import Path

import torch
from torch import nn

from unipixel.training.distributed import join_world
from unipixel.training.tiny.loop import share_gradients

if __name__ == "__main__":
    with join_world("auto", torch.device("cpu")) as world:
        parameters = {
            name: nn.Parameter(torch.zeros(size)) for name, size in (("both", 2), ("first", 1), ("none", 1))
        }
        loss = (parameters["both"] * torch.tensor([1.0, 2.0])).sum() * (world.rank + 1)
        if world.is_first:
            loss = loss + 4 * parameters["first"].sum()
        loss.backward()
        share_gradients(list(parameters.values()), world)
        found = {
            name: parameter.grad.tolist()
            for name, parameter in parameters.items()
            if parameter.grad is not None
        }
        torch.save(found, Path(sys.argv[1]) / f"{world.rank}.pt")
