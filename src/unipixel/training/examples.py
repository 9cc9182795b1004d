"""Conversations as supervised inputs, through the same processor as at inference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from unipixel.core.media import Clip, check_sides
from unipixel.core.tokens import IGNORE_INDEX, TURN_END, TURN_START
from unipixel.data.conversations import Conversation, Provenance, converse
from unipixel.data.policy import Fidelity, Policy
from unipixel.data.sample import Sample
from unipixel.data.visual_prompts import PointedBy
from unipixel.errors import LeftOut, PromptError, SampleUnusable
from unipixel.model.inputs import NO_CLIP, Inputs, Targets, collate
from unipixel.processing import text
from unipixel.processing.processor import Prepared, PreparedClip, Processor
from unipixel.processing.vision import mask_view


@dataclass(frozen=True)
class Supervised:
    """Conversations as a batch: what is read, what is wanted, and where each comes from."""

    inputs: Inputs
    targets: Targets
    sources: tuple[Provenance, ...]


@dataclass(frozen=True)
class Supervisor:
    """Makes a batch of one from a sample; may be sent to loader processes.

    Its calls raise SampleUnusable for a sample that cannot be used, and the errors of `converse`.
    """

    processor: Processor
    policy: Policy

    def __call__(self, sample: Sample, rng: Generator, pointed_by: PointedBy | None = None) -> Supervised:
        """A sample as a conversation, and that as tensors."""
        return supervise(converse(sample, rng, self.policy, pointed_by), self.processor, self.policy)


def supervise(conversation: Conversation, processor: Processor, policy: Policy) -> Supervised:
    """A conversation with its answers as a batch of one.

    Raises:
        SampleUnusable: an object covers no cell of the language view; LeftOut: too many tokens.
    """
    assert conversation.answer is not None, "nothing can be learned from a question alone"
    held = _hold(conversation)
    inputs = _inputs(held, processor)
    length, limit = inputs.token_ids.shape[1], policy.text.max_tokens
    if limit is not None and length > limit:
        raise LeftOut(conversation.source.sample, "too many tokens", f"at most {limit}; it has {length}")
    frames, masks = _mask_side(held, processor.config.sam2.image_size, policy.regions.targets)
    labels = conversation_labels(inputs.token_ids, processor)
    return Supervised(inputs, Targets(labels, (frames,), (masks,)), (conversation.source,))


def conversation_labels(token_ids: Tensor, processor: Processor) -> Tensor:
    """Labels [1, L] of a conversation (B): of every assistant's turn the text and the end of the turn, -100
    elsewhere."""
    tokenizer, ids = processor.tokenizer, token_ids[0].tolist()
    start, end = tokenizer.id(TURN_START), tokenizer.id(TURN_END)
    header = 1 + len(tokenizer.encode("assistant\n"))
    labels = torch.full_like(token_ids, IGNORE_INDEX)
    starts = [place for place, token in enumerate(ids) if token == start]
    for place in starts[2::2]:  # the system's turn, then the user's and the assistant's by turns
        stop = ids.index(end, place) + 1
        labels[0, place + header : stop] = token_ids[0, place + header : stop]
    return labels


def label_masks(masks: NDArray[np.bool_], side: int, rule: Fidelity) -> Tensor:
    """bool [O, T, H, W] at the clip's size -> bool [T, O, side, side] (B, "label_mask"): bilinear with
    antialias, then above 0 ("published") or above a half ("corrected")."""
    above = 0 if rule == "published" else 0.5
    found = torch.zeros(masks.shape[1], masks.shape[0], side, side, dtype=torch.bool)
    for number, on_frames in enumerate(masks):
        for place, mask in enumerate(on_frames):  # one by one: each has a smaller box of its own
            if mask.any():
                columns, resized = _resized(mask, side)
                found[place, number, :, columns] = resized > above
    return found


def _resized(mask: NDArray[np.bool_], side: int) -> tuple[slice, Tensor]:
    """bool [H, W] that holds something -> the columns in which there is something, and what, float
    [side, columns]: bilinear with antialias, one side after the other, as torch does it."""
    rows = _filled(torch.from_numpy(mask.any(axis=1)))
    band = torch.from_numpy(mask[rows]).float()
    band = _interpolate(band, (len(band), side))
    columns = _filled(band.amax(0) > 0)
    wide = torch.zeros(len(mask), columns.stop - columns.start)
    wide[rows] = band[:, columns]
    return columns, _interpolate(wide, (side, wide.shape[1]))


def _filled(seen: Tensor) -> slice:
    """From the first to the last that is true; one more where that is only one, since torch does not resize
    pictures right that are one pixel wide."""
    places = seen.nonzero().flatten()
    first, last = int(places[0]), int(places[-1]) + 1
    return slice(first, last) if last - first > 1 else slice(max(0, first - 1), max(last, 2))


def _interpolate(mask: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(mask[None, None], size=size, mode="bilinear", align_corners=False, antialias=True)[
        0, 0
    ]


def join_supervised(items: Sequence[Supervised], pad_id: int) -> Supervised:
    """One batch, padded on the right."""
    inputs = collate([item.inputs for item in items], pad_id, pad_left=False)
    length = inputs.token_ids.shape[1]
    labels = [
        F.pad(item.targets.labels, (0, length - item.targets.labels.shape[1]), value=IGNORE_INDEX)
        for item in items
    ]
    targets = Targets(
        torch.cat(labels),
        tuple(frames for item in items for frames in item.targets.frames),
        tuple(masks for item in items for masks in item.targets.masks),
    )
    return Supervised(inputs, targets, tuple(source for item in items for source in item.sources))


def _inputs(conversation: Conversation, processor: Processor) -> Inputs:
    """All that the language side reads; the pictures go through the processor's own two steps."""
    if conversation.clip is None:
        return _text_inputs(conversation, processor)
    check_sides(conversation.clip)
    clip = processor.prepare_clip(
        conversation.clip, conversation.frames, conversation.pixels, conversation.seconds_per_step
    )
    clip = _as_still(clip, processor) if conversation.is_still else clip
    try:
        question = processor.prepare_question(conversation.request(answered=True), clip.shown)
    except PromptError as error:
        sample = conversation.source.sample
        raise SampleUnusable(sample, "object on no cell of the language view", str(error)) from error
    return Prepared(clip, question).inputs


