"""Finding a checkpoint's folder by a bundled name, a path or a hub id; free of torch, so that a wrong name is
told at once."""

from __future__ import annotations

import difflib
import os
from importlib import resources
from pathlib import Path

from unipixel.errors import WeightsError

BUNDLED = ("unipixel-tiny",)
"""Models that come with the package."""
PUBLISHED = ("PolyU-ChenLab/UniPixel-3B", "PolyU-ChenLab/UniPixel-7B")
"""Published checkpoints on the model hub."""
CONFIG = "config.json"
"""The file by which a folder is known to be a checkpoint."""


def find_checkpoint(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a bundled model, a local path or a hub id (fetched if need be).

    Raises WeightsError for a file, a folder that holds no checkpoint and a name that nothing is known by.
    """
    name = os.fspath(name_or_path)
    if name in BUNDLED:
        return Path(str(resources.files("unipixel"))) / "checkpoints" / name
    path = Path(name)
    # os.path: no error for names that are too long and folders that may not be entered.
    if os.path.isdir(path):
        if not os.path.isfile(path / CONFIG):
            raise WeightsError(f"{path} is no checkpoint: it holds no {CONFIG}")
        return path
    if os.path.exists(path):
        raise WeightsError(f"{path} is a file; give the checkpoint's folder")
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return _fetch(name)
    closest = difflib.get_close_matches(name, [*BUNDLED, *PUBLISHED], n=1, cutoff=0.3)
    hint = f"; did you mean {closest[0]!r}?" if closest else "."
    raise WeightsError(
        f"unknown model {name!r}{hint} Give a folder, a hub id (owner/name) or one of: "
        f"{', '.join([*BUNDLED, *PUBLISHED])}"
    )


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds only what training changed, to be laid over a base."""
    return any(
        os.path.isfile(folder / name) for name in ("adapter_model.safetensors", "pytorch_model.safetensors")
    )


def _fetch(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.jinja"]))
    except HFValidationError as error:
        raise WeightsError(
            f"{name!r} is no folder that can be found, and cannot be a hub id (owner/name); check the path"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        closest = difflib.get_close_matches(name, PUBLISHED, n=1, cutoff=0.6)
        hint = f" Did you mean {closest[0]!r}?" if closest and closest[0] != name else ""
        raise WeightsError(
            f"{name!r} is no local folder, and the model hub did not give it ({type(error).__name__}).{hint} "
            f"Check the name and the connection, or fetch it elsewhere and give its folder."
        ) from error
