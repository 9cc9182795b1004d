"""A mask of several things as several: parts, what becomes of them over time, and what stays one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.splitting import connected_parts, split_track

Mask = NDArray[np.bool_]


def squares(*corners: tuple[int, int], side: int = 6) -> Mask:
    mask = np.zeros((40, 60), np.bool_)
    for row, column in corners:
        mask[row : row + side, column : column + side] = True
    return mask


def track(*masks: Mask) -> MaskTrack:
    return MaskTrack(
        tuple(
            FrameMask(index, RLE.from_mask(mask), 0.5, bool(mask.any())) for index, mask in enumerate(masks)
        )
    )


def columns(part: MaskTrack) -> list[float | None]:
    """The middle column of a part on each frame."""
    found = [np.argwhere(frame.rle.decode()) for frame in part]
    return [float(pixels[:, 1].mean()) if len(pixels) else None for pixels in found]


def test_parts_touch_at_corners_and_specks_are_none() -> None:
    mask = squares((2, 2), (8, 8), (20, 30))
    mask[39, 59] = True
    first, second = connected_parts(mask)
    assert first.sum() == 72 and second.sum() == 36
    assert not (first & second).any()


def test_a_ring_is_one_part() -> None:
    mask = squares((5, 5), side=20)
    mask[10:20, 10:20] = False
    assert len(connected_parts(mask)) == 1


def test_one_thing_stays_the_track_that_it_was() -> None:
    whole = track(squares((5, 5)), np.zeros((40, 60), np.bool_), squares((5, 9)))
    assert split_track(whole) == (whole,)


def test_two_things_keep_who_they_are_while_they_move() -> None:
    parts = split_track(track(*(squares((5, 2 + 2 * step), (25, 40 - 2 * step)) for step in range(6))))
    assert [columns(part) for part in parts] == [
        [4.5 + 2 * step for step in range(6)],
        [42.5 - 2 * step for step in range(6)],
    ]
    assert all(part.indices == (0, 1, 2, 3, 4, 5) for part in parts)


def test_where_they_touch_the_mask_is_divided_among_them() -> None:
    left, right = (5, 10), (5, 30)
    touching = squares((5, 15), (5, 21))
    whole = track(squares(left, right), squares((5, 13), (5, 25)), touching, squares(left, right))
    one, other = split_track(whole)
    union = one.frames[2].rle.union(other.frames[2].rle).decode()
    assert (union == touching).all() and one.frames[2].rle.iou(other.frames[2].rle) == 0
    assert abs(one.frames[2].rle.area - other.frames[2].rle.area) <= 12
    assert columns(one)[3] != columns(other)[3]


def test_frames_before_the_one_with_the_most_parts_are_followed_back() -> None:
    joined = squares((5, 10), (5, 16))
    one, other = split_track(track(joined, squares((5, 9), (5, 18)), squares((5, 5), (5, 25))))
    assert all(part.frames[0].rle.area > 20 for part in (one, other))


def test_a_thing_that_goes_and_returns_near_is_the_same() -> None:
    both, alone = squares((5, 5), (25, 40)), squares((5, 5))
    one, other = split_track(track(both, alone, alone, squares((5, 5), (25, 47))))
    assert columns(other) == [42.5, None, None, 49.5]
    assert [frame.present for frame in other] == [True, False, False, True]
    assert columns(one) == [7.5] * 4


@pytest.mark.parametrize("share", [1, 2])
def test_what_is_almost_nowhere_is_no_thing(share: int) -> None:
    whole = squares((5, 5), side=20)
    flicker = whole.copy()
    flicker[35:39, 50 : 50 + 2 * share] = True
    masks = [whole] * 9
    masks[4] = flicker
    assert len(split_track(track(*masks))) == 1
