"""Samples of every task, written by hand: a grey clip in which objects are blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tests.data.published.drawing import write_picture, write_video

from unipixel.data.sample import Caption, Choice, Exchange, Expression, Media, Sample

WIDTH, HEIGHT = 84, 56


@dataclass(frozen=True)
class Blocks:
    """Object i is a block in column i of the clip, seen on the frames `seen[i]` only."""

    seen: tuple[tuple[int, ...], ...]

    @property
    def num_objects(self) -> int:
        return len(self.seen)

    def read(self, frames: Sequence[int], height: int, width: int) -> np.ndarray:
        masks = np.zeros((self.num_objects, len(frames), height, width), dtype=bool)
        for number, seen in enumerate(self.seen):
            for place, frame in enumerate(frames):
                if frame in seen:
                    left = number * width // 4
                    masks[number, place, height // 4 : height // 2, left : left + width // 4] = True
        return masks


def clip_of(folder: Path, count: int) -> Media:
    """A clip of so many frames, which is made if it is not there."""
    names = [f"{number:03d}" for number in range(count)]
    place = folder / f"clip{count}"
    if not place.exists():
        for number, name in enumerate(names):
            write_picture(place / f"{name}.jpg", 10 * number % 256, WIDTH, HEIGHT)
    return Media(f"clip{count}", tuple(place / f"{name}.jpg" for name in names))


def film_of(folder: Path, count: int, fps: int = 24) -> Media:
    """A video file of so many frames."""
    file = folder / f"film{count}-{fps}.mp4"
    if not file.exists():
        write_video(file, count, WIDTH, HEIGHT, fps)
    return Media(file.name, video=file)


def samples_of_every_task(folder: Path) -> dict[str, Sample]:
    """One of each by a name of its own; objects are seen on all six frames."""
    clip, still, film = clip_of(folder, 6), clip_of(folder, 1), film_of(folder, 48)
    always = (0, 1, 2, 3, 4, 5)

    def made(task: Any, media: Media | None, *rounds: Any, ids: tuple[int, ...] = (), **more: Any) -> Sample:
        masks = Blocks((always,) * len(ids)) if ids else None
        return Sample("by_hand", f"{task}-{len(ids)}", task, media, rounds, ids, masks, **more)

    talk = Exchange("What is going on?", "Nothing much.")
    pair = Exchange("Is [3] left of [7]?", "Yes, [3] is.")
    return {
        "segment": made("segment", clip, Expression("The grey block.", "query", (0, 1)), ids=(3, 7)),
        "segment still": made(
            "segment",
            still,
            Expression("dog", "part", part="leg"),
            Expression("Which?", "sentence"),
            ids=(0,),
        ),
        "refer": made("refer", clip, Caption("A block.", 0, "brief"), ids=(3,)),
        "refer talk": made("refer", clip, Exchange("What is [0]?", "A block."), ids=(0,), free_ids=True),
        "describe": made("describe", clip, pair, Exchange("And [7]?", "It is grey."), ids=(3, 7)),
        "describe still": made("describe", still, Caption("A long story.", 1), ids=(1, 2)),
        "choose": made("choose", clip, Choice("What is [3]?", ("a dog", "a block"), 1), ids=(3,)),
        "choose film": made("choose", film, Choice("What  is it?", ("a dog", "a block"), 1)),
        "remember": made("remember", clip, pair, ids=(3, 7)),
        "chat still": made("chat", still, talk, talk),
        "chat film": made("chat", film, talk),
        "chat": made("chat", None, talk, Exchange("And a[3]?", "An item.")),
    }
