"""Objects and answers as they travel, and back to the core types."""

from __future__ import annotations

import base64
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field

from unipixel.core.masks import FrameMask, MaskTrack, mask_to_polygons
from unipixel.core.objects import Pointing, SessionObject
from unipixel.core.pixel_qa import PixelAnswer
from unipixel.core.request import Decoding, PixelBudget
from unipixel.core.response import FinishReason, Mention, Response, SegmentedObject
from unipixel.errors import PromptError
from unipixel.serving.prompt_schema import (
    PNG_URL,
    BoxPart,
    FrameNumber,
    MaskPart,
    PointPart,
    PromptPart,
    Rle,
    ScribblePart,
    Size,
    Strict,
    png_bytes,
    prompt_part,
)

MaskFormat: TypeAlias = Literal["rle", "polygon", "png", "none"]
"""How masks are written in an answer; "none" leaves them out (areas and boxes stay)."""
MOST_TEXT = 100_000

StopText: TypeAlias = Annotated[str, Field(min_length=1, max_length=1000)]
ObjectId: TypeAlias = Annotated[int, Field(ge=0, le=999_999_999)]


class FrameEntry(BaseModel):
    """One object on one frame; `box` is [x1, y1, x2, y2], corners inside, null where there is nothing."""

    index: FrameNumber
    present: bool
    score: float
    area: int | None = None
    box: tuple[int, int, int, int] | None = None
    rle: Rle | None = None
    polygon: list[list[float]] | None = None
    png: str | None = None

    @staticmethod
    def of(mask: FrameMask, form: MaskFormat) -> FrameEntry:
        rle = mask.rle
        return FrameEntry(
            index=mask.index,
            present=mask.present,
            score=mask.score,
            area=rle.area,
            box=rle.box,
            rle=Rle.of(rle) if form == "rle" else None,
            polygon=mask_to_polygons(rle.decode()) if form == "polygon" else None,
            png=PNG_URL + base64.b64encode(png_bytes(rle)).decode("ascii") if form == "png" else None,
        )

    def to_core(self) -> FrameMask:
        """The mask; only run lengths come back without their clip's size."""
        if self.rle is None:
            raise PromptError(f"frame {self.index} has no rle; ask with mask_format=rle")
        return FrameMask(self.index, self.rle.to_core(), self.score, self.present)


def frame_entries(masks: MaskTrack | None, form: MaskFormat) -> list[FrameEntry]:
    """A track as it travels; no entry where there are no masks yet."""
    return [FrameEntry.of(mask, form) for mask in masks or ()]


def track_of(frames: list[FrameEntry]) -> MaskTrack | None:
    """A track from its entries; None from none."""
    return MaskTrack(tuple(frame.to_core() for frame in frames)) if frames else None


class PointingEntry(BaseModel):
    """What was pointed out at once, on one frame; `corrects`: the mask that its clicks corrected."""

    prompts: list[PromptPart]
    corrects: Rle | None = None


class ObjectEntry(BaseModel):
    """An object of a session or an answer. `origin`: pointed (the mask decoder), said (the language model) or
    given (by the caller)."""

    id: ObjectId
    name: str | None = None
    origin: Literal["pointed", "said", "given"] = "said"
    pointings: list[PointingEntry] = []
    pointer: Annotated[PointPart | BoxPart, Field(discriminator="type")] | None = None
    frames: list[FrameEntry] = []

    @staticmethod
    def of(known: SessionObject, form: MaskFormat) -> ObjectEntry:
        pointings = [
            PointingEntry(
                prompts=[prompt_part(prompt) for prompt in pointing.prompts],
                corrects=Rle.of(pointing.corrects) if pointing.corrects else None,
            )
            for pointing in known.pointings
        ]
        pointer = prompt_part(known.pointer) if known.pointer else None
        assert not isinstance(pointer, ScribblePart | MaskPart), "a pointer is a click or a box"
        return ObjectEntry(
            id=known.id,
            name=known.name,
            origin=known.origin,
            pointings=pointings,
            pointer=pointer,
            frames=frame_entries(known.masks, form),
        )

    def to_core(self, size: Size) -> SessionObject:
        """The object, without the hidden tokens by which the language model asked for it: those stay with
        the server."""
        return SessionObject(
            id=self.id,
            origin=self.origin,
            name=self.name,
            pointings=tuple(
                Pointing(
                    tuple(prompt.to_core(size) for prompt in pointing.prompts),
                    pointing.corrects.to_core() if pointing.corrects else None,
                )
                for pointing in self.pointings
            ),
            pointer=self.pointer.to_core(size) if self.pointer else None,
            masks=track_of(self.frames),
        )


