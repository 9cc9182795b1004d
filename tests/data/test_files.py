"""Reading what others wrote: paths that stay inside, JSON with the place of what is wrong, pickles of plain
values, long files."""

import json
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unipixel.data import long_json
from unipixel.data.files import Node, inside, list_numbered, read_json, read_pickle
from unipixel.data.long_json import JsonArray, JsonTable
from unipixel.errors import DataError, UniPixelError

# Paths


def test_paths_are_put_together(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/b", "c..d", ".e", "./f") == tmp_path / "a" / "b" / "c..d" / ".e" / "f"


@pytest.mark.parametrize(
    "part",
    ["..", "../x", "a/../../x", "/etc/passwd", "", " ", "a\0b", "C:\\x", "..\\x", "\\\\host\\x", "a/.."],
)
def test_paths_may_not_leave_the_root(part: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="stays inside this folder"):
        inside(tmp_path, "a", part)


def test_frames_come_by_their_numbers(tmp_path: Path) -> None:
    names = ["img_10.jpg", "img_9.JPG", "b_000001.png", "x.jpg", ".0.jpg", "2.txt"]
    for name in names:
        (tmp_path / name).touch()
    found = [path.name for path in list_numbered(tmp_path, (".jpg", ".png"))]
    assert found == ["b_000001.png", "img_9.JPG", "img_10.jpg", "x.jpg"]
    with pytest.raises(DataError, match="no folder to list"):
        list_numbered(tmp_path / "none", (".jpg",))


# JSON


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def test_nodes_know_their_place(tmp_path: Path) -> None:
    root = read_json(write(tmp_path / "a.json", '\ufeff{"v": {"x": [1, {"n": "7", "t": "é", "z": null}]}}'))
    item = root["v"]["x"][1]
    assert item.place == "v.x[1]" and item["n"].integer() == 7 and item["t"].text() == "é"
    assert root["v"]["x"][0].name() == "1" and root["v"]["x"][0].number() == 1.0
    assert item.get("z") is None and item.get("none") is None
    assert [(key, node.place) for key, node in item.items()] == [
        ("n", "v.x[1].n"),
        ("t", "v.x[1].t"),
        ("z", "v.x[1].z"),
    ]
    assert [node.place for node in root["v"]["x"].list()] == ["v.x[0]", "v.x[1]"]


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda root: root["b"], "b: found nothing; expected this field"),
        (lambda root: root["a"][5], r"a\[5\]: found nothing; expected this item"),
        (lambda root: root[0], "found an object with 2 items; expected a list"),
        (lambda root: root["a"]["x"], 'a: found a list with 2 items; expected an object with "x"'),
        (lambda root: root["a"].text(), "expected text"),
        (lambda root: root["a"][0].integer(), r"a\[0\]: found 1.5; expected a whole number"),
        (lambda root: root["t"].integer(), "found True; expected a whole number"),
        (lambda root: root["t"].number(), "found True; expected a number"),
        (lambda root: root["t"].list(), "expected a list"),
        (lambda root: root["t"].mapping(), "expected an object"),
        (lambda root: root["a"][1].name(), "found None; expected text"),
    ],
)
def test_what_is_not_there_is_named_with_its_place(read: Any, message: str) -> None:
    root = Node(Path("f.json"), "", {"a": [1.5, None], "t": True})
    with pytest.raises(DataError, match=message) as caught:
        read(root)
    assert caught.value.file == "f.json" and isinstance(caught.value, UniPixelError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b": }', "line 2 column 7: found no JSON"),
        ("", "line 1 column 1"),
        (b'"\xff\xfe\xfd"', "UTF-8"),
        ("[" * 100_000, "without end"),
    ],
)
def test_broken_json_is_named_with_line_and_column(text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_json(write(tmp_path / "a.json", text))


def test_missing_files_are_named(tmp_path: Path) -> None:
    for read in (read_json, read_pickle, JsonArray.open, JsonTable.open):
        with pytest.raises(DataError, match=r"none\.x: found no such file"):
            read(tmp_path / "none.x")
        with pytest.raises(DataError, match="cannot be read"):
            read(tmp_path)


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(DataError(Path("f"), "p", "x", "y")))
    assert (error.file, error.place, error.found, error.expected) == ("f", "p", "x", "y")
    assert str(error) == "f, p: found x; expected y."


# Pickles

PLAIN = {"0": [{"size": [2, 3], "counts": b"abc"}, None], 1: (1.5, {1, 2}, frozenset("a"), True, 1 << 80)}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_are_read(protocol: int, tmp_path: Path) -> None:
    value = {**PLAIN, "more": [bytearray(b"x"), b"\xff\x00", "é"]}
    assert read_pickle(write(tmp_path / "a.p", pickle.dumps(value, protocol))).value == value


