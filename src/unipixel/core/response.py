"""What the model answers: text, objects with masks, and which words mean which object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from unipixel.core.masks import MaskTrack

FinishReason: TypeAlias = Literal["stop", "length", "forced", "interrupted"]


@dataclass(frozen=True)
class SegmentedObject:
    """An object that an answer segmented: its number `[id]` and its masks on every frame of the clip.

    part_of: the number of the object that it is a connected part of, if the answer's mask was split: a
    heuristic (`core.splitting`), not something the model said.
    """

    id: int
    masks: MaskTrack
    name: str | None = None
    part_of: int | None = None

    @property
    def label(self) -> str:
        """For people; a part says that it is one."""
        if self.part_of is None:
            return self.name or f"[{self.id}]"
        return f"{self.name + ', ' if self.name else ''}part of [{self.part_of}]"


@dataclass(frozen=True)
class Mention:
    """`Response.text[start:stop]` means object `object_id`."""

    start: int
    stop: int
    object_id: int


@dataclass(frozen=True)
class Response:
    """An answer.

    `text` is for people: where the model emitted `<|seg|>` it shows the object's number (`[0]`), and
    `mentions` says which characters those are. `raw_text` keeps the tokens. `frames_seen` are the clip's
    frames that the language model saw. `finish_reason`: "stop" (the answer ended), "length" (cut at the
    limit), "forced" (the answer was given) or "interrupted" (while its objects were followed: it has the
    masks found until then).
    """

    text: str
    objects: tuple[SegmentedObject, ...]
    mentions: tuple[Mention, ...]
    raw_text: str
    frames_seen: tuple[int, ...]
    finish_reason: FinishReason

    def __getitem__(self, object_id: int) -> SegmentedObject:
        """The object with this id; KeyError names the ids that exist."""
        for segmented in self.objects:
            if segmented.id == object_id:
                return segmented
        raise KeyError(
            f"no object [{object_id}] in this answer; it has {[known.id for known in self.objects]}"
        )

    def to_supervision(self) -> dict[int, Any]:
        """`supervision.Detections` for each frame of the clip, by its number from 0; of an answer without
        objects, none.

        What is seen there: `xyxy` (pixels, corners inside the object, as `sv.mask_to_xyxy` gives them),
        `mask` [N, H, W], `confidence` (the decoder's estimate of its IoU), `tracker_id` and `class_id` (the
        object's number), `data["class_name"]` (its label). Raises `ConfigError` without the library.
        """
        from unipixel.core.exits import to_supervision

        return to_supervision(self._labelled)

    def to_fiftyone(self) -> dict[int, Any]:
        """`fiftyone.Detections` for each frame of the clip, by its number from 0 (FiftyOne counts a video's
        frames from 1: `sample.frames[frame + 1]["objects"] = detections`).

        What is seen there: `label`, `bounding_box` (x, y, width, height, relative to the picture), `mask` (of
        the box alone), `confidence` and `index` (the object's number). Raises `ConfigError` without the
        library.
        """
        from unipixel.core.exits import to_fiftyone

        return to_fiftyone(self._labelled)

    @property
    def _labelled(self) -> list[tuple[int, str, MaskTrack]]:
        return [(one.id, one.label, one.masks) for one in self.objects]
