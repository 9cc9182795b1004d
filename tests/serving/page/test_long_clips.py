"""A clip that the server does not follow while somebody waits: clicks work, and a job follows."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.serving.conftest import CLIP, Served
from tests.serving.page.conftest import Desk

from unipixel.serving.options import Limits


def test_a_long_clip_is_followed_as_a_job(
    desk: Callable[..., Desk], start: Callable[..., Served], tmp_path: Path
) -> None:
    it = desk(f"{start(tokens=(), limits=Limits(frames=10)).url}/")
    page = it.page
    it.start()
    it.open(CLIP)
    it.click(84, 86)
    page.locator("#failure-text", has_text="up to 10 are followed at once").wait_for()
    it.complaints.clear()  # the browser tells of the 413, too
    page.click("#as-job")
    it.is_followed(0)
    assert not page.locator("#follow").is_checked()
    page.click("#show-export")
    result = json.loads(it.download("[data-export=job]", tmp_path).read_text())
    (outcome,) = result["outcomes"]
    assert [frame["index"] for frame in outcome["objects"][0]["frames"]] == list(range(24))
