"""OpenAI's form, through OpenAI's own client where it has a word for it."""

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from PIL import Image
from pycocotools import mask as coco
from tests.serving.conftest import CLIP, ONE, SEGMENT, STILL, Served, data_url

from unipixel import Box, Decoding, Point
from unipixel.core.masks import polygons_to_mask
from unipixel.predictor import Predictor

MODEL = "unipixel-tiny"


@pytest.fixture
def ai(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=ONE, max_retries=0) as client:
        yield client


def question(text: str, *parts: dict[str, Any]) -> list[Any]:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


def picture() -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_url(STILL, "image/jpeg")}}


def video() -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": data_url(CLIP, "video/mp4")}}


def test_the_openai_client_gets_text_and_masks(ai: openai.OpenAI, opened: Predictor) -> None:
    reply = ai.chat.completions.create(
        model=MODEL, messages=question("Where is the green circle?", picture())
    )
    expected = opened.ask(STILL, "Where is the green circle?")
    message = reply.choices[0].message
    assert message.content == expected.text
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None and reply.usage.completion_tokens > 0
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    extra = message.unipixel  # type: ignore[attr-defined]
    for found, wanted in zip(extra["objects"], expected.objects, strict=True):
        rle = found["frames"][0]["rle"]
        assert (coco.decode(rle) == wanted.masks.frames[0].rle.decode()).all()
    spans = [(m["start"], m["stop"], m["object_id"]) for m in extra["mentions"]]
    assert spans == [(m.start, m.stop, m.object_id) for m in expected.mentions]


