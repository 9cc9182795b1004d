"""Archives for the servers of MeViS and Ref-YouTube-VOS: checked before they are written.

One 8-bit grey PNG, 0 or 255, for each frame of each expression. MeViS wants the folders of the videos at the
archive's root, Ref-YouTube-VOS wants them in a folder `Annotations`.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from unipixel.core.pixels import Mask
from unipixel.core.writing import replacing
from unipixel.data.files import read_json
from unipixel.data.sample import Sample
from unipixel.errors import ConfigError, UniPixelError
from unipixel.evaluation.foreign import expression_of
from unipixel.evaluation.measures import fit, name_of
from unipixel.evaluation.predictions import Prediction, Problem
from unipixel.evaluation.scoring import MISSING, Source

_SINCE = (1980, 1, 1, 0, 0, 0)  # of every entry, so that equal predictions make equal archives


@dataclass(frozen=True)
class Server:
    """What a server takes.

    Attributes:
        top: folder at the archive's root, "" for none.
        videos: how many videos its split has; another number is noted.
        expressions: how many expressions, None where that is not known.
        left_out: below the data's root, a file whose videos are of another split, though listed in
            this one's.
    """

    top: str
    videos: int
    expressions: int | None = None
    left_out: str = ""


SERVERS = {
    "mevis": Server("", 140, 2236),
    "ref_youtube_vos": Server(
        "Annotations", 202, None, "ref_youtube_vos/meta_expressions/test/meta_expressions.json"
    ),
}


@dataclass(frozen=True)
class Archive:
    """What was written: how much of what, and what a person should know.

    `written` is False where problems were found; then there is no file.
    """

    file: Path
    videos: int
    expressions: int
    frames: int
    empty: int
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def written(self) -> bool:
        """Whether there is an archive."""
        return not self.problems


def write_archive(server: str, asked: Sequence[Sample], source: Source, file: Path, root: Path) -> Archive:
    """Check all predictions, write the archive, and check that too.

    Args:
        server: one of SERVERS.
        asked: all samples of the split.
        source: their predictions.
        file: where the archive goes.
        root: the `data` folder, for lists of videos that the server does not want.
    """
    if server not in SERVERS:
        raise ConfigError(f"no archive is known for {server!r}; there is {', '.join(SERVERS)}")
    rules = SERVERS[server]
    samples, notes = _wanted(rules, asked, root)
    problems = [*check_predictions(samples, source), *source.problems]
    empty = 0
    if not problems:
        with replacing(file) as temporary:
            empty = _write(temporary, rules, samples, source)
            problems = check_archive(temporary, server, samples)
            if problems:
                raise ConfigError(f"the archive is not as it should be: {problems[0]}")
    videos = len({_vid(sample) for sample in samples})
    frames = sum(sample.media.num_frames or 0 for sample in samples if sample.media is not None)
    if empty:
        notes.append(f"{empty} expressions without an answer have empty masks")
    return Archive(file, videos, len(samples), frames, empty, tuple(notes), tuple(problems))


def _wanted(rules: Server, asked: Sequence[Sample], root: Path) -> tuple[list[Sample], list[str]]:
    samples = list(asked)
    notes = []
    others = root / rules.left_out if rules.left_out else None
    if others is not None and others.is_file():
        unwanted = {vid for vid, _ in read_json(others)["videos"].items()}
        kept = [sample for sample in samples if _vid(sample) not in unwanted]
        notes.append(f"{len(samples) - len(kept)} expressions of videos of the test split are left out")
        samples = kept
    videos = len({_vid(sample) for sample in samples})
    if videos != rules.videos:
        notes.append(f"{videos} videos; the server's split has {rules.videos}")
    if rules.expressions is not None and len(samples) != rules.expressions:
        notes.append(f"{len(samples)} expressions; the server's split has {rules.expressions}")
    return samples, notes


def _vid(sample: Sample) -> str:
    assert sample.media is not None, "archives are about videos"
    return sample.media.vid


def check_predictions(samples: Sequence[Sample], source: Source) -> list[Problem]:
    """What keeps predictions from being an archive: missing ones, failed ones, sizes, frames."""
    problems: list[Problem] = []
    for sample in samples:
        prediction = _prediction(sample, source)
        if prediction.status in ("missing", "failed"):
            problems.append(Problem(f"{prediction.status} prediction", sample.id, prediction.reason))
            continue
        try:
            problems += fit(prediction, sample, _shape(sample))[1]
        except UniPixelError as error:
            problems.append(Problem("broken sample", sample.id, str(error)))
    return problems


def _prediction(sample: Sample, source: Source) -> Prediction:
    if sample.id in source:
        return source.read(sample.id)
    return Prediction(sample.id, "missing", reason=MISSING)


def _shape(sample: Sample) -> tuple[int, int, int]:
    assert sample.media is not None and sample.media.num_frames, (
        "videos of these servers are folders of frames"
    )
    first = sample.media.take([0]).open()
    return sample.media.num_frames, first.height, first.width


def _write(file: Path, rules: Server, samples: Sequence[Sample], source: Source) -> int:
    """Write all masks; how many expressions have none."""
    empty = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for sample in samples:
            prediction = _prediction(sample, source)
            empty += not prediction.objects
            masks, _ = fit(prediction, sample, _shape(sample))
            for name, mask in zip(_names(rules, sample), masks, strict=True):
                archive.writestr(zipfile.ZipInfo(name, _SINCE), as_png(mask))
    return empty


def _names(rules: Server, sample: Sample) -> Iterator[str]:
    """Names of a sample's pictures in the archive."""
    assert sample.media is not None, "archives are about videos"
    folder = PurePosixPath(rules.top, sample.media.vid, expression_of(sample))
    return (str(folder / f"{name_of(sample, frame)}.png") for frame in range(sample.media.num_frames or 0))


def as_png(mask: Mask) -> bytes:
    """A mask as an 8-bit grey PNG, 0 or 255."""
    content = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(content, "PNG")
    return content.getvalue()


def check_archive(file: Path, server: str, samples: Sequence[Sample]) -> list[Problem]:
    """What is wrong with an archive: pictures that are missing, too many, or not 8-bit grey of 0 and 255 in
    the size of their video."""
    rules = SERVERS[server]
    problems: list[Problem] = []
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        there = set(names)
        problems += [Problem("twice in the archive", name, "one is wanted") for name in _repeated(names)]
        for sample in samples:
            size = _shape(sample)[:0:-1]
            for name in _names(rules, sample):
                if name not in there:
                    problems.append(Problem("missing picture", name, "nothing"))
                elif found := _unfit(archive.read(name), size):
                    problems.append(Problem("wrong picture", name, found))
                there.discard(name)
    problems += [Problem("unknown picture", name, "no frame of the split") for name in sorted(there)]
    return problems


def _repeated(names: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    return [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]


def _unfit(content: bytes, size: tuple[int, ...]) -> str:
    """Why a picture is not as it should be; empty if it is. size: (width, height)."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            levels = set(np.unique(np.asarray(picture)).tolist())
            mode, found = picture.mode, picture.size
    except OSError as error:
        return f"no picture ({error})"
    if mode != "L" or found != size:
        return f"mode {mode}, {found[0]}x{found[1]}; it should be L, {size[0]}x{size[1]}"
    return "" if levels <= {0, 255} else f"values {sorted(levels)[:5]}; they should be 0 and 255"
