"""Where a run's figures go: always a log of plain lines, and trackers that are asked for."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

from unipixel.errors import ConfigError
from unipixel.model.unipixel import UniPixel
from unipixel.training.learner import Exercise
from unipixel.training.recipe import ReporterName

log = logging.getLogger(__name__)

LOG = "log.jsonl"


@dataclass(frozen=True)
class Pace:
    """Seconds that a step took, and those of them that it `waited` for its samples."""

    seconds: float
    waited: float

    def figures(self, samples: int, steps_left: int) -> dict[str, float]:
        """The same for people."""
        return {
            "samples_per_second": samples / self.seconds,
            "waited_for_data": self.waited / self.seconds,
            "seconds_left": self.seconds * steps_left,
        }


class Reporter(Protocol):
    """Takes figures by name."""

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Figures of one step."""
        ...

    def close(self) -> None:
        """No more will come."""
        ...


class Watcher(Protocol):
    """Hears of every step, in the first process; may look at the model, for pictures of its predictions."""

    def after_step(self, step: int, model: UniPixel, exercises: Sequence[Exercise]) -> None:
        """`step` steps are done; `exercises` were the last one's micro-batches."""
        ...


@dataclass
class LineLog:
    """One JSON object in each line; a run that goes on adds to it."""

    file: Path
    stream: TextIO = field(init=False)

    def __post_init__(self) -> None:
        self.stream = self.file.open("a", encoding="utf-8")

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        self.stream.write(json.dumps({"step": step, **figures}) + "\n")
        self.stream.flush()

    def close(self) -> None:
        self.stream.close()


@dataclass(frozen=True)
class TensorBoard:
    """torch's own writer of TensorBoard files."""

    writer: Any

    @classmethod
    def open(cls, folder: Path, _project: str, _settings: Mapping[str, Any]) -> TensorBoard:
        return cls(_module("tensorboard", "torch.utils.tensorboard").SummaryWriter(str(folder)))

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


@dataclass(frozen=True)
class Tracker:
    """wandb, and trackio, which has the same interface."""

    module: Any

    @classmethod
    def open(cls, name: ReporterName, folder: Path, project: str, settings: Mapping[str, Any]) -> Tracker:
        module = _module(name, name)
        module.init(project=project, name=folder.name, config=dict(settings))
        return cls(module)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        self.module.log(dict(figures), step=step)

    def close(self) -> None:
        self.module.finish()


def open_reporters(
    names: Sequence[ReporterName], folder: Path, project: str, settings: Mapping[str, Any]
) -> list[Reporter]:
    """The line log, and the named trackers; ConfigError for one that is not installed."""
    reporters: list[Reporter] = [LineLog(folder / LOG)]
    for name in names:
        if name == "tensorboard":
            reporters.append(TensorBoard.open(folder, project, settings))
        else:
            reporters.append(Tracker.open(name, folder, project, settings))
    return reporters


def tell(reporters: Sequence[Reporter], step: int, steps: int, figures: Mapping[str, float]) -> None:
    """Give a step's figures to everybody, and a line to the log."""
    for reporter in reporters:
        reporter.write(step, figures)
    log.info(
        "step %d/%d  loss %.4f (language %.4f, masks %.4f)  %.2f samples/s  %.0f s left",
        *(step, steps, figures["total"], figures["language"], figures["masks"]),
        *(figures["samples_per_second"], figures["seconds_left"]),
    )


def _module(package: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"report.to names {package}, which is not installed: pip install {package}"
        ) from error
