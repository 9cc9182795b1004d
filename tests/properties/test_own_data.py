"""A person's own data and annotation files: what is written is read, what is read in pieces is read whole."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.properties.few import few

from unipixel.core.masks import RLE
from unipixel.data import long_json
from unipixel.data.jsonl.file import Lines, read_items, write_jsonl
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.reading import read_line
from unipixel.data.jsonl.writing import write_line
from unipixel.data.long_json import JsonArray, JsonTable
from unipixel.errors import DataError

WORDS = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="[]<>|"), min_size=1, max_size=12
)
FILES = st.text("abcXYZ019_-é", min_size=1, max_size=8)
COORDINATES = st.integers(0, 99) | st.floats(0, 99, allow_nan=False, width=32)
RLES = st.lists(st.booleans(), min_size=20, max_size=20).map(
    lambda row: RLE.from_mask([row, row[::-1]]).to_coco()
)
SHAPES = st.one_of(
    st.fixed_dictionaries({"rle": RLES}),
    st.fixed_dictionaries(
        {"polygons": st.lists(st.lists(COORDINATES, min_size=6, max_size=6), min_size=1, max_size=2)}
    ),
    st.fixed_dictionaries({"png": FILES.map("masks/{}.png".format), "value": st.integers(1, 255)}),
)
WHEN = st.sampled_from([{"frame": 3}, {"frames": [2, 9]}, {"seconds": [0.5, 2]}])
THINGS = st.builds(
    lambda id, name, shape, when: {"id": id, "name": name, "regions": [{**when, **shape}]},
    st.integers(0, 10**6),
    WORDS,
    SHAPES,
    WHEN,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def lines(draw: st.DrawFn) -> dict[str, Any]:
    """An item of a task in which everything that regions can be may be asked for."""
    things = draw(st.lists(THINGS, min_size=1, max_size=3, unique_by=lambda thing: thing["id"]))
    asked = {"role": "user", "expression": draw(WORDS)}
    said = {"role": "assistant", "masks": [thing["id"] for thing in things]}
    media = {"video": f"clips/{draw(FILES)}.mp4"}
    if draw(st.booleans()):  # a still, whose regions have no time
        media = {"image": f"pictures/{draw(FILES)}.jpg"}
        for thing in things:
            thing["regions"] = [
                {name: part for name, part in region.items() if name not in ("frame", "frames", "seconds")}
                for region in thing["regions"]
            ]
    item = {
        "id": draw(WORDS),
        "task": "segment",
        "media": media,
        "conversation": [asked, said],
        "objects": things,
    }
    return item


@few
@given(lines())
def test_an_item_is_what_was_written_of_it(line: dict[str, Any]) -> None:
    item = read_line(json.dumps(line).encode(), Path("mine.jsonl"), 1)
    assert item is not None
    text = write_line(item)
    assert "\n" not in text
    assert read_line(text.encode(), Path("mine.jsonl"), 1) == item
    assert write_line(item) == text


@few
@given(st.lists(lines(), min_size=1, max_size=4, unique_by=lambda line: line["id"]))
def test_a_file_holds_its_items_in_order(tmp_path: Path, some: list[dict[str, Any]]) -> None:
    items = [read_line(json.dumps(line).encode(), tmp_path, 1) for line in some]
    kept = [item for item in items if isinstance(item, Item)]
    file = tmp_path / "mine.jsonl"
    assert write_jsonl(file, kept) == len(some)
    assert [item for _, item in read_items(file)] == items


@few
@given(st.lists(st.binary(max_size=6).filter(lambda part: b"\n" not in part), min_size=1, max_size=6))
def test_lines_put_together_are_the_file(tmp_path: Path, parts: list[bytes]) -> None:
    file = tmp_path / "any"
    content = b"\n".join(parts)
    file.write_bytes(content)
    if not content:
        with pytest.raises(DataError):
            Lines.of(file)
        return
    found = Lines.of(file)
    assert b"".join(found.read(index) for index in found) == content
    assert len(found) == content.count(b"\n") + (not content.endswith(b"\n"))


@few
@given(JSON | st.binary(max_size=30))
def test_a_line_of_anything_is_refused_with_its_place(value: Any) -> None:
    line = value if isinstance(value, bytes) else json.dumps(value).encode()
    problems: list[DataError] = []
    assert read_line(line, Path("mine.jsonl"), 7, problems.append) is None
    assert problems and all("line 7" in problem.place for problem in problems)


@few
@given(st.lists(JSON, max_size=5), st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_a_list_in_pieces_is_the_list(
    tmp_path: Path, values: list[Any], window: int, indent: int | None, ascii: bool
) -> None:
    file = tmp_path / "long.json"
    file.write_text(json.dumps(values, indent=indent, ensure_ascii=ascii), "utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_json, "_WINDOW", window)
        items = [_told(array, index) for array in (JsonArray.open(file),) for index in range(len(values))]
    assert repr(items) == repr(values) or "\\ud" in repr(values).lower()


def _told(array: JsonArray, index: int) -> Any:
    try:
        return array[index].value
    except DataError as error:
        return error


@few
@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5), st.integers(1, 40))
def test_an_object_in_pieces_is_the_object(tmp_path: Path, values: dict[str, Any], window: int) -> None:
    file = tmp_path / "long.json"
    file.write_text(json.dumps(values), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_json, "_WINDOW", window)
        table = JsonTable.open(file)
    assert len(table) == len(values)
    assert repr({key: table[key].value for key in values}) == repr(values)
