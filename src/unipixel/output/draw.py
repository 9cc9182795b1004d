"""Drawing on frames: translucent masks with outlines and labels, and the points and boxes that a person gave.

NumPy and PIL only. Frames are uint8 RGB [H, W, 3] and are never changed in place; coordinates are pixels of
the frame.
"""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unipixel.core.frames import Frame
from unipixel.core.pixels import Mask, mask_center, mask_to_box
from unipixel.errors import PromptError

Color = tuple[int, int, int]

_POSITIVE: Color = (46, 204, 64)
_NEGATIVE: Color = (230, 40, 40)
_BOX: Color = (255, 196, 0)
# Told apart by most colour-blind people as well; later ids walk around the hues by the golden angle.
_FIRST: tuple[Color, ...] = (
    (230, 60, 60),
    (30, 136, 229),
    (60, 180, 75),
    (255, 179, 0),
    (142, 68, 173),
    (0, 188, 190),
    (240, 98, 200),
    (121, 85, 72),
)


@dataclass(frozen=True)
class Palette:
    """Colours by object id: the same id always has the same colour.

    Attributes:
        first: colours (r, g, b), 0 to 255, of the ids 0, 1, ...; further ids get generated ones.
    """

    first: tuple[Color, ...] = _FIRST

    def color(self, object_id: int) -> Color:
        """(r, g, b) of an object; ids count from 0."""
        if object_id < 0:
            raise PromptError(f"Object {object_id} has no colour; object ids count from 0.")
        if object_id < len(self.first):
            return self.first[object_id]
        step = object_id - len(self.first)
        bright = (1.0, 0.75, 0.55)[step % 3]
        red, green, blue = colorsys.hsv_to_rgb(
            (0.38 + step * 0.381966) % 1.0, 0.85 if step % 2 else 0.6, bright
        )
        return round(red * 255), round(green * 255), round(blue * 255)

    def table(self) -> list[int]:
        """768 values for a palette PNG: black for index 0, object `id` at index id + 1."""
        return [0, 0, 0, *(value for object_id in range(255) for value in self.color(object_id))]


def overlay(
    frame: Frame,
    masks: Mapping[int, Mask],
    names: Mapping[int, str] | None = None,
    *,
    palette: Palette | None = None,
    opacity: float = 0.45,
) -> Frame:
    """The frame with every mask filled translucently, outlined and labelled.

    Args:
        frame: uint8 [H, W, 3].
        masks: bool [H, W] by object id; empty masks draw nothing. Where masks overlap the lower id lies on
            top.
        names: text after the id in an object's label.
        palette: colours by id.
        opacity: of the filling, 0 to 1.

    Raises:
        PromptError: a mask is not of the frame's size.
    """
    palette = palette or Palette()
    drawn = frame.copy()
    boxes = {object_id: _checked_box(frame, object_id, mask) for object_id, mask in masks.items()}
    shown = sorted((object_id for object_id, box in boxes.items() if box is not None), reverse=True)
    for object_id in shown:
        _fill(drawn, masks[object_id], palette.color(object_id), opacity)
    picture = Image.fromarray(drawn)
    for object_id in shown:
        place = mask_center(masks[object_id])
        if place is not None:
            name = (names or {}).get(object_id, "")
            _label(picture, place, f"{object_id} {name}".strip(), palette.color(object_id))
    return np.array(picture)


def draw_prompts(
    frame: Frame,
    points: Sequence[tuple[float, float, bool]] = (),
    boxes: Sequence[tuple[float, float, float, float]] = (),
) -> Frame:
    """The frame with points (x, y, positive) as green or red discs and boxes (x1, y1, x2, y2) as outlines."""
    picture = Image.fromarray(frame)
    draw = ImageDraw.Draw(picture)
    line = _line_width(frame.shape[1], frame.shape[0])
    for x1, y1, x2, y2 in boxes:
        corners = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        rim = (corners[0] - 1, corners[1] - 1, corners[2] + 1, corners[3] + 1)
        draw.rectangle(rim, outline=(0, 0, 0), width=line + 2)
        draw.rectangle(corners, outline=_BOX, width=line)
    for x, y, positive in points:
        _point(draw, x, y, positive, 3 * line + 2)
    return np.array(picture)


def _checked_box(frame: Frame, object_id: int, mask: Mask) -> tuple[int, int, int, int] | None:
    if mask.shape != frame.shape[:2]:
        raise PromptError(
            f"The mask of object {object_id} is {mask.shape[1]}x{mask.shape[0]}, the frame is "
            f"{frame.shape[1]}x{frame.shape[0]}; resize the mask to the frame."
        )
    return mask_to_box(mask)


def _fill(drawn: Frame, mask: Mask, color: Color, opacity: float) -> None:
    box = mask_to_box(mask)
    if box is None:
        return
    window = (slice(box[1], box[3] + 1), slice(box[0], box[2] + 1))
    inside, pixels, tint = mask[window], drawn[window], np.array(color, dtype=np.float32)
    pixels[inside] = np.rint(pixels[inside] * (1 - opacity) + tint * opacity).astype(np.uint8)
    pixels[inside & ~_shrunk(inside, _line_width(drawn.shape[1], drawn.shape[0]))] = color


def _shrunk(mask: Mask, width: int) -> Mask:
    """The mask without a rim of `width` pixels, a pixel at a time in the four directions."""
    inner = mask
    for _ in range(width):
        padded = np.pad(inner, 1)
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inner


def _line_width(width: int, height: int) -> int:
    return max(1, round(min(width, height) / 360))


def _label(picture: Image.Image, place: tuple[int, int], text: str, color: Color) -> None:
    """Text on a plate of the object's colour, centred at `place` and moved inside the picture."""
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(10, round(min(picture.size) / 30)))
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    margin = 3
    width, height = right - left + 2 * margin, bottom - top + 2 * margin
    x = min(max(place[0] - width / 2, 0), max(picture.width - width, 0))
    y = min(max(place[1] - height / 2, 0), max(picture.height - height, 0))
    draw.rectangle((x, y, x + width, y + height), fill=color)
    draw.text((x + margin - left, y + margin - top), text, font=font, fill=_ink(color))


def _ink(color: Color) -> Color:
    """Black or white, whichever stands out on `color`."""
    luminance = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    return (0, 0, 0) if luminance > 140 else (255, 255, 255)


def _point(draw: ImageDraw.ImageDraw, x: float, y: float, positive: bool, radius: int) -> None:
    draw.ellipse((x - radius - 1, y - radius - 1, x + radius + 1, y + radius + 1), fill=(255, 255, 255))
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_POSITIVE if positive else _NEGATIVE)
    arm, line = radius * 0.55, max(1, radius // 3)
    draw.line((x - arm, y, x + arm, y), fill=(255, 255, 255), width=line)
    if positive:
        draw.line((x, y - arm, x, y + arm), fill=(255, 255, 255), width=line)
