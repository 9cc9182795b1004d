"""What to call a thing so that no other is meant: its name and, beside a twin, the one addition that it
needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from unipixel.data.synthetic.facts import SceneFacts, ThingFacts
from unipixel.data.synthetic.relations import has_place, outermost

MOTION_CLAUSES = {
    "circling": "that moves in a circle",
    "turning back": "that turns back",
    "stopping": "that stops",
    "entering": "that comes into view",
    "leaving": "that leaves the picture",
    "approaching": "that grows",
    "receding": "that shrinks",
    "still": "that stays still",
    "moving": "that moves",
}
DIRECTION_CLAUSES = {
    "left": "that moves to the left",
    "right": "that moves to the right",
    "up": "that moves up",
    "down": "that moves down",
}
PLACE_CLAUSES = {
    "left": "on the left",
    "right": "on the right",
    "top": "at the top",
    "bottom": "at the bottom",
}
SPEED_CLAUSES = {"fast": "faster", "slow": "slower"}

KINDS = ("size", "pattern", "direction", "motion", "speed", "place")
"""What a clause can be about, in the order in which `phrase` tries them."""


@dataclass(frozen=True)
class Clause:
    """An addition to a noun, before it ("large", `before` true) or after it ("that stops"); `fact` is the
    word of the facts that it says ("large", "stopping", "left")."""

    kind: str
    text: str
    fact: str
    before: bool = False

    def apply(self, noun: str) -> str:
        """`"red circle"` becomes `"large red circle"` or `"red circle that stops"`."""
        return f"{self.text} {noun}" if self.before else f"{noun} {self.text}"


def phrase(facts: SceneFacts, index: int) -> str | None:
    """What to call a thing, without an article; None if colour, shape and one addition do not single it out.

    Things that are never visible are no rivals.
    """
    thing = facts.things[index]
    if not set(facts.named(thing.name)) - {index}:
        return thing.name
    found = clauses(facts, index)
    return found[0].apply(thing.name) if found else None


def clauses(facts: SceneFacts, index: int, among: Iterable[int] | None = None) -> tuple[Clause, ...]:
    """Every addition that holds for a thing and clearly for no other of those `among`, by default of its
    name.

    With `among=range(len(facts.things))` each of them tells the thing apart from all others of the scene.
    """
    thing = facts.things[index]
    numbers = facts.named(thing.name) if among is None else among
    rivals = [facts.things[i] for i in numbers if i != index and facts.things[i].ever_visible]
    if not thing.ever_visible:
        return ()
    found = (clause for kind in KINDS for clause in _FINDERS[kind](facts, thing, rivals))
    return tuple(found)


Finder = Callable[[SceneFacts, ThingFacts, list[ThingFacts]], Iterator[Clause]]


def _by_size(facts: SceneFacts, thing: ThingFacts, rivals: list[ThingFacts]) -> Iterator[Clause]:
    other = {"small": "large", "large": "small"}
    if thing.size and all(rival.size == other[thing.size] for rival in rivals):
        yield Clause("size", thing.size, thing.size, before=True)


def _by_pattern(facts: SceneFacts, thing: ThingFacts, rivals: list[ThingFacts]) -> Iterator[Clause]:
    if all(rival.pattern != thing.pattern for rival in rivals):
        yield Clause("pattern", thing.pattern, thing.pattern, before=True)


def _by_direction(facts: SceneFacts, thing: ThingFacts, rivals: list[ThingFacts]) -> Iterator[Clause]:
    for word, text in DIRECTION_CLAUSES.items():
        if thing.moves_to(word) and all(rival.moves_to(word) is False for rival in rivals):
            yield Clause("direction", text, word)


def _by_motion(facts: SceneFacts, thing: ThingFacts, rivals: list[ThingFacts]) -> Iterator[Clause]:
    for word, text in MOTION_CLAUSES.items():
        if thing.says(word) and all(rival.says(word) is False for rival in rivals):
            yield Clause("motion", text, word)


def _by_speed(facts: SceneFacts, thing: ThingFacts, rivals: list[ThingFacts]) -> Iterator[Clause]:
    other = {"slow": "fast", "fast": "slow"}
    if thing.speed and all(rival.speed == other[thing.speed] for rival in rivals):
        yield Clause("speed", SPEED_CLAUSES[thing.speed], thing.speed, before=True)


def _by_place(facts: SceneFacts, thing: ThingFacts, rivals: list[ThingFacts]) -> Iterator[Clause]:
    """In frame 0; said to be at the start unless it is so on all frames."""
    numbers = [thing.index, *(rival.index for rival in rivals)]
    for side, text in PLACE_CLAUSES.items():
        if outermost(facts, side, 0, numbers) != thing.index:
            continue
        seen = [t for t in range(facts.num_frames) if all(has_place(facts, i, t) for i in numbers)]
        always = all(outermost(facts, side, frame, numbers) == thing.index for frame in seen)
        yield Clause("place", text if always else f"{text} at the start", side)


_FINDERS: dict[str, Finder] = {
    "size": _by_size,
    "pattern": _by_pattern,
    "direction": _by_direction,
    "motion": _by_motion,
    "speed": _by_speed,
    "place": _by_place,
}
