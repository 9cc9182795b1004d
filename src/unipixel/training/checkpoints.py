"""What a run keeps on disk: states to go on from, written whole or not at all, and the finished model.

A state holds what training changes, not the weights it started from: `trained.safetensors`,
`optimiser.safetensors`, `state.json`, and the random state of each process. It does not depend on how many
processes wrote it. All processes need the same folder.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from unipixel.data.mixture import Position
from unipixel.errors import OutputError, WeightsError
from unipixel.training.distributed import World, fill, like, whole

FOLDER = re.compile(r"step-(\d{8})")
TRAINED, OPTIMISER, STATE = "trained.safetensors", "optimiser.safetensors", "state.json"
FORMAT = 1


@dataclass(frozen=True)
class Progress:
    """How far a run is: `step` steps are done, and the samples behind `position` come next."""

    step: int
    position: Position
    samples: int = 0


def latest(folder: Path) -> Path | None:
    """The newest whole state below a run's folder."""
    found = sorted(path for path in folder.glob("step-*") if FOLDER.fullmatch(path.name))
    return found[-1] if found else None


def save_state(
    folder: Path,
    parameters: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    world: World,
    keep: int,
) -> Path:
    """Write a state below `folder`, and remove all but the last `keep`. Every process calls this."""
    target = folder / f"step-{progress.step:08d}"
    scratch = folder / f".{target.name}.partial"
    trained, moments = {}, {}
    for name, parameter in parameters.items():
        trained[name] = whole(parameter)
        for kind, value in optimiser.state.get(parameter, {}).items():
            moments[f"{name}/{kind}"] = whole(value)
    try:
        if world.is_first:
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
        world.barrier()
        save_file(_random_state(world), scratch / f"random-{world.rank}.safetensors")
        if world.is_first:
            save_file(trained, scratch / TRAINED)
            save_file(moments, scratch / OPTIMISER)
            (scratch / STATE).write_text(json.dumps(_about(progress, world)) + "\n", encoding="utf-8")
        world.barrier()
        if world.is_first:
            _settle(scratch, target)
            _forget(folder, keep)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{target} cannot be written ({error})") from error
    world.barrier()
    return target


def load_state(
    state: Path, parameters: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer, world: World
) -> Progress:
    """Take up a state in place: parameters, moments, random states. Every process calls this.

    Raises WeightsError when the state is damaged or belongs to a run that trains something else.
    """
    about, trained, moments = _read(state)
    if trained.keys() != parameters.keys():
        odd = sorted(trained.keys() ^ parameters.keys())
        raise WeightsError(
            f"{state} holds {len(trained)} trained parameters, this run has {len(parameters)}; "
            f"different: {', '.join(odd[:5])}. Go on with the recipe that wrote it"
        )
    for name, parameter in parameters.items():
        fill(parameter, trained[name])
        kinds = {key.rpartition("/")[2] for key in moments if key.startswith(f"{name}/")}
        if kinds:
            optimiser.state[parameter] = {
                kind: _moment(moments[f"{name}/{kind}"], parameter) for kind in sorted(kinds)
            }
    _restore_random(state / f"random-{world.rank}.safetensors", about["step"], world)
    return Progress(about["step"], Position(about["epoch"], about["batch"]), about["samples"])


def read_trained(state: Path) -> dict[str, Tensor]:
    """The trained parameters of a state, by their names in memory."""
    return _read(state)[1]


def _read(state: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    try:
        about = json.loads((state / STATE).read_text(encoding="utf-8"))
        found = about, load_file(state / TRAINED), load_file(state / OPTIMISER)
    except (OSError, ValueError, SafetensorError) as error:
        raise WeightsError(
            f"{state} cannot be read ({error}); remove it to go on from the one before"
        ) from error
    if about.get("format") != FORMAT:
        raise WeightsError(f"{state} has format {about.get('format')!r}; this version reads {FORMAT}")
    return found


def _moment(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """Optimiser state as it lies beside its parameter; step counts stay on the processor."""
    return value if value.ndim == 0 else like(value, parameter)


def _about(progress: Progress, world: World) -> dict[str, Any]:
    place = progress.position
    return {
        "format": FORMAT,
        "step": progress.step,
        "epoch": place.epoch,
        "batch": place.step,
        "samples": progress.samples,
        "ranks": world.ranks,
    }


def _settle(scratch: Path, target: Path) -> None:
    """Give a finished folder its name, once its files are on disk."""
    for path in (*scratch.iterdir(), scratch):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    if target.exists():  # a run that went on from an older state comes here again
        shutil.rmtree(target)
    scratch.rename(target)


def _forget(folder: Path, keep: int) -> None:
    states = sorted(path for path in folder.glob("step-*") if FOLDER.fullmatch(path.name))
    for old in states[:-keep]:
        shutil.rmtree(old, ignore_errors=True)


# Random numbers


def _random_state(world: World) -> dict[str, Tensor]:
    """The states of all sources of random numbers of a process."""
    words = random.getstate()[1]
    generator = np.random.get_state(legacy=False)
    state = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor(words, dtype=torch.int64),
        "numpy": torch.tensor(
            [*generator["state"]["key"].tolist(), generator["state"]["pos"], generator["has_gauss"]],
            dtype=torch.int64,
        ),
        "numpy_gauss": torch.tensor([generator["gauss"]], dtype=torch.float64),
    }
    if world.device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(world.device)
    return state


def _restore_random(file: Path, step: int, world: World) -> None:
    """Random numbers as they were; a process that was not there begins with numbers of its own."""
    if not file.is_file():
        seed = 1_000_003 * step + world.rank
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        return
    state = load_file(file)
    torch.set_rng_state(state["torch"])
    random.setstate((3, tuple(state["python"].tolist()), None))
    keys = state["numpy"].tolist()
    np.random.set_state(
        ("MT19937", np.array(keys[:-2], dtype=np.uint32), keys[-2], keys[-1], float(state["numpy_gauss"]))
    )
    if "cuda" in state and world.device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], world.device)
