"""How predictions were made: settings that must not change within a folder, and versions."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from unipixel.core.writing import replacing
from unipixel.errors import ConfigError

FILE = "manifest.json"
_LIBRARIES = ("unipixel", "numpy", "pillow", "av", "pycocotools", "torch", "transformers")
_SAMPLED, _BLOCK = 16, 1 << 16


@dataclass(frozen=True)
class Model:
    """Which model answers.

    Attributes:
        name: as it was asked for.
        fingerprint: of its files; equal files have equal ones.
        dtype: of its arithmetic.
        device: where it ran; not a setting, shards may differ.
    """

    name: str
    fingerprint: str = ""
    dtype: str = ""
    device: str = ""


@dataclass(frozen=True)
class Settings:
    """What must be the same for all predictions of a folder.

    Attributes:
        benchmark: name of the row.
        model: name of the model.
        fingerprint: of its files.
        dtype: of its arithmetic.
        prompts: hash of the wording.
        data: how the data was read, by option.
        seed: of what is drawn (which objects are clicked and which are boxed).
        limit: how many samples are asked at most; None is all.
    """

    benchmark: str
    model: str
    fingerprint: str = ""
    dtype: str = ""
    prompts: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    limit: int | None = None


@dataclass(frozen=True)
class Manifest:
    """Settings, with what is worth knowing beside them: versions, machine, and where the data was."""

    settings: Settings
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    root: str = ""

    def keep(self, folder: Path) -> Manifest:
        """Write it, or compare it with the one that is there, which stays.

        Raises:
            ConfigError: the folder's predictions were made under other settings; all differences are named.
        """
        known = read_manifest(folder)
        if known is None:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(folder / FILE) as temporary:
                temporary.write_text(json.dumps(asdict(self), indent=1, sort_keys=True), encoding="utf-8")
            return self
        before, now = asdict(known.settings), asdict(self.settings)
        different = [
            f"{name} was {before[name]!r}, is {now[name]!r}" for name in now if before[name] != now[name]
        ]
        if different:
            raise ConfigError(
                f"{folder} holds predictions under other settings ({'; '.join(different)}); go on with the "
                "same, or choose another folder."
            )
        return known


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder, None if it has none; ConfigError for a damaged one."""
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return Manifest(**{**content, "settings": Settings(**content["settings"])})
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} is no manifest ({error}); delete the folder and start again.") from error


def versions() -> dict[str, str]:
    """Of Python and the libraries that predictions may depend on, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def fingerprint(files: Iterable[Path]) -> str:
    """Names a model by its files: the length of each, and some of its blocks (all of a small one)."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda path: path.name):
        size = file.stat().st_size
        digest.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as stream:
            for number in range(_SAMPLED):
                stream.seek(number * max(_BLOCK, size // _SAMPLED))
                digest.update(stream.read(_BLOCK))
    return digest.hexdigest()[:16]
