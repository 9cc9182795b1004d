"""Which samples a policy leaves out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from unipixel.core.conversation import Turn
from unipixel.data.policy import Policy
from unipixel.data.sample import Exchange, Sample
from unipixel.errors import LeftOut


def check_limits(sample: Sample, policy: Policy) -> None:
    """The limits that can be told without opening anything; raises LeftOut."""
    limit, count = policy.frames.at_most, sample.media.num_frames if sample.media is not None else None
    if limit is not None and count is not None and count > limit:
        raise LeftOut(sample.id, "too many frames", f"at most {limit}; it has {count}")
    seconds, lasts = policy.frames.seconds, _seconds(sample)
    if seconds is not None and lasts > seconds:
        raise LeftOut(sample.id, "too long a video", f"at most {seconds:g} s; it has {lasts:g}")
    words = policy.text.max_words
    if words is not None and policy.text.counting == "published" and (n := published_words(sample)) > words:
        raise LeftOut(sample.id, "too many words", f"at most {words}; it has {n}")


def _seconds(sample: Sample) -> float:
    """How long the video of a talk lasts, as far as its annotation says so."""
    told = sample.facts.get("duration", "") if sample.task == "chat" else ""
    return float(told) if re.fullmatch(r"\d+(\.\d*)?", told) else 0.0


def published_words(sample: Sample) -> int:
    """How many words the published filter sees, which splits at single spaces (A, "word-limit facts")."""
    first = sample.rounds[0]
    if sample.task == "chat":
        return len(first.answer.split(" ")) if isinstance(first, Exchange) else 0
    if sample.task != "describe":
        return 0
    return sum(
        len(turn.question.split(" ")) + len(turn.answer.split(" ")) if isinstance(turn, Exchange) else -100
        for turn in sample.rounds
    )


def check_words(sample: Sample, turns: Sequence[Turn], policy: Policy) -> None:
    """The limit on what is really said (counting "corrected"); raises LeftOut."""
    limit = policy.text.max_words
    if limit is None or policy.text.counting == "published":
        return
    count = sum(len(part.split()) for turn in turns for part in turn.parts if isinstance(part, str))
    if count > limit:
        raise LeftOut(sample.id, "too many words", f"at most {limit}; it has {count}")
