"""The table of benchmarks, and the guides that speak of it."""

import re
from pathlib import Path

import pytest

from unipixel.data.registry import get_dataset
from unipixel.evaluation.benchmarks import BENCHMARKS, Registered, find_benchmarks

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("row", BENCHMARKS, ids=lambda row: row.name)
def test_every_row_is_whole(row):
    metrics = {metric.name for protocol in row.protocols for metric in protocol.metrics}
    if row.protocols:
        assert {figure.metric for figure in row.figures} <= metrics
    if isinstance(row.data, Registered):
        info = get_dataset(row.data.name)
        assert row.data.split in info.splits
        for protocol in row.protocols:
            info.chosen({**row.data.always, **protocol.options})


def test_names_are_different():
    names = [row.name for row in BENCHMARKS]
    assert len(set(names)) == len(names) and find_benchmarks(["all"]) == BENCHMARKS


def test_published_j_and_f_agree_with_their_parts():
    """As far as rounding lets them."""
    for row in BENCHMARKS:
        figures = {figure.metric: figure for figure in row.figures}
        if {"J", "F", "J&F"} <= figures.keys():
            for size in ("small", "large"):
                j, f, both = (getattr(figures[name], size) for name in ("J", "F", "J&F"))
                assert abs((j + f) / 2 - both) < 0.101, row.name


@pytest.mark.parametrize("guide", ["evaluation.md", "paper.md"])
def test_the_guides_name_what_there_is(guide):
    text = (DOCS / guide).read_text(encoding="utf-8")
    commands = re.findall(r"unipixel eval ((?:[a-z_0-9+A-Z]+ ?)+)", text)
    assert commands
    for names in commands:
        if names.split() != ["list"]:
            find_benchmarks(names.split())


def test_every_group_has_its_line_in_the_paper():
    text = (DOCS / "paper.md").read_text(encoding="utf-8")
    for row in BENCHMARKS:
        assert row.name in text or re.search(rf"\b{re.escape(row.group)}(?![a-z_])", text), row.name
