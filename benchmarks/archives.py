"""What annotating an archive gives and costs: killed and continued, spread, and on a long recording.

    python benchmarks/archives.py kills [--items 2000] [--kills 3] [--workers N]
    python benchmarks/archives.py recording [--minutes 20] [--things 5] [--known] [--ways windows plain]
    python benchmarks/archives.py spread [--items 400] [--workers 2] [--ray local]
    python benchmarks/archives.py looking [--frames 16] [--repeats 20]

All use made-up pictures, clips and recordings, and the real command.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from statistics import median

import torch
from length import resident_bytes

import unipixel
from unipixel.archive import (
    Annotated,
    ArchiveProgress,
    Cut,
    Item,
    Manner,
    ModelName,
    Settings,
    Words,
    annotate,
    find_items,
    read_annotations,
)
from unipixel.archive.inputs import Asked
from unipixel.archive.on_ray import OnRay
from unipixel.archive.processes import Processes
from unipixel.archive.run import Spread
from unipixel.core.mask_options import MaskOptions
from unipixel.core.masks import RLE
from unipixel.core.media import Clip
from unipixel.core.writing import write_picture, write_video
from unipixel.data.synthetic.recordings import (
    RecordingPaths,
    RecordingPlan,
    recorded_things,
    write_recording,
)
from unipixel.data.synthetic.scene import evaluation_seed, make_scene
from unipixel.data.synthetic.shapes import SHAPES
from unipixel.data.synthetic.world import COLOURS, WorldConfig
from unipixel.inference.frames import EncodedFrames
from unipixel.inference.starting import look
from unipixel.inference.tracking import read_masks
from unipixel.model.sam2 import MaskPrompt

CLIPS = 8
"""Of so many items one is a clip, the others are stills."""
QUESTION = "Please segment the red circle."
HEADER = """\
| way | late visits found | mean IoU where there | identity switches | masks where absent | s | MB |
|---|---|---|---|---|---|---|"""
SAME = 0.5
"""IoU from which a mask shows the thing."""


# Killed and continued


def make_items(folder: Path, count: int, num_frames: int, distinct: int | None = None) -> None:
    """Stills, and every CLIPS-th item a short clip. `distinct`: so many are drawn (a multiple of CLIPS), the
    others are the same ones again."""
    folder.mkdir(parents=True)
    for number in range(count):
        is_clip = number % CLIPS == 0
        if distinct is not None and number >= distinct:
            name = "{:05d}" + (".mp4" if is_clip else ".png")
            os.link(folder / name.format(number % distinct), folder / name.format(number))
            continue
        scene = make_scene(evaluation_seed(number), WorldConfig(num_frames=num_frames if is_clip else 1))
        if is_clip:
            write_video(folder / f"{number:05d}.mp4", scene.frames, 8)
        else:
            write_picture(folder / f"{number:05d}.png", scene.frames[0])


def command(media: Path, out: Path, options: Sequence[str]) -> list[str]:
    ask = ["--ask", QUESTION]
    return [sys.executable, "-m", "unipixel.cli.main", "annotate", str(media), "-o", str(out), *ask, *options]


def run(
    arguments: Sequence[str], out: Path, kill_at: int | None = None, delay: float = 0
) -> tuple[bool, float]:
    """Run a command, or kill it (-9) with all its children `delay` seconds after so many lines are finished;
    whether it came to its end, and seconds."""
    start = time.monotonic()
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None:
        if kill_at is not None and lines_written(out) >= kill_at:
            time.sleep(delay)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False, time.monotonic() - start
        time.sleep(0.25)
    if process.returncode:
        raise SystemExit(f"the command ended with {process.returncode}")
    return True, time.monotonic() - start


def lines_written(out: Path) -> int:
    """Finished lines so far."""
    files = [*out.glob("parts/*.jsonl"), *out.glob("annotations.jsonl")]
    return sum(file.read_bytes().count(b"\n") for file in files)


def kills(given: argparse.Namespace) -> None:
    """An undisturbed run, and one that is killed at random moments and continued."""
    draw = random.Random(given.seed)
    options = ["--model", given.model, "--threads", "1", "--window", "16", "--overlap", "4"]
    options += ["--workers", str(given.workers)] if given.workers else []
    with tempfile.TemporaryDirectory() as folder:
        media, calm, disturbed = (Path(folder) / name for name in ("media", "calm", "disturbed"))
        make_items(media, given.items, given.frames)
        _, seconds = run(command(media, calm, options), calm)
        print("| run | ended after, s | lines finished |\n|---|---|---|")
        print(f"| undisturbed | {seconds:.1f} | {lines_written(calm)} |", flush=True)
        moments = sorted(draw.sample(range(1, given.items), given.kills))
        for number, moment in enumerate(moments, 1):
            ended, took = run(command(media, disturbed, options), disturbed, moment, draw.uniform(0, 1))
            what = "came to its end before it could be killed" if ended else f"killed ({number})"
            print(f"| {what} | {took:.1f} | {lines_written(disturbed)} |", flush=True)
        _, took = run(command(media, disturbed, options), disturbed)
        print(f"| continued to the end | {took:.1f} | {lines_written(disturbed)} |")
        names = Counter(item.item for item in read_annotations(disturbed))
        once = len(names) == given.items and set(names.values()) == {1}
        same = (calm / "annotations.jsonl").read_bytes() == (disturbed / "annotations.jsonl").read_bytes()
        print(f"\n{given.items} items, every one exactly once: {_yes(once)}; equal: {_yes(same)}")


def _yes(found: bool) -> str:
    return "yes" if found else "no"


# Spread


DISTINCT = 64
"""So many items are drawn: drawing thousands would take longer than annotating them."""
SETTLED = 0.2
"""The clock starts when so much is done: then all workers have started."""


@dataclass
class Clock:
    """Hears of progress, and notes when it comes and how much processor time all processes have had."""

    wall: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def hear(self, now: ArchiveProgress) -> None:
        self.wall.append(time.monotonic())
        # Looking through all processes takes a moment: once in so many items will do, and at the end.
        again = not self.busy or now.done % 64 == 0 or now.done == now.total
        self.busy.append(processor_seconds() if again else self.busy[-1])

    @property
    def settled(self) -> slice:
        return slice(int(SETTLED * len(self.wall)), None)

    def rate(self) -> float:
        """Items a second."""
        wall = self.wall[self.settled]
        return (len(wall) - 1) / (wall[-1] - wall[0])

    def cost(self) -> float:
        """Processor milliseconds an item, of all processes."""
        busy = self.busy[self.settled]
        return 1000 * (busy[-1] - busy[0]) / (len(busy) - 1)


def processor_seconds() -> float:
    """That this process and all that descend from it have had (Linux)."""
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        parents[int(folder.name)] = int(fields[1])
        spent[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    own, new = set[int](), {os.getpid()}
    while new:
        own |= new
        new = {number for number, parent in parents.items() if parent in new}
    return sum(spent[number] for number in own)


def spread(given: argparse.Namespace) -> None:
    """The same items in processes of this machine and on Ray. Start-up does not count."""
    model = ModelName(given.model, "cpu", "float32", threads=1)
    ways: dict[str, Spread] = {"processes": Processes(("cpu",) * given.workers)}
    if given.ray:
        ways["Ray"] = OnRay(None if given.ray == "local" else given.ray, given.workers)
    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder) / "media"
        make_items(media, given.items, given.frames, DISTINCT)
        items = find_items([media], Asked((QUESTION,)))
        settings = Settings(cut=Cut(16, 4))
        clocks: list[Clock] = []
        print("| way | items/s | processor ms an item | whole, s |\n|---|---|---|---|", flush=True)
        for name, way in ways.items():
            clocks.append(clock := Clock())
            manner = Manner(on_progress=clock.hear)
            report = annotate(model, items, Path(folder) / name, settings, spread=way, manner=manner)
            told = f"{clock.rate():.2f} | {clock.cost():.1f} | {report.seconds:.1f}"
            print(f"| {name}, {given.workers} workers | {told} |", flush=True)
        found = [(Path(folder) / name / "annotations.jsonl").read_bytes() for name in ways]
        print(f"\n{given.items} items, equal: {_yes(len(set(found)) == 1)}")
        if len(clocks) > 1:
            rates, costs = [one.rate() for one in clocks], [one.cost() for one in clocks]
            print(f"Ray's overhead: {1 - rates[1] / rates[0]:.1%} of the throughput of processes")
            print(f"of the throughput that the processor time allows: {1 - costs[0] / costs[1]:.1%}")


# Looking for an object


def looking(given: argparse.Namespace) -> None:
    """What it costs to look for objects on single frames: as it is done, and as the first step of following,
    which also encodes a memory. Both in turn, on the same encoded frames."""
    torch.set_num_threads(given.threads)
    model = unipixel.load(given.model, device=given.device).model
    scene = make_scene(evaluation_seed(0), WorldConfig(num_frames=given.frames))
    frames = EncodedFrames(model, Clip.open(list(scene.frames)), 2**30)
    every = list(range(given.frames))
    features = [found for _, found in frames.walk(0, given.frames)]
    hidden = torch.randn(given.objects, model.config.hidden_tokens, model.config.sam2.d_model)
    hidden = hidden.to(model.device, model.dtype)

    def step() -> None:
        with torch.inference_mode():
            for one in features:
                masks, _ = model.tracker.step(model.tracker.start(None), one, MaskPrompt(hidden=hidden))
                read_masks(masks, 0, frames.clip)

    ways = {"look": lambda: look(frames, every, hidden, read_masks), "first step of following": step}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(given.repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    print("| way | ms a frame (median of the runs) |\n|---|---|")
    medians = {name: median(found) for name, found in seconds.items()}
    for name, found in medians.items():
        print(f"| {name} | {1000 * found / given.frames:.1f} |")
    saved = 1 - medians["look"] / medians["first step of following"]
    print(f"\n{saved:.0%} saved, {given.objects} objects on {given.frames} frames")


# A long recording

Track = Mapping[int, RLE]
Numbered = Mapping[int, tuple[int, RLE]]
"""By frame: which object, and its mask."""


@dataclass(frozen=True)
class Truth:
    """What a recording shows: its things' names, where each is, and the stretches in which it is seen."""

    names: tuple[str, ...]
    masks: tuple[Track, ...]
    visits: tuple[tuple[tuple[int, int], ...], ...]

    @classmethod
    def read(cls, paths: RecordingPaths) -> Truth:
        lines = [json.loads(line) for line in paths.objects.read_text().splitlines()]
        names = tuple(thing["name"] for thing in lines[0]["things"])
        masks: list[dict[int, RLE]] = [{} for _ in names]
        for line in lines[1:-1]:
            for one in line["objects"]:
                masks[one["thing"]][line["frame"]] = RLE.from_coco(one["mask"])
        visits = tuple(tuple((first, last) for first, last in own) for own in lines[-1]["presence"])
        return cls(names, tuple(masks), visits)


