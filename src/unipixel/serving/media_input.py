"""From what a request calls its picture or video to an open clip: data URLs, uploaded files, and, where the
server allows it, remote URLs. Nothing is decoded before its size is known to be within the limits."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import shutil
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from pydantic import Field

from unipixel.core.media import Clip
from unipixel.core.pictures import identify
from unipixel.errors import MediaError, RequestError
from unipixel.serving.faults import Forbidden, TooLarge
from unipixel.serving.options import Limits
from unipixel.serving.prompt_schema import Strict
from unipixel.serving.store import FileStore, room

if TYPE_CHECKING:
    import httpx

MOST_REDIRECTS = 3
MOST_FILES = 2000
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that stand for IPv4 ones."""


class MediaEntry(Strict):
    """A picture or video: one of `url` (a data URL, an uploaded file's id, or a remote URL where the server
    allows it), `file_id`, and `file_ids` (its frames, a picture each). `fps` replaces the clip's clock;
    `name` is for people."""

    url: str | None = None
    file_id: str | None = None
    file_ids: Annotated[list[str], Field(min_length=1, max_length=MOST_FILES)] | None = None
    fps: Annotated[float, Field(gt=0, le=100_000)] | None = None
    name: Annotated[str, Field(max_length=200)] | None = None


@dataclass(frozen=True)
class MediaGate:
    """Brings a caller's media into a folder and opens them there."""

    files: FileStore
    limits: Limits
    allow_remote: bool

    def open(self, owner: str, media: MediaEntry, folder: Path) -> Clip:
        """The clip, whose files lie in `folder` from then on. Blocks; call it in a thread of its own.

        Raises MediaError, RequestError, Unknown, TooLarge, Forbidden or Full.
        """
        given = [one for one in (media.url, media.file_id, media.file_ids) if one is not None]
        if len(given) != 1:
            raise RequestError(f"media is one of url, file_id and file_ids; found {len(given)} of them")
        with room():
            paths = self._bring(owner, media, folder)
        return self.open_files(paths, media.fps)

    def open_files(self, paths: Sequence[Path], fps: float | None = None) -> Clip:
        """Open files that lie in the data folder, within the limits."""
        for path in paths:
            self._check_picture(path)
        clip = Clip.open(paths[0] if len(paths) == 1 else list(paths), fps)
        if clip.width * clip.height > self.limits.pixels:
            raise self._too_many(clip.width, clip.height)
        if clip.num_frames > self.limits.job_frames:
            raise TooLarge(
                f"the clip has {clip.num_frames} frames; {self.limits.job_frames} are taken at most"
            )
        return clip

    def _bring(self, owner: str, media: MediaEntry, folder: Path) -> list[Path]:
        numbers = media.file_ids or [number for number in (media.file_id,) if number is not None]
        if media.url is not None and media.url.startswith("file-"):
            numbers = [media.url]
        targets = [folder / f"media-{place:05d}" for place in range(max(1, len(numbers)))]
        for number, target in zip(numbers, targets, strict=False):
            _link(self.files.path(self.files.get(owner, number)), target)
        if not numbers:
            assert media.url is not None, "one of the three is given"
            self._bring_url(owner, media.url, targets[0])
        return targets

    def _bring_url(self, owner: str, url: str, target: Path) -> None:
        scheme = url.partition(":")[0].lower()
        if scheme == "data":
            content = read_data_url(url)
            self.files.make_room(len(content), owner)
            target.write_bytes(content)
        elif scheme in ("http", "https"):
            if not self.allow_remote:
                raise Forbidden("this server does not fetch URLs; send a data URL or upload the file")
            fetch(url, target, self.limits)
        else:
            raise RequestError("a url is a data URL, an uploaded file's id, or http(s); found something else")

    def _check_picture(self, path: Path) -> None:
        """Refuse pictures and animations by their headers."""
        picture = identify(path)
        if picture is None:
            return
        with picture:
            if picture.width * picture.height > self.limits.pixels:
                raise self._too_many(picture.width, picture.height)
            try:
                frames = getattr(picture, "n_frames", 1)
            except (OSError, SyntaxError, ValueError, EOFError) as error:
                raise MediaError("the picture is damaged; save it again") from error
        if frames * picture.width * picture.height > 20 * self.limits.pixels:
            raise TooLarge(f"the animation has {frames} frames of this size; send it as a video")

    def _too_many(self, width: int, height: int) -> TooLarge:
        return TooLarge(
            f"the picture is {width}x{height}; this server takes {self.limits.pixels} pixels at most"
        )


