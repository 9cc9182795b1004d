"""Scenes as files: a video (or a still), a palette PNG of masks per frame, and a JSON file with the facts.

<stem>.mp4                   H.264, yuv420p; for a scene of one frame <stem>.png or <stem>.jpg
<stem>_masks/00000.png ...   0 is ground, n is the n-th thing (from 1)
<stem>.json                  seed, target, things and what can be said about them; written last, so it vouches
                             for the others

Of each thing the JSON tells its name and `expression` (what it is called so that no other is meant), how it
is drawn, its `size`, `motions`, `direction`, `speed` and `events`, and its box in each frame (null where it
is not visible). `relations` are those of frame 0, `passages` say who covers whom and when. See `facts.py`
for margins.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray
from PIL import Image

from unipixel.core.writing import replacing
from unipixel.data.synthetic.facts import SceneFacts
from unipixel.data.synthetic.relations import EXTREMES, extreme, passages, relation
from unipixel.data.synthetic.scene import Scene, moves, split_of
from unipixel.errors import ConfigError, OutputError

STILL_FORMATS = {".png": "PNG", ".jpg": "JPEG"}
JPEG_QUALITY = 92
THING_COLOURS = (
    (230, 60, 60),
    (70, 190, 90),
    (80, 120, 240),
    (240, 210, 70),
    (190, 90, 220),
    (90, 210, 220),
)
MASK_PALETTE = (0, 0, 0, *(part for colour in THING_COLOURS for part in colour))
"""Black ground, then one colour for each of up to six things."""


@dataclass(frozen=True)
class WriteOptions:
    """How to encode: H.264 rate factor `crf` (0 best, 51 worst), frames per second, suffix of stills."""

    crf: int = 18
    frames_per_second: int = 8
    still_suffix: str = ".png"

    def __post_init__(self) -> None:
        if not 0 <= self.crf <= 51:
            raise ConfigError(f"crf is {self.crf}; expected 0 (best) to 51 (worst)")
        if not 1 <= self.frames_per_second <= 120:
            raise ConfigError(f"frames_per_second is {self.frames_per_second}; expected 1 to 120")
        if self.still_suffix not in STILL_FORMATS:
            raise ConfigError(
                f"still_suffix is {self.still_suffix!r}; expected one of {', '.join(STILL_FORMATS)}"
            )


@dataclass(frozen=True)
class ScenePaths:
    """Where a scene lies: its video or still, one mask file per frame, and its facts."""

    media: Path
    masks: tuple[Path, ...]
    facts: Path


def write_scene(scene: Scene, folder: Path, stem: str, options: WriteOptions | None = None) -> ScenePaths:
    """Write a scene as files named after `stem` in `folder`, which is made if it is missing.

    Each file appears whole or not at all, and the JSON file last. Existing files of the same name are
    replaced. Raises `OutputError` for a stem with a folder in it, a video of odd height or width, or a
    place that cannot be written.
    """
    options = options or WriteOptions()
    if Path(stem).name != stem:
        raise OutputError(f"stem is {stem!r}; expected a plain file name without folders")
    still = len(scene.frames) == 1
    media = folder / f"{stem}{options.still_suffix if still else '.mp4'}"
    mask_folder = folder / f"{stem}_masks"
    names = tuple(mask_folder / f"{frame:05d}.png" for frame in range(len(scene.frames)))
    paths = ScenePaths(media, names, folder / f"{stem}.json")
    try:
        mask_folder.mkdir(parents=True, exist_ok=True)
        _write_masks(scene, paths.masks)
        if still:
            _write_still(scene.frames[0], media)
        else:
            _write_video(scene.frames, media, options)
        _write_facts(scene, paths)
    except (OSError, FFmpegError) as error:
        raise OutputError(
            f"scene {stem} cannot be written to {folder}: {error}; is it a writable folder?"
        ) from error
    return paths


def _write_masks(scene: Scene, paths: tuple[Path, ...]) -> None:
    for frame, path in enumerate(paths):
        labels = np.zeros(scene.masks.shape[2:], dtype=np.uint8)
        for number, mask in enumerate(scene.masks[:, frame], start=1):
            labels[mask] = number
        image = Image.fromarray(labels).convert("L")
        image.putpalette(MASK_PALETTE)
        with replacing(path) as part:
            image.save(part, format="PNG")


def _write_still(frame: NDArray[np.uint8], path: Path) -> None:
    with replacing(path) as part:
        Image.fromarray(frame).save(part, format=STILL_FORMATS[path.suffix], quality=JPEG_QUALITY)


def _write_video(frames: NDArray[np.uint8], path: Path, options: WriteOptions) -> None:
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise OutputError(f"the scene is {width}x{height}; yuv420p video needs an even width and height")
    with replacing(path) as part, av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=options.frames_per_second, options={"crf": str(options.crf)}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1  # scenes are small, and one thread gives the same bytes every time
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _write_facts(scene: Scene, paths: ScenePaths) -> None:
    folder = paths.facts.parent
    facts = {
        "seed": scene.seed,
        "split": split_of(scene.seed).name.lower(),
        "media": paths.media.name,
        "masks": [path.relative_to(folder).as_posix() for path in paths.masks],
        "num_frames": len(scene.frames),
        "height": scene.frames.shape[1],
        "width": scene.frames.shape[2],
        "target": scene.target,
        "expression": scene.expression(scene.target),
        "things": [_thing(scene, number) for number in range(len(scene.things))],
        **_between(scene.facts),
    }
    with replacing(paths.facts) as part:
        part.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _thing(scene: Scene, number: int) -> dict[str, Any]:
    thing, facts = scene.things[number], scene.facts.things[number]
    boxes = facts.seen.boxes.tolist()
    return {
        "name": thing.name,
        "expression": scene.expression(number),
        **asdict(thing),
        "moves": moves(scene, number),
        "size": facts.size,
        "motions": facts.motions,
        "direction": facts.direction,
        "speed": facts.speed,
        "events": [asdict(event) for event in facts.events],
        "boxes": [box if seen else None for box, seen in zip(boxes, facts.seen.visible, strict=True)],
    }


def _between(facts: SceneFacts) -> dict[str, Any]:
    """What holds between things."""
    numbers = range(len(facts.things))
    pairs = [(a, b) for a in numbers for b in numbers if a != b]
    return {
        "relations": [
            {"thing": a, "is": word, "other": b}
            for a, b in pairs
            if (word := relation(facts, a, b)) is not None
        ],
        "passages": [asdict(passage) for passage in passages(facts)],
        **{which: extreme(facts, which) for which in EXTREMES},
    }
