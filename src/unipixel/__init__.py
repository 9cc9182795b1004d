"""UniPixel: point at things, ask about them, get text and masks (arXiv 2509.18094).

import unipixel
model = unipixel.load("unipixel-tiny")
answer = model.ask("clip.mp4", "Please segment the red circle in this video.")
print(answer.text, answer.objects[0].masks.area)
"""

from typing import TYPE_CHECKING

from unipixel.late_names import late_names

if TYPE_CHECKING:
    from unipixel.core.mask_options import MaskOptions
    from unipixel.core.masks import RLE, FrameMask, MaskTrack
    from unipixel.core.media import Clip
    from unipixel.core.objects import SessionObject
    from unipixel.core.pixel_qa import PixelAnswer, PixelQaWording
    from unipixel.core.progress import OnProgress, Progress
    from unipixel.core.prompts import Box, Point, RegionMask, Scribble
    from unipixel.core.request import Decoding, PixelBudget, RememberedObject, Request
    from unipixel.core.response import Mention, Response, SegmentedObject
    from unipixel.errors import (
        ConfigError,
        MediaError,
        OutputError,
        PromptError,
        RequestError,
        SessionError,
        UniPixelError,
        WeightsError,
    )
    from unipixel.inference.live import LiveTracker
    from unipixel.inference.questions import AnswerInterrupted, AnswerStream, Exchange, Question, ask_together
    from unipixel.inference.session import Session
    from unipixel.loading import load, save
    from unipixel.predictor import Predictor
    from unipixel.serving.client import Client

__version__ = "0.1.0"

# Where each public name lives. They are imported when first used, so that `import unipixel` costs nothing.
_HOMES = {
    "load": "loading",
    "save": "loading",
    "Predictor": "predictor",
    "Clip": "core.media",
    "Point": "core.prompts",
    "Box": "core.prompts",
    "RegionMask": "core.prompts",
    "Scribble": "core.prompts",
    "MaskOptions": "core.mask_options",
    "RLE": "core.masks",
    "FrameMask": "core.masks",
    "MaskTrack": "core.masks",
    "Request": "core.request",
    "RememberedObject": "core.request",
    "Decoding": "core.request",
    "PixelBudget": "core.request",
    "Response": "core.response",
    "SegmentedObject": "core.response",
    "Mention": "core.response",
    "Progress": "core.progress",
    "SessionObject": "core.objects",
    "Session": "inference.session",
    "AnswerStream": "inference.questions",
    "ask_together": "inference.questions",
    "LiveTracker": "inference.live",
    "PixelAnswer": "core.pixel_qa",
    "PixelQaWording": "core.pixel_qa",
    "Client": "serving.client",
    "AnswerInterrupted": "inference.questions",
    "Exchange": "inference.questions",
    "Question": "inference.questions",
    "OnProgress": "core.progress",
    "SessionError": "errors",
    "PromptError": "errors",
    "MediaError": "errors",
    "RequestError": "errors",
    "OutputError": "errors",
    "WeightsError": "errors",
    "ConfigError": "errors",
    "UniPixelError": "errors",
}

__all__ = [
    "RLE",
    "AnswerInterrupted",
    "AnswerStream",
    "Box",
    "Client",
    "Clip",
    "ConfigError",
    "Decoding",
    "Exchange",
    "FrameMask",
    "LiveTracker",
    "MaskOptions",
    "MaskTrack",
    "MediaError",
    "Mention",
    "OnProgress",
    "OutputError",
    "PixelAnswer",
    "PixelBudget",
    "PixelQaWording",
    "Point",
    "Predictor",
    "Progress",
    "PromptError",
    "Question",
    "RegionMask",
    "RememberedObject",
    "Request",
    "RequestError",
    "Response",
    "Scribble",
    "SegmentedObject",
    "Session",
    "SessionError",
    "SessionObject",
    "UniPixelError",
    "WeightsError",
    "ask_together",
    "load",
    "save",
]


__getattr__ = late_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
