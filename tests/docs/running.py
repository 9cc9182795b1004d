"""Runs the blocks of a page, in order, as a reader would: in one folder, with files that a reader could
have."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from tests.docs.command_line import commands, problem_of
from tests.docs.pages import DOCS, ROOT, RUNNABLE, Block, blocks

PROGRAMS = {"unipixel": "unipixel", "python": "python", "curl": "curl", "pip": "pip", "make": "make"}
HERE = Path(__file__).parent
STATE = ".docs"
"""Where a page's folder keeps what goes from one block to the next."""
SECONDS = 900
"""No block takes longer, even on a machine that does much else."""


class BlockFailed(AssertionError):
    """A block did not do what its page says."""


@dataclass
class Count:
    """What happened to the blocks of a page."""

    ran: int = 0
    heavy: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)


@dataclass
class Reader:
    """Somebody who does what a page says, in a folder of their own.

    warm: the socket of the warm process; everything: heavy blocks too.
    """

    folder: Path
    warm: Path
    everything: bool = False
    known: dict[str, object] = field(default_factory=lambda: {"__name__": "__main__"})
    port: int = field(default_factory=lambda: _free_port())
    count: Count = field(default_factory=Count)

    def __post_init__(self) -> None:
        programs = self.folder / STATE / "bin"
        programs.mkdir(parents=True)
        for name, program in PROGRAMS.items():
            script = programs / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{HERE / "shim.py"}" {program} "$@"\n')
            script.chmod(0o755)

    def do(self, block: Block) -> None:
        """Run one block, or what of it can be checked. Raises BlockFailed."""
        if block.title:
            target = self.folder / block.title
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        if block.title or block.language not in RUNNABLE:
            return
        if block.not_run is not None or (block.heavy is not None and not self.everything):
            self._note(block)
            check_form(block)
            return
        self.count.ran += 1
        if block.language == "python":
            self._python(block)
        elif block.language == "console":
            self._console(block)
        else:
            self._shell(block, block.text)

    def leave(self) -> None:
        """End the servers that the page has started."""
        for name in self._state("servers").split():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(name), signal.SIGTERM)

    def _note(self, block: Block) -> None:
        reason = block.not_run or block.heavy
        if not reason:
            raise BlockFailed(f"{block.where}: say why it is not run")
        notes = self.count.not_run if block.not_run else self.count.heavy
        notes.append(f"{block.where}: {reason}")

    def _state(self, name: str) -> str:
        file = self.folder / STATE / name
        return file.read_text() if file.exists() else ""

    def _python(self, block: Block) -> None:
        code = block.text.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        for kind, last in re.findall(r"^(file|sess|job)(-.+)$", self._state("ids"), re.M):
            code = code.replace(f"{kind}-…", kind + last)
        with _alone(), contextlib.chdir(self.folder), contextlib.redirect_stdout(io.StringIO()):
            try:
                exec(compile("\n" * block.line + code, str(block.page), "exec"), self.known)
            except Exception as error:  # whatever a page's code raises is that page's failure
                raise BlockFailed(f"{block.where}: {type(error).__name__}: {error}") from error

    def _console(self, block: Block) -> None:
        """`$ command` lines, each followed by lines that its output must hold; `…` stands for anything."""
        for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
            command, _, expected = part.partition("\n")
            said = self._shell(block, command)
            wanted = r"\s+".join(
                ".*?".join(re.escape(piece) for piece in word.split("…")) for word in expected.split()
            )
            if not re.search(wanted, said, re.S):
                raise BlockFailed(f"{block.where}: expected\n{expected}\nfound\n{said}")

    def _shell(self, block: Block, text: str) -> str:
        """Run lines of shell; what they said on both streams. Lines with a path that only stands for one
        (`path/to/`) are parsed."""
        own = [line for line in text.splitlines() if "path/to/" in line]
        for line in own:
            self.count.not_run.append(f"{block.where}: {line}: a path of the reader's")
            _check_lines(block, line)
        text = "\n".join(line for line in text.splitlines() if line not in own)
        kept = self.folder / STATE / "environment"
        kept.touch()
        script = (
            f"set -e -o pipefail; . {shlex.quote(str(kept))}; set -a\ntrap 'export -p > {kept}' EXIT\n{text}"
        )
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
        said = done.stdout.decode(errors="replace")
        if done.returncode != block.exit_code:
            raise BlockFailed(
                f"{block.where}: exit code {done.returncode}, not {block.exit_code}\n{text}\n{said}"
            )
        return said

    def _environment(self) -> dict[str, str]:
        state = self.folder / STATE
        own = {
            "PATH": f"{state / 'bin'}:{os.environ['PATH']}",
            "HOME": str(state),
            "XDG_CACHE_HOME": str(state / "cache"),
            "HF_HUB_OFFLINE": "1",
            "OMP_WAIT_POLICY": "passive",
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
            "COLUMNS": "120",
            "DOCS_SOCKET": str(self.warm),
            "DOCS_PORT": str(self.port),
            "DOCS_SERVERS": str(state / "servers"),
            "DOCS_IDS": str(state / "ids"),
            "DOCS_CURL": shutil.which("curl") or "/usr/bin/curl",
            "DOCS_MAKE": shutil.which("make") or "/usr/bin/make",
        }
        return {**os.environ, **own}


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """torch with one thread: beside other tests, two wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


# What does not run must at least have the right form.


def check_form(block: Block) -> None:
    """Compile Python; parse every `unipixel` command of a block of shell. Raises BlockFailed."""
    if block.language == "python":
        try:
            compile(block.text, block.where, "exec")
        except SyntaxError as error:
            raise BlockFailed(f"{block.where}: {error}") from error
        return
    _check_lines(block, block.text)


def _check_lines(block: Block, text: str) -> None:
    for line in commands(text):
        problem = problem_of(line)
        if problem:
            raise BlockFailed(f"{block.where}: {' '.join(line)}: {problem}")


def made_files(folder: Path) -> None:
    """What a reader could have: the project's examples, clips, and data of their own (the first example of
    docs/data.md, and labels of YOLO)."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    media = folder / "examples" / "media"
    (folder / "tests").mkdir()
    (folder / "tests" / "golden").symlink_to(ROOT / "tests" / "golden")
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    clips = folder / "clips"
    clips.mkdir()
    shutil.copy(media / "shapes.mp4", clips / "a.mp4")
    shutil.copy(media / "still.jpg", clips / "b.jpg")
    pictures = folder / "pictures"
    pictures.mkdir()
    Image.new("RGB", (160, 120), "grey").save(pictures / "cups.jpg")
    example = next(block for block in blocks(DOCS / "data.md") if block.language == "json")
    (folder / "mine.jsonl").write_text(json.dumps(json.loads(example.text)) + "\n", encoding="utf-8")
    (folder / "labels").mkdir()
    (folder / "labels" / "cups.txt").write_text("0 0.4 0.5 0.3 0.4\n")
    (folder / "classes.txt").write_text("cup\n")
