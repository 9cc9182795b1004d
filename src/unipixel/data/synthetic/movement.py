"""Words for a path: does it stop, circle, turn back, to which side does it go? Yes, no, or arguable.

Lengths are compared with the frame's shorter side; T frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import pi

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]

DIRECTIONS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}
"""Unit vectors (x, y) of the four words."""

STILL, MOVED = 0.02, 0.08  # farther from where it began than this share of the side: still, clearly moving
FAR, DOMINANT, STRAIGHT = 0.15, 2.0, 1.25  # a direction: so far, so much more than across, path to way
STRAY = 0.04  # progress in a direction that nobody would call moving there
REST = 0.004  # a step under this share of the side is none
TURNED, NOT_TURNED = 4 * pi / 3, 2 * pi / 3  # turning of a circle, and of what is none
THIN = 0.03  # width of a path that is a line
OUT, RETURNED = 0.12, 0.6  # of a way out, and the part of it that is taken back
NARROW = -0.85  # cosine between the way out and the way back
GROWN, SAME = 1.35, 1.06  # ratio of radii that is clear, and one that is none
PRESENT = 0.9  # part of a thing in the frame that counts as all of it


@dataclass(frozen=True)
class Verdict:
    """Whether a word holds (None: arguable), and for events since which frame."""

    holds: bool | None
    frame: int | None = None


@dataclass(frozen=True, eq=False)
class Movement:
    """What is known about a thing's way: centres [T, 2] against the ground in pixels, `scales` [T], the
    part of it that is `within` the frame [T] in [0, 1], where it is `visible` [T], and the frame's shorter
    `side`."""

    centres: Series
    scales: Series
    within: Series
    visible: NDArray[np.bool_]
    side: int

    @cached_property
    def present(self) -> NDArray[np.intp]:
        """The frames from the first to the last with a part of the thing in the frame."""
        frames = np.flatnonzero(self.within > 0)
        return np.arange(frames[0], frames[-1] + 1) if len(frames) else frames

    @cached_property
    def path(self) -> Series:
        """The way while it is in the frame, in shares of the side [P, 2]."""
        path: Series = self.centres[self.present] / self.side
        return path

    @cached_property
    def steps(self) -> Series:
        """Length of each step [P - 1]."""
        steps: Series = np.linalg.norm(np.diff(self.path, axis=0), axis=1)
        return steps

    @property
    def judged(self) -> bool:
        """Whether there is enough to see for any word about motion."""
        return len(self.present) >= 2 and bool(self.visible[self.present].mean() >= 0.4)

    @cached_property
    def farthest(self) -> float:
        """Largest distance from where it was first in the frame."""
        return float(np.linalg.norm(self.path - self.path[0], axis=1).max())

    @property
    def rate(self) -> tuple[float, float]:
        """Mean speed over all of its way and over the steps in which it moves, pixels per frame."""
        moving = self.steps[self.steps > REST]
        mean, quick = float(self.steps.mean()), float(moving.mean()) if len(moving) else 0.0
        return mean * self.side, max(mean, quick) * self.side

    @cached_property
    def is_line(self) -> bool:
        """Whether the path lies within a narrow strip."""
        off = self.path - self.path.mean(axis=0)
        across = np.linalg.svd(off, full_matrices=False)[2][-1]
        return bool(np.ptp(off @ across) <= THIN)


def judge_motion(movement: Movement) -> dict[str, Verdict]:
    """A verdict for each motion word, in the order of `facts.MOTION_WORDS`."""
    if not movement.judged:
        words = ("still", "moving", "stopping", "circling", "turning back")
        unknown = dict.fromkeys(words, Verdict(None))
        return unknown | _judge_presence(movement) | {"approaching": Verdict(None), "receding": Verdict(None)}
    still, moving = _judge_still(movement)
    rest = {
        "stopping": _judge_stopping(movement),
        "circling": _judge_circling(movement),
        "turning back": _judge_turning_back(movement),
    }
    if still.holds:
        rest = dict.fromkeys(rest, Verdict(False))
    return {"still": still, "moving": moving} | rest | _judge_presence(movement) | _judge_growth(movement)


def judge_directions(movement: Movement) -> dict[str, Verdict]:
    """A verdict for "left", "right", "up" and "down"; at most one holds."""
    if not movement.judged:
        return dict.fromkeys(DIRECTIONS, Verdict(None))
    return {word: Verdict(_goes(movement, np.array(vector))) for word, vector in DIRECTIONS.items()}


def _goes(movement: Movement, direction: Series) -> bool | None:
    way = movement.path[-1] - movement.path[0]
    along, across = float(way @ direction), abs(float(way @ direction[::-1]))
    straight = movement.steps.sum() <= STRAIGHT * np.linalg.norm(way)
    if along >= FAR and along >= DOMINANT * across and straight:
        return True
    progress = movement.path @ direction
    gained = float((progress - np.minimum.accumulate(progress)).max())
    return False if gained <= STRAY else None


def _judge_still(movement: Movement) -> tuple[Verdict, Verdict]:
    grows = movement.scales.max() > SAME * movement.scales.min()
    always = len(movement.present) == len(movement.within)
    if movement.farthest <= STILL and always:
        # What grows or shrinks on the spot is not clearly still, and does not clearly move either.
        return (Verdict(None), Verdict(None)) if grows else (Verdict(True), Verdict(False))
    if movement.farthest >= MOVED:
        return Verdict(False), Verdict(True)
    return Verdict(None), Verdict(None)


def _judge_stopping(movement: Movement) -> Verdict:
    """It moved, and then rests to the end, for two steps or more."""
    steps, last = movement.steps, len(movement.steps)
    if movement.within[-1] == 0:
        return Verdict(False)
    begins = int(np.max(np.flatnonzero(steps > REST), initial=-1)) + 1
    moved, rests = float(steps[:begins].sum()), last - begins
    if moved >= MOVED and rests >= max(2, last / 4) and np.all(steps[:begins] > REST):
        return Verdict(True, int(movement.present[begins]))
    goes_on = last >= 2 and bool(np.all(steps[-max(2, last // 3) :] > 2 * REST))
    return Verdict(False if goes_on or moved <= STILL else None)


def _judge_circling(movement: Movement) -> Verdict:
    if movement.is_line or movement.farthest < MOVED:
        return Verdict(False)
    moves = np.diff(movement.path, axis=0)[movement.steps > REST]
    headings = np.arctan2(moves[:, 1], moves[:, 0])
    turns = (np.diff(headings) + pi) % (2 * pi) - pi
    total = abs(float(turns.sum()))
    one_way = len(turns) >= 3 and np.all(turns * np.sign(turns.sum()) > 0) and np.abs(turns).max() < pi / 2
    # The first heading is turned against the circle's start by half a step, and so is the last.
    if one_way and total * (len(turns) + 1) / len(turns) >= TURNED:
        return Verdict(True)
    return Verdict(False if np.abs(turns).sum() <= NOT_TURNED else None)


def _judge_turning_back(movement: Movement) -> Verdict:
    path = movement.path
    turn = int(np.linalg.norm(path - path[0], axis=1).argmax())
    out, back = path[turn] - path[0], path[-1] - path[turn]
    far, returned = float(np.linalg.norm(out)), float(np.linalg.norm(back))
    if far >= OUT and returned >= RETURNED * far and movement.is_line:
        opposite = float(out @ back) <= NARROW * far * returned
        return Verdict(True, int(movement.present[turn])) if opposite else Verdict(None)
    way = float(np.linalg.norm(path[-1] - path[0]))
    return Verdict(False if movement.steps.sum() <= 1.05 * way or far <= MOVED else None)


def _judge_presence(movement: Movement) -> dict[str, Verdict]:
    """Entering: out of the frame at first, later all in it. Leaving: the other way round."""
    within, visible = movement.within, np.flatnonzero(movement.visible)
    if len(within) < 2 or not len(visible):
        return {"entering": Verdict(None), "leaving": Verdict(None)}
    clear = within.max() >= 0.7
    entering = Verdict(True, int(visible[0])) if within[0] == 0 and clear else _never(within[0])
    leaving = Verdict(True, int(visible[-1]) + 1) if within[-1] == 0 and clear else _never(within[-1])
    return {"entering": entering, "leaving": leaving}


def _never(within: float) -> Verdict:
    return Verdict(False if within >= PRESENT else None)


def _judge_growth(movement: Movement) -> dict[str, Verdict]:
    scales = movement.scales[movement.present]
    ratio = float(scales[-1] / scales[0])
    return {"approaching": Verdict(_grown(ratio)), "receding": Verdict(_grown(1 / ratio))}


def _grown(ratio: float) -> bool | None:
    return True if ratio >= GROWN else False if ratio <= SAME else None
