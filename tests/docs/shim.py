"""Stands in for the programs that the documentation names: `shim.py PROGRAM ARGUMENTS…`.

`unipixel` and `python` run as themselves, in a process that was warmed up. `unipixel serve` comes back when
it answers. `curl` is curl, with the ids that came last in the place of `file-…`, `sess-…` and `job-…`.
`pip` and `make` only look whether what they are asked for exists: nothing is installed, no other test suite
runs.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
SERVER_SECONDS = 240
PLACEHOLDER = re.compile(r"\b(file|sess|job)-…")
ID = re.compile(r"\b(file|sess|job)-[\w-]+")


def main() -> int:
    program, *arguments = sys.argv[1:]
    port = os.environ["DOCS_PORT"]
    arguments = [argument.replace("127.0.0.1:8000", f"127.0.0.1:{port}") for argument in arguments]
    if program in ("curl", "unipixel", "python"):
        arguments = [with_ids(argument) for argument in arguments]
    if program == "unipixel" and arguments[:1] == ["serve"] and not {"-h", "--help"} & set(arguments):
        return serve(arguments, port)
    if program in ("unipixel", "python"):
        return ask(program, arguments)
    return {"curl": curl, "pip": pip, "make": make}[program](arguments)


def ask(tool: str, arguments: list[str], log: IO[bytes] | None = None) -> int:
    """Have the warm process run a command; its exit code. With a log it is left alone, and writes there: its
    process number."""
    outputs = [1, 2] if log is None else [log.fileno(), log.fileno()]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ["DOCS_SOCKET"])
        message = {
            "tool": tool,
            "arguments": arguments,
            "folder": os.getcwd(),
            "environment": dict(os.environ),
            "keep": log is not None,
        }
        socket.send_fds(connection, [json.dumps(message).encode()], [0, *outputs])
        with connection.makefile() as answer:
            process = int(answer.readline())
            return int(answer.readline()) if log is None else process


def serve(arguments: list[str], port: str) -> int:
    """Start a server, and come back when it is ready."""
    own = [] if "--port" in arguments else ["--port", port]
    kept = Path(os.environ["DOCS_SERVERS"])
    with kept.with_name("server.log").open("wb") as log:
        process = ask("unipixel", [*arguments, *own, "--no-supervise"], log)
    with kept.open("a") as file:
        file.write(f"{process}\n")
    end = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5).close()
            return 0
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        if not Path(f"/proc/{process}").exists():
            break
    print("the server does not answer:", kept.with_name("server.log").read_text(), file=sys.stderr)
    return 1


def curl(arguments: list[str]) -> int:
    real = os.environ["DOCS_CURL"]
    fails = [] if "--fail" in arguments else ["--fail-with-body"]
    done = subprocess.run(
        [real, "--silent", "--show-error", *fails, *arguments], capture_output=True, check=False
    )
    sys.stdout.buffer.write(done.stdout)
    sys.stderr.buffer.write(done.stderr)
    remember(done.stdout.decode(errors="replace"))
    return done.returncode


def remember(text: str) -> None:
    """Keep the ids that a server gave out."""
    with Path(os.environ["DOCS_IDS"]).open("a") as file:
        file.writelines(f"{match[0]}\n" for match in ID.finditer(text))


def with_ids(text: str) -> str:
    """`file-…` -> the file's id that came last."""
    known = Path(os.environ["DOCS_IDS"])
    last = {one.split("-")[0]: one for one in known.read_text().split()} if known.exists() else {}
    return PLACEHOLDER.sub(lambda match: last[match[1]], text)


def pip(arguments: list[str]) -> int:
    """Whether what would be installed is this package, with extras that it has, or one of its
    dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    command, *wanted = [one for one in arguments if not one.startswith("-")]
    for one in wanted:
        name, _, inside = one.rstrip("]").partition("[")
        if name not in (".", "unipixel", "constraints.txt"):
            print(f"pip: {one} is not of this project", file=sys.stderr)
            return 1
        unknown = [extra for extra in inside.split(",") if extra and extra not in extras]
        if unknown:
            print(f"pip: there is no extra {unknown}; there is {sorted(extras)}", file=sys.stderr)
            return 1
    return 0 if command == "install" else 1


def make(arguments: list[str]) -> int:
    """Whether the target is in the Makefile."""
    return subprocess.run(
        [os.environ["DOCS_MAKE"], "--dry-run", "-C", ROOT, *arguments], stdout=-3
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
