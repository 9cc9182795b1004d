"""Jobs: done in the background, ended early, and taken up again after a kill."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import CLIP, OTHER, SEGMENT, STILL, Served, upload, wait_until

from unipixel import Clip, Decoding, Point
from unipixel.predictor import Predictor
from unipixel.serving.client import Client
from unipixel.serving.options import Limits
from unipixel.serving.schema import AnswerEntry, ObjectEntry

REFER = {"op": "refer", "prompts": [{"type": "point", "x": 60, "y": 40}], "name": "thing"}
CORRECT = {"op": "correct", "id": 0, "prompts": [{"type": "point", "x": 5, "y": 5, "positive": False}]}
ASK = {"op": "ask", "text": SEGMENT, "decoding": {"max_new_tokens": 8}}
STEPS = [REFER, CORRECT, ASK]


def wait_for(client: Client, number: str) -> dict[str, Any]:
    wait_until(lambda: client.jobs.get(number)["status"] not in ("queued", "running"), 60)
    return client.jobs.get(number)


def check(result: dict[str, Any], frames: Any, opened: Predictor) -> None:
    """The result is what the library gives for the same steps."""
    with opened.session(frames) as session:
        referred = session.refer(Point(60, 40), "thing")
        corrected = session.correct(0, Point(5, 5, positive=False))
        answer = session.ask(SEGMENT, decoding=Decoding(8))
    size = (session.clip.width, session.clip.height)
    first, second, third = result["outcomes"]
    for outcome, known in ((first, referred), (second, corrected)):
        assert ObjectEntry.model_validate(outcome["objects"][0]).to_core(size).masks == known.masks
    found = AnswerEntry.model_validate(third["answer"]).to_core()
    assert found.text == answer.text
    assert [one.masks for one in found.objects] == [one.masks for one in answer.objects]


def test_a_job_does_its_steps(start: Callable[..., Served], opened: Predictor) -> None:
    served = start(limits=Limits(frames=2))  # more than anybody would wait for
    client, frames = served.client(), Clip.open(CLIP).read(range(4))
    job = client.jobs.submit(frames, STEPS)
    assert job["steps_total"] == 3 and job["status"] in ("queued", "running")
    assert wait_for(client, job["id"])["status"] == "done"
    check(client.jobs.result(job["id"]), frames, opened)
    with served.http() as http:
        whole = http.get(f"/v1/jobs/{job['id']}/result").content
        rest = http.get(f"/v1/jobs/{job['id']}/result", headers={"range": "bytes=100-"})
        assert (rest.status_code, rest.content) == (206, whole[100:])
    with served.http(OTHER) as thief:
        for path in ("", "/result"):
            assert thief.get(f"/v1/jobs/{job['id']}{path}").status_code == 404
        assert thief.post(f"/v1/jobs/{job['id']}/cancel").status_code == 404
        assert thief.get("/v1/jobs").json()["data"] == []
    with served.http() as http:
        assert http.delete(f"/v1/jobs/{job['id']}").status_code == 200
    assert list((served.service.folder.root / "jobs").glob("*/*")) == []


def test_a_killed_job_goes_on(start: Callable[..., Served], opened: Predictor, tmp_path: Path) -> None:
    served = start()
    frames = Clip.open(CLIP).read(range(4))
    number = served.client().jobs.submit(frames, STEPS)["id"]
    wait_for(served.client(), number)
    folder = next((served.service.folder.root / "jobs").glob("*/*"))
    state = json.loads((folder / "state.json").read_text())
    # What lies on the disk when the process is killed in the middle of the second step, before or after the
    # session was written.
    state.update(status="running", outcomes=state["outcomes"][:1])
    served.stop()
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "result.json").unlink()
    with opened.session(sorted(folder.glob("media-*")), num_frames=None) as session:
        session.refer(Point(60, 40), "thing")
        session.save(folder / "session.unipixel")
    client = start().client()
    assert wait_for(client, number)["status"] == "done"
    check(client.jobs.result(number), frames, opened)


def test_a_job_can_be_ended(start: Callable[..., Served]) -> None:
    served = start()
    client = served.client()
    track = {"op": "track"}
    number = client.jobs.submit(CLIP, [REFER, *[track] * 100])["id"]
    wait_until(lambda: client.jobs.get(number)["progress"] is not None)
    assert client.jobs.cancel(number)["status"] == "cancelled"
    wait_until(lambda: served.service.worker.num_active == 0)
    with served.http() as http:
        assert http.get(f"/v1/jobs/{number}/result").status_code == 409


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"op": "correct", "id": 3, "prompts": [{"type": "point", "x": 1, "y": 1}]}, "no object"),
        ({"op": "refer", "prompts": [{"type": "point", "x": 999, "y": 1}]}, "outside"),
        ({"op": "ask", "text": "What is [7]?"}, "no object"),
    ],
)
def test_a_job_that_fails_says_why(served: Served, step: dict[str, Any], words: str) -> None:
    client = served.client()
    job = wait_for(client, client.jobs.submit(STILL, [step])["id"])
    assert job["status"] == "failed" and words in job["error"]


def test_other_requests_come_between_the_frames_of_a_job(served: Served) -> None:
    client = served.client()
    number = client.jobs.submit(CLIP, [REFER, *[{"op": "track"}] * 100])["id"]
    wait_until(lambda: client.jobs.get(number)["progress"] is not None)
    begun = time.monotonic()
    with client.session(STILL) as session:
        session.refer(Point(60, 40))
    assert client.jobs.get(number)["status"] == "running", "the job is not done yet"
    client.jobs.cancel(number)
    print(f"a click beside a job: {time.monotonic() - begun:.2f} s")


def test_damaged_jobs_are_dropped(start: Callable[..., Served]) -> None:
    served = start()
    with served.http() as http:
        body = {"media": {"file_id": upload(http, STILL)}, "steps": [REFER]}
        job = http.post("/v1/jobs", json=body).json()["id"]
        wait_for(served.client(), job)
    folder = next((served.service.folder.root / "jobs").glob("*/*"))
    served.stop()
    (folder / "state.json").write_text("{")
    shutil.copytree(folder, folder.with_name("job-" + "0" * 24))
    again = start()
    with again.http() as http:
        assert http.get("/v1/jobs").json()["data"] == []
    assert list((again.service.folder.root / "jobs").glob("*/*")) == []
