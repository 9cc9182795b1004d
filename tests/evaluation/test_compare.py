"""Comparing two systems on the same questions."""

import numpy as np
import pytest
from tests.evaluation.stub import Stub, build, plan_of, run_stub

from unipixel.errors import ConfigError
from unipixel.evaluation.benchmark import Case
from unipixel.evaluation.compare import as_latex, as_text, compare, compare_folders
from unipixel.evaluation.metrics.intervals import Bootstrap, bootstrap_mean_difference
from unipixel.evaluation.work import plan_work, score_work

HOW = Bootstrap(draws=2000, seed=3)


def cases(values, clips=None, kinds=None):
    clips = clips or [f"clip {n // 4}" for n in range(len(values))]
    kinds = kinds or [""] * len(values)
    rows = zip(values, clips, kinds, strict=True)
    return [
        Case(f"s{n}", clip, kind, "answered", {"J": j, "F": j, "J&F": j})
        for n, (j, clip, kind) in enumerate(rows)
    ]


@pytest.fixture(scope="module")
def values():
    rng = np.random.default_rng(5)
    first = rng.random(40)
    return first, np.clip(first + 0.05 + 0.02 * rng.standard_normal(40), 0, 1)


def test_differences_are_paired_and_clustered(values):
    first, second = values
    found = compare("mevis_val_u", "published", cases(first), cases(second), HOW)
    row = found.differences[0]
    clips = [f"clip {n // 4}" for n in range(40)]
    expected = bootstrap_mean_difference(second, first, clips, HOW)
    assert row.metric == "J" and (found.count, found.clips) == (40, 10)
    assert row.change.value == pytest.approx(100 * expected.value)
    assert row.change.low == pytest.approx(100 * expected.low)
    assert row.change.high == pytest.approx(100 * expected.high)
    assert row.change.excludes_zero, "paired, a small change is seen, though the systems vary far more"
    assert row.second - row.first == pytest.approx(row.change.value)


def test_clusters_widen_the_interval(values):
    """All questions of a clip move together."""
    first = values[0]
    rng = np.random.default_rng(1)
    second = first + np.repeat(rng.standard_normal(10), 4) * 0.05
    together = compare("mevis_val_u", "published", cases(first), cases(second), HOW).differences[0]
    clips = [f"clip {n}" for n in range(40)]
    alone = compare("mevis_val_u", "published", cases(first, clips), cases(second, clips), HOW).differences[0]
    assert together.change.high - together.change.low > 1.5 * (alone.change.high - alone.change.low)


def test_ratios_and_means_over_types_are_compared_as_they_are_scored():
    def pictures(shift):
        rng = np.random.default_rng(2)
        unions = rng.integers(50, 100, 12)
        return [
            Case(f"s{n}", f"c{n}", "", "answered", {"I": float(u // 2 + shift), "U": float(u), "IoU": 0.5})
            for n, u in enumerate(unions)
        ]

    row = compare("refcoco_val", "published", pictures(0), pictures(5), HOW).differences[0]
    first, second = pictures(0), pictures(5)
    below = sum(case.values["U"] for case in first)
    expected = [100 * sum(case.values["I"] for case in each) / below for each in (first, second)]
    assert row.metric == "cIoU" and (row.first, row.second) == pytest.approx(expected)
    kinds = ["long", "short", "short", "short"] * 10
    first = cases([0.5] * 40, kinds=kinds)
    second = cases([0.5 + 0.4 * (kind == "long") for kind in kinds], kinds=kinds)
    (row, *_) = compare("ref_sav", "sa2va", first, second, HOW).differences
    assert row.change.value == pytest.approx(20), "half of the gain of one of two parts"


def test_questions_that_only_one_has_are_named(values):
    found = compare("mevis_val_u", "published", cases(values[0]), cases(values[1])[:30], HOW)
    assert found.count == 30 and not found.is_complete
    assert len(found.only_first) == 10 and not found.only_second
    assert "10 only in A: s30, s31, s32" in as_text([found], "one", "other")
    with pytest.raises(ConfigError, match="no question in common"):
        compare("mevis_val_u", "published", cases(values[0])[:1], cases(values[1])[1:], HOW)


def test_folders_are_compared_by_name(tmp_path):
    build(tmp_path / "data", "mevis", "groundmore")
    big = Stub(mask=lambda frame, height, width: np.ones((height, width), dtype=bool))
    for system, stub in (("a", Stub()), ("b", big)):
        for name in ("mevis_val_u", "groundmore"):
            plan = plan_of(name, tmp_path / "data", tmp_path / system / name)
            run_stub(plan, stub)
            score_work(plan_work([plan.benchmark], "published", plan.root, tmp_path / system)[0])
    found = compare_folders(tmp_path / "a", tmp_path / "b", HOW)
    assert [one.benchmark for one in found] == ["groundmore", "mevis_val_u"]
    assert all(one.is_complete for one in found)
    single = compare_folders(tmp_path / "a" / "groundmore", tmp_path / "b" / "groundmore", HOW)
    assert single == found[:1]
    with pytest.raises(ConfigError, match="compare one benchmark"):
        compare_folders(tmp_path / "a" / "groundmore", tmp_path / "b" / "mevis_val_u")
    with pytest.raises(ConfigError, match="no benchmark and protocol in common"):
        compare_folders(tmp_path / "a", tmp_path / "data")
    with pytest.raises(ConfigError, match="is no folder"):
        compare_folders(tmp_path / "a", tmp_path / "nothing")


def test_the_table_is_good_latex(values):
    found = compare("mevis_val_u", "published", cases(values[0]), cases(values[1]), HOW)
    text = as_latex([found], "base_1", "ours & more")
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4 and {row.replace(r"\&", "").count("&") for row in rows} == {5}
    assert r"base\_1" in text and r"ours \& more" in text and r"J\&F" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    assert "$^*$" in text
