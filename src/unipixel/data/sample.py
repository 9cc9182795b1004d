"""Sample: one item of a data set, as its files have it, before anything is drawn, worded or resized.

A sample says where the pictures are, what is said about them, and how to get the masks. Objects have numbers,
and text mentions them as `[3]`. Nothing is opened until it is asked for. Every class here is immutable and
may be pickled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from unipixel.core.frames import Frame
from unipixel.core.media import Clip
from unipixel.core.prompts import SlotPrompt
from unipixel.errors import DataError

Task: TypeAlias = Literal["segment", "refer", "describe", "remember", "choose", "chat"]
"""What a sample teaches: masks for words, words for a `<|ref|>`, words for remembered objects, masks for a
`<|ref|>`, one option of several, talk."""

Form: TypeAlias = Literal["query", "sentence", "explanatory", "question", "description", "part"]
"""How an expression names its objects; each form has templates of its own."""

Style: TypeAlias = Literal["brief", "detailed"]

Masks: TypeAlias = NDArray[np.bool_]
"""Objects on frames, bool [O, T, H, W]."""

_MENTION = re.compile(r"\[(\d+)\]")
_BLOCK = 16  # frames of a thinned video that are decoded together


# Pictures


class Drawing(Protocol):
    """A clip that is drawn in memory when it is opened: immutable, picklable, each time the same."""

    @property
    def num_frames(self) -> int:
        """How many frames it has, known before it is drawn."""
        ...

    def open(self) -> Clip:
        """The clip."""
        ...


@dataclass(frozen=True)
class Media:
    """Where the pictures of a sample are: files of frames, one video, or a drawing. Nothing is opened before
    `open`.

    Attributes:
        vid: name of the clip in its data set (`TAO/clip_7`); samples of one clip share it.
        frames: picture files in their order; empty when there is a video or a drawing.
        video: a video file; None when there are frames or a drawing.
        step: of the video only frames 0, step, 2 * step, ... count, and frame numbers count those (SA-V).
        window: of the video only what is shown from the first to the second of these seconds counts, and
            frame numbers count from there (MVBench); None is all.
        drawn: a clip without files; None when there are some.
    """

    vid: str
    frames: tuple[Path, ...] = ()
    video: Path | None = None
    step: int = 1
    window: tuple[float, float] | None = None
    drawn: Drawing | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", tuple(self.frames))
        if bool(self.frames) + (self.video is not None) + (self.drawn is not None) != 1:
            raise DataError(
                self.video or "",
                self.vid,
                f"{len(self.frames)} frames and {'a' if self.video else 'no'} video"
                f"{' and a drawing' if self.drawn else ''}",
                "either frames, a video or a drawing",
            )
        if self.step < 1 or (self.step > 1 and self.video is None):
            raise DataError(
                self.video or "", self.vid, f"step {self.step}", "1 for frames, at least 1 for videos"
            )
        if self.window is not None and (self.video is None or not 0 <= self.window[0] <= self.window[1]):
            raise DataError(
                self.video or "", self.vid, f"seconds {self.window}", "a video, and a start before its end"
            )

    @property
    def is_still(self) -> bool:
        """Whether this is a single picture."""
        return self.num_frames == 1

    @property
    def num_frames(self) -> int | None:
        """How many frames the clip has, or None for a video: that must be opened to know."""
        return len(self.frames) or (None if self.drawn is None else self.drawn.num_frames)

    @property
    def names(self) -> tuple[str, ...]:
        """File names of the frames without ending, which predictions are called by; empty without files of
        frames."""
        return tuple(path.stem for path in self.frames)

    def take(self, numbers: Sequence[int]) -> Media:
        """The clip with only the frames `numbers`, in that order: opening it looks at no other file.

        Raises:
            DataError: this is a video, or has no such frame.
        """
        total = self.num_frames
        if total is None or not all(0 <= number < total for number in numbers):
            whole = "a video" if self.video else f"{total} frames"
            raise DataError(self.video or "", self.vid, whole, f"a clip of frames with {list(numbers)}")
        if self.drawn is not None:
            return Media(self.vid, drawn=_Taken(self.drawn, tuple(numbers)))
        return Media(self.vid, tuple(self.frames[number] for number in numbers))

    def open(self) -> Clip:
        """The clip; frame numbers of the sample are those of this clip.

        Raises:
            MediaError: a file is missing, damaged, or of another size than the first.
        """
        if self.drawn is not None:
            return self.drawn.open()
        if self.video is None:
            return Clip.open(list(self.frames))
        clip = Clip.open(self.video)
        if self.step == 1 and self.window is None:
            return clip
        first, last = self._bounds(clip)
        times = clip.times[first : last + 1 : self.step]
        times = tuple(time - times[0] for time in times)
        return Clip(
            clip.name, clip.width, clip.height, times, clip.fps / self.step, _Thinned(clip, self.step, first)
        )

    def _bounds(self, clip: Clip) -> tuple[int, int]:
        """The frames nearest to the window's ends."""
        if self.window is None:
            return 0, clip.num_frames - 1
        first, last = (int(np.abs(np.subtract(clip.times, end)).argmin()) for end in self.window)
        return first, last


