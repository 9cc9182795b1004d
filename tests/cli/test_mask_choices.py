"""The options for better masks on the command line: what they become, and what is said of a split answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import unipixel.loading
from unipixel.core.mask_options import MaskOptions
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.response import Mention, Response, SegmentedObject
from unipixel.model.config import Licences

OPTIONS = (
    "--start",
    "clearest",
    "--propagate-with",
    "unipixel-tiny",
    "--language-frames",
    "change",
    "--split",
)
WANTED = MaskOptions("clearest", "unipixel-tiny", "change", True)


class SplitAnswers:
    """Stands for an opened model whose answers were split; keeps how it was opened."""

    dtype = torch.float32
    device = torch.device("cpu")
    config = SimpleNamespace(licences=Licences(weights="W-1.0", base="B-2.0"))

    def __init__(self) -> None:
        self.opened: dict[str, Any] = {}

    @contextmanager
    def session(self, clip: Clip, **_: object) -> Iterator[SimpleNamespace]:
        rle = RLE.from_mask(np.ones((clip.height, clip.width), np.bool_))
        masks = MaskTrack(tuple(FrameMask(index, rle, 0.5, True) for index in range(clip.num_frames)))
        objects = (SegmentedObject(0, masks, None, 0), SegmentedObject(1, masks, None, 0))
        response = Response("It is [0].", objects, (Mention(6, 9, 0),), "raw", (0,), "stop")
        yield SimpleNamespace(ask=lambda *_, **__: response)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> SplitAnswers:
    stand_in = SplitAnswers()

    def load(_: Path, **options: Any) -> SplitAnswers:
        stand_in.opened = options
        return stand_in

    monkeypatch.setattr(unipixel.loading, "load", load)
    return stand_in


def test_ask_opens_the_model_with_the_options(run: Callable, media: Any, answers: SplitAnswers) -> None:  # type: ignore[type-arg]
    assert run("ask", media.picture, "Where?", *OPTIONS).code == 0
    assert answers.opened["masks"] == WANTED
    run("ask", media.picture, "Where?")
    assert answers.opened["masks"] == MaskOptions()


def test_a_split_answer_says_that_it_is_a_heuristic(run: Callable, media: Any, answers: SplitAnswers) -> None:  # type: ignore[type-arg]
    said = run("ask", media.picture, "Where?", "--split").out
    assert said.count("part of [0]") == 2 and "heuristic" in said
    document = json.loads(run("ask", media.picture, "Where?", "--split", "--json").out)
    assert document["split_heuristic"] == {"0": 0, "1": 0}
    assert [one["name"] for one in document["objects"]] == ["part of [0]"] * 2


def test_eval_writes_the_options_into_the_manifest(
    run: Callable,  # type: ignore[type-arg]
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[MaskOptions] = []
    real = unipixel.loading.load

    def load(*given: Any, masks: MaskOptions, **options: Any) -> Any:
        opened.append(masks)
        return real(*given, masks=masks, **options)

    monkeypatch.setattr(unipixel.loading, "load", load)
    options = ("--limit", "1", "-o", tmp_path, "--device", "cpu")
    run("eval", "made_up_stills", *options, *OPTIONS)
    (results,) = tmp_path.rglob("results.json")
    assert opened == [WANTED]
    assert json.loads(results.read_text())["settings"]["dtype"] == f"float32, {WANTED}"
    again = run("eval", "made_up_stills", *options)
    assert again.code == 2 and "clearest" in again.err


@pytest.mark.parametrize("command", ["ask", "annotate", "eval"])
def test_weights_that_are_not_there_are_told_before_torch_is_imported(
    run_without_torch: Callable,  # type: ignore[type-arg]
    media: Any,
    tmp_path: Path,
    command: str,
) -> None:
    given = {
        "ask": [media.picture, "Where?"],
        "annotate": [media.picture, "--ask", "Where?", "-o", tmp_path / "out"],
        "eval": ["made_up_stills", "-o", tmp_path],
    }[command]
    outcome = run_without_torch(command, *given, "--propagate-with", tmp_path / "sam2.pt")
    assert outcome.code == 2 and "sam2.pt" in outcome.err
