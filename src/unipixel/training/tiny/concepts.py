"""What there is to know of a thing, as directions of the language model's states.

Looks and ways lie along the embeddings of their words, places and sizes along fixed directions. The tower's
cells, the object memory, pointers and the language model's own states are all taught to be read the same way:
a question's words then look like what they ask for from the first step on, and an answer is a copy
(docs/log.md). Nothing of this is kept after training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unipixel.data.synthetic.scene import Scene
from unipixel.data.synthetic.shapes import ALL_SHAPES
from unipixel.data.synthetic.world import ALL_COLOURS, PATTERNS
from unipixel.processing.tokenizer import Tokenizer

LOOKS: Mapping[str, tuple[str, ...]] = {"colour": ALL_COLOURS, "shape": ALL_SHAPES, "pattern": PATTERNS}
WAVES = 4
"""A place is said by the sines and cosines of so many multiples of half a turn across the frame, per axis."""
PLACE = 4 * WAVES
READS: Mapping[str, int] = {"here": PLACE, "middle": PLACE, "area": 1, "cover": 1}
"""What is read, and how many numbers that is: where a cell or a pointer is; where the middle of a thing is;
its size; the share of a cell that it covers."""
HEADINGS = (("left", "right"), ("up", "down"))
"""A way lies along the difference of such words, per axis."""
WAY_AMPLITUDE = 5.0
"""How far a state of unit mean square goes along it to say 1."""
AMPLITUDE = 2.0
"""How far a state of unit mean square goes along a direction to say 1."""
PACE = 4.0
"""Ways from frame to frame are told as shares of the sides, times this."""
USUAL_AREA, AREA_SPREAD = -3.5, 0.7
"""Middle and spread of the logarithm of a thing's share of the frame."""
SPREAD: Mapping[str, float] = {"here": 0.5, "middle": 0.5, "way": 0.3, "area": 0.5, "cover": 0.04}
"""Mean squares of what is told, about its mean: an error as large as that says nothing."""
WEIGHTS: Mapping[str, float] = {"here": 3.0, "cover": 1.0, "middle": 2.0, "way": 2.0, "area": 0.5}
LOOK_WEIGHT = 2.0
"""Of errors in a loss."""


def weigh(errors: Mapping[str, Tensor]) -> Tensor:
    """Errors as one loss."""
    return torch.stack([WEIGHTS.get(name, LOOK_WEIGHT) * error for name, error in errors.items()]).sum()


def place_code(places: Tensor) -> Tensor:
    """Places [..., 2] (x, y) in shares of the sides -> [..., PLACE]; the nearer two places, the larger the
    inner product of their codes."""
    turns = places[..., None] * math.pi * torch.arange(1, WAVES + 1)
    return torch.cat([turns.sin(), turns.cos()], dim=-1).flatten(-2)


@dataclass(frozen=True)
class Facts:
    """What is known of n things. looks int [n, 3]: colour, shape, pattern, by number; -1 is not told. middle
    [n, 2]: (x, y) in shares of the sides; nan is not told. way [n, 2]: from frame to frame, times PACE; nan
    is not told. area [n]: logarithm of the share of the frame, about its usual value; nan is not told."""

    looks: Tensor
    middle: Tensor
    way: Tensor
    area: Tensor

    @classmethod
    def of(cls, scene: Scene, things: Sequence[int], frames: Sequence[int]) -> Facts:
        """Of some things of a scene, on some of its frames: where they are on the first of these that shows
        them, how large they are there at most, and which way they go between the first and the last."""
        rows = [_measure(scene, thing, frames) for thing in things]
        looks = [_looks(scene, thing) for thing in things]
        numbers = torch.tensor(rows, dtype=torch.float32).view(-1, 5)
        return cls(
            torch.tensor(looks, dtype=torch.long).view(-1, 3), numbers[:, :2], numbers[:, 2:4], numbers[:, 4]
        )

    @classmethod
    def join(cls, parts: Sequence[Facts]) -> Facts:
        """One behind the other."""
        return cls(
            *(
                torch.cat([getattr(part, name) for part in parts])
                for name in ("looks", "middle", "way", "area")
            )
        )

    def __len__(self) -> int:
        return len(self.looks)


NO_FACTS = Facts(torch.zeros(0, 3, dtype=torch.long), torch.zeros(0, 2), torch.zeros(0, 2), torch.zeros(0))


def _looks(scene: Scene, thing: int) -> list[int]:
    return [words.index(getattr(scene.things[thing], kind)) for kind, words in LOOKS.items()]


def _measure(scene: Scene, thing: int, frames: Sequence[int]) -> list[float]:
    """Middle, way and area; nan where nothing is to be seen."""
    seen = [frame for frame in frames if scene.masks[thing, frame].any()]
    if not seen:
        return [math.nan] * 5
    height, width = scene.frames.shape[1:3]
    middles = []
    for frame in (seen[0], seen[-1]):
        down, across = scene.masks[thing, frame].nonzero()
        middles.append(((across.mean() + 0.5) / width, (down.mean() + 0.5) / height))
    (x, y), (later_x, later_y) = middles
    pace = PACE / max(1, seen[-1] - seen[0])
    largest = max(scene.masks[thing, frame].mean() for frame in seen)
    area = (math.log(largest) - USUAL_AREA) / AREA_SPREAD
    return [float(n) for n in (x, y, (later_x - x) * pace, (later_y - y) * pace, area)]


