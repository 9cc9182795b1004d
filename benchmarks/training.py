"""What a training step costs, and where its time goes.

    python benchmarks/training.py [--batch 4] [--objects 1,2,3] [--frames 8] [--preset t --side 256]

Together: the objects of all samples of a micro-batch are followed as one batch. Sample by sample: the same
step, with each sample's objects followed on their own, as the published training does. Both encode each frame
once, give the same loss, and take turns.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
from common import make_predictor, random_clip, text_sizes, vision_sizes

from unipixel.core.conversation import Segment, assistant, user
from unipixel.core.request import PixelBudget, Request
from unipixel.data.conversations import Provenance
from unipixel.loading import load
from unipixel.model.inputs import Targets
from unipixel.model.sam2 import FrameMasks, Sam2Config
from unipixel.model.unipixel import UniPixel
from unipixel.predictor import Predictor
from unipixel.processing.processor import Processor
from unipixel.processing.vision import mask_view
from unipixel.training import learner as learning
from unipixel.training.examples import Supervised, conversation_labels
from unipixel.training.learner import Clip, Exercise, Learner
from unipixel.training.stream import join_exercises

HEADER = """\
| followed | s a step | samples/s | ratio | processor s | ratio | loss |
|---|---|---|---|---|---|---|"""
PIXELS = PixelBudget(16 * 28 * 28, 32 * 28 * 28, None)
QUESTION, ANSWER = "Find them in this video.", "Here they are: "
follow_together = learning.track


def make_exercise(processor: Processor, frames: int, objects: int, seed: int) -> Exercise:
    """A sample about noise with so many objects, which are blocks."""
    side = processor.config.sam2.image_size
    clip = random_clip(frames, side, seed)
    answer = assistant(ANSWER, *(Segment() for _ in range(objects)))
    request = Request(clip, (user(QUESTION),), forced_answer=answer, num_frames=frames, pixels=PIXELS)
    inputs = processor.prepare(request).inputs
    masks = torch.zeros(frames, objects, side, side, dtype=torch.bool)
    for number in range(objects):
        masks[:, number, side // 4 : side // 2, number * side // 4 : (number + 1) * side // 4] = True
    labels = conversation_labels(inputs.token_ids, processor)
    targets = Targets(labels, (mask_view(clip.read(range(frames)), side),), (masks,))
    what = Supervised(inputs, targets, (Provenance("noise", str(seed), ()),))
    return Exercise(what, (torch.arange(objects),))


def sample_by_sample(model: UniPixel, clips: Sequence[Clip], recompute: bool) -> list[list[FrameMasks]]:
    """The frames of all samples are encoded together, and each sample is followed alone."""
    features = learning._encode(model, torch.cat([clip.frames for clip in clips]))
    starts = torch.tensor([0, *(len(clip.frames) for clip in clips)]).cumsum(0).tolist()
    found = []
    for clip, start, stop in zip(clips, starts, starts[1:], strict=False):
        own = features.select(torch.arange(start, stop))
        with patch.object(learning, "_encode", lambda _model, _frames, own=own: own):
            found += follow_together(model, [clip], recompute)
    return found


@dataclass
class Clock:
    """Seconds by what they were spent on."""

    spent: Counter[str] = field(default_factory=Counter)

    def around(self, what: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, timed."""

        def timed(*given: Any, **named: Any) -> Any:
            with self.on(what):
                return work(*given, **named)

        return timed

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.spent[what] += time.perf_counter() - start


def step(learner: Learner, exercise: Exercise, follow: Callable[..., Any], clock: Clock) -> float:
    """Forward and backward; returns the loss."""
    model = learner.model
    with (
        patch.object(learning, "track", clock.around("encode and follow", follow)),
        patch.object(learning, "_encode", clock.around("encode", learning._encode)),
        patch.object(learning, "mask_loss", clock.around("mask losses", learning.mask_loss)),
        patch.object(model, "think", clock.around("language model", model.think)),
    ):
        before = time.process_time()
        with clock.on("forward"):
            total = learner(exercise).total
        with clock.on("backward"):
            total.backward()
        clock.spent["processor"] = time.process_time() - before
    learner.zero_grad(set_to_none=True)
    return total.item()


def open_model(given: argparse.Namespace) -> Predictor:
    """The bundled model, or a random one around a mask decoder of a published size."""
    if given.preset is None:
        return load("unipixel-tiny", device="cpu")
    sam2 = Sam2Config.preset(given.preset, image_size=given.side)
    return make_predictor(sam2, text_sizes(4, 256), vision_sizes(4, 128))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a training step costs.")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--objects", default="1,2,3", help="objects of the samples in turn")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--preset", help="size of SAM 2.1: t, s, b+ or l; default: the bundled model's")
    parser.add_argument("--side", type=int, default=256, help="side of the mask view, with --preset")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    opened = open_model(given)
    learner = Learner(opened.model.requires_grad_(True).eval())
    counts = [int(number) for number in given.objects.split(",")]
    items = [
        make_exercise(opened.processor, given.frames, counts[number % len(counts)], number)
        for number in range(given.batch)
    ]
    exercise = join_exercises(items, opened.config.tokens.end_of_text)
    ways = {"together": follow_together, "sample by sample": sample_by_sample}
    clocks = {name: [] for name in ways}
    losses = {}
    for turn in range(given.steps + 1):
        for name, follow in ways.items():
            clock = Clock()
            losses[name] = step(learner, exercise, follow, clock)
            if turn:  # the first warms up
                clocks[name].append(clock.spent)
    objects = sum(map(int, exercise.object_counts))
    print(
        f"{opened.config.name}, {opened.config.sam2.image_size} px, {given.frames} frames, batch of "
        f"{given.batch}, {objects} objects, {given.threads} threads, float32\n"
    )
    middle = {name: sorted(found, key=_seconds)[len(found) // 2] for name, found in clocks.items()}
    slow = middle["sample by sample"]
    print(HEADER)
    for name, spent in middle.items():
        seconds = _seconds(spent)
        work = spent["processor"]
        print(
            f"| {name} | {seconds:.2f} | {given.batch / seconds:.2f} | {_seconds(slow) / seconds:.2f} "
            f"| {work:.2f} | {slow['processor'] / work:.2f} | {losses[name]:.5f} |"
        )
    _print_shares(middle["together"])


def _seconds(spent: Counter[str]) -> float:
    return spent["forward"] + spent["backward"]


def _print_shares(spent: Counter[str]) -> None:
    following = spent["encode and follow"] - spent["encode"]
    parts = {
        "language model": spent["language model"],
        "image encoder": spent["encode"],
        "following objects": following,
        "mask losses": spent["mask losses"],
        "backward": spent["backward"],
    }
    print("\nwhere the time goes: " + ", ".join(
        f"{name} {seconds / _seconds(spent):.0%}" for name, seconds in parts.items()
    ))  # fmt: skip


if __name__ == "__main__":
    main()
