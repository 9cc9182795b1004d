"""One item of a person's own data: a line of the file whose parts fit together."""

from __future__ import annotations

from dataclasses import dataclass, fields

from unipixel.data.jsonl.parts import Draft
from unipixel.data.jsonl.rules import contradictions


@dataclass(frozen=True)
class Item(Draft):
    """One line of the file; its fields are those of a Draft.

    Raises:
        DataError: the parts contradict each other; the message names the first such place.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        for wrong in contradictions(self):
            raise wrong.error()

    @classmethod
    def of(cls, draft: Draft) -> Item:
        """The same, checked."""
        return cls(**{part.name: getattr(draft, part.name) for part in fields(draft)})
