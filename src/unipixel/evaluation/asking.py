"""How samples are asked about: one small class for each family of tasks.

Words come from `data.wording`, choices from `data.policy.EVALUATION`; nothing here knows a benchmark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.random import Generator

from unipixel.core.conversation import Refer, Turn, user
from unipixel.core.frames import Frame, even_times
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.prompts import SlotPrompt
from unipixel.core.request import Decoding, PixelBudget, RememberedObject, Request
from unipixel.core.response import Response, SegmentedObject
from unipixel.data.conversations import Conversation, converse
from unipixel.data.phrasing import ask_to_choose, ask_to_segment
from unipixel.data.policy import EVALUATION, Policy
from unipixel.data.randomness import once
from unipixel.data.sample import Choice, Expression, Sample
from unipixel.data.visual_prompts import PointedBy, draw_pointer
from unipixel.data.wording import REGION_OPENING
from unipixel.errors import SampleUnusable
from unipixel.evaluation.benchmark import Setting, Step
from unipixel.evaluation.predictions import PredictedObject, Prediction

NO_MASK = "the answer has no mask"
NO_WORDS = "the answer is empty"
_FRAME_LISTS_PER_SECOND = 2.0

Pointing: TypeAlias = Literal["point", "box", "mix"]


@dataclass(frozen=True)
class Segment:
    """Ask for the mask of an expression; of several masks in an answer only the first counts (Q12).

    num_frames, pixels: what the language model is shown; None leaves that to the model.
    """

    num_frames: int | None = EVALUATION.frames.bounds[1]
    pixels: PixelBudget | None = EVALUATION.frames.budget
    max_new_tokens: int = 512

    def __call__(self, sample: Sample, setting: Setting) -> Step:
        """The mask decoder gets every frame of the clip."""
        expression, clip = sample.rounds[0], _open(sample)
        if not isinstance(expression, Expression):
            raise SampleUnusable(sample.id, "no expression", "words for an object")
        medium = "image" if clip.is_image else "video"
        question, _ = ask_to_segment(expression, medium, setting.wording, None)
        request = Request(
            clip,
            (user(question),),
            num_frames=self.num_frames,
            pixels=self.pixels,
            decoding=Decoding(self.max_new_tokens),
        )
        return Step(request, lambda response: segmented(sample.id, response))


def segmented(sample: str, response: Response) -> Prediction:
    """The first object of an answer as a prediction."""
    if not response.objects:
        return Prediction(sample, "unanswered", response.text, NO_MASK)
    return Prediction(sample, text=response.text, objects=(as_predicted(response.objects[0], 0),))


def as_predicted(found: SegmentedObject, number: int) -> PredictedObject:
    """Masks of an answer's object, as object `number` of the sample."""
    return PredictedObject(number, found.masks.indices, tuple(frame.rle for frame in found.masks))


@dataclass(frozen=True)
class Words:
    """Ask for words: a description of marked objects, or an option.

    pixels: of frames, where it is not the usual budget.
    """

    max_new_tokens: int = 512
    pixels: PixelBudget | None = None

    def __call__(self, sample: Sample, setting: Setting) -> Step:
        conversation = converse(sample, once(sample, setting.seed), _policy(setting, self.pixels))
        request = shown_only(conversation, Decoding(self.max_new_tokens))
        return Step(request, lambda response: spoken(sample.id, response))


def spoken(sample: str, response: Response) -> Prediction:
    """The text of an answer as a prediction."""
    if not response.text.strip():
        return Prediction(sample, "unanswered", reason=NO_WORDS)
    return Prediction(sample, text=response.text)


@dataclass(frozen=True)
class PixelQa:
    """PixelQA: first masks for what is clicked or boxed, its numbers given; then an option, with these
    masks in the memory.

    pointing: "mix" clicks a lone object or boxes it, by chance; of several, half (round half to even) are
    clicked and the others boxed. Which, is drawn with the run's seed; the published evaluation draws anew
    each time. An object that is found nowhere is remembered as the whole picture, as published.
    """

    pointing: Pointing = "point"
    max_new_tokens: int = 512

    def __call__(self, sample: Sample, setting: Setting) -> Step:
        choice = sample.rounds[0]
        if not isinstance(choice, Choice):
            raise SampleUnusable(sample.id, "no question with options", "one")
        rng = once(sample, setting.seed)
        pointed = replace(sample, task="remember", pointers=_pointers(sample, self.pointing, rng))
        conversation = converse(pointed, rng, _policy(setting, None))
        request = shown_only(conversation, Decoding(self.max_new_tokens))
        request = replace(request, forced_answer=conversation.answer)
        question = ask_to_choose(choice, True, setting.wording, None)

        def then(response: Response) -> Step:
            found = {one.id: one.masks for one in response.objects}
            missing = sorted(set(sample.object_ids) - set(found))
            if missing:
                raise SampleUnusable(sample.id, f"objects {missing} in no answer", "every object in the text")
            tracks = {number: found[number] for number in sample.object_ids}
            return _choose(sample.id, request, question, conversation.frames, tracks)

        return Step(request, then)


