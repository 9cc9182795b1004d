"""What mkdocs does beyond its own: pages that lie outside docs/, and links that lead out of it.

The guides are read in the repository too, where `../CHANGELOG.md` and `../examples/…` are right. In the
site, pages of `OUTSIDE` are shown as pages, and any other file that a guide links to comes along as it is.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.docs.command_line import help_texts  # noqa: E402

OUTSIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "src/unipixel/checkpoints/unipixel-tiny/README.md": "unipixel-tiny.md",
    "src/unipixel/checkpoints/unipixel-tiny-all/README.md": "unipixel-tiny-all.md",
}
"""Files of the repository that are pages of the site, and their names there."""
INSTEAD = {"README.md": "index.md", "docs": "index.md"}
"""What the site has in the place of a file or folder."""

COMMANDS = "<!-- when built: commands -->"

_LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?(?:\s+\"[^\"]*\")?\))")
_FENCE = re.compile(r"(^ *```.*?^ *```[ ]*$|`[^`\n]+`)", re.M | re.S)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Pages from outside docs/, and the files that any page links to."""
    for origin, name in OUTSIDE.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / origin)))
    for page in [file for file in files if file.is_documentation_page()]:
        text = _FENCE.sub("", page.content_string)
        for _, target, _ in _LINK.findall(text):
            place = _place(page.src_uri, target)
            if _is_copied(place) and files.get_file_from_path(_copied(place)) is None:
                files.append(File.generated(config, _copied(place), abs_src_path=str(ROOT / place)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as they are in the site, and the help of all commands where a page wants it."""
    if COMMANDS in markdown:
        return markdown.replace(COMMANDS, help_texts())
    parts = _FENCE.split(markdown)
    return "".join(
        _code(part) if place % 2 else _LINK.sub(lambda match: _relinked(match, page.file.src_uri), part)
        for place, part in enumerate(parts)
    )


def _code(part: str) -> str:
    """Code hosts want `|` escaped in the code of tables; Python's Markdown shows the escape."""
    return part if "```" in part else part.replace("\\|", "|")


def _relinked(match: re.Match[str], page: str) -> str:
    place = _place(page, match[2])
    inside = _in_site(place)
    here = PurePosixPath(page).parent
    return match[1] + os.path.relpath(inside, here).replace(os.sep, "/") + match[3]


def _place(page: str, target: str) -> str:
    """What a link of a page means, from the root of the repository."""
    back = {name: origin for origin, name in OUTSIDE.items()}
    origin = PurePosixPath(back.get(page, f"docs/{page}"))
    return os.path.normpath(origin.parent / target).replace(os.sep, "/")


def _in_site(place: str) -> str:
    if place in OUTSIDE or place in INSTEAD:
        return (OUTSIDE | INSTEAD)[place]
    if place.startswith("docs/"):
        return place.removeprefix("docs/")
    if not _is_copied(place):
        raise PluginError(f"a link leads to {place}, which is no file of the repository")
    return _copied(place)


def _is_copied(place: str) -> bool:
    return not place.startswith("docs/") and place not in OUTSIDE | INSTEAD and (ROOT / place).is_file()


def _copied(place: str) -> str:
    """Source is shown as text, and not offered for download."""
    return f"files/{place}" + (
        "" if Path(place).suffix in (".png", ".jpg", ".svg", ".mp4", ".json", ".txt") else ".txt"
    )
