"""Turns of a conversation: plain text between slots. What a person types is always
text, never a control token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from unipixel.core.prompts import Point, SlotPrompt
from unipixel.errors import PromptError, RequestError


@dataclass(frozen=True)
class Refer:
    """A place in a question that points at an object with a click or a box (becomes `<|ref|>`)."""

    prompt: SlotPrompt

    def __post_init__(self) -> None:
        if isinstance(self.prompt, Point) and not self.prompt.positive:
            raise PromptError(
                "a negative click cannot stand alone in a question (the language model was never trained on "
                "one); "
                "use a positive click, a box or a mask"
            )


@dataclass(frozen=True)
class Segment:
    """A place in an answer that asks for a mask (becomes `<|seg|>`)."""


def check_text(text: str) -> None:
    """RequestError for text that cannot be written as UTF-8 (halves of surrogate pairs)."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RequestError(
            f"the text holds {text[error.start : error.end]!a}, which is no character; write it anew"
        ) from error


Part: TypeAlias = str | Refer | Segment
Role: TypeAlias = Literal["user", "assistant"]


@dataclass(frozen=True)
class Turn:
    """What one side says: text and slots in their order."""

    role: Role
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        if self.role not in ("user", "assistant"):
            raise RequestError(f"a turn's role must be 'user' or 'assistant'; found {self.role!r}")
        object.__setattr__(self, "parts", tuple(self.parts))
        for part in self.parts:
            if not isinstance(part, str | Refer | Segment):
                raise RequestError(f"a turn is made of text, Refer and Segment; found {type(part).__name__}")
            if isinstance(part, str):
                check_text(part)
        if not any(not isinstance(part, str) or part.strip() for part in self.parts):
            raise RequestError(f"the {self.role}'s text is empty; write a question or an instruction")

    @property
    def prompts(self) -> tuple[SlotPrompt, ...]:
        """The clicks and boxes of this turn in their order."""
        return tuple(part.prompt for part in self.parts if isinstance(part, Refer))

    @property
    def num_masks(self) -> int:
        """How many masks the turn asks for."""
        return sum(isinstance(part, Segment) for part in self.parts)


def user(*parts: Part) -> Turn:
    """A question: `user("What does ", Refer(Point(3, 4)), " do?")`."""
    return Turn("user", parts)


def assistant(*parts: Part) -> Turn:
    """An answer: `assistant("It is ", Segment(), ".")`."""
    return Turn("assistant", parts)
