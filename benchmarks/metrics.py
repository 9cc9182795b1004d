"""What J and F of clips cost: ours, dilation of whole frames, and trackeval where it is installed.

    python benchmarks/metrics.py [--clips 12] [--frames 60] [--size 480x854] [--processes 2] [--passes 6]

All start from the same run-length masks and take turns clip by clip, so a busy machine slows all of them.
Then ours alone, on one process and on several.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unipixel.core.masks import RLE, polygons_to_mask
from unipixel.core.pixels import Mask
from unipixel.evaluation.metrics.boundary import boundary_map, boundary_radius
from unipixel.evaluation.metrics.clips import score_clip, score_clips

Track = list[RLE]
Scorer = Callable[[Track, Track], tuple[float, float]]
AREA = 0.10
"""Share of the frame that the object covers, about."""
HEADER = """\
| scored by | ms per frame | times ours | largest difference of J or F |
|---|---|---|---|"""


@dataclass(frozen=True)
class Measured:
    """seconds of all clips together; (J, F) of each clip."""

    seconds: float
    scores: NDArray[np.float64]


def make_clip(number: int, frames: int, height: int, width: int) -> tuple[Track, Track]:
    """A wobbling blob on its way, and a prediction a few pixels off with a rougher outline."""
    rng = np.random.default_rng(number)
    radius = math.sqrt(AREA * height * width / math.pi) * rng.uniform(0.8, 1.2)
    start, speed = rng.uniform(0.3, 0.7, 2) * (width, height), rng.uniform(-2, 2, 2)
    angles = np.linspace(0, 2 * math.pi, 90, endpoint=False)

    def outline(frame: int, roughness: float, shift: float) -> Mask:
        wobble = 1 + 0.15 * np.sin(5 * angles + 0.1 * frame) + roughness * np.sin(17 * angles + 0.3 * frame)
        around = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (radius * wobble)[:, None]
        return polygons_to_mask([around + start + speed * frame + shift], height, width)

    predicted = [RLE.from_mask(outline(frame, 0.04, 4.0)) for frame in range(frames)]
    return predicted, [RLE.from_mask(outline(frame, 0.0, 0.0)) for frame in range(frames)]


def ours(predicted: Track, truth: Track) -> tuple[float, float]:
    score = score_clip(predicted, truth)
    return score.mean_j, score.mean_f


def whole_frames(predicted: Track, truth: Track) -> tuple[float, float]:
    """The definition, word for word: both boundaries of every frame are dilated with a disk."""
    scores = [
        frame_score(shown.decode(), true.decode()) for shown, true in zip(predicted, truth, strict=True)
    ]
    j, f = np.mean(scores, axis=0)
    return float(j), float(f)


def frame_score(shown: Mask, true: Mask) -> tuple[float, float]:
    j = (shown & true).sum() / max(int((shown | true).sum()), 1)
    radius = boundary_radius(*shown.shape)
    shown_edge, true_edge = boundary_map(shown), boundary_map(true)
    precision = (shown_edge & dilated(true_edge, radius)).sum() / max(int(shown_edge.sum()), 1)
    recall = (true_edge & dilated(shown_edge, radius)).sum() / max(int(true_edge.sum()), 1)
    return float(j), float(2 * precision * recall / max(precision + recall, 1e-12))


def dilated(edge: Mask, radius: int) -> Mask:
    height, width = edge.shape
    padded = np.pad(edge, radius)
    grown = np.zeros_like(edge)
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            if down * down + right * right <= radius * radius:
                top, left = radius + down, radius + right
                grown |= padded[top : top + height, left : left + width]
    return grown


def trackeval_scorer() -> Scorer | None:
    """None where trackeval, or OpenCV that it needs, is not installed."""
    try:
        import cv2
        from trackeval.metrics import JAndF
    except ImportError:
        return None
    cv2.setNumThreads(1)

    def score(predicted: Track, truth: Track) -> tuple[float, float]:
        data: dict[str, Any] = {
            "num_timesteps": len(truth),
            "num_gt_ids": 1,
            "num_tracker_ids": 1,
            "gt_ids": [[0]] * len(truth),
            "tracker_ids": [[0]] * len(truth),
            "gt_dets": [[rle.to_coco()] for rle in truth],
            "tracker_dets": [[rle.to_coco()] for rle in predicted],
        }
        # Its public method prints how long it took.
        found = JAndF.eval_sequence.__wrapped__(JAndF(), data)
        return float(found["J-Mean"]), float(found["F-Mean"])

    return score


def in_turns(scorers: dict[str, Scorer], clips: list[tuple[Track, Track]]) -> dict[str, Measured]:
    seconds = dict.fromkeys(scorers, 0.0)
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in scorers}
    for clip in clips:
        for name, scorer in scorers.items():
            start = time.perf_counter()
            scores[name].append(scorer(*clip))
            seconds[name] += time.perf_counter() - start
    return {name: Measured(seconds[name], np.array(scores[name])) for name in scorers}


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and seconds of processor time of this process and those it starts."""

    wall: float
    processor: float


def cost(clips: list[tuple[Track, Track]], processes: int) -> Cost:
    before, start = os.times(), time.perf_counter()
    score_clips(clips, processes)
    wall, after = time.perf_counter() - start, os.times()
    return Cost(wall, sum(after[:4]) - sum(before[:4]))


def print_processes(clips: list[tuple[Track, Track]], processes: int) -> None:
    """The clock depends on what else the machine does. Processor time hardly does: what several processes
    spend more than one is what they lose."""
    start = cost([(track[:1], track[:1]) for track, _ in clips[:processes]], processes)
    alone, together = cost(clips, 1), cost(clips, processes)
    print(f"\n{len(clips)} clips | one process | {processes} processes | ratio | to start them")
    for name, one, many, begin in (
        ("clock, s", alone.wall, together.wall, start.wall),
        ("processor, s", alone.processor, together.processor, start.processor),
    ):
        print(f"{name} | {one:.1f} | {many:.1f} | {one / many:.2f} | {begin:.1f}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What J and F of clips cost.")
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", default="480x854", help="height x width")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--passes", type=int, default=6, help="over all clips, to compare numbers of processes"
    )
    return parser.parse_args()


def main() -> None:
    given = arguments()
    height, width = (int(side) for side in given.size.split("x"))
    clips = [make_clip(number, given.frames, height, width) for number in range(given.clips)]
    area = np.mean([rle.area for _, truth in clips for rle in truth]) / (height * width)
    print(f"{given.clips} clips of {given.frames} frames, {height}x{width}, object {area:.0%} of it\n")

    scorers: dict[str, Scorer] = {"ours": ours, "dilation of whole frames": whole_frames}
    trackeval = trackeval_scorer()
    if trackeval is not None:
        scorers["trackeval, one core"] = trackeval
    for scorer in scorers.values():
        scorer(*(track[:2] for track in clips[0]))  # warm up
    measured = in_turns(scorers, clips)
    print(HEADER)
    for name, found in measured.items():
        each = 1000 * found.seconds / (given.clips * given.frames)
        ratio = found.seconds / measured["ours"].seconds
        difference = np.abs(found.scores - measured["ours"].scores).max()
        print(f"| {name} | {each:.2f} | {ratio:.1f} | {difference:.0e} |")
    if trackeval is None:
        print("\ntrackeval is skipped: it is not installed.")

    print_processes(clips * given.passes, given.processes)


if __name__ == "__main__":
    main()
