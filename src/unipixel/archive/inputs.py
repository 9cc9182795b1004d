"""From what a person names on a command line to items: folders, patterns, manifests, other layouts."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unipixel.archive.items import Item, Query, Words, check_distinct
from unipixel.archive.manifest import MANIFESTS, read_manifest
from unipixel.archive.settings import MANIFEST as RESULTS
from unipixel.core.frames import head, is_folder, reason
from unipixel.core.pictures import SUFFIXES
from unipixel.errors import ConfigError, MediaError

VIDEO_SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".flv", ".h264", ".hevc", ".ivf", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".webm", ".wmv", ".y4m"),
)


@dataclass(frozen=True)
class Asked:
    """What is asked about every item, beside what its manifest asks.

    folders_are_clips: a folder of pictures is one clip, not a picture each.
    """

    texts: tuple[str, ...] = ()
    folders_are_clips: bool = False

    @property
    def words(self) -> tuple[Query, ...]:
        return tuple(Words(text) for text in self.texts)


def find_items(sources: Sequence[str | os.PathLike[str]], asked: Asked | None = None) -> tuple[Item, ...]:
    """All items of folders, files, patterns (`*`, `?`, `[…]`, `**`) and manifests, in the order given, each
    folder by name.

    Raises:
        MediaError: a folder or pattern names nothing, or a folder cannot be read. DataError: a manifest is
        damaged. RequestError: two items have one name. ConfigError: one has no question.
    """
    asked = asked or Asked()
    found: list[Item] = []
    for source in sources:
        found += _items_of(os.fspath(source), asked)
    if not found:
        raise MediaError("no pictures or videos were named; give files, folders or a manifest")
    return check_distinct(_told_apart(found))


def _items_of(source: str, asked: Asked) -> list[Item]:
    path = Path(source)
    if os.path.lexists(source):
        return _items_at(path, path if is_folder(path) else path.parent, asked)
    matches = sorted(glob.glob(source, recursive=True)) if glob.has_magic(source) else []
    if not matches:
        raise MediaError(f"{source}: there is no such file, folder or pattern; check the path")
    # Names count from the last folder without a wildcard: files that come later do not change them.
    root = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
    return [item for match in matches for item in _items_at(Path(match), root, asked)]


def _items_at(path: Path, root: Path, asked: Asked) -> list[Item]:
    """Items of one file or folder; they are named by their path below `root`."""
    if is_folder(path):
        return list(_in_folder(path, root, asked))
    if path.suffix.lower() in MANIFESTS:
        return list(read_manifest(path, asked.words))
    return [_item(_name(path, root), (path,), asked)]


def _in_folder(folder: Path, root: Path, asked: Asked) -> Iterator[Item]:
    """Pictures and videos below a folder, by name; hidden ones and folders of results are passed over."""
    empty = True
    for place, names in _walk(folder):
        files = [path for name in names if is_media(path := place / name)]
        empty = empty and not files
        pictures = tuple(file for file in files if file.suffix.lower() in SUFFIXES)
        if asked.folders_are_clips and pictures:
            yield _item(_name(place, root) or folder.name, (place,), asked)
            files = [file for file in files if file.suffix.lower() not in SUFFIXES]
        for file in files:
            yield _item(_name(file, root), (file,), asked)
    if empty:
        raise MediaError(f"{folder}: there are no pictures or videos in this folder")


def _walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each folder from `folder` down, with the sorted names of its files. Links are followed, but no folder
    is entered again below itself."""

    def refuse(error: OSError) -> None:
        raise MediaError(f"{error.filename}: the folder cannot be read ({reason(error)}); may it be entered?")

    above = {folder: {_identity(folder)}}
    for found, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        place = Path(found)
        line = above.pop(place)
        folders.sort()
        for name in list(folders):
            below = place / name
            known = _identity(below)
            if name.startswith(".") or known in line or (below / RESULTS).is_file():
                folders.remove(name)
            else:
                above[below] = {*line, known}
        yield place, sorted(names)


def _identity(folder: Path) -> tuple[int, int]:
    """By which a folder is known under all of its names."""
    try:
        found = folder.stat()
    except OSError as error:
        raise MediaError(
            f"{folder}: the folder cannot be read ({reason(error)}); may it be entered?"
        ) from error
    return found.st_dev, found.st_ino


def is_media(path: Path) -> bool:
    """Whether a file of a folder is taken for a picture or video: by its name, or by how it begins."""
    if path.name.startswith("."):
        return False
    return path.suffix.lower() in (*SUFFIXES, *VIDEO_SUFFIXES) or (not path.suffix and _begins(path))


def _begins(path: Path) -> bool:
    try:
        start = head(path)
    except OSError:
        return False
    return start[4:8] == b"ftyp" or start.startswith((b"\x89PNG", b"\xff\xd8\xff", b"\x1a\x45\xdf\xa3"))


def _name(path: Path, root: Path) -> str:
    """Of a path below a folder; empty for the folder itself."""
    name = path.relative_to(root).as_posix()
    return "" if name == "." else name


def _item(name: str, media: tuple[Path, ...], asked: Asked) -> Item:
    if not asked.texts:
        raise ConfigError(f"nothing is asked about {media[0]}; give a question (--ask, --prompts)")
    return Item(name, media, asked.words)


def _told_apart(items: Sequence[Item]) -> Iterable[Item]:
    """Items of several folders that share a name are called by more of their path."""
    counts: dict[str, int] = {}
    for item in items:
        counts[item.id] = counts.get(item.id, 0) + 1
    for item in items:
        longer = item.media[0].as_posix()
        if counts[item.id] > 1 and len(item.media) == 1 and item.id != longer:
            yield Item(longer, item.media, item.queries, item.fps, item.step)
        else:
            yield item


def read_prompts(file: Path) -> tuple[str, ...]:
    """A question in each line; empty lines and those that begin with # do not count.

    Raises:
        ConfigError: the file is missing, is no text, or holds no question.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the questions cannot be read ({error}); give a text file") from error
    found = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not found:
        raise ConfigError(f"{file}: there is no question; write one in each line")
    return found
