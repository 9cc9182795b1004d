"""Damage in a person's own data: each kind is named with its place, and nonsense never passes silently."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.data.damaged_lines import DAMAGE, GOOD, SQUARE, find
from tests.data.own_data import EXAMPLES, HEIGHT, WIDTH, problems, written

from unipixel.data.checking import check_jsonl
from unipixel.data.jsonl import (
    open_jsonl,
    read_items,
    write_jsonl,
)
from unipixel.errors import DataError


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_its_place(folder: Path, name: str) -> None:
    damaged, place, found, expected = DAMAGE[name]
    line = damaged if isinstance(damaged, bytes) else json.dumps(damaged).encode()
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    file = folder / "damaged.jsonl"
    good = [json.dumps(GOOD | {"id": f"good {number}"}).encode() for number in range(2)]
    file.write_bytes(b"\n".join([good[0], line, good[1]]) + b"\n")
    told: list[DataError] = []
    assert check_jsonl(file, None, told.append).items == 3
    assert told, "the damage was not found"
    where = f"line 2, {place}" if place else "line 2"
    assert [problem.place for problem in told if problem.place == where] == [where], [*map(str, told)]
    problem = next(problem for problem in told if problem.place == where)
    assert problem.file == str(file)
    assert found in problem.found and expected in problem.expected, str(problem)
    assert {one.place.split(",")[0] for one in told} == {"line 2"}  # the others are right, and were looked at


JUNK: list[Any] = [
    *(None, True, -1, 0, 10**8, 10**400, 1e308, -0.5, "", "x", "../x", "\0", "\ud800", "a" * 300),
    *([], [[]], [1, 2], [-1, 5, 9, 7], {}, {"a": {}}, {"\ud800\n": 1}),
    *({"size": [1e9, 2], "counts": "0"}, {"size": [HEIGHT, WIDTH], "counts": [-1, True]}),
]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every value inside a value."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def test_any_value_in_any_place_is_read_or_named(folder: Path) -> None:
    """Nothing but a DataError comes of nonsense, whose message is text that can be shown."""
    items = []
    for example in EXAMPLES:
        for number in range(len(list(places(example)))):
            for junk in JUNK:
                broken = copy.deepcopy(example) | {"id": f"item {len(items)}"}
                container, key = list(places(broken))[number]
                container[key] = junk
                items.append(broken)
    draw = random.Random(5).sample(items, 1000)
    file = written(folder, *draw, name="junk.jsonl")
    told: list[DataError] = []
    assert check_jsonl(file, None, told.append).items == len(draw)
    named = {int(problem.place.split(",")[0].removeprefix("line ")) for problem in told}
    good = dict(read_items(file, lambda _: None))
    read = set(good)
    assert named | read == set(range(1, len(draw) + 1))
    for line in read - named:
        assert open_jsonl(file)[line - 1].id == good[line].id
    again = folder / "again.jsonl"
    unique = {item.id: item for item in good.values()}
    write_jsonl(again, unique.values())
    assert [item for _, item in read_items(again)] == [*unique.values()]


def test_the_table_of_damage_is_long_enough() -> None:
    assert len(DAMAGE) >= 30


def test_the_same_item_twice(folder: Path) -> None:
    file = written(folder, GOOD, GOOD | {"id": "b"}, GOOD)
    assert problems(file) == [f"{file}, line 3, id: found 'a' again; expected a name unlike that of line 1."]


def test_a_missing_and_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.jsonl: found no such file"):
        open_jsonl(tmp_path / "no.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match=r"empty\.jsonl: found an empty file"):
        open_jsonl(tmp_path / "empty.jsonl")


def test_a_line_with_several_problems_names_them_all(folder: Path) -> None:
    item = find(
        [{"id": -1, "regions": [SQUARE]}, {"id": 2, "regions": [{"box": [9, 1, 2, 3]}]}], task="x", colour=1
    )
    told: list[DataError] = []
    assert [*read_items(written(folder, item), told.append)] == []
    assert [one.place.removeprefix("line 1, ") for one in told] == [
        *("colour", "task", "objects[0].id", "objects[1].regions[0].box")
    ]


def test_reading_stops_at_the_first_problem_where_nobody_listens(folder: Path) -> None:
    item = find([{"id": -1}, {"id": -2}])
    with pytest.raises(DataError, match=r"mine\.jsonl, line 1, objects\[0\]\.id: found -1; expected a whole"):
        next(read_items(written(folder, item)))


def test_masks_are_refused_by_training_too(folder: Path) -> None:
    """Not only `check` notices a mask of another size: reading it does."""
    for damaged in ("PNG of another size", "RLE of another size"):
        item, place, found, _ = DAMAGE[damaged]
        sample = open_jsonl(written(folder, item))[0]
        assert sample.masks is not None
        with pytest.raises(DataError) as error:
            sample.masks.read([0], HEIGHT, WIDTH)
        assert error.value.place == f"line 1, {place}" and found in error.value.found