@dataclass(frozen=True)
class _Taken:
    """Some frames of a drawing."""

    whole: Drawing
    numbers: tuple[int, ...]

    @property
    def num_frames(self) -> int:
        return len(self.numbers)

    def open(self) -> Clip:
        clip = self.whole.open()
        return Clip.open(list(clip.read(self.numbers)), fps=clip.fps)


@dataclass(frozen=True, eq=False)
class _Thinned:
    """Every `step`-th frame of a clip from `first` on."""

    clip: Clip
    step: int
    first: int = 0

    def pick(self, wanted: Sequence[int]) -> Iterator[Frame]:
        for start in range(0, len(wanted), _BLOCK):
            block = wanted[start : start + _BLOCK]
            yield from self.clip.read([self.first + index * self.step for index in block])


class ObjectMasks(Protocol):
    """Masks of a sample's objects, decoded when they are read (`data.annotations` has all encodings)."""

    @property
    def num_objects(self) -> int:
        """How many objects there are."""
        ...

    def read(self, frames: Sequence[int], height: int, width: int) -> Masks:
        """Masks of all objects on some frames, in that order: bool [O, len(frames), height, width].

        `frames` are frame numbers of the sample's clip, `height` and `width` its size in pixels. A frame
        without annotation is empty.

        Raises:
            DataError: an annotation file is missing, damaged, or does not fit the frames.
        """
        ...


@runtime_checkable
class SelectiveMasks(ObjectMasks, Protocol):
    """ObjectMasks that can leave objects alone, so that nothing is decoded for those."""

    def only(self, objects: Sequence[int]) -> ObjectMasks:
        """The masks of the objects at these places, in that order."""
        ...


def only(masks: ObjectMasks, objects: Sequence[int]) -> ObjectMasks:
    """Masks of some objects of a sample, in that order; the others are not decoded where that is possible."""
    if tuple(objects) == tuple(range(masks.num_objects)):
        return masks
    return masks.only(objects) if isinstance(masks, SelectiveMasks) else _Picked(masks, tuple(objects))


@dataclass(frozen=True)
class _Picked:
    """Some of the objects of masks that can only be read together."""

    whole: ObjectMasks
    objects: tuple[int, ...]

    @property
    def num_objects(self) -> int:
        return len(self.objects)

    def read(self, frames: Sequence[int], height: int, width: int) -> Masks:
        return self.whole.read(frames, height, width)[list(self.objects)]


# Words


