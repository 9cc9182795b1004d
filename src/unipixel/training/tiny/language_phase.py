"""The language model learns to talk about the made-up world, and to say with its `<|seg|>` state what the
mask decoder already understands: names and places. The decoder itself is not run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

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
from unipixel.data.readers.made_up import Place, SceneObjects, draw
from unipixel.data.registry import Dataset
from unipixel.data.sample import Masks, Sample
from unipixel.data.synthetic.scene import Scene
from unipixel.errors import LeftOut, SampleUnusable
from unipixel.model.backbone import VisualFeatures
from unipixel.model.inputs import Inputs
from unipixel.model.unipixel import UniPixel
from unipixel.processing.processor import Processor
from unipixel.training.examples import Supervised, join_supervised, supervise
from unipixel.training.tiny.concepts import LOOKS, NO_FACTS, Concepts, Facts, weigh
from unipixel.training.tiny.loop import StepResult
from unipixel.training.tiny.marks import Decision, decision_of, marks_of
from unipixel.training.tiny.names import THING, NameTable, Told, spread_of_tokens, wanted_tokens
from unipixel.training.tiny.scenes import WHOLE, endless, numbers_of, replayed

MIDDLE = 3
"""The layer behind which a state says what thing is spoken of; the later ones have to use it."""
VISITS, KEPT = 2, 40
"""A batch is read so often, and so many are kept for that."""


@dataclass(frozen=True)
class SpokenBatch:
    """Conversations, and for each of their `<|seg|>`, in order, what it shall say; None where that cannot be
    told. asked: the facts of all others, in that order. marked int [n, 2]: sample and place of the tokens
    that speak of a thing, and marks: its facts. decisions: between options, with their samples."""

    what: Supervised
    told: tuple[Told | None, ...]
    asked: Facts
    marked: Tensor
    marks: Facts
    decisions: tuple[tuple[int, Decision], ...]


@dataclass(frozen=True)
class Thought:
    """States [B, L, d]: the last ones, those behind layer MIDDLE and those behind the next; and the positions
    of tokens, as the language model has them."""

    last: Tensor
    middle: Tensor
    later: Tensor
    positions: Tensor


@dataclass(frozen=True)
class TalkPlan:
    """What `draw_talk` draws from: data sets with their weights, and `size` samples a batch, of them this
    process's `shard`."""

    datasets: tuple[tuple[Dataset, float], ...]
    size: int
    policy: Policy
    first: int = 0
    shard: Shard = WHOLE


def draw_talk(plan: TalkPlan, processor: Processor, first: int) -> SpokenBatch:
    """Conversations about samples of one of the data sets, from number `first` on (so they are of about one
    length, in all processes); the same whenever they are drawn."""
    rng = Generator(PCG64(SeedSequence(entropy=first, spawn_key=(17,))))
    weights = np.array([weight for _, weight in plan.datasets])
    dataset, _ = plan.datasets[rng.choice(len(weights), p=weights / weights.sum())]
    items: list[Supervised] = []
    told: list[Told | None] = []
    asked: list[Facts] = [NO_FACTS]
    marked: list[tuple[int, int]] = []
    marks: list[Facts] = [NO_FACTS]
    decisions: list[tuple[int, Decision]] = []
    own = numbers_of(plan.shard, plan.size)
    index = first + own.start
    while len(items) < len(own):
        try:
            sample = dataset[index % len(dataset)]
            conversation = replace(converse(sample, rng, plan.policy), pixels=None)  # the model's own
            what = supervise(conversation, processor, plan.policy)
        except (SampleUnusable, LeftOut):
            continue
        finally:
            index += 1
        scene, token_ids = scene_of(sample), what.inputs.token_ids[0].tolist()
        found = marks_of(sample, conversation, scene, token_ids, processor.tokenizer)
        marked += [(len(items), mark.token) for mark in found]
        marks.append(Facts.of(scene, [mark.thing for mark in found], conversation.frames))
        decision = decision_of(token_ids, processor.tokenizer)
        if decision is not None:
            decisions.append((len(items), decision))
        items.append(what)
        if conversation.targets is not None:
            meant = tell(sample, conversation.frames, conversation.targets)
            told += meant
            asked += [facts_of(scene, one, conversation.frames) for one in meant if one is not None]
    return SpokenBatch(
        join_supervised(items, processor.config.tokens.end_of_text),
        tuple(told),
        Facts.join(asked),
        torch.tensor(marked, dtype=torch.long).view(-1, 2),
        Facts.join(marks),
        tuple(decisions),
    )


