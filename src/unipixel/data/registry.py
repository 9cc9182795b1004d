"""Every data set by its name: what there is, under which licence, and how to open it.

A data set is a function from a `Source` to `Rows`, marked with `@dataset(...)`, in a module of
`unipixel.data.readers`. The mark is all that is needed: the modules of that package are looked through.

Roots. Paths of the published mixture begin with `data/`; `root` is that folder.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache as cached
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar, get_args

from unipixel.data.files import Node, inside, list_numbered, read_json, read_pickle
from unipixel.data.long_json import JsonArray, JsonTable, default_cache
from unipixel.data.sample import Facts, Sample, Task
from unipixel.errors import ConfigError, DataError, SampleUnusable

T = TypeVar("T")


@dataclass(frozen=True)
class Option:
    """A named choice where the published data or its loaders leave room.

    Attributes:
        name: what it is called in `open_dataset(..., name=value)`.
        values: what it can be; the first is the default.
        why: what the values mean, and why the first is the default; for people.
    """

    name: str
    values: tuple[str, ...]
    why: str

    @property
    def default(self) -> str:
        """The value that counts unless another is given."""
        return self.values[0]


@dataclass(frozen=True)
class Source:
    """What a reader gets: where the files are, what is asked for, and whom to tell about problems.

    Attributes:
        name: the data set's name.
        split: one of its splits.
        root: the `data` folder.
        choices: a value for each of its options.
        cache: folder for what was found out about long files, or None.
        on_problem: told of each DataError inside `part()`; None raises it.
    """

    name: str
    split: str
    root: Path
    choices: Facts
    cache: Path | None
    on_problem: Callable[[DataError], None] | None = None

    def path(self, *parts: str) -> Path:
        """A path below the root; DataError if a part leads out of it."""
        return inside(self.root, *parts)

    def json(self, *parts: str) -> Node:
        """A JSON file below the root, read whole."""
        return read_json(self.path(*parts))

    def array(self, *parts: str) -> JsonArray:
        """A long JSON array below the root, whose items are read one at a time."""
        return JsonArray.open(self.path(*parts), self.cache)

    def table(self, *parts: str) -> JsonTable:
        """A long JSON object below the root, whose values are read one at a time."""
        return JsonTable.open(self.path(*parts), self.cache)

    def pickle(self, *parts: str) -> Node:
        """A pickle of plain containers below the root."""
        return read_pickle(self.path(*parts))

    def frames(self, *parts: str) -> tuple[Path, ...]:
        """The pictures of a folder below the root, by the number in their names."""
        return tuple(list_numbered(self.path(*parts), (".jpg", ".jpeg", ".png")))

    @contextmanager
    def part(self) -> Iterator[None]:
        """Inside, a DataError ends only the block when somebody listens (`data check`); else it is raised."""
        try:
            yield
        except DataError as error:
            if self.on_problem is None:
                raise
            self.on_problem(error)


@dataclass(frozen=True, eq=False)
class Rows(Generic[T]):
    """What a reader gives: light items, and how one of them becomes a Sample when it is asked for.

    Attributes:
        file: the annotation file, named in errors that do not know theirs.
        items: anything with a length that is indexed from 0 (a list, a JsonArray, an array of places).
        make: the Sample of an item; to be sent to other processes it must be picklable (a function of a
            module, a `partial` of one, or a method of a dataclass).
        notes: what the reader decided or left out, by name: `{"mask_order": "sorted", "no target": "12"}`.
    """

    file: Path
    items: Sequence[T]
    make: Callable[[T], Sample]
    notes: Mapping[str, str] = field(default_factory=dict)


Reader: TypeAlias = Callable[[Source], Rows[Any]]


@dataclass(frozen=True, eq=False)
class DatasetInfo:
    """A registered data set.

    Attributes:
        name: what it is opened by.
        task: what its samples teach.
        splits: what it has; the first is the one for training where there is one.
        licence: of the annotations, as their authors state it; "not stated" where they do not.
        annotations: files below the root, for people.
        media: folder of pictures below the root, for people.
        read: the reader.
        repeats: how often it counts in stages 1, 2 and 3 of the published recipe; 0 is not at all.
        options: named choices.
        drawn: whether its clips are drawn in memory, from seeds. Then it needs no files, and all samples of
            one opening make conversations of one kind.
    """

    name: str
    task: Task
    splits: tuple[str, ...]
    licence: str
    annotations: str
    media: str
    read: Reader
    repeats: tuple[int, int, int] = (0, 0, 0)
    options: tuple[Option, ...] = ()
    drawn: bool = False

    def __post_init__(self) -> None:
        assert self.task in get_args(Task), f"{self.name}: unknown task {self.task}"
        assert self.splits and len(self.repeats) == 3, f"{self.name}: splits and three repeats are needed"

    def __reduce__(self) -> tuple[Callable[[str], DatasetInfo], tuple[str]]:
        """It travels to other processes by its name, since the mark hides the reader from pickle."""
        return get_dataset, (self.name,)

    def chosen(self, given: Mapping[str, str]) -> Facts:
        """A value for each option: the given one or the default.

        Raises:
            ConfigError: an unknown option or value.
        """
        names = [option.name for option in self.options]
        for name in given:
            if name not in names:
                raise ConfigError(f"{self.name} has no choice {name!r}{_closest(name, names)}")
        values = {option.name: given.get(option.name, option.default) for option in self.options}
        for option in self.options:
            if values[option.name] not in option.values:
                raise ConfigError(
                    f"{self.name}: {option.name} cannot be {values[option.name]!r}"
                    f"{_closest(values[option.name], option.values)}"
                )
        return Facts(values)


def dataset(
    name: str,
    *,
    task: Task,
    splits: tuple[str, ...],
    licence: str,
    annotations: str,
    media: str,
    repeats: tuple[int, int, int] = (0, 0, 0),
    options: tuple[Option, ...] = (),
    drawn: bool = False,
) -> Callable[[Reader], DatasetInfo]:
    """Mark a reader; the name it had in its module then stands for the DatasetInfo."""

    def mark(read: Reader) -> DatasetInfo:
        return DatasetInfo(name, task, splits, licence, annotations, media, read, repeats, options, drawn)

    return mark


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split of a data set on disk. Samples are made when they are asked for, and may be asked for again.

    Attributes:
        info: the registered data set.
        split: which split.
        choices: a value for each option; with `notes` the record of how the data was read.
        notes: what the reader decided or left out.
    """

    info: DatasetInfo
    split: str
    choices: Facts
    rows: Rows[Any]

    @property
    def notes(self) -> Mapping[str, str]:
        """What the reader decided or left out, by name."""
        return self.rows.notes

    def __len__(self) -> int:
        return len(self.rows.items)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; IndexError beyond the last, DataError when its annotation is damaged, LeftOut when
        nothing is asked for in it."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.info.name} {self.split} has samples 0 to {len(self) - 1}, not {index}")
        return self._made(self.rows.items[index % len(self)])

    def __iter__(self) -> Iterator[Sample]:
        return (self._made(item) for item in self.rows.items)

    def _made(self, item: Any) -> Sample:
        try:
            return self.rows.make(item)
        except DataError as error:
            if error.file or isinstance(error, SampleUnusable):
                raise
            raise DataError(self.rows.file, error.place, error.found, error.expected) from error