@dataclass
class Score:
    """Counts over things: visits that begin late and are found; identity switches; masks where there is
    nothing."""

    late: int = 0
    found: int = 0
    switches: int = 0
    false: int = 0
    empty: int = 0
    ious: list[float] = field(default_factory=list)

    def add(self, truth: Track, visits: Sequence[tuple[int, int]], seen: Numbered, late_from: int) -> None:
        good = {
            frame: number
            for frame, (number, mask) in sorted(seen.items())
            if frame in truth and truth[frame].iou(mask) >= SAME
        }
        self.ious += [truth[frame].iou(seen[frame][1]) if frame in seen else 0.0 for frame in truth]
        for first, last in _joined(visits):
            frames = [frame for frame in range(first, last + 1) if frame in truth]
            if first >= late_from:
                self.late += 1
                self.found += 2 * sum(frame in good for frame in frames) >= len(frames)
        numbers = list(good.values())
        self.switches += sum(before != after for before, after in pairwise(numbers))
        self.false += sum(frame not in truth for frame in seen)

    def row(self, name: str, seconds: float, memory: float) -> str:
        mean = sum(self.ious) / max(1, len(self.ious))
        recall = self.found / max(1, self.late)
        return (
            f"| {name} | {self.found} of {self.late} ({recall:.2f}) | {mean:.3f} | {self.switches} | "
            f"{self.false} | {seconds:.0f} | {memory:.0f} |"
        )


