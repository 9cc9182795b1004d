"""Finding a checkpoint's folder by a bundled name, a path or a hub id, and data sets on the hub. Free of
torch, so that a wrong name is told at once."""

from __future__ import annotations

import difflib
import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from unipixel.errors import DataError, WeightsError

BUNDLED = ("unipixel-tiny", "unipixel-tiny-all")
"""Models that come with the package."""
PUBLISHED = ("PolyU-ChenLab/UniPixel-3B", "PolyU-ChenLab/UniPixel-7B")
"""Published checkpoints on the model hub."""
CONFIG = "config.json"
"""The file by which a folder is known to be a checkpoint."""


def find_checkpoint(name_or_path: str | os.PathLike[str], and_also: Sequence[str] = ()) -> Path:
    """The folder of a bundled model, a local path or a hub id (fetched if need be, with files of the patterns
    `and_also`).

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
        return _fetch(name, and_also)
    closest = difflib.get_close_matches(name, [*BUNDLED, *PUBLISHED], n=1, cutoff=0.3)
    hint = f"; did you mean {closest[0]!r}?" if closest else "."
    raise WeightsError(
        f"unknown model {name!r}{hint} Give a folder, a hub id (owner/name) or one of: "
        f"{', '.join([*BUNDLED, *PUBLISHED])}"
    )


def find_sam2(name_or_path: str | os.PathLike[str]) -> Path:
    """Weights of SAM 2.1: Meta's file, or the folder of a checkpoint that holds a mask decoder; of a folder
    or hub id with a `.pt` file, that file.

    Raises WeightsError for a folder with several such files or with nothing, and for an unknown name.
    """
    path = Path(name_or_path)
    if os.path.isfile(path):
        return path
    is_ours = os.fspath(name_or_path) in BUNDLED
    folder = (
        path if os.path.isdir(path) and not is_ours else find_checkpoint(name_or_path, and_also=("*.pt",))
    )
    files = sorted(folder.glob("*.pt"))
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise WeightsError(f"{folder} holds several files of weights ({names}); name one of them")
    return files[0] if files else find_checkpoint(folder)


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds only what training changed, to be laid over a base."""
    return any(
        os.path.isfile(folder / name) for name in ("adapter_model.safetensors", "pytorch_model.safetensors")
    )


def _fetch(name: str, and_also: Sequence[str] = ()) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        patterns = ["*.json", "*.safetensors", "*.txt", "*.jinja", *and_also]
        return Path(snapshot_download(name, allow_patterns=patterns))
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


# Data


@dataclass(frozen=True)
class HubFile:
    """A file of a repository: its path there, bytes, and SHA-256 where the hub knows one (large files)."""

    path: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True)
class Listing:
    """What a repository of data holds at one commit. licence: as its page states it."""

    repo: str
    revision: str
    licence: str
    files: tuple[HubFile, ...]


def list_data(repo: str) -> Listing:
    """The files of a repository of data, with their sizes.

    Raises:
        DataError: there is no connection, no such repository, or its terms must be accepted first.
    """
    from huggingface_hub import HfApi

    with _blamed(repo):
        info = HfApi().dataset_info(repo, files_metadata=True)
    licence = (info.card_data.get("license") if info.card_data else None) or "not stated"
    files = tuple(
        HubFile(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else None)
        for one in info.siblings or ()
    )
    return Listing(repo, info.sha or "main", str(licence), files)


def fetch_data(listing: Listing, files: Sequence[HubFile], root: Path) -> None:
    """Bring files of a repository below a folder, at their paths. What is there already is not fetched again,
    and what was interrupted goes on. Checksums are compared where the hub knows them.

    Raises:
        DataError: as in `list_data`, or a file is not what the hub says.
    """
    from huggingface_hub import snapshot_download

    with _blamed(listing.repo):
        snapshot_download(
            listing.repo,
            repo_type="dataset",
            revision=listing.revision,
            allow_patterns=[glob.escape(file.path) for file in files],
            local_dir=root,
        )
    for file in files:
        _check_content(root / file.path, file)


def _check_content(local: Path, file: HubFile) -> None:
    if not local.is_file():
        raise DataError(local, "", "no such file", "the file that was to be fetched; try again")
    if local.stat().st_size != file.size:
        raise DataError(
            local, "", f"{local.stat().st_size} bytes", f"{file.size}; remove it and fetch it again"
        )
    if file.sha256 is None:
        return
    with local.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != file.sha256:
        expected = f"{file.sha256}; remove it and fetch it again"
        raise DataError(local, "", f"content with the SHA-256 {found}", expected)


@contextmanager
def _blamed(repo: str) -> Iterator[None]:
    """What the hub's library raises, as one line that says what to do."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    page = f"the page of the data set {repo} on the hub"
    try:
        yield
    except GatedRepoError as error:
        steps = f"its terms accepted: open {page}, accept them, and log in with `hf auth login`"
        raise DataError(repo, "", "data that is not open to everyone", steps) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        found = f"no answer from the hub ({type(error).__name__})"
        expected = (
            f"a connection and the right name; or fetch it from {page} elsewhere, and copy it below the root"
        )
        raise DataError(repo, "", found, expected) from error
