"""What goes wrong while others are served: callers who go away, disks that fill up, pictures that lie."""

import errno
import json
import time
import zlib
from collections.abc import Callable
from itertools import islice
from typing import Any

import httpx
import pytest
from tests.serving.conftest import CLIP, ONE, STILL, Served, data_url, upload, wait_until
from tests.serving.test_limits import png_header

from unipixel import Clip, Point
from unipixel.errors import OutputError
from unipixel.inference.session import Session
from unipixel.predictor import Predictor
from unipixel.serving.clips import Clips, content_of
from unipixel.serving.options import Limits
from unipixel.serving.transport import ServerError

LONG = 400


def chat(media: str, **more: Any) -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": media}}, {"type": "text", "text": "What is this?"}]
    return {"model": "unipixel-tiny", "messages": [{"role": "user", "content": parts}], **more}


def test_a_caller_who_goes_away_in_the_middle_of_a_word_leaves_the_batch(
    served: Served, http: httpx.Client
) -> None:
    """An answer that would be long (drawn so wildly that it does not end) is not written to its end."""
    wild = {"max_new_tokens": LONG, "temperature": 100, "seed": 3}
    body = {"text": "What is this?", "decoding": wild, "stream": True}
    number = http.post("/v1/sessions", json={"media": {"file_id": upload(http, STILL)}}).json()["id"]
    worker = served.service.worker
    with http.stream("POST", f"/v1/sessions/{number}/ask", json=body) as reply:
        told = [json.loads(line[6:]) for line in islice(reply.iter_lines(), 3) if line]
        assert [one["type"] for one in told] == ["words"] * len(told)
        (work,) = worker._together.asked
    begun = time.monotonic()
    wait_until(lambda: worker.num_active == 0)
    assert work.cancelled and time.monotonic() - begun < 10
    assert served.service.worker._together._rows == {}  # type: ignore[attr-defined]
    short = http.post("/v1/chat/completions", json=chat(data_url(STILL, "image/jpeg"), max_tokens=2))
    assert short.status_code == 200
    assert list((served.service.folder.root / "passing").iterdir()) == []


def test_a_disk_that_fills_up_in_the_middle_is_507_and_the_session_goes_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served.client().session(STILL) as session:
        first = session.refer(Point(60, 40))

        def full(*_: object, **__: object) -> None:
            raise OutputError("no room") from OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Session, "save", full)
        with pytest.raises(ServerError) as caught:
            session.refer(Point(20, 20))
        assert caught.value.status == 507 and "disk is full" in str(caught.value)
        monkeypatch.undo()
        assert session[0].masks == first.masks
        assert session.refer(Point(20, 20)).masks is not None


def idat_bomb() -> bytes:
    """8 x 8 pixels by its header; its content unpacks to 80 MB."""
    packed = zlib.compress(b"\0" * 80_000_000, 9)
    crc = zlib.crc32(b"IDAT" + packed)
    chunk = len(packed).to_bytes(4, "big") + b"IDAT" + packed + crc.to_bytes(4, "big")
    return png_header(8, 8, chunk)


def test_a_picture_that_unpacks_to_more_than_it_says_costs_no_memory(
    served: Served, http: httpx.Client
) -> None:
    from pathlib import Path

    def megabytes() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024

    bomb = idat_bomb()
    before = megabytes()
    reply = http.post("/v1/files", files={"file": ("x.png", bomb)})
    assert reply.status_code in (200, 422), reply.text
    if reply.status_code == 200:
        answered = http.post("/v1/sessions", json={"media": {"file_id": reply.json()["id"]}})
        assert answered.status_code in (201, 422), answered.text
    assert megabytes() - before < 60
    assert http.get("/health").status_code == 200


