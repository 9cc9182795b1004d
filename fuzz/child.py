"""The process in which inputs are tried: it may hang or die, and is only a child.

Told the path of an input on each line of its standard input, it answers a line of JSON. What libraries print
goes to the error stream.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import resource
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

from fuzz.target import Check
from fuzz.targets import target
from unipixel.errors import UniPixelError


def outcome(check: Check, data: bytes, folder: Path) -> dict[str, str]:
    """`kind` (taken, refused, found), `sign` that is the same for inputs of the same fate, and `told`."""
    try:
        word = check(data, folder)
        return {"kind": "taken", "sign": word, "told": ""}
    except UniPixelError as error:
        return {"kind": "refused", "sign": f"{type(error).__name__} {_plain(str(error))}", "told": str(error)}
    except Exception as error:  # whatever else comes out is what is looked for
        told = "".join(traceback.format_exception(error))
        return {"kind": "found", "sign": f"{type(error).__name__} at {_place(error)}", "told": told}


def _plain(message: str) -> str:
    """A message without what differs from input to input."""
    message = re.sub(r"'[^']*'|\"[^\"]*\"|/\S*", "_", message)
    return re.sub(r"[-0-9.]+", "0", message)[:100]


def _place(error: BaseException) -> str:
    """The innermost line of the project that the error went through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "unipixel" in Path(frame.filename).parts] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].name}" if own else "nowhere"


def empty(folder: Path) -> None:
    """A folder with nothing in it; it stays, since making one anew takes longer than most inputs."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def main() -> None:
    """Serve inputs until the standard input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    faulthandler.enable()
    faulthandler.register(signal.SIGPROF, chain=True)  # tells where, then the signal ends the process
    chosen = target(sys.argv[1])
    check = chosen.prepare()
    limit = int(chosen.gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**31, 2**31))
    print("ready", file=replies, flush=True)
    for line in sys.stdin:
        file = Path(line.rstrip("\n"))
        folder = file.parent / "work"
        empty(folder)
        data = file.read_bytes()
        signal.setitimer(signal.ITIMER_PROF, chosen.seconds)
        before = time.process_time()
        reply = outcome(check, data, folder)
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps({**reply, "seconds": time.process_time() - before}), file=replies, flush=True)


if __name__ == "__main__":
    main()
