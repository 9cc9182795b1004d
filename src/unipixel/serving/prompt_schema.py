"""What a person points with, and single masks, as they travel.

Coordinates are pixels of the clip as a person sees it, frames count from 0. A mask is COCO run lengths
(`rle`), COCO polygons (`polygon`) or a PNG (`png`, a data URL); exactly one of them is given.
"""

from __future__ import annotations

import base64
import binascii
import io
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from unipixel.core.masks import RLE, polygons_to_mask
from unipixel.core.prompts import Box, Point, Prompt, RegionMask, Scribble
from unipixel.errors import PromptError

PNG_URL = "data:image/png;base64,"
MOST_POINTS = 10_000
MOST_PROMPTS = 256

FrameNumber: TypeAlias = Annotated[int, Field(ge=0, le=10_000_000)]
Size: TypeAlias = tuple[int, int]
"""(width, height) of a clip."""


class Strict(BaseModel):
    """What a caller sends: unknown fields are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Rle(Strict):
    """One mask as COCO run lengths: `size` is [height, width], `counts` compressed text or run lengths."""

    size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    counts: str | list[Annotated[int, Field(ge=0)]]

    def to_core(self) -> RLE:
        """The mask; PromptError if it is damaged."""
        return RLE.from_coco({"size": list(self.size), "counts": self.counts})

    @staticmethod
    def of(rle: RLE) -> Rle:
        return Rle(size=(rle.height, rle.width), counts=rle.counts.decode("ascii"))


class PointPart(Strict):
    """A click; `positive` false says that the object is not there."""

    type: Literal["point"] = "point"
    x: float
    y: float
    frame: FrameNumber = 0
    positive: bool = True

    def to_core(self, size: Size) -> Point:
        return Point(self.x, self.y, self.frame, self.positive)


class BoxPart(Strict):
    """A box from its top-left to its bottom-right corner, both inside."""

    type: Literal["box"] = "box"
    x1: float
    y1: float
    x2: float
    y2: float
    frame: FrameNumber = 0

    def to_core(self, size: Size) -> Box:
        return Box(self.x1, self.y1, self.x2, self.y2, self.frame)


class ScribblePart(Strict):
    """A stroke through [x, y] pixels, `thickness` pixels wide."""

    type: Literal["scribble"] = "scribble"
    points: Annotated[list[tuple[float, float]], Field(min_length=1, max_length=MOST_POINTS)]
    frame: FrameNumber = 0
    thickness: Annotated[float, Field(gt=0, le=10_000)] = 5.0

    def to_core(self, size: Size) -> Scribble:
        return Scribble(tuple(self.points), self.frame, self.thickness)


class MaskPart(Strict):
    """A mask of the clip's size: one of `rle`, `polygon` (flat x, y lists) and `png` (a data URL)."""

    type: Literal["mask"] = "mask"
    rle: Rle | None = None
    polygon: Annotated[list[list[float]], Field(max_length=MOST_POINTS)] | None = None
    png: str | None = None
    frame: FrameNumber = 0

    def to_core(self, size: Size) -> RegionMask:
        given = [form for form in (self.rle, self.polygon, self.png) if form is not None]
        if len(given) != 1:
            raise PromptError(f"a mask is one of rle, polygon and png; found {len(given)} of them")
        width, height = size
        if self.rle is not None:
            if self.rle.size != (height, width):  # before its pixels are laid out
                raise PromptError(f"the mask's size is {list(self.rle.size)}, expected [{height}, {width}]")
            return RegionMask(self.rle.to_core().decode(), self.frame)
        if self.polygon is not None:
            return RegionMask(
                polygons_to_mask([np.asarray(p) for p in self.polygon], height, width), self.frame
            )
        return RegionMask(read_png(self.png or "", size), self.frame)


PromptPart: TypeAlias = Annotated[PointPart | BoxPart | ScribblePart | MaskPart, Field(discriminator="type")]
"""Something that a person points with."""


def prompt_part(prompt: Prompt) -> PointPart | BoxPart | ScribblePart | MaskPart:
    """A prompt as it travels."""
    if isinstance(prompt, Point):
        return PointPart(x=prompt.x, y=prompt.y, frame=prompt.frame, positive=prompt.positive)
    if isinstance(prompt, Box):
        return BoxPart(x1=prompt.x1, y1=prompt.y1, x2=prompt.x2, y2=prompt.y2, frame=prompt.frame)
    if isinstance(prompt, Scribble):
        return ScribblePart(points=list(prompt.points), frame=prompt.frame, thickness=prompt.thickness)
    return MaskPart(rle=Rle.of(RLE.from_mask(prompt.mask)), frame=prompt.frame)


def read_png(url: str, size: Size) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The mask [height, width] in a PNG data URL: where any channel but alpha is not 0. PromptError unless it
    is a PNG of `size` (width, height); its pixels are read only then."""
    if not url.startswith(PNG_URL):
        raise PromptError(f"a mask's png is a data URL that begins with {PNG_URL}")
    try:
        content = io.BytesIO(base64.b64decode(url[len(PNG_URL) :], validate=True))
        with Image.open(content, formats=["PNG"]) as picture:
            if picture.size != size:
                raise PromptError(f"the mask is {picture.size}, the clip {size}; give one of the clip's size")
            alpha = picture.mode in ("LA", "PA", "RGBA")
            bands = np.asarray(picture)
    except (binascii.Error, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise PromptError("the mask's png cannot be read; encode it again") from error
    if alpha:
        bands = bands[..., :-1] * (bands[..., -1:] != 0)
    found: np.ndarray[Any, np.dtype[np.bool_]] = (bands if bands.ndim == 2 else bands.max(axis=-1)) != 0
    return found


def png_bytes(rle: RLE) -> bytes:
    """A mask as a PNG of one bit a pixel, white where the object is."""
    buffer = io.BytesIO()
    Image.fromarray(rle.decode()).save(buffer, "PNG")
    return buffer.getvalue()
