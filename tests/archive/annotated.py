"""A folder of results as `unipixel annotate` leaves it, made up: the masks are known, some are spoiled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from unipixel.archive.lines import Entry, ItemMask, LineHead, ObjectHead, to_lines
from unipixel.core.masks import RLE

MEDIA = Path(__file__).parents[2] / "examples" / "media"
CLIP, STILL = MEDIA / "shapes.mp4", MEDIA / "still.jpg"
CIRCLE, TRIANGLE = 2, 3
"""Values of the blue circle and the blue triangle in the clip's true masks."""


def truth(value: int) -> list[RLE]:
    """The true masks of one thing of the clip, a frame each."""
    files = sorted((MEDIA / "shapes_masks").glob("*.png"))
    return [RLE.from_mask(np.asarray(Image.open(file)) == value) for file in files]


def spoiled(mask: RLE) -> RLE:
    """Its left half."""
    pixels = mask.decode()
    x1, _, x2, _ = mask.box or (0, 0, 0, 0)
    pixels[:, (x1 + x2) // 2 :] = False
    return RLE.from_mask(pixels)


@dataclass(frozen=True)
class Thing:
    """An object: its masks and their quality by frame; `query` of its item."""

    id: int
    masks: Sequence[RLE]
    qualities: Sequence[float | None]
    query: int = 0
    name: str = ""

    def entries(self, fps: float) -> list[Entry]:
        head = ObjectHead(self.id, self.query, self.name)
        rated = enumerate(zip(self.masks, self.qualities, strict=True))
        return [
            (head, ItemMask(frame, frame / fps, rle, 0.9, quality))
            for frame, (rle, quality) in rated
            if rle.area
        ]


@dataclass(frozen=True)
class Made:
    """An item: its file, what was asked (a text, or the number of a marked object), and what was found."""

    item: str
    media: Path
    queries: Sequence[str | int]
    things: Sequence[Thing]
    answers: Mapping[int, str] = field(default_factory=dict)
    failures: Sequence[Mapping[str, object]] = ()

    def lines(self) -> bytes:
        first = self.things[0].masks[0]
        total = len(self.things[0].masks)
        fps = 8.0 if total > 1 else 1.0
        clip = {"size": [first.height, first.width], "num_frames": total, "fps": fps}
        entries: list[Entry] = [("media", str(self.media)), ("frames", [0, total - 1, 1])]
        for query in self.queries:
            entries.append(("queries", {"ask": query} if isinstance(query, str) else {"object": query}))
        for query, text in self.answers.items():
            entries.append(("answers", {"query": query, "window": 0, "frames": [0, total - 1], "text": text}))
        entries += [("failures", dict(failure)) for failure in self.failures]
        for thing in self.things:
            entries += thing.entries(fps)
        return b"".join(to_lines(LineHead(self.item, 0, False, "done", "ab12"), clip, entries))


def shapes(media: Path = CLIP, item: str = "shapes.mp4") -> Made:
    """The sample clip: the circle is found well, the triangle badly from frame 10 on, and a marked circle."""
    circle, triangle = truth(CIRCLE), truth(TRIANGLE)
    bad = [one if frame < 10 else spoiled(one) for frame, one in enumerate(triangle)]
    falling = [0.9 if frame < 10 else 0.6 - 0.02 * frame for frame in range(24)]
    asks: list[str | int] = ["Please segment the blue circle.", "Please segment the blue triangle.", 7]
    things = [
        Thing(0, circle, [0.95] * 24, 0),
        Thing(1, bad, falling, 1),
        Thing(
            7, [spoiled(one) for one in circle], [0.4 + 0.01 * (frame % 3) for frame in range(24)], 2, "ball"
        ),
    ]
    return Made(item, media, asks, things, {0: "Here it is: [0].", 1: "Here it is: [1]."})


def still(media: Path = STILL, item: str = "stills/still.jpg") -> Made:
    """The sample picture: two objects of one question, of which one is no object at all."""
    with Image.open(media) as picture:
        width, height = picture.size
    one, other = np.zeros((height, width), bool), np.zeros((height, width), bool)
    one[60:110, 100:150], other[:20, :20] = True, True
    things = [Thing(0, [RLE.from_mask(one)], [0.8]), Thing(1, [RLE.from_mask(other)], [0.1])]
    return Made(item, media, ["Please segment the circles."], things, {0: "They are [0] and [1]."})


def write(folder: Path, *items: Made) -> Path:
    """A finished folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annotations.jsonl").write_bytes(b"".join(item.lines() for item in items))
    (folder / "archive.json").write_text(json.dumps({"model": "made up", "settings": {}, "versions": {}}))
    return folder
