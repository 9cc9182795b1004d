"""What one window gave for one query: the unit that is kept, and repeated after a kill."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unipixel.core.masks import RLE
from unipixel.errors import OutputError, PromptError

NOT_SEEN = "[not seen]"
"""What stands in a text for an object that is on no frame of the window."""


@dataclass(frozen=True)
class FoundMask:
    """An object on a frame on which it is seen.

    Attributes:
        frame: number in the item's clip.
        rle: the mask, in the clip's own size; never empty.
        score: how sure the mask decoder is of it (its predicted IoU), 0 to 1.
        quality: how good it seems, 0 to 1, by whatever rates masks; None if nothing did.
    """

    frame: int
    rle: RLE
    score: float
    quality: float | None = None


@dataclass(frozen=True)
class FoundObject:
    """An object in one window: the frame from which it was followed (None: it was seen on none of those that
    were looked at first), and where it is seen. part_of: the place, among its query's objects, of the one
    whose mask it is a connected part of, if that was split (`core.splitting`); its own place for the largest
    part."""

    start: int | None
    masks: tuple[FoundMask, ...] = ()
    part_of: int | None = None

    @property
    def by_frame(self) -> dict[int, RLE]:
        return {mask.frame: mask.rle for mask in self.masks}


@dataclass(frozen=True)
class Unit:
    """Query `query` of an item in window `window`: its answer and objects, or the reason why there is
    none. objects: one for each of the `spans` of the text, then further parts of those that were split."""

    window: int
    query: int
    text: str = ""
    objects: tuple[FoundObject, ...] = ()
    reason: str = ""
    spans: tuple[tuple[int, int], ...] = ()

    @property
    def failed(self) -> bool:
        return bool(self.reason)

    def said(self, numbers: Sequence[int | None]) -> str:
        """The text with the numbers that its objects have in the item, parts beside each other; None is one
        that is not seen."""
        text, end = "", 0
        for place, (start, stop) in enumerate(self.spans):
            here = [
                place,
                *(k for k in range(len(self.spans), len(self.objects)) if self.objects[k].part_of == place),
            ]
            named = [f"[{numbers[k]}]" for k in here if numbers[k] is not None]
            text += self.text[end:start] + (", ".join(named) or NOT_SEEN)
            end = stop
        return text + self.text[end:]


Units = Mapping[int, Unit]
"""Of one window, by query."""


def unit_line(unit: Unit) -> bytes:
    """One line of a journal."""
    objects = [
        {
            "start": one.start,
            "part_of": one.part_of,
            "size": [one.masks[0].rle.height, one.masks[0].rle.width] if one.masks else None,
            "masks": [
                [mask.frame, mask.score, mask.quality, mask.rle.counts.decode("ascii")] for mask in one.masks
            ],
        }
        for one in unit.objects
    ]
    entry = {"window": unit.window, "query": unit.query, "text": unit.text, "reason": unit.reason}
    return _line({**entry, "spans": unit.spans, "objects": objects})


def step_line(number: int) -> bytes:
    """The line behind the units of a step: now they count."""
    return _line({"step": number})


def read_unit(entry: Mapping[str, Any]) -> Unit:
    """A line as `unit_line` wrote it; OutputError for anything else."""
    try:
        objects = tuple(
            FoundObject(one["start"], _masks(one["masks"], one["size"]), one["part_of"])
            for one in entry["objects"]
        )
        spans = tuple((start, stop) for start, stop in entry["spans"])
        return Unit(entry["window"], entry["query"], entry["text"], objects, entry["reason"], spans)
    except (KeyError, TypeError, ValueError, PromptError) as error:
        raise OutputError(f"a journal holds a line that is damaged ({error}); delete that file") from error


def _masks(entries: Sequence[Sequence[Any]], size: Sequence[int] | None) -> tuple[FoundMask, ...]:
    if size is None:
        return ()
    return tuple(
        FoundMask(frame, RLE(size[0], size[1], counts.encode("ascii")), score, quality)
        for frame, score, quality, counts in entries
    )


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
