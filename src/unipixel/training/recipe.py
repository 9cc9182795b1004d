"""A training run as a value: what it starts from, what it sees, what it trains, and every choice it makes.

Named recipes are in `recipes`, their files and overrides in `recipe_file`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Literal, TypeAlias, get_args

from unipixel.data.policy import Fidelity, FramePolicy, PointerPolicy, Policy, RegionPolicy, TextPolicy
from unipixel.data.wording import Wording
from unipixel.errors import ConfigError

How: TypeAlias = Literal["frozen", "full", "lora"]
Precision: TypeAlias = Literal["float32", "mixed", "bfloat16"]
Strategy: TypeAlias = Literal["auto", "single", "ddp", "fsdp"]
Export: TypeAlias = Literal["partial", "adapter", "whole", "published"]
ReporterName: TypeAlias = Literal["tensorboard", "trackio", "wandb"]


def check(condition: bool, name: str, value: object, expected: str) -> None:
    """ConfigError that names a value, unless it is as expected."""
    if not condition:
        raise ConfigError(f"{name} is {value!r}; expected {expected}")


def check_choice(name: str, value: object, kind: object) -> None:
    """ConfigError unless `value` is one of a Literal's."""
    allowed = get_args(kind)
    check(value in allowed, name, value, " or ".join(map(repr, allowed)))


# What it starts from


@dataclass(frozen=True)
class Start:
    """Where the weights come from.

    Attributes:
        model: a checkpoint, an adapter or a plain base model (Qwen2.5-VL, Qwen3-VL): a folder, a bundled name
            or a hub id.
        sam2: Meta's SAM 2.1 file, where `model` is a plain base model or an adapter over one.
        sam2_preset: size of that file's model.
        base: what an adapter lies over, where its own record of it does not hold.
        partials: folders of earlier stages, whose trained parameters are laid over the model in this order.
        size: "3b", "7b", "qwen3-2b" or "qwen3-4b": what is planned with when the model is not here (dry
            runs).
    """

    model: str = "unipixel-tiny"
    sam2: str | None = None
    sam2_preset: str | None = None
    base: str | None = None
    partials: tuple[str, ...] = ()
    size: Literal["3b", "7b", "qwen3-2b", "qwen3-4b"] | None = None


@dataclass(frozen=True)
class OwnParts:
    """A user's own classes in place of the model's, as "package.module:Name" or "file.py:Name"; None keeps
    the model's (model.own_parts says how they are made)."""

    object_memory: str | None = None
    object_prompt: str | None = None
    seg_head: str | None = None
    tracker: str | None = None

    def named(self) -> dict[str, str]:
        """Those that are given, by part."""
        given = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: path for name, path in given.items() if path is not None}


# What it sees


@dataclass(frozen=True)
class Source:
    """One data set of the mixture.

    Attributes:
        name: registered name; with `file`, what it is called in counts.
        split: one of its splits.
        repeats: how often each sample comes in an epoch.
        file: a JSONL file of the user's, in place of a registered data set.
        root: of this source alone: the data folder, or what the file's paths are relative to.
        options: choices of the reader, as "name=value".
    """

    name: str
    split: str = "train"
    repeats: float = 1.0
    file: str | None = None
    root: str | None = None
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(0 < self.repeats < 10_000, f"data.{self.name}.repeats", self.repeats, "more than 0")
        for option in self.options:
            check("=" in option, f"data.{self.name}.options", option, "name=value")


@dataclass(frozen=True)
class Seen:
    """How much of a sample is seen (0.1, 0.2, A "common training limits").

    Attributes:
        frames: shown at most; `spread` is how they are taken.
        max_frames, max_seconds: samples of longer clips are left out.
        max_rounds: expressions and captions of one sample that are drawn.
        max_words, max_tokens: longer samples are left out; None is no limit.
        pixels: of a frame in the language view: the published training's budget, or the model's own.
        min_pixels, max_pixels: a budget of one's own; None keeps the published one's.
        objects: of a sample whose masks are supervised; more are drawn from. None is all.
        wording: a file with templates of one's own.
    """

    frames: int = 8
    spread: Literal["random", "uniform"] = "random"
    max_frames: int | None = 500
    max_seconds: float | None = 300.0
    max_rounds: int = 3
    max_words: int | None = 500
    max_tokens: int | None = None
    pixels: Literal["published", "model"] = "published"
    min_pixels: int | None = None
    max_pixels: int | None = None
    objects: int | None = 5
    wording: str | None = None

    def __post_init__(self) -> None:
        check(self.frames >= 1, "seen.frames", self.frames, "1 or more")
        check(self.objects is None or self.objects >= 1, "seen.objects", self.objects, "1 or more")
        check_choice("seen.spread", self.spread, Literal["random", "uniform"])
        check_choice("seen.pixels", self.pixels, Literal["published", "model"])
        for name in ("min_pixels", "max_pixels"):
            value = getattr(self, name)
            check(value is None or value >= 1, f"seen.{name}", value, "1 or more")

    @property
    def as_the_model(self) -> bool:
        """Whether the model's own pixel budget counts."""
        return self.pixels == "model" and self.min_pixels is None and self.max_pixels is None


