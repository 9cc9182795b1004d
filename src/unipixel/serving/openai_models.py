"""OpenAI's chat completion as it travels, with what goes beyond it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from unipixel.core.request import Decoding
from unipixel.errors import RequestError
from unipixel.serving.prompt_schema import (
    BoxPart,
    MaskPart,
    PointPart,
    ScribblePart,
)
from unipixel.serving.schema import (
    MOST_TEXT,
    ClipEntry,
    MaskFormat,
    MentionEntry,
    PixelsEntry,
    SegmentedEntry,
)


class TextPart(BaseModel):
    """Words."""

    type: Literal["text"]
    text: Annotated[str, Field(max_length=MOST_TEXT)]


class Url(BaseModel):
    """Where a picture or video is: a data URL, an uploaded file's id, or a remote URL."""

    url: str
    fps: Annotated[float, Field(gt=0, le=100_000)] | None = None


class ImagePart(BaseModel):
    """A picture."""

    type: Literal["image_url"]
    image_url: Url


class VideoPart(BaseModel):
    """A video; `fps` replaces its clock."""

    type: Literal["video_url"]
    video_url: Url


ContentPart: TypeAlias = Annotated[
    TextPart | ImagePart | VideoPart | PointPart | BoxPart | ScribblePart | MaskPart,
    Field(discriminator="type"),
]


class Extra(BaseModel):
    """What OpenAI's form has no place for: the clip, the objects with their masks, which letters of the text
    mean which object, the text with its control tokens, the frames that the language model saw."""

    clip: ClipEntry | None = None
    objects: list[SegmentedEntry] = []
    mentions: list[MentionEntry] = []
    raw_text: str = ""
    frames_seen: list[int] = []
    finish_reason: str = "stop"


class Message(BaseModel):
    """One message of the conversation. What a system message says is put before the first question: the
    weights know one system turn only."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=MOST_TEXT)] | list[ContentPart] | None = None
    unipixel: Extra | None = None


class ChatRequest(BaseModel):
    """OpenAI's chat request. Beyond it: `mask_format`, `require_mask`, `num_frames`, `pixels`,
    `answer_prefix`. The default temperature is 0, which takes the likeliest token."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    model: str
    messages: Annotated[list[Message], Field(min_length=1, max_length=200)]
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    stop: str | list[str] | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    mask_format: MaskFormat = "rle"
    require_mask: bool = False
    num_frames: Annotated[int, Field(ge=1, le=1024)] | None = None
    pixels: PixelsEntry | None = None
    answer_prefix: Annotated[str, Field(max_length=1000)] = ""

    def decoding(self, most_tokens: int) -> Decoding:
        """How the answer is written, with at most so many tokens."""
        tokens = self.max_completion_tokens or self.max_tokens or most_tokens
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if len(stop) > 16 or sum(len(words) for words in stop) > 4000:
            raise RequestError("stop takes 16 texts at most, short ones")
        return Decoding(
            min(tokens, most_tokens),
            self.temperature or 0.0,
            1.0 if self.top_p is None else self.top_p,
            self.seed or 0,
            stop,
            self.require_mask,
        )


class AnswerMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    unipixel: Extra


class Choice(BaseModel):
    """The one choice."""

    index: int = 0
    message: AnswerMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class UsageEntry(BaseModel):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatReply(BaseModel):
    """OpenAI's chat completion."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: UsageEntry


class Delta(BaseModel):
    """What a chunk of a streamed answer adds."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    unipixel: Extra | None = None


class ChunkChoice(BaseModel):
    """The one choice of a chunk."""

    index: int = 0
    delta: Delta
    finish_reason: Literal["stop", "length"] | None = None
    logprobs: None = None


class ChatChunk(BaseModel):
    """OpenAI's chunk of a streamed chat completion."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: UsageEntry | None = None


class Licences(BaseModel):
    """Terms of use, as far as somebody has read them."""

    code: str
    weights: str
    base: str
    data: str


class ModelEntry(BaseModel):
    """OpenAI's model, and its licences."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "unipixel"
    licences: Licences


class ModelList(BaseModel):
    """All models: one."""

    object: Literal["list"] = "list"
    data: list[ModelEntry]
