"""The named recipes: the three published stages, fine-tuning on
one's own data, and one for finding out whether everything works."""

from __future__ import annotations

import difflib
from dataclasses import replace
from functools import cache

from unipixel.data.registry import datasets
from unipixel.errors import ConfigError
from unipixel.training.recipe import (
    Batching,
    Choices,
    Lora,
    Optimiser,
    Parts,
    Recipe,
    Report,
    Saving,
    Seen,
    Source,
    Start,
    Tuning,
)

FULL, LORA = Tuning("full"), Tuning("lora")
SAM2_RATE = 5e-6
BASE_3B = Start(
    model="Qwen/Qwen2.5-VL-3B-Instruct", sam2="sam2.1_hiera_base_plus.pt", sam2_preset="b+", size="3b"
)
BASE_7B = replace(BASE_3B, model="Qwen/Qwen2.5-VL-7B-Instruct", size="7b")
ALIGNMENT = Optimiser(rate=1e-3)
SEGMENTING = ("names", "relations", "motion", "reasoning", "long")
"""Families of the made-up world that ask for masks."""
ADAPTED = Parts(
    visual=LORA,
    language=LORA,
    embeddings=FULL,
    prompt_points=FULL,
    prompt=FULL,
    memory=FULL,
    seg_head=FULL,
    sam2=Tuning("full", rate=SAM2_RATE),
)


def stage_data(stage: int) -> tuple[Source, ...]:
    """The published mixture of a stage (1 to 3): what the registry repeats there."""
    rows = [(info.name, info.splits[0], info.repeats[stage - 1]) for info in datasets()]
    return tuple(Source(name, split, float(times)) for name, split, times in rows if times)


@cache
def recipes() -> dict[str, Recipe]:
    """Every named recipe."""
    stage_1 = Recipe(
        name="stage_1_3b",
        start=BASE_3B,
        data=stage_data(1),
        batch=Batching(256, 8),
        parts=Parts(prompt=FULL),
        optimiser=ALIGNMENT,
        precision="bfloat16",
        workers=8,
        save=Saving(exports=("partial",)),
    )
    stage_2 = replace(stage_1, name="stage_2_3b", data=stage_data(2), parts=Parts(seg_head=FULL))
    stage_3 = Recipe(
        name="stage_3_3b",
        start=replace(BASE_3B, partials=("stage_1_3b/partial", "stage_2_3b/partial")),
        data=stage_data(3),
        seen=Seen(max_words=200, max_tokens=40960),
        batch=Batching(32, 1),
        parts=ADAPTED,
        optimiser=Optimiser(rate=2e-5),
        precision="bfloat16",
        recompute=True,
        workers=8,
        save=Saving(exports=("adapter", "whole")),
    )
    large = replace(BASE_7B, partials=("stage_1_7b/partial", "stage_2_7b/partial"))
    found = (
        stage_1,
        stage_2,
        stage_3,
        replace(stage_1, name="stage_1_7b", start=BASE_7B),
        replace(stage_2, name="stage_2_7b", start=BASE_7B),
        replace(stage_3, name="stage_3_7b", start=large, strategy="fsdp"),
        *_tiny(),
        _finetune(),
        _finetune_tiny(),
        _debug(),
        _debug_qwen3(),
    )
    return {recipe.name: recipe for recipe in found}


