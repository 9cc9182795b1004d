"""The client's HTTP: the token, trying again while the server is busy, and errors as the library's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from unipixel import errors
from unipixel.errors import ConfigError, UniPixelError

if TYPE_CHECKING:
    import httpx

Json: TypeAlias = dict[str, Any]


class ServerError(UniPixelError):
    """What the server says is wrong, or that it cannot be reached; `status` is HTTP's, 0 without an
    answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Transport:
    """Requests to one server."""

    def __init__(
        self, url: str, token: str | None, timeout: float, patience: float, http: httpx.Client | None
    ) -> None:
        try:
            import httpx
        except ImportError as error:
            raise ConfigError("the client needs httpx; install unipixel[serve]") from error
        self._patience = patience
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = http or httpx.Client(base_url=url.rstrip("/"), timeout=timeout, trust_env=False)
        self._failures = (httpx.TransportError,)

    def send(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Send a request; its JSON answer."""
        reply = self._try(method, path, None if body is None else {"json": body})
        found: dict[str, Any] = reply.json()
        return found

    def read(self, path: str) -> bytes:
        """The bytes at a path."""
        content: bytes = self._try("GET", path, None).content
        return content

    def upload(self, name: str, content: Any) -> dict[str, Any]:
        """Upload a file."""
        found: dict[str, Any] = self._try("POST", "/v1/files", {"files": {"file": (name, content)}}).json()
        return found

    def stream(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The events of a request, while they come; an error among them is raised."""
        with (
            self._reaching(),
            self._http.stream("POST", path, json={**body, "stream": True}, headers=self._headers) as reply,
        ):
            if reply.status_code >= 400:
                reply.read()
                raise _error(reply.status_code, _content(reply))
            for line in reply.iter_lines():
                if line.startswith("data: "):
                    told = json.loads(line[len("data: ") :])
                    if told.get("type") == "error":
                        raise _error(0, told)
                    yield told

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _try(self, method: str, path: str, content: dict[str, Any] | None) -> httpx.Response:
        until = time.monotonic() + self._patience
        while True:
            with self._reaching():
                reply = self._http.request(method, path, headers=self._headers, **(content or {}))
            if reply.status_code < 400:
                return reply
            wait = float(reply.headers.get("retry-after", 0) or 0)
            if reply.status_code != 429 or time.monotonic() + wait > until:
                raise _error(reply.status_code, _content(reply))
            for file in (content or {}).get("files", {}).values():
                file[1].seek(0)
            time.sleep(max(wait, 0.1))

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except self._failures as error:
            raise ServerError(
                f"the server cannot be reached, or went away ({type(error).__name__}); check that it "
                "runs, and ask again: sessions outlive a restart"
            ) from error


def _content(reply: httpx.Response) -> dict[str, Any]:
    try:
        found = reply.json()
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _error(status: int, content: dict[str, Any]) -> UniPixelError:
    """The error that the library would have raised; ServerError for what only a server can say."""
    about = content.get("error") or {}
    message = str(about.get("message") or f"the server answered {status}")
    kind = getattr(errors, str(about.get("code")), None)
    own = isinstance(kind, type) and issubclass(kind, UniPixelError) and kind is not errors.DataError
    return kind(message) if own and kind is not None else ServerError(message, status)