def test_text_of_python_2_is_read(tmp_path: Path) -> None:
    assert read_pickle(write(tmp_path / "a.p", b"(lp0\nS'caf\\xc3\\xa9'\np1\na.")).value == ["café"]


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch owned",)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Hostile(), r"(posix|nt)\.system"),
        ([{"a": Hostile()}], r"(posix|nt)\.system"),
        (np.zeros(2), r"numpy.*_reconstruct|numpy.*_frombuffer"),
        (np.float32(1), r"numpy.*scalar"),
        (OrderedDict(a=1), r"collections\.OrderedDict"),
        (Path("x"), "pathlib"),
        (eval, r"builtins\.eval"),
        (getattr, r"builtins\.getattr"),
    ],
)
def test_other_pickles_are_refused_by_name(value: Any, name: str, tmp_path: Path) -> None:
    file = write(tmp_path / "a.p", pickle.dumps(value))
    with pytest.raises(DataError, match=name):
        read_pickle(file)
    assert not Path("owned").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cos\nsystem\n(S'touch owned'\ntR.", r"os\.system"),
        (b"Pstolen\n.", "outside object 'stolen'"),
        (b"c_codecs\nencode\n(Vx\nVbz2\ntR.", "_codecs.encode"),
        (pickle.dumps(PLAIN)[:-5], "no pickle"),
        (b"", "no pickle"),
        (b"\x80\x7f", "no pickle"),
        (b"not a pickle", "no pickle"),
    ],
)
def test_hostile_and_damaged_pickles(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_pickle(write(tmp_path / "a.p", content))
    assert not Path("owned").exists()


# Long files

VALUES = [{"a": [1, 2, {"b": "]}, [{"}]}, 'ü€😀\\"', 12, -1.5e3, None, True, [], {}, "", 34567]


@pytest.fixture(params=[1, 2, 7, 64, 1 << 24], ids="window {}".format)
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(long_json, "_WINDOW", request.param)
    return int(request.param)


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii", [True, False])
def test_long_arrays_and_tables_give_what_json_gives(indent: int | None, ascii: bool, tmp_path: Path) -> None:
    text = json.dumps(VALUES, indent=indent, ensure_ascii=ascii) + " \n"
    array = JsonArray.open(write(tmp_path / "a.json", text))
    assert len(array) == len(VALUES)
    assert [array[place].value for place in range(len(array))] == VALUES
    assert [node.value for node in array] == VALUES and array[1].place == "[1]"
    table = {f'{place}"ü{value}': value for place, value in enumerate(map(str, VALUES))}
    text = "\ufeff" + json.dumps(table, indent=indent, ensure_ascii=ascii)
    read = JsonTable.open(write(tmp_path / "t.json", text))
    assert len(read) == len(table) and {key: read[key].value for key in table} == table
    assert '0"' not in read
    assert len(JsonArray.open(write(tmp_path / "a.json", " [ ] "))) == 0
    assert len(JsonTable.open(write(tmp_path / "a.json", "{\n}"))) == 0


def test_of_a_repeated_name_the_last_one_counts(tmp_path: Path) -> None:
    table = JsonTable.open(write(tmp_path / "a.json", '{"a": 1, "b": 2, "a": 3}'))
    assert table["a"].value == 3 and len(table) == 2


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[1,\n "a\n"]', "line 2"),
        ("[1 2]", "line 1 column 4"),
        ("[1,]", "line 1 column 4"),
        ("[1, 2", "line 1"),
        ("[1, nope]", "line 1 column 5"),
        ("[1] [2]", "more behind the end"),
        ("{}", r"begins with '\{'"),
        ("", "an empty file"),
        ("[" * 100_000, "line 1"),
    ],
)
def test_broken_arrays_are_named_with_their_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        JsonArray.open(write(tmp_path / "a.json", text))


@pytest.mark.parametrize("text", ['{"a" 1}', '{"a": }', "{1: 2}", '{"a": 1 "b": 2}', '{"a": 1', "[]"])
def test_broken_tables_are_named(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1|begins with"):
        JsonTable.open(write(tmp_path / "a.json", text))


@pytest.fixture
def keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short files are kept too."""
    monkeypatch.setattr(long_json, "_KEPT_FROM", 0)


@pytest.mark.usefixtures("keeping")
def test_a_second_opening_does_not_read_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, cache = write(tmp_path / "a.json", json.dumps(list(range(100)))), tmp_path / "cache"
    array = JsonArray.open(file, cache)
    even = array.where(lambda item: item.integer() % 2 == 0, "even 1")
    assert even.tolist() == list(range(0, 100, 2))

    def fail(*_: Any) -> Any:
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(long_json, "_scan", fail)
        array = JsonArray.open(file, cache)
        assert array[7].value == 7 and array.where(fail, "even 1").tolist() == even.tolist()
    assert array.where(lambda item: item.integer() == 3, "three").tolist() == [3]
    write(file, json.dumps(["changed"]))
    array = JsonArray.open(file, cache)
    assert [node.value for node in array] == ["changed"]
    assert array.where(lambda item: True, "even 1").tolist() == [0]


@pytest.mark.usefixtures("keeping")
def test_a_damaged_or_impossible_cache_only_costs_time(tmp_path: Path) -> None:
    file, cache = write(tmp_path / "a.json", "[1, 2]"), tmp_path / "cache"
    JsonArray.open(file, cache)
    (kept,) = cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:-40])
    assert len(JsonArray.open(file, cache)) == 2
    write(tmp_path / "no folder", "")
    assert len(JsonArray.open(file, tmp_path / "no folder")) == 2


def test_short_files_are_not_kept(tmp_path: Path) -> None:
    JsonArray.open(write(tmp_path / "a.json", "[1, 2]"), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
