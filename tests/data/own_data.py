"""A person's own data as docs/data.md shows it: the examples, and the files that they name."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import unipixel
from unipixel.core.writing import write_picture, write_video
from unipixel.data.checking import check_jsonl
from unipixel.errors import DataError

WIDTH, HEIGHT, FPS, NUM_FRAMES = 160, 120, 8, 24
DOCUMENT = Path(unipixel.__file__).parents[2] / "docs" / "data.md"
EXAMPLES = [
    json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
]


def make_files(root: Path) -> None:
    """All files that the examples of the document name."""
    for name in ("pictures", "masks", "clips", "market"):
        (root / name).mkdir()
    frame = np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)
    for name in ("pictures/cups.jpg", "pictures/street.jpg", "market/0.jpg", "market/1.jpg"):
        write_picture(root / name, frame)
    write_video(root / "clips" / "kitchen.mp4", [frame + index for index in range(NUM_FRAMES)], FPS)
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    labels[20:60, 30:70] = 3
    for name in ("street", "cook-0", "cook-8"):
        Image.fromarray(labels).save(root / "masks" / f"{name}.png")
    Image.fromarray(labels[:50]).save(root / "masks" / "small.png")
    Image.fromarray(labels).save(root / "masks" / "jpeg.png", format="JPEG")


def written(folder: Path, *items: Any, name: str = "mine.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(item) + "\n" for item in items), "utf-8")
    return file


def problems(file: Path, root: Path | None = None) -> list[str]:
    """What `check` says about a file."""
    found: list[DataError] = []
    check_jsonl(file, root, found.append)
    return [str(problem) for problem in found]
