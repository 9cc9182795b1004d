"""The language model learns to talk about the made-up world, and to say with its `<|seg|>` state what the
mask decoder already understands: names and places. The decoder itself is not run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray
from torch import Tensor, nn

from unipixel.core.tokens import IGNORE_INDEX
from unipixel.data.conversations import converse
from unipixel.data.mixture import Shard
from unipixel.data.policy import Policy
from unipixel.data.readers.made_up import SceneObjects, draw
from unipixel.data.registry import Dataset
from unipixel.data.sample import Masks, Sample
from unipixel.data.synthetic.shapes import ALL_SHAPES
from unipixel.data.synthetic.world import ALL_COLOURS
from unipixel.errors import LeftOut, SampleUnusable
from unipixel.model.inputs import Inputs
from unipixel.model.sam2 import PromptEncoder
from unipixel.model.unipixel import UniPixel
from unipixel.processing.processor import Processor
from unipixel.training.examples import Supervised, join_supervised, supervise
from unipixel.training.tiny.loop import StepResult
from unipixel.training.tiny.names import THING, NameTable, with_places
from unipixel.training.tiny.scenes import WHOLE, endless, numbers_of

EVEN_SPREAD = 1 / 12
"""Mean square distance from the middle, of places anywhere in a frame, of its side."""


@dataclass(frozen=True)
class Told:
    """What a `<|seg|>` shall say. name: as NameTable takes it. place: (x, y) in shares of the sides where the
    first shown frame has the one thing that is meant, else None."""

    name: str
    place: tuple[float, float] | None


@dataclass(frozen=True)
class SpokenBatch:
    """Conversations, and for each of their `<|seg|>`, in order, what it shall say; None where that cannot be
    told."""

    what: Supervised
    told: tuple[Told | None, ...]


@dataclass(frozen=True)
class TalkPlan:
    """What `draw_talk` draws from: data sets with their weights, `size` samples a batch (of them this
    process's `shard`), of each of them the first `rounds` questions (None: all)."""

    datasets: tuple[tuple[Dataset, float], ...]
    size: int
    policy: Policy
    first: int = 0
    rounds: int | None = None
    shard: Shard = WHOLE


def draw_talk(plan: TalkPlan, processor: Processor, first: int) -> SpokenBatch:
    """Conversations about samples of one of the data sets, from number `first` on (so they are of about one
    length, in all processes); the same whenever they are drawn."""
    rng = Generator(PCG64(SeedSequence(entropy=first, spawn_key=(17,))))
    weights = np.array([weight for _, weight in plan.datasets])
    dataset, _ = plan.datasets[rng.choice(len(weights), p=weights / weights.sum())]
    items: list[Supervised] = []
    told: list[Told | None] = []
    own = numbers_of(plan.shard, plan.size)
    index = first + own.start
    while len(items) < len(own):
        try:
            sample = dataset[index % len(dataset)]
            sample = replace(sample, rounds=sample.rounds[: plan.rounds])
            conversation = replace(converse(sample, rng, plan.policy), pixels=None)  # the model's own
            what = supervise(conversation, processor, plan.policy)
        except (SampleUnusable, LeftOut):
            continue
        finally:
            index += 1
        items.append(what)
        if conversation.targets is not None:
            told += tell(sample, conversation.frames, conversation.targets)
    return SpokenBatch(join_supervised(items, processor.config.tokens.end_of_text), tuple(told))


def tell(sample: Sample, frames: Sequence[int], targets: Masks) -> list[Told | None]:
    """What to say for each of the targets bool [O, T, H, W] on the shown frames."""
    objects = sample.masks
    assert isinstance(objects, SceneObjects), f"{sample.dataset} is no part of the made-up world"
    things = draw(objects.place).things
    names = [things[number].name if number >= 0 else THING for number in objects.things]
    masks = objects.read(frames, *targets.shape[2:])
    return [_tell(names, masks, target) for target in targets]


def _tell(names: Sequence[str], masks: Masks, target: NDArray[np.bool_]) -> Told | None:
    meant = [i for i, mask in enumerate(masks) if mask.any() and not (mask & ~target).any()]
    if not meant:
        return None
    if len(meant) > 1:
        return Told(_common([names[i] for i in meant]), None)
    rows, columns = target[0].nonzero()
    height, width = target.shape[1:]
    place = ((columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height) if len(rows) else None
    return Told(names[meant[0]], place)


def _common(names: Sequence[str]) -> str:
    """The words that all names have."""
    colours, shapes = ({name.split()[part] for name in names} for part in (0, 1))
    shape = shapes.pop() if len(shapes) == 1 else THING
    return f"{colours.pop()} {shape}" if len(colours) == 1 else shape


@dataclass(frozen=True)
class LanguagePhase:
    """Trains all of the language side but the tower, which has learned to see before.

    `pointing` [d -> 2] reads places from the states that ask for masks, and is thrown away after training:
    the decoder's code of a place says little to who has no idea of it yet (docs/log.md).
    """

    model: UniPixel
    table: NameTable
    pointing: nn.Linear
    processor: Processor
    plan: TalkPlan

    def parameters(self) -> Iterator[nn.Parameter]:
        model = self.model
        seeing = {*model.backbone.visual.parameters()}
        for part in (model.backbone, model.object_prompt, model.object_memory, model.seg_head):
            yield from (parameter for parameter in part.parameters() if parameter not in seeing)
        yield from self.pointing.parameters()

    def steps(self) -> Iterator[StepResult]:
        """Losses of one batch after the other."""
        draw = partial(draw_talk, self.plan, self.processor)
        for batch in endless(draw, self.plan.first, self.plan.size):
            yield self.step(batch)

    def step(self, batch: SpokenBatch) -> StepResult:
        inputs, labels = batch.what.inputs, batch.what.targets.labels[:, 1:]
        hidden = self.think(inputs)
        counted = labels != IGNORE_INDEX
        language = F.cross_entropy(self.model.backbone.speak(hidden[:, :-1][counted]), labels[counted])
        figures = {"language": language.item()}
        told = [number for number, what in enumerate(batch.told) if what is not None]
        if not told:
            return StepResult(language, figures)
        what = [what for what in batch.told if what is not None]
        wanted = wanted_tokens(self.table, self.model.sam2.sam_prompt_encoder, what)
        said = torch.cat(self.model.mask_prompts(hidden, inputs.token_ids))[told]
        spread = spread_of_tokens(self.table, self.model.sam2.sam_prompt_encoder)
        error = (said - wanted).square().mean(dim=(0, 2)) / spread
        figures |= {"name_error": error[0].item(), "place_error": error[1:].mean().item()}
        pointing = self.point(hidden, inputs.token_ids, batch)
        figures["pointing_error"] = pointing.item()
        return StepResult(language + error.sum() + pointing, figures)

    def point(self, hidden: Tensor, token_ids: Tensor, batch: SpokenBatch) -> Tensor:
        """How wrong places are read; about 1 says nothing."""
        asking = hidden[:, :-1][token_ids[:, 1:] == self.model.tokens.seg]
        placed = [
            (number, what.place)
            for number, what in enumerate(batch.told)
            if what is not None and what.place is not None
        ]
        if not placed:
            return hidden.new_zeros(())
        numbers, places = zip(*placed, strict=True)
        # Every weight moves at every step: so many inputs would move a place by a whole frame.
        states = asking[list(numbers)] * asking.shape[-1] ** -0.5
        error = F.mse_loss(self.pointing(states).float(), torch.tensor(places))
        return error / EVEN_SPREAD

    def think(self, inputs: Inputs) -> Tensor:
        """As the model does, but the tower learns nothing from it."""
        backbone = self.model.backbone
        with torch.no_grad():
            seen = backbone.see(inputs.view)
        read = self.model.read(inputs, seen)
        positions = backbone.positions(inputs)
        return backbone.think(read.tokens, positions, inputs.attention_mask, None, read.deep).hidden


@torch.no_grad()
def wanted_tokens(table: NameTable, encoder: PromptEncoder, told: Sequence[Told]) -> Tensor:
    """The hidden tokens [n, h, c] of names and places."""
    named = table([what.name for what in told])
    places = torch.tensor([what.place or (0.0, 0.0) for what in told]) * encoder.image_size - 0.5
    placed = with_places(named, encoder, places)
    has_place = torch.tensor([what.place is not None for what in told])
    return torch.where(has_place[:, None, None], placed, named)


@torch.no_grad()
def spread_of_tokens(table: NameTable, encoder: PromptEncoder) -> Tensor:
    """How far the hidden tokens of names and places lie from their means, [h]: mean squares. An error as
    large as that says nothing."""
    names = table([f"{colour} {shape}" for colour in ALL_COLOURS for shape in ALL_SHAPES])
    across = torch.linspace(0, encoder.image_size - 1, 9)
    places = torch.cartesian_prod(across, across)
    placed = with_places(names[:1].expand(len(places), -1, -1), encoder, places)
    return torch.cat([names.var(0)[:1], placed.var(0)[1:]]).mean(-1)
