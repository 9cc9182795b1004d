"""Scores that a judge (a language model) gives to descriptions: VideoRefer-Bench-D. Only what its replies
say; asking it is someone else's part."""

import re
from dataclasses import astuple, dataclass

SUBJECT, APPEARANCE, TEMPORAL, HALLUCINATION = DIMENSIONS = (
    "Subject Correspondence",
    "Appearance Description",
    "Temporal Description",
    "Hallucination Detection",
)
HIGHEST = 5

_SCORE = re.compile(r"\d+\.\s+(?P<name>.*?):\s+(?P<score>[\d.]+)")
_LENIENT = {
    name: re.compile(rf"{name}[\s*_`]*:[\s*_`]*(?P<score>\d+(?:\.\d+)?)", re.IGNORECASE)
    for name in DIMENSIONS
}


@dataclass(frozen=True)
class Verdict:
    """What one reply gives to the four dimensions, 0 (nothing right) to 5; None where it gives nothing."""

    subject: float | None
    appearance: float | None
    temporal: float | None
    hallucination: float | None

    @property
    def is_complete(self) -> bool:
        """Whether every dimension has a score from 0 to 5."""
        return all(score is not None and 0 <= score <= HIGHEST for score in astuple(self))


def parse_verdict(reply: str) -> Verdict:
    """The scores in a reply, read as VideoRefer's and the published script do.

    Every "<number>. <name>: <score>" counts, the last one of a name wins, and names are exact. So marks
    around a name or score, such as bold, lose the score, and so does an explanation just before it that ends
    in a number and a full stop. A score that is no number ("4.5.") spoils the whole reply. Scores beyond 5
    are kept, see `Verdict.is_complete`.
    """
    found = {match["name"]: _number(match["score"]) for match in _SCORE.finditer(reply)}
    if any(score is None for score in found.values()):
        return Verdict(None, None, None, None)
    return Verdict(*(found.get(name) for name in DIMENSIONS))


def parse_verdict_leniently(reply: str) -> Verdict:
    """The scores in a reply, whatever marks stand around them: for each dimension the first number after its
    name and a colon. Not what published figures use; the two readings differ where a judge strays from the
    format."""
    matches = [_LENIENT[name].search(reply) for name in DIMENSIONS]
    return Verdict(*(float(match["score"]) if match else None for match in matches))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
