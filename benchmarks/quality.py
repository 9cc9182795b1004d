"""Is the quality of masks (`unipixel annotate`) true? Fitted on made-up clips, measured on others.

    python benchmarks/quality.py fit [--clips 200] [--keep val.npz]      # prints the constants of
    archive/quality.py python benchmarks/quality.py measure [--clips 200] [--keep test.npz] [--plot
    docs/images/quality.svg]

Each clip is asked about two of its things by name, and a third is marked with a box on the middle frame.
Fitted on the validation seeds of the bundled model's own world, measured on its test seeds. `--keep FILE`
writes what was found after each clip; with `--from FILE` that is read and nothing is asked.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import unipixel
from unipixel.archive import Cut, Item, Mark, Marked, Settings, Words
from unipixel.archive.finding import Finder
from unipixel.archive.quality import NAMES, RATE, Signs
from unipixel.archive.recording import Recording
from unipixel.archive.units import Unit
from unipixel.core.masks import RLE, mask_to_box
from unipixel.core.prompts import Box
from unipixel.core.writing import write_video
from unipixel.data.synthetic.scene import Scene, Split, evaluation_seed, make_scene
from unipixel.data.synthetic.world import WorldConfig

Numbers = NDArray[np.float64]
FIT, MEASURED = "val", "test"
BAD, WORST = 0.5, 0.2
DRAWS = 2000
RIDGE = 1e-3
SEED = 7
BINS = 10
ROUNDS = 50
DIRECTIONS = (1, 1, 1, 1, 1, -1, -1, -1, -1, 0, -1, -1, -1)
"""Whether each sign speaks for a mask or against it; 0: either."""
SETTINGS = Settings(cut=Cut(12, 4))


@dataclass(frozen=True)
class Found:
    """N masks: their signs [N, S], IoU with the truth [N], clip [N] and way of asking [N]."""

    signs: Numbers
    ious: Numbers
    clips: NDArray[np.str_]
    kinds: NDArray[np.str_]

    @property
    def qualities(self) -> Numbers:
        return np.array(RATE([Signs(*map(float, row)) for row in self.signs]))

    def of(self, kind: str) -> Found:
        """The masks that were asked for in one way."""
        those = self.kinds == kind
        return Found(self.signs[those], self.ious[those], self.clips[those], self.kinds[those])

    @classmethod
    def read(cls, path: Path) -> Found:
        with np.load(path) as kept:
            return cls(kept["signs"], kept["ious"], kept["clips"], kept["kinds"])


def scene_named(split: str, index: int, num_frames: int) -> Scene:
    """Scenes of the bundled model's own world, whose things leave and enter more often."""
    world = WorldConfig(num_frames=num_frames, area=(0.01, 0.10), leave=0.1, enter=0.1, absent_at_start=0.1)
    return make_scene(evaluation_seed(index, Split[split.upper()]), world)


def item_of(scene: Scene, name: str, folder: Path) -> tuple[Item, tuple[int, ...]]:
    """A clip as a file, what is asked about it, and which thing each query means."""
    path = folder / f"{name}.mp4"
    write_video(path, scene.frames, 8)
    others = [number for number in range(len(scene.things)) if number != scene.target]
    queries: list[Words | Marked] = [
        Words(f"Please segment the {scene.expression(thing)} in this video.")
        for thing in (scene.target, others[0])
    ]
    meant = [scene.target, others[0]]
    thing, middle = others[-1], len(scene.frames) // 2
    box = mask_to_box(scene.masks[thing, middle])
    if box is not None and box[2] > box[0] and box[3] > box[1]:
        queries.append(Marked(0, (Mark(middle, Box(*box)),)))
        meant.append(thing)
    return Item(name, (path,), tuple(queries)), tuple(meant)


def true_iou(scene: Scene, thing: int, frame: int, found: RLE) -> float:
    truth = RLE.from_mask(scene.masks[thing, frame])
    return truth.iou(found) if truth.area else 0.0


def true_signs(given: argparse.Namespace) -> Found:
    """What was kept, or masks of so many clips."""
    if given.source:
        return Found.read(given.source)
    torch.set_num_threads(given.threads)
    signs: list[Signs] = []

    def keep(masks: Sequence[Signs]) -> list[float]:
        """In place of a quality each mask gets the number of its signs."""
        signs.extend(masks)
        return [float(number) for number in range(len(signs) - len(masks), len(signs))]

    finder = Finder(unipixel.load(given.model, device="cpu"), SETTINGS, keep)
    rows: list[tuple[int, float, str, str]] = []
    until = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory() as folder:
        for index in range(given.clips):
            scene = scene_named(given.split, index, given.frames)
            item, meant = item_of(scene, f"{given.split}-{index}", Path(folder))
            rows += _of_clip(finder, item, scene, meant)
            if given.keep:
                np.savez(given.keep, **vars(_together(rows, signs)))
            if time.monotonic() > until:
                break
    return _together(rows, signs)


