"""What each choice of the paper is worth at the scale of the small model.

    python benchmarks/ablations.py --list
    python benchmarks/ablations.py memory --base build/unipixel-tiny/base -o build/ablations
    python benchmarks/ablations.py memory -o build/ablations --table
    python benchmarks/ablations.py memory --steps 2 --clips 2 -o build/trial    # does it run?

Every variant of a study is stage 3 of the small model with a few steps, from the same base and with the same
samples, once for each seed; the test split of the made-up world then says what came of it. What is finished
is kept, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from unipixel.core.writing import replacing
from unipixel.evaluation.benchmark import Benchmark
from unipixel.evaluation.made_up_families import family_row
from unipixel.evaluation.model_card import open_model
from unipixel.evaluation.provenance import Model
from unipixel.evaluation.runner import Manner, Plan, run
from unipixel.evaluation.scoring import HowToScore
from unipixel.evaluation.work import Work, score_work
from unipixel.predictor import Predictor
from unipixel.training import run as training
from unipixel.training.recipe import Recipe
from unipixel.training.recipe_file import read_recipe

log = logging.getLogger(__name__)

BATCH = 8
SEEDS = (0, 1)
PARTS = "benchmarks/ablation_parts.py"
SEGMENTING = ("names", "relations", "motion", "reasoning", "long")
REFERRING = ("regions", "region_memory", "region_choices")
METRICS = {"region_choices": "accuracy", "clips": "accuracy"}


@dataclass(frozen=True)
class Study:
    """A question, and the ways to answer it: by name the words that change the recipe, as on the command
    line. `trained` are the families that are learned from unless a variant has its own (`only`), `scored`
    those that tell."""

    question: str
    variants: Mapping[str, tuple[str, ...]]
    trained: tuple[str, ...]
    scored: tuple[str, ...]
    only: Mapping[str, tuple[str, ...]]


def study(
    question: str,
    variants: Mapping[str, tuple[str, ...]],
    trained: tuple[str, ...],
    scored: tuple[str, ...],
    only: Mapping[str, tuple[str, ...]] | None = None,
) -> Study:
    """A study; `only` may be left out."""
    return Study(question, variants, trained, scored, only or {})


STUDIES: Mapping[str, Study] = {
    "memory": study(
        "Does the object memory tell what is asked about remembered regions?",
        {"with": (), "without": (f"own.object_memory={PARTS}:EmptyMemory",)},
        REFERRING,
        ("region_choices",),
    ),
    "region_order": study(
        "Does it matter that the published memory looks up cells in window order?",
        {"raster": ("choices.region_order=raster",), "window": ("choices.region_order=window",)},
        REFERRING,
        ("region_choices",),
    ),
    "propagation": study(
        "Are objects better followed than found anew on every frame?",
        {"propagation": (), "per frame": (f"own.tracker={PARTS}:PerFrame",)},
        SEGMENTING,
        ("names", "motion"),
    ),
    "rotary_gradients": study(
        "Do the lost gradients of the published rotary attention matter?",
        {name: (f"choices.rotary_gradients={name}",) for name in ("corrected", "published")},
        SEGMENTING,
        ("names", "motion"),
    ),
    "tasks": study(
        "Do referring and segmenting help each other?",
        {"both": (), "referring": (), "segmenting": ()},
        (*SEGMENTING, *REFERRING),
        ("names", "relations", "region_choices"),
        {"referring": REFERRING, "segmenting": SEGMENTING},
    ),
    "hidden_tokens": study(
        "How many hidden tokens does a mask need?",
        {name: (f"own.seg_head={PARTS}:{name.title()}Tokens",) for name in ("two", "four")}
        | {"one": (f"own.seg_head={PARTS}:OneToken",)},
        SEGMENTING,
        ("names", "relations"),
    ),
}


@dataclass(frozen=True)
class Scale:
    """How much is done for every variant: steps of training from `base`, and test clips of each family."""

    base: Path
    steps: int
    clips: int


def recipe_of(made: Study, variant: str, seed: int, scale: Scale) -> Recipe:
    """The run of one variant."""
    words = (f"seed={seed}", f"steps={scale.steps}", f"batch.size={BATCH}", f"batch.micro={BATCH}")
    recipe = read_recipe("tiny_3", (*words, *made.variants[variant]))
    families = made.only.get(variant, made.trained)
    data = tuple(source for source in recipe.data if source.name.removeprefix("made_up_") in families)
    return replace(
        recipe,
        name=f"{variant}_{seed}",
        start=replace(recipe.start, model=str(scale.base), partials=()),
        data=data,
        save=replace(recipe.save, every=None),
    )


def score(row: Benchmark, predictor: Predictor, model: Model, folder: Path, clips: int) -> float:
    """A benchmark's main value, 0 to 1."""
    plan = Plan(row, Path(), folder / row.name, limit=clips)
    run(plan, predictor, model, Manner(batch=BATCH))
    found = score_work(Work(plan, row.protocols), HowToScore()).results[0]
    value = found.score(METRICS.get(row.name.split("made_up_")[-1], "J&F")) or found.scores[0]
    assert value.all is not None, f"{row.name} was not scored"
    return value.all.value / 100


def make(made: Study, folder: Path, scale: Scale) -> None:
    """Train and score every variant with every seed."""
    for seed in SEEDS:
        for variant in made.variants:
            done = folder / f"{variant}_{seed}" / "scores.json"
            if done.is_file():
                continue
            training.run(recipe_of(made, variant, seed, scale), done.parent, resume=True, trust_code=True)
            predictor, model = open_model(str(done.parent / "whole"), "cpu", trust_code=True)
            scores = {
                family: score(family_row(family, "test"), predictor, model, done.parent, scale.clips)
                for family in made.scored
            }
            with replacing(done) as part:
                part.write_text(json.dumps(scores), encoding="utf-8")
            log.info("%s, seed %d: %s", variant, seed, scores)


def table(made: Study, folder: Path) -> str:
    """The mean over seeds, with the lowest and the highest."""
    lines = [f"{made.question}", "", "| |" + "".join(f" {family} |" for family in made.scored)]
    lines.append("|---|" + "---|" * len(made.scored))
    for variant in made.variants:
        files = [folder / f"{variant}_{seed}" / "scores.json" for seed in SEEDS]
        found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
        cells = [_cell([scores[family] for scores in found]) for family in made.scored] if found else []
        lines.append(f"| {variant} |" + "".join(f" {cell} |" for cell in cells))
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    return f"{mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", nargs="?", choices=tuple(STUDIES))
    parser.add_argument("--base", type=Path, default=Path("build/unipixel-tiny/base"))
    parser.add_argument("-o", "--output", type=Path, default=Path("build/ablations"))
    parser.add_argument("--steps", type=int, default=150, help="of training, of 8 samples each")
    parser.add_argument("--clips", type=int, default=60, help="of each family, to score with")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--table", action="store_true", help="only show what is finished")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if arguments.list or arguments.study is None:
        print("\n".join(f"{name:18} {made.question}" for name, made in STUDIES.items()))
        return
    made, folder = STUDIES[arguments.study], arguments.output / arguments.study
    if not arguments.table:
        make(made, folder, Scale(arguments.base, arguments.steps, arguments.clips))
    print(table(made, folder))


if __name__ == "__main__":
    main()
