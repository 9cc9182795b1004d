"""Build the sdist and the wheel, look into both, install the wheel into an empty environment, and
use it there.

    python scripts/check_wheel.py            # this Python lends its libraries to the new environment
    python scripts/check_wheel.py --alone    # all libraries are installed anew, as in constraints.txt

What is run from the installed package runs in an empty folder, away from the source tree. Needs pip.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import site
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "unipixel"
MOST_WHEEL, MOST_SDIST = 35 * 2**20, 35 * 2**20
"""Bytes; more is something that came in by accident."""
NEEDED = (
    "unipixel/py.typed",
    "unipixel/checkpoints/unipixel-tiny/config.json",
    "unipixel/checkpoints/unipixel-tiny/model.safetensors",
    "unipixel/checkpoints/unipixel-tiny/tokenizer.json",
    "unipixel/checkpoints/unipixel-tiny-all/config.json",
    "unipixel/checkpoints/unipixel-tiny-all/model.safetensors",
    "unipixel/checkpoints/unipixel-tiny-all/tokenizer.json",
    "unipixel/data/wordings/default.json",
    "unipixel/data/readers/names/cocostuff.txt",
)
SDIST_ROOMS = ("src", "tests", "examples", "benchmarks")
QUESTION = "Where is the green circle?"


class Wrong(Exception):
    """What is wrong with the package, for people."""


def main() -> int:
    """The command; 0 when all is well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--alone", action="store_true", help="install all libraries anew")
    parser.add_argument("--keep", type=Path, help="folder for the sdist and the wheel")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            sdist, wheel = build(folder)
            check_wheel(wheel)
            check_sdist(sdist)
            use(install(wheel, folder, asked.alone), folder)
        except Wrong as error:
            print(f"WRONG: {error}", file=sys.stderr)
            return 1
        if asked.keep:
            asked.keep.mkdir(parents=True, exist_ok=True)
            for file in (sdist, wheel):
                shutil.copy(file, asked.keep)
    print("the package is well")
    return 0


# Building and looking


def build(folder: Path) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built from it and from nothing else."""
    tools, out = folder / "tools", folder / "dist"
    python = _environment(tools)
    run([python, "-m", "pip", "install", "--quiet", "hatchling"])
    run([python, "-m", "hatchling", "build", "--target", "sdist", "--directory", out], cwd=ROOT)
    sdist = _one(out, "*.tar.gz")
    run([python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, sdist])
    return sdist, _one(out, "*.whl")


def check_wheel(wheel: Path) -> None:
    """The package, whole, and nothing beside it."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    about = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    _report(wheel, len(names), MOST_WHEEL)
    strange = sorted(name for name in names - about if not name.startswith("unipixel/"))
    _refuse(strange, f"{wheel.name} holds files outside of the package")
    _refuse(sorted(set(NEEDED) - names), f"{wheel.name} lacks files")
    _refuse(sorted(_tree() - names), f"{wheel.name} lacks files of src/unipixel")
    _refuse(sorted(names - about - _tree()), f"{wheel.name} holds files that src/unipixel does not")
    for end in ("METADATA", "entry_points.txt", "licenses/LICENSE"):
        if not any(name.endswith(f".dist-info/{end}") for name in about):
            raise Wrong(f"{wheel.name} has no {end}")


def _tree() -> set[str]:
    """Files of the package in the source tree, without what Python makes."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(PACKAGE.parent).as_posix() for path in files}


def check_sdist(sdist: Path) -> None:
    """The sources, without the golden cases."""
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    _report(sdist, len(names), MOST_SDIST)
    _refuse([name for name in names if name.startswith("tests/golden")], f"{sdist.name} holds golden cases")
    _refuse([name for name in names if "__pycache__" in name], f"{sdist.name} holds compiled files")
    for room in SDIST_ROOMS:
        if not any(name.startswith(f"{room}/") for name in names):
            raise Wrong(f"{sdist.name} has no {room}/")


def _report(file: Path, count: int, most: int) -> None:
    size = file.stat().st_size
    print(f"{file.name}: {count} files, {size / 2**20:.1f} MiB")
    if size > most:
        raise Wrong(f"{file.name} is larger than {most / 2**20:.0f} MiB")


def _refuse(names: Sequence[str], what: str) -> None:
    if names:
        raise Wrong(f"{what}: {', '.join(names[:8])}{' …' if len(names) > 8 else ''}")


# Installing and using


def install(wheel: Path, folder: Path, alone: bool) -> Path:
    """A new environment with the wheel in it; its Python."""
    place = folder / "environment"
    python = _environment(place)
    if alone:
        run([python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel])
    else:
        # Libraries of this Python; an editable installation among them does not come along.
        lent = "\n".join(site.getsitepackages())
        packages = run([python, "-c", "import site; print(site.getsitepackages()[0])"]).strip()
        (Path(packages) / "lent.pth").write_text(lent + "\n", "utf-8")
        run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed", wheel])
    where = run([python, "-c", "import unipixel; print(unipixel.__file__)"], cwd=folder).strip()
    if not Path(where).resolve().is_relative_to(place.resolve()):
        raise Wrong(f"the environment imports {where}, not what was installed")
    return python


def use(python: Path, folder: Path) -> None:
    """The command line on a picture and a video, in an empty folder."""
    away = folder / "away"
    away.mkdir()
    command = python.parent / "unipixel"
    for arguments in (["--help"], ["doctor"], ["data", "list"], ["eval", "list"]):
        told = run([command, *arguments], cwd=away)
        print(f"unipixel {' '.join(arguments)}: {len(told.splitlines())} lines")
    for name in ("still.jpg", "shapes.mp4"):
        shutil.copy(ROOT / "examples" / "media" / name, away)
        _ask(
            command,
            away,
            name,
            QUESTION if name == "still.jpg" else "Please segment the blue triangle in this video.",
        )


def _ask(command: Path, away: Path, name: str, question: str) -> None:
    told = json.loads(run([command, "ask", name, question, "--json", "-o", f"{name}.out"], cwd=away))
    if not told["objects"]:
        raise Wrong(f"unipixel ask {name}: no object; it said {told['text']!r}")
    written = sorted(path.name for path in (away / f"{name}.out").rglob("*") if path.is_file())
    if not written:
        raise Wrong(f"unipixel ask {name}: no files were written")
    count, some = len(told["objects"]), ", ".join(written[:4])
    print(f"unipixel ask {name}: {told['text']!r}, {count} object, wrote {some} …")


# Running


def _environment(place: Path) -> Path:
    """A new, empty virtual environment; its Python."""
    venv.create(place, with_pip=True, symlinks=os.name != "nt")
    return place / ("Scripts" if os.name == "nt" else "bin") / "python"


def run(command: Iterable[str | Path], cwd: Path | None = None) -> str:
    """What a command prints; Wrong with its own words when it fails. It sees no settings of this project."""
    words = [str(word) for word in command]
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["HF_HUB_OFFLINE"] = "1"
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise Wrong(f"{' '.join(words)} ended with {done.returncode}:\n{said[-2000:]}")
    return done.stdout


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise Wrong(f"{len(found)} files {pattern} were built, one was expected")
    return found[0]


if __name__ == "__main__":
    sys.exit(main())
