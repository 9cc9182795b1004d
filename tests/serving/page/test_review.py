"""Review in a real browser: worst first, accept, reject, correct, export, by mouse and by keyboard."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.archive.annotated import CIRCLE, CLIP, STILL, shapes, still, truth, write
from tests.serving.conftest import Served
from tests.serving.page.conftest import PHONE, WIDE, Desk
from tests.serving.page.test_access import axe, logged_in, problems  # noqa: F401
from typer.testing import CliRunner

from unipixel.archive.review import Review
from unipixel.cli.main import app
from unipixel.data.jsonl import read_items


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for path in (CLIP, STILL):
        shutil.copy(path, tmp_path)
    return write(tmp_path / "out", shapes(tmp_path / CLIP.name), still(tmp_path / STILL.name))


@pytest.fixture
def url(start: Callable[..., Served], out: Path) -> str:
    return f"{start(review=(out,)).url}/"


def reviewing(it: Desk) -> Desk:
    """Log in, and go to the review."""
    logged_in(it)
    it.page.click("#review-open")
    it.page.locator("body[data-review=looking]").wait_for()
    return it


def shown(it: Desk, what: str) -> None:
    """Until this object is the one on the screen."""
    it.page.locator("#review-what", has_text=what).wait_for()
    it.page.locator("body[data-review=looking]").wait_for()


def rows(it: Desk) -> list[str]:
    return it.page.locator("#review-list strong").all_inner_texts()


def test_from_the_worst_to_data_for_training(
    desk: Callable[..., Desk], url: str, out: Path, tmp_path: Path
) -> None:
    it = reviewing(desk(url))
    page = it.page
    shown(it, "[1]")
    assert rows(it) == ["stills/still.jpg", "shapes.mp4", "shapes.mp4", "stills/still.jpg", "shapes.mp4"]
    assert page.locator("#review-list [aria-current] .rating").inner_text() == "0.10"
    assert page.locator("#review-progress-text").inner_text() == "0 of 5 decided"

    # The worst is no object at all: rejected by a key. The next one is shown on its worst frame.
    page.keyboard.press("x")
    page.locator("#review-why", has_text="triangle").wait_for()
    assert page.locator("#position").inner_text() == "23 / 23"
    assert page.locator("#frame-quality").inner_text() == "quality 0.14"
    page.keyboard.press(",")
    assert page.locator("#position").inner_text() == "22 / 23"
    assert page.locator("[data-filter=rejected]").inner_text() == "Rejected1"

    # Over to the marked circle, of which half is missing; corrected with clicks on other frames.
    page.keyboard.press("j")
    shown(it, "[7] ball")
    page.keyboard.press("c")
    page.locator("body[data-review=correcting]").wait_for()
    page.locator("#target", has_text="Correcting [7] ball").wait_for()
    page.keyboard.press("a")  # nothing is corrected yet
    page.locator("#failure-text", has_text="Nothing is corrected yet").wait_for()
    it.seek(0)
    it.click(98, 86)
    it.is_followed(7)
    it.seek(20)
    box = truth(CIRCLE)[20].box
    assert box is not None
    it.click((box[0] + 3 * box[2]) // 4, (box[1] + box[3]) // 2)
    it.settle()
    page.keyboard.press("a")
    shown(it, "[0]")

    # Back, accepted; taken back; accepted again.
    page.keyboard.press("k")
    page.locator("#review-why", has_text="triangle").wait_for()
    page.keyboard.press("a")
    page.locator("[data-filter=accepted]", has_text="1").wait_for()
    page.keyboard.press("Control+z")
    page.locator("[data-filter=accepted]", has_text="0").wait_for()
    page.locator("#review-why", has_text="triangle").wait_for()
    page.click("#review-accept")
    page.locator("[data-filter=accepted]", has_text="1").wait_for()
    page.locator("#review-why", has_text="circles").wait_for()
    page.keyboard.press("a")
    page.locator("#review-why", has_text="blue circle").wait_for()
    page.keyboard.press("a")
    page.locator("#review-progress-text", has_text="5 of 5").wait_for()
    assert page.locator("#review-empty").is_visible()
    page.click("[data-filter=all]")
    page.locator("#review-list .state").nth(4).wait_for()
    assert page.locator("#review-list .state").all_inner_texts() == [
        "rejected",
        "accepted",
        "corrected",
        "accepted",
        "accepted",
    ]

    # What was corrected is better than what was annotated, and becomes data.
    masks = Review(out).masks(("shapes.mp4", 7))
    true = truth(CIRCLE)
    better = sum(mask.rle.iou(true[mask.frame]) for mask in masks) / 24
    annotated = Review(out).annotated(("shapes.mp4", 7))[1].masks
    before = sum(mask.rle.iou(true[mask.frame]) for mask in annotated) / 24
    assert before < 0.6 < 0.8 < better
    file = tmp_path / "mine.jsonl"
    done = CliRunner().invoke(app, ["review", "export", str(out), "-o", str(file)])
    assert done.exit_code == 0, done.output
    items = {item.id: item for _, item in read_items(file)}
    assert list(items) == ["shapes.mp4#0", "shapes.mp4#1", "shapes.mp4#2", "stills/still.jpg#0"]
    (ball,) = items["shapes.mp4#2"].objects
    assert [region.shape for region in ball.regions] == [mask.rle for mask in masks]
    assert CliRunner().invoke(app, ["data", "check", str(file)]).exit_code == 0


def test_a_click_begins_a_correction_and_discarding_leaves_all_as_it_was(
    desk: Callable[..., Desk], url: str, out: Path
) -> None:
    it = reviewing(desk(url))
    page = it.page
    page.keyboard.press("j")
    page.locator("#review-why", has_text="triangle").wait_for()
    it.seek(20)
    box = truth(3)[20].box
    assert box is not None
    it.click((box[0] + 3 * box[2]) // 4, box[3] - 3)
    page.locator("body[data-review=correcting]").wait_for()
    it.is_followed(1)
    page.keyboard.press("x")  # while correcting: the next click excludes
    assert page.locator("#exclude").is_checked()
    page.keyboard.press("d")
    page.locator("body[data-review=looking]").wait_for()
    assert page.locator("#position").inner_text() == "20 / 23"
    page.reload()  # it comes back here
    page.locator("body[data-review=looking]").wait_for()
    shown(it, "[1]")
    assert page.url.endswith("#review")
    page.click("#home")
    page.locator("body[data-phase=empty]").wait_for()
    assert not page.url.endswith("#review")
    assert {one.state for one in Review(out)} == {"undecided"}
    it.open(CLIP)  # and the page is as ever
    it.click(84, 86)
    it.is_followed(0)
    assert not page.locator("#review-panel").is_visible()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_review(
    desk: Callable[..., Desk],
    url: str,
    axe: str,  # noqa: F811
    scheme: str,
    size: dict[str, int],
) -> None:
    it = logged_in(desk(url, color_scheme=scheme, viewport=size))
    assert problems(it, axe) == []
    reviewing_now = it.page.locator("body[data-review=looking]")
    it.page.click("#review-open")
    reviewing_now.wait_for()
    it.page.keyboard.press("x")
    it.page.locator("#review-why", has_text="triangle").wait_for()
    it.page.click("[data-filter=all]")
    it.page.locator("#review-list .state").first.wait_for()
    assert problems(it, axe) == []
    assert it.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    it.page.keyboard.press("c")
    it.page.locator("body[data-review=correcting]").wait_for()
    it.settle()
    assert problems(it, axe) == []
