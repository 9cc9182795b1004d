"""A request to tensors, and generated tokens back to a response: the one path for every caller."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

import torch
from torch import Tensor

from unipixel.core.masks import MaskTrack
from unipixel.core.media import Clip, check_sides
from unipixel.core.request import FRAME_LIST_STEP, PixelBudget, Request
from unipixel.core.response import FinishReason, Mention, Response, SegmentedObject
from unipixel.core.sampling import check_kept, keep_frames, uniform_indices
from unipixel.model.config import ModelConfig
from unipixel.model.families import get_family
from unipixel.model.generate import EndsText
from unipixel.model.inputs import NO_CLIP, Grid, Inputs
from unipixel.processing import text
from unipixel.processing.regions import memory_regions, object_prompt
from unipixel.processing.tokenizer import Tokenizer
from unipixel.processing.vision import language_size, language_view

NUMBER_BEFORE = re.compile(r"\[([0-9]{1,9})\]\s*$")
"""The number that names the object of the `<|seg|>` behind it, as in `[3] <|seg|>`."""

NUMBERS_AHEAD = 1000
"""How far above the next number an answer may number its objects."""
UNFINISHED_NUMBER = re.compile(r"\s*(\[[0-9]{0,9}\]?)?\s*$")
"""The end of a text that may go on to be the number of an object."""


@dataclass(frozen=True)
class Shown:
    """The frames of a clip that the language model sees, and the grid on which it sees them."""

    frames: tuple[int, ...]
    grid: Grid


@dataclass(frozen=True)
class PreparedClip:
    """What every question about a clip begins with, as a batch of one: the system's turn and the clip."""

    inputs: Inputs
    shown: Shown


@dataclass(frozen=True)
class PreparedQuestion:
    """What stands behind the clip, as a batch of one: memory, turns, and the answer as far as it is given.

    answer_ids: the tokens of a given answer, without the end of its turn.
    """

    request: Request
    inputs: Inputs
    shown: Shown
    answer_ids: tuple[int, ...]


@dataclass(frozen=True)
class Prepared:
    """A whole request as tensors: the clip, and the question behind it."""

    clip: PreparedClip
    question: PreparedQuestion

    @property
    def inputs(self) -> Inputs:
        """Both in one, as training reads them."""
        return self.clip.inputs.followed_by(self.question.inputs)

    @property
    def answer_ids(self) -> tuple[int, ...]:
        return self.question.answer_ids


