"""Masks of objects: run-length encoding (COCO), the track of one object, polygons, and files. Masks as arrays
are in `core.pixels`.

Polygons follow COCO: continuous coordinates in which pixel (x, y) covers the square from (x, y) to
(x + 1, y + 1).
"""

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unipixel.core.pictures import open_picture
from unipixel.core.pixels import Bounds, Mask, as_mask, check_mask_size, mask_to_box
from unipixel.errors import MediaError, PromptError

Corner = tuple[int, int]


@dataclass(frozen=True)
class RLE:
    """One mask, run-length encoded the way COCO does (column by column, compressed counts).

    Attributes:
        height: rows of the mask, at least 1.
        width: columns of the mask, at least 1.
        counts: COCO's compressed counts, as bytes.
        area: pixels of the object.

    Raises:
        PromptError: the size is impossible, or the counts are damaged or do not add up to height x width.
    """

    height: int
    width: int
    counts: bytes
    area: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_mask_size(self.height, self.width)
        runs = _runs(self.counts)
        object.__setattr__(self, "area", int(runs[1::2].sum()))
        if runs.min(initial=0) < 0 or int(runs.sum()) != self.height * self.width:
            raise PromptError(
                f"The run lengths cover {int(runs.sum())} pixels, a mask of {self.width}x{self.height} has "
                f"{self.height * self.width}; encode the mask again, size is [height, width]."
            )

    @classmethod
    def from_mask(cls, mask: ArrayLike) -> "RLE":
        """Encode a mask [H, W]: boolean, or integers of which every non-zero one is object."""
        array = as_mask(mask)
        encoded = _coco().encode(np.asfortranarray(array, dtype=np.uint8))
        return cls(array.shape[0], array.shape[1], bytes(encoded["counts"]))

    @classmethod
    def from_coco(cls, mapping: Mapping[str, Any]) -> "RLE":
        """Read `{"size": [h, w], "counts": ...}`; counts compressed (str, bytes) or a list of run lengths."""
        try:
            height, width = (int(side) for side in mapping["size"])
            counts = mapping["counts"]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise PromptError(
                f'A run-length mask needs "size": [height, width] and "counts"; found {mapping!r:.120}.'
            ) from error
        if isinstance(counts, bytes):
            return cls(height, width, counts)
        if isinstance(counts, str):
            return cls(height, width, _ascii(counts))
        return cls(height, width, _compressed(counts, height, width))

    def to_coco(self) -> dict[str, Any]:
        """`{"size": [height, width], "counts": str}`, ready for JSON."""
        return {"size": [self.height, self.width], "counts": self.counts.decode("ascii")}

    def decode(self) -> Mask:
        """The mask as a boolean array [H, W]."""
        mask = np.zeros((self.height, self.width), dtype=np.bool_)
        runs = _runs(self.counts)
        if len(runs) > 1:
            ends = np.cumsum(runs)
            first, last = int(ends[0]) // self.height, -(-int(ends[len(ends) // 2 * 2 - 1]) // self.height)
            mask[:, first:last] = self.decode_columns(first, last)  # the others are empty: not turned round
        return mask

    def decode_columns(self, first: int, last: int) -> Mask:
        """The columns first … last - 1 as a boolean array [H, last - first], without decoding the others."""
        if not 0 <= first < last <= self.width:
            raise PromptError(f"no columns {first} to {last} in a mask {self.width} pixels wide")
        runs = _runs(self.counts)
        ends = np.clip(np.cumsum(runs), first * self.height, last * self.height)
        lengths = np.diff(ends, prepend=first * self.height)
        by_column = np.repeat(np.arange(len(runs)) % 2 == 1, lengths)
        return by_column.reshape(last - first, self.height).T

    @property
    def runs(self) -> NDArray[np.int64]:
        """First and last-plus-one pixel of each run of the object, [N, 2]; pixels count column by column."""
        ends = np.cumsum(_runs(self.counts))
        pairs = ends[: len(ends) // 2 * 2].reshape(-1, 2)
        return pairs[pairs[:, 0] < pairs[:, 1]]

    @property
    def box(self) -> Bounds | None:
        """(x1, y1, x2, y2), corners inside the object; None when the mask is empty."""
        if self.area == 0:
            return None
        x, y, width, height = (int(value) for value in _coco().toBbox(self._as_coco()))
        return x, y, x + width - 1, y + height - 1

    def union(self, *others: "RLE") -> "RLE":
        """Pixels of this mask or of any of the others; all must have one size."""
        return self._merge(others, intersect=False)

    def iou(self, other: "RLE") -> float:
        """Intersection over union in [0, 1]; 1.0 when both masks are empty."""
        shared = self._merge((other,), intersect=True).area
        either = self.area + other.area - shared
        return shared / either if either else 1.0

    def _merge(self, others: "Sequence[RLE]", intersect: bool) -> "RLE":
        for other in others:
            if (other.height, other.width) != (self.height, self.width):
                raise PromptError(
                    f"Masks of {self.width}x{self.height} and {other.width}x{other.height} cannot be "
                    "combined; "
                    "resize them to one size first."
                )
        merged = _coco().merge(
            [self._as_coco(), *(other._as_coco() for other in others)], intersect=intersect
        )
        return RLE(self.height, self.width, bytes(merged["counts"]))

    def _as_coco(self) -> dict[str, Any]:
        return {"size": [self.height, self.width], "counts": self.counts}


@dataclass(frozen=True)
class FrameMask:
    """One object on one frame.

    Attributes:
        index: number of the frame in its clip, from 0.
        rle: the mask, in the clip's own size.
        score: how sure the model is of the mask; a finite number, normally in [0, 1].
        present: whether the model sees the object on this frame.
    """

    index: int
    rle: RLE
    score: float
    present: bool

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "index", operator.index(self.index))
            object.__setattr__(self, "score", float(self.score))
        except (TypeError, ValueError, OverflowError) as error:
            raise PromptError(
                f"A mask is on frame {self.index!r} with score {self.score!r}; expected a whole number and a "
                "number."
            ) from error
        object.__setattr__(self, "present", bool(self.present))
        if self.index < 0:
            raise PromptError(f"Frame {self.index} does not exist; frames count from 0.")
        if not math.isfinite(self.score):
            raise PromptError(f"The score of frame {self.index} is {self.score}; it must be a finite number.")