@dataclass(frozen=True)
class Expression:
    """Words for objects whose masks are the answer: one mask for the union of `objects`.

    Attributes:
        text: as published; for a "part" the name of the whole thing.
        form: how the text names them.
        objects: places in the sample's objects, at least one; words that nothing fits have an object that is
            never seen.
        answer: what is said beside the mask: the explanation of "explanatory", the answer of "question".
        part: name of the part, for form "part" only.
        id: the published number of the expression.
    """

    text: str
    form: Form
    objects: tuple[int, ...] = (0,)
    answer: str = ""
    part: str = ""
    id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "objects", tuple(self.objects))
        _check_text(self.text, "an expression")
        if not self.objects:
            raise DataError("", f"expression {self.id}", "no object", "at least one, if only one never seen")
        if self.form not in get_args(Form):
            raise DataError("", f"expression {self.id}", f"form {self.form!r}", f"one of {get_args(Form)}")
        if (self.form == "part") != bool(self.part):
            raise DataError(
                "expression", self.id, f"form {self.form!r} with part {self.part!r}", "both or neither"
            )
        if self.form in ("explanatory", "question") and not self.answer.strip():
            raise DataError("", f"expression {self.id}", f"form {self.form!r} without answer", "its answer")


@dataclass(frozen=True)
class Exchange:
    """A question and its answer, in words; objects are mentioned as `[id]` with the sample's ids."""

    question: str
    answer: str
    id: str = ""

    def __post_init__(self) -> None:
        _check_text(self.question, "a question")
        _check_text(self.answer, "an answer")

    @property
    def mentioned(self) -> tuple[int, ...]:
        """Ids in the question and then the answer, in the order of their first mention."""
        return mentions(self.question + "\n" + self.answer)


@dataclass(frozen=True)
class Caption:
    """A description of one object without a question of its own: the task's templates ask for it.

    Attributes:
        text: the description.
        object: place in the sample's objects.
        style: which templates fit.
        id: the published number, if any.
    """

    text: str
    object: int = 0
    style: Style = "detailed"
    id: str = ""

    def __post_init__(self) -> None:
        _check_text(self.text, "a description")


@dataclass(frozen=True)
class Choice:
    """A question with options.

    Attributes:
        question: text; objects are mentioned as `[id]`.
        options: texts without their letters, two to 26.
        key: place of the right one; None where it is not published.
        id: the published number, if any.
    """

    question: str
    options: tuple[str, ...]
    key: int | None
    id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(self.options))
        _check_text(self.question, "a question")
        if not 2 <= len(self.options) <= 26:
            raise DataError("", f"question {self.id}", f"{len(self.options)} options", "2 to 26")
        if self.key is not None and not 0 <= self.key < len(self.options):
            raise DataError(
                "", f"question {self.id}", f"right option {self.key}", f"0 to {len(self.options) - 1}"
            )

    @property
    def letter(self) -> str | None:
        """The right option's letter, "A" for the first."""
        return None if self.key is None else chr(ord("A") + self.key)

    @property
    def mentioned(self) -> tuple[int, ...]:
        """Ids in the question, in the order of their first mention."""
        return mentions(self.question)


Round: TypeAlias = Expression | Exchange | Caption | Choice


def mentions(text: str) -> tuple[int, ...]:
    """The ids that a text mentions as `[id]`, each once, in the order of their first mention."""
    return tuple(dict.fromkeys(int(number) for number in _MENTION.findall(text)))


def _check_text(text: str, what: str) -> None:
    if not text.strip():
        raise DataError("", what, "no text", "words")


# The sample


