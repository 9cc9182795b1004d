"""Take the pictures of the page that the documents show: `python tests/serving/page/pictures.py docs/images`.

A server with the bundled model, a browser, the sample clip, and what the documents say about it; and the
review of made-up annotations of it.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.archive.annotated import shapes, still, write
from tests.serving.conftest import CLIP, Served
from tests.serving.page.conftest import PHONE, WIDE, Desk, chromium

import unipixel
from unipixel.serving.options import ServeOptions


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as data:
        out = write(Path(data) / "out", shapes(), still())
        served = Served(ServeOptions(Path(data) / "data", review=(out,)), unipixel.load("unipixel-tiny"))
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
                for name, size, scheme in (
                    ("light", WIDE, "light"),
                    ("dark", WIDE, "dark"),
                    ("phone", PHONE, "light"),
                ):
                    context = browser.new_context(
                        viewport=size, color_scheme=scheme, device_scale_factor=1.25
                    )
                    it = Desk(context.new_page(), f"{served.url}/")
                    work(it, is_phone=size is PHONE)
                    save(it.page, folder / f"page-{name}.png")
                    context.close()
                review(browser, f"{served.url}/#review", folder)
                browser.close()
        finally:
            served.stop()


def work(it: Desk, *, is_phone: bool) -> None:
    """Two objects by clicks, one by its name, and a question about two of them."""
    it.start()
    it.open(CLIP)
    for number, (name, place) in enumerate((("ball", (84, 86)), ("sail", (205, 57)))):
        it.page.keyboard.press("n")
        it.click(*place)
        it.is_followed(number)
        it.page.get_by_label(f"Name of [{number}]").fill(name)
        it.page.keyboard.press("Enter")
        it.settle()
    if is_phone:
        it.page.locator(".tabs [data-tab=conversation]").click()
    it.ask("Please segment the blue triangle in this video.")
    it.seek(7)
    it.page.get_by_role("button", name="Insert [0] into the question").hover()
    it.page.fill("#question", "What does [2] do to [0]?")
    it.page.mouse.move(2, 2)
    it.page.wait_for_timeout(400)


def review(browser: Browser, url: str, folder: Path) -> None:
    """An object on its worst frame, behind one that is decided."""
    context = browser.new_context(viewport=WIDE, device_scale_factor=1.25)
    it = Desk(context.new_page(), url)
    it.page.goto(url)
    it.page.locator("body[data-review=looking]").wait_for()
    it.page.keyboard.press("x")
    it.page.locator("#review-why", has_text="triangle").wait_for()
    it.page.click("[data-filter=all]")
    it.page.locator("#review-list .state").first.wait_for()
    it.page.mouse.move(2, 2)
    it.page.wait_for_timeout(600)
    save(it.page, folder / "review-light.png")
    context.close()


def save(page: Page, path: Path) -> None:
    page.screenshot(path=path)
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(255, kmeans=4, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