def _as_still(clip: PreparedClip, processor: Processor) -> PreparedClip:
    """The only frame of a clip as a picture: how stills of general talk are seen."""
    tokens, ids = processor.config.tokens, clip.inputs.token_ids
    view = replace(clip.inputs.view, is_image=(True,))
    ids = torch.where(ids == tokens.video, tokens.image, ids)
    return replace(clip, inputs=replace(clip.inputs, token_ids=ids, view=view))


def _text_inputs(conversation: Conversation, processor: Processor) -> Inputs:
    """Talk about nothing: the same form without the place for a clip."""
    assert conversation.answer is not None, "it was checked before"
    question = text.question_pieces(conversation.questions)
    pieces = [*text.opening_pieces(), *question, *text.answer_pieces(conversation.answer)]
    ids = torch.tensor([text.encode(pieces, processor.tokenizer)], dtype=torch.long)
    return Inputs(ids, torch.ones_like(ids).bool(), NO_CLIP, (), (None,))


def _mask_side(conversation: Conversation, side: int, rule: Fidelity) -> tuple[Tensor, Tensor]:
    """Frames float [T, 3, S, S] and masks bool [T, O, S, S]; T is 0 where no mask is asked for."""
    if not conversation.num_masks:
        return torch.empty(0, 3, side, side), torch.empty(0, 0, side, side, dtype=torch.bool)
    assert conversation.clip is not None and conversation.targets is not None, "masks are asked for"
    frames = mask_view(conversation.clip.read(conversation.frames), side)
    return frames, label_masks(conversation.targets, side, rule)


@dataclass(frozen=True, eq=False)
class _Held:
    """Frames that were decoded once, for both views."""

    by_index: dict[int, NDArray[np.uint8]]

    def pick(self, wanted: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        return (self.by_index[index] for index in wanted)


def _hold(conversation: Conversation) -> Conversation:
    """The conversation about a clip that has its shown frames in memory."""
    clip = conversation.clip
    if clip is None:
        return conversation
    frames = dict(zip(conversation.frames, clip.read(conversation.frames), strict=True))
    held = Clip(clip.name, clip.width, clip.height, clip.times, clip.fps, _Held(frames))
    return replace(conversation, clip=held)
