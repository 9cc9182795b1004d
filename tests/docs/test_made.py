"""What the documentation shows of the code is what the code says."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.made import ROOMS, made_pages, tables, written
from tests.docs.pages import DOCS, ROOT, read
from tests.test_imports import ALLOWED

import unipixel


def test_made_parts_are_up_to_date() -> None:
    """`scripts/check_docs.py --write` makes them anew."""
    found = made_pages()
    assert found
    stale = [str(page.relative_to(ROOT)) for page in found if written(read(page)) != read(page)]
    assert not stale, "run `python scripts/check_docs.py --write`"


def test_every_made_part_is_used() -> None:
    shown = set(re.findall(r"<!-- made: ([\w -]+) -->", "".join(map(read, made_pages()))))
    assert shown == set(tables())


def test_every_room_has_a_line() -> None:
    assert set(ROOMS) == set(ALLOWED)


def test_the_reference_holds_every_public_name() -> None:
    shown = set(re.findall(r"^::: (\S+)", "".join(map(read, (DOCS / "api").glob("*.md"))), re.M))
    assert {f"unipixel.{name}" for name in unipixel.__all__} <= shown


@pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed (unipixel[docs])"
)
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    outside = re.findall(r'<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="(?:https?:)?//[^"]*"', index)
    assert not outside, "the site can be read without anything from elsewhere"
