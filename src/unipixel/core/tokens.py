"""The control tokens and protocol literals of UniPixel, spelled only here."""

REF = "<|ref|>"
"""Slot for an object prompt (a click or a box) in a question."""
MEM = "<|mem|>"
"""Slot for one object-memory feature in a question."""
SEG = "<|seg|>"
"""Asks for a mask; normally part of an answer."""

ADDED_TOKENS = (REF, SEG, MEM)
"""The tokens that UniPixel adds to its base model, in the order of their ids."""

TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
END_OF_TEXT = "<|endoftext|>"
VISION_START = "<|vision_start|>"
VISION_END = "<|vision_end|>"
IMAGE_PAD = "<|image_pad|>"
VIDEO_PAD = "<|video_pad|>"

SYSTEM_TEXT = "You are a helpful assistant."
"""The system turn that the base model's chat form inserts; the weights were trained with it."""

IGNORE_INDEX = -100
"""Label of a token that the language loss does not count."""
