"""A person's words and pointers as a question: which pointer stands where."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from unipixel.core.conversation import Part, Refer, Turn, user
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.prompts import Prompt, RegionMask, Scribble
from unipixel.core.request import Decoding, PixelBudget, RememberedObject, Request
from unipixel.errors import RequestError

MENTION = re.compile(r"\[([0-9]{1,9})\]")
"""How a text mentions an object."""


def mentioned(text: str) -> tuple[int, ...]:
    """The numbers of the objects that a text mentions, each once, in order."""
    return tuple(dict.fromkeys(int(found) for found in MENTION.findall(text)))


def compose_question(
    text: str, prompts: Sequence[Prompt] | Mapping[int, Prompt], clip: Clip
) -> tuple[Turn, tuple[RememberedObject, ...]]:
    """A question in which `prompts[k]` is object `[k]`.

    A click or box is placed behind the first `[k]` in the text, or at the end if the text does not mention
    it; a mask or scribble becomes an object of the memory, which precedes the question. Raises PromptError or
    RequestError for prompts that do not fit the clip, and for empty text.
    """
    if not isinstance(text, str):
        raise RequestError(f"a question is text; found {type(text).__name__}")
    if not text.strip():
        raise RequestError("the question is empty; write what you want to know or to have segmented")
    numbered = prompts if isinstance(prompts, Mapping) else dict(enumerate(prompts))
    for prompt in numbered.values():
        prompt.check(clip.width, clip.height, clip.num_frames)
    parts: list[Part] = [text]
    remembered = []
    for number, prompt in numbered.items():
        if isinstance(prompt, Scribble):
            prompt = prompt.to_mask(clip.width, clip.height)
        if isinstance(prompt, RegionMask):
            remembered.append(remember(number, prompt))
        else:
            parts = _point_at(parts, number, Refer(prompt))
    return user(*parts), tuple(remembered)


def remember(number: int, region: RegionMask) -> RememberedObject:
    """A mask on one frame as object `[number]` of the memory."""
    frame = FrameMask(region.frame, RLE.from_mask(region.mask), score=1.0, present=True)
    return RememberedObject(number, MaskTrack((frame,)))


def _point_at(parts: Sequence[Part], number: int, slot: Refer) -> list[Part]:
    """Parts with a slot behind the first mention of `[number]`."""
    label = f"[{number}]"
    for index, part in enumerate(parts):
        found = re.search(re.escape(label), part) if isinstance(part, str) else None
        if found and isinstance(part, str):
            return [*parts[:index], part[: found.end()] + " ", slot, part[found.end() :], *parts[index + 1 :]]
    return [*parts, f" {label} ", slot]


def ask_about(
    clip: Clip,
    text: str,
    prompts: Sequence[Prompt] = (),
    *,
    num_frames: int | None = None,
    pixels: PixelBudget | None = None,
    decoding: Decoding | None = None,
    answer_prefix: str = "",
) -> Request:
    """One question as a request; the frames of the prompts are among those that the language model sees."""
    turn, memory = compose_question(text, prompts, clip)
    return Request(
        clip=clip,
        turns=(turn,),
        memory=memory,
        answer_prefix=answer_prefix,
        keep_frames=tuple(prompt.frame for prompt in prompts),
        num_frames=num_frames,
        pixels=pixels,
        decoding=decoding or Decoding(),
        pointed_ids=frozenset(range(len(prompts))),
    )
