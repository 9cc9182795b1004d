"""What a person could say about a scene: decided from exact masks and tracks, with margins.

    facts = scene.facts
    facts.things[0].direction           # "left"
    facts.things[0].says("circling")    # False: clearly not; None: a person could argue

A word is used only where people would agree on it, and denied only where they would agree on that. Lengths
are shares of the frame's shorter side. Motion is motion against the ground: what the camera's own drift
does to the whole picture is taken off. O things, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unipixel.data.synthetic.movement import DIRECTIONS, Movement, Verdict, judge_directions, judge_motion
from unipixel.data.synthetic.shapes import SHAPE_KINDS

if TYPE_CHECKING:
    from unipixel.data.synthetic.scene import Scene

MOTION_WORDS = (
    "still",
    "moving",
    "stopping",
    "circling",
    "turning back",
    "entering",
    "leaving",
    "approaching",
    "receding",
)
"""Every word about motion that facts decide on."""

SIZE_RATIO, SIZE_NEAR = 2.0, 1.2
"""Small things have half the largest thing's area or less, and at most 1.2 times the smallest's; large ones
the other way round. So every large thing has at least 1.67 times the area of every small one."""
SPEED_RATIO, SPEED_NEAR = 2.0, 1.4
"""The same for slow and fast things, among those that move."""
HIDDEN, BACK, SEEN = 0.1, 0.4, 0.6
"""A thing is hidden when no more of it can be seen than this share of what could be, it reappears with the
second share, and counts as seen before with the third."""

Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Seen:
    """One thing, frame by frame, in the picture's pixels.

    `visible` bool [T]; `area` int [T], visible pixels; `whole` int [T], pixels that would be visible if
    nothing lay on top; `centres` float [T, 2] as (x, y) of the visible pixels, NaN where there are none;
    `boxes` int [T, 4] as (left, top, right, bottom), the last two exclusive, -1 where there are none.
    """

    visible: NDArray[np.bool_]
    area: NDArray[np.int64]
    whole: NDArray[np.int64]
    centres: NDArray[np.float64]
    boxes: NDArray[np.int64]

    @property
    def share(self) -> NDArray[np.float64]:
        """Visible part of what could be seen [T], 0 where the thing is out of the frame."""
        share: NDArray[np.float64] = self.area / np.maximum(self.whole, 1)
        return share


@dataclass(frozen=True)
class Event:
    """Something that happens to a thing: "enters", "leaves", "stops", "turns back", "hidden" or
    "reappears", from `frame` on; a thing is hidden `by` another."""

    kind: str
    frame: int
    by: int | None = None


@dataclass(frozen=True, eq=False)
class ThingFacts:
    """What can be said about one thing.

    `motions` clearly hold, `unclear` ones can be argued about, and all other `MOTION_WORDS` are clearly
    wrong; likewise `direction` and `unclear_directions` ("left", "right", "up", "down"). `size` ("small",
    "large") and `speed` ("slow", "fast") are beside the scene's other (moving) things, None between. `span`
    is the smallest and largest area of its outline in pixels, `rate` those of its speed in pixels per
    frame, None if it does not clearly move.
    """

    index: int
    colour: str
    shape: str
    pattern: str
    size: str | None
    motions: tuple[str, ...]
    unclear: tuple[str, ...]
    direction: str | None
    unclear_directions: tuple[str, ...]
    speed: str | None
    events: tuple[Event, ...]
    seen: Seen
    span: Interval
    rate: Interval | None

    @property
    def name(self) -> str:
        """What a person would call it: `"red circle"`."""
        return f"{self.colour} {self.shape}"

    @property
    def ever_visible(self) -> bool:
        return bool(self.seen.visible.any())

    def says(self, word: str) -> bool | None:
        """Whether one of `MOTION_WORDS` holds; None where a person could argue."""
        return None if word in self.unclear else word in self.motions

    def moves_to(self, direction: str) -> bool | None:
        """Whether it moves to the "left" or "right", "up" or "down"; None where a person could argue."""
        return None if direction in self.unclear_directions else direction == self.direction

    def event(self, kind: str) -> Event | None:
        """The first event of a kind, None if there is none."""
        return next((event for event in self.events if event.kind == kind), None)


@dataclass(frozen=True, eq=False)
class SceneFacts:
    """What can be said about a scene. `covered` int [O, O, T]: how many pixels of the first thing the second
    one hides; `target` indexes `things`."""

    things: tuple[ThingFacts, ...]
    target: int
    height: int
    width: int
    num_frames: int
    covered: NDArray[np.int32]

    @property
    def side(self) -> int:
        """The shorter side in pixels, the measure of all margins."""
        return min(self.height, self.width)

    def named(self, name: str) -> tuple[int, ...]:
        """The things that are ever visible and called so (`"red circle"`)."""
        return tuple(thing.index for thing in self.things if thing.name == name and thing.ever_visible)


def scene_facts(scene: Scene) -> SceneFacts:
    """Decide everything about a scene; `Scene.facts` keeps the answer."""
    seen = _look(scene)
    side = min(scene.frames.shape[1:3])
    things = tuple(_thing_facts(scene, number, seen[number], side) for number in range(len(scene.things)))
    return SceneFacts(
        things=_compare(things),
        target=scene.target,
        height=scene.frames.shape[1],
        width=scene.frames.shape[2],
        num_frames=len(scene.frames),
        covered=scene.covered,
    )


def _look(scene: Scene) -> list[Seen]:
    """Count and measure the masks, all things and frames at once."""
    per_row, per_column = scene.masks.sum(axis=3), scene.masks.sum(axis=2)
    area = per_row.sum(axis=2)
    visible = area > 0
    whole = area + scene.covered.sum(axis=1)
    y, x = (_mean_place(counts, area) for counts in (per_row, per_column))
    top, bottom = _ends(per_row, visible)
    left, right = _ends(per_column, visible)
    centres, boxes = np.stack([x, y], axis=2), np.stack([left, top, right, bottom], axis=2)
    return [Seen(visible[i], area[i], whole[i], centres[i], boxes[i]) for i in range(len(area))]


def _mean_place(counts: NDArray[np.int64], area: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean coordinate [O, T] of pixels counted per line [O, T, side]; a pixel's middle is at its number +
    0.5."""
    middles = np.arange(counts.shape[2]) + 0.5
    mean: NDArray[np.float64] = np.where(area > 0, counts @ middles / np.maximum(area, 1), np.nan)
    return mean


