"""Who plays in a scene: which things there are, which of them is asked for, and how two of a kind differ.

The plain cast (what a world has unless it asks for more) has things of different names only. The rich one
may hold twins, which share colour and shape, so that a size, a pattern, a motion or a place must be named.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from unipixel.data.synthetic.motion import choose_motion
from unipixel.data.synthetic.world import COLOUR_KINDS, Pair, Thing, WorldConfig

Shade = tuple[float, float, float]

DIFFERENCES = ("size", "pattern", "motion", "place")
"""What two things of the same colour and shape can differ in."""

TARGET_TWIN = 0.7  # of the twins are the target's
DARK, LIGHT = 0.36, 0.72  # a second shade: so much of a bright colour, or so far from a dark one to white
BRIGHT = 0.5
LEAST_PATTERNED = {
    "star": 17.0,
    "ring": 16.0,
}  # circumradius in pixels; on smaller ones all patterns look alike


@dataclass(frozen=True)
class Role:
    """A thing before it has a place: colour, shape and pattern; `end` says which end of the range of sizes it
    comes from (-1 small, 1 large, 0 anywhere)."""

    pair: Pair
    pattern: str = "plain"
    end: int = 0


@dataclass(frozen=True)
class Cast:
    """The things of a scene in the order in which they lie on each other; `target` and `twins` index them."""

    roles: tuple[Role, ...]
    target: int
    twins: tuple[int, int] | None = None
    difference: str | None = None

    @property
    def shapes(self) -> list[str]:
        return [role.pair[1] for role in self.roles]


def plain_cast(rng: Generator, config: WorldConfig) -> Cast:
    """Things of different names: the target, one of its colour, one of its shape, and others."""
    colours = [config.colours[i] for i in rng.permutation(len(config.colours))]
    shapes = [config.shapes[i] for i in rng.permutation(len(config.shapes))]
    target = (colours[0], shapes[0])
    misleading = [(colours[0], shapes[1]), (colours[1], shapes[0])]
    misleading = [misleading[i] for i in rng.permutation(2)]
    others = [(c, s) for c in colours for s in shapes if (c, s) not in (target, *misleading)]
    further = [others[i] for i in rng.permutation(len(others))]
    chosen = [target, *misleading, *further][: config.num_things]
    order = rng.permutation(config.num_things)
    return Cast(tuple(Role(chosen[i]) for i in order), int(np.argmin(order)))


def rich_cast(rng: Generator, config: WorldConfig) -> Cast:
    """The same with all that a configuration can ask for: exclusions, patterns, twins, more things, sizes."""
    count = config.num_things + int(rng.integers(config.extra_things + 1))
    pairs = _choose_pairs(rng, config, count)
    patterns = [config.patterns[i] for i in rng.integers(len(config.patterns), size=count)]
    contrasting = rng.random() < config.contrast
    ends = [int(end) for end in rng.choice((-1, 1), count)] if contrasting else [0] * count
    twins, difference = None, None
    if rng.random() < config.twins:
        first = 0 if rng.random() < TARGET_TWIN or count < 3 else 1
        twins, difference = (first, count - 1), _choose_difference(rng, config)
        pairs[-1] = pairs[first]
        _set_apart(rng, config, twins, difference, patterns, ends)
    order = rng.permutation(count)
    place = np.argsort(order)
    roles = tuple(Role(pairs[i], patterns[i], ends[i]) for i in order)
    ordered = None if twins is None else (int(place[twins[0]]), int(place[twins[1]]))
    return Cast(roles, int(place[0]), ordered, difference)


def _choose_pairs(rng: Generator, config: WorldConfig, count: int) -> list[Pair]:
    """`count` different pairs: the target's first, then one of its shape and one of its colour if there
    are."""
    targets = config.target_pairs or config.pairs
    target = targets[rng.integers(len(targets))]
    rest = [config.pairs[i] for i in rng.permutation(len(config.pairs)) if config.pairs[i] != target]
    colour, shape = target
    misleading = [next((pair for pair in rest if pair[0] == colour), None)]
    misleading.append(next((pair for pair in rest if pair[1] == shape), None))
    first = [misleading[i] for i in rng.permutation(2)]
    chosen = [pair for pair in first if pair is not None]
    return [target, *chosen, *(pair for pair in rest if pair not in chosen)][:count]


def _choose_difference(rng: Generator, config: WorldConfig) -> str:
    possible = [
        name
        for name in DIFFERENCES
        if not (name == "pattern" and len(config.patterns) == 1)
        and not (name == "motion" and (config.num_frames < 4 or len(config.motions) == 1))
    ]
    return possible[rng.integers(len(possible))]


def _set_apart(
    rng: Generator,
    config: WorldConfig,
    twins: tuple[int, int],
    difference: str,
    patterns: list[str],
    ends: list[int],
) -> None:
    """Let two things differ in one respect and agree in the others, as far as it is decided here."""
    first, second = twins
    if difference == "size":
        ends[first] = int(rng.choice((-1, 1)))
        ends[second] = -ends[first]
    else:
        ends[second] = ends[first]
    patterns[second] = patterns[first]
    if difference == "pattern":
        others = [name for name in config.patterns if name != patterns[first]]
        patterns[second] = others[rng.integers(len(others))]


def choose_motions(rng: Generator, config: WorldConfig, cast: Cast) -> list[str]:
    """A motion for each thing: the target may be absent at the start, and everything may enter or leave."""
    motions = [
        choose_motion_of(rng, config, is_target=number == cast.target) for number in range(len(cast.roles))
    ]
    if cast.twins is not None and cast.difference == "motion":
        first, second = cast.twins
        for _ in range(8):
            if motions[first] != motions[second]:
                break
            motions[second] = choose_motion(rng, config.motions)
    return motions


def choose_motion_of(rng: Generator, config: WorldConfig, is_target: bool) -> str:
    """How one thing moves: it enters or leaves with the world's probabilities, or roams."""
    outside = config.absent_at_start if is_target else config.enter * (config.num_frames > 1)
    roaming, dice = choose_motion(rng, config.motions), rng.random(2)
    if dice[0] < outside:
        return "enter"
    return "leave" if dice[1] < config.leave else roaming


