"""Remote URLs: only where they are public, and never for ever."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import STILL

from unipixel.errors import MediaError, RequestError
from unipixel.serving import media_input
from unipixel.serving.faults import Forbidden, TooLarge
from unipixel.serving.media_input import fetch, public_address, read_data_url
from unipixel.serving.options import Limits


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
        *("224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[::ffff:127.0.0.1]"),
        *("[64:ff9b::7f00:1]", "[2002:7f00:1::]", "2130706433", "0x7f.1", "localhost"),
    ],
)
def test_private_addresses_are_refused(address: str) -> None:
    with pytest.raises((Forbidden, MediaError)):
        public_address(f"http://{address}/x.png")


@pytest.mark.parametrize("url", ["ftp://example.org/x", "http://example.org:22/x", "http:///x", "gopher://x"])
def test_other_schemes_and_ports_are_refused(url: str) -> None:
    with pytest.raises(Forbidden):
        public_address(url)


def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(host: str, port: int, **_: object) -> list[Any]:
        return [(0, 0, 0, "", ("93.184.216.34", port)), (0, 0, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with pytest.raises(Forbidden):
        public_address("https://two-faced.example/x")


class Site(BaseHTTPRequestHandler):
    """A site with a picture, redirects, and a file that does not end."""

    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        self.send_response(200 if self.path != "/missing" else 404)
        self.end_headers()
        if self.path == "/picture":
            self.wfile.write(STILL.read_bytes())
        while self.path == "/endless":
            self.wfile.write(b"x" * 1000)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The site, as if its address were public."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    check = media_input.public_address

    def shown(url: str) -> str:
        return "127.0.0.1" if url.startswith(f"http://site.example:{port}/") else check(url)

    monkeypatch.setattr(media_input, "public_address", shown)
    yield f"http://site.example:{port}"
    server.shutdown()


def test_a_public_file_is_fetched(site: str, tmp_path: Path) -> None:
    fetch(f"{site}/picture", tmp_path / "x", Limits())
    fetch(f"{site}/to//picture", tmp_path / "y", Limits())
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes() == STILL.read_bytes()


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/to/http://127.0.0.1/secret", Forbidden),
        ("/to/http://169.254.169.254/latest", Forbidden),
        ("/to/file:///etc/passwd", Forbidden),
        ("/to//to//to//to//to//picture", MediaError),
        ("/missing", MediaError),
        ("/endless", TooLarge),
    ],
)
def test_what_a_site_may_not_do(site: str, tmp_path: Path, path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        fetch(site + path, tmp_path / "x", Limits(upload=10_000))


def test_a_slow_site_is_left(site: str, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="within"):
        fetch(f"{site}/endless", tmp_path / "x", Limits(remote_seconds=0.2))


def test_data_urls() -> None:
    assert read_data_url("data:text/plain;base64,YWI=") == b"ab"
    assert read_data_url("data:,a%20b") == b"a b"
    for url in ("data:image/png", "data:;base64,a", "data:;base64,\u00e9"):
        with pytest.raises(RequestError):
            read_data_url(url)