@dataclass(frozen=True)
class Batching:
    """`size` samples make a step, over all devices and micro-batches; `micro` of them are on a device at a
    time. `rest`: what becomes of samples that fill no batch (data.mixture)."""

    size: int = 256
    micro: int = 4
    rest: Literal["drop", "fill"] = "drop"

    def __post_init__(self) -> None:
        check(self.size >= 1, "batch.size", self.size, "1 or more")
        check(1 <= self.micro <= self.size, "batch.micro", self.micro, f"1 to batch.size ({self.size})")
        check_choice("batch.rest", self.rest, Literal["drop", "fill"])

    def micro_batches(self, ranks: int) -> int:
        """How many micro-batches a device sees in a step; ConfigError if they do not come out even."""
        if self.size % (self.micro * ranks):
            raise ConfigError(
                f"batch.size {self.size} is no multiple of batch.micro {self.micro} x {ranks} "
                f"process{'es' if ranks > 1 else ''}; change one of them"
            )
        return self.size // (self.micro * ranks)


# What it trains


@dataclass(frozen=True)
class Tuning:
    """How a part is trained; `rate` and `decay` are the optimiser's unless they are given."""

    how: How = "frozen"
    rate: float | None = None
    decay: float | None = None

    def __post_init__(self) -> None:
        check_choice("how", self.how, How)
        for name in ("rate", "decay"):
            value = getattr(self, name)
            check(value is None or value >= 0, name, value, "0 or more")


@dataclass(frozen=True)
class Parts:
    """The parts of the model. visual: tower and merger; language: decoder layers and last norm; embeddings:
    both token tables; prompt_points, prompt: what makes `<|ref|>`, SAM's encoder of points and the rest;
    memory: what makes `<|mem|>`; sam2: the mask decoder with its encoder and memory. A module of one's own
    belongs to the part that it replaces."""

    visual: Tuning = Tuning()
    language: Tuning = Tuning()
    embeddings: Tuning = Tuning()
    prompt_points: Tuning = Tuning()
    prompt: Tuning = Tuning()
    memory: Tuning = Tuning()
    seg_head: Tuning = Tuning()
    sam2: Tuning = Tuning()

    def __post_init__(self) -> None:
        for part in fields(self):
            how = getattr(self, part.name).how
            takes = part.name in ("visual", "language")
            check(how != "lora" or takes, f"parts.{part.name}.how", how, "'full' or 'frozen'")

    def named(self) -> dict[str, Tuning]:
        """Every part with its tuning."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    @property
    def has_lora(self) -> bool:
        """Whether any part takes adapters."""
        return any(tuning.how == "lora" for tuning in self.named().values())


@dataclass(frozen=True)
class Lora:
    """Adapters of the attention's projections (q, k, v, o)."""

    rank: int = 128
    alpha: float = 256.0
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check(self.rank >= 1, "lora.rank", self.rank, "1 or more")
        check(self.alpha > 0, "lora.alpha", self.alpha, "more than 0")
        check(0 <= self.dropout < 1, "lora.dropout", self.dropout, "0 or more, below 1")