class Processor:
    """Prepares requests for one model and reads its answers."""

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.layout = get_family(config.backbone).layout

    def prepare(self, request: Request) -> Prepared:
        """Everything that the language side reads for one request."""
        frames, step = self.shown_frames(request), request.seconds_per_step
        clip = self.prepare_clip(request.clip, frames, request.pixels, step)
        return Prepared(clip, self.prepare_question(request, clip.shown))

    def prepare_clip(
        self,
        clip: Clip,
        frames: Sequence[int],
        pixels: PixelBudget | None,
        seconds_per_step: float = FRAME_LIST_STEP,
    ) -> PreparedClip:
        """The system's turn and some frames of a clip; `pixels` defaults to the model's own."""
        check_sides(clip)
        budget = (pixels or self.config.pixels).for_frames(len(frames))
        size = language_size(clip.height, clip.width, *budget, self.layout)
        view = language_view(clip.read(frames), size, self.layout, seconds_per_step)
        runs = self.layout.runs(view.grids[0], [clip.times[index] for index in frames])
        view = replace(view, is_image=(all(run.is_image for run in runs),))
        token_ids = self._as_row(text.clip_pieces(runs))
        inputs = Inputs(token_ids, torch.ones_like(token_ids).bool(), view)
        return PreparedClip(inputs, Shown(tuple(frames), view.grids[0]))

    def prepare_question(self, request: Request, shown: Shown) -> PreparedQuestion:
        """What a request says about a clip of which these frames are shown."""
        clip, frames, grid = request.clip, shown.frames, shown.grid
        regions = memory_regions(request.memory, frames, grid) if request.memory else None
        ids = [remembered.id for remembered in request.memory]
        prefix = text.memory_prefix(ids, regions, len(frames)) if regions is not None else []
        forced = request.forced_answer
        ending = text.answer_pieces(forced) if forced is not None else [request.answer_prefix]
        token_ids = self._as_row([*text.question_pieces(request.turns, prefix), *ending])
        answer_ids = text.encode(text.turn_pieces(forced), self.tokenizer) if forced is not None else []
        prompts = tuple(
            object_prompt(prompt, (clip.height, clip.width), frames, grid, self.config.sam2.image_size)
            for turn in request.turns
            for prompt in turn.prompts
        )
        mask = torch.ones_like(token_ids).bool()
        inputs = Inputs(token_ids, mask, NO_CLIP, prompts, (regions,))
        return PreparedQuestion(request, inputs, shown, tuple(answer_ids))

    def _as_row(self, pieces: Sequence[text.Piece]) -> Tensor:
        return torch.tensor([text.encode(pieces, self.tokenizer)], dtype=torch.long)

    def shown_frames(self, request: Request) -> list[int]:
        """The frames that the language model sees: those that the request names, or uniform over the clip;
        kept ones in place of their nearest."""
        wanted = self.num_shown(request) if request.frames is None else len(request.frames)
        check_kept(request.keep_frames, wanted)
        indices = list(request.frames or uniform_indices(request.clip.num_frames, wanted))
        return keep_frames(indices, request.keep_frames) if request.keep_frames else indices

    def num_shown(self, request: Request) -> int:
        """How many frames the language model sees at most."""
        return request.num_frames or self.config.num_frames

    def num_masks(self, token_ids: Sequence[int]) -> int:
        """How many masks an answer asks for."""
        return sum(token == self.config.tokens.seg for token in token_ids)

    def ends_text(self, stop: Sequence[str]) -> EndsText | None:
        """Whether tokens hold one of the texts `stop` near their end; None if there are none."""
        if not stop:
            return None
        reach = 1 + max(len(words.encode()) for words in stop)  # a token holds at least one byte

        def ends(token_ids: Sequence[int]) -> bool:
            written = self.tokenizer.decode(token_ids[-reach:])
            return any(words in written for words in stop)

        return ends

    def respond(
        self,
        prepared: PreparedQuestion,
        answer_ids: Sequence[int],
        masks: Sequence[MaskTrack],
        finish: FinishReason,
    ) -> Response:
        """An answer's tokens and its masks, one for each `<|seg|>`, as a response."""
        assert self.num_masks(answer_ids) == len(masks), (
            f"{self.num_masks(answer_ids)} <|seg|>, but {len(masks)} masks"
        )
        shown, mentions = self.words(prepared, answer_ids)
        ids = [mention.object_id for mention in mentions]
        return Response(
            text=shown,
            objects=tuple(SegmentedObject(*pair) for pair in zip(ids, masks, strict=True)),
            mentions=tuple(mentions),
            raw_text=self.tokenizer.decode(answer_ids, keep_control=True),
            frames_seen=prepared.shown.frames,
            finish_reason=finish,
        )

    def so_far(self, prepared: PreparedQuestion, answer_ids: Sequence[int]) -> str:
        """The text of an answer that is still being written, without what may yet change: half a letter, the
        beginning of a text at which the answer would end, a number that may turn out to name an object."""
        request = prepared.request
        pieces = [self.tokenizer.decode(piece) for piece in self._split_at_seg(answer_ids)]
        last, stop = _cut(pieces[-1], request.decoding.stop), request.decoding.stop
        begun = [n for words in stop for n in range(1, len(words)) if last.endswith(words[:n])]
        last = last[: len(last) - max(begun, default=0)].rstrip("\ufffd")
        pieces[-1] = UNFINISHED_NUMBER.sub("", last)
        return _strip(*_name_objects(pieces, request))[0]

    def words(self, prepared: PreparedQuestion, answer_ids: Sequence[int]) -> tuple[str, list[Mention]]:
        """An answer's text, and for each of its `<|seg|>` which characters name the object."""
        request = prepared.request
        pieces = [self.tokenizer.decode(piece) for piece in self._split_at_seg(answer_ids)]
        pieces[-1] = _cut(pieces[-1], request.decoding.stop)
        return _strip(*_name_objects(pieces, request))

    def _split_at_seg(self, token_ids: Sequence[int]) -> list[list[int]]:
        pieces: list[list[int]] = [[]]
        for token in token_ids:
            if token == self.config.tokens.seg:
                pieces.append([])
            else:
                pieces[-1].append(token)
        return pieces


def _cut(piece: str, stop: Sequence[str]) -> str:
    """A text up to the first of the texts at which it ends."""
    return piece[: min((place for words in stop if (place := piece.find(words)) >= 0), default=len(piece))]


def _name_objects(pieces: Sequence[str], request: Request) -> tuple[str, list[Mention]]:
    """The text of an answer, cut at its `<|seg|>`, and which characters of it name their objects.

    A number written before a `<|seg|>` stays as it is. Where none is, where another object has it, or where
    it lies in the answer's prefix, which is no part of the text, the object's label is put in.
    """
    *before, end = pieces
    leads = [request.answer_prefix, *[""] * len(before)][: len(before)]
    written = [NUMBER_BEFORE.search(lead + piece) for lead, piece in zip(leads, before, strict=True)]
    numbers = _number_objects([int(found.group(1)) if found else None for found in written], request)
    shown, mentions = "", []
    for piece, lead, found, number in zip(before, leads, written, numbers, strict=True):
        place = found.start() - len(lead) if found and int(found.group(1)) == number else -1
        named = piece.rstrip() if place >= 0 else f"{piece}[{number}]"
        start = len(shown) + (place if place >= 0 else len(piece))
        shown += named
        mentions.append(Mention(start, len(shown), number))
    return shown + end, mentions


def _number_objects(written: Sequence[int | None], request: Request) -> list[int]:
    """The number of each object: the one written for it, if it is new or what the question points at, unless
    an earlier object has it; else the smallest new one that is written for none."""
    new = range(request.next_id, request.next_id + NUMBERS_AHEAD)
    asked = [number if number in new or number in request.pointed_ids else None for number in written]
    owners = {number: index for index, number in reversed(list(enumerate(asked)))}
    free = (n for n in count(request.next_id) if n not in owners and n not in request.pointed_ids)
    return [
        number if number is not None and owners[number] == index else next(free)
        for index, number in enumerate(asked)
    ]


def _strip(shown: str, mentions: Sequence[Mention]) -> tuple[str, list[Mention]]:
    """Text without surrounding white space, and its mentions moved along."""
    lead = len(shown) - len(shown.lstrip())
    return shown.strip(), [Mention(m.start - lead, m.stop - lead, m.object_id) for m in mentions]
