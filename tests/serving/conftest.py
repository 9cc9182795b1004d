"""A server in a thread of this process, with the bundled model."""

import asyncio
import base64
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import torch
import uvicorn

import unipixel
from unipixel.predictor import Predictor
from unipixel.serving.client import Client
from unipixel.serving.options import ServeOptions
from unipixel.serving.server import create_app
from unipixel.serving.service import Service

MEDIA = Path(__file__).parents[2] / "examples" / "media"
CLIP, STILL = MEDIA / "shapes.mp4", MEDIA / "still.jpg"
SEGMENT = "Please segment the blue triangle in this video."
ONE, OTHER = "token-of-one", "token-of-another"


def data_url(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


class Served:
    """A running server, and ways to talk to it."""

    def __init__(self, options: ServeOptions, opened: Predictor) -> None:
        self.app = create_app(options, opened)
        self.service: Service = self.app.state.service
        self._server = uvicorn.Server(uvicorn.Config(self.app, port=0, log_level="warning", access_log=False))
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started and self.service.ready)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._server.serve())

    def http(self, token: str | None = ONE) -> httpx.Client:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def client(self, token: str = ONE) -> Client:
        return Client(self.url, token, patience=30)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(60)
        assert not self._thread.is_alive()


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def opened() -> Iterator[Predictor]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the small model gains nothing from two, and a busy machine loses much
    yield unipixel.load("unipixel-tiny")
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def served(opened: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for two owners."""
    running = Served(ServeOptions(tmp_path_factory.mktemp("data"), tokens=(ONE, OTHER)), opened)
    yield running
    running.stop()


@pytest.fixture
def start(opened: Predictor, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts servers of one's own, which end with the test."""
    running: list[Served] = []

    def begin(**options: object) -> Served:
        given = {"data": tmp_path / "data", "tokens": (ONE, OTHER), **options}
        running.append(Served(ServeOptions(**given), opened))  # type: ignore[arg-type]
        return running[-1]

    yield begin
    for one in running:
        one.stop()


@pytest.fixture
def http(served: Served) -> Iterator[httpx.Client]:
    with served.http() as client:
        yield client


@pytest.fixture
def clip_id(http: httpx.Client) -> str:
    return upload(http, CLIP)


def upload(http: httpx.Client, path: Path) -> str:
    reply = http.post("/v1/files", files={"file": (path.name, path.read_bytes())})
    assert reply.status_code == 200, reply.text
    number: str = reply.json()["id"]
    return number