def read_data_url(url: str) -> bytes:
    """The content of a data URL; RequestError if it is malformed."""
    head, comma, body = url.partition(",")
    if not comma:
        raise RequestError("the data URL has no comma before its content; write data:image/png;base64,…")
    try:
        if head.endswith(";base64"):
            return base64.b64decode(unquote_to_bytes(body), validate=True)
        return unquote_to_bytes(body)
    except (binascii.Error, ValueError) as error:
        raise RequestError("the data URL's content is no base64; encode it again") from error


def _link(source: Path, target: Path) -> None:
    """The same content at another place: deleting the upload does not take it away."""
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


# Remote URLs -----------------------------------------------------------------------------------------------


def fetch(url: str, target: Path, limits: Limits) -> None:
    """Fetch a remote file: only public addresses, each redirect looked at anew, size and time limited. The
    connection goes to the very address that was checked, so a name cannot change its meaning in between.

    Raises Forbidden, TooLarge or MediaError.
    """
    import httpx

    until = time.monotonic() + limits.remote_seconds
    for _ in range(MOST_REDIRECTS + 1):
        parts = urlsplit(url)
        host, address = parts.hostname or "", public_address(url)
        pinned = parts._replace(netloc=_netloc(address, parts.port)).geturl()
        request = httpx.Request(
            "GET",
            pinned,
            headers={"host": parts.netloc.rpartition("@")[2], "accept-encoding": "identity"},
            extensions={"sni_hostname": host},
        )
        try:
            with httpx.Client(timeout=limits.remote_seconds, trust_env=False) as client:
                reply = client.send(request, stream=True)
                if reply.is_redirect:
                    url = urljoin(url, reply.headers.get("location", ""))
                    continue
                if reply.status_code != 200:
                    raise MediaError(f"the URL answered {reply.status_code}; check it")
                _save(reply, target, limits, until)
                return
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise MediaError(f"the URL could not be fetched ({type(error).__name__}); check it") from error
    raise MediaError(f"the URL redirects more than {MOST_REDIRECTS} times; give the file's own")


def _save(reply: httpx.Response, target: Path, limits: Limits, until: float) -> None:
    nbytes = 0
    with target.open("wb") as stream:
        for piece in reply.iter_raw():
            nbytes += len(piece)
            if nbytes > limits.upload:
                raise TooLarge(f"the URL's file has more than {limits.upload} bytes")
            if time.monotonic() > until:
                raise MediaError(f"the URL's file did not come within {limits.remote_seconds:g} s")
            stream.write(piece)


def public_address(url: str) -> str:
    """The address to connect to. Forbidden if the name stands for any that is not public: this machine, its
    network, metadata services."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise RequestError("the URL's port is no number from 1 to 65535") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port not in (80, 443, 8080, 8443):
        raise Forbidden("only http and https URLs on the usual ports are fetched")
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise MediaError("the URL's host is not known; check it") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
        if not (address.is_global and inner.is_global) or address.is_multicast or address in TRANSLATED:
            raise Forbidden("the URL leads to an address that is not public; upload the file instead")
    return str(addresses[0])


def _netloc(address: str, port: int | None) -> str:
    host = f"[{address}]" if ":" in address else address
    return host if port is None else f"{host}:{port}"
