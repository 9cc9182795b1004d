"""A person's own data: JSONL files, and the pictures, videos and masks that they name."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.data.own_data import EXAMPLES, make_files

from fuzz.changes import change_lines
from fuzz.target import Check, Target
from unipixel.data.checking import check_jsonl
from unipixel.data.jsonl.file import read_items, rows
from unipixel.data.jsonl.reading import read_line
from unipixel.data.jsonl.writing import write_line
from unipixel.errors import DataError


def seeds() -> list[bytes]:
    """The examples of the document: each alone, and all together."""
    lines = [json.dumps(one) for one in EXAMPLES]
    return [line.encode() for line in [*lines, "\n".join(lines)]]


def prepare() -> Check:
    media = Path(tempfile.mkdtemp(prefix="fuzz-media"))
    make_files(media)
    return lambda data, folder: check(data, folder, media)


def check(data: bytes, folder: Path, media: Path) -> str:
    file = folder / "mine.jsonl"
    file.write_bytes(data)
    problems: list[DataError] = []
    check_jsonl(file, media, problems.append)
    for line, item in read_items(file, problems.append):
        text = write_line(item)
        assert read_line(text.encode(), file, line) == item, "an item is not what was written"
    samples = rows(file, media)
    for index in samples.items:
        sample = samples.make(index)
        if sample.media is not None and sample.masks is not None:
            clip = sample.media.open()
            masks = sample.masks.read([0], clip.height, clip.width)
            assert masks.shape == (sample.masks.num_objects, 1, clip.height, clip.width)
    if problems:
        raise problems[0]
    return f"{min(3, len(samples.items))} items"


TARGET = Target(seeds, change_lines, prepare)
