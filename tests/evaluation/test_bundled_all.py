"""The second bundled model does every task: well below what its card says, well above what a guess gives."""

from pathlib import Path

import pytest

from unipixel.evaluation.made_up_families import CHOICES, CLIPS, PIXEL_QA, family_row
from unipixel.evaluation.model_card import open_model
from unipixel.evaluation.runner import Manner, Plan, run
from unipixel.evaluation.work import Work, score_work


@pytest.fixture(scope="module")
def bundled():
    return open_model("unipixel-tiny-all", "cpu")


@pytest.mark.parametrize(
    ("family", "metric", "least", "limit"),
    [
        ("names", "J&F", 40.0, 12),
        ("relations", "J&F", 40.0, 12),
        ("long", "J&F", 50.0, 12),
        (PIXEL_QA, "J&F", 50.0, 12),
        (CHOICES, "accuracy", 20.0, 24),
        (CLIPS, "accuracy", 30.0, 24),
    ],
)
def test_a_task_is_done(bundled, family: str, metric: str, least: float, limit: int, tmp_path: Path) -> None:
    predictor, model = bundled
    plan = Plan(family_row(family, "test"), Path(), tmp_path, limit=limit)
    run(plan, predictor, model, Manner(batch=6))
    (result,) = score_work(Work(plan, plan.benchmark.protocols)).results
    score = result.score(metric)
    assert result.is_sound and score is not None and score.all is not None
    assert score.all.value >= least
