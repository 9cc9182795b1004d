"""A request to tensors, and generated tokens back to a response: the one path for every caller."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from unipixel.core.masks import MaskTrack
from unipixel.core.request import Request
from unipixel.core.response import FinishReason, Mention, Response, SegmentedObject
from unipixel.core.sampling import keep_frames, uniform_indices
from unipixel.errors import RequestError
from unipixel.model.config import ModelConfig
from unipixel.model.inputs import Inputs
from unipixel.processing import text
from unipixel.processing.regions import memory_regions, object_prompt
from unipixel.processing.tokenizer import Tokenizer
from unipixel.processing.vision import language_size, language_view

NUMBER_BEFORE = re.compile(r"\[(\d+)\]\s*$")
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

    def prepare(self, request: Request) -> Prepared:
        """Everything that the language side reads for one request."""
        shown = self.shown_frames(request)
        clip = request.clip
        pixels = (request.pixels or self.config.pixels).for_frames(len(shown))
        view = language_view(clip.read(shown), language_size(clip.height, clip.width, *pixels))
        grid = view.grids[0]

        regions = memory_regions(request.memory, shown, grid) if request.memory else None
        ids = [remembered.id for remembered in request.memory]
        prefix = text.memory_prefix(ids, regions, len(shown)) if regions is not None else []
        num_cells = grid.num_patches // 4
        pieces = text.question_pieces(request.turns, num_cells, prefix)
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
        if len(request.keep_frames) > wanted:
            raise RequestError(
                f"the prompts lie on {len(request.keep_frames)} different frames, but the language model "
                f"sees only {wanted}; "
                f"raise num_frames or use fewer frames"
            )
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
        shown, mentions, ids = "", [], list[int]()
        for index, piece in enumerate(self._split_at_seg(answer_ids)):
            if index:
                shown, mention = self._name_object(shown, ids)
                mentions.append(mention)
                ids.append(mention.object_id)
            shown += self.tokenizer.decode(piece)
        text_, mentions = _strip(shown, mentions)
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
    def _name_object(shown: str, taken: Sequence[int]) -> tuple[str, Mention]:
        """The object that a `<|seg|>` behind `shown` means: the number written before
        it, else the smallest free one."""
        written = NUMBER_BEFORE.search(shown)
        if written and int(written.group(1)) not in taken:
            shown = shown.rstrip()
            return shown, Mention(written.start(), len(shown), int(written.group(1)))
        number = next(candidate for candidate in range(len(taken) + 1) if candidate not in taken)
        label = f"[{number}]"
        return shown + label, Mention(len(shown), len(shown) + len(label), number)

    @staticmethod
    def _objects(ids: Sequence[int], masks: Sequence[MaskTrack]) -> tuple[SegmentedObject, ...]:
        return tuple(SegmentedObject(number, track) for number, track in zip(ids, masks, strict=True))


def _strip(shown: str, mentions: Sequence[Mention]) -> tuple[str, list[Mention]]:
    """Text without surrounding white space, and its mentions moved along."""
    lead = len(shown) - len(shown.lstrip())
    return shown.strip(), [Mention(m.start - lead, m.stop - lead, m.object_id) for m in mentions]
