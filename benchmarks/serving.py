"""What a server does for many at once: throughput against one client, and how it bears the load.

    python benchmarks/serving.py [--clients 32] [--seconds 60] [--rounds 3] [--alone 15] [--model
    unipixel-tiny] [--loads text,pictures,clips,clicks,mixed] [--media 8] [--fresh] [--owners 4] [--repeats
    1] [-- MORE OPTIONS OF unipixel serve]

Starts `unipixel serve` as a user would and talks to it through HTTP from this process. Each load is measured
twice in the same run: one client that waits for each answer before it asks again, for `--alone` seconds, then
all clients at once. In `mixed` each client takes the kinds in turns; with all clients it lasts `--seconds`,
`--rounds` times, and memory is read after each round. `/health` is asked twenty times a second throughout.

text: a question about a picture, answered in 4 tokens without a mask. pictures, clips: a mask is asked for in
words. clicks: an object of a clip is clicked on and followed. Pictures come as data URLs, clips as uploaded
files; `--media` of each come back again and again, as they do in conversations, which bring their picture
with every message. With `--fresh` no content comes twice.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unipixel.core.media import Clip
from unipixel.core.writing import write_video

SHAPES = Path(__file__).parents[1] / "examples" / "media" / "shapes.mp4"
MIX = ("text", "pictures", "text", "clicks", "text", "pictures", "text", "clips")
KINDS = ("text", "pictures", "clips", "clicks")
HEALTH_EVERY = 0.05
START = 120.0
HEADER = """\
| load | one client, /s | all, /s | ratio | processor ms | of all | ratio | waits, s | of all, half | 95 % |
|---|---|---|---|---|---|---|---|---|---|"""


class Talk:
    """One client's connection."""

    def __init__(self, port: int, owner: str) -> None:
        self._port, self._headers = port, {"authorization": f"Bearer {owner}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def send(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> Reply:
        """One request; a connection that was closed meanwhile is opened again."""
        headers = {**self._headers, **({"content-type": kind} if body is not None else {})}
        fresh = self._connection.sock is None
        try:
            self._connection.request(method, path, body, headers)
            found = self._connection.getresponse()
            return Reply(found.status, found.read(), float(found.headers.get("retry-after") or 0))
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return Reply(0, b"", 0.1) if fresh else self.send(method, path, body, kind)


@dataclass(frozen=True)
class Reply:
    """What came back; status 0 if nothing did."""

    status: int
    content: bytes
    retry_after: float

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class Media:
    """Pictures and clips, made of one that is there: shifted, so that no two are the same."""

    def __init__(self, number: int, folder: Path, fresh: bool) -> None:
        frames = Clip.open(SHAPES).read(range(24))
        self._fresh, self._numbers = fresh, count()
        self.pictures: list[bytes] = []
        self.clips: list[bytes] = []
        for shift in range(number):
            moved = np.roll(frames, 5 * shift, axis=2)
            buffer = BytesIO()
            Image.fromarray(moved[0]).save(buffer, "JPEG", quality=90)
            self.pictures.append(buffer.getvalue())
            write_video(folder / "clip.mp4", moved, 12.0)
            self.clips.append((folder / "clip.mp4").read_bytes())

    def picture(self, turn: int) -> bytes:
        """A picture; a fresh one has bytes behind its end that no other has."""
        return self.pictures[turn % len(self.pictures)] + (self._stamp() if self._fresh else b"")

    def clip(self, turn: int) -> bytes:
        """A clip; a fresh one has a box that means nothing."""
        free = struct.pack(">I4s", 16, b"free") + self._stamp() if self._fresh else b""
        return self.clips[turn % len(self.clips)] + free

    def _stamp(self) -> bytes:
        return struct.pack(">Q", next(self._numbers))


class Asker:
    """One client: what it asks, turn by turn."""

    def __init__(self, talk: Talk, media: Media, model: str) -> None:
        self._talk, self._media, self._model = talk, media, model
        self._uploads: dict[int, str] = {}
        self._sessions: dict[int, str] = {}

    def ask(self, kind: str, turn: int) -> Reply:
        """One request of a kind; what only prepares it is not counted (its failure is)."""
        if kind in ("text", "pictures"):
            content = base64.b64encode(self._media.picture(turn)).decode()
            part = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{content}"}}
            if kind == "text":
                return self._chat("What is in this picture?", part, 4)
            return self._chat("Where is the green circle?", part, 16)
        if kind == "clips":
            found = self._upload(turn)
            if isinstance(found, Reply):
                return found
            part = {"type": "video_url", "video_url": {"url": found}}
            return self._chat("Please segment the blue triangle in this video.", part, 16)
        return self._click(turn)

    def _chat(self, text: str, part: dict[str, Any], tokens: int) -> Reply:
        parts = [part, {"type": "text", "text": text}]
        body = {"model": self._model, "max_tokens": tokens, "messages": [{"role": "user", "content": parts}]}
        return self._talk.send("POST", "/v1/chat/completions", json.dumps(body).encode())

    def _click(self, turn: int) -> Reply:
        place = turn % len(self._media.clips)
        if place not in self._sessions or self._media._fresh:
            found = self._upload(turn)
            if isinstance(found, Reply):
                return found
            opened = self._talk.send(
                "POST", "/v1/sessions", json.dumps({"media": {"file_id": found}}).encode()
            )
            if opened.status != 201:
                return opened
            self._sessions[place] = opened.json["id"]
        path = f"/v1/sessions/{self._sessions[place]}"
        point = {"type": "point", "x": 40 + turn % 50, "y": 60, "frame": 12}
        reply = self._talk.send("POST", f"{path}/refer", json.dumps({"prompts": [point]}).encode())
        if reply.status == 200:
            self._talk.send("DELETE", f"{path}/objects/{reply.json['id']}")
        if self._media._fresh:
            self._talk.send("DELETE", path)
        return reply

    def _upload(self, turn: int) -> str | Reply:
        place = turn % len(self._media.clips)
        if place not in self._uploads or self._media._fresh:
            edge = b"--edge\r\ncontent-disposition: form-data; name=file; filename=c.mp4\r\n\r\n"
            body = edge + self._media.clip(turn) + b"\r\n--edge--\r\n"
            reply = self._talk.send("POST", "/v1/files", body, "multipart/form-data; boundary=edge")
            if reply.status != 200:
                return reply
            self._uploads[place] = reply.json["id"]
        return self._uploads[place]


@dataclass
class Tally:
    """What came of a load."""

    seconds: float = 0.0
    processor: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.statuses[200] / self.seconds if self.seconds else 0.0

    @property
    def cost(self) -> float:
        """The server's processor time for one answer, ms."""
        return 1000 * self.processor / max(1, self.statuses[200])

    def wait(self, part: float) -> float:
        return float(np.quantile(self.waits, part)) if self.waits else float("nan")


def load(server: Server, askers: Sequence[Asker], kinds: Sequence[str], seconds: float) -> Tally:
    """All clients ask one thing after the other for so long. Answers under way at the end are waited for, and
    count with the time that they take."""
    tally, lock = Tally(), threading.Lock()
    processor, begun = server.processor, time.monotonic()
    until = begun + seconds

    def go(number: int, asker: Asker) -> None:
        for turn in count(number):
            asked = time.monotonic()
            if asked >= until:
                return
            reply = asker.ask(kinds[turn % len(kinds)], turn)
            now = time.monotonic()
            with lock:
                tally.statuses[reply.status] += 1
                if reply.status == 200:
                    tally.waits.append(now - asked)
            if reply.status != 200:
                time.sleep(min(reply.retry_after or 0.1, max(0.0, until - now)))

    threads = [threading.Thread(target=go, args=pair) for pair in enumerate(askers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally.seconds, tally.processor = time.monotonic() - begun, server.processor - processor
    return tally


class Health:
    """Asks `/health` all the time."""

    def __init__(self, port: int) -> None:
        self.waits: list[float] = []
        self.failed = 0
        self._talk, self._end = Talk(port, ""), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(HEALTH_EVERY):
            begun = time.monotonic()
            ok = self._talk.send("GET", "/health").status == 200
            self.waits.append(time.monotonic() - begun)
            self.failed += not ok

    def stop(self) -> None:
        self._end.set()
        self._thread.join()


@dataclass(frozen=True)
class Server:
    """A running server: its port, and the process that does the work."""

    port: int
    pid: int

    @property
    def megabytes(self) -> float:
        """Resident memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    @property
    def processor(self) -> float:
        """Seconds of processor time so far."""
        times = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(model: str, owners: Sequence[str], options: Sequence[str]) -> Iterator[Server]:
    """`unipixel serve` with a data folder of its own, until it is no longer needed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tokens = [option for owner in owners for option in ("--token", owner)]
    command = [sys.executable, "-m", "unipixel.cli.main", "serve", "--model", model, "--port", str(port)]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        more = ["--no-supervise", "--data", f"{folder}/data", *tokens, *options]
        process = subprocess.Popen([*command, *more], stderr=log, env=os.environ.copy())
        try:
            talk, until = Talk(port, owners[0]), time.monotonic() + START
            while talk.send("GET", "/ready").status != 200:
                said = (Path(folder) / "log").read_text()
                assert process.poll() is None and time.monotonic() < until, f"it did not start:\n{said}"
                time.sleep(0.2)
            yield Server(port, process.pid)
        finally:
            process.terminate()
            process.wait(60)


def compare(server: Server, name: str, askers: Sequence[Asker], alone: float, seconds: float) -> list[Tally]:
    """One load, by one client and by all; prints its row."""
    kinds = MIX if name == "mixed" else (name,)
    load(server, askers[:1], kinds, min(alone, 3.0))  # nothing is measured cold
    one, many = load(server, askers[:1], kinds, alone), load(server, askers, kinds, seconds)
    print(
        f"| {name} | {one.rate:.2f} | {many.rate:.2f} | {many.rate / max(one.rate, 1e-9):.2f} "
        f"| {one.cost:.0f} | {many.cost:.0f} | {one.cost / max(many.cost, 1e-9):.2f} "
        f"| {one.wait(0.5):.2f} | {many.wait(0.5):.2f} | {many.wait(0.95):.2f} |",
        flush=True,
    )
    return [one, many]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a server does for many at once.")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--owners", type=int, default=4, help="tokens among which the clients are divided")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the mixed load with all clients")
    parser.add_argument("--alone", type=float, default=15.0, help="seconds of all other loads")
    parser.add_argument("--rounds", type=int, default=3, help="of the mixed load")
    parser.add_argument("--repeats", type=int, default=1, help="of everything else")
    parser.add_argument("--loads", default=",".join((*KINDS, "mixed")))
    parser.add_argument("--media", type=int, default=8, help="pictures, and as many clips")
    parser.add_argument("--fresh", action="store_true", help="no content comes twice")
    parser.add_argument("--model", default="unipixel-tiny")
    parser.add_argument("options", nargs="*", help="more for `unipixel serve`, behind --")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    names = [name for name in given.loads.split(",") if name]
    unknown = set(names) - {*KINDS, "mixed"}
    assert not unknown, f"there is no load {unknown}; there are {(*KINDS, 'mixed')}"
    owners = [f"owner-{number:04d}" for number in range(given.owners)]
    with tempfile.TemporaryDirectory() as folder:
        media = Media(given.media, Path(folder), given.fresh)
    tallies: list[Tally] = []
    with serving(given.model, owners, given.options) as server:
        talks = [Talk(server.port, owners[number % len(owners)]) for number in range(given.clients)]
        askers = [Asker(talk, media, given.model) for talk in talks]
        health = Health(server.port)
        print(HEADER, flush=True)
        for _ in range(given.repeats):
            for name in names:
                if name != "mixed":
                    tallies += compare(server, name, askers, given.alone, given.alone)
        memory = [server.megabytes]
        for _ in range(given.rounds if "mixed" in names else 0):
            tallies += compare(server, "mixed", askers, given.alone, given.seconds)
            memory.append(server.megabytes)
        health.stop()
    report(tallies, health, memory)


def report(tallies: Sequence[Tally], health: Health, memory: Sequence[float]) -> None:
    """What the loads have in common."""
    statuses = sum((tally.statuses for tally in tallies), Counter[int]())
    said = ", ".join(f"{number} x {status}" for status, number in sorted(statuses.items()))
    p50, p99 = (1000 * float(np.quantile(health.waits, part)) for part in (0.5, 0.99))
    print(f"\nanswers by status: {said}")
    print(
        f"/health: {len(health.waits)} times, {health.failed} failed, half within {p50:.0f} ms, 99 % within "
        f"{p99:.0f} ms, all within {1000 * max(health.waits):.0f} ms"
    )
    print("resident memory, MB, before the mixed load and after each round: ", end="")
    print(", ".join(f"{one:.0f}" for one in memory))


if __name__ == "__main__":
    main()
