"""A browser on the page, where there is one."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGE = Path(__file__).parents[3] / "src" / "unipixel" / "serving" / "page"
WIDE, PHONE = {"width": 1360, "height": 860}, {"width": 390, "height": 844}
SHAPES = (256, 192)
"""Width and height of both samples."""


def chromium() -> str | None:
    """Where a browser is, if there is one."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """One for a module: while it is open, its event loop belongs to the main thread."""
    api = pytest.importorskip("playwright.sync_api", reason="needs unipixel[browser]")
    path = chromium()
    if path is None:  # a program of the system's, which neither pip nor make can install
        pytest.skip("needs a Chromium: install Debian's chromium, or name one in $CHROMIUM")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


class Desk:
    """The page in a browser, and what a person does on it."""

    def __init__(self, page: "Page", url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        page.set_default_timeout(60_000)
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _listen(self, message: Any) -> None:
        # The page asks whether a token is wanted, and whether the model is there.
        known = any(f"status of {status}" in message.text for status in (401, 503))
        if message.type in ("error", "warning") and not known:
            self.complaints.append(message.text)

    def start(self) -> None:
        self.page.goto(self.url)
        self.page.locator("body[data-phase=empty]").wait_for()

    def open(self, path: Path) -> None:
        self.page.set_input_files("#file", path)
        self.page.locator("body[data-phase=open]").wait_for()
        self.settle()

    def place(self, x: float, y: float) -> dict[str, float]:
        """Where a pixel of the whole picture is on the canvas."""
        box = self.page.locator("#canvas").bounding_box()
        assert box is not None
        scale = min((box["width"] - 32) / SHAPES[0], (box["height"] - 32) / SHAPES[1])
        left, top = (box["width"] - SHAPES[0] * scale) / 2, (box["height"] - SHAPES[1] * scale) / 2
        return {"x": left + (x + 0.5) * scale, "y": top + (y + 0.5) * scale}

    def click(self, x: float, y: float, **how: Any) -> None:
        self.page.locator("#canvas").click(position=self.place(x, y), **how)

    def drag(self, *places: tuple[float, float]) -> None:
        box = self.page.locator("#canvas").bounding_box()
        assert box is not None
        on_screen = [(box["x"] + at["x"], box["y"] + at["y"]) for at in (self.place(*one) for one in places)]
        self.page.mouse.move(*on_screen[0])
        self.page.mouse.down()
        for one in on_screen[1:]:
            self.page.mouse.move(*one, steps=4)
        self.page.mouse.up()

    def seek(self, frame: int) -> None:
        self.page.locator("#scrubber").fill(str(frame))
        self.settle()

    def settle(self) -> None:
        """Until nothing is under way."""
        self.page.wait_for_timeout(150)
        self.page.locator("#progress").wait_for(state="hidden")

    def is_followed(self, number: int, where: str = "0\N{EN DASH}23") -> None:
        """Until an object has a mask on every frame."""
        row = self.page.locator(".object", has=self.page.get_by_role("button", name=f"Select [{number}]"))
        row.locator(".where", has_text=where).wait_for()
        self.settle()

    def ask(self, text: str) -> str:
        self.page.fill("#question", text)
        before = self.page.locator(".turn.answer.done").count()
        self.page.keyboard.press("Enter")
        answer = self.page.locator(".turn.answer.done").nth(before)
        answer.wait_for()
        self.settle()
        return answer.locator(".bubble").inner_text().removeprefix("Answer: ")

    def download(self, button: str, folder: Path) -> Path:
        with self.page.expect_download() as waiting:
            self.page.click(button)
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path


@pytest.fixture
def desk(browser: "Browser") -> Iterator[Callable[..., Desk]]:
    """Opens the page of a server; what it complained of fails the test in the end."""
    opened: list[Desk] = []

    def begin(url: str, **options: Any) -> Desk:
        context = browser.new_context(**{"viewport": WIDE, "accept_downloads": True, **options})
        opened.append(Desk(context.new_page(), url))
        return opened[-1]

    yield begin
    for one in opened:
        one.page.context.close()
    assert [complaint for one in opened for complaint in one.complaints] == []
