"""Frames that are looked at, and windows."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipixel.archive.windows import Cut, from_spans, looked_at, part_of, spans
from unipixel.core.media import Clip
from unipixel.errors import ConfigError


@given(st.integers(1, 300), st.integers(1, 70), st.integers(0, 69))
def test_windows_cover_everything_once(total: int, size: int, overlap: int) -> None:
    if overlap >= size:
        return
    windows = Cut(size, overlap).windows(total)
    own = [place for window in windows for place in range(window.own_first, window.own_last + 1)]
    assert own == list(range(total))
    for window in windows:
        assert window.first <= window.own_first <= window.own_last <= window.last
        assert len(window.places) == min(size, total)
    for before, after in pairwise(windows):
        assert before.last - after.first + 1 >= overlap


def test_a_window_that_shares_all_of_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="smaller"):
        Cut(8, 8)


def clip(num_frames: int, fps: float = 10) -> Clip:
    frames = np.arange(num_frames, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    return Clip.open(frames, fps)


def test_a_rate_takes_real_frames_at_most_so_often() -> None:
    assert looked_at(clip(10), None) == list(range(10))
    assert looked_at(clip(10), 5) == [0, 2, 4, 6, 8]
    assert looked_at(clip(10), 4) == [
        0,
        3,
        5,
        8,
    ]  # ticks at 0, 0.25, 0.5, 0.75 s: the first frame behind each
    assert looked_at(clip(4), 1000) == [0, 1, 2, 3]
    assert looked_at(clip(10), None, step=3) == [0, 3, 6, 9]


@given(st.lists(st.floats(0.001, 2), min_size=1, max_size=40), st.floats(0.3, 50))
def test_no_tick_sees_two_frames_of_an_uneven_clock(gaps: list[float], fps: float) -> None:
    times = tuple(np.cumsum([0.0, *gaps]).tolist())
    uneven = clip(len(times))
    object.__setattr__(uneven, "times", times)
    found = looked_at(uneven, fps)
    assert found == sorted(set(found)) and found[0] == 0
    ticks = [int(times[frame] * fps + 1e-6) for frame in found]
    assert all(before <= after for before, after in pairwise(ticks))
    assert len(found) <= times[-1] * fps + 2


@pytest.mark.parametrize("frames", [(0, 1, 2), (1, 3, 5), (0, 1, 5, 6, 9), (4,), tuple(range(10))])
def test_a_part_shows_its_frames_in_any_order(frames: tuple[int, ...]) -> None:
    whole = clip(10)
    part = part_of(whole, frames)
    assert part.num_frames == len(frames)
    assert part.read(range(len(frames)))[:, 0, 0, 0].tolist() == list(frames)
    assert [int(frame[0, 0, 0]) for _, frame in part.walk(0, None, 2)] == list(frames[::2])
    assert part.times[0] == 0 and part.times[-1] == pytest.approx((frames[-1] - frames[0]) / 10)


@given(st.sets(st.integers(0, 400), max_size=60))
def test_spans_tell_all_numbers(numbers: set[int]) -> None:
    assert from_spans(spans(sorted(numbers))) == sorted(numbers)


def test_spans_of_regular_numbers_are_few() -> None:
    assert spans(list(range(0, 1000, 6))) == [(0, 996, 6)]
