"""Another system's masks: folders `{video}/{expression}/{frame}.png`, as the field exchanges them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unipixel.core.masks import RLE, read_mask
from unipixel.core.pictures import open_picture
from unipixel.data.sample import Sample
from unipixel.errors import OutputError, PromptError, UniPixelError
from unipixel.evaluation.predictions import PredictedObject, Prediction, Problem

TOP = "Annotations"
"""The folder that archives for Ref-YouTube-VOS have at their top."""


@dataclass
class PictureFolders:
    """Predictions in folders of PNGs.

    What is wrong is added to `problems` when it is read: pictures that are damaged, of another size or not
    black and white count as empty; pictures that are missing, as masks that are missing.
    """

    folder: Path
    samples: dict[str, Sample]
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def open(cls, folder: Path, asked: Sequence[Sample]) -> PictureFolders:
        """Look which folders there are; those of no sample are problems.

        Raises:
            OutputError: there is no such folder.
        """
        if not folder.is_dir():
            raise OutputError(f"{folder} is no folder; give one with VIDEO/EXPRESSION/FRAME.png in it.")
        if [path.name for path in folder.iterdir()] == [TOP]:
            folder = folder / TOP
        samples = {sample.id: sample for sample in asked}
        found = cls(folder, samples)
        expected = {found.place(sample) for sample in samples.values()}
        for path in sorted({file.parent for file in folder.rglob("*.png")} - expected):
            where = str(path.relative_to(folder))
            found.problems.append(
                Problem("unknown expression", where, "the benchmark has no such expression")
            )
        return found

    def place(self, sample: Sample) -> Path:
        """The folder of a sample's pictures."""
        assert sample.media is not None, "masks are of clips"
        return self.folder / sample.media.vid / expression_of(sample)

    def __contains__(self, sample: object) -> bool:
        return sample in self.samples and self.place(self.samples[str(sample)]).is_dir()

    def read(self, sample: str) -> Prediction:
        """The masks of a sample; its problems are noted."""
        asked = self.samples[sample]
        assert asked.media is not None, "masks are of clips"
        first = asked.media.take([0]).open()
        frames, masks = [], []
        for number, name in enumerate(asked.media.names):
            file = self.place(asked) / f"{name}.png"
            if file.is_file():
                frames.append(number)
                masks.append(self._mask(file, first.height, first.width))
        if not masks:
            return Prediction(sample, "missing", reason="its folder holds no picture of its frames")
        return Prediction(sample, objects=(PredictedObject(0, tuple(frames), tuple(masks)),))

    def _mask(self, file: Path, height: int, width: int) -> RLE:
        """A picture as a mask; an empty one where it is not usable."""
        where = str(file.relative_to(self.folder))
        empty = RLE.from_mask(np.zeros((height, width), np.bool_))
        try:
            mask = read_mask(file)
        except UniPixelError as error:
            self.problems.append(Problem("damaged picture", where, str(error)))
            return empty
        if mask.shape != (height, width):
            found = f"{mask.shape[1]}x{mask.shape[0]} instead of {width}x{height} pixels"
            self.problems.append(Problem("wrong size", where, found))
            return empty
        levels = levels_of(file)
        if len(levels) > 2:
            found = f"{len(levels)} different values ({levels[:4]} ...) instead of two"
            self.problems.append(Problem("not black and white", where, found))
            return empty
        return RLE.from_mask(mask)


def expression_of(sample: Sample) -> str:
    """The published number of a sample's expression, by which its folder is called.

    Raises:
        PromptError: it has none.
    """
    number = sample.rounds[0].id
    if not number:
        raise PromptError(f"Sample {sample.id} has no numbered expression, so no folder can be its own.")
    return number


def levels_of(file: Path) -> list[int]:
    """The different values in a picture."""
    with open_picture(file) as picture:
        return [int(value) for value in np.unique(np.asarray(picture))]