def test_the_openai_client_streams(ai: openai.OpenAI, opened: Predictor) -> None:
    stream = ai.chat.completions.create(
        model=MODEL,
        messages=question(SEGMENT, video()),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    expected = opened.ask(CLIP, SEGMENT)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert sum(bool(piece) for piece in pieces) > 1, "the words come one after the other"
    assert "".join(piece or "" for piece in pieces) == expected.text
    last = chunks[-2].choices[0]
    assert last.finish_reason == "stop"
    objects = last.delta.unipixel["objects"]  # type: ignore[attr-defined]
    assert [len(one["frames"]) for one in objects] == [len(one.masks) for one in expected.objects]
    assert chunks[-1].usage is not None and not chunks[-1].choices


@pytest.mark.parametrize("form", ["rle", "polygon", "png", "none"])
def test_masks_come_in_the_form_that_was_asked_for(ai: openai.OpenAI, form: str) -> None:
    messages = question("Where is the green circle?", picture())
    body = {"mask_format": form, "require_mask": True}
    reply = ai.chat.completions.create(model=MODEL, messages=messages, extra_body=body)
    extra = reply.choices[0].message.unipixel  # type: ignore[attr-defined]
    frame = extra["objects"][0]["frames"][0]
    width, height = extra["clip"]["width"], extra["clip"]["height"]
    assert {"rle", "polygon", "png"} & frame.keys() == {form} - {"none"}
    if form == "polygon":
        area = int(polygons_to_mask([np.array(one) for one in frame["polygon"]], height, width).sum())
    elif form == "png":
        content = base64.b64decode(frame["png"].partition(",")[2])
        with Image.open(io.BytesIO(content)) as mask:
            assert mask.size == (width, height)
            area = int((np.asarray(mask) != 0).sum())
    else:
        area = frame["area"]
    assert area == frame["area"] > 0


def test_clicks_and_boxes_are_parts(ai: openai.OpenAI, opened: Predictor) -> None:
    parts = [
        {"type": "point", "x": 60, "y": 40, "frame": 3},
        {"type": "box", "x1": 5, "y1": 6, "x2": 70, "y2": 80},
    ]
    asked = question("What do [0] and [1] do?", video(), *parts)
    reply = ai.chat.completions.create(model=MODEL, messages=asked, max_tokens=12)
    prompts = [Point(60, 40, 3), Box(5, 6, 70, 80)]
    expected = opened.ask(CLIP, "What do [0] and [1] do?", prompts, decoding=Decoding(12))
    assert reply.choices[0].message.content == expected.text


def test_a_conversation_remembers_its_objects(ai: openai.OpenAI, opened: Predictor) -> None:
    messages = question(SEGMENT, video())
    first = ai.chat.completions.create(model=MODEL, messages=messages, extra_body={"require_mask": True})
    answer = first.choices[0].message
    number = answer.unipixel["objects"][0]["id"]  # type: ignore[attr-defined]
    messages += [answer.model_dump(), {"role": "user", "content": f"What does [{number}] do?"}]
    second = ai.chat.completions.create(model=MODEL, messages=messages)
    with opened.session(CLIP) as session:
        session.ask(SEGMENT, decoding=Decoding(require_mask=True))
        expected = session.ask(f"What does [{number}] do?", follow_up=True)
    assert second.choices[0].message.content == expected.text


def test_eight_parallel_questions_are_batched(served: Served, http: httpx.Client) -> None:
    before = _batches(http)
    body = {
        "model": MODEL,
        "messages": question("How many objects are in this video?", video()),
        "max_tokens": 16,
    }

    def ask(_: int) -> httpx.Response:
        with served.http() as client:
            return client.post("/v1/chat/completions", json=body)

    hold = served.client().session(CLIP)  # something else to do, so that questions wait
    with ThreadPoolExecutor(9) as pool:
        busy = pool.submit(lambda: list(hold.refer(Point(60, 40)).frames))
        replies = list(pool.map(ask, range(8)))
        busy.result()
    hold.close()
    assert [reply.status_code for reply in replies] == [200] * 8
    texts = {reply.json()["choices"][0]["message"]["content"] for reply in replies}
    assert len(texts) == 1
    count, questions = (now - then for now, then in zip(_batches(http), before, strict=True))
    assert questions == 8 and count < 8, f"{questions} questions in {count} batches"


def _batches(http: httpx.Client) -> tuple[float, float]:
    lines = dict(line.rsplit(" ", 1) for line in http.get("/metrics").text.splitlines() if "batch" in line)
    return float(lines["unipixel_batch_questions_count"]), float(lines["unipixel_batch_questions_sum"])


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"model": "gpt-4"}, 404, "unipixel-tiny"),
        ({"messages": question("hello")}, 400, "one picture or video"),
        ({"messages": [*question("hi", picture()), *question("hi")]}, 400, "alternate"),
        ({"messages": []}, 422, "messages"),
        ({"n": 2}, 422, "n:"),
        ({"tools": [{}]}, 422, "tools"),
        ({"messages": question("[0]?", picture(), {"type": "point", "x": 9999, "y": 0})}, 400, "outside"),
        (
            {"messages": question("[0]?", picture(), {"type": "point", "x": 1, "y": 1, "frame": 7})},
            400,
            "frame 7",
        ),
        ({"messages": question("What is [5]?", picture())}, 404, "no object"),
        ({"messages": question(" ", picture())}, 400, "empty"),
        ({"stop": [""]}, 400, "stop"),
        ({"temperature": -1}, 422, "temperature"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_wrong_is_said(
    http: httpx.Client, change: dict[str, Any], status: int, words: str, stream: bool
) -> None:
    body = {"model": MODEL, "messages": question("What is this?", picture()), "stream": stream, **change}
    reply = http.post("/v1/chat/completions", json=body)
    error = reply.json()["error"]
    assert (reply.status_code, words in error["message"]) == (status, True), reply.text
    assert error["type"] == "invalid_request_error"


def test_the_model_tells_its_licences(ai: openai.OpenAI) -> None:
    (model,) = ai.models.list().data
    assert model.id == MODEL
    assert model.licences["weights"] == "Apache-2.0"  # type: ignore[attr-defined]
    assert ai.models.retrieve(MODEL).id == MODEL
