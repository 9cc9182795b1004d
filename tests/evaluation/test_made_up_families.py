"""Families of the made-up world as benchmarks: rows, controls, and the card."""

from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.stub import MODEL, Stub

from unipixel.core.request import Request
from unipixel.evaluation import model_card
from unipixel.evaluation.benchmark import Benchmark
from unipixel.evaluation.benchmarks import find_benchmarks
from unipixel.evaluation.made_up_families import (
    FAMILIES,
    MADE_UP_ROWS,
    SPLITS,
    controlled,
    family_row,
)
from unipixel.evaluation.model_card import Card, as_markdown, majority, make_card
from unipixel.evaluation.runner import Manner, Plan, run
from unipixel.evaluation.work import Work, score_work


def asked(row: Benchmark, folder: Path, stub: Stub, limit: int = 2) -> dict[str, float]:
    plan = Plan(row, Path(), folder / row.name, limit=limit)
    run(plan, stub, MODEL, Manner())  # type: ignore[arg-type]
    (result,) = score_work(Work(plan, row.protocols)).results
    assert result.is_sound
    return {score.name: score.all.value for score in result.scores if score.all is not None}


def requests(row: Benchmark, folder: Path) -> list[Request]:
    stub = Stub(lambda frame, height, width: np.ones((height, width), np.bool_))
    asked(row, folder, stub)
    return stub.asked


def test_rows_are_found_by_split() -> None:
    assert len(MADE_UP_ROWS) == len(SPLITS) * len(FAMILIES)
    assert find_benchmarks(["made_up_test"]) == MADE_UP_ROWS[: len(FAMILIES)]
    assert {row.data.needs_root for row in MADE_UP_ROWS} == {False}
    assert len(find_benchmarks(["made_up"])) == 2, "the older two keep their name"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_asked_and_scored(family: str, tmp_path: Path) -> None:
    everything = Stub(lambda frame, height, width: np.ones((height, width), np.bool_), text="A")
    found = asked(family_row(family, "unseen_combinations"), tmp_path, everything, limit=3)
    main = {"stills": "cIoU", "region_choices": "accuracy", "clips": "accuracy"}.get(family, "J&F")
    assert 0 <= found[main] <= 100
    if main == "J&F":
        assert 0 < found["J"] < 60, "everything is too much"
    assert all(request.pixels is None for request in everything.asked)


def test_the_blind_see_grey(tmp_path: Path) -> None:
    row = family_row("clips", "test")
    for request in requests(controlled(row, "blind"), tmp_path):
        assert (request.clip.read(range(request.clip.num_frames)) == 127).all()
    assert any(request.clip.read([0]).std() > 1 for request in requests(row, tmp_path))


def test_the_forgetful_have_no_objects(tmp_path: Path) -> None:
    row = family_row("region_choices", "test")
    assert all(request.memory for request in requests(row, tmp_path))
    assert not any(request.memory for request in requests(controlled(row, "forgetful"), tmp_path))


def test_the_forgetful_forget_between_two_questions(tmp_path: Path) -> None:
    row = controlled(family_row("pixelqa", "test"), "forgetful")
    assert not any(request.memory for request in requests(row, tmp_path))


def test_majority_is_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_card, "GUIDED", 20)
    assert 0 <= majority("clips", 10) <= 1


def test_the_card_has_a_line_for_every_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_card, "majority", lambda family, limit: 0.25)
    stub = Stub(lambda frame, height, width: np.ones((height, width), np.bool_), text="B")
    card = Card(tmp_path, limit=1, families=("names", "motion", "stills", "pixelqa"))
    lines = make_card(stub, MODEL, card)  # type: ignore[arg-type]
    assert [set(line.values) - set(SPLITS) for line in lines] == [
        {"blind"},
        {"blind"},
        {"blind"},
        {"blind"},
        {"blind", "forgetful"},
        {"blind", "forgetful", "majority"},
    ]
    mean, names, motion = lines[:3]
    assert mean.values["test"] == pytest.approx((names.values["test"] + motion.values["test"]) / 2)
    rows = as_markdown(lines).splitlines()
    assert len(rows) == 2 + len(lines) and all(row.count("|") == 8 for row in rows)
    assert rows[-1].endswith("0.250 |")
