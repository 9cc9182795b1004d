"""One immutable value that says everything a caller may want from the model."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from unipixel.core.conversation import Turn, check_text
from unipixel.core.masks import MaskTrack
from unipixel.core.media import Clip
from unipixel.errors import PromptError, RequestError

GREEDY_BELOW = 1e-6
"""Below it logits divided by the temperature leave float32, and the choice is greedy in any case."""
FRAME_LIST_STEP = 1.0
"""Seconds between two pairs of frames of a list: it counts as 2 frames per second."""
TOKEN_PIXELS = 28 * 28
"""Pixels that one language-view token covers (a 2x2 group of 14-pixel patches)."""


def whole(value: object, what: str) -> int:
    """A whole number, whatever kind of integer it came as; RequestError for anything else."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise RequestError(f"{what} must be a whole number; found {value!r:.60}") from error


def _number(value: object, what: str) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise RequestError(f"{what} must be a number; found {value!r:.60}") from error


@dataclass(frozen=True)
class PixelBudget:
    """How many pixels a frame of the language view may have.

    With `shared_frames` n, a clip of which L < n frames are shown gets floor(n / L) times the maximum.
    """

    min_pixels: int = 128 * TOKEN_PIXELS
    max_pixels: int = 256 * TOKEN_PIXELS
    shared_frames: int | None = 16

    def __post_init__(self) -> None:
        for name in ("min_pixels", "max_pixels"):
            object.__setattr__(self, name, whole(getattr(self, name), name))
        if self.shared_frames is not None:
            object.__setattr__(self, "shared_frames", whole(self.shared_frames, "shared_frames"))
        if not 0 < self.min_pixels <= self.max_pixels:
            raise RequestError(
                f"a pixel budget needs 0 < min_pixels <= max_pixels; found {self.min_pixels} and "
                f"{self.max_pixels}"
            )
        if self.shared_frames is not None and self.shared_frames < 1:
            raise RequestError(f"shared_frames must be at least 1; found {self.shared_frames}")

    def for_frames(self, num_frames: int) -> tuple[int, int]:
        """The (minimum, maximum) pixels of a frame when `num_frames` frames are shown."""
        factor = max(1, self.shared_frames // num_frames) if self.shared_frames else 1
        return self.min_pixels, self.max_pixels * factor


@dataclass(frozen=True)
class Decoding:
    """How the answer's tokens are chosen: greedy by default, drawn when `temperature` > 0.

    Temperatures below GREEDY_BELOW count as 0. 0 <= seed < 2**63. `stop`: texts that end the answer and are
    no part of it. `require_mask`: the answer holds at least one mask; where it would end without one,
    `<|seg|>` is written in place of its end, and the answer goes on (a text of `stop` does not count before
    that). Raises RequestError.
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: Sequence[str] = ()
    require_mask: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_new_tokens", whole(self.max_new_tokens, "max_new_tokens"))
        object.__setattr__(self, "seed", whole(self.seed, "seed"))
        for name in ("temperature", "top_p"):
            object.__setattr__(self, name, _number(getattr(self, name), name))
        if self.max_new_tokens < 1:
            raise RequestError(f"max_new_tokens must be at least 1; found {self.max_new_tokens}")
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise RequestError(f"temperature must be 0 (greedy) or positive; found {self.temperature:g}")
        if self.temperature < GREEDY_BELOW:
            object.__setattr__(self, "temperature", 0.0)
        if not 0 < self.top_p <= 1:
            raise RequestError(f"top_p must lie in (0, 1]; found {self.top_p:g}")
        if not 0 <= self.seed < 2**63:
            raise RequestError(f"seed must be a whole number from 0 to 2**63 - 1; found {self.seed!r}")
        stop = tuple(self.stop) if isinstance(self.stop, Iterable) else (None,)
        if isinstance(self.stop, str) or not all(isinstance(text, str) and text for text in stop):
            raise RequestError(f"stop must be a list of texts, none of them empty; found {self.stop!r}")
        object.__setattr__(self, "stop", stop)


@dataclass(frozen=True)
class RememberedObject:
    """An object of the memory: its number `[id]` and its masks on some frames of the
    clip (none on the others)."""

    id: int
    masks: MaskTrack

    def __post_init__(self) -> None:
        if self.id < 0:
            raise RequestError(f"an object's id must be 0 or more; found {self.id}")


def check_num_frames(value: object) -> int:
    """How many frames the language model sees; RequestError unless that is a whole number, 1 or more."""
    number = whole(value, "num_frames")
    if number < 1:
        raise RequestError(f"the language model needs at least 1 frame; found num_frames={number}")
    return number


@dataclass(frozen=True)
class Request:
    """A question about a clip.

    `turns` alternates user and assistant and ends with the question. `memory` lists the objects whose
    features precede the first question (`<|mem|>`). `forced_answer` is read
    instead of generated (teacher forcing); `answer_prefix` opens the generated answer. `keep_frames` are
    always among the frames that the language model sees; `frames`, where they are given, are those it sees,
    in place of evenly spread ones (a kept frame takes the place of the nearest). `num_frames` and `pixels`
    default to the model's own; `seconds_per_step` is the time between two pairs of frames, 1 second as for
    lists of frames. New objects of the answer are numbered from `next_id` on; a number
    that the answer writes counts if it is a new one, or one of `pointed_ids`, which the question points at.
    """

    clip: Clip
    turns: tuple[Turn, ...]
    memory: tuple[RememberedObject, ...] = ()
    forced_answer: Turn | None = None
    answer_prefix: str = ""
    keep_frames: tuple[int, ...] = ()
    num_frames: int | None = None
    pixels: PixelBudget | None = None
    seconds_per_step: float = FRAME_LIST_STEP
    decoding: Decoding = field(default_factory=Decoding)
    next_id: int = 0
    pointed_ids: frozenset[int] = frozenset()
    frames: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.clip, Clip):
            raise RequestError(f"a request is about a Clip; found {type(self.clip).__name__}: use Clip.open")
        object.__setattr__(self, "turns", tuple(self.turns))
        object.__setattr__(self, "memory", tuple(self.memory))
        step = _number(self.seconds_per_step, "seconds_per_step")
        if not (math.isfinite(step) and step > 0):
            raise RequestError(f"seconds_per_step must be above 0; found {step:g}")
        object.__setattr__(self, "seconds_per_step", step)
        self._check_turns()
        self._check_memory()
        check_text(self.answer_prefix)
        if self.num_frames is not None:
            object.__setattr__(self, "num_frames", check_num_frames(self.num_frames))
        kept = {*self.keep_frames, *(prompt.frame for turn in self.turns for prompt in turn.prompts)}
        for index in kept:
            if not 0 <= index < self.clip.num_frames:
                raise PromptError(
                    f"frame {index} does not exist: the clip has frames 0 to {self.clip.num_frames - 1}"
                )
        object.__setattr__(self, "keep_frames", tuple(sorted(kept)))
        if self.frames is not None:
            self._check_frames(self.frames)

    def _check_frames(self, frames: Sequence[int]) -> None:
        """Those that are shown: of the clip, in order, at least one."""
        chosen = tuple(whole(frame, "a frame that is shown") for frame in frames)
        in_order = list(chosen) == sorted(set(chosen))
        if not chosen or not in_order or chosen[0] < 0 or chosen[-1] >= self.clip.num_frames:
            raise RequestError(
                f"the frames that are shown must be different ones from 0 to {self.clip.num_frames - 1}, in "
                f"order; found {list(chosen)[:20]}"
            )
        object.__setattr__(self, "frames", chosen)

    def _check_turns(self) -> None:
        if not self.turns:
            raise RequestError("a request needs at least one question")
        for index, turn in enumerate(self.turns):
            expected = "user" if index % 2 == 0 else "assistant"
            if turn.role != expected:
                raise RequestError(
                    f"turn {index} is said by the {turn.role}; turns alternate and begin with the user"
                )
            for prompt in turn.prompts:
                prompt.check(self.clip.width, self.clip.height, self.clip.num_frames)
        if self.turns[-1].role != "user":
            raise RequestError("the last turn must be the user's; give an answer to read as forced_answer")
        if self.forced_answer is not None and self.forced_answer.role != "assistant":
            raise RequestError("forced_answer must be the assistant's turn")
        if self.forced_answer is not None and self.forced_answer.prompts:
            raise RequestError(
                "forced_answer points at something; clicks and boxes belong in the user's turns"
            )
        if self.forced_answer is not None and self.answer_prefix:
            raise RequestError("give either forced_answer or answer_prefix, not both")

    def _check_memory(self) -> None:
        ids = [remembered.id for remembered in self.memory]
        if len(set(ids)) != len(ids):
            raise RequestError(f"every object of the memory needs its own id; found {ids}")
        for remembered in self.memory:
            size = (remembered.masks.height, remembered.masks.width)
            if size != (self.clip.height, self.clip.width):
                raise PromptError(
                    f"object [{remembered.id}] has masks of {size[1]}x{size[0]} pixels, "
                    f"but the clip is {self.clip.width}x{self.clip.height}"
                )
            for seen in remembered.masks.frames:
                if not 0 <= seen.index < self.clip.num_frames:
                    raise PromptError(
                        f"object [{remembered.id}] has a mask on frame {seen.index}, but the clip has frames "
                        f"0 to {self.clip.num_frames - 1}"
                    )