def _joined(visits: Sequence[tuple[int, int]], gap: int = 8) -> list[tuple[int, int]]:
    """Stretches that are only interrupted because something passed in front are one visit."""
    found: list[tuple[int, int]] = []
    for first, last in visits:
        if found and first - found[-1][1] <= gap:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def numbered(item: Annotated, query: int) -> Numbered:
    """What one question found; the surest where it found several on one frame."""
    found: dict[int, tuple[float, int, RLE]] = {}
    for one in item.objects:
        for mask in one.masks if one.query == query else ():
            if mask.frame not in found or found[mask.frame][0] < mask.score:
                found[mask.frame] = mask.score, one.id, mask.rle
    return {frame: (number, rle) for frame, (_, number, rle) in found.items()}


def known_seed(first: int, plan: RecordingPlan) -> int:
    """The first seed, from one on, whose things all have words in the bundled model's vocabulary, which has
    no others: what it has no words for is no matter of windows."""
    return next(
        seed
        for seed in count(first)
        if all(
            thing.colour in COLOURS and thing.shape in SHAPES and thing.pattern == "plain"
            for thing in recorded_things(seed, plan)
        )
    )


def long_recording(given: argparse.Namespace) -> None:
    """Windows, a plain question about the whole, or both, on one recording."""
    torch.set_num_threads(given.threads)
    predictor = unipixel.load(given.model, device=given.device)
    plan = RecordingPlan(minutes=given.minutes, fps=given.fps, num_things=given.things)
    with tempfile.TemporaryDirectory() as folder:
        seed = known_seed(given.seed, plan) if given.known else given.seed
        paths = write_recording(Path(folder), "recording", seed, plan)
        truth = Truth.read(paths)
        words = tuple(Words(f"Please segment the {name} in this video.") for name in truth.names)
        names = ", ".join(truth.names)
        print(f"seed {seed}, {plan.num_frames} frames, {names}; late: from frame {given.window}\n")
        print(HEADER, flush=True)
        if "windows" in given.ways:
            _windows(predictor, Item("recording", (paths.video,), words), truth, given, Path(folder) / "out")
        if "plain" in given.ways:
            print(_plain(predictor, paths.video, truth, words, given.window))