def open_dataset(
    name: str | DatasetInfo,
    split: str,
    root: str | Path,
    *,
    cache: Path | None = None,
    on_problem: Callable[[DataError], None] | None = None,
    **choices: str,
) -> Dataset:
    """Open one split of a data set; reads its annotations, no pictures and no masks of samples.

    Args:
        name: a registered name, or a data set that was made with `dataset`.
        split: one of its splits.
        root: the `data` folder.
        cache: folder for what is found out about long files; None is the user's cache folder.
        on_problem: told of every broken annotation, which is then left out; None raises the first.
        choices: values for its options.

    Raises:
        ConfigError: unknown name, split, option or value; the message has the closest match.
        DataError: an annotation file is missing or broken.
    """
    info = name if isinstance(name, DatasetInfo) else get_dataset(name)
    if split not in info.splits:
        raise ConfigError(f"{info.name} has no split {split!r}{_closest(split, info.splits)}")
    values = info.chosen(choices)
    source = Source(info.name, split, Path(root), values, cache or default_cache(), on_problem)
    return Dataset(info, split, values, info.read(source))


def get_dataset(name: str) -> DatasetInfo:
    """A registered data set; ConfigError with the closest match for an unknown name."""
    known = {info.name: info for info in datasets()}
    if name not in known:
        raise ConfigError(f"there is no data set {name!r}{_closest(name, tuple(known))}")
    return known[name]


@cached
def datasets() -> tuple[DatasetInfo, ...]:
    """Every registered data set, by name."""
    package = importlib.import_module("unipixel.data.readers")
    found: dict[str, DatasetInfo] = {}
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, DatasetInfo):
                assert found.setdefault(value.name, value) is value, f"two data sets are called {value.name}"
    return tuple(found[name] for name in sorted(found))


def _closest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"; {meant}there is: {', '.join(known) or 'nothing'}"
