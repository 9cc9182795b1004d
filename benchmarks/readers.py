"""What reading data costs: opening long annotation files, and making batches from pictures on disk.

    python benchmarks/readers.py [--items 500000] [--megabytes 300] [--visits 96] [--workers 2] [--repeats 7]

Files: one JSON array of many items and one COCO file, both made here, opened in a process of their own, once
without anything known about them and once again. Loader: samples of four tasks with all that training needs,
against decoding and resizing the same frames alone, by the same number of loader processes. They take turns;
medians, and from the smallest to the largest ratio of one round.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from common import make_config
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from unipixel.core.masks import RLE
from unipixel.core.writing import write_picture
from unipixel.data.jsonl import open_jsonl
from unipixel.data.mixture import Mixture, Part, Shard, scan_kinds
from unipixel.data.policy import CORRECTED
from unipixel.data.registry import open_dataset
from unipixel.data.sample import Sample
from unipixel.data.shown import shown_frames
from unipixel.data.visual_prompts import PointedBy
from unipixel.model.sam2 import Sam2Config
from unipixel.processing.processor import Processor
from unipixel.processing.vision import language_size, language_view, mask_view
from unipixel.training.examples import Supervisor
from unipixel.training.tiny.model import make_tokenizer

SUITE = "videorefer/VideoRefer-700K"
ARRAY = f"{SUITE}/videorefer-short-caption-500k-wo-masks.json"
PACO = "lisa/vlpart/paco/annotations/paco_lvis_v1_train.json"
FRAMES = 24
CLIPS = 6
TASKS = ("segment", "refer", "describe", "remember")
MEGA = 1 << 20
TICK = 1 / os.sysconf("SC_CLK_TCK")

FILES = """\
| file | MB | samples | first sample, s | peak, MB | again, s | peak, MB |
|---|---|---|---|---|---|---|"""
LOADER = """\
| task | samples/s | what it needs alone | ratio | both resizes alone | ratio | by processor time |
|---|---|---|---|---|---|---|"""


# Long files


def write_array(file: Path, items: int, size: int) -> None:
    """An array as VideoRefer's captions have it: so many items in about so many bytes."""
    file.parent.mkdir(parents=True)
    words = "a red ball that rolls away over the grass and stops " * 40
    said = words[: max(1, size // items - 191)]
    with file.open("w") as stream:
        stream.write("[")
        for number in range(items):
            item = {
                "video": f"panda/{number:07d}.mp4",
                "conversations": [
                    {"from": "human", "value": "<video>\nWhat is <region>?"},
                    {"from": "gpt", "value": f"{said} ({number})"},
                ],
                "annotation": [{str(number % 90): None}],
                "ratio": 0.5,
            }
            stream.write((", " if number else "") + json.dumps(item))
        stream.write("]")


def write_coco(file: Path, size: int) -> None:
    """Pictures with a dozen parts each, outlined, as PACO has them."""
    file.parent.mkdir(parents=True)
    rng, count, number = np.random.default_rng(0), 0, 0
    with file.open("w") as stream:
        stream.write('{"annotations": [')
        while stream.tell() < size:
            number += 1
            for _ in range(12):
                outline = (rng.random(140) * 480).round(2).tolist()
                found: dict[str, Any] = {"id": count + 1, "image_id": number, "category_id": 1}
                found |= {"bbox": [0, 0, 1, 1], "area": 1.5, "segmentation": [outline]}
                stream.write((", " if count else "") + json.dumps(found))
                count += 1
        names = ((n + 1, f"train2017/{n + 1:012d}.jpg") for n in range(number))
        images = [{"id": id, "file_name": name, "height": 480, "width": 640} for id, name in names]
        stream.write('], "categories": [{"id": 1, "name": "mug:rim"}], "images": ' + json.dumps(images) + "}")


def open_apart(name: str, root: Path) -> tuple[float, float, int]:
    """Of a data set in another process: seconds to the first sample, resident megabytes at most, samples."""
    command = [sys.executable, __file__, "--open", name, "--root", str(root)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(told[0]), float(told[1]), int(told[2])


def open_here(name: str, root: Path) -> None:
    """Open a data set, make its first sample, and print what that took."""
    start = time.perf_counter()
    data = open_dataset(name, "train", root, cache=root / "cache")
    data[0]
    seconds = time.perf_counter() - start
    print(f"{seconds:.2f} {peak_memory():.0f} {len(data)}")


def peak_memory() -> float:
    """Megabytes that were resident at most. Linux' own count: getrusage includes who started the process."""
    status = Path("/proc/self/status")
    if status.is_file():
        found = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(found.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_files(root: Path, items: int, size: int) -> None:
    """Open both files twice."""
    write_array(root / ARRAY, items, size)
    write_coco(root / PACO, size)
    print(FILES)
    for name, file in (("videorefer_short_caption", ARRAY), ("paco_lvis", PACO)):
        first, peak, count = open_apart(name, root)
        second, later, _ = open_apart(name, root)
        megabytes = (root / file).stat().st_size / MEGA
        cells = (f"{megabytes:.0f}", count, f"{first:.2f}", f"{peak:.0f}", f"{second:.2f}", f"{later:.0f}")
        print(f"| {name} | {' | '.join(map(str, cells))} |", flush=True)


# Loader


@dataclass(frozen=True)
class Footage:
    """Clips of this many rows of pixels below a folder."""

    root: Path
    height: int

    @property
    def width(self) -> int:
        """As wide as films are, even."""
        return self.height * 16 // 9 // 2 * 2

    def write(self) -> None:
        """Waves under noise, as large in JPEG as what cameras give."""
        noise = np.random.default_rng(0).normal(0, 8, (self.height, self.width, 3))
        y, x = np.mgrid[: self.height, : self.width]
        for clip in range(CLIPS):
            for frame in range(FRAMES):
                wave = 110 + 70 * np.sin((x + 9 * frame) / (30 + 5 * clip)) * np.cos(y / 40)
                picture = wave[..., None] + np.roll(noise, 37 * frame)
                name = self.root / f"{clip}" / f"{frame:03d}.jpg"
                name.parent.mkdir(parents=True, exist_ok=True)
                write_picture(name, picture.clip(0, 255).astype(np.uint8))

    def disc(self, number: int, frame: int) -> NDArray[np.bool_]:
        """Where object `number` is: it wanders through the picture."""
        y, x = np.mgrid[: self.height, : self.width]
        across = self.width * (number + 1) / 4 + self.height * frame / 120
        down = self.height / 2 + self.height / 8 * np.sin(frame / 5 + number)
        return np.asarray((x - across) ** 2 + (y - down) ** 2 < (self.height * (10 + 3 * number) / 96) ** 2)


def write_lines(footage: Footage, task: str) -> Path:
    """A JSONL file of one item for each clip, with three objects on every frame."""
    said: list[dict[str, Any]] = [
        {"role": "user", "text": "What do [0], [1] and [2] do?"},
        {"role": "assistant", "text": "[0] follows [1]."},
    ]
    if task == "segment":
        said = [{"role": "user", "expression": "two discs"}, {"role": "assistant", "masks": [0, 1]}]
    objects = [{"id": number, "regions": regions(footage, number)} for number in range(3)]
    file = footage.root / f"{task}.jsonl"
    with file.open("w") as stream:
        for clip in range(CLIPS):
            media = {"frames": [f"{clip}/{frame:03d}.jpg" for frame in range(FRAMES)]}
            item = {"id": f"{clip}", "task": task, "media": media, "conversation": said, "objects": objects}
            stream.write(json.dumps(item) + "\n")
    return file


def regions(footage: Footage, number: int) -> list[dict[str, Any]]:
    """An object on all frames."""
    masks = ((frame, footage.disc(number, frame)) for frame in range(FRAMES))
    return [{"frame": frame, "rle": RLE.from_mask(mask).to_coco()} for frame, mask in masks]


def make_processor(side: int) -> Processor:
    """Published sizes of pictures but for the mask view's, with the small vocabulary of `unipixel-tiny`."""
    tokenizer = make_tokenizer()
    config = make_config(Sam2Config.preset("b+", image_size=side))
    return Processor(replace(config, tokens=tokenizer.ids()), tokenizer)


@dataclass(frozen=True)
class Alone:
    """Decoding the frames that a sample shows, and both resizes. masks: whether the mask view is one."""

    processor: Processor
    masks: bool

    def __call__(self, sample: Sample, rng: Generator, pointed_by: PointedBy | None = None) -> list[Tensor]:
        assert sample.media is not None, "all have pictures"
        clip = sample.media.open()
        numbers = shown_frames(sample, clip, rng, CORRECTED.frames)
        frames, budget = clip.read(numbers), CORRECTED.frames.budget
        size = language_size(clip.height, clip.width, *budget.for_frames(len(numbers)))
        views = [language_view(frames, size).patches]
        return views + ([mask_view(frames, self.processor.config.sam2.image_size)] if self.masks else [])


class Loading(IterableDataset[Any]):
    """A mixture as loader processes read it."""

    def __init__(self, mixture: Mixture, make: Any) -> None:
        self.mixture, self.make = mixture, make

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        assert worker is not None, "read by loader processes only"
        torch.set_num_threads(1)
        return self.mixture.read(self.make, Shard(worker=worker.id, workers=worker.num_workers))


@dataclass(frozen=True)
class Speed:
    """Samples a second, and a second of processor time of all processes; both without the loader's start."""

    wall: float
    processor: float


def speed(mixture: Mixture, make: Any, workers: int, visits: int) -> Speed:
    """Of a loader of its own. What its processes have begun when the last sample comes is part of their
    processor time."""
    batches = iter(DataLoader(Loading(mixture, make), batch_size=None, num_workers=workers))
    pids = [os.getpid(), *(child.pid for child in multiprocessing.active_children() if child.pid)]
    for _ in islice(batches, 2 * workers):
        pass
    start, before = time.perf_counter(), processor_seconds(pids)
    for _ in islice(batches, visits):
        pass
    wall, processor = time.perf_counter() - start, processor_seconds(pids) - before
    return Speed(visits / wall, visits / max(processor, TICK))


def processor_seconds(pids: Sequence[int]) -> float:
    """What living processes have used so far, as Linux counts it; nan elsewhere."""
    if not Path("/proc/self/stat").is_file():
        return float("nan")
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * TICK


def measure_loader(
    footage: Footage, tasks: Sequence[str], side: int, visits: int, workers: int, repeats: int
) -> None:
    """Tasks, in turns with the pictures alone, each round in the other order than the last."""
    footage.write()
    processor = make_processor(side)
    supervisor = Supervisor(processor, CORRECTED)
    print(LOADER)
    for task in tasks:
        data = open_jsonl(write_lines(footage, task))
        mixture = Mixture((Part(task, data, scan_kinds(task, data, 0)),), 1)
        sides = [supervisor, Alone(processor, True)]
        if task not in ("segment", "remember"):
            sides.append(Alone(processor, False))
        rounds: list[list[Speed]] = []
        for number in range(repeats):
            order = list(range(len(sides)))[:: 1 if number % 2 == 0 else -1]
            found = {place: speed(mixture, sides[place], workers, visits) for place in order}
            rounds.append([found[place] for place in range(len(sides))])
        print(loader_row(task, rounds), flush=True)


def loader_row(task: str, rounds: Sequence[Sequence[Speed]]) -> str:
    """Medians over rounds, and the range of each ratio; a ratio is always of one round."""
    ours, both, needed = ([each[place] for each in rounds] for place in (0, 1, -1))
    cells = [task, f"{median(one.wall for one in ours):.2f}"]
    if len(rounds[0]) == 2:  # both resizes are what it needs
        cells += ["", ""]
    else:
        cells += [f"{median(one.wall for one in needed):.2f}", ratios(ours, needed, "wall")]
    cells += [f"{median(one.wall for one in both):.2f}", ratios(ours, both, "wall")]
    return f"| {' | '.join([*cells, ratios(ours, both, 'processor')])} |"


def ratios(ours: Sequence[Speed], others: Sequence[Speed], of: str) -> str:
    """Median, smallest and largest."""
    found = [getattr(one, of) / getattr(other, of) for one, other in zip(ours, others, strict=True)]
    return f"{median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What reading data costs.")
    parser.add_argument("--items", type=int, default=500_000, help="items of the JSON array")
    parser.add_argument("--megabytes", type=float, default=300, help="size of either file; 0 leaves them out")
    parser.add_argument(
        "--visits", type=int, default=96, help="samples that the loader gives; 0 leaves it out"
    )
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, help="that the loader gives")
    parser.add_argument("--height", type=int, default=480, help="of the pictures; they are 16:9")
    parser.add_argument("--side", type=int, default=768, help="of the mask view")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7, help="rounds of the loader")
    parser.add_argument("--open", help="(for the benchmark itself) only open this data set")
    parser.add_argument("--root", type=Path, help="(for the benchmark itself) where it lies")
    return parser.parse_args(words)


def main() -> None:
    given = arguments()
    if given.open is not None:
        open_here(given.open, given.root)
        return
    with tempfile.TemporaryDirectory() as folder:
        if given.megabytes:
            measure_files(Path(folder) / "files", given.items, round(given.megabytes * MEGA))
        if given.visits:
            footage = Footage(Path(folder) / "footage", given.height)
            size = f"{footage.width}x{footage.height}"
            print(f"\n{size} JPEG, 8 frames a sample, {given.workers} loader processes\n")
            measure_loader(footage, given.tasks, given.side, given.visits, given.workers, given.repeats)


if __name__ == "__main__":
    main()
