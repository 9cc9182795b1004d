"""What can be taken back in a session: its state before each of the latest acts, and after those taken
back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from unipixel.core.objects import SessionObject
from unipixel.inference.questions import Exchange
from unipixel.inference.session import Session
from unipixel.serving.faults import Conflict

MOST = 60
"""Acts of one session that can be taken back."""


@dataclass(frozen=True)
class Moment:
    """A session's objects and what was said, at one time. All of it is immutable and shared with the
    session."""

    objects: tuple[SessionObject, ...]
    exchanges: tuple[Exchange, ...]
    next_id: int

    @staticmethod
    def of(session: Session) -> Moment:
        return Moment(session.objects, session.exchanges, session.next_id)

    def is_as(self, other: Moment) -> bool:
        """Whether nothing happened between the two."""
        same = len(self.objects) == len(other.objects) and len(self.exchanges) == len(other.exchanges)
        return same and all(
            one is two
            for one, two in zip(
                (*self.objects, *self.exchanges), (*other.objects, *other.exchanges), strict=True
            )
        )


class History:
    """The latest moments of one session; they are lost when the server ends. `position` counts the acts that
    led to the present."""

    def __init__(self) -> None:
        self._before: deque[Moment] = deque(maxlen=MOST)
        self._after: list[Moment] = []
        self.position = 0

    def note(self, before: Moment, now: Moment) -> None:
        """Something may have been done; if so, what was taken back before cannot be had again."""
        if not before.is_as(now):
            self._before.append(before)
            self._after.clear()
            self.position += 1

    def go(self, session: Session, position: int) -> None:
        """Take back acts, or do them again, until the session is as it was at a position. Raises Conflict,
        before anything changes, unless it is remembered."""
        least, most = self.position - len(self._before), self.position + len(self._after)
        if not least <= position <= most:
            raise Conflict(f"{position} acts were asked for; {least} to {most} can be had")
        now = Moment.of(session)
        while self.position > position:
            self._after.append(now)
            now, self.position = self._before.pop(), self.position - 1
        while self.position < position:
            self._before.append(now)
            now, self.position = self._after.pop(), self.position + 1
        session.restore(now.objects, now.exchanges, now.next_id)
