"""Which frames are looked at: counts, order and bounds, in the published reading and in the corrected one."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.properties.few import few

from unipixel.core.sampling import keep_frames, random_indices, uniform_indices

CLIPS = st.integers(1, 3000)
WANTED = st.integers(1, 70)


@few
@given(CLIPS, WANTED)
def test_even_frames_lie_evenly(available: int, wanted: int) -> None:
    indices = uniform_indices(available, wanted)
    assert len(indices) == min(available, wanted)
    if len(indices) > 1:
        steps = [after - before for before, after in pairwise(indices)]
        assert (indices[0], indices[-1]) == (0, available - 1)
        assert min(steps) >= 1 and max(steps) - min(steps) <= 1
        even = (available - 1) / (len(indices) - 1)
        assert all(abs(index - place * even) <= 0.5 + 1e-9 for place, index in enumerate(indices))


@few
@given(CLIPS, WANTED, st.integers(0, 2**63), st.booleans())
def test_drawn_frames_are_one_of_each_bin(available: int, wanted: int, seed: int, corrected: bool) -> None:
    indices = random_indices(available, wanted, np.random.default_rng(seed), include_last=corrected)
    again = random_indices(available, wanted, np.random.default_rng(seed), include_last=corrected)
    assert indices == again
    assert len(indices) == min(available, wanted)
    assert all(before < after for before, after in pairwise(indices))
    assert indices[0] >= 0 and indices[-1] < available
    if available > wanted:
        span = available if corrected else available - 1
        assert indices[-1] < span, "the published reading never draws the last frame"
        bins = [round(place * span / wanted) for place in range(wanted + 1)]
        assert all(
            low - 1 <= index <= high for index, (low, high) in zip(indices, pairwise(bins), strict=True)
        )


@few
@given(st.data(), CLIPS, WANTED)
def test_kept_frames_push_away_their_neighbours_only(
    data: st.DataObject, available: int, wanted: int
) -> None:
    sampled = uniform_indices(available, wanted)
    kept = data.draw(st.sets(st.integers(0, available - 1), max_size=min(4, len(sampled))))
    found = keep_frames(sampled, sorted(kept))
    assert set(kept) <= set(found)
    assert len(found) == len(sampled) and found == sorted(set(found))
    assert set(found) - kept <= set(sampled), "no other frame comes in"
    assert keep_frames(found, sorted(kept)) == found, "once is enough"
