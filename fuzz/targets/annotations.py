"""Annotation files that are read in pieces, against Python's own reader: the same items, or both refuse."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from fuzz.changes import change_bytes, change_json
from fuzz.target import Check, Target
from unipixel.data import coco_file, long_json
from unipixel.data.coco_file import CocoFile
from unipixel.data.files import read_json, read_pickle
from unipixel.data.long_json import JsonArray, JsonTable
from unipixel.data.registry import Source
from unipixel.errors import DataError


def seeds() -> list[bytes]:
    import pickle

    refs = [{"ref_id": 1, "sent": "the é one", "box": [0.5, 1, 2, 3e2]}, {}, [], None, "x" * 90, -1.5]
    numbers = [(-1) ** place * 10.0**place / 7 for place in range(-9, 20)]
    table = {"a": refs, 'b\\"é😀': {"frames": ["0", "1"], "n": None}, "": 0, "a2": True}
    coco = {
        "info": {"year": 2017},
        "images": [{"id": 1, "height": 4, "width": 5, "file_name": "a.jpg"}],
        "annotations": [
            {"id": 7, "image_id": 1, "segmentation": [[0, 0, 3, 0, 3, 3]], "category_id": 2},
            {"id": 8, "image_id": 1, "segmentation": {"size": [4, 5], "counts": "04"}, "category_id": 2},
        ],
        "categories": [{"id": 2, "name": "cup"}],
    }
    return [
        *(json.dumps(one).encode() for one in (refs, table, coco, numbers)),
        json.dumps(refs, indent=2, ensure_ascii=False).encode(),
        b"\xef\xbb\xbf" + json.dumps(table, ensure_ascii=False).encode(),
        *(b"\x80pickle" + pickle.dumps(one, protocol) for one in (refs, table) for protocol in (0, 2, 4)),
    ]


def change(data: bytes, rng: Random) -> bytes:
    return change_bytes(data, rng) if data[:1] == b"\x80" or rng.random() < 0.5 else change_json(data, rng)


def prepare() -> Check:
    return check


def check(data: bytes, folder: Path) -> str:
    # The window in which long files are looked at is small here, so that its edges fall everywhere.
    long_json._WINDOW = coco_file._WINDOW = 1 + len(data) % 97
    if data.startswith(b"\x80pickle"):
        file = folder / "refs.p"
        file.write_bytes(data.removeprefix(b"\x80pickle"))
        return f"a pickled {type(read_pickle(file).value).__name__}"
    file = folder / "refs.json"
    file.write_bytes(data)
    _check_coco(folder)
    whole = _told(lambda: read_json(file).value)
    array = _told(lambda: [item.value for item in JsonArray.open(file)])
    table = _told(partial(_table, file))
    if isinstance(whole, list):
        assert repr(array) == repr(whole), "the items of a list differ"
        return "a list"
    if isinstance(whole, dict):
        assert repr(table) == repr(whole), "the values of an object differ"
        return "an object"
    assert isinstance(array, DataError) and isinstance(table, DataError), "only the reader in pieces takes it"
    if isinstance(whole, DataError):
        raise whole
    return "a value"


def _told(read: Any) -> Any:
    try:
        return read()
    except DataError as error:
        return error


def _table(file: Path) -> dict[str, Any]:
    table = JsonTable.open(file)
    return {key: table[key].value for key in table.keys}


def _check_coco(folder: Path) -> None:
    """A COCO file and its numbers; only errors of the project may come out."""
    try:
        coco = CocoFile.open(Source("fuzz", "all", folder, {}, None), "refs.json")
        for section in (coco.images, coco.annotations, coco.categories):
            section.places()
            for item in section:
                coco_file.canvas(item)
    except DataError:
        return


TARGET = Target(seeds, change, prepare)