def _windows(
    predictor: unipixel.Predictor, item: Item, truth: Truth, given: argparse.Namespace, out: Path
) -> None:
    """The recording annotated, and how much memory that took on the way."""
    settings = Settings(Cut(given.window, given.overlap), masks=MaskOptions(start=given.start))
    levels: list[float] = []

    def hear(now: ArchiveProgress) -> None:
        levels.append(resident_bytes() / 1e6)
        print(f"{now}, {levels[-1]:.0f} MB", file=sys.stderr, flush=True)

    start = time.monotonic()
    annotate(predictor, [item], out, settings, manner=Manner(on_progress=hear))
    seconds = time.monotonic() - start
    (found,) = read_annotations(out)
    score = Score()
    for number, masks in enumerate(truth.masks):
        score.add(masks, truth.visits[number], numbered(found, number), given.window)
    print(score.row("windows", seconds, max(levels)))
    third = max(1, len(levels) // 3)
    early, late = levels[third - 1], levels[-1]
    print(f"\nresident memory after a third of the windows {early:.0f} MB, at the end {late:.0f} MB\n")


def _plain(
    predictor: unipixel.Predictor, video: Path, truth: Truth, words: Sequence[Words], late_from: int
) -> str:
    """A question about the whole recording for each thing."""
    score, start = Score(), time.monotonic()
    for number, one in enumerate(words):
        response = predictor.ask(video, one.text)
        seen = {
            frame.index: (segmented.id, frame.rle)
            for segmented in response.objects[:1]
            for frame in segmented.masks
            if frame.present and frame.rle.area
        }
        score.add(truth.masks[number], truth.visits[number], seen, late_from)
    return score.row("plain ask", time.monotonic() - start, resident_bytes() / 1e6)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What annotating an archive gives and costs.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    killed = kinds.add_parser("kills")
    killed.add_argument("--kills", type=int, default=3)
    killed.add_argument("--seed", type=int, default=0)
    apart = kinds.add_parser("spread")
    apart.add_argument("--ray", help="local, auto, or an address")
    for one, items, workers in ((killed, 2000, 0), (apart, 400, 2)):
        one.add_argument("--items", type=int, default=items)
        one.add_argument("--frames", type=int, default=6, help="of each clip")
        one.add_argument("--model", default="unipixel-tiny")
        one.add_argument("--workers", type=int, default=workers)
    whole = kinds.add_parser("recording")
    whole.add_argument("--minutes", type=float, default=20)
    whole.add_argument("--fps", type=float, default=4)
    whole.add_argument("--things", type=int, default=5)
    whole.add_argument("--seed", type=int, default=0)
    whole.add_argument(
        "--known", action="store_true", help="the first seed from --seed on with words that are known"
    )
    whole.add_argument("--window", type=int, default=64)
    whole.add_argument("--overlap", type=int, default=16)
    whole.add_argument("--start", default="clearest")
    whole.add_argument("--model", default="unipixel-tiny")
    whole.add_argument("--device", default="cpu")
    whole.add_argument("--threads", type=int, default=1)
    whole.add_argument(
        "--ways", nargs="+", choices=("windows", "plain"), default=("windows",), help="plain: asked whole"
    )
    looked = kinds.add_parser("looking")
    looked.add_argument("--frames", type=int, default=16)
    looked.add_argument("--objects", type=int, default=1)
    looked.add_argument("--repeats", type=int, default=20)
    looked.add_argument("--model", default="unipixel-tiny")
    looked.add_argument("--device", default="cpu")
    looked.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    work = {"kills": kills, "spread": spread, "recording": long_recording, "looking": looking}
    work[given.kind](given)


if __name__ == "__main__":
    main()
