"""What 8-bit weights of the language model change: the same questions, asked with and without them.

    python benchmarks/int8.py [--model unipixel-tiny] [--scenes 6] [--dtype bfloat16] [--threads 2]

Fresh made-up clips and stills, as `unipixel.evaluation.fresh_clips` draws them. Of each, every thing is asked
for: by name, together with another, and as `[0]` with a box around it, which the language model hears alone.
Wordings take turns. Both models have the same precision otherwise, and answer in turns. Needs
`unipixel[int8]`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from numpy.random import default_rng
from numpy.typing import NDArray

from unipixel import load
from unipixel.core.media import Clip
from unipixel.core.question import ask_about
from unipixel.core.request import Request
from unipixel.core.response import Response
from unipixel.data.pointing import draw_box
from unipixel.data.synthetic.files import write_scene
from unipixel.data.synthetic.scene import Scene, evaluation_seed, make_scene
from unipixel.evaluation.fresh_clips import WORLD
from unipixel.evaluation.metrics.clips import score_clip
from unipixel.model.quantise import plain_state
from unipixel.predictor import Predictor

WORDINGS = (
    "Please segment {what} in this {picture}.",
    "Mark the pixels of {what} in this {picture}.",
    "Can you find {what} in this {picture} and outline it?",
    "Where in this {picture} is {what}? Show it with a mask.",
    "What is {what} in this {picture}? Give me the mask that belongs to it.",
    "I would like to have {what} cut out of this {picture}.",
    "Segment {what}.",
)
ASKED = 2
"""Wordings of each thing."""
LEAST_EQUAL, MOST_APART = 0.95, 0.01
Masks = NDArray[np.bool_]
Ask = Callable[[Scene, Clip, int, str], tuple[Request, tuple[int, ...]]]
"""A question about thing `index` in a wording, and the things whose masks it asks for."""


def by_name(scene: Scene, clip: Clip, index: int, words: str) -> tuple[Request, tuple[int, ...]]:
    return ask_about(clip, _worded(words, clip, _name(scene, index))), (index,)


def two_at_once(scene: Scene, clip: Clip, index: int, words: str) -> tuple[Request, tuple[int, ...]]:
    both = (index, (index + 1) % len(scene.things))
    return ask_about(clip, _worded(words, clip, " and ".join(_name(scene, one) for one in both))), both


def by_box(scene: Scene, clip: Clip, index: int, words: str) -> tuple[Request, tuple[int, ...]]:
    """The box lies on the frame on which most of the thing is seen."""
    frame = int(scene.masks[index].sum(axis=(1, 2)).argmax())
    box = draw_box(scene.masks[index, frame], default_rng(scene.seed % 2**32 + index))
    return ask_about(clip, _worded(words, clip, "[0]"), (replace(box, frame=frame),)), (index,)


def _name(scene: Scene, index: int) -> str:
    return f"the {scene.expression(index)}"


def _worded(words: str, clip: Clip, what: str) -> str:
    return words.format(what=what, picture="image" if clip.num_frames == 1 else "video")


KINDS: tuple[tuple[str, int, Ask], ...] = (
    ("clips, by name", 8, by_name),
    ("clips, two at once", 8, two_at_once),
    ("clips, by box", 8, by_box),
    ("stills, by name", 1, by_name),
    ("stills, two at once", 1, two_at_once),
    ("stills, by box", 1, by_box),
)
"""What is asked of clips of so many frames."""


@dataclass(frozen=True)
class Pair:
    """One question, answered by both. texts: of both; full, int8: J&F with the targets; apart: J&F of the
    masks of the one with those of the other."""

    texts: tuple[str, str]
    full: float
    int8: float
    apart: float

    @property
    def equal(self) -> bool:
        return self.texts[0] == self.texts[1]


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


def ask(full: Asked, int8: Asked, frames: int, how: Ask, scenes: int, folder: Path) -> Iterator[Pair]:
    """All questions about one scene together, first to the one model, then to the other."""
    wordings = cycle(WORDINGS)
    for index in range(scenes):
        scene = make_scene(evaluation_seed(index), replace(WORLD, num_frames=frames))
        clip = Clip.open(write_scene(scene, folder, f"{frames}_{index:03d}").media)
        things = [thing for thing in range(len(scene.things)) for _ in range(ASKED)]
        requests, wanted = zip(*(how(scene, clip, thing, next(wordings)) for thing in things), strict=True)
        answers = zip(wanted, full.answer(list(requests)), int8.answer(list(requests)), strict=True)
        for targets, one, other in answers:
            yield compare(scene.masks[list(targets)], one, other)


def compare(truth: Masks, one: Response, other: Response) -> Pair:
    """Objects of an answer in their order, empty masks where there are too few. truth: bool [O, T, H, W]."""
    found, also = masks_of(one, truth), masks_of(other, truth)
    return Pair((one.text, other.text), j_and_f(found, truth), j_and_f(also, truth), j_and_f(also, found))


def masks_of(response: Response, like: Masks) -> Masks:
    found = np.zeros_like(like)
    for place, each in zip(found, response.objects, strict=False):
        place[:] = each.masks.to_array()
    return found


def j_and_f(found: Masks, truth: Masks) -> float:
    """Mean over objects."""
    return float(np.mean([score_clip(*pair).j_and_f for pair in zip(found, truth, strict=True)]))


def row(title: str, pairs: Sequence[Pair]) -> str:
    full, int8 = (float(np.mean([getattr(pair, name) for pair in pairs])) for name in ("full", "int8"))
    apart = float(np.mean([pair.apart for pair in pairs]))
    equal = sum(pair.equal for pair in pairs)
    return (
        f"| {title} | {len(pairs)} | {equal} | {full:.4f} | {int8:.4f} | {int8 - full:+.4f} | {apart:.4f} |"
    )


def report(pairs: Sequence[Pair], full: Asked, int8: Asked) -> None:
    held = [sum(t.nbytes for t in plain_state(one.predictor.model).values()) for one in (full, int8)]
    equal, change = np.mean([pair.equal for pair in pairs]), np.mean([p.int8 - p.full for p in pairs])
    kinds = len({pair.texts[0] for pair in pairs})
    print(f"\nequal texts: {100 * equal:.1f} % of {len(pairs)} (at least {100 * LEAST_EQUAL:.0f} %)")
    print(f"J&F: {change:+.4f} (at most {MOST_APART} apart)")
    print(f"different texts among the answers as opened: {kinds}")
    print(f"weights, MB: {held[0] / 1e6:.1f}, with int8 {held[1] / 1e6:.1f}")
    print(f"seconds: {full.seconds:.1f}, with int8 x {int8.seconds / full.seconds:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="What 8-bit weights of the language model change.")
    parser.add_argument("--model", default="unipixel-tiny")
    parser.add_argument("--scenes", type=int, default=6, help="of each kind")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    full = Asked(load(given.model, dtype=given.dtype))
    int8 = Asked(load(given.model, dtype=given.dtype, language="int8"))
    kind = str(full.predictor.dtype).removeprefix("torch.")
    print(f"{full.predictor.config.name}, {given.scenes} scenes a kind, {kind}, {full.predictor.device}\n")
    print("| asked | questions | equal texts | J&F | J&F with int8 | difference | of the two |")
    print("|---|---|---|---|---|---|---|")
    pairs: list[Pair] = []
    with tempfile.TemporaryDirectory() as folder:
        for title, frames, how in KINDS:
            some = list(ask(full, int8, frames, how, given.scenes, Path(folder)))
            print(row(title, some), flush=True)
            pairs += some
    print(row("all", pairs))
    report(pairs, full, int8)


if __name__ == "__main__":
    main()
