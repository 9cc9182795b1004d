"""A replay does the same again, and says where something else comes of it. (Its file is made here as the page
makes it; test_journey takes one from the page itself.)"""

import base64
import copy
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serving.conftest import CLIP, ONE, SEGMENT, STILL, Served, upload

from unipixel.serving import replay

POINT = {"type": "point", "x": 84.0, "y": 86.0, "frame": 0, "positive": True}


@pytest.fixture(scope="module")
def saved(served: Served) -> dict[str, Any]:
    """What the page would save after a click, its following, a name, a question."""
    with served.http() as http:
        about = http.post("/v1/sessions", json={"media": {"file_id": upload(http, CLIP)}}).json()
        at = f"/v1/sessions/{about['id']}"
        http.post(f"{at}/refer", json={"prompts": [POINT], "follow": False})
        http.post(f"{at}/track", json={"ids": [0]})
        http.patch(f"{at}/objects/0", json={"name": "ball"})
        answer = http.post(f"{at}/ask", json={"text": SEGMENT}).json()["answer"]
        known = http.get(f"{at}/objects").json()["data"]
    acts = [
        {"op": "refer", "id": 0, "prompts": [POINT]},
        {"op": "track", "ids": [0]},
        {"op": "rename", "id": 0, "name": "ball"},
        {"op": "ask", "text": SEGMENT, "answer": answer["text"], "objects": [1]},
    ]
    return {
        "format": "unipixel-replay",
        "version": 1,
        "model": "unipixel-tiny",
        "media": {**about["clip"], "content": base64.b64encode(CLIP.read_bytes()).decode()},
        "acts": acts,
        "objects": known,
    }


def written(content: Any, folder: Path) -> Path:
    path = folder / "replay.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def played(served: Served, path: Path, *more: str) -> int:
    return replay.main([str(path), "--server", served.url, "--token", ONE, *more])


def test_the_same_comes_again(
    served: Served, saved: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served.http() as http:
        before = [http.get(path).json()["data"] for path in ("/v1/files", "/v1/sessions")]
    assert played(served, written(saved, tmp_path)) == 0
    said = capsys.readouterr().out
    assert "2 objects, 48 masks" in said
    assert "the same answers and masks as on the page" in said
    with served.http() as http:
        left = [http.get(path).json()["data"] for path in ("/v1/files", "/v1/sessions")]
    assert [len(one) for one in left] == [len(one) for one in before]  # what it opened is closed again


def test_what_differs_is_named(
    served: Served, saved: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = copy.deepcopy(saved)
    changed["acts"][3]["answer"] = "No."
    changed["objects"][0]["name"] = "cube"
    one, two = changed["objects"][0]["frames"][:2]
    one["rle"], changed["objects"][1]["frames"] = two["rle"], changed["objects"][1]["frames"][1:]
    assert played(served, written(changed, tmp_path)) == 1
    said = capsys.readouterr().out
    assert "was 'No.'" in said
    assert "[0] is called 'ball', was 'cube'" in said
    assert "[0] on frame 0: IoU 0." in said
    assert "[1] on frame 0 is new" in said


def test_a_large_clip_is_given_beside_the_file(
    served: Served, saved: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without = {**saved, "media": {**saved["media"], "content": None}, "acts": [], "objects": []}
    path = written(without, tmp_path)
    assert played(served, path) == 2
    assert "--media FILE" in capsys.readouterr().err
    assert played(served, path, "--media", str(STILL)) == 2
    assert "give the same file" in capsys.readouterr().err
    assert played(served, path, "--media", str(CLIP)) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version"),
        ({"acts": [{"op": "dance"}]}, "acts.0"),
        ({"acts": [{"op": "refer", "id": 5, "prompts": [POINT]}]}, "is [0] here"),
        (
            {"media": {"name": "x", "width": 1, "height": 1, "num_frames": 1, "fps": 1, "content": "%"}},
            "damaged",
        ),
        ("{", "no replay"),
    ],
    ids=["version", "act", "number", "content", "json"],
)
def test_what_is_no_replay_is_told_in_a_line(
    served: Served,
    saved: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Any,
    message: str,
) -> None:
    content = change if isinstance(change, str) else {**saved, **change}
    assert played(served, written(content, tmp_path)) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_server_that_is_not_there_is_told(
    saved: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay.main([str(written(saved, tmp_path)), "--server", "http://127.0.0.1:9"]) == 2
    assert "cannot be reached" in capsys.readouterr().err


def test_the_token_is_needed(served: Served, saved: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(httpx.HTTPStatusError), served.http(token=None) as http:
        http.get("/v1/files").raise_for_status()
    assert replay.main([str(written(saved, tmp_path)), "--server", served.url, "--token", "wrong-token"]) == 2
