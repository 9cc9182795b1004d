"""A word that a model does not know, taught with 20 clips and asked for in 20 others.

    python examples/new_word.py make zorbs
    unipixel train finetune_tiny data.zorbs.file=zorbs/train.jsonl -o runs/zorbs
    python examples/new_word.py score zorbs/test.jsonl unipixel-tiny runs/zorbs/whole

`make` draws the clips: real video files, masks as PNGs, and two JSONL files (docs/data.md). A *zorb* is what
others call a green triangle: the model has never met the word, and nobody tells it what it stands for. Each
clip has one, beside another green thing and another triangle, so that neither colour nor shape alone will do.
`score` asks two models for everything by its name, and compares them clip by clip.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import unipixel
from unipixel.data.jsonl import (
    FrameSpan,
    Item,
    ItemMedia,
    ItemObject,
    MaskPicture,
    Region,
    open_jsonl,
    write_jsonl,
)
from unipixel.data.sample import Exchange, Sample
from unipixel.data.synthetic.files import write_scene
from unipixel.data.synthetic.scene import Scene, evaluation_seed, make_scene, training_seed
from unipixel.data.synthetic.world import WorldConfig
from unipixel.evaluation.fresh_clips import mean_iou
from unipixel.evaluation.metrics.intervals import Interval, bootstrap_mean_difference

WORD, ZORB = "zorb", ("green", "triangle")
WORLD = WorldConfig(area=(0.02, 0.10), enter=0.0, leave=0.0, exclude=(ZORB,), target_pairs=(ZORB,))
"""Each clip has one zorb, the target; the two others share its colour and its shape."""
QUESTION, ANSWER = "Segment the {name}.", "Here it is: [1]."
CLIPS = 20


# Clips


def make(folder: Path, clips: int = CLIPS) -> tuple[Path, Path]:
    """Draw `clips` clips to learn from and as many to be asked about; the two JSONL files."""
    seeds = {"train": map(training_seed, range(clips)), "test": map(evaluation_seed, range(clips))}
    files = []
    for split, numbers in seeds.items():
        scenes = (make_scene(seed, WORLD) for seed in numbers)
        folder.mkdir(parents=True, exist_ok=True)
        files.append(folder / f"{split}.jsonl")
        items = (
            item
            for number, scene in enumerate(scenes)
            for item in lines(scene, folder, f"{split}_{number:02d}")
        )
        write_jsonl(files[-1], items)
    return files[0], files[1]


def lines(scene: Scene, folder: Path, stem: str) -> Iterator[Item]:
    """A line for each thing of a clip, whose files are written: it is asked for by its name."""
    paths = write_scene(scene, folder / "clips", stem)
    media = ItemMedia("video", (paths.media.relative_to(folder).as_posix(),))
    for number in range(len(scene.things)):
        masks = [MaskPicture(path.relative_to(folder).as_posix(), value=number + 1) for path in paths.masks]
        seen = [frame for frame in range(len(masks)) if scene.masks[number, frame].any()]
        regions = tuple(Region(masks[frame], FrameSpan(frame, frame)) for frame in seen)
        thing = ItemObject(1, name(scene, number), regions)
        said = Exchange(QUESTION.format(name=thing.name), ANSWER)
        yield Item(f"{stem}_{number}", "segment", (said,), media, (thing,), annotated="all")


def name(scene: Scene, number: int) -> str:
    """What a thing is called."""
    return WORD if number == scene.target else scene.things[number].name


# Scores


@dataclass(frozen=True)
class Found:
    """How well one thing of one clip was found: mean IoU over the clip's frames."""

    clip: str
    question: str
    iou: float


def ask(model: unipixel.Predictor, sample: Sample) -> Found:
    """Ask the question of a line."""
    said = sample.rounds[0]
    assert sample.media is not None and sample.masks is not None and isinstance(said, Exchange), "own lines"
    clip = sample.media.open()
    truth = sample.masks.read(range(clip.num_frames), clip.height, clip.width)[0]
    objects = model.ask(clip, said.question).objects
    found = objects[0].masks.to_array() if objects else np.zeros_like(truth)
    return Found(sample.media.vid, said.question, mean_iou(found, truth))


def score(model: unipixel.Predictor, file: Path) -> list[Found]:
    """Ask all questions of a file."""
    data = open_jsonl(file)
    return [ask(model, data[index]) for index in range(len(data))]


def gain(first: Sequence[Found], second: Sequence[Found]) -> Interval:
    """By how much the second model finds the same things better; the interval is drawn by clip."""
    clips = [found.clip for found in first]
    ours, theirs = ([found.iou for found in which] for which in (second, first))
    return bootstrap_mean_difference(ours, theirs, clips)


def table(first: Sequence[Found], second: Sequence[Found]) -> str:
    """The new word and the old ones, before and after."""
    lines = [f"{'asked for':<12}{'things':>8}{'before':>9}{'after':>9}{'gain':>9}   95 % interval"]
    for row, new in ((WORD, True), ("old names", False)):
        pairs = [(a, b) for a, b in zip(first, second, strict=True) if (WORD in a.question) == new]
        before, after = ([pair[place] for pair in pairs] for place in (0, 1))
        change = gain(before, after)
        means = [float(np.mean([found.iou for found in which])) for which in (before, after)]
        numbers = f"{len(pairs):>8}{means[0]:>9.3f}{means[1]:>9.3f}{change.value:>+9.3f}"
        lines.append(f"{row:<12}{numbers}   [{change.low:+.3f}, {change.high:+.3f}]")
    return "\n".join(lines)


# Command line


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="draw the clips")
    making.add_argument("folder", type=Path)
    making.add_argument("--clips", type=int, default=CLIPS)
    scoring = commands.add_parser("score", help="ask models about the clips of a file")
    scoring.add_argument("file", type=Path)
    scoring.add_argument("models", nargs=2, metavar="MODEL", help="before and after")
    given = parser.parse_args(arguments)
    if given.command == "make":
        for file in make(given.folder, given.clips):
            print(file)
        return
    before, after = (score(unipixel.load(model), given.file) for model in given.models)
    print(table(before, after))


if __name__ == "__main__":
    main(sys.argv[1:])
