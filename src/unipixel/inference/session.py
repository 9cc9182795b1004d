"""A session: one clip that is encoded once, and the objects on it that later questions can speak of.

This is the paper's object memory over several turns (arXiv 2509.18094, section 3).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from unipixel.core.conversation import Segment, Turn, assistant
from unipixel.core.frames import Frame
from unipixel.core.masks import MaskTrack
from unipixel.core.media import Clip, Source, check_sides
from unipixel.core.objects import KnownObjects, Pointing, SessionObject, check_masks, check_name, pointed_at
from unipixel.core.progress import OnProgress, watched
from unipixel.core.prompts import Box, Point, Prompt
from unipixel.core.request import Decoding, PixelBudget, check_num_frames, whole
from unipixel.core.response import Response, SegmentedObject
from unipixel.errors import PromptError, RequestError, SessionError
from unipixel.inference.answering import Spoken
from unipixel.inference.encoded_clip import EncodedClip
from unipixel.inference.following import Following, Found
from unipixel.inference.mask_way import MaskWay
from unipixel.inference.prompting import as_sequence, pointings
from unipixel.inference.questions import (
    AnswerInterrupted,
    AnswerStream,
    Exchange,
    Question,
    ask_together,
    make_question,
)
from unipixel.inference.tracking import Track
from unipixel.model.unipixel import UniPixel
from unipixel.output.draw import overlay
from unipixel.processing.processor import PreparedQuestion, Processor

KEEP_BYTES = 2**29
"""Frame features that a session keeps by default: about 100 frames of the published models in bfloat16."""
LOCALISE = "Please segment {label}."
"""How `refer(…, by="language")` asks."""

By: TypeAlias = Literal["decoder", "language"]
"""Two ways to a mask. "decoder": what was pointed out prompts the mask decoder on its own frame, and the
object is followed in both directions. "language": the language model reads it as `<|ref|>` (or `<|mem|>`)
and asks for the mask with `<|seg|>`, which prompts the mask decoder on frame 0 (the paper's way)."""


class Opened(Protocol):
    """An opened model."""

    @property
    def model(self) -> UniPixel: ...
    @property
    def processor(self) -> Processor: ...
    @property
    def way(self) -> MaskWay: ...


class Session:
    """One clip, what has been computed of it, and the objects known on it.

    Ids are stable and never given twice. A question mentions objects as `[id]`; each then stands before the
    first question with its features (`<|mem|>`). Every question begins a conversation of its own, in which
    earlier ones are known through the objects alone, as the weights were trained; with `follow_up`, earlier
    questions and answers stand before it as text. A session is no thread-safe object.
    """

    def __init__(
        self,
        model: UniPixel,
        processor: Processor,
        clip: Clip,
        *,
        num_frames: int | None = None,
        pixels: PixelBudget | None = None,
        keep_bytes: int = KEEP_BYTES,
        on_progress: OnProgress | None = None,
        way: MaskWay | None = None,
    ) -> None:
        """way: how masks are made of answers; None is the published way."""
        check_sides(clip)
        if pixels is not None and not isinstance(pixels, PixelBudget):
            raise RequestError(f"pixels is a PixelBudget; found {type(pixels).__name__}")
        self.model = model
        self.processor = processor
        self.clip = clip
        self.num_frames = None if num_frames is None else check_num_frames(num_frames)
        self.pixels = pixels
        self.exchanges: tuple[Exchange, ...] = ()
        self.known = KnownObjects()
        self.way = way or MaskWay()
        self._encoded: EncodedClip | None = self.way.encoded(
            model, processor, clip, whole(keep_bytes, "keep_bytes")
        )
        self._on_progress = on_progress
        self._tracks: list[Track] = []

    # Objects ---------------------------------------------------------------------------------------------

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """All objects, by id."""
        return tuple(self.known)

    @property
    def next_id(self) -> int:
        """The number that the next object gets."""
        return self.known.next_id

    def __getitem__(self, number: int) -> SessionObject:
        """The object `[number]`; SessionError names those that exist."""
        return self.known[number]

    def refer(
        self,
        prompts: Prompt | Sequence[Prompt],
        name: str | None = None,
        *,
        by: By = "decoder",
        follow: bool = True,
    ) -> SessionObject:
        """Point at an object; it gets masks and enters the memory.

        prompts: clicks with or without a box, a scribble (clicks along it), or a mask, which is taken as it
        is; on one frame, or on several. by: see `By`; the language model takes one click, box, mask or
        scribble. follow: False gives masks on the prompted frame alone (by="decoder"), to be followed later
        with `track`.

        Raises PromptError before any work; an interruption leaves the object with the masks found so far.
        """
        given = self._checked(prompts)
        check_name(name)
        if by == "language":
            if not follow:
                raise RequestError("the language model's masks begin on frame 0 and are followed from there")
            return self._refer_by_language(given, name)
        if by != "decoder":
            raise RequestError(f"by is {by!r}; expected 'decoder' or 'language'")
        known = SessionObject(self.next_id, "pointed", name)
        known = self._add(replace(known, pointings=pointings(known, given)))
        self._find([known.id], follow)
        return self[known.id]

    def add(self, masks: MaskTrack, name: str | None = None) -> SessionObject:
        """Take an object whose masks are known already."""
        check_masks(masks, self.clip)
        return self._add(SessionObject(self.next_id, "given", name, masks=masks))

    def correct(
        self, number: int, prompts: Prompt | Sequence[Prompt], *, follow: bool = True
    ) -> SessionObject:
        """Mend an object on any frame, with positive and negative clicks, a box, a scribble or a new mask;
        then it is followed again in both directions from all frames on which it was pointed out.

        Clicks correct the mask that the object has on their frame; where it has none, they must say where it
        is. follow: False mends the prompted frames alone.
        """
        known = self[number]
        given = self._checked(prompts)
        earlier = known.pointings
        if not known.can_be_followed and known.pointer is not None:
            earlier = (Pointing((known.pointer,)),)
        known = replace(known, pointings=earlier)
        origin: Literal["said", "pointed"] = "said" if known.said is not None else "pointed"
        self._check_open()
        self.known.put(replace(known, origin=origin, pointings=(*earlier, *pointings(known, given))))
        self._find([number], follow)
        return self[number]

    def rename(self, number: int, name: str | None) -> SessionObject:
        """Give an object a name, or take it away."""
        return self.known.put(replace(self[number], name=name))

    def remove(self, number: int) -> None:
        """Forget an object; its id is not given again."""
        self.known.remove(number)

    def merge(self, numbers: Sequence[int]) -> SessionObject:
        """Make one object of several: the first gets the union of all masks, the others go.

        From then on it stands for its mask on the frame where that is largest, should it be corrected and
        followed again.
        """
        return self.known.merge(numbers)

    def track(self, numbers: Sequence[int] | None = None) -> Iterator[tuple[int, Found]]:
        """Follow objects (all that can be) through the clip, and give masks while they are found: (frame,
        masks by id), first forward from the first prompted frame, then backward.

        Stopped early, by `break` or an interruption, the objects keep what was found so far.
        """
        able = self.to_follow(numbers)
        return self._track(able, "following") if able else iter(())

    def to_follow(self, numbers: Sequence[int] | None = None) -> list[int]:
        """Those of the objects that `track` follows. SessionError if one was named that cannot be."""
        wanted = [known.id for known in self.objects] if numbers is None else list(numbers)
        able = [number for number in wanted if self[number].can_be_followed]
        if numbers is not None and len(able) < len(wanted):
            unable = [self[number].label for number in wanted if number not in able]
            raise SessionError(
                f"{', '.join(unable)} was never pointed at or found by an answer; correct it first"
            )
        return able

    def show(self, frame: int) -> Frame:
        """A frame with all masks on it, uint8 [H, W, 3]."""
        found = {known.id: known.masks.at(frame) for known in self.objects if known.masks is not None}
        masks = {number: mask.rle.decode() for number, mask in found.items() if mask is not None}
        names = {known.id: known.name for known in self.objects if known.name}
        return overlay(self.clip.frame(frame), masks, names)

    # Questions -------------------------------------------------------------------------------------------

    def ask(
        self,
        text: str,
        prompts: Prompt | Sequence[Prompt] | Mapping[int, Prompt] = (),
        *,
        follow_up: bool = False,
        decoding: Decoding | None = None,
        answer_prefix: str = "",
    ) -> Response:
        """Ask about the clip and its objects.

        text: `[id]` speaks of a known object. prompts: what you point at now, numbered from `next_id` on in
        their order (or by numbers of your choice that are free); a click or box stands behind its first
        `[id]` (`<|ref|>`), a mask or scribble enters the memory (`<|mem|>`). follow_up: earlier questions
        and answers stand before this one, as text. Each mask in the answer becomes an object: under the id
        of what you pointed at, if the answer names that, else under a new one.

        Raises PromptError, RequestError or SessionError before any work, and AnswerInterrupted (a
        KeyboardInterrupt) with the masks found so far.
        """
        question = self.question(
            text, prompts, follow_up=follow_up, decoding=decoding, answer_prefix=answer_prefix
        )
        return ask_together([question])[0]

    def stream(
        self,
        text: str,
        prompts: Prompt | Sequence[Prompt] | Mapping[int, Prompt] = (),
        *,
        follow_up: bool = False,
        decoding: Decoding | None = None,
        answer_prefix: str = "",
    ) -> AnswerStream:
        """Like `ask`, but the text can be read while it is written."""
        question = self.question(
            text, prompts, follow_up=follow_up, decoding=decoding, answer_prefix=answer_prefix
        )
        return AnswerStream(question)

    def question(
        self,
        text: str,
        prompts: Prompt | Sequence[Prompt] | Mapping[int, Prompt] = (),
        *,
        follow_up: bool = False,
        decoding: Decoding | None = None,
        answer_prefix: str = "",
        forced_answer: Turn | None = None,
    ) -> Question:
        """A question that is checked and composed, but not asked yet (see `ask_together`)."""
        self._check_open()
        return make_question(
            self,
            text,
            prompts,
            follow_up=follow_up,
            decoding=decoding,
            answer_prefix=answer_prefix,
            forced_answer=forced_answer,
        )

    def take(
        self, asked: Question, prepared: PreparedQuestion, spoken: Spoken, *, remember_words: bool = True
    ) -> tuple[Response, list[int]]:
        """Put what was said into the memory: what was pointed at, and what the answer asks masks for. The
        response without its objects, and their numbers: they are to be followed.

        For callers that answer in steps; `ask` does it all. Raises SessionError if the session has changed
        since the question was made.
        """
        asked.check()
        text, mentions = self.processor.words(prepared, spoken.token_ids)
        numbers = [mention.object_id for mention in mentions]
        for number, prompt in asked.pointers.items():
            if number not in numbers:
                self._add(pointed_at(number, prompt, self.clip))
        starts = self.way.starts(self.encoded.frames, prepared.shown.frames, spoken.mask_prompts)
        for number, hidden, start in zip(numbers, spoken.mask_prompts, starts, strict=True):
            self._add(self._said(number, asked, hidden.float().cpu().numpy(), start))
        if remember_words:
            said = asked.request.answer_prefix + text
            self.exchanges = (*self.exchanges, Exchange(asked.text, said or "…"))
        response = Response(
            text=text,
            objects=(),
            mentions=tuple(mentions),
            raw_text=self.processor.tokenizer.decode(spoken.token_ids, keep_control=True),
            frames_seen=prepared.shown.frames,
            finish_reason=spoken.finish,
        )
        return response, numbers

    def complete(self, response: Response, numbers: Sequence[int]) -> Response:
        """Follow the objects of what was taken (see `take`): the response with its objects. AnswerInterrupted
        holds what was found."""
        try:
            if numbers:
                self._find(numbers, follow=True)
        except KeyboardInterrupt as stop:
            partly = replace(response, objects=self._segmented(numbers), finish_reason="interrupted")
            raise AnswerInterrupted(partly) from stop
        return self._split(replace(response, objects=self._segmented(numbers)))

    # Keeping ---------------------------------------------------------------------------------------------

    @property
    def encoded(self) -> EncodedClip:
        """What has been computed of the clip; SessionError once the session is closed."""
        self._check_open()
        assert self._encoded is not None
        return self._encoded

    @property
    def nbytes(self) -> int:
        """Bytes of what has been computed of the clip and is kept."""
        return 0 if self._encoded is None else self._encoded.nbytes

    @property
    def tracking_nbytes(self) -> int:
        """Bytes that are remembered of the objects which are being followed now."""
        return sum(track.nbytes for track in self._tracks)

    def restore(self, objects: Sequence[SessionObject], exchanges: Sequence[Exchange], next_id: int) -> None:
        """Take the state of another session on the same clip. Raises SessionError or PromptError for what
        does not fit the clip or each other."""
        shape = (self.model.config.hidden_tokens, self.model.config.sam2.d_model)
        for one in objects:
            pointed = [prompt for pointing in one.pointings for prompt in pointing.prompts]
            for prompt in [*pointed, *([one.pointer] if one.pointer else [])]:
                prompt.check(self.clip.width, self.clip.height, self.clip.num_frames)
            for mask in (pointing.corrects for pointing in one.pointings if pointing.corrects):
                if (mask.height, mask.width) != (self.clip.height, self.clip.width):
                    raise SessionError(f"object {one.label} was corrected on a mask of another size")
            if one.masks is not None:
                check_masks(one.masks, self.clip)
            if not 0 <= one.said_on < self.clip.num_frames:
                raise SessionError(f"object {one.label} was said on frame {one.said_on}, which is not there")
            if one.said is not None and (one.said.shape != shape or one.said.dtype != np.float32):
                raise SessionError(f"object {one.label} was said with tokens {one.said.shape}, not {shape}")
        self.known = KnownObjects(objects, next_id)
        self.exchanges = tuple(exchanges)

    def replace_masks(self, number: int, masks: MaskTrack) -> SessionObject:
        """Put other masks in the place of an object's."""
        check_masks(masks, self.clip)
        return self.known.put(replace(self[number], masks=masks))

    def save(self, path: str | os.PathLike[str], *, with_clip: bool = False) -> None:
        """Write everything that a person made into one file, from which `load` restores the session exactly.

        A clip that is read from files is named there, unless it is to be taken along (`with_clip`: its
        frames, without loss); frames held in memory are always taken along. Raises SessionError or
        OutputError.
        """
        from unipixel.inference.session_file import save_session

        save_session(self, path, with_clip=with_clip)

    @staticmethod
    def load(
        path: str | os.PathLike[str],
        opened: Opened,
        clip: Source | None = None,
        *,
        keep_bytes: int = KEEP_BYTES,
        on_progress: OnProgress | None = None,
    ) -> Session:
        """A saved session, with the model it was made with; `clip` says where its clip is now, if it was
        moved.

        Raises SessionError for a file that is damaged, of another kind, made with another model, or about a
        clip that has changed.
        """
        from unipixel.inference.session_file import load_session

        return load_session(path, opened, clip, keep_bytes=keep_bytes, on_progress=on_progress)

    def free(self) -> None:
        """Let go what can be computed again; the next question pays for it. Objects stay."""
        self.encoded.clear()

    def close(self) -> None:
        """Free everything that was computed. Objects and their masks stay readable, nothing else works."""
        if self._encoded is not None:
            self._encoded.clear()
            self._encoded = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Inside ----------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._encoded is None:
            raise SessionError("the session is closed; open another one on the clip")

    def _add(self, known: SessionObject) -> SessionObject:
        self._check_open()
        return self.known.put(known)

    def _checked(self, prompts: Prompt | Sequence[Prompt]) -> tuple[Prompt, ...]:
        given = as_sequence(prompts)
        for prompt in given:
            prompt.check(self.clip.width, self.clip.height, self.clip.num_frames)
        return given

    def _refer_by_language(self, given: Sequence[Prompt], name: str | None) -> SessionObject:
        if len(given) != 1:
            raise PromptError(f"the language model takes one click, box or mask; found {len(given)} prompts")
        number = self.next_id
        label = f"[{number}]"
        question = self.question(
            LOCALISE.format(label=label), given, forced_answer=assistant(f"{label} ", Segment())
        )
        ask_together([replace(question, name=name)], remember_words=False)
        return self[number]

    def _find(self, numbers: Sequence[int], follow: bool) -> None:
        """Masks of objects: on all frames, or on the prompted ones alone."""
        if follow:
            for _ in self._track(numbers, "following"):
                pass
            return
        for _ in Following(self.model, self.encoded, self.known, numbers).prompted():
            pass

    def _track(self, numbers: Sequence[int], what: str) -> Iterator[tuple[int, Found]]:
        following = Following(self.model, self.encoded, self.known, numbers)
        steps = following.through()
        self._tracks.append(following.track)
        try:
            yield from watched(steps, what, len(following), self._on_progress)
        finally:
            steps.close()
            self._tracks.remove(following.track)

    def _split(self, response: Response) -> Response:
        """The answer with its objects split, if that is wanted; the parts are objects of their own, given as
        masks: what the language model said is the whole."""
        pointed = [one.id for one in self.objects if one.pointings or one.pointer is not None]
        response = self.way.split(response, self.next_id, pointed)
        for one in response.objects:
            if one.part_of is not None:
                self._add(SessionObject(one.id, "given", one.name, masks=one.masks))
        return response

    def _said(
        self, number: int, asked: Question, hidden: NDArray[np.float32], start: int = 0
    ) -> SessionObject:
        """An object that an answer asked a mask for, and that is followed from frame `start`; it may have
        been pointed at, now or before."""
        prompt, before = asked.pointers.get(number), self.known.get(number)
        pointer = prompt if isinstance(prompt, Point | Box) else before.pointer if before else None
        name = asked.name if number in asked.pointers else before.name if before else None
        pointings = before.pointings if before else ()
        return SessionObject(number, "said", name, pointings, pointer, hidden, said_on=start)

    def _segmented(self, numbers: Sequence[int]) -> tuple[SegmentedObject, ...]:
        """Those of the objects that have masks, which are all unless they were not followed yet."""
        objects = [self[number] for number in numbers]
        return tuple(
            SegmentedObject(known.id, known.masks, known.name) for known in objects if known.masks is not None
        )
