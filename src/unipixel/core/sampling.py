"""Which frames of a clip are looked at: even spread, random spread, and frames that must be among them.

The rules are those of the published loaders. `num_available` is the number of frames that can be chosen from,
`num_requested` how many are wanted; with `num_requested <= 0` or no more available than requested, every
frame is taken in order. All functions return positions in
`range(num_available)`, strictly increasing.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np

from unipixel.errors import RequestError

CAPPINGS = 20
"""So often the steps that count for too much are cut; what is left over is moved to the nearest free
frame."""


def uniform_indices(num_available: int, num_requested: int) -> list[int]:
    """Frames spread evenly from the first to the last, both included; halves round to the even frame.

    One requested frame of several gives frame 0 (the published formula divides by zero there).

    Raises:
        RequestError: `num_available` is negative.
    """
    if _takes_all(num_available, num_requested):
        return list(range(num_available))
    if num_requested == 1:
        return [0]
    return [round(Fraction(i * (num_available - 1), num_requested - 1)) for i in range(num_requested)]


def random_indices(
    num_available: int, num_requested: int, rng: np.random.Generator, include_last: bool = False
) -> list[int]:
    """One frame drawn uniformly from each of `num_requested` neighbouring bins of nearly equal length.

    Args:
        num_available: frames to choose from.
        num_requested: frames wanted.
        rng: where the randomness comes from; it is advanced.
        include_last: the published bins end before the last frame, so that it is never drawn (the default,
            for the published training); True lets the bins cover all frames.

    Raises:
        RequestError: `num_available` is negative.
    """
    if _takes_all(num_available, num_requested):
        return list(range(num_available))
    span = num_available if include_last else num_available - 1
    edges = [round(Fraction(i * span, num_requested)) for i in range(num_requested + 1)]
    return [int(rng.integers(low, max(low + 1, high))) for low, high in pairwise(edges)]


def change_indices(changes: Sequence[float], num_requested: int) -> list[int]:
    """Frames spread evenly over what changes and over time, half each, from the first to the last.

    A step between two frames counts for its share of all change and its share of the time; no step counts for
    more than the distance of two chosen frames, so that one cut does not draw all of them.

    Args:
        changes: how much changes from each frame to the next, 0 or more; one less than there are frames.
        num_requested: frames wanted.
    """
    available = len(changes) + 1
    total = float(sum(changes))
    if _takes_all(available, num_requested) or num_requested == 1 or not total > 0:
        return uniform_indices(available, num_requested)
    worth = np.asarray(changes, dtype=np.float64) / total + 1 / len(changes)
    for _ in range(CAPPINGS):
        worth = np.minimum(worth, worth.sum() / (num_requested - 1))
    reached = np.concatenate([[0.0], worth.cumsum()])
    wanted = np.linspace(0, reached[-1], num_requested)
    found = [int(np.abs(reached - one).argmin()) for one in wanted]
    for place in range(1, num_requested):  # each behind the one before it, with room for those that follow
        room = available - num_requested + place
        found[place] = min(max(found[place], found[place - 1] + 1), room)
    return found


def keep_frames(indices: Sequence[int], keep: Sequence[int]) -> list[int]:
    """The sampled `indices` with every frame of `keep` among them, each in place of the nearest sampled
    frame.

    On equal distance the earlier sampled frame gives way. Frames of `keep` that were sampled anyway stay
    where they are, and none gives way to another one. With a single kept frame this is the published rule;
    the result is sorted.

    Raises:
        RequestError: more different frames are to be kept than were sampled.
    """
    wanted = sorted(set(keep))
    if len(wanted) > len(indices):
        raise RequestError(
            f"{len(wanted)} frames are to be kept but only {len(indices)} are sampled; "
            f"sample at least {len(wanted)} frames or keep fewer."
        )
    kept = [frame for frame in wanted if frame in indices]
    free = sorted(set(indices) - set(kept))
    for frame in wanted:
        if frame not in kept:
            free.remove(min(free, key=lambda sampled: (abs(sampled - frame), sampled)))
            kept.append(frame)
    return sorted(kept + free)


def check_kept(keep: Sequence[int], num_requested: int) -> None:
    """Whether the frames of all prompts can be shown together.

    Raises:
        RequestError: they lie on more different frames than are shown.
    """
    if len(set(keep)) > num_requested:
        raise RequestError(
            f"the prompts lie on {len(set(keep))} different frames, but the language model sees only "
            f"{num_requested}; raise num_frames or use fewer frames"
        )


def _takes_all(num_available: int, num_requested: int) -> bool:
    if num_available < 0:
        raise RequestError(f"A clip cannot have {num_available} frames; the number must be 0 or more.")
    return num_requested <= 0 or num_available <= num_requested