def test_sessions_and_jobs_count_as_what_is_kept(start: Callable[..., Served]) -> None:
    """The least recently used session goes when the data folder is too large, and uploads find no room that
    jobs take."""
    served = start(limits=Limits())  # its own, to be changed below
    client = served.client()
    first, second = client.session(STILL), client.session(STILL)
    first.refer(Point(60, 40))
    size = served.service.folder.nbytes_beside()
    assert size > 2 * STILL.stat().st_size
    object.__setattr__(served.service.options.limits, "disk", size + 500)
    third = client.session(STILL)
    with pytest.raises(ServerError, match="no session"):
        client.resume(second.id)
    assert client.resume(first.id).next_id == 1 and client.resume(third.id).next_id == 0
    served.service.files._most_bytes = served.service.folder.nbytes_beside() + 10
    with served.http() as http:
        refused = http.post("/v1/files", files={"file": ("x.jpg", STILL.read_bytes())})
    assert refused.status_code == 507 and "sessions and jobs" in refused.text


def test_a_session_says_that_the_server_was_started_again(start: Callable[..., Served]) -> None:
    served = start()
    session = served.client().session(STILL)
    session.refer(Point(60, 40))
    served.stop()
    with start().http() as http:
        path = f"/v1/sessions/{session.id}"
        assert [one["restored"] for one in http.get("/v1/sessions").json()["data"]] == [True]
        assert http.get(path).json()["restored"] is True
        http.post(f"{path}/refer", json={"prompts": [{"type": "point", "x": 9, "y": 9}]})
        assert http.get(path).json()["restored"] is False


def test_a_clip_is_computed_once_for_its_owner(opened: Predictor) -> None:
    clips = Clips(2**40)
    still, moving = Clip.open(STILL), Clip.open(CLIP)
    one = clips.open(opened, content_of("one", still), still)
    list(one.encoded.frames.walk(0, 1))
    again = clips.open(opened, content_of("one", Clip.open(STILL)), Clip.open(STILL))
    other = clips.open(opened, content_of("other", still), still)
    assert again.encoded.frames.nbytes == one.encoded.frames.nbytes > 0
    assert other.encoded.frames.nbytes == 0, "nobody learns what others asked about"
    assert content_of("one", moving) != content_of("one", still)
    assert clips.nbytes == one.nbytes
    one.close()
    clips._most_bytes = 0
    clips.shrink()
    assert again.encoded.frames.nbytes > 0, "it is in use"
    assert clips.over
    again.close()
    assert not clips.over and clips.nbytes == 0


def test_a_conversation_reads_its_picture_once(served: Served, http: httpx.Client) -> None:
    media = data_url(STILL, "image/jpeg")
    http.post("/v1/chat/completions", json=chat(media, max_tokens=2))
    before = served.service.clips.nbytes
    assert http.post("/v1/chat/completions", json=chat(media, max_tokens=2)).status_code == 200
    assert served.service.clips.nbytes == before > 0


def test_clips_are_followed_together(served: Served, http: httpx.Client) -> None:
    """Several owners' clicks at a time share the mask decoder; the metrics say so."""
    from concurrent.futures import ThreadPoolExecutor

    clip = upload(http, CLIP)
    sessions = [http.post("/v1/sessions", json={"media": {"file_id": clip}}).json()["id"] for _ in range(3)]

    def click(number: str) -> list[Any]:
        body = {"prompts": [{"type": "point", "x": 60, "y": 40}]}
        with served.http(ONE) as client:
            reply = client.post(f"/v1/sessions/{number}/refer", json=body)
            assert reply.status_code == 200, reply.text
            return [one["area"] for one in reply.json()["frames"]]

    with ThreadPoolExecutor(3) as pool:
        areas = list(pool.map(click, sessions))
    assert all(len(one) == 24 for one in areas)
    for one in areas[1:]:
        assert max(abs(a - b) for a, b in zip(one, areas[0], strict=True)) <= 2
    lines = dict(
        line.rsplit(" ", 1) for line in http.get("/metrics").text.splitlines() if "frames_together" in line
    )
    assert float(lines["unipixel_frames_together_count"]) > 0