def _together(rows: Sequence[tuple[int, float, str, str]], signs: Sequence[Signs]) -> Found:
    numbers, ious, clips, kinds = zip(*rows, strict=True)
    of_rows = np.array([astuple(signs[number]) for number in numbers])
    return Found(of_rows, np.array(ious), np.array(clips), np.array(kinds))


def _of_clip(
    finder: Finder, item: Item, scene: Scene, meant: Sequence[int]
) -> Iterator[tuple[int, float, str, str]]:
    recording = Recording.open(item, SETTINGS)
    done: dict[int, dict[int, Unit]] = {}
    for step in recording.steps:
        for unit in finder.find([recording.task(step, done.__getitem__)])[0]:
            done.setdefault(step.window, {})[unit.query] = unit
    for unit in (unit for units in done.values() for unit in units.values()):
        kind = "words" if isinstance(item.queries[unit.query], Words) else "box"
        for mask in (mask for one in unit.objects for mask in one.masks):
            assert mask.quality is not None, "every mask is rated"
            iou = true_iou(scene, meant[unit.query], mask.frame, mask.rle)
            yield int(mask.quality), iou, item.id, kind


# Fitting


def fit_logistic(signs: Numbers, ious: Numbers, ridge: float = RIDGE) -> Numbers:
    """Constant and weights [1 + S] of the logistic function with the least cross entropy against the IoU
    (Newton's method, with a little ridge)."""
    rows = np.hstack([np.ones((len(signs), 1)), signs])
    pull = ridge * len(rows) * np.diag([0.0] + [1.0] * signs.shape[1])
    weights = np.zeros(rows.shape[1])
    for _ in range(ROUNDS):
        found = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (found - ious) + pull @ weights
        curve = (rows * (found * (1 - found))[:, None]).T @ rows + pull + 1e-9 * np.eye(len(weights))
        weights = weights - np.linalg.solve(curve, slope)
    return weights


def fit_directed(signs: Numbers, ious: Numbers) -> Numbers:
    """The same, without signs whose weight has the wrong direction: with few clips a jump may seem a merit.
    They get a weight of 0, the worst first."""
    kept = list(range(signs.shape[1]))
    while True:
        weights = fit_logistic(signs[:, kept], ious)
        wrong = np.minimum(weights[1:] * np.array(DIRECTIONS)[kept], 0)
        if not wrong.any():
            break
        del kept[int(wrong.argmin())]
    whole = np.zeros(1 + signs.shape[1])
    whole[[0, *(1 + place for place in kept)]] = weights
    return whole


def fit(given: argparse.Namespace) -> None:
    found = true_signs(given)
    weights = fit_directed(found.signs, found.ious)
    print(_about(found))
    for name, weight in zip(("constant", *NAMES), weights, strict=True):
        print(f"{name:12} {weight:8.3f}")


def _about(found: Found) -> str:
    return (
        f"{len(found.ious)} masks of {len(set(found.clips))} clips, "
        f"{np.mean(found.ious < BAD):.1%} of them with an IoU below {BAD}\n"
    )


# Measuring


def caught(qualities: Numbers, ious: Numbers) -> float:
    """Share of the bad masks that the worst by quality hold; nan where none is bad."""
    bad = ious < BAD
    worst = np.argsort(qualities, kind="stable")[: round(WORST * len(ious))]
    return float(bad[worst].sum() / bad.sum()) if bad.any() else float("nan")


def interval(found: Found, qualities: Numbers) -> tuple[float, float]:
    """95 % of `caught`, whole clips drawn again with replacement."""
    draw = np.random.default_rng(SEED)
    members = [np.flatnonzero(found.clips == clip) for clip in sorted(set(found.clips))]
    shares = []
    for _ in range(DRAWS):
        some = np.concatenate([members[number] for number in draw.integers(len(members), size=len(members))])
        shares.append(caught(qualities[some], found.ious[some]))
    low, high = np.nanquantile(shares, (0.025, 0.975))
    return float(low), float(high)


