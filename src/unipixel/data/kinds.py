"""Kinds of conversations, and which kind each sample of a data set makes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from unipixel.data.randomness import named_generator
from unipixel.data.sample import Sample, Samples
from unipixel.data.visual_prompts import PointedBy
from unipixel.errors import ConfigError, DataError

DataType: TypeAlias = Literal[
    "seg_video",
    "seg_image",
    "ref_point",
    "ref_box",
    "region_video",
    "region_image",
    "mem_point_video",
    "mem_box_video",
    "mem_point_image",
    "mem_box_image",
    "multimodal",
    "text",
]
"""Kinds of conversations; a batch of the published training has one of them."""
DATA_TYPES: tuple[DataType, ...] = get_args(DataType)


def data_type(sample: Sample, is_image: bool, pointed_by: PointedBy) -> DataType:
    """The kind of conversation that a sample makes; `is_image`: whether its clip is a single picture."""
    medium = "image" if is_image else "video"
    match sample.task:
        case "segment":
            kind = f"seg_{medium}"
        case "refer":
            kind = f"ref_{pointed_by}"
        case "remember":
            kind = f"mem_{pointed_by}_{medium}"
        case "chat":
            kind = "text" if sample.media is None else "multimodal"
        case _:
            kind = f"region_{medium}" if sample.object_ids else "multimodal"
    assert kind in DATA_TYPES, f"no data type {kind}"
    return kind


@dataclass(frozen=True, eq=False)
class Kinds:
    """The kind of every sample of a data set: places in DATA_TYPES, uint8 [n]."""

    codes: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: int) -> DataType:
        return DATA_TYPES[int(self.codes[index])]

    @classmethod
    def of(cls, kinds: Iterable[DataType]) -> Kinds:
        """From their names."""
        return cls(np.array([DATA_TYPES.index(kind) for kind in kinds], dtype=np.uint8))


def scan_kinds(name: str, samples: Samples, seed: int) -> Kinds:
    """The kinds of all samples of a data set, each made once (its files stay closed).

    A random half of a data set that points does so with clicks, the other with boxes. A sample that
    cannot be made counts as the kind before it: it fails, and is counted, when its turn comes.
    """
    kinds: list[DataType] = []
    for index, way in enumerate(pointing_halves(name, len(samples), seed)):
        try:
            sample = samples[index]
        except DataError:
            kinds.append(kinds[-1] if kinds else "text")
            continue
        kinds.append(data_type(sample, sample.media is not None and sample.media.is_still, way))
    return Kinds.of(kinds)


def alike_kinds(name: str, samples: Samples, seed: int) -> Kinds:
    """The same for a data set whose samples are all like the first and too many to be made in advance."""
    if not len(samples):
        raise ConfigError(f"{name} has no samples")
    first = samples[0]
    still = first.media is not None and first.media.is_still
    code = {way: DATA_TYPES.index(data_type(first, still, way)) for way in _WAYS}
    ways = pointing_halves(name, len(samples), seed)
    return Kinds(np.array([code[way] for way in ways], dtype=np.uint8))


def pointing_halves(name: str, count: int, seed: int) -> list[PointedBy]:
    """What each of `count` samples of a data set points with: a random half clicks, the others boxes."""
    order = named_generator(seed, "halves", name).permutation(count)
    ways: list[PointedBy] = ["box"] * count
    for index in order[: count // 2].tolist():
        ways[index] = "point"
    return ways


_WAYS: tuple[PointedBy, PointedBy] = ("point", "box")


def pointed_by(kind: DataType) -> PointedBy | None:
    """What conversations of a kind point with, if they do."""
    return next((way for way in _WAYS if f"_{way}" in kind), None)
