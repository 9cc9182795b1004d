"""The page at `/`: files of the package, kept in memory, under a policy that lets in nothing from
elsewhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from unipixel.serving.faults import Unknown

FOLDER = Path(__file__).parent / "page"
INDEX = "index.html"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".mp4": "video/mp4",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "cache-control": "no-cache",  # asked for again each time, answered with 304 while nothing has changed
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
}


@dataclass(frozen=True)
class PageFile:
    """One file of the page; `tag` changes with its content."""

    content: bytes
    kind: str
    tag: str

    @staticmethod
    def read(path: Path) -> PageFile:
        content = path.read_bytes()
        return PageFile(content, KINDS[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:24]}"')

    def reply(self, request: Request) -> Response:
        """The file, or 304 to those who have it."""
        headers = {**HEADERS, "etag": self.tag}
        known = [
            tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")
        ]
        if self.tag in known:
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.kind, headers=headers)


class Page:
    """All files of the page, by their route."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            f"/page/{path.relative_to(folder).as_posix()}": PageFile.read(path)
            for path in sorted(folder.rglob("*"))
            if path.suffix in KINDS and path.name != INDEX
        }
        self._files["/"] = PageFile.read(folder / INDEX)

    @property
    def paths(self) -> frozenset[str]:
        """The routes; they need no token, for the page is where it is given."""
        return frozenset(self._files)

    def router(self) -> APIRouter:
        """Routes that give the files, and nothing else of the disk."""
        router = APIRouter(include_in_schema=False)

        @router.api_route("/", methods=["GET", "HEAD"])
        def index(request: Request) -> Response:
            return self._files["/"].reply(request)

        @router.api_route("/page/{name:path}", methods=["GET", "HEAD"])
        def file(request: Request, name: str) -> Response:
            found = self._files.get(f"/page/{name}")
            if found is None:
                raise Unknown("the page has no file of this name")
            return found.reply(request)

        return router
