"""The page by keyboard, by screen reader, in light and dark, on a phone's width, with a token."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import CLIP, ONE, Served
from tests.serving.page.conftest import PHONE, WIDE, Desk

SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def axe() -> str:
    """The checker's source, from the package that carries it."""
    package = pytest.importorskip(
        "axe_playwright_python", reason="needs axe: pip install axe-playwright-python"
    )
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def opened_url(served: Served) -> str:
    return f"{served.url}/"


def logged_in(it: Desk) -> Desk:
    it.page.goto(it.url)
    it.page.fill("#token", ONE)
    it.page.keyboard.press("Enter")
    it.page.locator("body[data-phase=empty]").wait_for()
    return it


def problems(it: Desk, axe: str) -> list[str]:
    it.page.evaluate(axe + "; 0")
    found = it.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{one['id']}: {node['html'][:120]} {json.dumps(node['any'][:1])[:200]}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    desk: Callable[..., Desk], opened_url: str, axe: str, scheme: str, size: dict[str, int]
) -> None:
    """On every screen: the token, the first one, work with objects and answers, and each dialog."""
    it = desk(opened_url, color_scheme=scheme, viewport=size)
    page = it.page
    page.goto(it.url)
    page.locator("#login[open]").wait_for()
    assert problems(it, axe) == []
    logged_in(it)
    assert problems(it, axe) == []
    it.open(CLIP)
    it.click(84, 86)
    it.is_followed(0)
    if size is PHONE:
        page.locator(".tabs [data-tab=conversation]").click()
    it.ask("What does [0] do?")
    assert problems(it, axe) == []
    if size is PHONE:
        page.locator(".tabs [data-tab=objects]").click()
        assert problems(it, axe) == []
    for button in ("#show-help", "#show-export", "#show-code"):
        page.click(button)
        assert problems(it, axe) == []
        page.keyboard.press("Escape")
    _fail(it)
    assert problems(it, axe) == []


def _fail(it: Desk) -> None:
    """Something goes wrong: a file that is none."""
    it.page.set_input_files("#file", {"name": "x.mp4", "mimeType": "video/mp4", "buffer": b"no video"})
    it.page.locator("#failure").wait_for()
    it.complaints.clear()  # the browser tells of the 422, too


@pytest.mark.parametrize("width", [320, 390, 760, 1024])
def test_no_screen_scrolls_sideways(desk: Callable[..., Desk], opened_url: str, width: int) -> None:
    it = logged_in(desk(opened_url, viewport={"width": width, "height": 780}))
    _fits(it, width)
    it.open(CLIP)
    it.click(84, 86)
    it.is_followed(0)
    it.page.keyboard.press("b")
    _fits(it, width)
    for button in ("#show-help", "#show-export", "#show-code"):
        it.page.click(button)
        _fits(it, width)
        it.page.keyboard.press("Escape")
    canvas = it.page.locator("#canvas").bounding_box()
    assert canvas is not None
    assert canvas["height"] > 180  # there is room for the picture


def _fits(it: Desk, width: int) -> None:
    assert it.page.evaluate("document.documentElement.scrollWidth") <= width
    wide: Any = it.page.evaluate(
        "[...document.querySelectorAll('body *')].filter(one => one.getBoundingClientRect().right > "
        "innerWidth + 1 && !one.closest('.skip, .visually-hidden, pre, dialog:not([open])')"
        " && one.getClientRects().length).map(one => one.outerHTML.slice(0, 90))"
    )
    assert wide == []