@dataclass(frozen=True)
class MaskTrack:
    """One object through a clip: at least one frame, indices strictly increasing, one mask size for all.

    Raises:
        PromptError: no frames, indices out of order, or masks of different sizes.
    """

    frames: tuple[FrameMask, ...]

    def __post_init__(self) -> None:
        if not self.frames:
            raise PromptError(
                "A track needs at least one frame; give an empty mask where the object is absent."
            )
        for before, after in pairwise(self.frames):
            if after.index <= before.index:
                raise PromptError(
                    f"Frame {after.index} follows frame {before.index} in a track; sort and remove repeats."
                )
            if (after.rle.height, after.rle.width) != (self.height, self.width):
                raise PromptError(
                    f"The mask on frame {after.index} is {after.rle.width}x{after.rle.height}, those before "
                    "it are "
                    f"{self.width}x{self.height}; resize the masks to the size of the clip."
                )

    @property
    def height(self) -> int:
        """Rows of every mask."""
        return self.frames[0].rle.height

    @property
    def width(self) -> int:
        """Columns of every mask."""
        return self.frames[0].rle.width

    @property
    def area(self) -> int:
        """Pixels of the object, summed over all frames of the track."""
        return sum(frame.rle.area for frame in self.frames)

    @property
    def indices(self) -> tuple[int, ...]:
        """The frame numbers of the track, increasing."""
        return tuple(frame.index for frame in self.frames)

    def at(self, index: int) -> FrameMask | None:
        """The entry of frame `index`, or None when the track has none."""
        return next((frame for frame in self.frames if frame.index == index), None)

    def to_array(self) -> Mask:
        """All masks [T, H, W]; T counts the frames of the track (see `indices`), not those of the clip."""
        return np.stack([frame.rle.decode() for frame in self.frames])

    def __iter__(self) -> Iterator[FrameMask]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)


