"""Every command and snippet of the README and the guides does what it says, on files that a reader has.

UNIPIXEL_DOCS=all runs heavy blocks too (`scripts/check_docs.py --all`).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.docs.command_line import commands, problem_of
from tests.docs.pages import ROOT, RUNNABLE, blocks, pages
from tests.docs.running import BlockFailed, Reader, made_files

EVERYTHING = os.environ.get("UNIPIXEL_DOCS") == "all"
NOT_RUN_AT_MOST = 1 / 4
PAGES = [page for page in pages() if any(block.language in RUNNABLE for block in blocks(page))]


def test_most_blocks_run() -> None:
    """Blocks that are not run are few, and each says why."""
    found = [block for page in pages() for block in blocks(page) if block.language in RUNNABLE]
    left = [block for block in found if block.not_run is not None]
    heavy = [block for block in found if block.heavy is not None]
    for block in (*left, *heavy):
        print(f"{block.where}: {block.note}")
    print(f"{len(found)} blocks: {len(left)} not run, {len(heavy)} heavy")
    assert all(block.not_run or block.heavy for block in (*left, *heavy)), "a reason is missing"
    assert len(left) <= NOT_RUN_AT_MOST * len(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(page: Path, tmp_path: Path, warm: Path) -> None:
    made_files(tmp_path)
    reader = Reader(tmp_path, warm, EVERYTHING)
    try:
        for block in blocks(page):
            reader.do(block)
    finally:
        reader.leave()
    print(f"{reader.count.ran} blocks ran")
    for line in (*reader.count.heavy, *reader.count.not_run):
        print(line)


# The runner itself: what a page does wrong is found.

WRONG = {
    "a failing command": "```sh\nfalse\n```",
    "an option that is not there": "```sh\nunipixel doctor --colour\n```",
    "an error in Python": "```python\nimport unipixel\nunipixel.nothing\n```",
    "another output": "```console\n$ echo one\ntwo\n```",
    "a wrong option where nothing is run": "<!-- not run: so -->\n```sh\nunipixel ask --colour a b\n```",
    "no reason": "<!-- not run: -->\n```sh\nunipixel doctor\n```",
    "another exit code": "<!-- exit 1 -->\n```sh\ntrue\n```",
    "an extra that is not there": "```sh\npip install 'unipixel[colour]'\n```",
    "a target that is not there": "```sh\nmake colour\n```",
}
RIGHT = """
```json title="folder/one.json"
{"a": 1}
```

```sh
word=$(cat folder/one.json)
python -c "import sys; print('said'); sys.exit(0)" | grep said
```

```python
number = 3
```

```console
$ echo "$word"
{"a": …}
$ python -c "print(1 + 1)"
2
```

```python
assert number == 3
```

<!-- exit 3 -->
```sh
python -c "raise SystemExit(3)"
```
"""


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_page_is_found(what: str, tmp_path: Path, warm: Path) -> None:
    with pytest.raises(BlockFailed):
        _do(WRONG[what], tmp_path, warm)


def test_a_right_page_passes(tmp_path: Path, warm: Path) -> None:
    assert _do(RIGHT, tmp_path, warm).count.ran == 5


def _do(text: str, folder: Path, warm: Path) -> Reader:
    page = ROOT / "docs" / "made-up.md"
    reader = Reader(folder, warm)
    for block in _blocks_of(text, page):
        reader.do(block)
    return reader


def _blocks_of(text: str, page: Path) -> list:  # type: ignore[type-arg]
    from unittest.mock import patch

    with patch("tests.docs.pages.read", return_value=text):
        return blocks(page)


def test_commands_are_parsed_without_being_run() -> None:
    text = "A=a unipixel serve --port 1  # so\nunipixel train stage_3_3b \\\n    root=/data --dry-run\nls"
    assert list(commands(text)) == [
        ["serve", "--port", "1"],
        ["train", "stage_3_3b", "root=/data", "--dry-run"],
    ]
    assert problem_of(["data", "check", "nowhere.jsonl", "--split", "val"]) is None
    assert "--colour" in str(problem_of(["data", "check", "nowhere.jsonl", "--colour"]))
    assert problem_of(["nothing"]) is not None