class Concepts(nn.Module):
    """The words of looks and ways in a vocabulary, and the directions of everything else in states of its
    width."""

    words: Tensor
    headings: Tensor
    directions: Tensor

    def __init__(self, tokenizer: Tokenizer, width: int, seed: int) -> None:
        super().__init__()

        def tokens(words: Iterable[str]) -> Tensor:
            found = [tokenizer.encode(f" {word}") for word in words]
            assert all(len(ids) == 1 for ids in found), "each of these words is one token"
            return torch.tensor(found)[:, 0]

        self.register_buffer("words", tokens(word for words in LOOKS.values() for word in words))
        self.register_buffer("headings", torch.stack([tokens(words) for words in HEADINGS]))
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(width, sum(READS.values()), generator=generator)
        self.register_buffer("directions", torch.linalg.qr(drawn).Q.T)

    def looks(self, states: Tensor, embeddings: Tensor) -> tuple[Tensor, ...]:
        """Logits of colours, shapes, patterns [n, …] of states [n, d] of any size; embeddings
        [vocabulary, d]."""
        towards = F.normalize(embeddings[self.words], dim=-1)
        logits = _even(states) @ towards.T
        sizes = [len(words) for words in LOOKS.values()]
        return tuple(torch.split(logits, sizes, dim=-1))

    def read(self, states: Tensor, what: str) -> Tensor:
        """What states [n, d] of any size say of one of READS."""
        return _even(states) @ self._rows(what).T / AMPLITUDE

    def write(
        self, facts: Facts, embeddings: Tensor, looks: Tensor, place_error: Tensor, draw: torch.Generator
    ) -> Tensor:
        """What states [n, d] of about unit mean square have of these facts; what is not told adds nothing.
        looks [n, 1]: how far they go along each word. place_error [n, 1]: root mean square of what is wrong
        with the code of their place, drawn with `draw`."""
        towards = F.normalize(embeddings[self.words], dim=-1)
        first, said = 0, towards.new_zeros(len(facts), towards.shape[1])
        for words, known in zip(LOOKS.values(), facts.looks.unbind(1), strict=True):
            said += looks * towards[first + known.clamp(min=0)] * (known >= 0)[:, None]
            first += len(words)
        code = place_code(facts.middle)
        wrong = torch.randn(code.shape, generator=draw) * place_error
        for what, told in (("middle", code + wrong), ("area", facts.area[:, None])):
            said += AMPLITUDE * told.nan_to_num() @ self._rows(what)
        return said + WAY_AMPLITUDE * facts.way.nan_to_num() @ self._ways(embeddings)

    def _rows(self, what: str) -> Tensor:
        """The directions of one of READS."""
        names = list(READS)
        start = sum(READS[name] for name in names[: names.index(what)])
        return self.directions[start : start + READS[what]]

    def _ways(self, embeddings: Tensor) -> Tensor:
        """Right and down as directions [2, d]."""
        backward, forward = embeddings[self.headings].unbind(1)
        return F.normalize(forward - backward, dim=-1)

    def error(self, states: Tensor, what: str, told: Tensor) -> Tensor:
        """Mean square error of what is read, in parts of what knowing nothing has; nan is not told."""
        return _wrong(self.read(states, what), told) / SPREAD[what]

    def compare(
        self, states: Tensor, embeddings: Tensor, facts: Facts
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """How wrong states [n, d] are of things: errors by name, each about 1 to 2 where nothing is known;
        and the share of looks that are right."""
        errors: dict[str, Tensor] = {}
        right: dict[str, float] = {}
        for name, logits, wanted in zip(
            LOOKS, self.looks(states, embeddings), facts.looks.unbind(1), strict=True
        ):
            known = wanted >= 0
            if known.any():
                errors[name] = F.cross_entropy(logits[known], wanted[known])
                right[name] = (logits[known].argmax(1) == wanted[known]).float().mean().item()
        errors["middle"] = self.error(states, "middle", place_code(facts.middle))
        ways = _even(states) @ self._ways(embeddings).T / WAY_AMPLITUDE
        errors["way"] = _wrong(ways, facts.way) / SPREAD["way"]
        errors["area"] = self.error(states, "area", facts.area[:, None])
        return errors, right


def _wrong(read: Tensor, told: Tensor) -> Tensor:
    """Mean square error; nan is not told."""
    known = ~told.isnan()
    squares = (read - told.nan_to_num()).square() * known
    return squares.sum() / known.sum().clamp(min=1)


def _even(states: Tensor) -> Tensor:
    """States of unit mean square."""
    return F.rms_norm(states.float(), states.shape[-1:], eps=1e-6)
