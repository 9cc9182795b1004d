"""What every request passes first: the token, the size of the body, the log line and the counters."""

from __future__ import annotations

import json
import logging
import secrets
import time
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unipixel.errors import UniPixelError
from unipixel.serving.faults import Forbidden, TooLarge, Unauthorised
from unipixel.serving.options import EVERYONE
from unipixel.serving.replies import error_reply
from unipixel.serving.service import Service

access = logging.getLogger("unipixel.access")

OPEN = frozenset({"/health", "/ready"})
"""Routes that need no token."""
UPLOADS = "/v1/files"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Gatekeeper:
    """ASGI middleware. A refused request's body is never read."""

    def __init__(self, app: ASGIApp, service: Service, open_paths: frozenset[str] = OPEN) -> None:
        self._app, self._service, self._open = app, service, open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        watch = _Watch(scope, self._service)
        path = _under(self._service.options.root_path, scope)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            owner = self._owner(path, headers)
            scope.setdefault("state", {})["owner"] = watch.owner = owner
            limits = self._service.options.limits
            most = limits.upload + 2**16 if path == UPLOADS else limits.body
            receive = _limited(receive, headers.get("content-length", "0"), most)
        except UniPixelError as error:
            await error_reply(self._service, error)(scope, receive, watch.sending(send))
        else:
            try:
                await self._app(scope, receive, watch.sending(send))
            except TooLarge as error:
                if watch.status:
                    raise
                await error_reply(self._service, error)(scope, receive, watch.sending(send))
        finally:
            watch.end()

    def _owner(self, path: str, headers: dict[str, str]) -> str:
        options = self._service.options
        if not options.tokens:
            # A page elsewhere must not reach an open server on this machine through a name of its own.
            host = urlsplit(f"//{headers.get('host', '')}").hostname
            if host not in LOOPBACK | {options.host}:
                raise Forbidden("without a token, the server answers to this machine's own names only")
            if headers.get("origin") and not self._same_origin(headers):
                raise Forbidden(
                    "pages of other origins may not use this server; allow theirs when starting it"
                )
            return EVERYONE
        if path in self._open:
            return EVERYONE
        kind, _, token = headers.get("authorization", "").partition(" ")
        owner = options.owner_of(token.strip()) if kind.lower() == "bearer" else None
        if owner is None:
            raise Unauthorised("give a token of this server: Authorization: Bearer …")
        return owner

    def _same_origin(self, headers: dict[str, str]) -> bool:
        origin = headers["origin"]
        return origin in self._service.options.origins or urlsplit(origin).netloc == headers.get("host")


def _under(root_path: str, scope: Scope) -> str:
    """The path of the route, whether the proxy in front keeps its prefix or takes it away."""
    path: str = scope["path"]
    if root_path:
        route = path.removeprefix(root_path) if path.startswith(f"{root_path}/") else path
        scope["root_path"], scope["path"] = root_path, root_path + route
        return route
    return path


def _limited(receive: Receive, announced: str, most: int) -> Receive:
    """A body of at most so many bytes. Raises TooLarge, at once where the size is announced."""
    refusal = TooLarge(f"the request has more than {most} bytes; upload large files to /v1/files")
    if announced.isdigit() and int(announced) > most:
        raise refusal
    nbytes = 0

    async def limited() -> Message:
        nonlocal nbytes
        message = await receive()
        nbytes += len(message.get("body", b""))
        if nbytes > most:
            raise refusal
        return message

    return limited


class _Watch:
    """One request's log line and counters. No path, name or text of the caller is written down."""

    def __init__(self, scope: Scope, service: Service) -> None:
        self._scope, self._service, self._begun = scope, service, time.monotonic()
        self.status, self.owner = 0, "-"
        self._id = secrets.token_hex(8)

    def sending(self, send: Send) -> Send:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", self._id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        return watched

    def end(self) -> None:
        route = getattr(self._scope.get("route"), "path", "-")
        seconds = time.monotonic() - self._begun
        method = self._scope["method"] if self._scope["method"] in _METHODS else "-"
        status = self.status or int(HTTPStatus.INTERNAL_SERVER_ERROR)
        self._service.metrics.requests.labels(method, route, str(status)).inc()
        self._service.metrics.seconds.labels(route).observe(seconds)
        line = {
            "time": round(time.time(), 3),
            "request": self._id,
            "owner": self.owner,
            "method": method,
            "route": route,
            "status": status,
            "ms": round(1000 * seconds, 1),
        }
        access.info(json.dumps(line))


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
