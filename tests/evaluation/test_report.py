"""What people see of results: the table and the page."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from tests.data.published.drawing import rle, write_json
from tests.data.published.videos import frame_names, said, video
from tests.evaluation.stub import Stub, build, plan_of, run_stub

from unipixel.errors import MediaError
from unipixel.evaluation.page import Look
from unipixel.evaluation.report import table
from unipixel.evaluation.work import plan_work, score_work


def scored(name, root, folder, protocol="published", look=None):
    plan = plan_of(name, root, folder / name)
    if not plan.folder.exists():
        run_stub(plan)
    return score_work(plan_work([plan.benchmark], protocol, root, folder)[0], look=look)


def test_the_table_has_scores_counts_intervals_and_published_figures(tmp_path):
    build(tmp_path, "ref_davis17", "mevis")
    results = [scored(name, tmp_path, tmp_path / "out") for name in ("ref_davis17", "mevis_val_u")]
    lines = table(results).splitlines()
    value = results[0].results[0].score("J&F").all
    row = next(line for line in lines if "J&F" in line)
    assert row.split() == [
        "J&F",
        f"{value.value:.2f}",
        f"{value.low:.2f}",
        "-",
        f"{value.high:.2f}",
        "74.2",
        "76.4",
    ]
    assert lines[2].split()[:3] == ["ref_davis17", "published", "J"] and "13" in lines[2].split()
    assert "ref_davis17 (published): complete: all 13 samples, protocol published" in lines
    assert any("wording of the questions is the project's own" in line for line in lines)


def test_protocols_stand_side_by_side(tmp_path):
    build(tmp_path, "ref_sav_eval")
    text = table([scored("ref_sav", tmp_path, tmp_path / "out", "all")])
    assert re.search(r"^ref_sav +published", text, re.M) and re.search(r"^ +|^ref_sav +sa2va", text, re.M)
    assert text.count("67.2") == 1, "published figures belong to the published protocol"
    assert "ref_sav (sa2va): complete: all 2 samples, protocol sa2va" in text


def test_what_is_unscored_is_shown_with_its_reason(tmp_path):
    build(tmp_path, "mevis")

    def refuse(request):
        if "stay" in str(request.turns):
            raise MediaError("frame 1 is damaged")

    run_stub(plan_of("mevis_val_u", tmp_path, tmp_path / "out" / "mevis_val_u"), Stub(before=refuse))
    text = table([scored("mevis_val_u", tmp_path, tmp_path / "out")])
    assert "1 failed of 3; each counts as an empty mask" in text
    assert "bb/1: MediaError: frame 1 is damaged" in text
    assert "J of those that were answered" in text
    assert "incomplete" in text and "complete: all" not in text


# The page


class Outline(HTMLParser):
    """Tags, texts, and everything that a page would load."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.titles, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.loads += [value for name, value in attributes if name in ("src", "href")]
        self.open.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] in ("h1", "h2", "h3", "h4"):
            self.titles.append(data.strip())


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    build(root, "revos")
    meta = root / "revos" / "meta_expressions_valid_.json"
    content = json.loads(meta.read_text())
    content["videos"]["clip_c"]["expressions"]["2"] = said("<b>Who</b> sails & why?", [7], [16], type_id=1)
    write_json(meta, content)
    scored("revos", root, root / "out", "all")
    return (root / "out" / "revos" / "report.html").read_text()


def test_the_page_needs_nothing_else(page):
    outline = Outline(page)
    assert outline.loads and all(load.startswith("data:image/jpeg;base64,") for load in outline.loads)
    assert "http://" not in page and "https://" not in page


def test_the_page_has_all_parts(page):
    titles = Outline(page).titles
    for title in ("ReVOS", "Protocol published", "Protocol binary", "By type", "Worst", "Best", "By video"):
        assert title in titles, titles
    assert "&lt;b&gt;Who&lt;/b&gt; sails &amp; why?" in page, "words are words"
    assert "referring" in page and "62.1" in page


def test_cases_are_drawn_with_both_masks(page):
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(load.partition(",")[2]))) for load in Outline(page).loads
    ]
    assert all(picture.format == "JPEG" and picture.width == 256 for picture in pictures)
    first = np.asarray(pictures[0]).astype(int)
    blue = (first[..., 2] - first[..., 0] > 40).mean()
    assert 0.05 < blue < 0.6, "the predicted block of a quarter of the frame"


def many_clips(root, count):
    """A split with as many videos, each with a mask."""
    folder = root / "mevis" / "valid_u"
    videos, masks = {}, {}
    rng = np.random.default_rng(0)
    for number in range(count):
        clip = f"clip{number:03d}"
        videos[clip] = video(2, {"0": said(f"thing {number}", [0], [number])})
        masks[str(number)] = [rle((10, 10, 200, 100), width=480, height=270)] * 2
        for name in frame_names(2):
            path = folder / "JPEGImages" / clip / f"{name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = rng.integers(0, 255, (27, 48, 3), dtype=np.uint8)
            Image.fromarray(noise).resize((480, 270)).save(path)
    write_json(folder / "meta_expressions.json", {"videos": videos})
    write_json(folder / "mask_dict.json", masks)


def test_200_clips_fit_into_30_megabytes(tmp_path):
    many_clips(tmp_path, 200)
    scored("mevis_val_u", tmp_path, tmp_path / "out")
    file = tmp_path / "out" / "mevis_val_u" / "report.html"
    size = file.stat().st_size
    assert 500_000 < size < 30_000_000
    assert file.read_text().count("<details>") == 200


def test_a_full_page_says_so(tmp_path):
    many_clips(tmp_path, 6)
    scored("mevis_val_u", tmp_path, tmp_path / "out", look=Look(most_bytes=30_000))
    text = (tmp_path / "out" / "mevis_val_u" / "report.html").read_text()
    assert "pictures were left out: the page is full" in text and len(text) < 100_000


def test_words_have_a_page_too(tmp_path):
    build(tmp_path, "mvbench")
    scored("mvbench", tmp_path, tmp_path / "out")
    text = (tmp_path / "out" / "mvbench" / "report.html").read_text()
    assert "Right: B" in text and "action_count" in text and "answer: B" in text
