"""J and F equal those of vos-benchmark and trackeval on cases made by hand and at random; see
oracle/README.md."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unipixel.core.masks import RLE
from unipixel.evaluation.metrics.clips import score_clip, score_clips
from unipixel.evaluation.metrics.matching import score_labels

CASES: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("oracle").joinpath("cases.json").read_text(encoding="utf-8")
)
MATCHED = [case for case in CASES if "matched" in case]
CLOSE = 1e-6
HAND_MADE = [case["name"] for case in CASES if not case["name"].startswith("random")]


def encoded(case: dict[str, Any], known: dict[str, Any], side: str) -> list[RLE]:
    return [RLE(*case["size"], counts.encode()) for counts in known[side]]


def stacked(case: dict[str, Any], known: dict[str, Any], side: str) -> np.ndarray:
    return np.stack([rle.decode() for rle in encoded(case, known, side)])


def labels(case: dict[str, Any], side: str) -> np.ndarray:
    return sum((k + 1) * stacked(case, known, side) for k, known in enumerate(case["objects"])).astype(
        np.uint8
    )


def test_there_are_as_many_cases_as_promised() -> None:
    assert len(HAND_MADE) == 50 and len(CASES) == 550
    for word in ("empty", "full", "pixel", "bottom right", "last row", "1080p", "objects"):
        assert any(word in name for name in HAND_MADE), word


@pytest.mark.parametrize("form", [encoded, stacked], ids=["run lengths", "arrays"])
def test_j_and_f_of_each_frame(form: Any) -> None:
    wrong = []
    for case in CASES:
        for known in case["objects"]:
            score = score_clip(form(case, known, "predicted"), form(case, known, "truth"))
            ours = np.stack([score.j, score.f], axis=1)
            by_vos = known["vos"] or np.empty(
                (0, 2)
            )  # it knows an object from the frame where it first shows
            if not np.allclose(ours, known["trackeval"], rtol=0, atol=CLOSE) or not np.allclose(
                ours[len(ours) - len(by_vos) :], by_vos, rtol=0, atol=CLOSE
            ):
                wrong.append(case["name"])
    assert not wrong


def test_objects_matched_by_their_overlap() -> None:
    assert len(MATCHED) > 30
    checked = 0
    for case in MATCHED:
        truth = labels(case, "truth")
        if truth[0].max() != truth.max():
            continue  # DAVIS counts the objects of the first frame
        scores = score_labels(labels(case, "predicted"), truth)
        ours = np.mean([score.mean_j for score in scores]), np.mean([score.mean_f for score in scores])
        assert ours == pytest.approx(case["matched"], abs=CLOSE), case["name"]
        checked += 1
    assert checked > 20


def test_several_processes_give_the_same_in_order() -> None:
    pairs = [
        (encoded(case, known, "predicted"), encoded(case, known, "truth"))
        for case in CASES[40:70]
        for known in case["objects"]
    ]
    alone, together = score_clips(pairs, processes=1), score_clips(pairs, processes=2)
    assert len(alone) == len(together) == len(pairs)
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.j, other.j) and np.array_equal(one.f, other.f)
