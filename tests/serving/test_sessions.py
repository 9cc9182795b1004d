"""Sessions through the client are the library's sessions; and nobody sees another one's."""

import asyncio
import io
import json
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from tests.serving.conftest import CLIP, ONE, OTHER, SEGMENT, STILL, Served, upload, wait_until

from unipixel import Box, Clip, Decoding, PixelQaWording, Point, Progress, RegionMask, Scribble
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.response import Response
from unipixel.errors import MediaError, PromptError, RequestError, SessionError
from unipixel.predictor import Predictor
from unipixel.serving.client import Client
from unipixel.serving.options import Limits
from unipixel.serving.remote_session import RemoteAnswerStream
from unipixel.serving.transport import ServerError

RLE_FRAME = {
    "index": 0,
    "present": True,
    "score": 1.0,
    "area": 0,
    "rle": {"size": [192, 256], "counts": "PPo2"},
}


@pytest.fixture
def client(served: Served) -> Client:
    return served.client()


def assert_same(one: Response, other: Response) -> None:
    assert (one.text, one.raw_text, one.mentions) == (other.text, other.raw_text, other.mentions)
    assert (one.frames_seen, one.finish_reason) == (other.frames_seen, other.finish_reason)
    assert [(a.id, a.name, a.masks) for a in one.objects] == [(b.id, b.name, b.masks) for b in other.objects]


def test_a_session_is_the_library_s_session(client: Client, opened: Predictor) -> None:
    heard: list[Progress] = []
    frames = Clip.open(CLIP).read(range(6))
    with opened.session(frames) as own, client.session(frames, on_progress=heard.append) as far:
        assert (far.num_frames, far.width, far.height) == (6, own.clip.width, own.clip.height)
        for session in (own, far):
            session.refer(Point(60, 40, frame=2), name="clicked")
            session.refer(Box(20, 20, 90, 90, frame=1), follow=False)
            session.correct(0, [Point(20, 30, frame=4), Point(5, 5, frame=4, positive=False)])
        assert_same(own.ask(SEGMENT, decoding=Decoding(8)), far.ask(SEGMENT, decoding=Decoding(8)))
        asked = "What does [0] do?", {9: Scribble(((30, 30), (60, 60)), 3)}
        expected = own.ask(*asked, decoding=Decoding(6))
        stream = far.stream(*asked, decoding=Decoding(6))
        assert "".join(stream) == expected.text
        assert_same(stream.response, expected)
        assert dict(far.track([1])) == dict(own.track([1]))
        own.rename(1, "renamed"), far.rename(1, "renamed")
        assert own.merge([0, 1]).masks == far.merge([0, 1]).masks
        own.add(own[0].masks, "added"), far.add(own[0].masks, "added")  # type: ignore[arg-type]
        own.remove(0), far.remove(0)
        assert far.next_id == own.next_id
        for a, b in zip(own.objects, far.objects, strict=True):
            assert (a.id, a.name, a.origin, a.masks) == (b.id, b.name, b.origin, b.masks)
        assert (far.show(2) == own.show(2)).all()
        with pytest.raises(SessionError, match=r"no object \[0\]"):
            far.ask("What is [0]?")
        with pytest.raises(PromptError, match="outside"):
            far.refer(Point(9999, 1))
    assert heard[-1].done == heard[-1].total == 6
    with pytest.raises(ServerError, match="no session"):
        client.resume(far.id)


def test_an_answer_that_was_not_read_to_its_end_says_so() -> None:
    def events() -> Iterator[dict[str, Any]]:
        yield {"type": "words", "text": "Here"}
        raise KeyboardInterrupt

    stream = RemoteAnswerStream(events())
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    with pytest.raises(SessionError, match="ask again"):
        _ = stream.response


def test_one_question_is_the_library_s_answer(client: Client, opened: Predictor) -> None:
    mask = np.zeros((192, 256), dtype=bool)
    mask[40:80, 30:90] = True
    prompts = [RegionMask(mask), Point(20, 20)]
    text, short = "What are [0] and [1]?", Decoding(6)
    still = Clip.open(CLIP).frame(0)
    before = client.files.all()
    found = client.ask(still, text, prompts, decoding=short)
    assert_same(found, opened.ask(still, text, prompts, decoding=short))
    assert client.files.all() == before, "the client cleans up behind itself"


def test_pixel_qa_is_the_library_s(client: Client, opened: Predictor) -> None:
    frames, short = Clip.open(CLIP).read(range(4)), Decoding(6)
    question = ("What is [0]?", [Point(60, 40, 1), Box(20, 20, 90, 90)], ["a ball", "a box"])
    for wording in (None, PixelQaWording(best=" Choose.", answer_prefix="It is (")):
        own = opened.pixel_qa(frames, *question, wording=wording, unseen="everywhere", decoding=short)
        far = client.pixel_qa(frames, *question, wording=wording, unseen="everywhere", decoding=short)
        assert (far.text, far.choice) == (own.text, own.choice)
        assert [(a.id, a.masks) for a in far.objects] == [(b.id, b.masks) for b in own.objects]
        assert_same(far.response, own.response)
    with client.session(STILL) as session:
        with pytest.raises(RequestError, match="26 options"):
            session.pixel_qa("What is [0]?", Point(1, 1), ["one"] * 27)
        with pytest.raises(PromptError, match="outside"):
            session.pixel_qa("What is [0]?", Point(999, 1))