def polygons_to_mask(polygons: Sequence[ArrayLike], height: int, width: int) -> Mask:
    """The union of polygons as a mask [height, width], rasterised as COCO does.

    Args:
        polygons: each a flat list x1, y1, x2, y2, ... or an array [N, 2]; at least three points; no polygon
            at all is an empty mask.
        height: rows of the mask.
        width: columns of the mask.

    Raises:
        PromptError: fewer than three points, coordinates that are not finite or lie far outside the picture.
    """
    check_mask_size(height, width)
    coco = _coco()
    flat = [_flat_polygon(polygon, number, max(height, width)) for number, polygon in enumerate(polygons)]
    if not flat:
        return np.zeros((height, width), dtype=np.bool_)
    merged = coco.merge(coco.frPyObjects(flat, height, width))
    return RLE(height, width, bytes(merged["counts"])).decode()


def mask_to_polygons(mask: ArrayLike) -> list[list[float]]:
    """Outlines of a mask [H, W] as flat COCO polygons along the pixel edges; an empty mask gives no polygon.

    `polygons_to_mask` of the result gives the mask back. COCO polygons cannot have holes, so a mask with
    holes is cut into upright strips through its holes until no strip has one, and a part with a hole comes
    back as several polygons. Parts that touch only at a corner are separate polygons.
    """
    array = as_mask(mask)
    box = mask_to_box(array)
    return [] if box is None else _strip_polygons(array, box[0], box[2] + 1)


def read_mask(path: str | Path) -> Mask:
    """The mask [H, W] in a picture file: every non-zero pixel (or palette index) is object.

    Colour pictures count where any channel is non-zero, and a fully transparent pixel is never object.

    Raises:
        MediaError: the file is missing or no picture, or a JPEG, whose compression would smear the mask.
    """
    with open_picture(Path(path)) as picture:
        if picture.format in ("JPEG", "MPO"):
            raise MediaError(
                f"{path}: a JPEG cannot hold a mask, its compression blurs the edges; save the mask as PNG."
            )
        picture.load()
        bands = np.asarray(picture)
        has_alpha = picture.mode in ("LA", "PA", "RGBA")
    if has_alpha:
        bands = bands[..., :-1] * (bands[..., -1:] != 0)
    return as_mask(bands if bands.ndim == 2 else bands.max(axis=-1))


def _coco() -> Any:
    """pycocotools' mask functions, imported when first needed."""
    from pycocotools import mask

    return mask


