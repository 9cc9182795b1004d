"""What 8-bit weights of the language model change: the same questions, asked with and without them.

    python benchmarks/int8.py [--model unipixel-tiny] [--clips 25] [--wordings 4] [--dtype bfloat16]
    [--threads 2]

Fresh made-up clips, as `unipixel.evaluation.fresh_clips` draws them; each is asked for its target in several
wordings. Both models have the same precision otherwise, and answer in turns. Needs `unipixel[int8]`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unipixel import load
from unipixel.core.conversation import user
from unipixel.core.media import Clip
from unipixel.core.request import Request
from unipixel.core.response import Response
from unipixel.data.synthetic.files import write_scene
from unipixel.data.synthetic.scene import evaluation_seed, make_scene
from unipixel.evaluation.fresh_clips import WORLD, ask_for_target, mean_iou
from unipixel.evaluation.metrics.boundary import f_measure
from unipixel.model.quantise import plain_state
from unipixel.predictor import Predictor

WORDINGS = (
    "Please segment the {name} in this {picture}.",
    "Mark the pixels of the {name} in this {picture}.",
    "Can you find the {name} in this {picture} and outline it?",
    "Where in this {picture} is the {name}? Show it with a mask.",
    "What is the {name} in this {picture}? Give me the mask that belongs to it.",
    "I would like to have the {name} cut out of this {picture}.",
)
LEAST_EQUAL, MOST_APART = 0.95, 0.01
Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """One question, answered by both. equal: the texts; truth: of the target; full, int8: masks that were
    found; all bool [T, H, W]."""

    equal: bool
    truth: Masks
    full: Masks
    int8: Masks


@dataclass
class Asked:
    """A model with the seconds that it took."""

    predictor: Predictor
    seconds: float = 0.0

    def answer(self, requests: list[Request]) -> list[Response]:
        start = time.perf_counter()
        found = self.predictor.answer(requests)
        self.seconds += time.perf_counter() - start
        return found


def ask(full: Asked, int8: Asked, clips: int, wordings: int, folder: Path) -> Iterator[Pair]:
    """All questions about one clip together, first to the one model, then to the other."""
    for index in range(clips):
        scene = make_scene(evaluation_seed(index), WORLD)
        clip = Clip.open(write_scene(scene, folder, f"clip_{index:03d}").media)
        questions = [ask_for_target(scene, wording) for wording in WORDINGS[:wordings]]
        requests = [Request(clip, (user(text),)) for text in questions]
        print(f"clip {index + 1} of {clips}", file=sys.stderr)
        truth = scene.masks[scene.target]
        for one, other in zip(full.answer(requests), int8.answer(requests), strict=True):
            yield Pair(one.text == other.text, truth, first_masks(one, truth), first_masks(other, truth))


def first_masks(response: Response, truth: Masks) -> Masks:
    """Masks of the first object of an answer, empty ones if there is none."""
    return response.objects[0].masks.to_array() if response.objects else np.zeros_like(truth)


def j_and_f(found: Masks, truth: Masks) -> float:
    """Mean of region and boundary measure over frames."""
    boundary = np.mean([f_measure(*pair) for pair in zip(found, truth, strict=True)])
    return (mean_iou(found, truth) + float(boundary)) / 2


def report(pairs: list[Pair], full: Asked, int8: Asked) -> None:
    held = [sum(t.nbytes for t in plain_state(one.predictor.model).values()) for one in (full, int8)]
    print("| | as opened | int8 | difference |\n|---|---|---|---|")
    for name, measure in (("mean IoU with the target", mean_iou), ("J&F with the target", j_and_f)):
        one = float(np.mean([measure(pair.full, pair.truth) for pair in pairs]))
        other = float(np.mean([measure(pair.int8, pair.truth) for pair in pairs]))
        print(f"| {name} | {one:.4f} | {other:.4f} | {other - one:+.4f} |")
    print(f"| weights, MB | {held[0] / 1e6:.1f} | {held[1] / 1e6:.1f} | {(held[1] - held[0]) / 1e6:+.1f} |")
    print(f"| seconds | {full.seconds:.1f} | {int8.seconds:.1f} | x {int8.seconds / full.seconds:.2f} |")
    equal = np.mean([pair.equal for pair in pairs])
    apart = np.mean([mean_iou(pair.int8, pair.full) for pair in pairs])
    print(f"\nequal texts: {100 * equal:.1f} % of {len(pairs)} (at least {100 * LEAST_EQUAL:.0f} %)")
    print(f"masks of the two against each other: mean IoU {apart:.4f} (at least {1 - MOST_APART})")


def main() -> None:
    parser = argparse.ArgumentParser(description="What 8-bit weights of the language model change.")
    parser.add_argument("--model", default="unipixel-tiny")
    parser.add_argument("--clips", type=int, default=25)
    parser.add_argument("--wordings", type=int, default=4, choices=range(1, len(WORDINGS) + 1))
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    full = Asked(load(given.model, dtype=given.dtype))
    int8 = Asked(load(given.model, dtype=given.dtype, language="int8"))
    kind = str(full.predictor.dtype).removeprefix("torch.")
    print(f"{given.model}, {given.clips} clips, {given.wordings} wordings, {kind}, {full.predictor.device}\n")
    with tempfile.TemporaryDirectory() as folder:
        pairs = list(ask(full, int8, given.clips, given.wordings, Path(folder)))
    report(pairs, full, int8)


if __name__ == "__main__":
    main()
