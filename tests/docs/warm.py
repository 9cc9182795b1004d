"""A process that has imported everything heavy, and forks for each command of the documentation.

`python -m tests.docs.warm SOCKET` waits for commands; the programs `unipixel` and `python` on the path of a
block (`tests/docs/shim.py`) send it theirs. So each command is a process of its own, and none waits for
torch.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback
import warnings

PRELOADED = (
    "peft",
    "uvicorn",
    "unipixel.archive",
    "unipixel.cli.main",
    "unipixel.data.made_up_files",
    "unipixel.evaluation.fresh_clips",
    "unipixel.evaluation.runner",
    "unipixel.loading",
    "unipixel.model.qwen2_5_vl",
    "unipixel.output.export",
    "unipixel.serving.server",
    "unipixel.training.run",
)
MESSAGE = 1 << 20


def main(path: str) -> None:
    """Serve until killed. Nothing here computes, so that forking is safe: torch has started no threads."""
    for name in PRELOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(16)
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                attend(connection)
                os._exit(0)
            connection.close()


def attend(connection: socket.socket) -> None:
    """Run one command, and tell its exit code; a caller that goes away takes it along, unless it is kept."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    content, handles, _, _ = socket.recv_fds(connection, MESSAGE, 3)
    asked = json.loads(content)
    child = os.fork()
    if child == 0:
        connection.close()
        os.setsid()
        work(asked, handles)
    connection.sendall(f"{child}\n".encode())
    for handle in handles:
        os.close(handle)
    gone = asked["keep"]
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            with contextlib.suppress(OSError):  # who asked has gone
                connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            return
        if not gone and select.select([connection], [], [], 0.02)[0] and not connection.recv(1):
            os.killpg(child, signal.SIGTERM)
            gone = True
        elif gone:
            select.select([], [], [], 0.05)


def work(asked: dict[str, object], handles: list[int]) -> None:
    """Become the command that was asked for; never returns."""
    for number, handle in enumerate(handles):
        os.dup2(handle, number)
        os.close(handle)
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(asked["environment"])  # type: ignore[call-overload]
    arguments = list(asked["arguments"])  # type: ignore[call-overload]
    code = 1
    try:
        code = run_unipixel(arguments) if asked["tool"] == "unipixel" else run_python(arguments)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if isinstance(leaving.code, str):
            print(leaving.code, file=sys.stderr)
    except BaseException:  # a forked child must end here: never go back into the server's loop
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run_unipixel(arguments: list[str]) -> int:
    from unipixel.cli.main import main as command

    sys.argv = ["unipixel", *arguments]
    command()
    return 0


def run_python(arguments: list[str]) -> int:
    """What `python ARGUMENTS` does with -c, -m or a file."""
    warnings.filterwarnings("ignore", message=".*found in sys.modules.*", category=RuntimeWarning)
    first, *rest = arguments
    sys.path[0] = ""
    if first == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path[0] = os.path.dirname(os.path.abspath(first))
        runpy.run_path(first, run_name="__main__")
    return 0


if __name__ == "__main__":
    main(sys.argv[1])
