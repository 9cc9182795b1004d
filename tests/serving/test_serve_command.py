"""`unipixel serve` as a process: it starts again when it is killed, and sessions outlive that."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.serving.conftest import CLIP, ONE, STILL, wait_until

from unipixel import Point
from unipixel.serving.client import Client
from unipixel.serving.transport import ServerError

START = 120
BUSY = 5
"""So many times the limit is still no failure of a test: machines that run tests are busy."""


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


@pytest.fixture
def process(tmp_path: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "unipixel.cli.main", "serve", "--port", str(port)]
    environment = {**os.environ, "UNIPIXEL_TOKEN": ONE}
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen([*command, "--data", str(tmp_path / "data")], env=environment, stderr=log)
        yield running
        if running.poll() is None:
            running.terminate()
            running.wait(60)


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found through /proc")
def test_a_killed_server_starts_again(process: "subprocess.Popen[bytes]", port: int, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{port}"
    client = Client(url, ONE)

    def ready() -> bool:
        assert process.poll() is None, (tmp_path / "log").read_text()
        try:
            return httpx.get(f"{url}/ready", trust_env=False, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(ready, START)
    session, other = client.session(STILL), client.session(STILL)
    known = session.refer(Point(60, 40), name="kept")
    apart = other.refer(Point(20, 20))
    (child,) = children(process.pid)
    os.kill(child, signal.SIGKILL)
    time.sleep(0.2)
    with pytest.raises(ServerError, match="sessions outlive a restart"):
        session.refer(Point(60, 40))
    wait_until(ready, START)
    again = client.resume(session.id)
    assert again[0].masks == known.masks
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {ONE}"}, trust_env=False) as http:
        told = {one["id"]: one["restored"] for one in http.get("/v1/sessions").json()["data"]}
    assert told == {session.id: True, other.id: True}, "those who were not there are told"
    assert other[0].masks == apart.masks
    assert children(process.pid) != [child]
    process.terminate()
    assert process.wait(60) == 0
    log = (tmp_path / "log").read_text()
    assert "killed by signal 9" in log
    assert ONE not in log and str(STILL) not in log


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found through /proc")
def test_the_first_click_of_a_fresh_server_is_quick(
    process: "subprocess.Popen[bytes]", port: int, tmp_path: Path
) -> None:
    """On a quiet machine 0.3 s until the mask, 1 s until the first frames; tests run on busy ones."""
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/ready", trust_env=False, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(ready, START)
    client = Client(url, ONE)
    body = {"prompts": [{"type": "point", "x": 60, "y": 40, "frame": 12}]}
    with client.session(CLIP) as session:
        begun = time.monotonic()
        told = client._transport.stream(f"/v1/sessions/{session.id}/refer", body)
        assert next(told)["progress"]["what"] == "prompted"
        clicked = time.monotonic() - begun
        for _ in range(4):
            next(told)
        followed = time.monotonic() - begun
    assert clicked < BUSY * 0.3 and followed < BUSY * 1.0, (clicked, followed)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "token"),
        (["--token", "short"], "8 or more"),
        (["--model", "unipixel-tny"], "did you mean"),
        (["--root-path", "nope"], "/prefix"),
        (["--max-batch", "0"], "batch"),
        (["--threads", "-1"], "threads"),
    ],
)
def test_wrong_options_are_one_line(options: list[str], words: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "UNIPIXEL_TOKEN"}
    found = subprocess.run(
        [sys.executable, "-m", "unipixel.cli.main", "serve", "--data", str(tmp_path), *options],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert found.returncode == 2 and words in found.stderr and "Traceback" not in found.stderr
