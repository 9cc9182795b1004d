"""Review over HTTP: who may, what can be named, and what is kept."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.archive.annotated import CLIP, Made, Thing, shapes, still, truth, write
from tests.serving.conftest import ONE, OTHER, Served

from unipixel.archive.review import Review
from unipixel.errors import OutputError
from unipixel.predictor import Predictor
from unipixel.serving.options import ServeOptions
from unipixel.serving.server import create_app


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return write(tmp_path / "out", shapes(), still())


@pytest.fixture
def served(start: Callable[..., Served], out: Path) -> Served:
    return start(review=(out,))


@pytest.fixture
def http(served: Served) -> Iterator[httpx.Client]:
    with served.http() as client:
        yield client


def listed(http: httpx.Client, **query: Any) -> Any:
    reply = http.get("/v1/review", params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_objects_are_listed_worst_first_and_decided_about(http: httpx.Client, out: Path) -> None:
    found = listed(http)
    assert found["folders"] == ["out"]
    assert [(row["item"], row["id"]) for row in found["data"]] == [
        ("stills/still.jpg", 1),
        ("shapes.mp4", 1),
        ("shapes.mp4", 7),
        ("stills/still.jpg", 0),
        ("shapes.mp4", 0),
    ]
    assert found["counts"] == {"undecided": 5, "accepted": 0, "corrected": 0, "rejected": 0}
    first, second = found["data"][:2]
    assert (
        http.post(f"/v1/review/{first['key']}/decision", json={"decision": "rejected"}).json()["state"]
        == "rejected"
    )
    http.post(f"/v1/review/{second['key']}/decision", json={"decision": "accepted"})
    left = listed(http, state="undecided", limit=2)
    assert (left["total"], len(left["data"])) == (3, 2)
    assert [row["id"] for row in listed(http, state="undecided", offset=2)["data"]] == [0]
    review = Review(out)  # it is on the disk
    assert review["stills/still.jpg", 1].state == "rejected"
    assert http.delete(f"/v1/review/{first['key']}/decision").json()["state"] == "undecided"
    again = http.delete(f"/v1/review/{first['key']}/decision")
    assert (again.status_code, "nothing to take back" in again.json()["error"]["message"]) == (400, True)


def test_an_object_is_shown_with_its_masks_and_their_quality(http: httpx.Client) -> None:
    row = listed(http)["data"][1]
    found = http.get(f"/v1/review/{row['key']}").json()
    assert found["clip"] == {"name": "shapes.mp4", "width": 256, "height": 192, "num_frames": 24, "fps": 8.0}
    assert len(found["frames"]) == 24
    assert found["frames"][0]["rle"] == truth(3)[0].to_coco()
    assert found["ratings"][23] == {"frame": 23, "quality": pytest.approx(0.14)}
    picture = http.get(f"/v1/review/{row['key']}/frames/23.png")
    assert picture.headers["content-type"] == "image/png"
    assert http.get(f"/v1/review/{row['key']}/frames/24.png").status_code == 404


def test_a_correction_is_a_session_whose_masks_are_kept(http: httpx.Client, out: Path) -> None:
    row = next(row for row in listed(http)["data"] if row["id"] == 7)
    session = http.post(f"/v1/review/{row['key']}/session").json()
    (known,) = session["objects"]
    assert (known["id"], len(known["frames"])) == (7, 24)
    assert len(known["pointings"]) == 1  # its best mask
    click = {"type": "point", "x": 95, "y": 141, "frame": 20, "positive": False}
    path = f"/v1/sessions/{session['id']}"
    corrected = http.post(f"{path}/objects/7/correct", json={"prompts": [click]})
    assert corrected.status_code == 200, corrected.text
    body = {"decision": "corrected", "session": session["id"], "object": 7}
    assert http.post(f"/v1/review/{row['key']}/decision", json=body).json()["state"] == "corrected"
    kept = {mask.frame: mask.rle.to_coco() for mask in Review(out).masks(("shapes.mp4", 7))}
    there = [one for one in corrected.json()["frames"] if one["present"] and one["area"]]
    assert kept == {one["index"]: one["rle"] for one in there}
    shown = http.get(f"/v1/review/{row['key']}").json()["frames"]
    assert {one["index"]: one["rle"] for one in shown} == kept

    other = next(row for row in listed(http)["data"] if row["item"] == "stills/still.jpg")
    assert http.post(f"/v1/review/{other['key']}/decision", json=body).status_code == 409  # another clip
    for wrong in ({"decision": "corrected"}, {**body, "decision": "accepted"}):
        assert http.post(f"/v1/review/{row['key']}/decision", json=wrong).status_code == 400
    assert http.post(f"/v1/review/{row['key']}/decision", json={**body, "object": 3}).status_code == 404
    unknown = {**body, "session": "sess-" + "0" * 24}
    assert http.post(f"/v1/review/{row['key']}/decision", json=unknown).status_code == 404


def test_a_token_guards_all_of_it(served: Served, http: httpx.Client) -> None:
    row = listed(http)["data"][0]
    session = http.post(f"/v1/review/{row['key']}/session").json()["id"]
    calls = [
        ("GET", "/v1/review"),
        ("GET", f"/v1/review/{row['key']}"),
        ("GET", f"/v1/review/{row['key']}/frames/0.png"),
        ("POST", f"/v1/review/{row['key']}/decision"),
        ("DELETE", f"/v1/review/{row['key']}/decision"),
        ("POST", f"/v1/review/{row['key']}/session"),
    ]
    for token in (None, "wrong-token"):
        with served.http(token) as stranger:
            for method, path in calls:
                assert stranger.request(method, path).status_code == 401, (method, path)
    with served.http(OTHER) as other:  # sees the review, but no session of somebody else
        assert other.get("/v1/review").json()["total"] == 5
        body = {"decision": "corrected", "session": session, "object": row["id"]}
        assert other.post(f"/v1/review/{row['key']}/decision", json=body).status_code == 404


@pytest.mark.parametrize(
    "key",
    [
        "../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "shapes.mp4",
        "%2fetc%2fpasswd",
        hashlib.sha256(b"0\0shapes.mp4\x009").hexdigest()[:24],
        "%00",
        "x" * 5000,
    ],
)
def test_only_what_is_under_review_can_be_named(http: httpx.Client, key: str, out: Path) -> None:
    for path in ("", "/frames/0.png", "/session", "/decision"):
        method = "POST" if path in ("/session", "/decision") else "GET"
        body = {"decision": "accepted"} if path == "/decision" else None
        assert http.request(method, f"/v1/review/{key}{path}", json=body).status_code in (404, 405)
    assert not (out / "review.jsonl").exists()


def test_media_that_are_gone_or_others_are_told_without_a_path(
    start: Callable[..., Served], tmp_path: Path
) -> None:
    gone = Made("gone.mp4", tmp_path / "secret" / "gone.mp4", ["x?"], [Thing(0, truth(2), [0.5] * 24)])
    (tmp_path / "small.png").write_bytes(CLIP.read_bytes()[:100])
    other = Made("other.mp4", Path(os.devnull), ["x?"], [Thing(0, truth(2), [0.6] * 24)])
    with start(review=(write(tmp_path / "out", gone, other),)).http() as http:
        for row in listed(http)["data"]:
            for method, path in (("GET", "/frames/0.png"), ("POST", "/session")):
                reply = http.request(method, f"/v1/review/{row['key']}{path}")
                assert reply.status_code == 422, reply.text
                assert str(tmp_path) not in reply.text
                assert row["item"] in reply.json()["error"]["message"]
        # accepting needs no media
        decided = http.post(f"/v1/review/{row['key']}/decision", json={"decision": "accepted"})
        assert decided.json()["state"] == "accepted"


def test_several_folders_are_one_list_and_new_annotations_are_taken_in(
    start: Callable[..., Served], tmp_path: Path
) -> None:
    one, other = write(tmp_path / "one", shapes()), write(tmp_path / "other", still())
    with start(review=(one, other)).http() as http:
        found = listed(http)
        assert found["folders"] == ["one", "other"]
        assert [row["folder"] for row in found["data"]] == [1, 0, 0, 1, 0]
        old = found["data"][1]["key"]
        write(one, Made("new.mp4", CLIP, ["x?"], [Thing(0, truth(2), [0.01] * 24)]))
        assert listed(http)["data"][0]["item"] == "new.mp4"
        assert http.get(f"/v1/review/{old}").status_code == 404
        (one / "review.jsonl").write_text("nonsense\n")
        broken = http.get("/v1/review")
        assert broken.status_code == 507
        assert str(tmp_path) not in json.dumps(broken.json())


def test_without_review_there_is_nothing(
    start: Callable[..., Served], opened: Predictor, tmp_path: Path
) -> None:
    with start().http(ONE) as http:
        assert listed(http)["folders"] == []
        assert http.get("/v1/review/x").status_code == 404
    with pytest.raises(OutputError, match="annotate"):
        create_app(ServeOptions(tmp_path / "d", review=(tmp_path / "nothing",)), opened)