@dataclass(frozen=True)
class Optimiser:
    """AdamW with a linear warm-up over a share of the steps, then a cosine down to `floor` x rate.

    clip: largest norm of all gradients together; None does not clip.
    """

    rate: float = 2e-5
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    decay: float = 0.0
    warmup: float = 0.03
    floor: float = 0.0
    clip: float | None = None

    def __post_init__(self) -> None:
        check(self.rate >= 0, "optimiser.rate", self.rate, "0 or more")
        check(0 <= self.warmup < 1, "optimiser.warmup", self.warmup, "a share, 0 or more and below 1")
        check(0 <= self.floor <= 1, "optimiser.floor", self.floor, "a share, 0 to 1")
        check(self.clip is None or self.clip > 0, "optimiser.clip", self.clip, "more than 0, or none")
        fits = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        check(fits, "optimiser.betas", self.betas, "two numbers, 0 or more and below 1")


# Choices


@dataclass(frozen=True)
class Choices:
    """Where the published training has a defect or leaves room (docs/parity.md); None
    follows the recipe's fidelity (`BY_FIDELITY`).

    Attributes:
        region_order: which cells `<|mem|>` averages; "checkpoint" as the model was trained.
        seconds: positions of a clip's frames; "checkpoint" as the model was trained.
        rotary_gradients: of SAM's memory attention.
        quality_gradients: of a mask's predicted quality (model.losses).
        last_frame: Q7, whether a clip's last frame can be drawn.
        label_masks: pixels of a resized mask that count as object.
        pointer_grid: where clicks and boxes are drawn.
        pointer_slots: Q4, which pointer comes to which `<|ref|>`.
        word_counts: Q6, what the word limits count.
        position_matrices: "drawn" anew at the start of every stage, or "kept" and saved.
        frozen_dropout: whether frozen parts keep their dropout and drop path.
        object_counts: what sums over a sample's objects are divided by: their mean over "ranks", or the
            "sample"'s own number, which makes gradients the same on any number of devices.
        kinds_together: whether each micro-batch or each step has one kind of conversation; "micro" makes the
            sequence of samples depend on the number of devices.
        mask_order: Q3, how expressions of Ref-YouTube-VOS and Ref-DAVIS17 find their masks.
        stuff_classes: Q2, which classes of COCO-Stuff are never asked for.
    """

    region_order: Literal["window", "raster", "checkpoint"] | None = None
    seconds: Literal["published", "fractional", "checkpoint"] | None = None
    rotary_gradients: Fidelity | None = None
    quality_gradients: Fidelity | None = None
    last_frame: Fidelity | None = None
    label_masks: Fidelity | None = None
    pointer_grid: Literal["view", "clip"] | None = None
    pointer_slots: Literal["objects", "text"] | None = None
    word_counts: Fidelity | None = None
    position_matrices: Literal["drawn", "kept"] | None = None
    frozen_dropout: Literal["active", "off"] | None = None
    object_counts: Literal["ranks", "sample"] | None = None
    kinds_together: Literal["micro", "step"] | None = None
    mask_order: Literal["json", "auto", "string_sorted", "sorted"] | None = None
    stuff_classes: Literal["published", "by_name"] | None = None


BY_FIDELITY: dict[Fidelity, Choices] = {
    "published": Choices(
        region_order="window",
        seconds="published",
        rotary_gradients="published",
        quality_gradients="published",
        last_frame="published",
        label_masks="published",
        pointer_grid="view",
        pointer_slots="objects",
        word_counts="published",
        position_matrices="drawn",
        frozen_dropout="active",
        object_counts="ranks",
        kinds_together="micro",
        mask_order="json",
        stuff_classes="published",
    ),
    "corrected": Choices(
        region_order="raster",
        seconds="fractional",
        rotary_gradients="corrected",
        quality_gradients="corrected",
        last_frame="corrected",
        label_masks="corrected",
        pointer_grid="clip",
        pointer_slots="text",
        word_counts="corrected",
        position_matrices="kept",
        frozen_dropout="off",
        object_counts="sample",
        kinds_together="step",
        mask_order="auto",
        stuff_classes="by_name",
    ),
}


# What comes out


@dataclass(frozen=True)
class Saving:
    """`every`: steps between two states to go on from (None: only at the end); `keep`: the last so many stay;
    `exports`: what is written at the end, each into a folder of its name."""

    every: int | None = 500
    keep: int = 2
    exports: tuple[Export, ...] = ("whole",)

    def __post_init__(self) -> None:
        check(self.every is None or self.every >= 1, "save.every", self.every, "1 or more, or none")
        check(self.keep >= 1, "save.keep", self.keep, "1 or more")


