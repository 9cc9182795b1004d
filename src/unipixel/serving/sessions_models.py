"""What the routes of sessions and jobs take and give."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field

from unipixel.core.pixel_qa import PixelQaWording, Unseen
from unipixel.core.progress import Progress
from unipixel.core.prompts import Prompt
from unipixel.serving.media_input import MediaEntry
from unipixel.serving.prompt_schema import (
    MOST_PROMPTS,
    PromptPart,
    Size,
    Strict,
)
from unipixel.serving.schema import (
    MOST_TEXT,
    AnswerEntry,
    ClipEntry,
    DecodingEntry,
    FrameEntry,
    MaskFormat,
    ObjectEntry,
    ObjectId,
    PixelAnswerEntry,
    PixelsEntry,
)

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
Option: TypeAlias = Annotated[str, Field(max_length=MOST_TEXT)]
Prompts: TypeAlias = Annotated[list[PromptPart], Field(max_length=MOST_PROMPTS)]


class OpenBody(Strict):
    """A picture or video to open; `num_frames`, `pixels`: what the language model is shown of it."""

    media: MediaEntry
    num_frames: Annotated[int, Field(ge=1, le=1024)] | None = None
    pixels: PixelsEntry | None = None


class Streamed(Strict):
    """stream: progress and masks as server-sent events while they are found; the last event is the reply."""

    stream: bool = False
    mask_format: MaskFormat = "rle"


class AskBody(Streamed):
    """A question. `[id]` in the text speaks of an object; prompts are numbered from the session's `next_id`
    on, or by `numbers`."""

    text: Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]
    prompts: Prompts = Field(default_factory=list)
    numbers: Annotated[list[ObjectId], Field(max_length=MOST_PROMPTS)] | None = None
    follow_up: bool = False
    decoding: DecodingEntry = DecodingEntry()
    answer_prefix: Annotated[str, Field(max_length=1000)] = ""


class ReferBody(Streamed):
    """Point at an object. by: "decoder" follows what is pointed at in both directions, "language" lets the
    language model ask for the mask; follow: false gives the prompted frames alone."""

    prompts: Annotated[list[PromptPart], Field(min_length=1, max_length=MOST_PROMPTS)]
    name: Name | None = None
    by: Literal["decoder", "language"] = "decoder"
    follow: bool = True


class CorrectBody(Streamed):
    """Mend an object, and follow it again."""

    prompts: Annotated[list[PromptPart], Field(min_length=1, max_length=MOST_PROMPTS)]
    follow: bool = True


class TrackBody(Streamed):
    """Follow objects through the clip; all that can be, if none are named."""

    ids: Annotated[list[ObjectId], Field(max_length=1000)] | None = None


class AddBody(Strict):
    """An object whose masks are known already, as run lengths."""

    frames: Annotated[list[FrameEntry], Field(min_length=1, max_length=100_000)]
    name: Name | None = None
    mask_format: MaskFormat = "rle"


class MasksBody(Strict):
    """Other masks for an object, as run lengths."""

    frames: Annotated[list[FrameEntry], Field(min_length=1, max_length=100_000)]
    mask_format: MaskFormat = "rle"


class WordingEntry(Strict):
    """How the two passes of PixelQA are worded; what varies is in braces."""

    masks: Annotated[str, Field(max_length=MOST_TEXT)] = PixelQaWording.masks
    options: Annotated[str, Field(max_length=MOST_TEXT)] = PixelQaWording.options
    best: Annotated[str, Field(max_length=MOST_TEXT)] = PixelQaWording.best
    answer_prefix: Annotated[str, Field(max_length=1000)] = PixelQaWording.answer_prefix

    def to_core(self) -> PixelQaWording:
        return PixelQaWording(self.masks, self.options, self.best, self.answer_prefix)


class PixelQaBody(Streamed):
    """PixelQA: what is pointed at gets masks, and the question is answered on these. Prompt k is `[next_id +
    k]` in the question, `[k]` in a new session; `options` make it a choice. unseen: what to do with an object
    that is found on no frame."""

    question: Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]
    prompts: Annotated[list[PromptPart], Field(min_length=1, max_length=MOST_PROMPTS)]
    options: Annotated[list[Option], Field(max_length=100)] | None = None
    wording: WordingEntry = WordingEntry()
    unseen: Unseen = "refuse"
    decoding: DecodingEntry = DecodingEntry()


class PixelAnswerReply(BaseModel):
    """An answer of PixelQA, and the number that the next object gets."""

    answer: PixelAnswerEntry
    next_id: int


class RenameBody(Strict):
    """A name, or null to take it away."""

    name: Name | None


class MergeBody(Strict):
    """Objects that are one; the first stays."""

    ids: Annotated[list[ObjectId], Field(min_length=2, max_length=1000)]
    mask_format: MaskFormat = "rle"


class SessionEntry(BaseModel):
    """A session. `restored`: the server was started again since it was last used; what was under way then is
    lost, what was found before is here. `next_id`: the number that the next object gets; `shown_frames`:
    what the language model sees by default is told by an answer's `frames_seen`."""

    id: str
    object: Literal["session"] = "session"
    created_at: int
    expires_at: int
    restored: bool = False
    clip: ClipEntry
    next_id: int
    objects: list[ObjectEntry] = []


