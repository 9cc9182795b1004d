"""The JSONL file: opened without reading it whole, read item by item, written all or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unipixel.core.writing import replacing
from unipixel.data.files import reading
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.reading import Report, read_line
from unipixel.data.jsonl.samples import make_sample
from unipixel.data.jsonl.writing import write_line
from unipixel.data.registry import Rows
from unipixel.data.sample import Sample
from unipixel.errors import DataError

_BLOCK = 1 << 24  # bytes that are looked at together


@dataclass(frozen=True, eq=False)
class Lines(Sequence[int]):
    """The lines of a file by their numbers from 0, none of them read.

    Attributes:
        file: the file.
        ends: the byte behind each line, int64 [N], increasing.
    """

    file: Path
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, file: Path) -> Lines:
        """Find where lines end: one quick pass over the bytes, in constant memory but for the result.

        Raises:
            DataError: the file is missing, cannot be read, or is empty.
        """
        found: list[NDArray[np.int64]] = []
        at = 0
        with reading(file, expected="a file with one JSON object in each line"), file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                found.append(np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n")) + at + 1)
                at += len(block)
        ends = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
        if at > (ends[-1] if len(ends) else 0):  # the last line needs no end
            ends = np.append(ends, at)
        if not len(ends):
            raise DataError(file, "", "an empty file", "one JSON object in each line")
        return cls(file, ends)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> int:  # type: ignore[override]
        """The number of a line is its place; see Rows."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.file} has lines 0 to {len(self) - 1}, not {index}")
        return index

    def read(self, index: int) -> bytes:
        """Line `index` from 0, with its end."""
        start = int(self.ends[index - 1]) if index else 0
        with reading(self.file, f"line {index + 1}"), self.file.open("rb") as stream:
            stream.seek(start)
            return stream.read(int(self.ends[index]) - start)


def rows(file: Path, root: Path | None = None) -> Rows[int]:
    """The file for the registry: one row for each line."""
    lines = Lines.of(file)
    return Rows(file, lines, partial(_make, lines, root or file.parent), {"items": str(len(lines))})


def _make(lines: Lines, root: Path, index: int) -> Sample:
    item = read_line(lines.read(index), lines.file, index + 1)
    assert item is not None, "without a listener problems are raised"
    return make_sample(item, lines.file, index + 1, root)


def read_items(file: str | Path, report: Report | None = None) -> Iterator[tuple[int, Item]]:
    """(line from 1, item) of every line in one pass.

    Args:
        file: a JSONL file.
        report: told of every problem, and lines that are no item are left out; None raises the first.

    Raises:
        DataError: the file is missing or cannot be read; a line is wrong, or an id is there twice.
    """
    file = Path(file)
    lines = Lines.of(file)
    seen: dict[str, int] = {}
    with file.open("rb") as stream:
        for index, end in enumerate(lines.ends.tolist()):
            item = read_line(stream.read(end - stream.tell()), file, index + 1, report)
            if item is None:
                continue
            if item.id in seen:
                _tell(_again(file, index, item.id, seen[item.id]), report)
            seen.setdefault(item.id, index + 1)
            yield index + 1, item


def _again(file: Path, index: int, id: str, first: int) -> DataError:
    return DataError(file, f"line {index + 1}, id", f"{id!r} again", f"a name unlike that of line {first}")


def _tell(problem: DataError, report: Report | None) -> None:
    if report is None:
        raise problem
    report(problem)


def write_jsonl(file: str | Path, items: Iterable[Item]) -> int:
    """Write items, one in each line; all or nothing. Returns how many there were.

    Raises:
        DataError: an id is there twice, or there are no items.
        OutputError: the file cannot be written.
    """
    file = Path(file)
    seen: dict[str, int] = {}
    with replacing(file) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for index, item in enumerate(items):
            if item.id in seen:
                raise _again(file, index, item.id, seen[item.id])
            seen[item.id] = index + 1
            stream.write(write_line(item) + "\n")
        if not seen:
            raise DataError(file, "", "no items to write", "at least one")
        stream.flush()
        os.fsync(stream.fileno())
    return len(seen)