def tell(sample: Sample, frames: Sequence[int], targets: Masks) -> list[Told | None]:
    """What to say for each of the targets bool [O, T, H, W] on the shown frames."""
    objects = sample.masks
    assert isinstance(objects, SceneObjects), f"{sample.dataset} is no part of the made-up world"
    things = scene_of(sample).things
    names = [things[number].name if number >= 0 else THING for number in objects.things]
    masks = objects.read(frames, *targets.shape[2:])
    return [_tell(names, objects.things, masks, target) for target in targets]


def scene_of(sample: Sample) -> Scene:
    """The scene that a sample is about."""
    place = sample.media.drawn if sample.media is not None else None
    assert isinstance(place, Place), f"{sample.dataset} is no part of the made-up world"
    return draw(place)


def facts_of(scene: Scene, told: Told, frames: Sequence[int]) -> Facts:
    """What is known of what is asked for: of several things only what their name says."""
    if told.thing is not None:
        return Facts.of(scene, (told.thing,), frames)
    words = told.name.split()
    looks = [next((i for i, word in enumerate(known) if word in words), -1) for known in LOOKS.values()]
    nowhere = torch.full((1, 2), math.nan)
    return Facts(torch.tensor([looks]), nowhere, nowhere, nowhere[:, 0])


def _tell(
    names: Sequence[str], things: Sequence[int], masks: Masks, target: NDArray[np.bool_]
) -> Told | None:
    meant = [i for i, mask in enumerate(masks) if mask.any() and not (mask & ~target).any()]
    if not meant:
        return None
    if len(meant) > 1:
        return Told(_common([names[i] for i in meant]), None)
    rows, columns = target[0].nonzero()
    height, width = target.shape[1:]
    place = ((columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height) if len(rows) else None
    return Told(names[meant[0]], place, things[meant[0]])


def _common(names: Sequence[str]) -> str:
    """The words that all names have."""
    colours, shapes = ({name.split()[part] for name in names} for part in (0, 1))
    shape = shapes.pop() if len(shapes) == 1 else THING
    return f"{colours.pop()} {shape}" if len(colours) == 1 else shape


@dataclass(frozen=True)
class LanguagePhase:
    """Trains all of the language side but the tower, which has learned to see before.

    Beside the text it is taught by what states say of things (`concepts`): the last ones that ask for masks,
    which the decoder's hidden tokens come from, and those in the middle of the decoder where the
    conversation speaks of a thing, or is about to choose an option.
    """

    model: UniPixel
    table: NameTable
    concepts: Concepts
    processor: Processor
    plan: TalkPlan

    def parameters(self) -> Iterator[nn.Parameter]:
        model = self.model
        seeing = {*model.backbone.visual.parameters()}
        for part in (model.backbone, model.object_prompt, model.object_memory, model.seg_head):
            yield from (parameter for parameter in part.parameters() if parameter not in seeing)

    def steps(self) -> Iterator[StepResult]:
        """Losses of one batch after the other."""
        drawn = endless(partial(draw_talk, self.plan, self.processor), self.plan.first, self.plan.size)
        for batch, seen in replayed(map(self.look, drawn), VISITS, KEPT):
            yield self.step(batch, seen)

    def look(self, batch: SpokenBatch) -> tuple[SpokenBatch, VisualFeatures]:
        """A batch and what the tower sees of it, which learns nothing from it: a second visit need not look
        again, and pictures need not be kept."""
        inputs = batch.what.inputs
        with torch.no_grad():
            seen = self.model.backbone.see(inputs.view)
        nothing = inputs.view.patches.new_zeros(()).expand_as(inputs.view.patches)
        view = replace(inputs.view, patches=nothing)
        targets = replace(batch.what.targets, frames=(), masks=())
        what = replace(batch.what, inputs=replace(inputs, view=view), targets=targets)
        return replace(batch, what=what), seen

    def step(self, batch: SpokenBatch, seen: VisualFeatures) -> StepResult:
        inputs, labels = batch.what.inputs, batch.what.targets.labels[:, 1:]
        thought = self.think(inputs, seen)
        last, middle = thought.last, thought.middle
        counted = labels != IGNORE_INDEX
        errors = F.cross_entropy(
            self.model.backbone.speak(last[:, :-1][counted]), labels[counted], reduction="none"
        )
        answers = (labels == self.processor.config.tokens.turn_end).sum()
        loss = errors.sum() / answers  # one of an answer's words decides, however many there are
        figures = {"text": errors.mean().item()}
        for what, result in (
            ("marks", self.read(middle[batch.marked.unbind(1)], batch.marks)),
            ("asks", self.ask(last, batch)),
            ("options", self.decide(thought, batch)),
        ):
            if result is not None:
                loss = loss + result.loss
                figures |= {f"{what}_{name}": value for name, value in result.figures.items()}
        return StepResult(loss, figures)

    def think(self, inputs: Inputs, seen: VisualFeatures) -> Thought:
        """States as the model comes to them."""
        backbone = self.model.backbone
        read, positions = self.model.read(inputs, seen), backbone.positions(inputs)
        thought = backbone.text(
            inputs_embeds=read.tokens,
            position_ids=positions,
            attention_mask=inputs.attention_mask,
            use_cache=False,
            output_hidden_states=True,
        )
        states = thought.hidden_states
        return Thought(thought.last_hidden_state, states[MIDDLE], states[MIDDLE + 1], positions)

    def read(self, states: Tensor, facts: Facts) -> StepResult | None:
        """How wrong states [n, d] are of the things that they stand for."""
        if not len(facts):
            return None
        errors, figures = self.concepts.compare(states, self.model.backbone.head.weight.detach(), facts)
        figures["middle"] = errors["middle"].item()
        return StepResult(weigh(errors), figures)

    def decide(self, thought: Thought, batch: SpokenBatch) -> StepResult | None:
        """How an option is chosen, in steps, each of which is taught; the letter alone teaches none of them
        (docs/log.md). In the middle, the state that is about to name an option is like the words of the
        right one, and the words of options are like their letters. The first head of the next layer looks
        from there at the words that it is like. Behind it, the state is like that letter."""
        if not batch.decisions:
            return None
        words = F.normalize(self.model.backbone.head.weight.detach(), dim=-1)
        middle, later = (
            F.rms_norm(states.float(), states.shape[-1:]) for states in (thought.middle, thought.later)
        )
        looks = self.first_looks(thought)
        errors, meant, said = [], 0, 0
        for sample, decision in batch.decisions:
            token_ids, place, right = batch.what.inputs.token_ids[sample], decision.token, decision.right
            contents = torch.stack([words[token_ids[list(option)]].mean(0) for option in decision.options])
            letters = words[token_ids[list(decision.letters)]]
            texts = [(number, at) for number, option in enumerate(decision.options) for at in option]
            owner, owned = torch.tensor(texts).unbind(1)
            likeness = contents @ middle[sample, place]
            looked = looks(sample, place)
            errors += [
                F.cross_entropy(likeness, torch.tensor(right)),
                F.cross_entropy(middle[sample, owned] @ letters.T, owner),
                -looked[list(decision.options[right])].logsumexp(0),
                F.cross_entropy(letters @ later[sample, place], torch.tensor(right)),
            ]
            meant += int(likeness.argmax()) == right
            letter = self.model.backbone.speak(thought.last[sample, place]).argmax()
            said += int(letter) == int(token_ids[place + 1])
        count = len(batch.decisions)
        each = torch.stack(errors).view(count, -1).mean(0)
        figures = dict(zip(("meaning", "owned", "looked", "copied"), each.tolist(), strict=True))
        return StepResult(each.sum(), figures | {"meant": meant / count, "letters": said / count})

    def first_looks(self, thought: Thought) -> Callable[[int, int], Tensor]:
        """Logarithms [L] of where the first head of layer MIDDLE + 1 looks, from a place of a sample."""
        text: Any = self.model.backbone.text
        layer = text.layers[MIDDLE]
        attention, states = layer.self_attn, layer.input_layernorm(thought.middle)
        cosines, sines = text.rotary_emb(states, thought.positions)

        def first_head(projection: nn.Linear) -> Tensor:
            width = attention.head_dim
            head = F.linear(states, projection.weight[:width], projection.bias[:width])
            ahead, behind = head.chunk(2, dim=-1)
            turned: Tensor = head * cosines + torch.cat([-behind, ahead], dim=-1) * sines
            return turned

        queries, keys = first_head(attention.q_proj), first_head(attention.k_proj)

        def looks(sample: int, place: int) -> Tensor:
            likeness = keys[sample, : place + 1] @ queries[sample, place] * attention.scaling
            return F.log_softmax(likeness, dim=0)

        return looks

    def ask(self, last: Tensor, batch: SpokenBatch) -> StepResult | None:
        """How wrong states that ask for masks are of what they mean, and the hidden tokens made of them."""
        told = [number for number, what in enumerate(batch.told) if what is not None]
        if not told:
            return None
        token_ids, encoder = batch.what.inputs.token_ids, self.model.sam2.sam_prompt_encoder
        wanted = wanted_tokens(self.table, encoder, [what for what in batch.told if what is not None])
        said = torch.cat(self.model.mask_prompts(last, token_ids))[told]
        error = (said - wanted).square().mean(dim=(0, 2)) / spread_of_tokens(self.table, encoder)
        asking = last[:, :-1][token_ids[:, 1:] == self.model.tokens.seg][told]
        read = self.read(asking, batch.asked)
        assert read is not None, "each has its facts"
        names = {"name_error": error[0].item(), "place_error": error[1:].mean().item()}
        return StepResult(read.loss + error.sum(), read.figures | names)
