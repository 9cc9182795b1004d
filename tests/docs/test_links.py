"""Links, anchors, pictures, names of options and files in the documentation lead to what is there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from tests.docs.command_line import options
from tests.docs.pages import DOCS, ROOT, anchors, links, pages, spans

FOREIGN = {"--nnodes", "--nproc-per-node", "--rdzv-backend", "--rdzv-endpoint", "--strict"}
"""Options of other programs: torchrun, mypy, mkdocs."""
STARTED_BY_FILE = ("benchmarks", "examples", "scripts", "src")
"""Where programs with options of their own lie."""


def every_page() -> list[Path]:
    return [*pages(), ROOT / "benchmarks" / "README.md"]


@pytest.mark.parametrize("page", every_page(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for target in links(page):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (
            anchor and file.suffix == ".md" and anchor not in anchors(file) and "api" not in file.parts
        ):
            lost.append(target)
    assert not lost


def nav() -> list[str]:
    """The pages that the site shows, in its order."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)
    tree = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"]
    return list(_leaves(tree))


def _leaves(tree: object):  # type: ignore[no-untyped-def]
    if isinstance(tree, str):
        yield tree
    for branch in tree if isinstance(tree, list) else tree.values() if isinstance(tree, dict) else ():
        yield from _leaves(branch)


def test_no_page_is_an_orphan() -> None:
    shown = nav()
    here = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert not here - set(shown), "pages that the site does not show"
    assert len(shown) == len(set(shown)), "a page stands twice in the menu"


@cache
def options_of_files() -> set[str]:
    """Options of programs that are started with `python FILE` or `python -m`."""
    files = [file for folder in STARTED_BY_FILE for file in (ROOT / folder).rglob("*.py")]
    added = re.compile(r'add_argument\(\s*(?:"-\w", )?"(--[a-z][a-z0-9-]+)"')
    return {name for file in files for name in added.findall(file.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("page", every_page(), ids=lambda page: str(page.relative_to(ROOT)))
def test_options_exist(page: Path) -> None:
    known = options()
    everything = FOREIGN | options_of_files() | set().union(*known.values())
    wrong = []
    for span in spans(page):
        found = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", span))
        words = re.match(r"unipixel ((?:data )?[a-z]+)", span)
        own = known.get(words[1]) if words else None
        allowed = everything if own is None else own
        wrong += [f"{name} in `{span}`" for name in found - allowed]
        if words and words[1] not in known and words[1].split()[0] not in known:
            wrong.append(f"no such command: `{span}`")
    assert not wrong


@pytest.mark.parametrize("page", every_page(), ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_the_project_exist(page: Path) -> None:
    """`model/object_memory.py` in a text is a file, from the root, the package or the page's folder."""
    roots = (ROOT, ROOT / "src", ROOT / "src" / "unipixel", page.parent)
    named = [
        span
        for span in spans(page)
        if re.fullmatch(r"(?:src/|tests/|scripts/|\w+/)[\w/.-]+\.(?:py|toml|js)", span)
    ]
    lost = [name for name in named if not any((root / name).is_file() for root in roots)]
    assert not lost


def sources() -> list[Path]:
    return [file for folder in (*STARTED_BY_FILE, "fuzz", "tests") for file in (ROOT / folder).rglob("*.py")]


def test_documents_that_the_code_names_exist() -> None:
    """`docs/parity.md` in a comment or an error is a page here, not notes that a reader has not got."""
    lost = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in sources()
        for name in re.findall(
            r"docs/[a-z_/-]+\.md|(?<![\w/.-])[a-z_]+\.md(?= section)", file.read_text("utf-8")
        )
        if not (ROOT / name).is_file()
    }
    assert not lost
