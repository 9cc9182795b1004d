"""What more objects cost: one encoding of the clip and one batch of objects, or the published order of work.

    python benchmarks/objects.py [--frames 16] [--objects 1,2,4,8] [--threads 2] [--preset t] [--side 256]

Published order: for every object, encode all frames again and track it alone. Both run with the same code and
the same random weights, one after the other: the ratio means the order of work, nothing else.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch
from common import counted, make_model, random_clip
from numpy.typing import NDArray
from torch import Tensor

from unipixel.core.media import Clip
from unipixel.inference.tracking import track
from unipixel.model.sam2 import Sam2Config
from unipixel.model.unipixel import UniPixel

HEADER = """\
| objects | ours, s | frames encoded | published order, s | frames encoded | ratio | pixels that differ |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Measured:
    """seconds; frames that went through the image encoder; masks bool [O, T, H, W]."""

    seconds: float
    encoded: int
    masks: NDArray[np.bool_]


def measure(model: UniPixel, clip: Clip, groups: tuple[Tensor, ...]) -> Measured:
    """Track each group of objects (hidden tokens [n, h, c]) through the whole clip, group after group."""
    with counted(model) as counts, torch.inference_mode():
        start = time.perf_counter()
        tracks = [found for group in groups for found in track(model, clip, group)]
        seconds = time.perf_counter() - start
    return Measured(seconds, counts.frames, np.stack([found.to_array() for found in tracks]))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What more objects cost.")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--objects", default="1,2,4,8", help="numbers of objects, separated by commas")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--preset", default="t", help="size of SAM 2.1: t, s, b+ or l")
    parser.add_argument("--side", type=int, default=256, help="side of the mask view in pixels")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    model = make_model(Sam2Config.preset(given.preset, image_size=given.side))
    clip = random_clip(given.frames, given.side)
    width = model.config.sam2.d_model
    measure(model, Clip.open(clip.read([0, 0])), (torch.randn(1, 2, width),))  # warm up

    print(f"Hiera-{given.preset}, {given.side} px, {given.frames} frames, {given.threads} threads, float32\n")
    print(HEADER)
    for count in (int(number) for number in given.objects.split(",")):
        prompts = torch.randn(count, model.config.hidden_tokens, width)
        ours = measure(model, clip, (prompts,))
        published = measure(model, clip, prompts.split(1))
        difference = (ours.masks != published.masks).mean()
        print(
            f"| {count} | {ours.seconds:.2f} | {ours.encoded} | {published.seconds:.2f} "
            f"| {published.encoded} | {ours.seconds / published.seconds:.2f} | {difference:.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
