"""How an archive is annotated, and what must stay the same while it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from unipixel.archive.windows import Cut
from unipixel.core.frames import reason
from unipixel.core.mask_options import MaskOptions
from unipixel.core.request import Decoding, PixelBudget, check_num_frames
from unipixel.core.writing import replacing
from unipixel.errors import ConfigError, OutputError
from unipixel.evaluation.provenance import versions

Format: TypeAlias = Literal["jsonl", "parquet"]
Extra: TypeAlias = Literal["overlay", "coco", "png"]
MANIFEST = "archive.json"
CLEAREST = MaskOptions(start="clearest")
KEEP_BYTES = 2**29
"""Frame features that are kept of a window: about 100 frames of the published models in bfloat16."""


@dataclass(frozen=True)
class Settings:
    """How items are annotated. Two runs with equal settings and models give equal results.

    Attributes:
        cut: into which windows recordings are cut, in frames that are looked at.
        fps: how many frames a second are looked at at most; None is all. Frames between have no masks.
        num_frames: how many frames of a window the language model sees; None is the model's own choice.
        pixels: of such a frame; None is the model's own choice.
        decoding: how answers are written.
        masks: how masks are made of answers, window by window. "clearest" starts nowhere if the object is
        seen on none of the frames that were looked at: then the window has no mask of it. batch: questions
        that are answered together. chunk: items that are opened together; those that are short are asked
        together.
    """

    cut: Cut = field(default_factory=Cut)
    fps: float | None = None
    num_frames: int | None = None
    pixels: PixelBudget | None = None
    decoding: Decoding = field(default_factory=Decoding)
    masks: MaskOptions = CLEAREST
    batch: int = 8
    chunk: int = 8

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < 1e6:
            raise ConfigError(f"{self.fps} frames a second are impossible; give a number above 0")
        if self.num_frames is not None:
            check_num_frames(self.num_frames)
        if min(self.batch, self.chunk) < 1:
            raise ConfigError(f"batch {self.batch} and chunk {self.chunk} must both be 1 or more")


@dataclass(frozen=True)
class Output:
    """What is written. `extras` are made from the annotations when all items are done."""

    folder: Path
    format: Format = "jsonl"
    extras: frozenset[Extra] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        object.__setattr__(self, "extras", frozenset(self.extras))
        if self.format not in get_args(Format) or not self.extras <= set(get_args(Extra)):
            raise ConfigError(
                f"the output is {self.format!r} with {sorted(self.extras)}; expected one of "
                f"{get_args(Format)}, with some of {get_args(Extra)}"
            )


@dataclass(frozen=True)
class ModelName:
    """A model by its name, for work that is spread over processes.

    Attributes:
        name: as `unipixel.load` takes it.
        device: "auto", "cpu", "cuda:1", …; where each worker has a GPU of its own it is set for it.
        dtype: "auto", "float32", "bfloat16" or "float16".
        threads: of each process on a CPU; None is PyTorch's own choice.
    """

    name: str
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"{self.threads} threads can do no work; give at least 1")


def keep_settings(folder: Path, settings: Settings, model: str, fingerprint: str) -> None:
    """Write them into the folder of results, or compare them with those that are there.

    Raises:
        ConfigError: the folder was begun with other settings or another model (whatever its name); all
            differences are named. OutputError: the folder cannot be made.
    """
    now = {"fingerprint": fingerprint, **_plain(settings)}
    file = folder / MANIFEST
    if not file.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{folder}: no folder can be made there ({reason(error)}); choose another place"
            ) from error
        with replacing(file) as temporary:
            content = {"model": model, "settings": now, "versions": versions()}
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return
    try:
        before = json.loads(file.read_text(encoding="utf-8"))["settings"]
        different = [
            f"{name} was {before.get(name)!r}, is {value!r}"
            for name, value in now.items()
            if before.get(name) != value
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file} is damaged ({error}); delete the folder and start again") from error
    if different:
        raise ConfigError(
            f"{folder} was begun with other settings ({'; '.join(different)}); go on with those, or choose "
            "another folder"
        )


def _plain(settings: Settings) -> Mapping[str, Any]:
    """As JSON would give it back."""
    plain: Mapping[str, Any] = json.loads(json.dumps(asdict(settings)))
    return plain