def _runs(counts: bytes) -> NDArray[np.int64]:
    """Run lengths in COCO's compressed counts.

    A run is spelled in groups of 5 bits with a continuation bit, as the difference to the run two before.
    """
    digits = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - 48
    is_last = (digits & 0x20) == 0
    if len(digits) == 0 or digits.min() < 0 or digits.max() > 63 or not is_last[-1]:
        raise PromptError("The compressed counts of a mask are damaged; encode the mask again.")
    ends = np.flatnonzero(is_last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > 7:
        raise PromptError("The compressed counts of a mask hold an impossible run; encode the mask again.")
    shifts = 5 * (np.arange(len(digits)) - np.repeat(starts, lengths))
    runs = np.add.reduceat((digits & 0x1F) << shifts, starts)
    runs -= np.where(digits[ends] & 0x10, np.int64(1) << (5 * lengths), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def _ascii(counts: str) -> bytes:
    try:
        return counts.encode("ascii")
    except UnicodeEncodeError as error:
        found = counts[error.start]
        raise PromptError(
            f"The compressed counts of a mask hold {found!a}, which they never do; encode the mask again."
        ) from error


def _compressed(counts: Any, height: int, width: int) -> bytes:
    if not isinstance(counts, Sequence) or not all(isinstance(run, int) and run >= 0 for run in counts):
        raise PromptError(
            f"Run lengths must be compressed text or a list of whole numbers from 0; found {counts!r:.80}."
        )
    if sum(counts) != height * width:
        raise PromptError(
            f"The run lengths cover {sum(counts)} pixels, a mask of {width}x{height} has {height * width}; "
            "size is [height, width]."
        )
    check_mask_size(height, width)
    return bytes(
        _coco().frPyObjects({"size": [height, width], "counts": list(counts)}, height, width)["counts"]
    )


def _flat_polygon(polygon: ArrayLike, number: int, side: int) -> list[float]:
    try:
        points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise PromptError(f"Polygon {number} is not a list of x, y pairs.") from error
    if len(points) < 3:
        raise PromptError(f"Polygon {number} has {len(points)} points; it needs at least 3.")
    if not np.isfinite(points).all() or np.abs(points).max() > 10 * side:
        raise PromptError(
            f"Polygon {number} lies far outside its picture; give coordinates in pixels of the picture."
        )
    return [float(value) for value in points.ravel()]


def _strip_polygons(mask: Mask, left: int, right: int) -> list[list[float]]:
    """Polygons of the columns left..right-1, halved through the middle of a hole until there is none."""
    loops = _boundary_loops(mask[:, left:right])
    hole = next((loop for loop in loops if _signed_area(loop) < 0), None)
    if hole is None:
        return [[float(value) for x, y in loop for value in (x + left, y)] for loop in loops]
    columns = [x for x, _ in hole]
    middle = left + (min(columns) + max(columns)) // 2
    return _strip_polygons(mask, left, middle) + _strip_polygons(mask, middle, right)


def _boundary_loops(mask: Mask) -> list[list[Corner]]:
    """Closed walks along the pixel edges with the object on the right hand; corners only."""
    padded = np.pad(mask, 1).astype(np.int8)
    down, across = np.diff(padded, axis=0)[:, 1:-1], np.diff(padded, axis=1)[1:-1]
    steps_from: dict[Corner, list[Corner]] = {}
    for edges, start, step in (
        (down == 1, (0, 0), (1, 0)),
        (down == -1, (1, 0), (-1, 0)),
        (across == 1, (0, 1), (0, -1)),
        (across == -1, (0, 0), (0, 1)),
    ):
        for y, x in np.argwhere(edges).tolist():
            steps_from.setdefault((x + start[0], y + start[1]), []).append(step)
    open_edges = {(point, step) for point, steps in steps_from.items() for step in steps}
    return [
        _walk_loop(steps_from, open_edges, (point, step))
        for point, steps in steps_from.items()
        for step in steps
        if (point, step) in open_edges
    ]


def _walk_loop(
    steps_from: Mapping[Corner, list[Corner]],
    open_edges: set[tuple[Corner, Corner]],
    first: tuple[Corner, Corner],
) -> list[Corner]:
    """The corners of the loop through edge `first`, whose edges leave `open_edges`."""
    (point, step), corners = first, []
    while (point, step) in open_edges:
        open_edges.remove((point, step))
        point = (point[0] + step[0], point[1] + step[1])
        right = (-step[1], step[0])
        # Where two parts of the object touch at a corner, turning right stays with the same part.
        following = right if right in steps_from[point] else steps_from[point][0]
        if following != step:
            corners.append(point)
        step = following
    return corners


def _signed_area(loop: list[Corner]) -> int:
    """Twice the area inside; positive around an object, negative around a hole."""
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(loop, loop[1:] + loop[:1], strict=True))
