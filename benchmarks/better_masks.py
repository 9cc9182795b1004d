"""What each way to better masks without training gives, where the published way is weak: the object is absent
or small on frame 0.

    python benchmarks/better_masks.py --keep better.jsonl [--model unipixel-tiny] [--clips 200] [--limit 3]
    python benchmarks/better_masks.py --from better.jsonl

Made-up clips of the test split. J&F is the mean over all frames; intervals are 95 %, whole clips drawn again
with replacement, and so are those of the differences to the published way on the same clips. `--keep` writes
a line after each clip; a run with the same file goes on behind its last one. `--with SAM2` adds the row of
`--propagate-with`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import unipixel
from unipixel.core.mask_options import MaskOptions
from unipixel.core.masks import RLE
from unipixel.data.synthetic.scene import Scene, evaluation_seed, make_scene
from unipixel.data.synthetic.world import WorldConfig
from unipixel.evaluation.fresh_clips import ask_for_target
from unipixel.evaluation.metrics.clips import score_clip
from unipixel.evaluation.metrics.intervals import Interval, bootstrap_mean, bootstrap_mean_difference
from unipixel.loading import with_masks

FIRST_SEED = 100_000
"""Clips of the test split from here on: no other benchmark takes them."""
SMALL = 0.5
"""Small on frame 0: less than so much of its largest area."""
PUBLISHED = "published"
Row = dict[str, object]


def options(given: argparse.Namespace) -> dict[str, MaskOptions]:
    ways = {
        PUBLISHED: MaskOptions(),
        "start clearest": MaskOptions(start="clearest"),
        "language frames by change": MaskOptions(language_frames="change"),
        "split": MaskOptions(split=True),
        "clearest, by change": MaskOptions(start="clearest", language_frames="change"),
    }
    if given.sam2:
        ways["propagated by others"] = MaskOptions(propagate_with=given.sam2)
        ways["clearest, propagated by others"] = MaskOptions(start="clearest", propagate_with=given.sam2)
    return ways


def scenes(given: argparse.Namespace) -> Iterator[tuple[int, str, Scene]]:
    """Clips whose target is absent or small on frame 0, in turn: number, which of the two, the clip."""
    world = WorldConfig(num_frames=given.frames, area=(0.01, 0.10), leave=0.1, enter=0.1)
    found, seed = 0, FIRST_SEED
    while found < given.clips:
        late = found % 2 == 0
        here = replace(world, absent_at_start=1.0) if late else replace(world, motions=("approach",))
        scene = make_scene(evaluation_seed(seed), here)
        areas = scene.masks[scene.target].sum(axis=(1, 2))
        seed += 1
        if late and not areas[0] and areas.any():
            yield found, "absent", scene
            found += 1
        elif not late and 0 < areas[0] < SMALL * areas.max():
            yield found, "small", scene
            found += 1


def ask(model: unipixel.Predictor, scene: Scene) -> float:
    """J&F of the first object of an answer."""
    response = model.ask(list(scene.frames), ask_for_target(scene), num_frames=8)
    truth = [RLE.from_mask(mask) for mask in scene.masks[scene.target]]
    nothing = RLE.from_mask(np.zeros(scene.masks.shape[-2:], np.bool_))
    found = (
        [mask.rle if mask.present else nothing for mask in response.objects[0].masks]
        if response.objects
        else []
    )
    return score_clip(found or [nothing] * len(truth), truth).j_and_f


def run(given: argparse.Namespace) -> list[Row]:
    """A row for each clip and way; those that a file keeps are not asked again."""
    rows = read(given.keep) if given.keep and given.keep.is_file() else []
    done = {(row["clip"], row["way"]) for row in rows}
    torch.set_num_threads(given.threads)
    model = unipixel.load(given.model, device=given.device)
    ways = {name: with_masks(model, one) for name, one in options(given).items()}
    for number, kind, scene in scenes(given):
        if given.limit is not None and number >= given.limit:
            break
        for name, way in ways.items():
            if (number, name) in done:
                continue
            start = time.perf_counter()
            row: Row = {"clip": number, "kind": kind, "way": name, "j_and_f": ask(way, scene)}
            row["seconds"] = round(time.perf_counter() - start, 2)
            rows.append(row)
            if given.keep:
                with given.keep.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row) + "\n")
    return rows


def read(file: Path) -> list[Row]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def show(rows: list[Row]) -> None:
    """J&F of each way on each kind of clip, and its difference to the published way."""
    ways = list(dict.fromkeys(str(row["way"]) for row in rows))
    print("| way | object on frame 0 | clips | J&F | less the published way | s a clip |")
    print("|---|---|---|---|---|---|")
    for way in ways:
        for kind in ("absent", "small", "either"):
            those = [row for row in rows if kind in (row["kind"], "either")]
            ours = {row["clip"]: row for row in those if row["way"] == way}
            theirs = {row["clip"]: row for row in those if row["way"] == PUBLISHED}
            clips = [clip for clip in ours if clip in theirs]
            if not clips:
                continue
            scores, before = ([float(str(of[clip]["j_and_f"])) for clip in clips] for of in (ours, theirs))
            mean = bootstrap_mean(scores, clips)
            gain = "" if way == PUBLISHED else text(bootstrap_mean_difference(scores, before, clips), "+")
            seconds = np.mean([float(str(ours[clip]["seconds"])) for clip in clips])
            print(f"| {way} | {kind} | {len(clips)} | {text(mean)} | {gain} | {seconds:.1f} |")


def text(found: Interval, sign: str = "") -> str:
    return f"{found.value:{sign}.3f} [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="J&F of the ways to better masks without training.")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--limit", type=int, help="only the first so many of them")
    parser.add_argument("--frames", type=int, default=16, help="of each clip")
    parser.add_argument("--with", dest="sam2", metavar="SAM2", help="weights for --propagate-with")
    parser.add_argument("--keep", type=Path, help="a file (.jsonl) for what is found; goes on from it")
    parser.add_argument("--from", dest="source", type=Path, help="what was kept, in place of clips")
    parser.add_argument("--model", default="unipixel-tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    show(read(given.source) if given.source else run(given))


if __name__ == "__main__":
    main()