class MentionEntry(BaseModel):
    """`text[start:stop]` (letters, not bytes) means object `object_id`."""

    start: int
    stop: int
    object_id: ObjectId


class ClipEntry(BaseModel):
    """The clip as the server read it; `fps` is a mean."""

    name: str
    width: int
    height: int
    num_frames: int
    fps: float


class SegmentedEntry(BaseModel):
    """An object that an answer has masks for."""

    id: ObjectId
    name: str | None = None
    frames: list[FrameEntry] = []


class AnswerEntry(BaseModel):
    """A whole answer."""

    text: str
    objects: list[SegmentedEntry]
    mentions: list[MentionEntry]
    raw_text: str
    frames_seen: list[int]
    finish_reason: FinishReason

    @staticmethod
    def of(response: Response, form: MaskFormat) -> AnswerEntry:
        return AnswerEntry(
            text=response.text,
            objects=[
                SegmentedEntry(id=one.id, name=one.name, frames=frame_entries(one.masks, form))
                for one in response.objects
            ],
            mentions=[
                MentionEntry(start=one.start, stop=one.stop, object_id=one.object_id)
                for one in response.mentions
            ],
            raw_text=response.raw_text,
            frames_seen=list(response.frames_seen),
            finish_reason=response.finish_reason,
        )

    def to_core(self) -> Response:
        """The answer as the library gives it; needs masks as run lengths."""
        return Response(
            text=self.text,
            objects=tuple(
                SegmentedObject(one.id, MaskTrack(tuple(frame.to_core() for frame in one.frames)), one.name)
                for one in self.objects
            ),
            mentions=tuple(Mention(one.start, one.stop, one.object_id) for one in self.mentions),
            raw_text=self.raw_text,
            frames_seen=tuple(self.frames_seen),
            finish_reason=self.finish_reason,
        )


class PixelAnswerEntry(BaseModel):
    """What came of PixelQA: the answer's text, the letter of the chosen option, and what was pointed at, with
    masks."""

    text: str
    choice: str | None = None
    objects: list[SegmentedEntry]
    response: AnswerEntry

    @staticmethod
    def of(answer: PixelAnswer, form: MaskFormat) -> PixelAnswerEntry:
        objects = [
            SegmentedEntry(id=one.id, name=one.name, frames=frame_entries(one.masks, form))
            for one in answer.objects
        ]
        response = AnswerEntry.of(answer.response, form)
        return PixelAnswerEntry(text=answer.text, choice=answer.choice, objects=objects, response=response)

    def to_core(self) -> PixelAnswer:
        """The answer as the library gives it; needs masks as run lengths."""
        objects = [
            SegmentedObject(one.id, MaskTrack(tuple(frame.to_core() for frame in one.frames)), one.name)
            for one in self.objects
        ]
        return PixelAnswer(self.text, self.choice, tuple(objects), self.response.to_core())


class DecodingEntry(Strict):
    """How an answer is written: greedy by default, drawn above temperature 0."""

    max_new_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    temperature: Annotated[float, Field(ge=0, le=100)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    stop: Annotated[list[StopText], Field(max_length=16)] = Field(default_factory=list)
    require_mask: bool = False

    @staticmethod
    def of(decoding: Decoding) -> DecodingEntry:
        return DecodingEntry(
            max_new_tokens=decoding.max_new_tokens,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            seed=decoding.seed,
            stop=list(decoding.stop),
            require_mask=decoding.require_mask,
        )

    def to_core(self, most_tokens: int) -> Decoding:
        """The decoding, with at most so many tokens."""
        tokens = min(self.max_new_tokens or most_tokens, most_tokens)
        return Decoding(tokens, self.temperature, self.top_p, self.seed, tuple(self.stop), self.require_mask)


class PixelsEntry(Strict):
    """How many pixels a frame may have for the language model."""

    min_pixels: Annotated[int, Field(ge=1, le=10_000_000)]
    max_pixels: Annotated[int, Field(ge=1, le=10_000_000)]
    shared_frames: Annotated[int, Field(ge=1, le=10_000)] | None = 16

    def to_core(self) -> PixelBudget:
        return PixelBudget(self.min_pixels, self.max_pixels, self.shared_frames)
