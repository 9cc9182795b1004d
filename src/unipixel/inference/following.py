"""Objects of a session on their way through its clip: masks by the objects' ids, kept as they are found."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TypeAlias

from unipixel.core.masks import FrameMask
from unipixel.core.objects import KnownObjects
from unipixel.inference.encoded_clip import EncodedClip
from unipixel.inference.prompting import groups
from unipixel.inference.tracking import Answers, Track
from unipixel.model.unipixel import UniPixel

Found: TypeAlias = dict[int, FrameMask]
"""Masks on one frame, by object id."""


class Following:
    """Some of the objects known on a clip, which share its frames. `track` has the steps themselves: its
    answers may be prepared together with those of others before they are taken here."""

    def __init__(
        self, model: UniPixel, encoded: EncodedClip, known: KnownObjects, numbers: Sequence[int]
    ) -> None:
        self._known = known
        self._objects = [known[number] for number in numbers]
        batches = groups(self._objects, encoded.clip, model)
        self._places = [places for places, _ in batches]
        self.track = Track(model, encoded.frames, [followed for _, followed in batches])

    def __len__(self) -> int:
        """Frames that `through` visits."""
        return len(self.track)

    def prompted(self, answers: Answers | None = None) -> Generator[tuple[int, Found], None, None]:
        """Masks on the prompted frames alone; the objects have them at once. answers: `track.prompted()`."""
        for index, found in self._by_id(answers or self.track.prompted()):
            for number, mask in found.items():
                self._known.put(self._known[number].with_masks({mask.index: mask}))
            yield index, found

    def through(self, answers: Answers | None = None) -> Generator[tuple[int, Found], None, None]:
        """Masks on every frame; at the end, or where it was stopped, the objects have what was found, unless
        they were corrected or removed in the meantime. answers: `iter(track)`."""
        kept: dict[int, dict[int, FrameMask]] = {one.id: {} for one in self._objects}
        try:
            for index, found in self._by_id(answers or iter(self.track)):
                for number, mask in found.items():
                    kept[number][index] = mask
                yield index, found
        finally:
            for before in self._objects:
                if self._known.is_as(before):
                    self._known.put(self._known[before.id].with_masks(kept[before.id]))

    def _by_id(self, answers: Answers) -> Iterator[tuple[int, Found]]:
        """Masks by the objects' ids instead of their places in groups."""
        for index, by_group in answers:
            yield (
                index,
                {
                    self._objects[place].id: self._objects[place].settled(mask)
                    for group, masks in by_group.items()
                    for place, mask in zip(self._places[group], masks, strict=True)
                },
            )