def _tiny() -> tuple[Recipe, ...]:
    """The three stages at the scale of the small model, on the made-up world (`unipixel.training.tiny` makes
    what they start from)."""
    stage_1 = Recipe(
        name="tiny_1",
        start=Start(model="base"),
        data=_made_up("regions", "pixelqa"),
        seen=Seen(pixels="model", wording="made_up"),
        batch=Batching(16, 8),
        parts=Parts(prompt=FULL),
        optimiser=Optimiser(rate=1e-3, clip=1.0),
        steps=150,
        precision="mixed",
        workers=1,
        save=Saving(every=100, exports=("partial",)),
    )
    stage_2 = replace(
        stage_1,
        name="tiny_2",
        data=_made_up(*SEGMENTING),
        parts=Parts(seg_head=FULL),
    )
    everything = (*SEGMENTING, "pixelqa", "regions", "region_memory", "region_choices", "clips", "talk")
    stage_3 = replace(
        stage_1,
        name="tiny_3",
        start=Start(model="base", partials=("tiny_1/partial", "tiny_2/partial")),
        data=_made_up(*everything),
        parts=replace(ADAPTED, visual=FULL, language=FULL, sam2=Tuning("full", rate=1e-4)),
        optimiser=Optimiser(rate=5e-4, clip=1.0),
        steps=600,
        save=Saving(every=100, exports=("whole",)),
    )
    return stage_1, stage_2, stage_3


def _made_up(*families: str) -> tuple[Source, ...]:
    """Sources of the made-up world: pictures and short clips, but motion needs a few frames."""
    frames = {"motion": "4-8"}
    return tuple(
        Source(f"made_up_{family}", options=(f"frames={frames.get(family, '1-8')}",)) for family in families
    )


def _finetune() -> Recipe:
    """One's own data: adapters on a trained model, whose own choices stay as they are."""
    return Recipe(
        name="finetune",
        start=Start(model="PolyU-ChenLab/UniPixel-3B", size="3b"),
        batch=Batching(8, 1, rest="fill"),
        seen=Seen(max_words=None, max_tokens=8192, pixels="model"),
        parts=ADAPTED,
        lora=Lora(rank=32, alpha=64.0, dropout=0.05),
        optimiser=Optimiser(rate=1e-4, clip=1.0),
        choices=Choices(region_order="checkpoint", seconds="checkpoint"),
        epochs=3.0,
        precision="bfloat16",
        recompute=True,
        workers=2,
        save=Saving(every=200, exports=("adapter", "whole")),
        report=Report(every=1),
    )


def _finetune_tiny() -> Recipe:
    """The same for the bundled model on a processor. Its mask decoder learns too: frozen, it did not find a
    look that it had never seen, not even in the clips that it was taught with."""
    return replace(
        _finetune(),
        name="finetune_tiny",
        start=Start(),
        batch=Batching(4, 4, rest="fill"),
        seen=Seen(frames=2, pixels="model"),
        parts=replace(ADAPTED, sam2=Tuning("full", rate=3e-4)),
        lora=Lora(rank=8, alpha=16.0, dropout=0.0),
        optimiser=Optimiser(rate=1e-3, clip=1.0),
        steps=120,
        precision="float32",
        recompute=False,
        workers=0,
        device="cpu",
    )


def _debug() -> Recipe:
    """A few steps with the bundled model on a processor, of everything that can be trained."""
    return Recipe(
        name="debug",
        batch=Batching(2, 1, rest="fill"),
        seen=Seen(frames=4, pixels="model"),
        parts=replace(ADAPTED, visual=FULL, language=FULL),
        optimiser=Optimiser(rate=1e-4, clip=1.0),
        steps=4,
        save=Saving(every=2),
        report=Report(every=1),
        device="cpu",
    )


def _debug_qwen3() -> Recipe:
    """A few steps from the other base model, of everything that stage 3 trains."""
    start = replace(BASE_3B, model="Qwen/Qwen3-VL-2B-Instruct", size="qwen3-2b")
    small = Lora(rank=8, alpha=16.0, dropout=0.0)
    return replace(_debug(), name="debug_qwen3", start=start, parts=ADAPTED, lora=small, precision="bfloat16")


def get_recipe(name: str) -> Recipe:
    """A named recipe; ConfigError with the closest match for an unknown name."""
    known = recipes()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(f"there is no recipe {name!r}; {meant}there is: {', '.join(known)}, or a file")
    return known[name]