def choose_crossing(
    rng: Generator, config: WorldConfig, cast: Cast, motions: list[str]
) -> tuple[int, int] | None:
    """Maybe send one thing over another that lies lower and stands still: their numbers, None for nobody's.

    Changes `motions` of the two. Twins that must differ in their motion are left alone.
    """
    if config.num_frames < 4 or rng.random() >= config.crossing:
        return None
    under, over = sorted(int(number) for number in rng.choice(len(cast.roles), 2, replace=False))
    if cast.twins is not None and cast.difference == "motion" and {under, over} & set(cast.twins):
        return None
    motions[under], motions[over] = "still", "cross"
    return over, under


def choose_rgb(rng: Generator, colour: str) -> Shade:
    """A shade of a named colour."""
    kind = COLOUR_KINDS[colour]
    hue = (kind.hue + rng.uniform(-kind.spread, kind.spread)) % 360 / 360
    return colorsys.hsv_to_rgb(hue, rng.uniform(*kind.saturation), rng.uniform(*kind.brightness))


def make_thing(rng: Generator, role: Role, radius: float, motion: str) -> Thing:
    """A thing for a role, in a shade of its colour. What is too narrow for its pattern is plain."""
    colour, shape = role.pair
    rgb = choose_rgb(rng, colour)
    pattern = role.pattern if radius >= LEAST_PATTERNED.get(shape, 0.0) else "plain"
    second = None if pattern == "plain" else second_shade(rgb)
    return Thing(shape, colour, rgb, radius, motion, pattern, second)


def second_shade(rgb: Shade) -> Shade:
    """What stripes and dots are painted with: much darker than a bright colour, much paler than a dark
    one."""
    if max(rgb) >= BRIGHT:
        red, green, blue = (part * DARK for part in rgb)
    else:
        red, green, blue = (part + (1 - part) * LIGHT for part in rgb)
    return red, green, blue
