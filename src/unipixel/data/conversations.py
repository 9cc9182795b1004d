"""From sample to conversation: which frames are shown, what is said and pointed at, which masks are wanted.

A conversation is still free of tensors and of any model; `training.examples` and `processing` take it from
here, by the same code as at inference. What is said is up to `data.teaching`, what is shown to `data.shown`.
"""

from __future__ import annotations

from dataclasses import dataclass

from numpy.random import Generator

from unipixel.core.conversation import Turn
from unipixel.core.media import Clip
from unipixel.core.request import Decoding, PixelBudget, RememberedObject, Request
from unipixel.data.drafts import Draft, given_pointers
from unipixel.data.kinds import DATA_TYPES, DataType, data_type
from unipixel.data.limits import check_limits, check_words
from unipixel.data.policy import Policy
from unipixel.data.randomness import once
from unipixel.data.sample import Masks, Sample
from unipixel.data.shown import film_step, frame_pixels, is_film, shown_frames
from unipixel.data.teaching import teach
from unipixel.data.visual_prompts import PointedBy
from unipixel.errors import LeftOut, SampleUnusable

__all__ = [
    "DATA_TYPES",
    "Conversation",
    "DataType",
    "LeftOut",
    "Provenance",
    "SampleUnusable",
    "converse",
    "data_type",
    "once",
]


@dataclass(frozen=True)
class Provenance:
    """Where a conversation comes from: data set, sample, and the ids of the rounds that were drawn (their
    place in the sample where none is published)."""

    dataset: str
    sample: str
    rounds: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Conversation:
    """What is shown, said and wanted.

    Attributes:
        kind: what it teaches, for batches of one kind.
        clip: None for talk about nothing.
        frames: numbers of the frames that are shown, increasing; of a still [0].
        turns: from the user's first; ends with the assistant's, in evaluation perhaps with the user's.
        memory: objects that precede the first question, with masks on shown frames.
        targets: bool [O, len(frames), H, W]: the mask of each `Segment` of all turns, in order; None where no
            mask is asked for, and in the evaluation of segmentation, which compares all frames.
        pixels: room of a frame in the language view; None without clip.
        seconds_per_step: between two temporal steps (pairs of frames).
        answer_prefix: how a generated answer has to begin (choices only).
        source: where it comes from.
    """

    kind: DataType
    clip: Clip | None
    frames: tuple[int, ...]
    turns: tuple[Turn, ...]
    source: Provenance
    memory: tuple[RememberedObject, ...] = ()
    targets: Masks | None = None
    pixels: PixelBudget | None = None
    seconds_per_step: float = 1.0
    answer_prefix: str = ""

    def __post_init__(self) -> None:
        roles = [turn.role for turn in self.turns]
        expected = [("user", "assistant")[place % 2] for place in range(len(roles))]
        assert roles and roles == expected, f"turns alternate from the user's; found {roles}"
        assert bool(self.frames) == (self.clip is not None), "frames are shown where there is a clip"
        shown = {prompt.frame for turn in self.turns for prompt in turn.prompts}
        assert shown <= set(self.frames), f"pointers on {sorted(shown)}, but {self.frames} are shown"
        if self.targets is not None and self.clip is not None:
            wanted = (self.num_masks, len(self.frames), self.clip.height, self.clip.width)
            assert self.targets.shape == wanted, f"masks {self.targets.shape}, but {wanted} are asked for"

    @property
    def num_masks(self) -> int:
        """How many masks the turns ask for."""
        return sum(turn.num_masks for turn in self.turns)

    @property
    def is_still(self) -> bool:
        """Whether the model sees a picture as such; all but the stills of general talk count as videos."""
        return self.kind == "multimodal" and self.clip is not None and self.clip.is_image

    @property
    def questions(self) -> tuple[Turn, ...]:
        """All turns up to the last question."""
        return self.turns[:-1] if self.turns[-1].role == "assistant" else self.turns

    @property
    def answer(self) -> Turn | None:
        """The last answer, if it is known."""
        return self.turns[-1] if self.turns[-1].role == "assistant" else None

    def request(self, *, answered: bool, decoding: Decoding | None = None) -> Request:
        """The same as a request: with its last answer given, or to be generated behind `answer_prefix`.

        The processor must be told to show `frames` where they are not spread evenly over the clip.
        """
        assert self.clip is not None, "a request is about a clip"
        return Request(
            clip=self.clip,
            turns=self.questions,
            memory=self.memory,
            forced_answer=self.answer if answered else None,
            answer_prefix="" if answered else self.answer_prefix,
            num_frames=len(self.frames),
            pixels=self.pixels,
            seconds_per_step=self.seconds_per_step,
            decoding=decoding or Decoding(),
        )


def converse(
    sample: Sample, rng: Generator, policy: Policy, pointed_by: PointedBy | None = None
) -> Conversation:
    """One conversation about a sample; opens its pictures and masks.

    Args:
        sample: what to talk about.
        rng: for what differs from visit to visit; it is advanced.
        policy: all choices.
        pointed_by: what "refer" and "remember" point with; None draws it.

    Raises:
        SampleUnusable: no conversation can be made of it; LeftOut for the policy's limits.
        DataError: its annotations are damaged; MediaError: its pictures are.
    """
    check_limits(sample, policy)
    clip = sample.media.open() if sample.media is not None else None
    how: PointedBy = pointed_by or ("point" if rng.random() < 0.5 else "box")
    given = given_pointers(sample, how, rng)
    kept = [prompt.frame for prompt in given.values()]
    frames = shown_frames(sample, clip, rng, policy.frames, kept) if clip is not None else ()
    draft = Draft(sample, policy, rng, once(sample, policy.seed), clip, frames, how, given)
    said = teach(draft)
    check_words(sample, said.turns, policy)
    film = clip is not None and is_film(sample)
    return Conversation(
        kind=data_type(sample, clip is not None and clip.is_image, how),
        clip=clip,
        frames=frames,
        turns=said.turns,
        source=Provenance(sample.dataset, sample.id, said.rounds),
        memory=said.memory,
        targets=said.targets,
        pixels=None if clip is None else frame_pixels(policy.frames, film),
        seconds_per_step=film_step(clip, frames) if clip is not None and film else 1.0,
        answer_prefix=said.answer_prefix,
    )
