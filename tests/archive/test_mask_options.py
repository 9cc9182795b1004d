"""The options for better masks reach every window of an archive, and what is split says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from unipixel.archive import Asked, Cut, Settings, annotate, find_items, read_annotations
from unipixel.archive.finding import _split
from unipixel.archive.units import FoundMask, FoundObject, Unit, read_unit, unit_line
from unipixel.core.mask_options import MaskOptions
from unipixel.core.masks import RLE
from unipixel.errors import ConfigError

if TYPE_CHECKING:
    from unipixel.predictor import Predictor

EVERYTHING = MaskOptions("clearest", "unipixel-tiny", "change", split=True)


def two_squares(shift: int) -> RLE:
    mask = np.zeros((40, 60), np.bool_)
    mask[2:12, 2 + shift : 12 + shift] = mask[20:26, 40:46] = True
    return RLE.from_mask(mask)


def found(*frames: int) -> FoundObject:
    return FoundObject(3, tuple(FoundMask(frame, two_squares(frame), 0.9, 0.4) for frame in frames))


def test_the_largest_part_keeps_its_place_and_the_others_come_last() -> None:
    first, nothing, other = _split([found(3, 4, 8), FoundObject(None)])
    assert nothing == FoundObject(None)
    assert [one.part_of for one in (first, other)] == [0, 0]
    assert [[mask.rle.area for mask in one.masks] for one in (first, other)] == [[100] * 3, [36] * 3]
    assert {(mask.frame, mask.score, mask.quality) for mask in other.masks} == {
        (frame, 0.9, 0.4) for frame in (3, 4, 8)
    }


def test_parts_are_in_the_journal() -> None:
    import json

    unit = Unit(1, 0, "[0]", tuple(_split([found(3, 4)])), spans=((0, 3),))
    assert read_unit(json.loads(unit_line(unit))) == unit


def test_every_option_works_in_windows(archive: Path, model: Predictor, tmp_path: Path) -> None:
    items = find_items([archive / "clip.mp4"], Asked(("Please segment the circle.",)))
    settings = Settings(Cut(3, 1), num_frames=2, masks=EVERYTHING)
    report = annotate(model, items, tmp_path / "out", settings)
    (item,) = read_annotations(tmp_path / "out")
    assert not report.failed and item.status == "done" and len(item.answers) == 2
    parts = {number for answer in item.answers for number in answer.get("split", ())}
    assert parts <= {one.id for one in item.objects}
    with pytest.raises(ConfigError, match="was begun with other settings"):
        annotate(model, items, tmp_path / "out", Settings(Cut(3, 1), num_frames=2))
