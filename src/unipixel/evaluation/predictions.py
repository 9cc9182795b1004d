"""Predictions on disk: one line of JSON for each sample, written as they come.

    {"sample": "clip/3", "status": "answered", "text": "...", "objects": [{"id": 0, "frames": 60,
     "size": [480, 854], "counts": ["...", ...]}]}

`frames` is how many, from 0 on, or a list of numbers; `counts` are COCO's compressed run lengths. A line is
on the disk before the next sample is asked, so a killed run leaves at most one half line, at the end of its
file; whoever goes on cuts that off and asks the sample again. Every shard has a file of its own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, get_args

from unipixel.core.frames import reason
from unipixel.core.masks import RLE
from unipixel.core.writing import replacing
from unipixel.errors import ConfigError, OutputError, PromptError

Status: TypeAlias = Literal["answered", "unanswered", "failed", "missing"]
"""answered: it can be scored; unanswered: the model said nothing that can be; failed: it could not be asked;
missing: nobody asked, or the line is not usable. All but the first are unscored."""

FILE = "predictions.{number}-of-{total}.jsonl"
_FILES = re.compile(r"predictions\.(\d+)-of-(\d+)\.jsonl")


@dataclass(frozen=True)
class PredictedObject:
    """The masks of one object, one for each of `frames` (numbers of the sample's clip)."""

    id: int
    frames: tuple[int, ...]
    masks: tuple[RLE, ...]

    def __post_init__(self) -> None:
        sizes = {(mask.height, mask.width) for mask in self.masks}
        if len(self.frames) != len(self.masks) or len(sizes) != 1:
            raise PromptError(
                f"An object has {len(self.masks)} masks of sizes {sorted(sizes)} for {len(self.frames)} "
                "frames; give one for each frame, all of one size."
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every mask."""
        return self.masks[0].height, self.masks[0].width


@dataclass(frozen=True)
class Prediction:
    """What a system said about one sample.

    Attributes:
        sample: the sample's id.
        status: whether it can be scored.
        text: what was said.
        reason: why it cannot be scored.
        objects: masks, in the order of the sample's objects.
        verdict: what a judge said about the text; kept beside the predictions, not in them.
    """

    sample: str
    status: Status = "answered"
    text: str = ""
    reason: str = ""
    objects: tuple[PredictedObject, ...] = ()
    verdict: str = ""

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise PromptError(f"The status is {self.status!r}; it must be one of {get_args(Status)}.")
        if (self.status == "answered") == bool(self.reason):
            raise PromptError(f"Status {self.status!r} and reason {self.reason!r} contradict each other.")


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 0) of `total`: every sample whose place is `number` modulo `total`."""

    number: int = 0
    total: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.total:
            raise ConfigError(
                f"There is no shard {self.number} of {self.total}; shards count from 0, as in 0/4 to 3/4."
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`1/4` is the second of four."""
        found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if not found or not int(found[2]):
            raise ConfigError(f"{text!r} is no shard; write NUMBER/TOTAL, from 0, as in 0/4.")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def here(cls) -> Shard:
        """This process's part under torchrun (RANK, WORLD_SIZE), else all."""
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))

    def takes(self, place: int) -> bool:
        """Whether the sample at `place` of the data set is this shard's."""
        return place % self.total == self.number


@dataclass(frozen=True)
class Problem:
    """Something wrong with predictions: what kind it is, where, and what was found there."""

    kind: str
    where: str
    found: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}: {self.found}"


# Lines


def to_line(prediction: Prediction) -> bytes:
    """One line, with its end."""
    entry: dict[str, Any] = {"sample": prediction.sample, "status": prediction.status}
    for name in ("text", "reason"):
        if value := getattr(prediction, name):
            entry[name] = value
    if prediction.objects:
        entry["objects"] = [_object_entry(one) for one in prediction.objects]
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _object_entry(one: PredictedObject) -> dict[str, Any]:
    is_whole = one.frames == tuple(range(len(one.frames)))
    return {
        "id": one.id,
        "frames": len(one.frames) if is_whole else list(one.frames),
        "size": list(one.size),
        "counts": [mask.counts.decode("ascii") for mask in one.masks],
    }