def _choose(
    sample: str, first: Request, question: str, frames: Sequence[int], tracks: Mapping[int, MaskTrack]
) -> Step:
    """The second pass, on the frames of the first, about the objects that it found."""
    objects = tuple(
        PredictedObject(number, tuple(frames), tuple(frame.rle for frame in track))
        for number, track in tracks.items()
    )
    request = replace(
        first,
        turns=(user(question),),
        memory=tuple(RememberedObject(number, _filled(track)) for number, track in tracks.items()),
        forced_answer=None,
        answer_prefix=REGION_OPENING,
        keep_frames=(),
    )
    return Step(request, lambda response: replace(spoken(sample, response), objects=objects))


def _filled(track: MaskTrack) -> MaskTrack:
    if track.area:
        return track
    whole = RLE.from_mask(np.ones((track.height, track.width), np.bool_))
    return MaskTrack(tuple(FrameMask(frame.index, whole, 0.0, True) for frame in track))


def _pointers(sample: Sample, pointing: Pointing, rng: Generator) -> tuple[tuple[SlotPrompt, ...], ...]:
    """One click or box on the key frame for each object."""
    clip, frame = _open(sample), sample.key_frame
    if sample.masks is None or frame is None:
        raise SampleUnusable(sample.id, "no masks or no frame to point at", "published ones")
    masks = sample.masks.read([frame], clip.height, clip.width)[:, 0]
    if not masks.any(axis=(1, 2)).all():
        raise SampleUnusable(sample.id, f"object without a mask on frame {frame}", "one to point at")
    kinds = pointed_by(pointing, len(masks), rng)
    drawn = zip(masks, kinds, strict=True)
    return tuple((draw_pointer(mask, frame, kind, rng, EVALUATION.pointers),) for mask, kind in drawn)


def pointed_by(pointing: Pointing, number: int, rng: Generator) -> tuple[PointedBy, ...]:
    """What each of `number` objects is pointed at with."""
    if pointing != "mix":
        return (pointing,) * number
    if number == 1:
        return ("point" if rng.random() < 0.5 else "box",)
    clicked = set(rng.permutation(number)[: round(number / 2)].tolist())
    return tuple("point" if place in clicked else "box" for place in range(number))


# Shown frames


def shown_only(conversation: Conversation, decoding: Decoding) -> Request:
    """A conversation as a request whose clip has only the frames that are shown: the language model and the
    mask decoder see exactly these."""
    assert conversation.clip is not None, "evaluation is about clips"
    clip, frames = conversation.clip, conversation.frames
    request = conversation.request(answered=False, decoding=decoding)
    if frames == tuple(range(clip.num_frames)):
        return request
    places = {frame: place for place, frame in enumerate(frames)}
    fps = _FRAME_LISTS_PER_SECOND
    fewer = Clip(clip.name, clip.width, clip.height, even_times(len(frames), fps), fps, _Chosen(clip, frames))
    return replace(
        request,
        clip=fewer,
        turns=tuple(_moved(turn, places) for turn in request.turns),
        memory=tuple(_moved_memory(one, places) for one in request.memory),
        keep_frames=(),
    )


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Some frames of a clip."""

    clip: Clip
    frames: tuple[int, ...]

    def pick(self, wanted: Sequence[int]) -> Iterator[Frame]:
        yield from self.clip.read([self.frames[place] for place in wanted])


def _moved(turn: Turn, places: Mapping[int, int]) -> Turn:
    parts = tuple(
        Refer(replace(part.prompt, frame=places[part.prompt.frame])) if isinstance(part, Refer) else part
        for part in turn.parts
    )
    return Turn(turn.role, parts)


def _moved_memory(one: RememberedObject, places: Mapping[int, int]) -> RememberedObject:
    frames = tuple(replace(frame, index=places[frame.index]) for frame in one.masks)
    return RememberedObject(one.id, MaskTrack(frames))


def _open(sample: Sample) -> Clip:
    if sample.media is None:
        raise SampleUnusable(sample.id, "no pictures", "a clip")
    return sample.media.open()


def _policy(setting: Setting, pixels: PixelBudget | None) -> Policy:
    frames = replace(EVALUATION.frames, pixels=pixels or EVALUATION.frames.pixels)
    return replace(EVALUATION, frames=frames, text=replace(EVALUATION.text, wording=setting.wording))
