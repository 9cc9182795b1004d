"""From a recipe's data to micro-batches of tensors, in a fixed order that can be taken up anywhere."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from numpy.random import Generator as RandomGenerator
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from unipixel.data.conversations import converse
from unipixel.data.jsonl import open_jsonl
from unipixel.data.mixture import (
    Batch,
    Mixture,
    Part,
    Position,
    Shard,
    Tally,
    Tolerance,
    alike_kinds,
    scan_kinds,
)
from unipixel.data.registry import Dataset, get_dataset, open_dataset
from unipixel.data.sample import Sample
from unipixel.data.visual_prompts import PointedBy
from unipixel.errors import ConfigError
from unipixel.processing.processor import Processor
from unipixel.training.distributed import World
from unipixel.training.examples import Supervised, Supervisor, join_supervised, supervise
from unipixel.training.learner import Exercise
from unipixel.training.recipe import Recipe, Seen, Source

ALIKE = ("videorefer_short_caption", "videorefer_short_caption_ref")
"""Data sets of half a million samples that are all videos: their kinds need not be looked at one by one."""


def open_source(source: Source, recipe: Recipe) -> Dataset:
    """The data set that a recipe's source means; its choices follow the recipe's unless it has its own."""
    root = source.root or recipe.root
    if source.file is not None:
        return open_jsonl(source.file, source.root)
    options: dict[str, Any] = dict(reader_options(source, recipe))
    return open_dataset(source.name, source.split, root, **options)


def reader_options(source: Source, recipe: Recipe) -> dict[str, str]:
    """Choices of a source's reader, by name."""
    made = recipe.resolved
    by_recipe = {"mask_order": made.mask_order, "unasked": made.stuff_classes}
    known = {option.name for option in get_dataset(source.name).options}
    found = {name: value for name, value in by_recipe.items() if name in known and value is not None}
    return found | dict(_pair(option) for option in source.options)


def _pair(option: str) -> tuple[str, str]:
    name, _, value = option.partition("=")
    return name, value


def open_mixture(recipe: Recipe, ranks: int) -> Mixture:
    """All sources of a recipe as one mixture, in batches of `kinds_together`."""
    if not recipe.data:
        raise ConfigError(
            f"the recipe {recipe.name} names no data; give data.NAME.repeats=1, or data.mine.file=FILE.jsonl"
        )
    parts = []
    for source in recipe.data:
        samples = open_source(source, recipe)
        scan = alike_kinds if source.name in ALIKE or samples.info.drawn else scan_kinds
        parts.append(Part(source.name, samples, scan(source.name, samples, recipe.seed), source.repeats))
    rounds = rounds_per_step(recipe, ranks)
    return Mixture(
        tuple(parts),
        recipe.batch.size // rounds,
        recipe.seed,
        recipe.batch.rest,
        Tolerance(share=recipe.tolerance),
    )


def rounds_per_step(recipe: Recipe, ranks: int) -> int:
    """Batches of the mixture that make one step."""
    micro_batches = recipe.batch.micro_batches(ranks)
    return micro_batches if recipe.resolved.kinds_together == "micro" else 1


def count_steps(recipe: Recipe, mixture: Mixture, ranks: int) -> int:
    """Steps of the whole run."""
    if recipe.steps is not None:
        return recipe.steps
    whole, share = int(recipe.epochs), recipe.epochs % 1
    first = len(mixture.epoch(0).batches)
    batches = whole * first + round(share * first)  # epochs differ at most by what is repeated in part
    return max(1, batches // rounds_per_step(recipe, ranks))


@dataclass(frozen=True)
class Maker:
    """Makes an exercise of a sample as `seen`; sent to loader processes."""

    supervisor: Supervisor
    seen: Seen

    def __call__(self, sample: Sample, rng: RandomGenerator, pointed_by: PointedBy | None = None) -> Exercise:
        processor, policy = self.supervisor.processor, self.supervisor.policy
        conversation = converse(sample, rng, policy, pointed_by)
        if self.seen.as_the_model:
            conversation = replace(conversation, pixels=None)
        what = supervise(conversation, processor, policy)
        count, most = what.targets.masks[0].shape[1], self.seen.objects
        chosen = list(range(count))
        if most is not None and count > most:
            chosen = sorted(rng.permutation(count)[:most].tolist())
        return Exercise(what, (torch.tensor(chosen, dtype=torch.long),))


def join_exercises(items: Sequence[Exercise], pad_id: int) -> Exercise:
    """One micro-batch."""
    joined: Supervised = join_supervised([item.what for item in items], pad_id)
    return Exercise(joined, tuple(chosen for item in items for chosen in item.chosen))


class _Loading(IterableDataset[Batch[Exercise]]):
    """What a loader process reads."""

    def __init__(self, mixture: Mixture, maker: Maker, shard: Shard, start: Position) -> None:
        self.mixture, self.maker, self.shard, self.start = mixture, maker, shard, start

    def __iter__(self) -> Iterator[Batch[Exercise]]:
        worker = get_worker_info()
        shard = self.shard
        if worker is not None:
            torch.set_num_threads(1)
            shard = replace(shard, worker=worker.id, workers=worker.num_workers)
        return self.mixture.read(self.maker, shard, self.start)


@dataclass
class Stream:
    """A process's micro-batches, step after step. `position` is behind the last step that was taken; `tally`
    counts what failed."""

    recipe: Recipe
    mixture: Mixture
    processor: Processor
    world: World
    position: Position = field(default_factory=Position)
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.tally.tolerance = self.mixture.tolerance

    def steps(self) -> Generator[list[Exercise], None, None]:
        """The micro-batches of one step after the other, without end."""
        recipe, ranks = self.recipe, self.world.ranks
        rounds = rounds_per_step(recipe, ranks)
        batches = self._batches()
        while True:
            items: list[Exercise] = []
            for _ in range(rounds):
                batch = next(batches)
                self.tally.add(len(batch.items), batch.failures)
                items += batch.items
                after = batch.after
            micro, pad_id = recipe.batch.micro, self.processor.config.tokens.end_of_text
            self.position = after
            yield [join_exercises(items[at : at + micro], pad_id) for at in range(0, len(items), micro)]

    def _batches(self) -> Iterator[Batch[Exercise]]:
        recipe, side = self.recipe, self.processor.config.sam2.image_size
        maker = Maker(Supervisor(self.processor, recipe.policy(side)), recipe.seen)
        shard = Shard(self.world.rank, self.world.ranks)
        loading = _Loading(self.mixture, maker, shard, self.position)
        if not recipe.workers:
            return iter(loading)
        context = "fork" if self.world.device.type == "cpu" else "spawn"
        return iter(
            DataLoader(loading, batch_size=None, num_workers=recipe.workers, multiprocessing_context=context)
        )
