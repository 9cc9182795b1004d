"""Frame sampling: the published rules, and where ours differ on purpose."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipixel.core.sampling import change_indices, keep_frames, random_indices, uniform_indices
from unipixel.errors import RequestError


@pytest.mark.parametrize("num_requested", [8, 16])
def test_uniform_equals_the_rounded_linspace(num_requested: int) -> None:
    for available in range(num_requested + 1, 300):
        expected = np.round(np.linspace(0, available - 1, num_requested)).astype(int).tolist()
        assert uniform_indices(available, num_requested) == expected


def test_halves_round_to_even() -> None:
    assert uniform_indices(6, 3) == [0, 2, 5]  # the middle is 2.5


@given(st.integers(2, 2000), st.integers(2, 64))
def test_uniform_runs_from_the_first_to_the_last_frame(available: int, requested: int) -> None:
    indices = uniform_indices(available, requested)
    assert len(indices) == min(available, requested)
    assert indices[0] == 0
    assert indices[-1] == available - 1
    assert all(a < b for a, b in pairwise(indices))


@pytest.mark.parametrize(("available", "requested"), [(0, 4), (3, 0), (3, -1), (3, 3), (3, 9), (1, 1)])
def test_every_frame_is_taken_when_there_are_not_more(available: int, requested: int) -> None:
    rng = np.random.default_rng(0)
    assert uniform_indices(available, requested) == list(range(available))
    assert random_indices(available, requested, rng) == list(range(available))


def test_one_of_several_frames_is_the_first() -> None:
    assert uniform_indices(9, 1) == [0]


@given(st.lists(st.sampled_from([0.0, 0.01, 1.0, 100.0]), max_size=60), st.integers(1, 40))
def test_frames_by_change_are_different_ones_from_the_first_to_the_last(
    changes: list[float], requested: int
) -> None:
    indices = change_indices(changes, requested)
    assert len(indices) == min(len(changes) + 1, requested) and indices[0] == 0
    assert all(a < b for a, b in pairwise(indices))
    assert indices[-1] == len(changes) or requested == 1


def test_where_much_changes_more_frames_are_taken() -> None:
    moving = [0.0] * 50 + [1.0] * 10 + [0.0] * 39
    assert sum(50 <= index <= 60 for index in change_indices(moving, 9)) == 5
    assert sum(50 <= index <= 60 for index in uniform_indices(100, 9)) == 1


def test_one_cut_does_not_draw_all_frames() -> None:
    cut = change_indices([0.0] * 50 + [1.0] + [0.0] * 48, 5)
    assert max(b - a for a, b in pairwise(cut)) < 40


def test_a_still_clip_is_sampled_evenly() -> None:
    assert change_indices([0.0] * 99, 7) == uniform_indices(100, 7)


def test_a_negative_number_of_frames_is_refused() -> None:
    with pytest.raises(RequestError, match="-1"):
        uniform_indices(-1, 4)


def test_published_random_never_draws_the_last_frame() -> None:
    assert random_indices(9, 8, np.random.default_rng(0)) == list(range(8))
    drawn = {i for seed in range(300) for i in random_indices(20, 8, np.random.default_rng(seed))}
    assert drawn == set(range(19))


def test_the_corrected_random_draws_every_frame() -> None:
    rng = np.random.default_rng(1)
    drawn = {i for _ in range(300) for i in random_indices(20, 8, rng, include_last=True)}
    assert drawn == set(range(20))


@given(st.integers(1, 500), st.integers(1, 40), st.integers(0, 2**32), st.booleans())
def test_random_is_increasing_one_for_each_bin(available: int, requested: int, seed: int, last: bool) -> None:
    indices = random_indices(available, requested, np.random.default_rng(seed), include_last=last)
    assert len(indices) == min(available, requested)
    assert all(a < b for a, b in pairwise(indices))
    assert all(0 <= i < available for i in indices)


def test_random_repeats_with_its_seed() -> None:
    first = random_indices(100, 8, np.random.default_rng(7))
    assert first == random_indices(100, 8, np.random.default_rng(7))
    assert first != random_indices(100, 8, np.random.default_rng(8))


@pytest.mark.parametrize(
    ("indices", "keep", "expected"),
    [
        ([0, 10, 20], [9], [0, 9, 20]),
        ([0, 10, 20], [5], [5, 10, 20]),  # the first on ties
        ([0, 10, 20], [10], [0, 10, 20]),
        ([0, 10, 20], [9, 11], [0, 9, 11]),  # 9 took the place of 10, the nearest to 11 is then 20
        ([0, 5, 10], [4, 5], [4, 5, 10]),  # a sampled frame that is kept does not give way
        ([0, 10, 20], [20, 20], [0, 10, 20]),
        ([0, 10, 20], [], [0, 10, 20]),
        ([0, 10], [3, 40], [3, 40]),
    ],
)
def test_kept_frames_replace_the_nearest(indices: list[int], keep: list[int], expected: list[int]) -> None:
    assert keep_frames(indices, keep) == expected


@given(st.integers(9, 300), st.integers(1, 8), st.data())
def test_all_kept_frames_are_there_and_the_number_stays(
    available: int, requested: int, data: st.DataObject
) -> None:
    keep = data.draw(st.lists(st.integers(0, available - 1), max_size=requested))
    kept = keep_frames(uniform_indices(available, requested), keep)
    assert set(keep) <= set(kept)
    assert len(kept) == len(set(kept)) == requested
    assert kept == sorted(kept)


def test_more_kept_than_sampled_is_refused_with_both_numbers() -> None:
    with pytest.raises(RequestError, match=r"3 frames .* only 2"):
        keep_frames([0, 5], [1, 2, 3])
