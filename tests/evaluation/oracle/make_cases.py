"""Makes cases.json: masks, and the J and F that vos-benchmark and trackeval give them. See README.md."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco
from trackeval.metrics import JAndF
from vos_benchmark.evaluator import Evaluator

NUM_RANDOM = 500
DIGITS = 9
Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """Label maps [T, H, W] of the prediction and the truth; 0 is background, object k has the label k."""

    name: str
    predicted: Labels
    truth: Labels


# --- cases --------------------------------------------------------------------------------------------------


def random_cases(seed: int = 0) -> Iterator[Case]:
    for number in range(NUM_RANDOM):
        rng = np.random.default_rng([seed, number])
        kind = rng.choice(["small", "middle", "large"], p=[0.70, 0.27, 0.03])
        low, high = {"small": (3, 50), "middle": (90, 160), "large": (400, 480)}[kind]
        height, width = (int(side) for side in rng.integers(low, high, 2))
        frames = int(rng.choice([1, 2, 3], p=[0.8, 0.1, 0.1])) if kind == "small" else 1
        objects = int(rng.choice([1, 2, 3], p=[0.8, 0.1, 0.1])) if kind == "small" else 1
        truth = np.stack([blobs(rng, height, width, objects, kind) for _ in range(frames)])
        predicted = np.stack([disturbed(rng, frame, objects, kind) for frame in truth])
        yield Case(f"random {number}", predicted, truth)


def blobs(rng: np.random.Generator, height: int, width: int, objects: int, kind: str) -> Labels:
    """Ellipses, cut by the edge at times, with pixels flipped at times."""
    labels = np.zeros((height, width), np.uint8)
    y, x = np.mgrid[:height, :width]
    size = {"small": 0.45, "middle": 0.3, "large": 0.12}[kind]
    for label in range(1, objects + 1):
        centre = rng.uniform(-0.1, 1.1, 2) * (height, width)
        radii = rng.uniform(0.02, size, 2) * (height, width) + 0.3
        labels[((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 <= 1] = label
    if rng.random() < 0.2:
        spots = rng.integers(0, (height, width), (6, 2))
        labels[spots[:, 0], spots[:, 1]] = rng.integers(0, objects + 1, 6)
    return labels


def disturbed(rng: np.random.Generator, truth: Labels, objects: int, kind: str) -> Labels:
    """The truth, moved a little, another picture altogether, or nothing."""
    choice = rng.random()
    if choice < 0.05:
        return np.zeros_like(truth)
    if choice < 0.25:
        return blobs(rng, *truth.shape, objects, kind)
    shift = rng.integers(-4, 5, 2) if choice < 0.9 else (0, 0)
    moved = np.roll(truth, shift, (0, 1))
    if rng.random() < 0.5:
        top, left = rng.integers(0, truth.shape)
        moved[top : top + 5, left : left + 7] = rng.integers(0, objects + 1)
    return moved


def hand_made_cases() -> Iterator[Case]:
    """Fifty: each pair below, in pictures whose radius is 1, 2 and 8 where the shapes fit, and clips."""
    for height, width in ((24, 32), (120, 160), (480, 854)):
        pictures = shapes(height, width)
        for predicted, truth in PAIRS:
            yield Case(
                f"{predicted} for {truth} in {width}x{height}",
                pictures[predicted][None],
                pictures[truth][None],
            )
    yield from odd_sizes()
    yield from clips_of_objects()


PAIRS = (
    ("empty", "empty"),
    ("empty", "square"),
    ("square", "empty"),
    ("full", "full"),
    ("full", "empty"),
    ("full", "square"),
    ("pixel", "pixel"),
    ("pixel", "next pixel"),
    ("pixel", "corner pixel"),
    ("square", "square"),
    ("square", "ring"),
    ("top left", "square"),
    ("bottom right", "top left"),
    ("bottom right", "last row"),
)


def shapes(height: int, width: int) -> dict[str, Labels]:
    made = {name: np.zeros((height, width), np.uint8) for name in {name for pair in PAIRS for name in pair}}
    middle, centre, half = height // 2, width // 2, height // 4
    made["full"][:] = 1
    made["pixel"][middle, centre] = 1
    made["next pixel"][middle, centre + 1] = 1
    made["corner pixel"][-1, -1] = 1
    made["square"][middle - half : middle + half, centre - half : centre + half] = 1
    made["ring"][:] = made["square"]
    made["ring"][middle - half + 3 : middle + half - 3, centre - half + 3 : centre + half - 3] = 0
    made["top left"][:half, :half] = 1
    made["bottom right"][-half:, -half:] = 1
    made["last row"][-1] = 1
    return made


def odd_sizes() -> Iterator[Case]:
    rows = np.array([[[0, 1, 1, 0, 1]]], np.uint8)
    yield Case("one row", rows, rows[..., ::-1].copy())
    yield Case("one column", rows.transpose(0, 2, 1).copy(), rows[..., ::-1].transpose(0, 2, 1).copy())
    yield Case("one pixel each way", np.ones((1, 1, 1), np.uint8), np.zeros((1, 1, 1), np.uint8))
    large = np.zeros((1, 1080, 1920), np.uint8)
    large[0, 700:760, 1800:] = 1
    yield Case("1080p, radius 18", np.roll(large, 17, axis=1), large)


def clips_of_objects() -> Iterator[Case]:
    truth = np.zeros((3, 30, 40), np.uint8)
    truth[:, 3:12, 4:14], truth[:, 15:28, 20:38] = 1, 2
    swapped = np.where(truth > 0, 3 - truth, 0).astype(np.uint8)
    yield Case("two objects under each other's name", swapped, truth)
    late = truth.copy()
    late[:2][late[:2] == 2] = 0
    yield Case("an object that comes late", truth, late)
    merged = np.where(truth > 0, 1, 0).astype(np.uint8)
    yield Case("two objects found as one", merged, truth)
    extra = truth.copy()
    extra[:, 15:28, 20:30] = 3
    yield Case("three objects found for two", extra, truth)


# --- what the two packages say ------------------------------------------------------------------------------


def answer(case: Case) -> dict[str, Any]:
    num_objects = int(max(case.predicted.max(), case.truth.max(), 1))
    by_vos = vos_scores(case)
    objects = [
        {
            "predicted": counts(case.predicted == label),
            "truth": counts(case.truth == label),
            "trackeval": [
                trackeval_scores([shown], [true]) for shown, true in zip(*stacks(case, label), strict=True)
            ],
            "vos": by_vos.get(label),
        }
        for label in range(1, num_objects + 1)
    ]
    found = {"name": case.name, "size": list(case.truth.shape[1:]), "objects": objects}
    if num_objects > 1:
        found["matched"] = trackeval_scores(list(case.predicted), list(case.truth))
    return found


def stacks(case: Case, label: int) -> tuple[list[Labels], list[Labels]]:
    return list((case.predicted == label).astype(np.uint8)), list((case.truth == label).astype(np.uint8))


def vos_scores(case: Case) -> dict[int, list[list[float]]]:
    """[[J, F], ...] of the frames since an object was first seen; no frame is skipped."""
    evaluator = Evaluator()
    for predicted, truth in zip(case.predicted, case.truth, strict=True):
        evaluator.feed_frame(predicted, truth)
    return {
        int(label): [[rounded(j), rounded(f)] for j, f in zip(js, evaluator.boundary_f[label], strict=True)]
        for label, js in evaluator.object_iou.items()
    }


def trackeval_scores(predicted: list[Labels], truth: list[Labels]) -> list[float]:
    """[J, F], means over objects and frames; objects are matched by J&F, as DAVIS 2017 (unsupervised)
    does."""
    num_true = max(1, max(int(labels.max()) for labels in truth))
    num_shown = max(1, max(int(labels.max()) for labels in predicted))
    data = {
        "num_timesteps": len(truth),
        "num_gt_ids": num_true,
        "num_tracker_ids": num_shown,
        "gt_ids": [list(range(num_true)) for _ in truth],
        "tracker_ids": [list(range(num_shown)) for _ in truth],
        "gt_dets": [[encoded(labels == k + 1) for k in range(num_true)] for labels in truth],
        "tracker_dets": [[encoded(labels == k + 1) for k in range(num_shown)] for labels in predicted],
    }
    metric = JAndF()
    metric.optim_type = "J&F"
    scores = metric.eval_sequence(data)
    return [rounded(scores["J-Mean"]), rounded(scores["F-Mean"])]


def encoded(mask: NDArray[np.bool_]) -> Any:
    return coco.encode(np.asfortranarray(mask, np.uint8))


def counts(masks: NDArray[np.bool_]) -> list[str]:
    return [encoded(mask)["counts"].decode() for mask in masks]


def rounded(value: float) -> float:
    return round(float(value), DIGITS)


def main() -> None:
    cases = [*hand_made_cases(), *random_cases()]
    print(len(cases) - NUM_RANDOM, "made by hand,", NUM_RANDOM, "random")
    lines = [json.dumps(answer(case), separators=(",", ":")) for case in cases]
    target = Path(__file__).with_name("cases.json")
    target.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(target.name, target.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
