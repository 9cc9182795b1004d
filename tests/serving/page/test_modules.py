"""The page's modules that are pure: run lengths, outlines, colours, views, mentions, and the code that it
writes.

They run in node; without it they are skipped, and the journey in the browser is what is left of this.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco
from tests.serving.conftest import CLIP, ONE, Served

from unipixel.core.masks import RLE
from unipixel.output.draw import Palette
from unipixel.serving.prompt_schema import BoxPart, PointPart, ScribblePart

PAGE = Path(__file__).parents[3] / "src" / "unipixel" / "serving" / "page"


def asked(**questions: Any) -> Any:
    if (node := shutil.which("node")) is None:  # a program of the system's; Chromium runs the modules as well
        pytest.skip("needs node: install Debian's nodejs")
    command = [node, "--no-warnings", str(Path(__file__).with_name("units.mjs")), PAGE.as_uri()]
    done = subprocess.run(command, input=json.dumps(questions), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def masks() -> list[Any]:
    rng = np.random.default_rng(7)
    found = [rng.random((height, width)) < 0.5 for height, width in ((1, 1), (1, 9), (9, 1), (17, 23))]
    y, x = np.mgrid[:120, :90]
    found += [np.zeros((5, 4), bool), np.ones((5, 4), bool), (x - 40) ** 2 + (y - 60) ** 2 < 900]
    return found


def test_run_lengths_are_those_of_pycocotools() -> None:
    written = [coco.encode(np.asfortranarray(one.astype(np.uint8))) for one in masks()]
    given = [{"size": list(one["size"]), "counts": one["counts"].decode()} for one in written]
    for mask, source, found in zip(masks(), given, asked(masks=given)["masks"], strict=True):
        assert np.array_equal(np.array(found["bits"], bool).reshape(mask.shape), mask)
        assert found["area"] == mask.sum()
        assert found["contains"] == mask.reshape(-1).tolist()
        assert found["rewritten"] == source["counts"]
        assert RLE.from_coco(found["again"]) == RLE.from_mask(mask)


def area(line: list[float]) -> float:
    x, y = np.array(line[::2]), np.array(line[1::2])
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


@pytest.mark.parametrize("number", range(len(masks())))
def test_outlines_go_around_all_pixels_and_no_others(number: int) -> None:
    mask = masks()[number]
    question = {
        "bits": mask.reshape(-1).astype(int).tolist(),
        "width": mask.shape[1],
        "height": mask.shape[0],
    }
    lines = asked(outlines=question)["outlines"]
    assert sum(area(one["line"]) for one in lines) == mask.sum()  # holes run the other way round
    for one in lines:
        steps = np.abs(np.diff(np.array([*one["line"], *one["line"][:2]]).reshape(-1, 2), axis=0)).sum(axis=1)
        assert (steps == 1).all()


def test_a_smooth_outline_stays_within_a_pixel() -> None:
    mask = masks()[-1]
    question = {
        "bits": mask.reshape(-1).astype(int).tolist(),
        "width": mask.shape[1],
        "height": mask.shape[0],
    }
    (one,) = asked(outlines=question)["outlines"]
    corners, smooth = np.array(one["line"]).reshape(-1, 2), np.array(one["smooth"]).reshape(-1, 2)
    far = np.sqrt(((smooth[:, None] - corners) ** 2).sum(axis=-1)).min(axis=1)
    assert far.max() < 1
    assert abs(area(one["smooth"]) - mask.sum()) < 0.01 * mask.sum()


def test_objects_have_the_colours_of_exports() -> None:
    found = asked(colours=list(range(300)))["colours"]
    palette = Palette()
    assert [tuple(one["colour"]) for one in found] == [palette.color(number) for number in range(300)]
    assert {one["ink"] for one in found} == {"#000", "#fff"}


def test_zooming_keeps_the_place_under_the_pointer() -> None:
    picture, screen = {"width": 256, "height": 192}, {"width": 900, "height": 600}
    steps = [
        {"factor": 2.0, "at": {"x": 300, "y": 200}, "by": {"x": 10_000, "y": -10_000}},
        {"factor": 0.3, "at": {"x": 10, "y": 590}, "by": {"x": -5, "y": 3}},
        {"factor": 1e9, "at": {"x": 450, "y": 300}, "by": {"x": 0, "y": 0}},
    ]
    seen = asked(views={"picture": picture, "screen": screen, "steps": steps})["views"]
    assert seen[0]["x"] == pytest.approx((900 - 256 * seen[0]["scale"]) / 2)
    assert seen[0]["scale"] * 192 == pytest.approx(600 - 32)
    for zoomed in seen[1::2]:
        assert zoomed["before"] == pytest.approx(zoomed["after"])
    for view in seen[2::2]:  # the middle of the screen stays on the picture
        assert view["x"] <= 450 <= view["x"] + 256 * view["scale"]
        assert view["y"] <= 300 <= view["y"] + 192 * view["scale"]
    assert seen[-1]["scale"] == 40


def test_mentions_are_found() -> None:
    known = [{"text": "What does [0] do to [1], and [7]?", "known": [0, 1]}, {"text": "[0]", "known": [0]}]
    first, second = asked(questions=known)["questions"]
    assert [piece.get("id") for piece in first] == [None, 0, None, 1, None]
    assert "".join(piece["text"] for piece in first) == known[0]["text"]
    assert second == [{"text": "[0]", "id": 0}]


def test_mentions_of_an_answer_count_letters_as_python_does() -> None:
    text = "👍 it is the blå ball 🎈."
    start = text.index("the")
    mention = {"start": start, "stop": start + len("the blå ball 🎈"), "object_id": 3}
    (pieces,) = asked(answers=[{"text": text, "mentions": [mention]}])["answers"]
    assert pieces == [{"text": "👍 it is "}, {"text": "the blå ball 🎈", "id": 3}, {"text": "."}]


def test_a_brush_paints_what_is_near_its_stroke() -> None:
    question = {"width": 30, "height": 20, "places": [{"x": 5, "y": 5}, {"x": 20, "y": 12}], "radius": 3}
    bits = np.array(asked(painted=question)["painted"], bool).reshape(20, 30)
    assert bits[5, 5]
    assert bits[12, 20]
    assert bits[8, 12]
    assert not bits[15, 5]
    assert 100 < bits.sum() < 160  # a capsule of 16.6 x 6


def test_prompts_are_what_the_server_takes() -> None:
    box, clicks, scribble = asked(prompts=None)["prompts"]
    assert BoxPart.model_validate(box) == BoxPart(x1=3, y1=2, x2=9, y2=7, frame=4)
    assert [PointPart.model_validate(one) for one in clicks] == [
        PointPart(x=x, y=y, frame=2, positive=False) for x, y in ((1, 2), (5, 5), (8, 9))
    ]
    assert ScribblePart.model_validate(scribble).points == [(1.2, 6.0)]


def acts() -> list[dict[str, Any]]:
    """Every kind of act, and every kind of prompt, as the page notes them."""
    painted = np.zeros((192, 256), bool)
    painted[60:110, 60:110] = True
    return [
        {
            "op": "refer",
            "id": 0,
            "prompts": [{"type": "point", "x": 84, "y": 86, "frame": 0, "positive": True}],
        },
        {
            "op": "correct",
            "id": 0,
            "prompts": [{"type": "mask", "rle": RLE.from_mask(painted).to_coco(), "frame": 3}],
        },
        {"op": "rename", "id": 0, "name": 'the "round" one\'s'},
        {
            "op": "refer",
            "id": 1,
            "prompts": [{"type": "box", "x1": 10, "y1": 10, "x2": 90, "y2": 90, "frame": 2}],
        },
        {
            "op": "refer",
            "id": 2,
            "prompts": [{"type": "scribble", "points": [[200, 60.5], [210, 80]], "frame": 0, "thickness": 4}],
        },
        {"op": "track", "ids": [0]},
        {"op": "remove", "id": 1},
        {"op": "ask", "text": "What's [0] doing?", "require_mask": True, "answer": "", "objects": []},
    ]


def code_for(url: str) -> Any:
    done = {"acts": acts(), "name": "it's a clip.mp4", "server": f"{url}/", "hasToken": True}
    return asked(code=done)["code"]


@pytest.mark.parametrize("language", ["python", "curl"])
def test_the_code_does_what_was_done(served: Served, tmp_path: Path, language: str) -> None:
    program = code_for(served.url)[language]
    assert ONE not in program  # a token is never written down
    (tmp_path / "it's a clip.mp4").write_bytes(CLIP.read_bytes())
    shells = {"python": [sys.executable, "-c"], "curl": ["bash", "-euo", "pipefail", "-c"]}
    if language == "curl" and not shutil.which("curl"):
        pytest.skip("needs curl, which this test shows the use of: install Debian's curl")
    done = subprocess.run(
        [*shells[language], program],
        cwd=tmp_path,
        env={**os.environ, "UNIPIXEL_TOKEN": ONE, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if language == "python":
        assert '[0] the "round" one\'s' in done.stdout
        return
    annotations = json.loads((tmp_path / "coco.json").read_text())["annotations"]
    assert {one["track_id"] for one in annotations} >= {0, 2}
    assert sum(one["track_id"] == 0 for one in annotations) > 10