class Facts(Mapping[str, str]):
    """What evaluation wants to know beside words and masks (`type_id`, `q_type`, ...): names to texts.

    Immutable, hashable, equal by content.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, str] | None = None) -> None:
        self._items = tuple(sorted((items or {}).items()))
        for name, value in self._items:
            if not isinstance(value, str):
                raise DataError("", f"fact {name}", f"{value!r}", "text")

    def __getitem__(self, name: str) -> str:
        for key, value in self._items:
            if key == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(self._items)

    def __repr__(self) -> str:
        return f"Facts({dict(self._items)!r})"


@dataclass(frozen=True)
class Sample:
    """One item of a data set (an "anno" of the published code).

    Attributes:
        dataset: the data set's registered name.
        id: unique within a data set and split.
        task: what it teaches.
        media: its pictures; None only for talk about nothing ("chat").
        rounds: what is said; at least one. Image data sets keep all expressions of a picture together, and
            training draws some.
        object_ids: the numbers by which text calls the objects, in the objects' order.
        masks: the objects' masks, one for each of `object_ids`; None where none are published.
        annotated: frame numbers that carry annotations, increasing (`all_frame_inds`); None means all. With
            exactly one the language model sees frames of the whole clip with this one among them, with more
            it sees frames from among them (0.1).
        key_frame: the frame that must be seen whatever else is sampled (`frame_idx`); None if there is none.
        every_frame: whether all frames are seen, however few are asked for (Inst-IT; frames of TVQA).
        free_ids: whether the numbers mean nothing (a bare `<region>`), so that training may draw others.
        literal: whether dialogues are said as they stand, as in a person's own data: each `[id]` of an answer
            that is to "segment" or "remember" is a mask. Else the task has a form of its own for them.
        ignored: pixels that count neither way in scores, as one object (ReasonSeg, quirk Q1); None for none.
        foreground: everything that is annotated in the clip, as one object (ReVOS robustness); None for none.
        facts: what evaluation wants to know.
        pointers: for each of `object_ids` the clicks and boxes by which a person pointed at it, for data that
            has them; they can ask for an object, and are no masks. Empty where none are given: they are drawn
            from the masks.

    Raises:
        DataError: the parts contradict each other.
    """

    dataset: str
    id: str
    task: Task
    media: Media | None
    rounds: tuple[Round, ...]
    object_ids: tuple[int, ...] = ()
    masks: ObjectMasks | None = None
    annotated: tuple[int, ...] | None = None
    key_frame: int | None = None
    every_frame: bool = False
    free_ids: bool = False
    literal: bool = False
    ignored: ObjectMasks | None = None
    foreground: ObjectMasks | None = None
    facts: Facts = field(default_factory=Facts)
    pointers: tuple[tuple[SlotPrompt, ...], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "rounds", tuple(self.rounds))
        object.__setattr__(self, "object_ids", tuple(self.object_ids))
        if self.task not in get_args(Task):
            self._refuse(f"task {self.task!r}", f"one of {get_args(Task)}")
        if not self.rounds:
            self._refuse("no text", "at least one question, expression or caption")
        if self.media is None and self.task != "chat":
            self._refuse("no pictures", "frames or a video")
        self._check_objects()
        self._check_frames()
        if self.key_frame is not None and self.key_frame < 0:
            self._refuse(f"key frame {self.key_frame}", "a frame number from 0")

    def _check_objects(self) -> None:
        ids = self.object_ids
        if len(set(ids)) != len(ids) or min(ids, default=0) < 0:
            self._refuse(f"object ids {list(ids)}", "different numbers from 0")
        if self.masks is not None and self.masks.num_objects != len(ids):
            self._refuse(f"masks of {self.masks.num_objects} objects", f"one for each of the ids {list(ids)}")
        if self.pointers and len(self.pointers) != len(ids):
            self._refuse(f"pointers of {len(self.pointers)} objects", f"some for each of the ids {list(ids)}")
        for turn in self.rounds:
            places = turn.objects if isinstance(turn, Expression) else ()
            places = (turn.object,) if isinstance(turn, Caption) else places
            if any(not 0 <= place < len(ids) for place in places):
                self._refuse(f"object number {max(places)}", f"one of {len(ids)} objects, from 0")
            if isinstance(turn, Exchange | Choice) and self.task != "chat":
                unknown = sorted(set(turn.mentioned) - set(ids))
                if unknown and ids:
                    self._refuse(f"text that mentions {unknown}", f"only the objects {list(ids)}")

    def _check_frames(self) -> None:
        if self.annotated is None:
            return
        numbers = tuple(self.annotated)
        object.__setattr__(self, "annotated", numbers)
        total = self.media.num_frames if self.media is not None else 0
        top = float("inf") if total is None else total
        if not numbers or list(numbers) != sorted(set(numbers)) or numbers[0] < 0 or numbers[-1] >= top:
            self._refuse(f"annotated frames {list(numbers)}", f"increasing frame numbers below {top}")

    def _refuse(self, found: str, expected: str) -> None:
        raise DataError("", f"sample {self.id}", found, expected)


class Samples(Protocol):
    """Anything with a length that gives samples by their numbers from 0, as often as they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...
