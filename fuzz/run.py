"""`python -m fuzz.run TARGET [--minutes 30] [--seed 0]`: change good inputs until one does what none may.

An input whose answer is of a new kind becomes one that others are made from, so that the fuzzer finds its way
in. These are kept under `build/fuzz/TARGET`, and the next run begins with them. Findings go to `fuzz/found`,
as small as they could be made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from fuzz.target import Target
from fuzz.targets import NAMES, target

ROOT = Path(__file__).parents[1]
FOUND = ROOT / "fuzz" / "found"
LARGEST = 1 << 20
"""Bytes; inputs that grow beyond it are left."""
START_SECONDS = 1800.0
PATIENCE = 30
"""Times the processor seconds of an input that the clock may show while it waits for something."""
SHRINK_SECONDS = 40.0


@dataclass(frozen=True)
class Reply:
    """What came of an input: `kind` is taken, refused, found, hang or died; `seconds` of a processor."""

    kind: str
    sign: str
    told: str
    seconds: float = 0.0

    @property
    def is_bad(self) -> bool:
        return self.kind not in ("taken", "refused")


class Child:
    """The process that tries inputs; begun again when it is gone."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder, self.target = name, folder, target(name)
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, data: bytes) -> Reply:
        """Try one input."""
        if self._process is None:
            self._begin()
        process = self._process
        assert process is not None and process.stdin is not None
        file = self.folder / "input"
        file.write_bytes(data)
        process.stdin.write(f"{file}\n".encode())
        process.stdin.flush()
        line = self._line(PATIENCE * self.target.seconds)
        while line is None and _wants_to_run(process.pid):  # its processor time has a limit of its own
            line = self._line(PATIENCE * self.target.seconds)
        if line:
            return Reply(**json.loads(line))
        return self._gone(hung=line is None)

    def end(self) -> None:
        """Stop the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _begin(self) -> None:
        self._errors = (self.folder / "errors").open("wb")
        environment = {
            **os.environ,
            "OMP_WAIT_POLICY": "passive",
            "OMP_NUM_THREADS": "1",
            "AV_LOG_LEVEL": "quiet",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fuzz.child", self.name],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        if self._line(START_SECONDS) != b"ready\n":
            self.end()
            raise SystemExit(f"the child did not start:\n{self._said()}")

    def _line(self, seconds: float) -> bytes | None:
        """The next line; empty when the process has ended, None when it says nothing for so long."""
        assert self._process is not None and self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        return self._process.stdout.readline() if ready else None

    def _gone(self, hung: bool) -> Reply:
        assert self._process is not None
        if hung:
            self._process.send_signal(signal.SIGABRT)  # the fault handler tells where it hangs
            time.sleep(0.5)
        self._process.kill()
        code = self._process.wait()
        hung = hung or code == -signal.SIGPROF
        self._process = None
        told = self._said()
        places = [line for line in told.splitlines() if "/src/unipixel/" in line]
        where = places[0].split("/src/unipixel/")[-1][:80] if places else ""
        return Reply("hang", f"hang {where}", told) if hung else Reply("died", f"died {code} {where}", told)

    def _said(self) -> str:
        return (self.folder / "errors").read_text("utf-8", "replace")[-4000:]


def _wants_to_run(process: int) -> bool:
    """Whether a thread of a process only waits for a processor, which others have. Told by Linux alone."""
    threads = Path(f"/proc/{process}/task").glob("*/stat")
    return any(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[0] == "R" for stat in threads)


@dataclass
class Fuzzer:
    """One run."""

    name: str
    target: Target
    child: Child
    rng: Random
    pool: list[bytes] = field(default_factory=list)
    signs: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    spent: float = 0.0
    slowest: float = 0.0
    """Seconds of a processor: of all inputs, and of the slowest one."""

    def run(self, minutes: float) -> None:
        """Fuzz for so long."""
        until = time.monotonic() + 60 * minutes
        kept = ROOT / "build" / "fuzz" / self.name
        kept.mkdir(parents=True, exist_ok=True)
        seeds = self.target.seeds()
        for data in seeds:
            reply = self.try_one(data)
            if reply.kind != "taken":
                print(f"a seed is not taken: {reply.sign}\n{reply.told[-1500:]}", flush=True)
        for file in sorted(kept.iterdir()):
            self.try_one(file.read_bytes())
        self.pool = [*seeds, *self.pool]
        while time.monotonic() < until:
            base = self.rng.choice(self.pool if self.rng.random() < 0.5 else seeds)
            data = self.target.change(base, self.rng)
            if len(data) > LARGEST:
                continue
            known = len(self.pool)
            self.try_one(data)
            if len(self.pool) > known:
                (kept / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def try_one(self, data: bytes) -> Reply:
        """Try an input, keep it if its fate is new, save it if it is a finding."""
        reply = self.child.ask(data)
        self.spent += reply.seconds
        self.slowest = max(self.slowest, reply.seconds)
        self.counts[reply.kind] += 1
        if reply.sign in self.signs:
            return reply
        self.signs.add(reply.sign)
        if reply.is_bad:
            self.save(data, reply)
            self.save(self.smaller(data, reply), reply)
        else:
            self.pool.append(data)
        return reply

    def smaller(self, data: bytes, reply: Reply) -> bytes:
        """The input without what can be left out of it, found by leaving out ever shorter stretches."""
        until, size = time.monotonic() + SHRINK_SECONDS, max(1, len(data) // 2)
        while size and time.monotonic() < until:
            at = 0
            while at < len(data) and time.monotonic() < until:
                tried = data[:at] + data[at + size :]
                if self.child.ask(tried).sign == reply.sign:
                    data = tried
                else:
                    at += size
            size //= 2
        return data

    def save(self, data: bytes, reply: Reply) -> None:
        """Write a finding and what it did."""
        FOUND.mkdir(parents=True, exist_ok=True)
        name = f"{self.name}-{hashlib.sha256(reply.sign.encode()).hexdigest()[:8]}"
        (FOUND / name).write_bytes(data)
        (FOUND / f"{name}.txt").write_text(f"{reply.sign}\n\n{reply.told}", "utf-8")
        print(f"found: {reply.sign} -> fuzz/found/{name} ({len(data)} bytes)", flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        child = Child(asked.target, Path(folder))
        fuzzer = Fuzzer(asked.target, target(asked.target), child, Random(asked.seed))
        before = time.monotonic()
        try:
            fuzzer.run(asked.minutes)
        finally:
            child.end()
            minutes = (time.monotonic() - before) / 60
            print(
                f"{asked.target}: {minutes:.1f} minutes, {sum(fuzzer.counts.values())} inputs "
                f"({dict(fuzzer.counts)}), {len(fuzzer.signs)} kinds of answers, "
                f"{fuzzer.spent / 60:.1f} minutes of a processor in all, {fuzzer.slowest:.1f} s at most",
                flush=True,
            )


if __name__ == "__main__":
    main()
