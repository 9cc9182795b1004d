"""A request to tensors, and generated tokens back to a response: the one path for every caller."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import torch

from unipixel.core.masks import MaskTrack
from unipixel.core.media import check_sides
from unipixel.core.request import Request
from unipixel.core.response import FinishReason, Mention, Response, SegmentedObject
from unipixel.core.sampling import check_kept, keep_frames, uniform_indices
from unipixel.model.backbone import LAYOUTS
from unipixel.model.config import ModelConfig
from unipixel.model.inputs import Inputs
from unipixel.processing import text
from unipixel.processing.regions import memory_regions, object_prompt
from unipixel.processing.tokenizer import Tokenizer
from unipixel.processing.vision import language_size, language_view

NUMBER_BEFORE = re.compile(r"\[([0-9]{1,9})\]\s*$")
"""The number that names the object of the `<|seg|>` behind it, as in `[3] <|seg|>`."""


@dataclass(frozen=True)
class Prepared:
    """One request as tensors. inputs: a batch of one; frames_seen: the clip's frames in the language
    view; answer_ids: the tokens of a given answer, without the end of its turn."""

    request: Request
    inputs: Inputs
    frames_seen: tuple[int, ...]
    answer_ids: tuple[int, ...]


class Processor:
    """Prepares requests for one model and reads its answers."""

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.layout = LAYOUTS[config.backbone]

    def prepare(self, request: Request) -> Prepared:
        """Everything that the language side reads for one request."""
        shown = self.shown_frames(request)
        clip = request.clip
        check_sides(clip)
        pixels = (request.pixels or self.config.pixels).for_frames(len(shown))
        view = language_view(
            clip.read(shown), language_size(clip.height, clip.width, *pixels, self.layout), self.layout
        )
        grid = view.grids[0]

        regions = memory_regions(request.memory, shown, grid) if request.memory else None
        ids = [remembered.id for remembered in request.memory]
        prefix = text.memory_prefix(ids, regions, len(shown)) if regions is not None else []
        pieces = text.question_pieces(request.turns, grid.num_tokens, prefix)
        forced = request.forced_answer
        ending = text.answer_pieces(forced) if forced is not None else [request.answer_prefix]
        token_ids = torch.tensor([text.encode([*pieces, *ending], self.tokenizer)])
        answer_ids = text.encode(text.turn_pieces(forced), self.tokenizer) if forced is not None else []

        size = (clip.height, clip.width)
        prompts = tuple(
            object_prompt(prompt, size, shown, grid, self.config.sam2.image_size)
            for turn in request.turns
            for prompt in turn.prompts
        )
        inputs = Inputs(token_ids, torch.ones_like(token_ids).bool(), view, prompts, (regions,))
        return Prepared(request, inputs, tuple(shown), tuple(answer_ids))

    def shown_frames(self, request: Request) -> list[int]:
        """The frames that the language model sees: uniform over the clip, kept ones
        in place of their nearest."""
        wanted = request.num_frames or self.config.num_frames
        check_kept(request.keep_frames, wanted)
        indices = uniform_indices(request.clip.num_frames, wanted)
        return keep_frames(indices, request.keep_frames) if request.keep_frames else indices

    def num_masks(self, token_ids: Sequence[int]) -> int:
        """How many masks an answer asks for."""
        return sum(token == self.config.tokens.seg for token in token_ids)

    def respond(
        self, prepared: Prepared, answer_ids: Sequence[int], masks: Sequence[MaskTrack], finish: FinishReason
    ) -> Response:
        """An answer's tokens and its masks, one for each `<|seg|>`, as a response."""
        assert self.num_masks(answer_ids) == len(masks), (
            f"{self.num_masks(answer_ids)} <|seg|>, but {len(masks)} masks"
        )
        pieces = [self.tokenizer.decode(piece) for piece in self._split_at_seg(answer_ids)]
        text_, mentions = _strip(*_name_objects(pieces, prepared.request.answer_prefix))
        ids = [mention.object_id for mention in mentions]
        return Response(
            text=text_,
            objects=self._objects(ids, masks),
            mentions=tuple(mentions),
            raw_text=self.tokenizer.decode(answer_ids, keep_control=True),
            frames_seen=prepared.frames_seen,
            finish_reason=finish,
        )

    def _split_at_seg(self, token_ids: Sequence[int]) -> list[list[int]]:
        pieces: list[list[int]] = [[]]
        for token in token_ids:
            if token == self.config.tokens.seg:
                pieces.append([])
            else:
                pieces[-1].append(token)
        return pieces

    @staticmethod
    def _objects(ids: Sequence[int], masks: Sequence[MaskTrack]) -> tuple[SegmentedObject, ...]:
        return tuple(SegmentedObject(number, track) for number, track in zip(ids, masks, strict=True))


def _name_objects(pieces: Sequence[str], prefix: str) -> tuple[str, list[Mention]]:
    """The text of an answer, cut at its `<|seg|>`, and which characters of it name their objects.

    A number written before a `<|seg|>` stays as it is. Where none is, or where it lies in the prefix, which
    is no part of the text, the object's label is put in.
    """
    *before, end = pieces
    leads = [prefix, *[""] * len(before)][: len(before)]
    written = [NUMBER_BEFORE.search(lead + piece) for lead, piece in zip(leads, before, strict=True)]
    numbers = _number_objects([int(found.group(1)) if found else None for found in written])
    shown, mentions = "", []
    for piece, lead, found, number in zip(before, leads, written, numbers, strict=True):
        place = found.start() - len(lead) if found and int(found.group(1)) == number else -1
        named = piece.rstrip() if place >= 0 else f"{piece}[{number}]"
        start = len(shown) + (place if place >= 0 else len(piece))
        shown += named
        mentions.append(Mention(start, len(shown), number))
    return shown + end, mentions


def _number_objects(written: Sequence[int | None]) -> list[int]:
    """The number of each object: the one written for it, unless an earlier object has it; else the smallest
    that is written for none."""
    owners = {number: index for index, number in reversed(list(enumerate(written)))}
    free = (number for number in count() if number not in owners)
    return [
        number if number is not None and owners[number] == index else next(free)
        for index, number in enumerate(written)
    ]


def _strip(shown: str, mentions: Sequence[Mention]) -> tuple[str, list[Mention]]:
    """Text without surrounding white space, and its mentions moved along."""
    lead = len(shown) - len(shown.lstrip())
    return shown.strip(), [Mention(m.start - lead, m.stop - lead, m.object_id) for m in mentions]
