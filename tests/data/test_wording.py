"""Templates: shapes and numbers, a user's own, and what is refused."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unipixel.core.conversation import Refer, Segment
from unipixel.core.prompts import Point
from unipixel.data.wording import FAMILIES, Wording, fill
from unipixel.errors import DataError

COUNTS = {
    **{"query_image": 7, "query_video": 7, "sentence": 5, "explanatory": 5, "question": 5, "description": 5},
    **{"answer": 5, "brief": 24, "detailed": 30, "localise": 6, "part": 2, "question_answer": 1},
}


def written(folder: Path, content: Any) -> Path:
    file = folder / "wording.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def test_there_are_as_many_templates_as_published_and_none_twice() -> None:
    wording = Wording.default()
    for family, count in COUNTS.items():
        templates = wording.of(family)
        assert len(templates) == len(set(templates)) == count, family
    localise = wording.of("localise")
    assert sum(template.startswith("{question}. ") for template in localise) == 3, "three append a sentence"
    assert sum(template.startswith("{question}") for template in localise) == 3, "three embed the question"
    assert wording.of("question_answer") == ("{answer} <|seg|>.",)
    assert all(template.endswith("<|seg|>.") for template in wording.of("answer"))
    swapped = [template.replace("image", "video") for template in wording.of("query_image")]
    assert swapped == list(wording.of("query_video"))


def test_evaluation_takes_one_template_and_training_all() -> None:
    wording, rng = Wording.default(), np.random.default_rng(0)
    assert wording.pick("query_video", None) == wording.of("query_video")[1]
    assert wording.pick("sentence", None) == wording.of("sentence")[0]
    assert {wording.pick("brief", rng) for _ in range(400)} == set(wording.of("brief"))


def test_slots_become_parts_and_words_stay_words() -> None:
    slot = Refer(Point(1, 2))
    assert fill("Look at {object} and {object}!", object=slot) == ("Look at ", slot, " and ", slot, "!")
    assert fill("{answer} <|seg|>.", answer="A <|seg|> {x}") == ("A <|seg|> {x} ", Segment(), ".")
    assert fill("<|seg|>.") == (Segment(), ".") and fill("a {{b}}") == ("a {b}",)


def test_a_users_file_replaces_families_and_is_named_by_its_content(tmp_path: Path) -> None:
    default = Wording.default()
    own = Wording.open(written(tmp_path, {"sentence": ["{query} Mask!"], "answer": ["Here: <|seg|>"]}))
    assert own.of("sentence") == ("{query} Mask!",) and own.of("brief") == default.of("brief")
    assert own.pick("query_image", None) == default.pick("query_image", None)
    assert own.hash != default.hash and len(own.hash) == 16
    (tmp_path / "b").mkdir()
    same = Wording.open(written(tmp_path / "b", {"answer": ["Here: <|seg|>"], "sentence": ["{query} Mask!"]}))
    assert same.hash == own.hash
    everything = {family: list(default.of(family)) for family in FAMILIES}
    assert Wording.open(written(tmp_path, everything)).hash == default.hash
    assert pickle.loads(pickle.dumps(own)) == own
    one = Wording.open(written(tmp_path, {"query_video": ["{query}"]}))
    assert one.pick("query_video", None) == "{query}", "evaluation takes what there is"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no readable JSON"),
        ([], "a list; expected an object"),
        ({"querry_image": []}, "unknown family; expected 'query_image', or another of"),
        ({"sentence": "one"}, "sentence: found 'one'; expected a list of texts"),
        ({"sentence": [1]}, "expected a list of texts"),
        ({"sentence": []}, "sentence: found no template; expected at least one"),
        (
            {"sentence": ["{query}", "Mask it."]},
            r"sentence\[1\]: found 'Mask it.'; expected text with {query}",
        ),
        ({"sentence": ["{query} {other}"]}, "and no other slot"),
        ({"sentence": ["{query!r}"]}, "and no other slot"),
        ({"sentence": ["{query.x}"]}, "and no other slot"),
        ({"sentence": ["{query"]}, "braces double"),
        ({"sentence": ["{query} <|seg|>"]}, r"1 <\|seg\|> in .*; expected 0 of them"),
        ({"answer": ["Here."]}, r"0 <\|seg\|> in 'Here.'; expected 1 of them"),
        ({"brief": ["What is {object} <|ref|>?"]}, r"<\|ref\|> in"),
        ({"choice_region": [" "]}, "an empty template"),
    ],
)
def test_unfit_files_are_refused_with_their_place(tmp_path: Path, content: Any, message: str) -> None:
    file = written(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        Wording.open(file)
    assert caught.value.file == str(file)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json: found no readable JSON"):
        Wording.open(tmp_path / "none.json")
