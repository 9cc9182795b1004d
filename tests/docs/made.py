"""Tables of the documentation that are made from the code, so that each fact has one place.

They stand between `<!-- made: NAME -->` and `<!-- end -->`; `scripts/check_docs.py --write` makes them
anew, and a test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import get_args

from tests.docs.pages import pages, read
from tests.test_imports import ALLOWED, TORCH_FREE

from unipixel.data.policy import Fidelity
from unipixel.data.registry import Option, datasets
from unipixel.evaluation.benchmarks import BENCHMARKS
from unipixel.training.recipe import BY_FIDELITY, Choices

_MADE = re.compile(r"(<!-- made: (?P<name>[\w -]+) -->\n).*?(<!-- end -->)", re.S)
ROOMS = {
    "errors": "every error a person may see, with what was found and what was expected",
    "core": "what a person gives and gets: clip, prompts, request, response, masks",
    "output": "overlays, palette PNGs, JSON, COCO",
    "hub": "finds a checkpoint by name, folder or hub id; fetches data",
    "footprint": "what weights weigh, before they are opened",
    "data": "every data set, your own, the made-up world: samples, wording, conversations, mixtures",
    "evaluation": "benchmarks, protocols, metrics, results",
    "model": "the figure above: backbone, object prompt and memory, `<|seg|>` head, SAM 2.1, losses, weights",
    "processing": "from `core` to tensors: the two views of a clip, text, regions",
    "inference": "a clip read once, answers, tracking, sessions, PixelQA, live frames",
    "predictor": "the one door for every caller",
    "loading": "open, save, start afresh",
    "training": "recipes, the loop, adapters, several processes; the small model from nothing",
    "archive": "annotating folders: windows, identities, resume, workers",
    "cvat": "functions for CVAT: detection and tracking",
    "late_names": "public names that are imported when they are first used",
    "parity": "the golden cases",
    "serving": "HTTP server, page, torch-free client",
}


def tables() -> dict[str, str]:
    """Every made part by its name."""
    return {
        "published figures": published_figures(),
        "data sets": data_sets(),
        "training choices": training_choices(),
        "data options": data_options(),
        "rooms": rooms(),
    }


def written(text: str) -> str:
    """A page's text with its made parts made anew."""
    parts = tables()
    return _MADE.sub(lambda match: f"{match[1]}\n{parts[match['name']]}\n\n{match[3]}", text)


def made_pages() -> list[Path]:
    """The pages with made parts."""
    return [page for page in pages() if _MADE.search(read(page))]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def published_figures() -> str:
    """What the authors published, and the command that measures it."""
    rows = [
        [
            row.title,
            figure.metric,
            _figure(figure.small),
            _figure(figure.large),
            f"`unipixel eval {row.name}`",
        ]
        for row in BENCHMARKS
        for figure in row.figures
    ]
    return _table(["benchmark", "figure", "3B", "7B", "command"], rows)


def data_sets() -> str:
    """Licences of the data sets, as far as they are known."""
    rows = [
        [f"`{info.name}`", info.task, info.licence]
        for info in datasets()
        if not info.drawn and info.name != "jsonl"
    ]
    return _table(["data set", "task", "licence"], rows)


def training_choices() -> str:
    """What training may repeat or mend of the published one."""
    lines = " ".join((Choices.__doc__ or "").partition("Attributes:")[2].split())
    names = [field.name for field in fields(Choices)]
    parts = re.split(rf"\b({'|'.join(names)}): ", lines)
    what = dict(zip(parts[1::2], parts[2::2], strict=True))
    rows = [
        [
            f"`{name}`",
            what[name].strip(),
            *(f"`{getattr(BY_FIDELITY[one], name)}`" for one in get_args(Fidelity)),
        ]
        for name in names
    ]
    return _table(["choice", "of what", *get_args(Fidelity)], rows)


def data_options() -> str:
    """Where published data or their loaders leave room; the first value is the default."""
    found: dict[Option, list[str]] = {}
    for info in datasets():
        for option in info.options:
            if not info.drawn:
                found.setdefault(option, []).append(info.name)
    rows = [
        [f"`{one.name}`", ", ".join(names), ", ".join(f"`{value}`" for value in one.values), one.why]
        for one, names in found.items()
    ]
    return _table(["option", "data sets", "values", "what they mean"], rows)


def rooms() -> str:
    """Parts of the package and what each may import."""
    rows = []
    for name, what in ROOMS.items():
        used = ", ".join(sorted(ALLOWED[name] - {"errors"})) or ("nothing" if name == "errors" else "errors")
        rows.append([f"`{name}`", what, used, "yes" if name in TORCH_FREE else ""])
    return _table(["part", "holds", "may import (and errors)", "free of torch"], rows)
