"""Who comes in, how much at once, and what is refused: each with its status."""

import base64
import io
import json
import logging
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from tests.serving.conftest import CLIP, ONE, OTHER, STILL, Served, data_url, upload

from unipixel.errors import ConfigError
from unipixel.serving import store
from unipixel.serving.options import Limits, ServeOptions
from unipixel.serving.worker import Work


def png_header(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG that promises so many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A small PNG with a comment that unpacks to 80 MB."""
    packed = zlib.compress(b"\0" * 80_000_000, 9)
    content = b"Comment\0\0" + packed
    crc = struct.pack(">I", zlib.crc32(b"zTXt" + content))
    return png_header(8, 8, struct.pack(">I", len(content)) + b"zTXt" + content + crc)


def chat(media: str) -> dict[str, object]:
    parts = [{"type": "image_url", "image_url": {"url": media}}, {"type": "text", "text": "What is this?"}]
    return {"model": "unipixel-tiny", "messages": [{"role": "user", "content": parts}]}


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/files", "/v1/sessions", "/v1/jobs", "/metrics", "/nowhere"]
)
@pytest.mark.parametrize("header", [None, "Bearer wrong-token", "Basic abc", "Bearer \u00e9", f"bearer{ONE}"])
def test_nobody_comes_in_without_a_token(served: Served, path: str, header: str | None) -> None:
    headers = {"authorization": header.encode("latin-1")} if header else {}
    reply = httpx.get(served.url + path, headers=headers, trust_env=False)  # type: ignore[arg-type]
    assert reply.status_code == 401 and reply.headers["www-authenticate"] == "Bearer"


def test_health_needs_no_token(served: Served) -> None:
    with served.http(None) as http:
        assert http.get("/health").json() == {"status": "ok"}
        assert http.get("/ready").status_code == 200


def test_an_open_server_answers_this_machine_only(start: Callable[..., Served], tmp_path: Path) -> None:
    with start(tokens=()).http(None) as http:
        assert http.get("/v1/models").status_code == 200
        assert http.get("/v1/models", headers={"host": "evil.example"}).status_code == 403
        assert http.get("/v1/models", headers={"origin": "https://evil.example"}).status_code == 403
    with pytest.raises(ConfigError, match="token"):
        ServeOptions(tmp_path, host="0.0.0.0")


def test_pages_elsewhere_need_to_be_allowed(start: Callable[..., Served], served: Served) -> None:
    asks = {"origin": "https://ok.example", "access-control-request-method": "POST"}
    with served.http() as http:
        assert "access-control-allow-origin" not in http.options("/v1/sessions", headers=asks).headers
    with start(origins=("https://ok.example",)).http() as http:
        allowed = http.options("/v1/sessions", headers=asks)
        assert allowed.headers["access-control-allow-origin"] == "https://ok.example"
        refused = http.options("/v1/sessions", headers={**asks, "origin": "https://evil.example"})
        assert "access-control-allow-origin" not in refused.headers


def test_it_works_under_a_prefix(start: Callable[..., Served]) -> None:
    with start(root_path="/pixel").http() as http:
        assert http.get("/pixel/v1/models").status_code == 200  # a proxy that keeps the prefix
        assert http.get("/v1/models").status_code == 200  # one that strips it
        assert http.get("/pixel/health", headers={"authorization": ""}).status_code == 200
        assert http.get("/openapi.json").json()["servers"] == [{"url": "/pixel"}]


def test_files_belong_to_their_owner(served: Served, http: httpx.Client) -> None:
    number = upload(http, STILL)
    with served.http(OTHER) as thief:
        for path in (f"/v1/files/{number}", f"/v1/files/{number}/content"):
            assert thief.get(path).status_code == 404
        assert thief.delete(f"/v1/files/{number}").status_code == 404
        assert thief.post("/v1/chat/completions", json=chat(number)).status_code == 404
        assert thief.post("/v1/sessions", json={"media": {"file_id": number}}).status_code == 404
        assert number not in thief.get("/v1/files").text
    assert http.get(f"/v1/files/{number}/content").content == STILL.read_bytes()
    part = http.get(f"/v1/files/{number}/content", headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, STILL.read_bytes()[10:20])
    assert http.delete(f"/v1/files/{number}").json()["deleted"] is True
    assert http.get(f"/v1/files/{number}").status_code == 404


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "..\\..\\x.png", "/abs/olute.png", "a\0b", "n" * 5000, ""]
)
def test_names_are_for_people_only(served: Served, http: httpx.Client, name: str) -> None:
    before = {path.parent for path in served.service.folder.root.parent.rglob("*")}
    reply = http.post("/v1/files", files={"file": (name or "x", STILL.read_bytes())})
    assert reply.status_code in (200, 400)
    if reply.status_code == 200:
        kept = reply.json()["filename"]
        assert "/" not in kept and "\\" not in kept and "\0" not in kept and len(kept) <= 200
        path = served.service.files.path(served.service.files.list(_owner(served))[-1])
        assert path.parent.parent == served.service.folder.root / "files"
        http.delete(f"/v1/files/{reply.json()['id']}")
    assert len({path.parent for path in served.service.folder.root.parent.rglob("*")} - before) <= 1


@pytest.mark.parametrize(
    "number", ["..%2F..%2Fetc%2Fpasswd", "file-../../x", "file-" + "0" * 24, "%00", "file-" + "g" * 24]
)
def test_made_up_names_lead_nowhere(http: httpx.Client, number: str) -> None:
    for path in (
        f"/v1/files/{number}",
        f"/v1/files/{number}/content",
        f"/v1/sessions/{number}",
        f"/v1/jobs/{number}",
    ):
        assert http.get(path).status_code == 404
    for media in ({"file_id": number}, {"url": number}, {"file_ids": [number]}):
        reply = http.post("/v1/sessions", json={"media": media})
        assert reply.status_code in (400, 404), reply.text


def _owner(served: Served) -> str:
    owner = served.service.options.owner_of(ONE)
    assert owner is not None
    return owner


def media_that_is_wrong() -> Iterator[tuple[str, bytes, int]]:
    yield "large", png_header(10_000, 10_000), 413
    yield "enormous", png_header(2**31 - 1, 2**31 - 1), 422
    yield "text bomb", text_bomb(), 422
    yield "empty", b"", 422
    yield "noise", bytes(range(256)) * 40, 422
    yield "cut video", CLIP.read_bytes()[:60_000], 422
    yield "cut picture", STILL.read_bytes()[:300], 422
    yield "playlist", b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", 422


WRONG = list(media_that_is_wrong())


@pytest.mark.parametrize(("what", "content", "status"), WRONG, ids=[one[0] for one in WRONG])
def test_bad_media_are_refused(
    served: Served, http: httpx.Client, what: str, content: bytes, status: int
) -> None:
    kept = len(list(served.service.folder.root.rglob("*.bin")))
    replies = [http.post("/v1/files", files={"file": ("x", content)})]
    media = "data:image/png;base64," + base64.b64encode(content).decode()
    replies.append(http.post("/v1/sessions", json={"media": {"url": media}}))
    if what == "cut picture":  # its header is whole: it shows when it is looked at
        replies = []
        chatted = http.post("/v1/chat/completions", json=chat(media))
        assert (chatted.status_code, chatted.json()["error"]["code"]) == (422, "MediaError")
    for reply in replies:
        assert reply.status_code == status, (what, reply.text)
        assert str(served.service.folder.root) not in reply.text
    assert len(list(served.service.folder.root.rglob("*.bin"))) == kept
    assert list((served.service.folder.root / "passing").iterdir()) == []


def test_a_long_header_with_few_frames_is_a_short_clip(http: httpx.Client, tmp_path: Path) -> None:
    from fractions import Fraction

    import av
    import numpy as np

    path = tmp_path / "two-hours.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(1, 720))
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * index, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(720)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    reply = http.post("/v1/sessions", json={"media": {"file_id": upload(http, path)}})
    assert reply.status_code == 201 and reply.json()["clip"]["num_frames"] == 10


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("data:image/png;base64,@@@", 400),
        ("data:image/png;base64", 400),
        ("file:///etc/passwd", 400),
        ("/etc/passwd", 400),
        ("http://127.0.0.1/x.png", 403),
        ("https://example.org/x.png", 403),
        ("", 400),
    ],
)
def test_urls_that_are_not_taken(http: httpx.Client, url: str, status: int) -> None:
    assert http.post("/v1/chat/completions", json=chat(url)).status_code == status


def test_large_requests_are_refused_before_they_are_read(start: Callable[..., Served]) -> None:
    with start(limits=Limits(body=100_000, upload=50_000)).http() as http:
        assert http.post("/v1/chat/completions", json=chat("x" * 200_000)).status_code == 413
        pieces = iter([b"x" * 50_000] * 5)
        assert http.post("/v1/chat/completions", content=pieces).status_code == 413  # without a length
        assert http.post("/v1/files", files={"file": ("x", b"x" * 200_000)}).status_code == 413
        assert http.get("/health").status_code == 200


def test_clips_over_the_limit_are_jobs(start: Callable[..., Served]) -> None:
    with start(limits=Limits(frames=10, job_frames=20, pixels=60_000)).http() as http:
        clip = data_url(CLIP, "video/mp4")
        assert http.post("/v1/files", files={"file": ("x.mp4", CLIP.read_bytes())}).status_code == 413
        assert http.post("/v1/chat/completions", json=chat(clip)).status_code == 413
        small = io.BytesIO()
        Image.new("RGB", (300, 300)).save(small, "PNG")
        assert http.post("/v1/files", files={"file": ("x.png", small.getvalue())}).status_code == 413
    with start(limits=Limits(frames=10)).http() as http:
        session = http.post("/v1/sessions", json={"media": {"url": clip}}).json()["id"]
        point = {"prompts": [{"type": "point", "x": 60, "y": 40}]}
        refused = http.post(f"/v1/sessions/{session}/refer", json=point)
        assert refused.status_code == 413 and "/v1/jobs" in refused.text
        assert http.post(f"/v1/sessions/{session}/refer", json={**point, "follow": False}).status_code == 200


def test_a_full_queue_is_429_and_time_limits_504(start: Callable[..., Served]) -> None:
    served = start(limits=Limits(waiting=1, seconds=0.5))
    gate = _Gate(served)
    with served.http() as http:
        body = chat(data_url(STILL, "image/jpeg"))
        slow = http.post("/v1/chat/completions", json=body)
        assert slow.status_code == 504
        served.service.worker.submit(Work("x", gate.until, steps=lambda _: iter(())))
        busy = http.post("/v1/chat/completions", json=body)
        assert busy.status_code == 429 and int(busy.headers["retry-after"]) >= 1
        gate.open()
        assert http.get("/health").status_code == 200


class _Gate:
    """Holds the worker up in one of its steps."""

    def __init__(self, served: Served) -> None:
        import threading
        import time

        self._event = threading.Event()
        self.until = time.monotonic() + 60
        begun = threading.Event()

        def wait(work: Work) -> Iterator[None]:
            begun.set()
            self._event.wait(20)
            yield

        served.service.worker.submit(Work("gate", self.until, steps=wait))
        assert begun.wait(10)

    def open(self) -> None:
        self._event.set()


def test_a_full_disk_is_507(served: Served, http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "RESERVE", 2**62)
    assert http.post("/v1/files", files={"file": ("x.jpg", STILL.read_bytes())}).status_code == 507
    media = {"url": data_url(STILL, "image/jpeg")}
    assert http.post("/v1/sessions", json={"media": media}).status_code == 507
    monkeypatch.undo()
    assert http.delete(f"/v1/files/{upload(http, STILL)}").status_code == 200


def test_files_beyond_the_ceiling_go_least_recent_first(start: Callable[..., Served]) -> None:
    size = STILL.stat().st_size
    with start(limits=Limits(disk=2 * size + 10)).http() as http:
        first, second = upload(http, STILL), upload(http, STILL)
        http.get(f"/v1/files/{first}")
        third = upload(http, STILL)
        there = [one["id"] for one in http.get("/v1/files").json()["data"]]
        assert there == [first, third] and second not in there


def access_records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "unipixel.access"]


def test_logs_and_metrics_hold_no_content(
    served: Served, http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "unipixel.access"):
        http.get("/v1/files/file-secretname")
        http.post("/v1/sessions", json={"media": {"url": "file:///secretname"}})
        end = time.monotonic() + 10
        while len(access_records(caplog)) < 2 and time.monotonic() < end:
            time.sleep(0.01)  # a request is logged when its answer has been sent
    lines = [json.loads(record.getMessage()) for record in access_records(caplog)]
    assert [line["status"] for line in lines] == [404, 400]
    assert lines[0]["route"] == "/v1/files/{file_id}"
    assert "secretname" not in caplog.text and ONE not in caplog.text
    assert "secretname" not in http.get("/metrics").text


def test_nonsense_is_refused_with_a_reason(http: httpx.Client) -> None:
    for body in (b"", b"{", b"[]", b"null", b'{"messages": 3}', b"[" * 100_000, b"\xff\xfe"):
        reply = http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
        assert reply.status_code in (400, 422) and reply.json()["error"]["message"], body[:20]
