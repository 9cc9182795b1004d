"""Drawing: what must be seen on a frame, and what must stay as it was."""

import numpy as np
import pytest
from numpy.typing import NDArray

from unipixel.errors import PromptError
from unipixel.output.draw import Palette, draw_prompts, overlay

Frame = NDArray[np.uint8]


def grey(height: int = 200, width: int = 300) -> Frame:
    return np.full((height, width, 3), 100, dtype=np.uint8)


def block(top: int, left: int, bottom: int, right: int) -> NDArray[np.bool_]:
    mask = np.zeros((200, 300), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def test_colours_are_distinct_and_stable() -> None:
    palette = Palette()
    colours = [palette.color(number) for number in range(60)]
    assert len(set(colours)) == 60
    assert colours == [Palette().color(number) for number in range(60)]
    first = np.array(colours[:12], dtype=int)
    gaps = np.abs(first[:, None] - first[None]).sum(axis=-1) + 999 * np.eye(12, dtype=int)
    assert gaps.min() > 60
    assert palette.table()[:6] == [0, 0, 0, *palette.color(0)]
    assert len(palette.table()) == 768
    with pytest.raises(PromptError, match="-1"):
        palette.color(-1)


def test_masks_are_filled_translucently_with_a_full_outline() -> None:
    frame = grey()
    mask = block(20, 30, 180, 270)
    drawn = overlay(frame, {4: mask}, opacity=0.5)
    colour = np.array(Palette().color(4))
    assert (frame == 100).all()
    assert (drawn[20, 30:270] == colour).all()
    assert (drawn[20:180, 269] == colour).all()
    assert (drawn[30, 40] == np.rint(50 + colour / 2)).all()
    assert (drawn[~mask] == 100).all()


def test_the_label_is_readable_and_inside_the_frame() -> None:
    plain = overlay(grey(), {0: block(0, 0, 60, 60)})
    named = overlay(grey(), {0: block(0, 0, 60, 60)}, names={0: "the red circle"})
    changed = (named != plain).any(axis=-1)
    assert changed.any()
    assert np.flatnonzero(changed.any(axis=0)).max() > 60  # a longer plate, moved into the frame
    contrast = np.abs(named[changed].astype(int) - Palette().color(0)).sum(axis=-1)
    assert contrast.max() > 300


def test_the_lower_id_lies_on_top() -> None:
    drawn = overlay(grey(), {2: block(0, 0, 150, 300), 1: block(50, 0, 200, 300)}, opacity=1.0)
    assert tuple(drawn[140, 5]) == Palette().color(1)
    assert tuple(drawn[10, 5]) == Palette().color(2)


def test_nothing_is_drawn_for_empty_masks() -> None:
    assert (overlay(grey(), {0: block(0, 0, 0, 0)}, names={0: "gone"}) == grey()).all()
    assert (overlay(grey(), {}) == grey()).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (40, 2)])
def test_tiny_frames_can_be_drawn_on(size: tuple[int, int]) -> None:
    assert overlay(grey(*size), {0: np.ones(size, dtype=bool)}).shape == (*size, 3)
    assert draw_prompts(grey(*size), [(0, 0, True)], [(0, 0, 0, 0), (5, 5, 0, 0)]).shape == (*size, 3)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(PromptError, match="object 3 is 5x4, the frame is 300x200"):
        overlay(grey(), {3: np.ones((4, 5), dtype=bool)})


def test_prompts_are_seen_where_they_are() -> None:
    frame = grey()
    drawn = draw_prompts(frame, [(50, 60, True), (250, 60, False)], [(100, 150, 200, 190)])
    assert (frame == 100).all()
    green, red = drawn[56:65, 46:55].reshape(-1, 3), drawn[56:65, 246:255].reshape(-1, 3)
    assert (green[:, 1] > green[:, 0]).any()
    assert not (green[:, 0] > green[:, 1]).any()
    assert (red[:, 0] > red[:, 1]).any()
    assert (drawn[150:152, 100:201] != 100).any(axis=(0, 2)).all()
    assert (drawn[160:180, 110:190] == 100).all()
    assert (drawn[100:140] == 100).all()
