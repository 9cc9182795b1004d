"""Batches of questions about made-up scenes, drawn in the background."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from numpy.random import PCG64, Generator, SeedSequence
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from unipixel.data.synthetic.scene import Scene, make_scene, training_seed
from unipixel.data.tasks import Question, ask_for_one, ask_for_two, point_at
from unipixel.processing.processor import Processor
from unipixel.processing.vision import mask_view
from unipixel.training.examples import Example, join, make_example
from unipixel.training.scenes import SIZES, BatchPlan, mask_targets, spoil

PAIR_SHARE = 0.2
"""Share of questions about two things."""


@dataclass(frozen=True)
class QuestionPlan:
    """What `question_batches` draws: clips of one of the lengths `num_frames`, the same within a
    batch; `pointed`: share of questions that point at a thing instead of naming it."""

    batch: BatchPlan
    num_frames: tuple[int, ...]
    pointed: float = 0.0


@dataclass(frozen=True)
class QuestionBatch:
    """N questions with n `<|seg|>` in all, in order.

    names [n]: what each `<|seg|>` means, None for something pointed at; scene int [n]: whose clip it is
    about;
    frames float [N, T, 3, S, S] and masks bool [n, T, S, S]: mask view and targets.
    """

    example: Example
    names: tuple[str | None, ...]
    scene: Tensor
    frames: Tensor
    masks: Tensor


def question_batches(plan: QuestionPlan, processor: Processor) -> Iterator[QuestionBatch]:
    """An endless stream of batches, drawn by one worker process."""
    return iter(DataLoader(_Questions(plan, processor), batch_size=None, num_workers=1, prefetch_factor=4))


class _Questions(IterableDataset[QuestionBatch]):
    def __init__(self, plan: QuestionPlan, processor: Processor) -> None:
        self.plan, self.processor = plan, processor

    def __iter__(self) -> Iterator[QuestionBatch]:
        torch.set_num_threads(1)
        index = self.plan.batch.first
        while True:
            yield draw_questions(self.plan, self.processor, index)
            index += self.plan.batch.num_scenes


def draw_questions(plan: QuestionPlan, processor: Processor, first: int) -> QuestionBatch:
    """The questions about training scenes first … first + num_scenes - 1; the same
    whenever they are drawn."""
    rng = Generator(PCG64(SeedSequence(entropy=first, spawn_key=(11,))))
    num_frames = plan.num_frames[rng.integers(len(plan.num_frames))]
    drawn = [_draw(plan, first + i, num_frames, rng) for i in range(plan.batch.num_scenes)]
    examples = [make_example(processor, scene, question) for scene, question in drawn]
    side = plan.batch.side
    return QuestionBatch(
        example=join(examples, processor.config.tokens.end_of_text),
        names=tuple(
            None if question.prompt is not None else scene.expression(target)
            for scene, question in drawn
            for target in question.targets
        ),
        scene=torch.tensor([row for row, (_, question) in enumerate(drawn) for _ in question.targets]),
        frames=torch.stack([mask_view(scene.frames, side) for scene, _ in drawn]),
        masks=torch.cat(
            [mask_targets(scene.masks[list(question.targets)], side) for scene, question in drawn]
        ),
    )


def _draw(plan: QuestionPlan, index: int, num_frames: int, rng: Generator) -> tuple[Scene, Question]:
    height, width = SIZES[rng.integers(len(SIZES))]
    world = replace(plan.batch.world, height=height, width=width, num_frames=num_frames)
    scene = spoil(make_scene(training_seed(index), world), rng)
    first, second, *_ = (int(thing) for thing in rng.permutation(len(scene.things)))
    dice = rng.random()
    pointed = point_at(scene, first, rng) if dice < plan.pointed else None
    if pointed is None and dice > 1 - PAIR_SHARE:
        return scene, ask_for_two(scene, (first, second), rng)
    return scene, pointed or ask_for_one(scene, first, rng)