def test_everything_can_be_done_by_keyboard(desk: Callable[..., Desk], opened_url: str) -> None:
    it = logged_in(desk(opened_url))
    page = it.page
    _tab_to(it, "Moving shapes")
    page.keyboard.press("Enter")
    page.locator("body[data-phase=open]").wait_for()
    assert "is open: a video of 24 frames" in _said(it)
    _tab_to(it, "Frame. Arrow keys")
    page.keyboard.press("ArrowLeft")  # shows the crosshair, in the middle
    for _ in range(9):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    it.is_followed(0)
    assert _said(it) == "[0] on 24 of 24 frames"
    page.keyboard.press("End")
    assert page.locator("#position").inner_text() == "23 / 23"
    page.keyboard.press(",")
    assert page.get_by_role("slider", name="Frame").get_attribute("aria-valuetext") == (
        "frame 22 of 0 to 23, 0:02.75"
    )
    page.keyboard.press("/")
    page.keyboard.type("What is [0]?")
    page.keyboard.press("Enter")
    page.locator(".turn.answer.done").wait_for()
    it.settle()
    assert _said(it).startswith(("Answer: ", "["))
    page.locator("#canvas").focus()
    page.keyboard.press("Control+z")
    it.settle()
    assert (
        _said(it)
        == "Taken back: question \N{LEFT DOUBLE QUOTATION MARK}What is [0]?\N{RIGHT DOUBLE QUOTATION MARK}"
    )
    page.keyboard.press("1")
    page.keyboard.press("Delete")
    it.settle()
    assert _said(it) == "[0] removed"
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Help and shortcuts").is_visible()
    page.get_by_label("Single keys are shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.locator("#canvas").focus()
    page.keyboard.press("?")
    assert not page.get_by_role("dialog", name="Help and shortcuts").is_visible()


def _tab_to(it: Desk, name: str) -> None:
    for _ in range(40):
        it.page.keyboard.press("Tab")
        words = it.page.evaluate(
            "(document.activeElement.getAttribute('aria-label') ?? '') + document.activeElement.innerText"
        )
        if name in words:
            return
    raise AssertionError(f"the focus never comes to {name!r}")


def _said(it: Desk) -> str:
    it.page.wait_for_timeout(120)
    return it.page.locator("#announcements").inner_text()


def test_a_token_is_asked_for_and_kept_for_the_tab(desk: Callable[..., Desk], opened_url: str) -> None:
    it = desk(opened_url)
    page = it.page
    page.goto(it.url)
    page.fill("#token", "wrong-token")
    page.keyboard.press("Enter")
    page.locator("#login-failed").wait_for()
    page.fill("#token", ONE)
    page.keyboard.press("Enter")
    page.locator("body[data-phase=empty]").wait_for()
    page.reload()
    page.locator("body[data-phase=empty]").wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    it.open(CLIP)
    it.click(84, 86)
    it.is_followed(0)
    assert len(asked) > 5
    assert all(ONE not in url and url.startswith(opened_url) for url in [*asked, page.url])
    assert ONE not in page.evaluate("JSON.stringify(localStorage)")


def test_what_goes_wrong_is_told_with_what_to_do(desk: Callable[..., Desk], opened_url: str) -> None:
    it = logged_in(desk(opened_url))
    _fail(it)
    assert it.page.locator("#failure").get_attribute("role") == "alert"
    assert "x.mp4:" in it.page.locator("#failure-text").inner_text()
    it.page.click("#dismiss")
    it.open(CLIP)  # and the page goes on
    it.page.context.set_offline(True)
    it.click(84, 86)
    it.page.locator("#failure-text", has_text="Check that it runs, then try again").wait_for()
    it.page.context.set_offline(False)
    it.click(84, 86)
    it.is_followed(0)
    assert not it.page.locator("#failure").is_visible()
    it.complaints.clear()


def test_the_page_works_under_a_prefix_of_a_proxy(
    desk: Callable[..., Desk], start: Callable[..., Served]
) -> None:
    it = desk(f"{start(root_path='/pixel', tokens=()).url}/pixel/")
    it.start()
    it.page.click("[data-sample='shapes.mp4']")
    it.page.locator("body[data-phase=open]").wait_for()
    it.click(84, 86)
    it.is_followed(0)
