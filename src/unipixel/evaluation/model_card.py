"""The made-up world's scores of a model as one table for its card: all families, splits and controls.

    python -m unipixel.evaluation.model_card --model unipixel-tiny -o build/card

Predictions stay in the output folder, so that a run that was stopped goes on. Every number comes from the
same benchmarks as `unipixel eval made_up_test`; controls ask the same with something taken away.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from unipixel.core.progress import Progress
from unipixel.core.writing import replacing
from unipixel.data.sample import Choice, Sample
from unipixel.evaluation.benchmark import Benchmark, Predictor, Setting
from unipixel.evaluation.made_up_families import (
    CHOICES,
    CLIPS,
    FAMILIES,
    MASKS,
    PIXEL_QA,
    SPLITS,
    STILLS,
    DrawnSet,
    controlled,
    controls_of,
    family_row,
)
from unipixel.evaluation.provenance import Model, fingerprint
from unipixel.evaluation.runner import Manner, Plan, run
from unipixel.evaluation.scoring import HowToScore, Result
from unipixel.evaluation.work import Work, score_work
from unipixel.hub import find_checkpoint

log = logging.getLogger(__name__)

HEAD = ("", *(split.replace("_", " ") for split in SPLITS), "blind", "forgetful", "majority")
TITLES: Mapping[str, str] = {
    "names": "masks for names and looks, J&F",
    "relations": "masks for relations, J&F",
    "motion": "masks for motion, J&F",
    "reasoning": "masks with a reasoning step, J&F",
    "long": "masks for long descriptions, J&F",
    STILLS: "masks in still pictures, cIoU",
    CHOICES: "questions about remembered regions, accuracy",
    PIXEL_QA: "questions about clicked and boxed regions (PixelQA)",
    CLIPS: "questions about clips, accuracy",
}
BATCH = 8
GUIDE = "val"
"""Split whose commonest answers the majority control gives."""
GUIDED = 200
"""How many of its questions are looked at."""


@dataclass(frozen=True)
class Card:
    """How a card is made.

    Attributes:
        folder: where predictions go.
        limit: of samples of each benchmark; None is all.
        batch: how many are asked together.
        families: which ones.
        setting: words and seed.
    """

    folder: Path
    limit: int | None = None
    batch: int = BATCH
    families: tuple[str, ...] = FAMILIES
    setting: Setting = field(default_factory=Setting)


@dataclass(frozen=True)
class Line:
    """One line of the table: what is measured, and its values by column; missing ones are not measured."""

    title: str
    values: Mapping[str, float]


def make_card(predictor: Predictor, model: Model, card: Card) -> tuple[Line, ...]:
    """Ask and score everything."""
    lines: list[Line] = []
    for family in card.families:
        results = {split: _result(family_row(family, split), predictor, model, card) for split in SPLITS}
        test = family_row(family, SPLITS[0])
        for control in controls_of(family):
            results[control] = _result(controlled(test, control), predictor, model, card)
        lines += _lines(family, results, card)
    return (*_means(lines), *lines)


def _result(row: Benchmark, predictor: Predictor, model: Model, card: Card) -> Result:
    plan = Plan(row, Path(), card.folder / row.name, setting=card.setting, limit=card.limit)
    run(plan, predictor, model, Manner(batch=card.batch, on_progress=_tell))
    return score_work(Work(plan, row.protocols), HowToScore()).results[0]


def _tell(progress: Progress) -> None:
    log.info("%s", progress)


def _lines(family: str, results: Mapping[str, Result], card: Card) -> Iterator[Line]:
    """The lines of one family; PixelQA has two."""
    metrics = {STILLS: ("cIoU",), CHOICES: ("accuracy",), CLIPS: ("accuracy",), PIXEL_QA: ("J&F", "accuracy")}
    for metric in metrics.get(family, ("J&F",)):
        values = {column: _value(result, metric) for column, result in results.items()}
        known = {column: value for column, value in values.items() if value is not None}
        if metric == "accuracy":
            known["majority"] = majority(family, card.limit)
        title = TITLES[family] + (f", {metric}" if family == PIXEL_QA else "")
        yield Line(title, known)


def _value(result: Result, metric: str) -> float | None:
    score = result.score(metric)
    return None if score is None or score.all is None else score.all.value / 100


def _means(lines: Sequence[Line]) -> Iterator[Line]:
    """The mean of all families that are asked for masks of clips."""
    found = [line for line in lines if line.title in {TITLES[family] for family in MASKS}]
    columns = [name for name in _columns() if all(name in line.values for line in found)]
    if len(found) > 1:
        means = {name: sum(line.values[name] for line in found) / len(found) for name in columns}
        yield Line(f"masks in clips, J&F, mean of the {len(found)} families below", means)


def majority(family: str, limit: int | None = None) -> float:
    """Accuracy of always giving the answer that is most often right of its kind of question, on the test
    split; how often that is comes from another split."""
    name = family_row(family, SPLITS[0]).data
    assert isinstance(name, DrawnSet), "families are drawn"
    right: Counter[tuple[str, str]] = Counter()
    for sample, choice in _choices(replace(name, split=GUIDE), GUIDED):
        right[sample.facts["type"], choice.options[choice.key or 0]] += 1
    hits = [_guess(sample, choice, right) for sample, choice in _choices(name, limit)]
    return sum(hits) / len(hits)


def _choices(data: DrawnSet, limit: int | None) -> Iterator[tuple[Sample, Choice]]:
    samples = data.open(Path(), {}).samples
    for index in range(len(samples) if limit is None else min(limit, len(samples))):
        sample = samples[index]
        choice = sample.rounds[0]
        assert isinstance(choice, Choice), "held-out splits have options"
        yield sample, choice


def _guess(sample: Sample, choice: Choice, right: Counter[tuple[str, str]]) -> float:
    """Share of the equally common options that is right."""
    counts = [right[sample.facts["type"], option] for option in choice.options]
    best = [place for place, count in enumerate(counts) if count == max(counts)]
    return (choice.key in best) / len(best)


# As text


def _columns() -> tuple[str, ...]:
    return (*SPLITS, "blind", "forgetful", "majority")


def as_markdown(lines: Sequence[Line]) -> str:
    """The table."""
    rows = [
        [line.title, *(f"{line.values[name]:.3f}" if name in line.values else "" for name in _columns())]
        for line in lines
    ]
    head = [list(HEAD), ["---", *["---:"] * (len(HEAD) - 1)]]
    return "\n".join("| " + " | ".join(row) + " |" for row in (*head, *rows)) + "\n"


def open_model(name: str, device: str, trust_code: bool = False) -> tuple[Predictor, Model]:
    """A model by its bundled name, folder or hub id, and what names it in manifests. trust_code: run the code
    of parts that the model names."""
    from unipixel.loading import load

    folder = find_checkpoint(name)
    opened = load(folder, device=device, trust_code=trust_code)
    files = [path for path in folder.iterdir() if path.suffix in (".json", ".safetensors")]
    kind = str(opened.dtype).removeprefix("torch.")
    return opened, Model(name, fingerprint(files), kind, str(opened.device))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m unipixel.evaluation.model_card",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-m", "--model", default="unipixel-tiny", help="a bundled name, a folder or a hub id")
    parser.add_argument("-o", "--output", type=Path, default=Path("model_card"), help="folder of predictions")
    parser.add_argument("--limit", type=int, help="samples of each benchmark: a trial")
    parser.add_argument("--batch", type=int, default=BATCH, help="how many are asked together")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps ...")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES, help="only these")
    parser.add_argument(
        "--trust-code", action="store_true", help="run the code of parts that the model names"
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    predictor, model = open_model(given.model, given.device, given.trust_code)
    card = Card(given.output, given.limit, given.batch, tuple(given.families))
    table = as_markdown(make_card(predictor, model, card))
    with replacing(given.output / "card.md") as part:
        part.write_text(table, encoding="utf-8")
    sys.stdout.write(table)


if __name__ == "__main__":
    main()