def test_masks_are_replaced_and_acts_taken_back(client: Client, opened: Predictor) -> None:
    with client.session(STILL) as session:
        before = session.refer(Point(60, 40))
        mask = np.zeros((session.height, session.width), dtype=bool)
        mask[3:9, 5:20] = True
        track = MaskTrack((FrameMask(0, RLE.from_mask(mask), 1.0, True),))
        assert session.replace_masks(0, track).masks == session[0].masks == track
        assert session.undo()[0].masks == before.masks == session[0].masks
        assert session.redo()[0].masks == track
        assert session.undo(2) == () and session.next_id == 0
        with pytest.raises(ServerError, match="acts"):
            session.redo(3)
        with pytest.raises(SessionError, match="no object"):
            session.replace_masks(7, track)
        wrong = MaskTrack((FrameMask(0, RLE.from_mask(mask[:5, :5]), 1.0, True),))
        session.refer(Point(60, 40))
        with pytest.raises(PromptError, match="the masks are 5x5"):
            session.replace_masks(0, wrong)


def test_the_client_needs_no_torch() -> None:
    heavy = {"torch", "fastapi", "transformers"}
    code = f"import sys; from unipixel import Client; print({heavy!r} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_what_can_be_taken_away(client: Client) -> None:
    with client.session(Clip.open(CLIP).read(range(3))) as session:
        known = session.refer(Point(60, 40), name="thing")
        assert known.masks is not None
        path = f"/v1/sessions/{session.id}"
        read = session._transport.read
        mask = np.asarray(Image.open(io.BytesIO(read(f"{path}/objects/0/masks/1.png"))))
        assert (mask == known.masks.frames[1].rle.decode()).all()
        found = json.loads(read(f"{path}/export/coco.json"))
        for entry in found["annotations"]:
            assert coco.area(entry["segmentation"]) == entry["area"] > 0
        assert len(found["images"]) == 3
        document = json.loads(read(f"{path}/export/masks.json"))
        assert [frame["area"] for frame in document["objects"][0]["frames"]] == [
            m.rle.area for m in known.masks
        ]
        with zipfile.ZipFile(io.BytesIO(read(f"{path}/export/palette.zip"))) as archive:
            labels = np.asarray(Image.open(io.BytesIO(archive.read("00001.png"))))
        assert (labels == mask).all()
        assert session.overlay()[4:8] == b"ftyp"


def test_events_show_the_clicked_frame_first(http: httpx.Client) -> None:
    clip = upload(http, CLIP)
    session = http.post("/v1/sessions", json={"media": {"file_id": clip}}).json()["id"]
    body = {"prompts": [{"type": "point", "x": 60, "y": 40, "frame": 12}], "stream": True}
    with http.stream("POST", f"/v1/sessions/{session}/refer", json=body) as reply:
        told = [json.loads(line[6:]) for line in reply.iter_lines() if line.startswith("data: ")]
    assert told[0]["frame"] == 12 and told[0]["masks"]["0"]["rle"]["size"] == [192, 256]
    followed = [one["frame"] for one in told[1:-1]]
    assert followed == [*range(12, 24), *range(11, -1, -1)]
    assert told[-1]["type"] == "done" and len(told[-1]["reply"]["frames"]) == 24


def test_a_caller_who_goes_away_frees_the_model(served: Served, http: httpx.Client) -> None:
    clip = upload(http, CLIP)
    session = http.post("/v1/sessions", json={"media": {"file_id": clip}}).json()["id"]
    body = {"prompts": [{"type": "point", "x": 60, "y": 40}], "stream": True}
    with http.stream("POST", f"/v1/sessions/{session}/refer", json=body) as reply:
        assert next(reply.iter_lines()).startswith("data: ")
    wait_until(lambda: served.service.worker.num_active == 0)
    again = http.get(f"/v1/sessions/{session}/objects").json()["data"]
    assert 1 <= len(again[0]["frames"]) <= 24, "what was found is kept"
    assert http.delete(f"/v1/sessions/{session}").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/objects", None),
        ("GET", "/objects/0", None),
        ("GET", "/frames/0.png", None),
        ("GET", "/objects/0/masks/0.png", None),
        ("GET", "/overlay", None),
        ("GET", "/export/coco.json", None),
        ("POST", "/ask", {"text": "What?"}),
        ("POST", "/refer", {"prompts": [{"type": "point", "x": 1, "y": 1}]}),
        ("POST", "/objects/0/correct", {"prompts": [{"type": "point", "x": 1, "y": 1}]}),
        ("POST", "/track", {}),
        ("POST", "/merge", {"ids": [0, 1]}),
        ("POST", "/pixel_qa", {"question": "[0]?", "prompts": [{"type": "point", "x": 1, "y": 1}]}),
        ("PUT", "/objects/0/masks", {"frames": [RLE_FRAME]}),
        ("GET", "/history", None),
        ("POST", "/history", {"position": 0}),
        ("PATCH", "/objects/0", {"name": "mine"}),
        ("DELETE", "/objects/0", None),
        ("DELETE", "", None),
    ],
)
def test_another_one_s_session_is_not_there(
    served: Served, shared_session: str, method: str, path: str, body: object
) -> None:
    with served.http(OTHER) as thief:
        reply = thief.request(method, f"/v1/sessions/{shared_session}{path}", json=body)
        assert reply.status_code == 404 and "no session" in reply.text
        assert thief.get("/v1/sessions").json()["data"] == []
    with served.http(ONE) as owner:
        assert owner.get(f"/v1/sessions/{shared_session}").status_code == 200


