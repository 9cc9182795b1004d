"""Check the documentation: snippets, links, names, made tables, and the built site.

python scripts/check_docs.py            as in the tests
python scripts/check_docs.py --all      heavy blocks too; says what ran and what did not, and why
python scripts/check_docs.py --write    make the tables anew that are made from the code
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="heavy blocks too")
    parser.add_argument("--write", action="store_true", help="make tables anew, and check nothing")
    chosen = parser.parse_args()
    if chosen.write:
        return write()
    own = {"UNIPIXEL_DOCS": "all"} if chosen.all else {}
    command = [sys.executable, "-m", "pytest", "-q", "-rP", "tests/docs"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **own}, check=False).returncode


def write() -> int:
    """Make the made parts of all pages anew."""
    sys.path.insert(0, str(ROOT))
    from tests.docs.made import made_pages, written
    from tests.docs.pages import read

    for page in made_pages():
        text = written(read(page))
        if text != read(page):
            page.write_text(text, encoding="utf-8")
            print(page.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
