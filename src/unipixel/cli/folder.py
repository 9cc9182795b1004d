"""An output folder that appears whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unipixel.errors import OutputError

FILES = ("overlay.png", "overlay.mp4", "masks.json")
MASKS = "masks"
MASK_NAME = re.compile(r"\d{5,}\.png")


@contextmanager
def output_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give an empty folder to write into; its content takes its place at `target` when the block ends without
    an error, and vanishes otherwise. That the place can be written is found out at once.

    A folder with files in it is refused; with `overwrite`, a folder that holds an earlier result and nothing
    else is replaced. Raises OutputError.
    """
    target = Path(os.path.abspath(target))
    if os.path.isdir(target):  # os.path: no error for names that are too long and closed folders
        check_replaceable(target, overwrite=overwrite)
    elif os.path.exists(target):
        raise OutputError(f"{target} is a file; give a folder")
    top = target if os.path.isdir(target) else _highest_missing(target)
    # Inside a folder that is there already (it may be a mounted volume), beside one that is not.
    scratch = (top if os.path.isdir(target) else top.parent) / f".{target.name}-{secrets.token_hex(4)}"
    content = scratch / target.relative_to(top)
    try:
        with _writing(target):
            content.mkdir(parents=True)
        yield content
        with _writing(target):
            _put_in_place(scratch, content, target, top)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def check_writable(target: Path) -> None:
    """Raise OutputError unless a folder could be made at `target`, which must not exist."""
    if os.path.exists(target):
        raise OutputError(f"{target} exists already; choose a new folder")
    top = _highest_missing(target.absolute())
    with _writing(target):
        probe = top.parent / f".{top.name}-{secrets.token_hex(4)}"
        probe.mkdir()
        probe.rmdir()


def check_replaceable(target: Path, *, overwrite: bool) -> None:
    """Raise OutputError unless the folder is empty, or holds an earlier result that may be overwritten."""
    with _writing(target):
        names = sorted(path.name for path in target.iterdir())
    if names and not overwrite:
        raise OutputError(
            f"{target} is not empty; choose a new folder, or give --overwrite to replace an earlier result"
        )
    foreign = [name for name in names if name not in (*FILES, MASKS)]
    foreign += [f"{MASKS}/{name}" for name in _names_in(target / MASKS) if not MASK_NAME.fullmatch(name)]
    if foreign:
        raise OutputError(
            f"{target} holds {foreign[0]!r}, which unipixel did not write, so it is not overwritten; "
            f"choose another folder"
        )


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if os.path.isdir(folder) else []


def _highest_missing(target: Path) -> Path:
    """The outermost folder on the way to `target` that does not exist yet."""
    missing = [path for path in (target, *target.parents) if not os.path.exists(path)]
    return missing[-1]


def _put_in_place(scratch: Path, content: Path, target: Path, top: Path) -> None:
    if not os.path.isdir(target):
        scratch.rename(top)
        return
    for name in (*FILES, MASKS):
        _remove(target / name)
    for path in sorted(content.iterdir(), key=lambda path: path.name == "masks.json"):
        path.rename(target / path.name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written ({error.strerror or error}); choose another folder"
        ) from error
