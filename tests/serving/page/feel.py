"""How long a person waits on the page: `python tests/serving/page/feel.py http://127.0.0.1:8000/`, for a
server without a token. Measured in the browser, from letting the button go until the mask is painted."""

import statistics
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.serving.page.conftest import WIDE, Desk, chromium

ROUNDS = 7
SPOTS = ((84, 86), (205, 57), (150, 160))

WATCH = """() => {
  const canvas = document.getElementById("canvas");
  const list = document.getElementById("object-list");
  const painted = () =>
    new Promise((seen) => requestAnimationFrame(() => setTimeout(() => seen(performance.now()))));
  window.felt = [];
  canvas.addEventListener("pointerup", () => {
    const begun = performance.now();
    const found = { mask: null, following: null };
    window.felt.push(found);
    const before = list.innerText;
    new MutationObserver(async (_, observer) => {
      if (list.innerText === before) return;
      if (found.mask === null) {
        found.mask = 0;
        found.first = list.innerText;
        found.mask = (await painted()) - begun;
      } else if (list.innerText !== found.first) {
        observer.disconnect();
        found.following = (await painted()) - begun;
      }
    }).observe(list, { subtree: true, childList: true, characterData: true });
  }, true);
}"""


def main(url: str) -> None:
    masks: list[float] = []
    following: list[float] = []
    again: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        it = Desk(browser.new_page(viewport=WIDE), url)
        it.start()
        it.page.evaluate(WATCH)
        for _ in range(ROUNDS):
            clicks = measured(it)
            masks += [one["mask"] for one in clicks[:-1]]
            following += [one["following"] for one in clicks[:-1]]
            again.append(clicks[-1]["mask"])
        browser.close()
    for name, found in (
        ("click to mask on the current frame", masks),
        ("click to the first followed frame", following),
        ("click to mask while another object is followed", again),
    ):
        middle, worst = statistics.median(found), max(found)
        print(f"{name}: median {middle:.0f} ms, largest {worst:.0f} ms of {len(found)}")


def measured(it: Desk) -> list[dict[str, float]]:
    """Three objects one after the other, and one while the last is followed."""
    page: Page = it.page
    page.locator("#home").click()
    page.locator("[data-sample='shapes.mp4']").click()
    page.locator("body[data-phase=open]").wait_for()
    page.wait_for_timeout(800)
    page.evaluate("window.felt = []")
    for place in SPOTS:
        page.keyboard.press("n")
        it.click(*place)
        page.wait_for_timeout(100)
        it.settle()
    page.keyboard.press("n")
    it.click(*SPOTS[0])
    page.locator("#progress", has_text="Following").wait_for()
    page.keyboard.press("n")
    it.click(*SPOTS[1])
    page.wait_for_timeout(200)
    it.settle()
    found: list[dict[str, float]] = page.evaluate("window.felt")
    return [*found[:3], found[4]]


if __name__ == "__main__":
    main(sys.argv[1])
