"""SAM 2.1: image encoder, prompt encoder, mask decoder, memory, and a tracker without hidden state."""

from unipixel.model.sam2.config import HieraConfig, MemoryAttentionConfig, MemoryEncoderConfig, Sam2Config
from unipixel.model.sam2.prompt_encoder import FourierPositions, PromptEncoder
from unipixel.model.sam2.sam2 import FrameFeatures, Sam2
from unipixel.model.sam2.state import (
    FrameMasks,
    MaskPrompt,
    Memory,
    Pointer,
    Sighting,
    TrackState,
    join_states,
)
from unipixel.model.sam2.tracker import MaskTracker, low_res_to_size

__all__ = [
    "FourierPositions",
    "FrameFeatures",
    "FrameMasks",
    "HieraConfig",
    "MaskPrompt",
    "MaskTracker",
    "Memory",
    "MemoryAttentionConfig",
    "MemoryEncoderConfig",
    "Pointer",
    "PromptEncoder",
    "Sam2",
    "Sam2Config",
    "Sighting",
    "TrackState",
    "join_states",
    "low_res_to_size",
]
