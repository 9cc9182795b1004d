"""Acts are taken back and done again, by the number of acts that led somewhere."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serving.conftest import CLIP, OTHER, SEGMENT, STILL, Served, upload

POINT = {"type": "point", "x": 84, "y": 86, "frame": 0}


@pytest.fixture
def session(http: httpx.Client) -> str:
    return opened(http, STILL)


def opened(http: httpx.Client, path: Path) -> str:
    reply = http.post("/v1/sessions", json={"media": {"file_id": upload(http, path)}})
    return f"/v1/sessions/{reply.json()['id']}"


def go(http: httpx.Client, session: str, position: int) -> httpx.Response:
    return http.post(f"{session}/history", json={"position": position})


def position(http: httpx.Client, session: str) -> int:
    found: int = http.get(f"{session}/history").json()["position"]
    return found


def objects(http: httpx.Client, session: str) -> Any:
    return http.get(f"{session}/objects").json()["data"]


def test_every_kind_of_act_can_be_taken_back_and_done_again(http: httpx.Client, session: str) -> None:
    """To the pixel, with names and numbers; then the numbers are given anew."""
    seen = [objects(http, session)]
    acts: list[tuple[str, str, Any]] = [
        ("POST", "/refer", {"prompts": [POINT]}),
        ("POST", "/objects/0/correct", {"prompts": [{**POINT, "x": 20, "positive": False}]}),
        ("PATCH", "/objects/0", {"name": "ball"}),
        ("POST", "/refer", {"prompts": [{"type": "box", "x1": 10, "y1": 10, "x2": 90, "y2": 90}]}),
        ("POST", "/ask", {"text": SEGMENT}),
        ("DELETE", "/objects/1", None),
    ]
    for method, path, body in acts:
        reply = http.request(method, session + path, json=body)
        assert reply.status_code == 200, reply.text
        seen.append(objects(http, session))
        assert position(http, session) == len(seen) - 1
    for place in (5, 3, 0, 4, 6, 0):
        reply = go(http, session, place)
        assert (reply.status_code, reply.json()["position"]) == (200, place)
        assert reply.json()["data"] == objects(http, session) == seen[place]
    assert http.post(f"{session}/refer", json={"prompts": [POINT]}).json()["id"] == 0
    assert go(http, session, 2).status_code == 409  # another way was taken
    assert objects(http, session) == seen[1]


def test_a_question_is_forgotten_with_its_words(http: httpx.Client, session: str) -> None:
    """A follow-up is answered as if the question that was taken back had never been asked."""
    first = http.post(f"{session}/ask", json={"text": SEGMENT}).json()
    assert go(http, session, 0).json() == {"position": 0, "data": [], "next_id": 0}
    assert http.post(f"{session}/ask", json={"text": SEGMENT, "follow_up": True}).json() == first


def test_what_was_cancelled_halfway_can_be_taken_back(http: httpx.Client) -> None:
    session = opened(http, CLIP)
    http.post(f"{session}/refer", json={"prompts": [POINT], "follow": False})
    before = objects(http, session)
    with http.stream("POST", f"{session}/track", json={"stream": True}) as reply:
        next(line for line in reply.iter_lines() if line.startswith("data: "))
    assert position(http, session) in (1, 2)  # waits until the server has noticed
    assert go(http, session, 1).json()["data"] == before


def test_only_what_is_remembered_can_be_had(http: httpx.Client, session: str, served: Served) -> None:
    reply = go(http, session, 1)
    assert reply.status_code == 409
    assert "0 to 0 can be had" in reply.json()["error"]["message"]
    with served.http(OTHER) as other:
        assert go(other, session, 0).status_code == 404
        assert other.get(f"{session}/history").status_code == 404


def test_a_restart_forgets_what_was_done_but_not_what_came_of_it(http: httpx.Client, session: str) -> None:
    """Looking at things is no act."""
    http.post(f"{session}/refer", json={"prompts": [POINT]})
    http.get(f"{session}/objects/0")
    http.get(f"{session}/frames/0.png")
    assert position(http, session) == 1
