"""Run tests with the lowest versions that pyproject.toml allows, or with the highest that there are.

    python scripts/check_versions.py lowest
    python scripts/check_versions.py highest
    python scripts/check_versions.py lowest --tests tests/core tests/serving

Lowest: every library that pyproject.toml names for the package, `serve` and `train` stands at its lower
bound; what these need in turn is the newest that fits. The new environment borrows torch from this Python,
so that nothing of its size is fetched: torch's own bound is not tried. Needs pip.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("serve", "train")
TOOLS = ("pytest", "hypothesis", "openai")
"""What the tests need; their versions are those of constraints.txt."""
LENT = "torch"
TELL = """
import sys
from importlib.metadata import version
print(*(f"{name}=={version(name)}" for name in sys.argv[1:]))
"""
TESTS = (
    *(
        "tests/core",
        "tests/output",
        "tests/processing",
        "tests/loading",
        "tests/model/test_weights.py",
    ),
    *("tests/model/test_backbone.py", "tests/inference/test_session_file.py", "tests/cli/test_ask.py"),
    *("tests/serving/test_openai_form.py", "tests/training/test_lora.py"),
)
"""Those in which other libraries have most to say."""
BOUND = re.compile(r"^([A-Za-z0-9_.-]+)(\[[^]]*\])?\s*>=\s*([0-9][0-9A-Za-z.]*)")


def main() -> int:
    """The command; the exit status of the tests."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("which", choices=("lowest", "highest"))
    parser.add_argument("--tests", nargs="+", default=list(TESTS), help="tests to run")
    parser.add_argument("--keep", type=Path, help="folder for the environment, which then stays")
    asked = parser.parse_args()
    place = asked.keep or Path(tempfile.mkdtemp())
    try:
        return check(place, asked.which == "lowest", asked.tests)
    finally:
        if asked.keep is None:
            shutil.rmtree(place)


def check(place: Path, lowest: bool, tests: Iterable[str]) -> int:
    """Make the environment, say what is in it, run the tests."""
    python = environment(place)
    wanted = requirements()
    given = [lowest_of(one) for one in wanted] if lowest else wanted
    tools = [line for line in (ROOT / "constraints.txt").read_text("utf-8").split() if _name(line) in TOOLS]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *given, *tools], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--editable", ROOT], check=True)
    names = sorted({_name(one) for one in wanted} | {LENT})
    subprocess.run([python, "-c", TELL, *names], check=True)
    command: list[str | Path] = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def environment(place: Path) -> Path:
    """A new environment that has torch and what torch needs, as links to this Python's; its Python."""
    venv.create(place, with_pip=True, symlinks=os.name != "nt")
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(
        subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    )
    for name in needed_by(LENT):
        for top in _tops(name):
            if not (packages / top.name).exists():
                (packages / top.name).symlink_to(top)
    return python


def needed_by(name: str, found: set[str] | None = None) -> set[str]:
    """A distribution of this Python and those it needs, extras left out."""
    found = set() if found is None else found
    if name in found:
        return found
    try:
        needs = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return found
    found.add(name)
    for need in needs:
        if "extra ==" not in need:
            needed_by(_name(need), found)
    return found


def _tops(name: str) -> set[Path]:
    """The folders and files of a distribution in the folder of packages."""
    files = metadata.files(name) or []
    folder = Path(str(metadata.distribution(name).locate_file("")))
    return {folder / file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}


def requirements() -> list[str]:
    """What pyproject.toml asks for, torch left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *(one for extra in EXTRAS for one in extras[extra])]
    return [one for one in named if _name(one) != LENT]


def lowest_of(requirement: str) -> str:
    """`av>=17,<19` -> `av==17`."""
    bound = BOUND.match(requirement)
    if bound is None:
        raise SystemExit(f"pyproject.toml: {requirement!r} has no lower bound; give one")
    return f"{bound[1]}{bound[2] or ''}=={bound[3]}"


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


if __name__ == "__main__":
    sys.exit(main())