@pytest.fixture(scope="module")
def shared_session(served: Served) -> str:
    with served.http() as http:
        number: str = http.post("/v1/sessions", json={"media": {"file_id": upload(http, STILL)}}).json()["id"]
        http.post(f"/v1/sessions/{number}/refer", json={"prompts": [{"type": "point", "x": 9, "y": 9}]})
    return number


def test_short_of_memory_the_least_recent_session_sleeps(start: Callable[..., Served]) -> None:
    served = start(limits=Limits(memory=1))
    client = served.client()
    first = client.session(STILL)
    known = first.refer(Point(60, 40), name="kept")
    second = client.session(STILL)
    second.refer(Point(60, 40))
    awake = {entry.id: entry.session is not None for entry in served.service.sessions.list(_owner(served))}
    assert awake[first.id] is False
    assert first[0].masks == known.masks and first[0].name == "kept", "it wakes as it was"


def test_a_session_may_be_closed_while_it_waits_to_be_kept(start: Callable[..., Served]) -> None:
    served = start()
    session = served.client().session(STILL)
    [entry] = served.service.sessions.list(_owner(served))
    busy = threading.Event()

    async def keep_and_close() -> None:
        held = asyncio.ensure_future(served.service.call(busy.wait))
        kept = asyncio.ensure_future(served.service.sessions.keep(entry))
        closed = asyncio.ensure_future(served.service.sessions.remove(entry))
        await asyncio.sleep(0.1)
        busy.set()
        await asyncio.gather(held, kept, closed)

    asyncio.run_coroutine_threadsafe(keep_and_close(), served.loop).result(10)
    assert not entry.folder.exists()
    with pytest.raises(ServerError):
        served.client().resume(session.id)


def test_unused_sessions_and_files_are_deleted(start: Callable[..., Served]) -> None:
    served = start(limits=Limits(session_seconds=0.2, file_seconds=0.2))
    client = served.client()
    number, session = client.files.upload(STILL), client.session(STILL)
    wait_until(lambda: all(one["id"] != number for one in client.files.all()) or _sweep(served))
    with pytest.raises(ServerError) as caught:
        client.resume(session.id)
    assert caught.value.status == 404
    left = [path for path in served.service.folder.root.rglob("*") if path.is_file()]
    assert left == []


def _sweep(served: Served) -> bool:
    time.sleep(0.3)
    served.service.files.sweep()
    asyncio.run_coroutine_threadsafe(served.service.sessions.sweep(), served.loop).result(5)
    return False


def _owner(served: Served) -> str:
    owner = served.service.options.owner_of(ONE)
    assert owner is not None
    return owner


def test_too_many_sessions_end_the_oldest(start: Callable[..., Served]) -> None:
    client = start(limits=Limits(sessions=2)).client()
    sessions = [client.session(STILL) for _ in range(3)]
    with pytest.raises(ServerError):
        client.resume(sessions[0].id)
    assert client.resume(sessions[2].id).next_id == 0


def test_sessions_outlive_a_restart(start: Callable[..., Served]) -> None:
    served = start()
    session = served.client().session(STILL)
    known = session.refer(Point(60, 40), name="kept")
    served.stop()
    again = start().client().resume(session.id)
    assert again[0].masks == known.masks
    assert again.correct(0, Point(5, 5, positive=False)).masks is not None


def test_errors_of_media_are_the_library_s(client: Client, tmp_path: object) -> None:
    broken = f"{tmp_path}/../../secret-name.mp4"
    with open(f"{tmp_path}/broken.mp4", "wb") as stream:
        stream.write(CLIP.read_bytes()[:5000])
    with pytest.raises(MediaError, match="fetch it again"):
        client.session(f"{tmp_path}/broken.mp4")
    with pytest.raises(OSError, match="No such file"):
        client.session(broken)
