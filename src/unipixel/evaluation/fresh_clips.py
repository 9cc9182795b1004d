"""Does a model find a named thing in clips that it has never seen? Made-up clips of the test split, through
real video files.

python -m unipixel.evaluation.fresh_clips [--model unipixel-tiny] [--clips 50]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unipixel.core.conversation import user
from unipixel.core.media import Clip
from unipixel.core.request import Request
from unipixel.core.response import Response
from unipixel.data.synthetic.files import write_scene
from unipixel.data.synthetic.scene import Scene, evaluation_seed, make_scene, moves
from unipixel.data.synthetic.world import WorldConfig

if TYPE_CHECKING:
    from unipixel.predictor import Predictor

QUESTION = "Please segment the {name} in this {picture}."
WORLD = WorldConfig(num_frames=8, area=(0.01, 0.10), enter=0.0, leave=0.0)
"""One target and two things that mislead: one of its colour, one of its shape. The
target covers 1-10 % of the frame."""
BATCH = 10
LEAST_IOU, MOST_WRONG, LEAST_GAIN = 0.5, 0.1, 0.15
"""What the bundled model must reach."""

Answer = Callable[[Sequence[Request]], list[Response]]


@dataclass(frozen=True)
class ClipScore:
    """One clip. iou: with the target, mean over frames; wrong: with the other things, likewise; repeated: of
    the target's first mask shown again on every frame; moves: whether the target is elsewhere at the end."""

    name: str
    iou: float
    wrong: float
    repeated: float
    moves: bool


@dataclass(frozen=True)
class Report:
    """Means over clips."""

    clips: tuple[ClipScore, ...]

    @property
    def iou(self) -> float:
        return float(np.mean([clip.iou for clip in self.clips]))

    @property
    def wrong(self) -> float:
        return float(np.mean([clip.wrong for clip in self.clips]))

    @property
    def moving(self) -> tuple[ClipScore, ...]:
        return tuple(clip for clip in self.clips if clip.moves)

    @property
    def gain(self) -> float:
        """By how much answers are better than the first true mask repeated, on clips whose target moves."""
        return float(np.mean([clip.iou - clip.repeated for clip in self.moving]))

    @property
    def passed(self) -> bool:
        """Whether the model finds what it is asked for, leaves the rest alone, and follows what moves."""
        return self.iou >= LEAST_IOU and self.wrong <= MOST_WRONG and self.gain >= LEAST_GAIN

    def __str__(self) -> str:
        moving = np.mean([clip.iou for clip in self.moving])
        repeated = np.mean([clip.repeated for clip in self.moving])
        lines = [
            f"fresh clips: {len(self.clips)}, each with a thing of the target's colour and one of its shape",
            f"  mean IoU with the target          {self.iou:.3f}  (at least {LEAST_IOU})",
            f"  mean IoU with the wrong things    {self.wrong:.3f}  (at most {MOST_WRONG})",
            f"  where the target moves ({len(self.moving)} clips)  {moving:.3f}",
            f"  first true mask repeated there    {repeated:.3f}",
            f"  gain over that                    {self.gain:.3f}  (at least {LEAST_GAIN})",
            f"  {'PASS' if self.passed else 'FAIL'}",
        ]
        return "\n".join(lines)


def evaluate(
    answer: Answer, num_clips: int, folder: Path, world: WorldConfig = WORLD, question: str = QUESTION
) -> Report:
    """Ask for the target of `num_clips` test scenes, written to `folder` as H.264 (or
    JPEG) files and read from there."""
    scores: list[ClipScore] = []
    for chunk in _chunks(range(num_clips)):
        scenes = [make_scene(evaluation_seed(index), world) for index in chunk]
        paths = [
            write_scene(scene, folder, f"clip_{index:03d}").media
            for index, scene in zip(chunk, scenes, strict=True)
        ]
        requests = [
            Request(Clip.open(path), (user(ask_for_target(scene, question)),))
            for path, scene in zip(paths, scenes, strict=True)
        ]
        scores += [score(scene, response) for scene, response in zip(scenes, answer(requests), strict=True)]
    return Report(tuple(scores))


def ask_for_target(scene: Scene, question: str = QUESTION) -> str:
    """The question about a scene's target."""
    picture = "image" if len(scene.frames) == 1 else "video"
    return question.format(name=scene.expression(scene.target), picture=picture)


def score(scene: Scene, response: Response) -> ClipScore:
    """Compare the first object of an answer (nothing if there is none) with the scene's masks."""
    truth = scene.masks[scene.target]
    predicted = response.objects[0].masks.to_array() if response.objects else np.zeros_like(truth)
    others = [scene.masks[i] for i in range(len(scene.things)) if i != scene.target]
    return ClipScore(
        name=scene.expression(scene.target),
        iou=mean_iou(predicted, truth),
        wrong=float(np.mean([mean_iou(predicted, other, both_empty=0.0) for other in others])),
        repeated=mean_iou(np.broadcast_to(truth[0], truth.shape), truth),
        moves=moves(scene, scene.target),
    )


def mean_iou(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], both_empty: float = 1.0) -> float:
    """Mean over frames of intersection over union of masks [T, H, W]; `both_empty`
    counts for a frame without either."""
    intersection = (predicted & truth).sum(axis=(1, 2))
    union = (predicted | truth).sum(axis=(1, 2))
    return float(np.where(union > 0, intersection / np.maximum(union, 1), both_empty).mean())


def _chunks(indices: range) -> Iterator[range]:
    for start in range(0, len(indices), BATCH):
        yield indices[start : start + BATCH]


def print_score(about: str | None, score: Callable[[Predictor, int, Path], object]) -> None:
    """A command that opens a model and prints its score on so many clips, which are drawn in a folder."""
    from unipixel.loading import load

    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="unipixel-tiny")
    parser.add_argument("--clips", type=int, default=50)
    arguments = parser.parse_args()
    model = load(arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        print(score(model, arguments.clips, Path(folder)))


def main() -> None:
    print_score(__doc__, lambda model, clips, folder: evaluate(model.answer, clips, folder))


if __name__ == "__main__":
    main()