@dataclass(frozen=True)
class Bin:
    """Masks of neighbouring qualities: how many, mean quality, mean IoU."""

    count: int
    quality: float
    iou: float


def bins(qualities: Numbers, ious: Numbers) -> list[Bin]:
    """Of equal width, without the empty ones."""
    places = np.minimum((qualities * BINS).astype(int), BINS - 1)
    return [
        Bin(int(those.sum()), float(qualities[those].mean()), float(ious[those].mean()))
        for place in range(BINS)
        if (those := places == place).any()
    ]


def measure(given: argparse.Namespace) -> None:
    found = true_signs(given)
    print(_about(found))
    print(
        f"| masks | rated by | share of the bad in the worst {WORST:.0%} | most possible |\n|---|---|---|---|"
    )
    for kind in ("all", "words", "box"):
        some = found if kind == "all" else found.of(kind)
        ways = {"quality": some.qualities, "predicted IoU alone": some.signs[:, NAMES.index("score")]}
        most = caught(some.ious, some.ious)
        for name, rated in ways.items():
            low, high = interval(some, rated)
            print(
                f"| {kind} | {name} | {caught(rated, some.ious):.2f} [{low:.2f}, {high:.2f}] | {most:.2f} |"
            )
    rated = bins(found.qualities, found.ious)
    print("\n| masks | mean quality | mean IoU |\n|---|---|---|")
    for one in rated:
        print(f"| {one.count} | {one.quality:.2f} | {one.iou:.2f} |")
    error = sum(one.count * abs(one.quality - one.iou) for one in rated) / len(found.ious)
    print(f"\nmean distance between quality and IoU over the bins (calibration error): {error:.3f}")
    if given.plot:
        given.plot.write_text(picture(rated), encoding="utf-8")


def picture(rated: Sequence[Bin], side: int = 300, edge: int = 50) -> str:
    """The reliability of bins as SVG; the area of a dot is its share of the masks."""

    def at(quality: float, iou: float) -> tuple[float, float]:
        return edge + quality * side, edge / 2 + (1 - iou) * side

    (left, bottom), (right, top), whole = at(0, 0), at(1, 1), sum(one.count for one in rated)
    parts = [
        f'<rect width="{side + 1.5 * edge:g}" height="{side + 1.5 * edge:g}" fill="white"/>',
        f'<rect x="{left}" y="{top}" width="{side}" height="{side}" fill="none" stroke="#999"/>',
        f'<path d="M{left} {bottom}L{right} {top}" stroke="#999" stroke-dasharray="4"/>',
    ]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        (x, _), (_, y) = at(tick, 0), at(0, tick)
        parts.append(f'<text x="{x:g}" y="{bottom + 15:g}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{left - 5}" y="{y + 4:g}" text-anchor="end">{tick:g}</text>')
    points = [at(one.quality, one.iou) for one in rated]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#2563eb" stroke-width="2"/>')
    for (x, y), one in zip(points, rated, strict=True):
        radius = 2 + 16 * (one.count / whole) ** 0.5
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#2563eb" fill-opacity="0.4"/>'
        )
    middle = edge + side / 2
    parts.append(f'<text x="{middle:g}" y="{bottom + 35:g}" text-anchor="middle">mean quality</text>')
    turned = f'transform="translate(15 {edge / 2 + side / 2:g}) rotate(-90)"'
    parts.append(f'<text {turned} text-anchor="middle">mean IoU with the truth</text>')
    width = side + 1.5 * edge
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {width:g}" width="{width:g}" '
        f'font-family="sans-serif" font-size="12">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Is the quality of masks true?")
    kinds = parser.add_subparsers(dest="kind", required=True)
    fitted, measured = kinds.add_parser("fit"), kinds.add_parser("measure")
    measured.add_argument("--plot", type=Path, help="where to draw the reliability (.svg)")
    for one, split in ((fitted, FIT), (measured, MEASURED)):
        one.set_defaults(split=split)
        one.add_argument("--clips", type=int, default=200)
        one.add_argument("--frames", type=int, default=12, help="of each clip")
        one.add_argument("--minutes", type=float, default=1e6, help="no clip is begun after so many")
        one.add_argument("--keep", type=Path, help="a file (.npz) for what is found")
        one.add_argument("--from", dest="source", type=Path, help="what was kept, in place of clips")
        one.add_argument("--model", default="unipixel-tiny")
        one.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    {"fit": fit, "measure": measure}[given.kind](given)


if __name__ == "__main__":
    main()
