"""One round of an archive: annotated, the worst fifth corrected, trained on, and asked again on other clips.

    python benchmarks/corrections.py build/corrections [--clips 60] [--held-out 60] [--model unipixel-tiny]

The archive is made up of clips whose things leave, enter and may be absent at the beginning, each asked about
two things by name. All work is done by the commands: `unipixel annotate`, `unipixel
review export`, `unipixel data check`, `unipixel train finetune_tiny`. In the place of a person stands the
truth: of the objects, worst quality first (the order of the page), a fifth is looked at; what is wrong is
corrected with clicks in a session, as on the page, and the rest is accepted unseen. Then both models are
asked about the targets of clips of the test split: J&F with 95 % intervals, clips drawn again.

The folder keeps every step, and a further run goes on behind the last whole one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import unipixel
from unipixel.archive import Review
from unipixel.archive.lines import ItemMask
from unipixel.archive.review import Candidate
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.objects import SessionObject
from unipixel.core.prompts import RegionMask
from unipixel.core.writing import write_video
from unipixel.data.pointing import correction_click, draw_click
from unipixel.data.synthetic.scene import Scene, Split, evaluation_seed, make_scene
from unipixel.data.synthetic.world import WorldConfig
from unipixel.evaluation.clicks import frame_ious
from unipixel.evaluation.fresh_clips import ask_for_target
from unipixel.evaluation.metrics.clips import score_clip
from unipixel.evaluation.metrics.intervals import Interval, bootstrap_mean, bootstrap_mean_difference
from unipixel.inference.session import Session

WORLD = WorldConfig(num_frames=12, area=(0.01, 0.10), leave=0.1, enter=0.1, absent_at_start=0.1)
FIRST_SEED = 300_000
"""Clips from here on: no other benchmark takes them."""
ON_A_FRAME = 4
"""Clicks at most on a frame that is mended alone."""
WORST, GOOD, MINE = 0.2, 0.7, 0.5
"""The share that is looked at; the IoU from which a mask needs no click, and that shows the thing at all."""

Masks = NDArray[np.bool_]


@cache
def scene_of(split: Split, number: int) -> Scene:
    return make_scene(evaluation_seed(FIRST_SEED + number, split), WORLD)


def asked_about(scene: Scene) -> tuple[int, int]:
    """The target, and another thing."""
    return scene.target, next(number for number in range(len(scene.things)) if number != scene.target)


def make(folder: Path, clips: int) -> Path:
    """The archive: clips as files, and a manifest with the questions."""
    lines = []
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    for number in range(clips):
        scene = scene_of(Split.VAL, number)
        write_video(folder / "clips" / f"{number:03d}.mp4", scene.frames, 8)
        asks = [
            f"Please segment the {scene.expression(thing)} in this video." for thing in asked_about(scene)
        ]
        lines.append({"media": f"clips/{number:03d}.mp4", "id": f"{number:03d}", "ask": asks})
    manifest = folder / "archive.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return manifest


def command(*arguments: str | Path) -> None:
    """A command of unipixel, told on stderr."""
    words = [str(word) for word in arguments]
    print("$ unipixel", *words, file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "unipixel.cli.main", *words], check=True)


# Correcting


@dataclass
class Told:
    """What was decided, how many clicks it took, and mean IoU before and after of what was corrected."""

    decisions: Counter[str] = field(default_factory=Counter)
    clicks: int = 0
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)


def correct(out: Path, model: unipixel.Predictor, most_clicks: int) -> Told:
    """Decide about every object of a folder of results, as a person would who looks at the worst fifth."""
    review, told = Review(out), Told()
    ranked = sorted(review, key=lambda one: one.rank)
    for place, one in enumerate(ranked):
        if place < round(WORST * len(ranked)):
            _look_at(review, one, model, most_clicks, told)
        else:
            review.decide(one.key, "accepted")
            told.decisions["accepted unseen"] += 1
    return told


def _look_at(review: Review, one: Candidate, model: unipixel.Predictor, most_clicks: int, told: Told) -> None:
    item, found = review.annotated(one.key)
    scene = scene_of(Split.VAL, int(one.item))
    truth = scene.masks[asked_about(scene)[found.query]]
    ious = frame_ious(_of_frames(found.masks, truth), truth)
    if not truth.any():
        review.decide(one.key, "rejected")
        told.decisions["rejected"] += 1
    elif np.nanmin(ious) >= GOOD:
        review.decide(one.key, "accepted")
        told.decisions["accepted"] += 1
    else:
        best = max(found.masks, key=lambda mask: (mask.quality or 0.0, -mask.frame))
        mended, clicks = _mended(model, Clip.open(item.clip["media"][0]), best, truth, most_clicks)
        kept = [
            ItemMask(mask.index, mask.index / item.clip["fps"], mask.rle, mask.score)
            for mask in mended
            if mask.present and mask.rle.area
        ]
        assert kept, "what is seen on a frame was clicked on there"
        review.decide(one.key, "corrected", kept)
        told.decisions["corrected"] += 1
        told.clicks += clicks
        told.before.append(float(np.nanmean(ious)))
        told.after.append(float(np.nanmean(frame_ious(_of_frames(kept, truth), truth))))


def _of_frames(masks: Sequence[ItemMask], truth: Masks) -> Masks:
    """Masks of all frames [T, H, W], empty where there is none."""
    found = np.zeros_like(truth)
    for mask in masks:
        found[mask.frame] = mask.rle.decode()
    return found


def _mended(
    model: unipixel.Predictor, clip: Clip, best: ItemMask, truth: Masks, most_clicks: int
) -> tuple[MaskTrack, int]:
    """Masks as a person leaves them, and how many clicks that took. It begins with the object's best mask, or
    a click on the thing where it is largest if that mask is of something else. Then a click on the worst
    frame, followed each time, as long as that helps; in the end frames that are still wrong one by one."""
    session = model.session(clip)
    if RLE.from_mask(truth[best.frame]).iou(best.rle) >= MINE:
        one, clicks = session.refer(RegionMask(best.rle.decode(), best.frame)), 0
    else:
        frame = int(truth.sum(axis=(1, 2)).argmax())
        click = draw_click(truth[frame], np.random.default_rng(frame))
        one, clicks = session.refer(replace(click, frame=frame)), 1
    masks, ious = _state(one, truth)
    while clicks < most_clicks and np.nanmin(ious) < GOOD:
        worst = int(np.nanargmin(ious))
        fix = correction_click(masks[worst], truth[worst])
        assert fix is not None, "a bad mask has an error"
        then, clicks = session.correct(one.id, replace(fix, frame=worst)), clicks + 1
        after, better = _state(then, truth)
        if np.nanmean(better) <= np.nanmean(ious):
            break
        one, masks, ious = then, after, better
    kept = {mask.index: mask for mask in _track(one)}
    for frame in map(int, np.flatnonzero(np.nan_to_num(ious, nan=1.0) < GOOD)):
        mask, more = _alone(session, kept.get(frame), truth[frame], frame)
        clicks += more
        if mask is not None:
            kept[frame] = mask
        else:
            del kept[frame]
    return MaskTrack(tuple(kept[index] for index in sorted(kept))), clicks


def _alone(
    session: Session, before: FrameMask | None, truth: Masks, frame: int
) -> tuple[FrameMask | None, int]:
    """A mask of one frame, mended there alone with a few clicks, and their number; the one before if that was
    better, and none of what is not there."""
    if not truth.any():
        return None, 1
    wanted = RLE.from_mask(truth)
    states = [] if before is None else [before]
    click = draw_click(truth, np.random.default_rng(frame))
    one = session.refer(replace(click, frame=frame), follow=False)
    for clicks in range(1, ON_A_FRAME + 1):
        mask = _track(one).at(frame)
        assert mask is not None, "a frame that was clicked on has a mask"
        states.append(mask)
        fix = correction_click(mask.rle.decode(), truth)
        if clicks == ON_A_FRAME or fix is None or mask.rle.iou(wanted) >= GOOD:
            break
        one = session.correct(one.id, replace(fix, frame=frame), follow=False)
    session.remove(one.id)
    return max(states, key=lambda state: state.rle.iou(wanted)), clicks


def _track(one: SessionObject) -> MaskTrack:
    assert one.masks is not None, "an object that was pointed out has masks"
    return one.masks


def _state(one: SessionObject, truth: Masks) -> tuple[Masks, NDArray[np.float64]]:
    """The masks of all frames, and their IoU with the truth."""
    masks = _track(one).to_array()
    return masks, frame_ious(masks, truth)


# Asking again


def score(model: unipixel.Predictor, clips: int) -> list[float]:
    """J&F of the target of each held-out clip."""
    found = []
    for number in range(clips):
        scene = scene_of(Split.TEST, number)
        response = model.ask(list(scene.frames), ask_for_target(scene))
        nothing = RLE.from_mask(np.zeros(scene.masks.shape[-2:], np.bool_))
        truth = [RLE.from_mask(mask) for mask in scene.masks[scene.target]]
        masks = [mask.rle if mask.present else nothing for one in response.objects[:1] for mask in one.masks]
        found.append(score_clip(masks or [nothing] * len(truth), truth).j_and_f)
    return found


def text(found: Interval, sign: str = "") -> str:
    return f"{found.value:{sign}.3f} [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"


def run(given: argparse.Namespace) -> None:
    folder: Path = given.folder
    torch.set_num_threads(given.threads)
    manifest = folder / "archive.jsonl"
    if not manifest.is_file():
        make(folder, given.clips)
    threads = ("--threads", str(given.threads), "--device", "cpu")
    cut = ("--window", "16", "--overlap", "4")
    command("annotate", manifest, "-o", folder / "out", "--model", given.model, *cut, *threads)
    model = unipixel.load(given.model, device="cpu")
    if not (folder / "told.txt").is_file():
        (folder / "out" / "review.jsonl").unlink(missing_ok=True)
        told = correct(folder / "out", model, given.clicks)
        counts = ", ".join(f"{number} {what}" for what, number in sorted(told.decisions.items()))
        before, after = (float(np.mean(ious)) if ious else 0.0 for ious in (told.before, told.after))
        (folder / "told.txt").write_text(
            f"{counts}; {told.clicks} clicks; mean IoU of the corrected {before:.3f} -> {after:.3f}\n"
        )
    print((folder / "told.txt").read_text(), flush=True)
    only = ("--only", given.only) if given.only else ()
    command("review", "export", folder / "out", "-o", folder / "mine.jsonl", *only)
    command("data", "check", folder / "mine.jsonl")
    whole = folder / given.run / "whole"
    if not whole.is_dir():
        data = f"data.mine.file={folder / 'mine.jsonl'}"
        start = f"start.model={given.model}"
        command(
            "train",
            "finetune_tiny",
            data,
            start,
            f"steps={given.steps}",
            *given.recipe,
            "-o",
            folder / given.run,
        )
    show(score(model, given.held_out), score(unipixel.load(str(whole), device="cpu"), given.held_out))


def show(before: Sequence[float], after: Sequence[float]) -> None:
    clips = list(range(len(before)))
    print("| held-out clips | J&F before | J&F after | difference |\n|---|---|---|---|")
    means = f"{text(bootstrap_mean(before, clips))} | {text(bootstrap_mean(after, clips))}"
    gain = text(bootstrap_mean_difference(after, before, clips), "+")
    print(f"| {len(clips)} | {means} | {gain} |")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="One round of correcting and training, measured.")
    parser.add_argument("folder", type=Path, help="where everything is kept")
    parser.add_argument("--clips", type=int, default=60, help="of the archive")
    parser.add_argument("--held-out", type=int, default=60, help="clips that are asked about in the end")
    parser.add_argument("--clicks", type=int, default=4, help="at most, for each object")
    parser.add_argument("--steps", type=int, default=120, help="of training")
    parser.add_argument("--run", default="run", help="the folder, in FOLDER, of this training")
    parser.add_argument("--recipe", nargs="*", default=(), metavar="WORD", help="more for `unipixel train`")
    parser.add_argument("--only", choices=("accepted", "corrected"), help="export only these")
    parser.add_argument("--model", default="unipixel-tiny")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    run(arguments())
