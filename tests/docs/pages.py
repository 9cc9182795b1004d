"""The pages of the documentation: their blocks of code, links, anchors and names in `code`.

What stands right above a block says how it is treated, as an HTML comment:

    <!-- not run: needs the 3B weights -->    its commands are parsed, its Python is compiled, no more
    <!-- heavy: trains for a minute -->       runs with `scripts/check_docs.py --all` alone
    <!-- exit 1 -->                           the block ends with this exit code

A block with a title (```` ```json title="mine.jsonl" ````) is written to a file of that name, and does not
run by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUNNABLE = ("python", "sh", "bash", "console")
"""Languages of blocks that run."""
ELSEWHERE = ("http://", "https://", "mailto:")

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```[ ]*$", re.M | re.S)
_COMMENT = re.compile(r"<!--\s*(?P<text>.*?)\s*-->\s*\Z", re.S)
_TITLE = re.compile(r'title="([^"]+)"')
_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)")
_SOURCE = re.compile(r"<(?:img|a|source)\b[^>]*\b(?:src|href|srcset)=\"(?P<target>[^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} +(.+?)(?: *\{ *#([\w-]+) *\})?$", re.M)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block. line: of its fence, from 1; note: the comment right above it."""

    page: Path
    line: int
    language: str
    title: str | None
    text: str
    note: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def not_run(self) -> str | None:
        """Why it does not run."""
        return _after("not run:", self.note)

    @property
    def heavy(self) -> str | None:
        """Why it runs only when everything does."""
        return _after("heavy:", self.note)

    @property
    def exit_code(self) -> int:
        found = _after("exit ", self.note)
        return int(found) if found else 0


def _after(word: str, note: str) -> str | None:
    return note.removeprefix(word).strip() if note.startswith(word) else None


def pages() -> list[Path]:
    """README, guides and what stands beside them."""
    outside = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    return [*outside, *sorted(DOCS.rglob("*.md"))]


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = read(page)
    found = []
    for match in _FENCE.finditer(text):
        above = _COMMENT.search(text[: match.start()].split("```")[-1])
        lines = match["text"].splitlines(keepends=True)
        body = "".join(line.removeprefix(match["indent"]) for line in lines)
        title = _TITLE.search(match["info"])
        found.append(
            Block(
                page,
                text.count("\n", 0, match.start()) + 1,
                (match["info"].split() or [""])[0],
                title[1] if title else None,
                body,
                above["text"] if above else "",
            )
        )
    return found


def prose(page: Path) -> str:
    """A page without its blocks and comments."""
    return re.sub(r"<!--.*?-->", "", _FENCE.sub("", read(page)), flags=re.S)


def links(page: Path) -> list[str]:
    """Targets of links and pictures that lie in the project."""
    text = _CODE.sub("", prose(page))
    found = [match["target"] for pattern in (_LINK, _SOURCE) for match in pattern.finditer(text)]
    return [target for target in found if not target.startswith(ELSEWHERE)]


def anchors(page: Path) -> set[str]:
    """The names that links can lead to within a page."""
    found = set(re.findall(r'\bid="([^"]+)"', read(page)))
    for title, name in _HEADING.findall(prose(page)):
        found.add(name or slug(title))
    return found


def slug(title: str) -> str:
    """A heading's anchor, as code hosts and the built site make it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
    return re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def spans(page: Path) -> list[str]:
    """What stands in `code` within the text."""
    return _CODE.findall(prose(page))
