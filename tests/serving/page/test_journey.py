"""The whole way in a real browser, against a server in a process of its own, on a real mp4."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco
from tests.serving.conftest import CLIP, MEDIA, SEGMENT, wait_until
from tests.serving.page.conftest import Desk

from unipixel.core.masks import RLE
from unipixel.serving import replay
from unipixel.serving.client import Client

CIRCLE, TRIANGLE = 2, 3
"""The blue circle's and the blue triangle's value in the true masks."""
INSIDE = (84, 86)
"""Within the circle on frame 0; on frame 20 it is elsewhere."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = tmp_path_factory.mktemp("data")
    command = ["serve", "--port", str(port), "--data", str(data), "--no-supervise"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    # A file takes all it says; a pipe that nobody empties would stop the server when it is full.
    with (data / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "unipixel.cli.main", *command], env=environment, stderr=log
        )
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: _is_ready(address), seconds=240)
        yield address
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) in (0, -signal.SIGTERM)  # it ends in good order, then by the signal


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def truth(value: int) -> NDArray[np.bool_]:
    """The true masks of one thing, [24, 192, 256]."""
    return np.stack(
        [np.asarray(Image.open(path)) == value for path in sorted((MEDIA / "shapes_masks").glob("*.png"))]
    )


def iou(one: Any, other: Any) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def test_the_whole_journey(
    desk: Callable[..., Desk], url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    it = desk(f"{url}/")
    page = it.page
    it.start()
    it.open(CLIP)
    assert (
        page.locator("#clip-about").inner_text()
        == "256 \N{MULTIPLICATION SIGN} 192 \N{MIDDLE DOT} 24 frames \N{MIDDLE DOT} 8 fps"
    )

    # A click, and the object has its mask on every frame.
    it.click(*INSIDE)
    it.is_followed(0)
    page.get_by_label("Name of [0]").fill("ball")
    page.keyboard.press("Enter")
    it.settle()
    with Client(url) as client:
        session = client.resume(client._transport.send("GET", "/v1/sessions")["data"][-1]["id"])
        ball = session[0]
        assert ball.name == "ball"
        assert ball.masks is not None
        assert np.mean([iou(*pair) for pair in zip(ball.masks.to_array(), truth(CIRCLE), strict=True)]) > 0.85

        # A question about it; the answer's objects are highlighted, and show their masks.
        text = it.ask("What does [0] do?")
        assert text
        said = page.locator(".turn.question .mention")
        assert said.inner_text() == "[0]"
        assert said.evaluate("mark => mark.style.getPropertyValue('--colour')") == "rgb(230, 60, 60)"
        dim = _pixel(it, *INSIDE)
        it.page.locator("#question").hover()
        said.hover()
        page.wait_for_timeout(100)
        assert _pixel(it, *INSIDE) != dim
        it.ask(SEGMENT)
        (number,) = re.findall(r"\[(\d+)\]", page.locator(".turn.answer").last.inner_text())
        assert page.locator(".turn.answer").last.locator(".mention").inner_text() == f"[{number}]"
        there = session[int(number)].masks
        assert there is not None
        assert iou(there.to_array(), truth(TRIANGLE)) > 0.5

        # A correction on another frame: what was found is followed again.
        page.get_by_role("button", name="Select [0] ball").click()
        page.locator("#target", has_text="Correcting [0] ball").wait_for()
        it.seek(20)
        before = session[0].masks
        it.click(95, 141, button="right")
        it.click(37, 96)
        it.settle()
        corrected = session[0]
        assert {pointing.frame for pointing in corrected.pointings} == {0, 20}
        assert corrected.masks is not None
        assert len(corrected.masks) == 24
        assert corrected.masks != before
        assert iou(corrected.masks.to_array(), truth(CIRCLE)) > 0.8

        # Undo, and redo.
        page.click("#undo")
        it.settle()
        assert session[0].masks != corrected.masks
        page.click("#redo")
        it.settle()
        assert session[0].masks == corrected.masks

        # What is saved can be opened by others.
        page.click("#show-export")
        _check_overlay(it.download("[data-export=overlay]", tmp_path))
        _check_coco(it.download("[data-export=coco]", tmp_path), corrected.masks.to_array())
        _check_palette(it.download("[data-export=palette]", tmp_path), corrected.masks.to_array())
        page.keyboard.press("Escape")

    # The same through the client.
    page.click("#show-code")
    assert "session.correct(0, Point(37, 96, frame=20)" in page.locator("#code-text").inner_text()
    saved = it.download("#save-replay", tmp_path)
    assert replay.main([str(saved), "--server", url]) == 0, capsys.readouterr().out
    assert "the same answers and masks as on the page" in capsys.readouterr().out


def _pixel(it: Desk, x: int, y: int) -> Any:
    """The colour that the screen shows for a pixel of the picture, a little beside the click's mark."""
    at, box = it.place(x + 6, y), it.page.locator("#canvas").bounding_box()
    assert box is not None
    clip = {"x": box["x"] + at["x"], "y": box["y"] + at["y"], "width": 1, "height": 1}
    with Image.open(io.BytesIO(it.page.screenshot(clip=clip))) as picture:  # type: ignore[arg-type]
        return picture.convert("RGB").getpixel((0, 0))


def _check_overlay(path: Path) -> None:
    assert path.name == "shapes-overlay.mp4"
    with av.open(str(path)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 24
    assert frames[0].shape == (192, 256, 3)
    with av.open(str(CLIP)) as video:
        before = next(video.decode(video=0)).to_ndarray(format="rgb24")
    redder = frames[0][..., 0].astype(float) - before[..., 0]
    assert redder[truth(CIRCLE)[0]].mean() > 50  # a blue ball under a red mask
    assert abs(redder[:40].mean()) < 5


def _check_coco(path: Path, masks: NDArray[np.bool_]) -> None:
    content = json.loads(path.read_text())
    ball = {one["image_id"]: one for one in content["annotations"] if one["track_id"] == 0}
    assert sorted(ball) == list(range(24))
    for frame, one in ball.items():
        assert np.array_equal(coco.decode(one["segmentation"]).astype(bool), masks[frame])
    assert "ball" in {one["name"] for one in content["categories"]}


def _check_palette(path: Path, masks: NDArray[np.bool_]) -> None:
    with zipfile.ZipFile(path) as archive:
        names = sorted(archive.namelist())
        assert len(names) == 24
        with archive.open(names[20]) as stream, Image.open(stream) as picture:
            assert picture.mode == "P"
            assert np.array_equal(np.asarray(picture) == 1, masks[20])


def test_boxes_scribbles_and_the_brush(desk: Callable[..., Desk], url: str) -> None:
    it = desk(f"{url}/")
    it.start()
    it.page.click("[data-sample='still.jpg']")
    it.page.locator("body[data-phase=open]").wait_for()
    true = np.asarray(Image.open(MEDIA / "still_masks" / "00000.png"))
    y, x = np.nonzero(true == 1)
    it.drag((x.min(), y.min()), (x.max(), y.max()))
    it.page.locator(".object").nth(0).wait_for()
    it.settle()
    it.page.keyboard.press("n")
    it.page.keyboard.press("s")
    y, x = np.nonzero(true == 2)
    it.drag((x.mean() - 10, y.mean()), (x.mean() + 10, y.mean()))
    it.page.locator(".object").nth(1).wait_for()
    it.settle()
    it.page.keyboard.press("n")
    it.page.keyboard.press("b")
    it.drag((20, 20), (60, 20))
    it.page.locator(".object").nth(2).wait_for()
    it.settle()
    known = _objects(url)
    assert [one["pointings"][0]["prompts"][0]["type"] for one in known] == ["box", "scribble", "mask"]
    found = [RLE.from_coco(one["frames"][0]["rle"]).decode() for one in known]
    assert iou(found[0], true == 1) > 0.8
    assert iou(found[1], true == 2) > 0.5
    assert 300 < found[2].sum() < 900  # 40 x 12, round at its ends
    it.page.keyboard.press("x")  # the brush takes away now
    it.drag((20, 20), (40, 20))
    it.settle()
    (last,) = _objects(url)[2:]
    assert 100 < last["frames"][0]["area"] < found[2].sum() - 150


def _objects(url: str) -> Any:
    with httpx.Client(base_url=url, trust_env=False) as http:
        session = http.get("/v1/sessions").json()["data"][-1]["id"]
        return http.get(f"/v1/sessions/{session}/objects").json()["data"]


def test_a_click_interrupts_following_and_both_objects_are_followed_then(
    desk: Callable[..., Desk], url: str
) -> None:
    it = desk(f"{url}/")
    it.start()
    it.open(CLIP)
    it.click(*INSIDE)
    it.page.locator("#progress", has_text="Following").wait_for()
    it.page.keyboard.press("n")
    it.click(150, 160)
    it.is_followed(0)
    it.page.locator(".object").nth(1).wait_for()
    it.settle()
    assert [len(one["frames"]) for one in _objects(url)] == [24, 24]


def test_following_can_be_cancelled_and_taken_up_again(desk: Callable[..., Desk], url: str) -> None:
    it = desk(f"{url}/")
    it.start()
    it.open(CLIP)
    it.click(*INSIDE)
    it.page.locator("#progress", has_text="Following").wait_for()
    it.page.keyboard.press("Escape")
    it.settle()
    assert 1 <= len(_objects(url)[0]["frames"]) < 24
    it.page.get_by_role("button", name="Follow [0] through the clip").click()
    it.is_followed(0)
    it.page.click("#undo")
    it.settle()
    assert _objects(url) == []
    assert it.page.locator(".object").count() == 0


def test_the_page_comes_back_after_a_reload(desk: Callable[..., Desk], url: str) -> None:
    it = desk(f"{url}/")
    it.start()
    it.open(CLIP)
    it.click(*INSIDE)
    it.is_followed(0)
    it.ask("What is [0]?")
    it.page.reload()
    it.page.locator("#recent-list button").first.click()
    it.is_followed(0)
    assert "What is [0]?" in it.page.locator("#turns").inner_text()
    it.page.click("#undo")
    it.settle()
    assert it.page.locator(".turn").count() == 0
