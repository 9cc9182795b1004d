"""The made-up world through the runner gives the numbers of its own modules."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from tests.evaluation.stub import MODEL, Stub

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.evaluation import clicks, fresh_clips
from unipixel.evaluation.benchmarks import find_benchmarks
from unipixel.evaluation.made_up import FreshClips
from unipixel.evaluation.predictions import Predictions
from unipixel.evaluation.runner import run
from unipixel.evaluation.work import plan_work, score_work

CLIPS = 4


@dataclass
class Found:
    id: int
    masks: MaskTrack


@dataclass
class Pointed:
    """Answers every click and box with a disc around it, and corrections with a larger one."""

    clip: object
    asked: list = field(default_factory=list)

    def refer(self, prompt, /):
        self.asked.append(prompt)
        return Found(len(self.asked), self._disc(prompt, 9))

    def correct(self, object_id, points, /):
        return Found(object_id, self._disc(points[0], 14))

    def _disc(self, prompt, radius):
        x, y = (prompt.x, prompt.y) if hasattr(prompt, "x") else (prompt.x1, prompt.y1)
        rows, columns = np.mgrid[: self.clip.height, : self.clip.width]
        disc = RLE.from_mask((columns - x) ** 2 + (rows - y) ** 2 < radius**2)
        return MaskTrack(tuple(FrameMask(n, disc, 1.0, True) for n in range(self.clip.num_frames)))


class Both(Stub):
    def session(self, clip):
        return Pointed(clip)


def outcome(name, folder):
    from dataclasses import replace

    row = replace(find_benchmarks([name])[0], data=FreshClips(CLIPS))
    work = plan_work([row], "published", folder, folder / "out")[0]
    run(work.plan, Both(), MODEL)
    return work, score_work(work).results[0]


def test_fresh_clips_have_the_numbers_of_their_module(tmp_path):
    work, result = outcome("fresh_clips", tmp_path)
    report = fresh_clips.evaluate(Both().answer, CLIPS, tmp_path)
    assert [case.values["IoU"] for case in result.cases] == pytest.approx([clip.iou for clip in report.clips])
    values = {score.name: score.all.value for score in result.scores}
    assert values["IoU"] == pytest.approx(report.iou)
    assert values["IoU with the wrong things"] == pytest.approx(report.wrong)
    assert values["gain over that"] == pytest.approx(report.gain)
    assert len(Predictions.open(work.plan.folder)) == CLIPS


def test_clicks_have_the_numbers_of_their_module(tmp_path):
    _, result = outcome("clicks", tmp_path)
    report = clicks.evaluate(Pointed, CLIPS, tmp_path)
    values = {score.name: score.all.value for score in result.scores}
    for kind in ("click", "box"):
        names = [f"{kind}, {part}" for part in ("all frames", "before", "there", "after")]
        assert [values[name] for name in names] == pytest.approx(list(report.parts(kind)))
    assert report.corrections and values["gain"] == pytest.approx(report.gain)
    assert len(result.cases) == len(report.scores)


def test_the_model_sees_what_it_chooses_itself(tmp_path):
    row = find_benchmarks(["fresh_clips"])[0]
    work = plan_work([row], "published", tmp_path, tmp_path / "out", limit=1)[0]
    stub = Both()
    run(work.plan, stub, MODEL)
    (request,) = stub.asked
    assert request.num_frames is None and request.pixels is None
    name = work.plan.samples()[0].rounds[0].text
    assert request.turns[0].parts == (f"Please segment the {name} in this video.",)
