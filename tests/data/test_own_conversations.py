"""A person's own dialogues, from the file to tensors, as docs/data.md promises."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.data.by_hand import Blocks, clip_of
from tests.data.own_data import EXAMPLES, make_files, written

from unipixel.core.conversation import Refer, Segment
from unipixel.core.prompts import Box, Point
from unipixel.core.request import PixelBudget
from unipixel.core.tokens import IGNORE_INDEX
from unipixel.data.annotations import LabelMaps, MaskFiles, RegionMasks
from unipixel.data.conversations import Conversation, converse
from unipixel.data.jsonl import open_jsonl
from unipixel.data.policy import CORRECTED, EVALUATION, PUBLISHED, FramePolicy, Policy
from unipixel.data.sample import Exchange, Expression, Masks, Sample, SelectiveMasks, only
from unipixel.errors import SampleUnusable
from unipixel.hub import find_checkpoint
from unipixel.model.checkpoint import read_config
from unipixel.processing.processor import Processor
from unipixel.processing.tokenizer import Tokenizer
from unipixel.training.examples import supervise

SMALL = FramePolicy(number=4, pixels=PixelBudget(28 * 28 * 2, 28 * 28 * 6))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mine")
    make_files(root)
    return root


@pytest.fixture(scope="module")
def processor() -> Processor:
    folder = find_checkpoint("unipixel-tiny")
    tokenizer = Tokenizer.open(folder)
    return Processor(read_config(folder, tokenizer.ids()), tokenizer)


def example(folder: Path, id: str, **changes: Any) -> Sample:
    """An item of the document, changed."""
    item = next(one for one in EXAMPLES if one["id"] == id)
    return open_jsonl(written(folder, item | changes, name="one.jsonl"))[0]


def talked(sample: Sample, policy: Policy = CORRECTED, seed: int = 0) -> Conversation:
    return converse(sample, np.random.default_rng(seed), policy)


def text(conversation: Conversation) -> list[str]:
    """Turns with their slots."""
    slot = {Refer: "<ref>", Segment: "<seg>"}
    return [
        "".join(part if isinstance(part, str) else slot[type(part)] for part in turn.parts)
        for turn in conversation.turns
    ]


# The document


@pytest.mark.parametrize("policy", [PUBLISHED, CORRECTED], ids=["published", "corrected"])
@pytest.mark.parametrize("item", EXAMPLES, ids=lambda item: item["id"])
def test_every_example_becomes_tensors(
    item: dict[str, Any], policy: Policy, folder: Path, processor: Processor
) -> None:
    sample = example(folder, item["id"])
    policy = replace(policy, frames=replace(SMALL, last=policy.frames.last))
    made = talked(sample, policy)
    batch = supervise(made, processor, policy)
    assert (batch.targets.labels != IGNORE_INDEX).any()
    assert batch.targets.masks[0].shape[1] == made.num_masks == _promised(item)
    assert len(batch.inputs.prompts) == sum(len(turn.prompts) for turn in made.turns)
    if made.clip is not None:
        talked(sample, EVALUATION)


def _promised(item: dict[str, Any]) -> int:
    """How many masks the document promises for the turns of an item, of which at most three are drawn."""
    answers = [turn for turn in item["conversation"] if turn["role"] == "assistant"]
    if item["task"] == "segment" and "masks" in answers[0]:
        return min(3, len(answers))
    asked = item["task"] in ("segment", "remember")
    return sum(turn["text"].count("[") for turn in answers) if asked else 0


# Dialogues with masks


def test_each_id_of_an_answer_is_a_mask(folder: Path) -> None:
    sample = example(folder, "kitchen-2")
    made = talked(sample)
    assert text(made) == [
        "Show me the cook and what she takes out of the oven.",
        "The cook is <seg>, and she takes out the tray <seg>.",
    ]
    assert made.targets is not None and sample.masks is not None
    np.testing.assert_array_equal(made.targets, sample.masks.read(made.frames, 120, 160))
    assert made.targets[0, made.frames.index(0)].any() and not made.targets[1, made.frames.index(0)].any()


def test_a_number_stays_where_a_later_question_names_it(folder: Path) -> None:
    said = [("Where is the cook?", "[1]."), ("And what does [1] hold?", "[1] holds [2]; yes, [2].")]
    conversation = [
        {"role": role, "text": words}
        for turn in said
        for role, words in zip(("user", "assistant"), turn, strict=True)
    ]
    made = talked(example(folder, "kitchen-2", conversation=conversation))
    assert text(made) == [
        "Where is the cook?",
        "[1] <seg>.",
        "And what does [1] hold?",
        "[1] <seg> holds <seg>; yes, <seg>.",
    ]
    assert made.targets is not None
    for mask, number in zip(made.targets, (0, 0, 1, 1), strict=True):
        np.testing.assert_array_equal(mask, made.targets[(0, 2)[number]])


def test_dialogues_stay_whole_and_expressions_among_them(folder: Path, tmp_path: Path) -> None:
    rounds = (Expression("dog", "query", (1,)), *(Exchange(f"{n}?", "[4].") for n in range(4)))
    sample = Sample(
        "jsonl", "s", "segment", clip_of(tmp_path, 2), rounds, (4, 9), Blocks(((0, 1), (0,))), literal=True
    )
    for seed in range(3):
        made = talked(sample, seed=seed)
        assert made.num_masks == 5 and text(made)[2::2] == ["0?", "1?", "2?", "3?"]
    assert talked(sample, EVALUATION).targets is None
    with pytest.raises(SampleUnusable, match="found exchange in a sample to segment"):
        talked(replace(sample, literal=False))


def test_pointing_in_words_of_ones_own(folder: Path) -> None:
    sample = example(folder, "kitchen-3")
    for seed in range(4):
        made = talked(sample, seed=seed)
        assert text(made) == ["What does [1] <ref> hold? Segment both.", "[1] <seg> holds [2] <seg>."]
        assert made.turns[0].prompts == (Point(30, 40, 0),) and 0 in made.frames
        assert made.targets is not None and made.targets[:, made.frames.index(0)].any(axis=(1, 2)).all()


def test_what_is_only_pointed_at_needs_no_mask(folder: Path) -> None:
    objects = [
        {"id": 1, "regions": [{"frame": 3, "box": [10, 10, 40, 40]}]},
        {"id": 2, "regions": [{"frame": 0, "polygons": [[60, 40, 100, 40, 80, 90]]}]},
    ]
    turns = ["What does [1] hold?", "It holds [2].", "And [1] beside [2]?", "Nothing."]
    conversation = [{"role": ("user", "assistant")[n % 2], "text": words} for n, words in enumerate(turns)]
    made = talked(example(folder, "kitchen-3", objects=objects, conversation=conversation))
    assert text(made) == [
        "What does [1] <ref> hold?",
        "It holds [2] <seg>.",
        "And [1] beside [2] <ref>?",
        "Nothing.",
    ]
    assert made.turns[0].prompts == (Box(10, 10, 40, 40, 3),) and made.num_masks == 1


def test_objects_that_nobody_mentions_need_no_mask(folder: Path) -> None:
    others = [{"id": 9, "regions": [{"frame": 8, "box": [1, 1, 5, 5]}]}]
    whole = next(one for one in EXAMPLES if one["id"] == "kitchen-4")["objects"]
    made = talked(example(folder, "kitchen-4", objects=whole + others))
    assert [thing.id for thing in made.memory] == [1]


# Only what is asked for is decoded


@dataclass(frozen=True, eq=False)
class Counting:
    """Masks that keep a list of the objects that were decoded."""

    whole: Blocks
    objects: tuple[int, ...]
    decoded: list[int] = field(default_factory=list)

    @property
    def num_objects(self) -> int:
        return len(self.objects)

    def only(self, objects: Any) -> "Counting":
        return Counting(self.whole, tuple(self.objects[place] for place in objects), self.decoded)

    def read(self, frames: Any, height: int, width: int) -> Masks:
        self.decoded.extend(self.objects)
        return self.whole.read(frames, height, width)[list(self.objects)]


def counting(sample: Sample, objects: int) -> tuple[Sample, list[int]]:
    masks = Counting(Blocks(((0, 1),) * objects), tuple(range(objects)))
    return replace(sample, masks=masks, object_ids=tuple(range(objects))), masks.decoded


def test_of_forty_classes_only_those_of_the_drawn_rounds_are_decoded(tmp_path: Path) -> None:
    rounds = tuple(Expression(f"class {n}", "query", (n,), id=f"{n}") for n in range(40))
    sample, decoded = counting(
        Sample("set", "s", "segment", clip_of(tmp_path, 2), rounds, tuple(range(40)), Blocks(((0,),) * 40)),
        40,
    )
    made = talked(sample)
    assert sorted(decoded) == sorted(int(name) for name in made.source.rounds) and len(decoded) == 3
    decoded.clear()
    talked(sample, EVALUATION)
    assert not decoded, "evaluation asks without looking"


def test_each_object_that_is_pointed_at_is_decoded_once(tmp_path: Path) -> None:
    talk = (Exchange("Is [1] by [3]?", "No, [2] is."), Exchange("And [1] and [2]?", "Yes."))
    base = Sample("set", "s", "refer", clip_of(tmp_path, 2), talk, tuple(range(7)), Blocks(((0,),) * 7))
    sample, decoded = counting(base, 7)
    talked(sample)
    assert sorted(decoded) == [1, 2, 3]
    decoded.clear()
    talked(replace(sample, task="remember", rounds=talk[:1]))
    assert sorted(decoded) == [1, 2, 3]


def test_some_objects_of_any_masks() -> None:
    class Whole:
        num_objects = 3
        read = Blocks(((0,), (1,), (0, 1))).read

    masks = Whole()
    assert only(masks, (0, 1, 2)) is masks
    picked = only(masks, (2, 0))
    assert picked.num_objects == 2
    np.testing.assert_array_equal(picked.read([0, 1], 8, 8), masks.read([0, 1], 8, 8)[[2, 0]])


@pytest.mark.parametrize(
    "masks", [RegionMasks(((), (), ())), LabelMaps((None,), ((1,), (2,), (3,))), MaskFiles(((None,),) * 3)]
)
def test_published_encodings_can_leave_objects_alone(masks: SelectiveMasks) -> None:
    assert isinstance(masks, SelectiveMasks) and only(masks, (2, 0)).num_objects == 2
    assert torch.from_numpy(only(masks, (2,)).read([0], 4, 4)).shape == (1, 1, 4, 4)