def _ends(counts: NDArray[np.int64], visible: NDArray[np.bool_]) -> tuple[NDArray[np.int64], ...]:
    """First line with a pixel and the one after the last, [O, T] each; -1 where there is none."""
    has = counts > 0
    first, last = has.argmax(axis=2), has.shape[2] - has[:, :, ::-1].argmax(axis=2)
    return np.where(visible, first, -1), np.where(visible, last, -1)


def _thing_facts(scene: Scene, number: int, seen: Seen, side: int) -> ThingFacts:
    """All that is decided without a look at the other things."""
    thing, track = scene.things[number], scene.tracks[number]
    kind = SHAPE_KINDS[thing.shape]
    scales = np.ones(len(scene.frames)) if track.scales is None else track.scales
    radii = thing.radius * scales
    within = seen.whole / (kind.area * radii**2)
    movement = Movement(track.centres - scene.drift, scales, within, seen.visible, side)
    verdicts = judge_motion(movement)
    directions = judge_directions(movement)
    moving = verdicts["moving"].holds
    return ThingFacts(
        index=number,
        colour=thing.colour,
        shape=thing.shape,
        pattern=thing.pattern,
        size=None,
        motions=_words(verdicts, True),
        unclear=_words(verdicts, None),
        direction=next(iter(_words(directions, True)), None),
        unclear_directions=_words(directions, None),
        speed=None,
        events=_events(movement, verdicts, seen, scene.covered[number]),
        seen=seen,
        span=(float(kind.hull * radii.min() ** 2), float(kind.hull * radii.max() ** 2)),
        rate=movement.rate if moving else None,
    )


def _words(verdicts: dict[str, Verdict], holds: bool | None) -> tuple[str, ...]:
    return tuple(word for word, verdict in verdicts.items() if verdict.holds is holds)


def _events(
    movement: Movement, verdicts: dict[str, Verdict], seen: Seen, covered: NDArray[np.int32]
) -> tuple[Event, ...]:
    kinds = {"stopping": "stops", "turning back": "turns back", "entering": "enters", "leaving": "leaves"}
    events = [
        Event(kind, frame)
        for word, kind in kinds.items()
        if verdicts[word].holds and (frame := verdicts[word].frame) is not None
    ]
    events += _hiding(movement, seen, covered)
    return tuple(sorted(events, key=lambda event: event.frame))


def _hiding(movement: Movement, seen: Seen, covered: NDArray[np.int32]) -> list[Event]:
    """When the thing, in the frame and seen before, is hidden by another, and when it reappears."""
    events: list[Event] = []
    was_seen, hidden = False, False
    for frame, (share, within) in enumerate(zip(seen.share, movement.within, strict=True)):
        if hidden and share >= BACK:
            events.append(Event("reappears", frame))
            hidden = False
        elif was_seen and not hidden and share <= HIDDEN and within >= 0.5:
            events.append(Event("hidden", frame, by=int(covered[:, frame].argmax())))
            hidden = True
        was_seen = was_seen or share >= SEEN
    return events


def _compare(things: Sequence[ThingFacts]) -> tuple[ThingFacts, ...]:
    """Add sizes and speeds, which are decided beside the other things."""
    shown = [thing for thing in things if thing.ever_visible]
    moving = [thing for thing in shown if thing.rate is not None]
    sizes = clear_ends([thing.span for thing in shown], SIZE_RATIO, SIZE_NEAR)
    speeds = clear_ends([thing.rate for thing in moving if thing.rate is not None], SPEED_RATIO, SPEED_NEAR)
    size = {thing.index: {-1: "small", 1: "large"}.get(end) for thing, end in zip(shown, sizes, strict=True)}
    speed = {thing.index: {-1: "slow", 1: "fast"}.get(end) for thing, end in zip(moving, speeds, strict=True)}
    return tuple(replace(thing, size=size.get(thing.index), speed=speed.get(thing.index)) for thing in things)


def clear_ends(values: Sequence[Interval], ratio: float, near: float) -> list[int]:
    """For each interval of positive numbers: -1 if it is clearly among the small ones, 1 among the large
    ones.

    The small ones are `ratio` times smaller than the largest and within `near` times the smallest. 0 between.
    """
    if len(values) < 2:
        return [0] * len(values)
    # Where a value has no one size, its least favourable one counts.
    least, most = min(high for _, high in values), max(low for low, _ in values)
    small, large = min(near * least, most / ratio), max(most / near, ratio * least)
    return [-1 if high <= small else 1 if low >= large else 0 for low, high in values]


__all__ = [
    "DIRECTIONS",
    "MOTION_WORDS",
    "Event",
    "SceneFacts",
    "Seen",
    "ThingFacts",
    "clear_ends",
    "scene_facts",
]
