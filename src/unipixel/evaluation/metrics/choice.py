"""Which option a reply names, and how often it is the right one (VideoRefer-Bench-Q, PixelQA, MVBench,
Video-MME)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unipixel.errors import UniPixelError

_MARKS = str.maketrans("", "", "().")


@dataclass(frozen=True)
class Tally:
    """Replies counted: right ones, those that name no option, all of them.

    Raises:
        UniPixelError: more right and failed replies than replies.
    """

    correct: int
    failed: int
    total: int

    def __post_init__(self) -> None:
        if min(self.correct, self.failed) < 0 or self.correct + self.failed > self.total or self.total < 1:
            raise UniPixelError(
                f"{self.correct} right and {self.failed} failed of {self.total} replies cannot be."
            )

    @property
    def accuracy(self) -> float:
        """Share of right replies in [0, 1]; replies that name no option are wrong, not left out."""
        return self.correct / self.total


@dataclass(frozen=True)
class Accuracy:
    """All replies together (micro average), and those of each type of question."""

    overall: Tally
    by_type: Mapping[str, Tally]


def letter(reply: str, num_options: int) -> str | None:
    """The option that a reply names ("A", "B", ...), as the published evaluation reads it.

    What stands before the first space, in lower case, without brackets and full stops; of a longer word its
    first character ("Apple" names A). None if that is none of the `num_options` letters. The published script
    stops at a reply without a word; here it names no option.

    Raises:
        UniPixelError: fewer than one option, or more than the alphabet has letters.
    """
    if not 1 <= num_options <= 26:
        raise UniPixelError(
            f"A question with {num_options} options cannot be lettered; there can be 1 to 26."
        )
    word = reply.lower().split(" ")[0].translate(_MARKS)[:1]
    is_option = bool(word) and 0 <= ord(word) - ord("a") < num_options
    return word.upper() if is_option else None


def letter_upstream(reply: str) -> str | None:
    """The option that a reply names, as VideoRefer's own script reads it: the first capital in brackets,
    "(A)"; else the first before a closing bracket, "A)"; else the first character that is no full stop. None
    for a reply without one. It may be no letter at all."""
    named = re.search(r"\(([A-Z])\)", reply) or re.search(r"([A-Z])\)", reply)
    if named:
        return named[1]
    return reply.replace(".", "")[:1].upper() or None


def tally(found: Sequence[str | None], answers: Sequence[str]) -> Tally:
    """Count replies.

    Args:
        found: the option of each reply, None where it names none.
        answers: the right option of each question; upper and lower case are one.

    Raises:
        UniPixelError: no reply, or numbers of replies and answers that differ.
    """
    if len(found) != len(answers) or not answers:
        raise UniPixelError(f"{len(found)} replies and {len(answers)} answers; there must be one for each.")
    pairs = list(zip(found, answers, strict=True))
    correct = sum(option is not None and option.lower() == answer.lower() for option, answer in pairs)
    return Tally(correct, sum(option is None for option in found), len(pairs))


def accuracy(found: Sequence[str | None], answers: Sequence[str], types: Sequence[str]) -> Accuracy:
    """`tally` of all replies and of each type of question, types in alphabetical order.

    Args:
        found: as for `tally`.
        answers: as for `tally`.
        types: the type (task) of each question.
    """
    overall = tally(found, answers)
    if len(types) != len(answers):
        raise UniPixelError(f"{len(types)} types for {len(answers)} questions; there must be one for each.")
    places = {kind: [i for i, other in enumerate(types) if other == kind] for kind in sorted(set(types))}
    by_type = {
        kind: tally([found[i] for i in chosen], [answers[i] for i in chosen])
        for kind, chosen in places.items()
    }
    return Accuracy(overall, by_type)