class SessionItem(BaseModel):
    """A session in a list."""

    id: str
    object: Literal["session"] = "session"
    created_at: int
    expires_at: int
    name: str
    awake: bool
    restored: bool = False


class SessionList(BaseModel):
    """All sessions of the caller."""

    object: Literal["list"] = "list"
    data: list[SessionItem]


class ObjectList(BaseModel):
    """All objects of a session."""

    object: Literal["list"] = "list"
    data: list[ObjectEntry]
    next_id: int


class AnswerReply(BaseModel):
    """An answer, and the number that the next object gets."""

    answer: AnswerEntry
    next_id: int


class ProgressEntry(BaseModel):
    """How far a piece of work is."""

    what: str
    done: int
    total: int
    seconds_left: float | None

    @staticmethod
    def of(progress: Progress) -> ProgressEntry:
        return ProgressEntry(
            what=progress.what, done=progress.done, total=progress.total, seconds_left=progress.seconds_left
        )


class AskStep(AskBody):
    """A question of a job."""

    op: Literal["ask"]


class ReferStep(ReferBody):
    """Something that a job points at."""

    op: Literal["refer"]


class CorrectStep(CorrectBody):
    """A correction of a job."""

    op: Literal["correct"]
    id: ObjectId


class TrackStep(TrackBody):
    """What a job follows."""

    op: Literal["track"]


JobStep: TypeAlias = Annotated[AskStep | ReferStep | CorrectStep | TrackStep, Field(discriminator="op")]
"""One step of a job; `stream` means nothing here."""


class JobBody(OpenBody):
    """A clip, and what is to be done on it, step after step: a session that runs by itself."""

    steps: Annotated[list[JobStep], Field(min_length=1, max_length=200)]


class JobEntry(BaseModel):
    """A job. `steps_done` of `steps_total`; `progress` of the step under way."""

    id: str
    object: Literal["job"] = "job"
    status: Literal["queued", "running", "done", "failed", "cancelled"]
    created_at: int
    steps_done: int
    steps_total: int
    progress: ProgressEntry | None = None
    error: str | None = None


class JobList(BaseModel):
    """All jobs of the caller."""

    object: Literal["list"] = "list"
    data: list[JobEntry]


class Outcome(BaseModel):
    """What came of one step of a job: an answer, or objects."""

    op: str
    answer: AnswerEntry | None = None
    objects: list[ObjectEntry] = []


class JobResult(BaseModel):
    """What came of a job."""

    id: str
    clip: ClipEntry
    outcomes: list[Outcome]


def core_prompts(parts: list[PromptPart], size: Size) -> list[Prompt]:
    """Prompts as the library takes them."""
    return [part.to_core(size) for part in parts]
