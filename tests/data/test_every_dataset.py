"""Every registered data set on its fixture: reader, conversation, tensors, in all three readings."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.data.published import BUILDERS

from unipixel.core.request import Decoding, PixelBudget
from unipixel.core.tokens import IGNORE_INDEX, REF, SEG
from unipixel.data.conversations import Conversation, converse
from unipixel.data.kinds import data_type
from unipixel.data.policy import CORRECTED, EVALUATION, PUBLISHED, Policy
from unipixel.data.registry import datasets, get_dataset, open_dataset
from unipixel.data.sample import Sample
from unipixel.errors import LeftOut, SampleUnusable
from unipixel.hub import find_checkpoint
from unipixel.model.checkpoint import read_config
from unipixel.processing.processor import Processor
from unipixel.processing.tokenizer import Tokenizer
from unipixel.training.examples import Supervised, supervise

NAMES = sorted(info.name for info in datasets() if info.name != "jsonl" and not info.drawn)
KINDS = {
    "segment": {"seg_image", "seg_video"},
    "refer": {"ref_point", "ref_box"},
    "describe": {"region_image", "region_video"},
    "choose": {"region_image", "region_video", "multimodal"},
    "remember": {"mem_point_image", "mem_point_video", "mem_box_image", "mem_box_video"},
    "chat": {"multimodal", "text"},
}

UNSEEN = {"object on no shown frame", "object on no cell of the language view"}
"""Why samples of the fixtures may be of no use: they have objects that nobody sees."""


def small(policy: Policy, side: int) -> Policy:
    """The same on fewer pixels."""
    frames = replace(policy.frames, pixels=PixelBudget(28 * 28 * 2, 28 * 28 * 4))
    return replace(policy, frames=frames, pointers=replace(policy.pointers, side=side))


@pytest.fixture(scope="module")
def processor() -> Processor:
    folder = find_checkpoint("unipixel-tiny")
    tokenizer = Tokenizer.open(folder)
    return Processor(read_config(folder, tokenizer.ids()), tokenizer)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("roots")


def samples_of(name: str, root: Path, *, train: bool) -> Iterator[Sample]:
    """All samples of the first split, or of all of them, that the reader gives."""
    if not (root / name).exists():
        BUILDERS[name](root / name)
    splits = get_dataset(name).splits
    for split in splits[:1] if train else splits:
        data = open_dataset(name, split, root / name)
        for index in range(len(data)):
            with suppress(LeftOut):  # a label map in which nothing is asked for
                yield data[index]


def test_every_data_set_has_a_fixture() -> None:
    assert sorted(BUILDERS) == NAMES


@pytest.mark.parametrize("policy", [PUBLISHED, CORRECTED], ids=["published", "corrected"])
@pytest.mark.parametrize("name", NAMES)
def test_to_tensors(name: str, policy: Policy, roots: Path, processor: Processor) -> None:
    policy = small(policy, processor.config.sam2.image_size)
    kinds, unused = set(), set()
    for number, sample in enumerate(samples_of(name, roots, train=True)):
        for way in ("point", "box"):
            try:
                made = converse(sample, np.random.default_rng(number), policy, way)
                batch = supervise(made, processor, policy)
            except SampleUnusable as error:
                unused.add(error.reason)
                continue
            assert made.kind == data_type(sample, sample.media is not None and made.clip.is_image, way)  # type: ignore[union-attr]
            kinds.add(made.kind)
            check(sample, batch, processor)
    assert kinds, "nothing could be made of any sample"
    assert unused <= UNSEEN
    assert kinds <= KINDS[get_dataset(name).task]


def check(sample: Sample, batch: Supervised, processor: Processor) -> None:
    """What must hold of the tensors, whatever the sample."""
    tokenizer, inputs, targets = processor.tokenizer, batch.inputs, batch.targets
    ids, labels = inputs.token_ids[0], targets.labels[0]
    assert ids.shape == labels.shape and (labels != IGNORE_INDEX).any()
    assert ((labels == IGNORE_INDEX) | (labels == ids)).all()
    (masks,), (frames,), (source,) = targets.masks, targets.frames, batch.sources
    assert (source.dataset, source.sample) == (sample.dataset, sample.id)
    assert masks.shape[1] == int((ids == tokenizer.id(SEG)).sum())
    assert len(frames) == len(masks) and (masks.shape[1] > 0) == (sample.task in ("segment", "remember"))
    assert len(inputs.prompts) == int((ids == tokenizer.id(REF)).sum())
    assert (len(inputs.prompts) > 0) == (sample.task in ("refer", "remember"))
    (regions,) = inputs.regions
    marked = sample.task == "describe" or (sample.task == "choose" and bool(sample.object_ids))
    memory = 0 if regions is None else int(regions.flatten(2).any(2).sum())
    assert int((ids == processor.config.tokens.mem).sum()) == memory and (memory > 0) == marked
    if inputs.view.grids:
        assert torch.isfinite(inputs.view.patches).all()
        places = sum(
            int((ids == token).sum())
            for token in (processor.config.tokens.video, processor.config.tokens.image)
        )
        assert places == inputs.view.grids[0].num_tokens


@pytest.mark.parametrize("name", NAMES)
def test_to_questions(name: str, roots: Path, processor: Processor) -> None:
    policy = small(EVALUATION, processor.config.sam2.image_size)
    asked, unused = 0, set()
    for sample in samples_of(name, roots, train=False):
        try:
            made = converse(sample, np.random.default_rng(0), policy, "point")
        except SampleUnusable as error:
            unused.add(error.reason)
            continue
        if made.clip is None:
            continue
        prepared = processor.prepare_question(
            made.request(answered=False, decoding=Decoding()),
            processor.prepare_clip(made.clip, made.frames, made.pixels).shown,
        )
        text = processor.tokenizer.decode(prepared.inputs.token_ids[0].tolist())
        assert text.endswith("assistant\n" + made.answer_prefix)
        again = converse(sample, np.random.default_rng(1), policy, "point")
        assert words(again) == words(made), "evaluation always asks in the same words"
        asked += 1
    assert unused <= UNSEEN
    assert asked


def words(conversation: Conversation) -> list[str]:
    return [part for turn in conversation.questions for part in turn.parts if isinstance(part, str)]