def from_line(line: bytes) -> Prediction:
    """A line as `to_line` wrote it; PromptError for anything else."""
    try:
        entry = json.loads(line)
        objects = tuple(_read_object(one) for one in entry.get("objects", ()))
        texts = {name: str(entry.get(name, "")) for name in ("text", "reason")}
        return Prediction(str(entry["sample"]), entry["status"], objects=objects, **texts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PromptError(f"no prediction ({error})") from error


def _read_object(entry: dict[str, Any]) -> PredictedObject:
    height, width = entry["size"]
    frames = entry["frames"]
    numbers = tuple(range(frames)) if isinstance(frames, int) else tuple(int(one) for one in frames)
    masks = tuple(RLE(height, width, counts.encode("ascii")) for counts in entry["counts"])
    return PredictedObject(int(entry["id"]), numbers, masks)


# Files


@dataclass
class Predictions:
    """All predictions of a folder: where each sample's line is, and what is wrong with the files."""

    places: dict[str, tuple[Path, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def open(cls, folder: Path) -> Predictions:
        """Look through all files of a folder; every line is read once and checked."""
        found = cls()
        for file in prediction_files(folder):
            found._look_through(file)
        return found

    def __contains__(self, sample: object) -> bool:
        return sample in self.places

    def __len__(self) -> int:
        return len(self.places)

    def read(self, sample: str) -> Prediction:
        """The sample's prediction; KeyError if there is none."""
        file, offset = self.places[sample]
        with file.open("rb") as stream:
            stream.seek(offset)
            return from_line(stream.readline())

    def _look_through(self, file: Path) -> None:
        for number, (offset, line) in enumerate(_lines(file), 1):
            where = f"{file.name}, line {number}"
            if not line.endswith(b"\n"):
                self.problems.append(Problem("truncated file", where, "the last line has no end"))
                continue
            try:
                sample = from_line(line).sample
            except PromptError as error:
                self.problems.append(Problem("damaged line", where, str(error)))
                continue
            if sample in self.places:
                self.problems.append(Problem("duplicate line", where, f"{sample} was predicted before"))
                continue
            self.places[sample] = (file, offset)


def prediction_files(folder: Path) -> list[Path]:
    """The files with predictions in a folder, by name."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _FILES.fullmatch(path.name))


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Offset and content of every line."""
    with file.open("rb") as stream:
        offset = 0
        for line in stream:
            yield offset, line
            offset += len(line)


@dataclass(frozen=True, eq=False)
class Writer:
    """Appends predictions to one file, each of them safe on the disk when `write` returns."""

    stream: BinaryIO

    def write(self, predictions: Sequence[Prediction]) -> None:
        """Append."""
        for prediction in predictions:
            self.stream.write(to_line(prediction))
        self.stream.flush()
        os.fsync(self.stream.fileno())


@contextmanager
def appending(folder: Path, shard: Shard) -> Iterator[Writer]:
    """A writer for a shard's file, whose half-written end is cut off first.

    Raises:
        OutputError: the folder cannot be written, or another process writes the same shard now.
    """
    file = folder / FILE.format(number=shard.number, total=shard.total)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as stream:
            claim(stream, file)
            cut_half_line(file)
            yield Writer(stream)
    except OSError as error:
        raise OutputError(
            f"{file} cannot be written ({reason(error)}); is there room on the disk, and may it be written?"
        ) from error


def claim(stream: BinaryIO, file: Path) -> None:
    """Lock a file until it is closed, where the system can."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"{file} is being written by another process; wait for it, or give each process a shard of its "
            "own (--shard 0/2, --shard 1/2)."
        ) from error


def cut_half_line(file: Path) -> None:
    """Cut off what a killed process left behind the last whole line."""
    content = file.read_bytes() if file.is_file() else b""
    if content and not content.endswith(b"\n"):
        os.truncate(file, content.rfind(b"\n") + 1)


def forget_failed(folder: Path, shard: Shard) -> int:
    """Take predictions that failed out of a shard's file, so that they are asked again; how many."""
    file = folder / FILE.format(number=shard.number, total=shard.total)
    if not file.is_file():
        return 0
    lines = [line for _, line in _lines(file)]
    kept = [line for line in lines if not _is_failed(line)]
    if len(kept) < len(lines):
        with replacing(file) as temporary:
            temporary.write_bytes(b"".join(kept))
    return len(lines) - len(kept)


def _is_failed(line: bytes) -> bool:
    try:
        return from_line(line).status == "failed"
    except PromptError:
        return False
