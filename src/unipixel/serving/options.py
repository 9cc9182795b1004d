"""What a server allows, and where it keeps things."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from unipixel.errors import ConfigError

MEGABYTE = 2**20
EVERYONE = "everyone"
"""The owner of everything where no token is asked for."""


@dataclass(frozen=True)
class Limits:
    """Ceilings of one server; all are above 0.

    upload, body, memory, disk: bytes of an uploaded file, of any other request, of what clips were computed
    to, of uploaded files, sessions and jobs together. pixels: of one
    frame. frames: of a clip that is followed while the caller waits; job_frames: of a job's. waiting:
    requests that wait for the model; batch: questions answered together; active: pieces of work between
    which the model turns. seconds: from a request's arrival to its end; job_seconds: of a job. new_tokens: of
    an answer. sessions: of one owner. session_seconds, file_seconds: after their last use, sessions and
    uploaded files are deleted. remote_seconds: to fetch a remote URL.
    """

    upload: int = 512 * MEGABYTE
    body: int = 32 * MEGABYTE
    memory: int = 2048 * MEGABYTE
    disk: int = 20480 * MEGABYTE
    pixels: int = 50_000_000
    frames: int = 600
    job_frames: int = 20_000
    waiting: int = 64
    batch: int = 16
    active: int = 16
    seconds: float = 120.0
    job_seconds: float = 3600.0
    new_tokens: int = 512
    sessions: int = 100
    session_seconds: float = 3600.0
    file_seconds: float = 86400.0
    remote_seconds: float = 20.0

    def __post_init__(self) -> None:
        for one in fields(self):
            if not getattr(self, one.name) > 0:
                raise ConfigError(f"the limit {one.name} is {getattr(self, one.name)}; give one above 0")


@dataclass(frozen=True)
class ServeOptions:
    """How a server is started.

    model, device, dtype, trust_code, language, compiled: as `unipixel.load` takes them. threads: that share
    an operation on a processor, 0 for as many as pay (`warming.choose_threads`). data: the folder for
    uploads, sessions and jobs; tokens: who may come in; each token has files and sessions of its own.
    Without one everybody may, which is refused unless `host` is this machine alone. root_path: the prefix
    under which a reverse proxy shows the server. origins: of pages elsewhere that may call it.
    allow_remote: whether URLs in requests are fetched. review: folders of `unipixel annotate` that are shown
    for review to whoever may come in.

    Raises ConfigError.
    """

    data: Path
    model: str = "unipixel-tiny"
    device: str = "auto"
    dtype: str = "auto"
    host: str = "127.0.0.1"
    port: int = 8000
    tokens: tuple[str, ...] = ()
    root_path: str = ""
    origins: tuple[str, ...] = ()
    allow_remote: bool = False
    trust_code: bool = False
    language: str = "full"
    compiled: bool = False
    threads: int = 0
    review: tuple[Path, ...] = ()
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not self.tokens and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ConfigError(
                f"on {self.host} everybody in reach could use the server; give a token, or host 127.0.0.1"
            )
        if self.threads < 0:
            raise ConfigError(f"{self.threads} threads; give 1 or more, or 0 for as many as pay")
        if any(len(token) < 8 or not token.isascii() or not token.isprintable() for token in self.tokens):
            raise ConfigError("a token is 8 or more printable ASCII letters; give a longer one")
        if self.root_path and not (self.root_path.startswith("/") and not self.root_path.endswith("/")):
            raise ConfigError(f"the root path is {self.root_path!r}; write it as /prefix")
        for origin in self.origins:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.path:
                raise ConfigError(f"the origin {origin!r} is none; write it as https://example.org")

    @property
    def public_model(self) -> str:
        """What callers know the model by: no path of this machine."""
        return (
            Path(self.model).name
            if Path(self.model).is_absolute() or Path(self.model).is_dir()
            else self.model
        )

    def owner_of(self, token: str) -> str | None:
        """Who comes with a token: a name made from it; None for a wrong one. Takes the same time for all."""
        if not self.tokens:
            return EVERYONE
        given = token.encode("utf-8", "surrogateescape")
        known = [own for own in self.tokens if hmac.compare_digest(own.encode("ascii"), given)]
        return hashlib.sha256(known[0].encode("ascii")).hexdigest()[:16] if known else None