@dataclass(frozen=True)
class Report:
    """`every`: steps between two lines; `to`: trackers beside the log file that is always written."""

    every: int = 10
    to: tuple[ReporterName, ...] = ()
    project: str = "unipixel"

    def __post_init__(self) -> None:
        check(self.every >= 1, "report.every", self.every, "1 or more")


@dataclass(frozen=True)
class Recipe:
    """A whole training run.

    Attributes:
        name: what it is called; its folder unless another is given.
        epochs: of the mixture; or `steps`, which goes before.
        precision: "float32"; "mixed": weights in float32, products in bfloat16; "bfloat16": the same with
            frozen weights in bfloat16.
        recompute: whether activations are computed again in the backward pass instead of being kept.
        strategy: of several processes; "auto" is "ddp" where there are several.
        workers: processes that prepare samples, for each device.
        root: the data folder.
        tolerance: share of samples that may fail.
    """

    name: str
    start: Start = field(default_factory=Start)
    data: tuple[Source, ...] = ()
    root: str = "data"
    seen: Seen = field(default_factory=Seen)
    batch: Batching = field(default_factory=Batching)
    parts: Parts = field(default_factory=Parts)
    lora: Lora = field(default_factory=Lora)
    own: OwnParts = field(default_factory=OwnParts)
    optimiser: Optimiser = field(default_factory=Optimiser)
    fidelity: Fidelity = "corrected"
    choices: Choices = field(default_factory=Choices)
    epochs: float = 1.0
    steps: int | None = None
    precision: Precision = "float32"
    recompute: bool = False
    strategy: Strategy = "auto"
    workers: int = 0
    seed: int = 0
    device: str = "auto"
    tolerance: float = 0.05
    save: Saving = field(default_factory=Saving)
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        check_choice("fidelity", self.fidelity, Fidelity)
        check_choice("precision", self.precision, Precision)
        check_choice("strategy", self.strategy, Strategy)
        check(self.epochs > 0, "epochs", self.epochs, "more than 0")
        check(self.steps is None or self.steps >= 1, "steps", self.steps, "1 or more, or none")
        check(self.workers >= 0, "workers", self.workers, "0 or more")
        check(self.seed >= 0, "seed", self.seed, "0 or more")
        check(0 <= self.tolerance <= 1, "tolerance", self.tolerance, "a share, 0 to 1")
        names = [source.name for source in self.data]
        check(len(set(names)) == len(names), "data", names, "different names")
        adapter = "adapter" in self.save.exports
        check(
            not adapter or self.parts.has_lora, "save.exports", "adapter", "'partial': no part takes adapters"
        )

    @property
    def resolved(self) -> Choices:
        """Every choice made: the given ones, and those of the fidelity."""
        given = {choice.name: getattr(self.choices, choice.name) for choice in fields(Choices)}
        return replace(BY_FIDELITY[self.fidelity], **{k: v for k, v in given.items() if v is not None})

    def policy(self, side: int) -> Policy:
        """How samples become conversations for a mask view of `side` pixels."""
        seen, made = self.seen, self.resolved
        frames = FramePolicy(
            number=seen.frames,
            spread=seen.spread,
            last=made.last_frame or "corrected",
            at_most=seen.max_frames,
            seconds=seen.max_seconds,
        )
        room = {"min_pixels": seen.min_pixels, "max_pixels": seen.max_pixels}
        pixels = replace(frames.pixels, **{k: v for k, v in room.items() if v is not None})
        return Policy(
            frames=replace(frames, pixels=pixels),
            pointers=PointerPolicy(
                grid=made.pointer_grid or "clip", slots=made.pointer_slots or "text", side=side
            ),
            text=TextPolicy(
                wording=Wording.default() if seen.wording is None else Wording.open(seen.wording),
                max_rounds=seen.max_rounds,
                max_words=seen.max_words,
                counting=made.word_counts or "corrected",
                max_tokens=seen.max_tokens,
            ),
            regions=RegionPolicy(targets=made.label_masks or "corrected"),
            seed=self.seed,
        )

    def rate_at(self, step: int, steps: int, rate: float) -> float:
        """The rate of step 0 ... steps - 1. (The published schedule begins with one step at rate 0.)"""
        warmup = math.ceil(self.optimiser.warmup * steps)
        if step < warmup:
            return rate * (step + 1) / warmup
        done = (step - warmup) / max(1, steps - warmup)
        floor = self.optimiser.floor
        return rate * (floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2)
