"""A conversation as token ids: chat form, visual placeholders, the memory prefix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from unipixel.core import tokens as control
from unipixel.core.conversation import Refer, Turn
from unipixel.model.inputs import Run
from unipixel.processing.tokenizer import Tokenizer


@dataclass(frozen=True)
class Control:
    """A control token, `count` times in a row."""

    name: str
    count: int = 1


Piece: TypeAlias = str | Control


def opening_pieces() -> list[Piece]:
    """What every conversation begins with: the system's turn, and the head of the first question."""
    return [
        Control(control.TURN_START),
        f"system\n{control.SYSTEM_TEXT}",
        Control(control.TURN_END),
        "\n",
        Control(control.TURN_START),
        "user\n",
    ]


def clip_pieces(runs: Iterable[Run]) -> list[Piece]:
    """What every conversation about a clip begins with: the same with the clip at the end, in the runs that
    the base model's layout makes of it. It ends with a control token, so it can be encoded apart from what
    follows."""
    pieces = opening_pieces()
    for run in runs:
        pad = control.IMAGE_PAD if run.is_image else control.VIDEO_PAD
        pieces += [run.lead] if run.lead else []
        pieces += [Control(control.VISION_START), Control(pad, run.count), Control(control.VISION_END)]
    return pieces


def question_pieces(turns: Sequence[Turn], memory_prefix: Sequence[Piece] = ()) -> list[Piece]:
    """What stands between the clip and the place where the assistant speaks next; the memory opens the first
    turn."""
    pieces: list[Piece] = [*memory_prefix]
    for index, turn in enumerate(turns):
        if index > 0:
            pieces += [Control(control.TURN_START), f"{turn.role}\n"]
        pieces += [*turn_pieces(turn), Control(control.TURN_END), "\n"]
    return [*pieces, Control(control.TURN_START), "assistant\n"]


def turn_pieces(turn: Turn) -> Iterable[Piece]:
    """Text and slots of one turn."""
    for part in turn.parts:
        if isinstance(part, str):
            yield part
        else:
            yield Control(control.REF if isinstance(part, Refer) else control.SEG)


def answer_pieces(answer: Turn) -> list[Piece]:
    """A given answer with the end of its turn."""
    return [*turn_pieces(answer), Control(control.TURN_END), "\n"]


def memory_prefix(ids: Sequence[int], regions: Tensor, num_frames: int) -> list[Piece]:
    """The lines that list every object's features before the first question.

    ids: the objects' numbers; regions: bool [time, O, height, width]; num_frames: frames shown (1: the form
        for a still).
    """
    if num_frames == 1:
        pieces: list[Piece] = ["Here is an image with the following highlighted regions:\n"]
    else:
        pieces = [
            f"Here is a video with {num_frames} frames denoted as <1> to <{num_frames}>. "
            "The highlighted regions are as follows:\n"
        ]
    for column, number in enumerate(ids):
        pairs = regions[:, column].flatten(1).any(1).nonzero().flatten().tolist()
        pieces.append(f"[{number}]:")
        for pair in pairs:
            first = 2 * pair + 1
            pieces += [" " if num_frames == 1 else f" <{first}>-<{first + 1}> ", Control(control.MEM)]
        pieces.append("\n")
    return pieces


def encode(pieces: Iterable[Piece], tokenizer: Tokenizer) -> list[int]:
    """Token ids of pieces. Neighbouring text is joined first: a tokenizer's merges
    must not stop at our seams."""
    token_ids: list[int] = []
    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
            continue
        if text:
            token_ids += tokenizer.encode(text)
            text = ""
        token_ids += [tokenizer.id(piece.name)] * piece.count
    return token_ids + (tokenizer.encode(text) if text else [])
