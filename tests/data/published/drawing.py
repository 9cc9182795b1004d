"""What all builders share: small pictures, masks and files."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

WIDTH, HEIGHT = 16, 12

Box = tuple[int, int, int, int]
"""(x1, y1, x2, y2): columns x1..x2-1, rows y1..y2-1."""


def block(*boxes: Box, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A mask [height, width] of boxes."""
    mask = np.zeros((height, width), dtype=bool)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = True
    return mask


def rle(*boxes: Box, width: int = WIDTH, height: int = HEIGHT) -> dict[str, Any]:
    """A mask of boxes as a compressed COCO run-length object, counts as text."""
    found = coco.encode(np.asfortranarray(block(*boxes, width=width, height=height), dtype=np.uint8))
    return {"size": [height, width], "counts": found["counts"].decode("ascii")}


def listed_rle(*boxes: Box, width: int = WIDTH, height: int = HEIGHT) -> dict[str, Any]:
    """The same with `counts` as a list of run lengths."""
    flat = block(*boxes, width=width, height=height).T.reshape(-1)
    counts, value = [], False
    at = 0
    while at < len(flat):
        end = at
        while end < len(flat) and flat[end] == value:
            end += 1
        counts.append(end - at)
        at, value = end, not value
    return {"size": [height, width], "counts": counts}


def write_json(path: Path, value: Any) -> None:
    """A JSON file; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_picture(path: Path, shade: int = 0, width: int = WIDTH, height: int = HEIGHT) -> None:
    """A picture of one grey, JPEG or PNG by the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (shade, shade, shade)).save(path)


def write_frames(folder: Path, names: Iterable[str], suffix: str = ".jpg") -> None:
    """A folder of frames; frame i has grey 10 * i, so that frames can be told apart."""
    for number, name in enumerate(names):
        write_picture(folder / f"{name}{suffix}", 10 * number)


def write_labels(path: Path, labels: np.ndarray, palette: Sequence[int] | None = None) -> None:
    """A PNG of raw values [H, W]: grey, or palette indices where a palette is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(labels.astype(np.uint8))
    if palette is not None:
        picture.putpalette(palette)
    picture.save(path)


def write_video(path: Path, num_frames: int, width: int = WIDTH, height: int = HEIGHT, fps: int = 24) -> None:
    """An MP4 whose frame i has grey 10 * i (about; sides must be even)."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(num_frames):
            shade = np.full((height, width, 3), min(255, 10 * number), dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
