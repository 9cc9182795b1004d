"""What a long clip costs: objects are followed through it while time and memory are watched.

    python benchmarks/length.py [--frames 3000] [--objects 4] [--side 128] [--threads 2] [--keep-bytes 0]

The small model follows discs in a made-up video file, frame by frame with `session.track`. A third at the
beginning and a third at the end are compared; both are of the same run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import torch
from common import counted
from numpy.typing import NDArray

from unipixel import Point, load
from unipixel.core.writing import write_video
from unipixel.inference.frames import FRAMES_AT_ONCE
from unipixel.inference.session import Session

WARM = 100
"""From this frame on memory is compared: before, it grows to what the work takes."""
COLOURS = ((230, 60, 60), (60, 200, 80), (70, 110, 240), (235, 205, 60))
BACKGROUND = (40, 44, 52)
HEADER = """\
| after frame | state of the tracker, bytes | resident memory, MB | masks emitted, kB |
|---|---|---|---|"""


@dataclass(frozen=True)
class Sample:
    """After one frame. seconds: since the start; bytes that the tracker remembers, that the process holds,
    and that the run-length codes emitted so far have."""

    seconds: float
    state: int
    resident: int
    emitted: int


def resident_bytes() -> int:
    """Memory that this process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def centre(number: int, frame: int, side: int) -> tuple[float, float]:
    """Where disc `number` is: (x, y), each in a band of its own, so that none hides another."""
    swing = 0.5 + 0.35 * np.sin(2 * np.pi * (frame / (90 + 17 * number) + number / 4))
    return side * float(swing), side * (number + 0.5) / len(COLOURS)


def paint(frame: int, side: int) -> NDArray[np.uint8]:
    """One frame, uint8 [side, side, 3]: discs that swing from side to side."""
    rows, columns = np.mgrid[:side, :side]
    picture = np.full((side, side, 3), BACKGROUND, dtype=np.uint8)
    for number, colour in enumerate(COLOURS):
        x, y = centre(number, frame, side)
        picture[(columns - x) ** 2 + (rows - y) ** 2 < (side / 10) ** 2] = colour
    return picture


def point_out(session: Session, objects: int, side: int) -> None:
    """Click on discs of the first frame (on the first ones again if there are more objects)."""
    for number in range(objects):
        x, y = centre(number % len(COLOURS), 0, side)
        session.refer(Point(x, y, frame=0), follow=False)


def follow(session: Session) -> list[Sample]:
    """Follow all objects through the clip; one sample for each frame."""
    samples = []
    emitted = 0
    start = time.perf_counter()
    for _, found in session.track():
        emitted += sum(len(mask.rle.counts) for mask in found.values())
        seconds = time.perf_counter() - start
        samples.append(Sample(seconds, session.tracking_nbytes, resident_bytes(), emitted))
    return samples


def growth(samples: list[Sample]) -> float:
    """Bytes that the process gains with each frame, without the masks that it gave out: from the middle level
    of the first half to that of the second (the C library returns memory now and then, in lumps)."""
    held = [sample.resident - sample.emitted for sample in samples]
    half = len(held) // 2
    return (median(held[-half:]) - median(held[:half])) / (len(held) - half)


def paces(samples: list[Sample]) -> list[float]:
    """Milliseconds for a frame in each group of frames that are encoded together, increasing."""
    ends = [sample.seconds for sample in samples[::FRAMES_AT_ONCE]]
    return sorted(1000 / FRAMES_AT_ONCE * (after - before) for before, after in pairwise(ends))


def compare_thirds(samples: list[Sample]) -> None:
    """Half of all groups are quicker than the middle one; a tenth of them is hardly touched by what else the
    machine does."""
    third = len(samples) // 3
    first, last = paces(samples[:third]), paces(samples[-third:])
    for name, place in (("middle", len(first) // 2), ("quickest tenth", len(first) // 10)):
        early, late = first[place], last[place]
        print(f"{name}: first third {early:.2f}, last third {late:.2f} ms a frame, ratio {late / early:.3f}")


def report(samples: list[Sample], warm: int) -> None:
    print(HEADER)
    count = len(samples)
    for mark in sorted({warm, count // 3, 2 * count // 3, count}):
        sample = samples[mark - 1]
        print(f"| {mark} | {sample.state} | {sample.resident / 1e6:.1f} | {sample.emitted / 1e3:.1f} |")
    print(f"\nresident memory, beyond the masks emitted: {growth(samples[warm:]) / 1e3:+.2f} kB a frame")
    compare_thirds(samples)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a long clip costs.")
    parser.add_argument("--frames", type=int, default=3000, help="48 or more")
    parser.add_argument("--objects", type=int, default=4)
    parser.add_argument("--side", type=int, default=128, help="side of the video in pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep-bytes", type=int, default=0, help="frame features that the session keeps")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    predictor = load("unipixel-tiny", device="cpu", dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "discs.mp4"
        write_video(path, (paint(frame, given.side) for frame in range(given.frames)), fps=25)
        with predictor.session(path, keep_bytes=given.keep_bytes) as session:
            point_out(session, given.objects, given.side)
            with counted(predictor.model) as counts:
                samples = follow(session)
            seen = [known.masks for known in session.objects if known.masks is not None]
    print(
        f"unipixel-tiny, {given.side} px, {given.frames} frames, {given.objects} objects, {given.threads} "
        f"threads, float32\n"
    )
    report(samples, min(WARM, given.frames // 3))
    present = sum(frame.rle.area > 0 for masks in seen for frame in masks)
    print(f"frames encoded: {counts.frames}")
    print(f"masks that are not empty: {present} of {given.objects * given.frames}")


if __name__ == "__main__":
    main()
