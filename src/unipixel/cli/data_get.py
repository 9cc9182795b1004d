"""`unipixel data get`: bring a published data set below the root."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unipixel.cli.terminal import manners, note

if TYPE_CHECKING:
    from unipixel.data.registry import DatasetInfo
    from unipixel.data.sources import Place
    from unipixel.hub import HubFile, Listing

LONGEST = 12
"""Files that are listed one by one."""


def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set's name (`unipixel data list`).")],
    root: Annotated[Path, typer.Option(metavar="DIR", help="The `data` folder that it is put into.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fetch without asking.")] = False,
) -> None:
    """Fetch a data set from the hub: licence and sizes first, then the files, checked and unpacked.

    Interrupted, it goes on when called again. Where a form must be signed, the steps are printed and the exit
    code is 1.
    """
    with manners():
        from unipixel.data.registry import get_dataset
        from unipixel.data.sources import place_of
        from unipixel.errors import ConfigError

        info = get_dataset(name)
        place = place_of(info)
        if info.drawn:
            raise ConfigError(f"{name} needs no files: its clips are drawn when they are asked for")
        if place is None:
            raise ConfigError(f"{name} is your own data: `unipixel data import` and docs/data.md make it")
        typer.echo(f"{name}: licence: {info.licence}")
        if not place.steps:
            _fetch(info, place, root, yes)
            return
        typer.echo(f"{name} is not given out without its terms being accepted by you:")
        for number, step in enumerate(place.steps, 1):
            typer.echo(f"  {number}. {step.format(root=root)}")
    raise typer.Exit(1)


def _fetch(info: DatasetInfo, place: Place, root: Path, yes: bool) -> None:
    from unipixel.data.overview import presence
    from unipixel.hub import fetch_data, list_data

    listing = list_data(place.repo)
    files = _wanted(info, place, listing)
    _introduce(listing, files)
    _check_room(files, root)
    if not yes:
        typer.confirm(f"Fetch them into {root}?", abort=True)
    root.mkdir(parents=True, exist_ok=True)
    fetch_data(listing, files, root)
    _unpack(files, root)
    typer.echo(f"{info.name}: {presence(info, root)} in {root}")


def _wanted(info: DatasetInfo, place: Place, listing: Listing) -> list[HubFile]:
    from unipixel.data.sources import folders_of, wanted
    from unipixel.errors import DataError

    paths = set(wanted(info, [file.path for file in listing.files]))
    if not paths:
        elsewhere = f"; its authors publish it at {place.original}" if place.original else ""
        raise DataError(
            listing.repo,
            "",
            f"nothing in {', '.join(folders_of(info))}",
            f"{info.annotations} and {info.media} below the root, as docs/data.md says{elsewhere}",
        )
    return [file for file in listing.files if file.path in paths]


def _introduce(listing: Listing, files: Sequence[HubFile]) -> None:
    total = sum(file.size for file in files)
    typer.echo(
        f"{len(files)} files, {size_told(total)}, from {listing.repo} (whose licence is: {listing.licence})"
    )
    for file in sorted(files, key=lambda one: -one.size)[:LONGEST]:
        typer.echo(f"  {size_told(file.size):>9}  {file.path}")
    if len(files) > LONGEST:
        typer.echo(f"  and {len(files) - LONGEST} smaller ones")


def _check_room(files: Sequence[HubFile], root: Path) -> None:
    from unipixel.errors import ConfigError

    missing = sum(file.size for file in files if not (root / file.path).is_file())
    there = next(folder for folder in (root, *root.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    if missing > free:
        raise ConfigError(
            f"{size_told(missing)} are to be fetched and {there} has room for {size_told(free)}"
        )


def _unpack(files: Sequence[HubFile], root: Path) -> None:
    from unipixel.data.archives import unpack
    from unipixel.data.sources import is_archive

    for file in files:
        if is_archive(file.path):
            note(f"unpacking {file.path}")
            unpack(root / file.path)


def size_told(size: int) -> str:
    """Bytes for people."""
    value, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"
