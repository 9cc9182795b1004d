"""Bodies of requests to the server in OpenAI's form: every one is answered, and none with an error of
ours."""

from __future__ import annotations

import base64
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastapi.testclient import TestClient

from fuzz.changes import change_json
from fuzz.target import Check, Target
from fuzz.targets.pictures import saved
from fuzz.targets.sessions import model
from unipixel.core.masks import RLE
from unipixel.errors import RequestError
from unipixel.serving.options import Limits, ServeOptions
from unipixel.serving.server import create_app

URL = "/v1/chat/completions"


def seeds() -> list[bytes]:
    """A question with every kind of part, one with options, and a conversation."""
    picture = {"type": "image_url", "image_url": {"url": _picture()}}
    rle = RLE.from_mask(np.pad(np.ones((6, 7), dtype=np.bool_), 4)).to_coco()
    words = {"type": "text", "text": "What is [0] to [1], [2], [3]?"}
    pointed = [
        {"type": "point", "x": 3, "y": 4},
        {"type": "box", "x1": 1, "y1": 2, "x2": 9, "y2": 9, "frame": 0},
        {"type": "scribble", "points": [[1, 1], [5, 6]], "thickness": 3},
        {"type": "mask", "rle": rle},
        {"type": "mask", "polygon": [[1, 1, 8, 1, 8, 8]]},
    ]
    asked = {"model": "checkpoint", "messages": [{"role": "user", "content": [picture, *pointed, words]}]}
    frames = [{"index": 0, "rle": rle, "score": 0.9, "present": True}]
    said = {
        "role": "assistant",
        "content": "It is [0].",
        "unipixel": {"objects": [{"id": 0, "name": "it", "frames": frames}]},
    }
    first = {"role": "user", "content": [picture, {"type": "text", "text": "Segment it."}]}
    later = [{"role": "system", "content": "Be brief."}, first, said, {"role": "user", "content": "And [0]?"}]
    options = {"max_tokens": 2, "temperature": 0.5, "seed": 3, "num_frames": 1, "mask_format": "polygon"}
    both = [asked, {**asked, **options, "stream": True}, {"model": "checkpoint", "messages": later}]
    return [json.dumps(one).encode() for one in both]


def _picture() -> str:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (14, 15, 3), dtype=np.uint8)
    return "data:image/png;base64," + base64.b64encode(saved(Image.fromarray(pixels), "PNG")).decode()


def prepare() -> Check:
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-server"))
    options = ServeOptions(folder, model="checkpoint", limits=Limits(new_tokens=2, seconds=15))
    client = TestClient(create_app(options, model()), base_url="http://127.0.0.1")
    client.__enter__()  # the server lives as long as this process
    while client.get("/ready").status_code != 200:
        pass
    return partial(check, client)


def check(client: Any, data: bytes, folder: Path) -> str:
    reply = client.post(URL, content=data, headers={"content-type": "application/json"})
    if reply.status_code == 200:
        return f"answered {reply.headers['content-type'][:16]}"
    assert reply.status_code in range(400, 500), f"{reply.status_code}: {reply.text[:300]}"
    raise RequestError(reply.json()["error"]["message"])


TARGET = Target(seeds, change_json, prepare, seconds=30)
