"""Scores of pointing at things by sessions whose answers are known beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

import unipixel
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.prompts import Box, Point
from unipixel.data.pointing import correction_click, draw_box, draw_click
from unipixel.data.synthetic.scene import Scene, evaluation_seed, make_scene
from unipixel.evaluation.clicks import WORLD, evaluate, frame_ious


@dataclass
class Found:
    id: int
    masks: MaskTrack


def masks_of(array: np.ndarray) -> MaskTrack:
    return MaskTrack(tuple(FrameMask(i, RLE.from_mask(mask), 1.0, True) for i, mask in enumerate(array)))


@dataclass
class Oracle:
    """Knows the truth, but loses every thing before the frame on which it was prompted, until corrected."""

    scene: Scene
    loses: bool
    prompts: list[Point | Box] = field(default_factory=list)
    corrections: list[Point] = field(default_factory=list)

    def thing(self, number: int) -> np.ndarray:
        prompt = self.prompts[number]
        x, y = (prompt.x, prompt.y) if isinstance(prompt, Point) else (None, None)
        if x is None and isinstance(prompt, Box):
            x, y = (prompt.x1 + prompt.x2) / 2, (prompt.y1 + prompt.y2) / 2
        held = self.scene.masks[:, prompt.frame, int(y or 0), int(x or 0)]
        assert held.sum() == 1
        return self.scene.masks[int(held.argmax())]

    def refer(self, prompt: Point | Box) -> Found:
        self.prompts.append(prompt)
        masks = self.thing(len(self.prompts) - 1).copy()
        if self.loses:
            masks[: prompt.frame] = False
        return Found(len(self.prompts) - 1, masks_of(masks))

    def correct(self, object_id: int, points: Sequence[Point]) -> Found:
        (point,) = points
        self.corrections.append(point)
        masks = self.thing(object_id)
        assert point.positive and masks[point.frame, int(point.y), int(point.x)]
        return Found(object_id, masks_of(masks))


def sessions(loses: bool) -> tuple[list[Oracle], object]:
    opened: list[Oracle] = []

    def start(clip: Clip) -> Oracle:
        assert clip.num_frames == WORLD.num_frames
        opened.append(Oracle(make_scene(evaluation_seed(len(opened)), WORLD), loses))
        return opened[-1]

    return opened, start


def test_the_truth_scores_one_and_needs_no_correction(tmp_path: Path) -> None:
    opened, start = sessions(loses=False)
    report = evaluate(start, 2, tmp_path)  # type: ignore[arg-type]
    assert len(report.of("click")) == len(report.of("box")) == 6 and len(opened) == 2
    for kind in ("click", "box"):
        assert report.parts(kind) == pytest.approx((1.0, 1.0, 1.0, 1.0))
    assert not report.corrections and report.passed and str(report).endswith("PASS")
    assert {type(prompt) for prompt in opened[0].prompts} == {Point, Box}
    assert {prompt.frame for prompt in opened[0].prompts} == {WORLD.num_frames // 2}


def test_what_is_lost_before_the_prompt_shows_and_is_corrected(tmp_path: Path) -> None:
    opened, start = sessions(loses=True)
    report = evaluate(start, 1, tmp_path)  # type: ignore[arg-type]
    every, before, there, after = report.parts("click")
    assert (every, before, there, after) == pytest.approx((0.5, 0.0, 1.0, 1.0))
    assert len(report.corrections) == 6 == len(opened[0].corrections)
    assert report.gain == pytest.approx(0.5)
    assert all(c.frame_before == 0.0 and c.frame_after == 1.0 for c in report.corrections)
    assert not report.passed and str(report).endswith("FAIL")


def test_a_correction_that_does_harm_fails(tmp_path: Path) -> None:
    _, start = sessions(loses=True)
    report = evaluate(start, 1, tmp_path)  # type: ignore[arg-type]
    fine = replace(report, scores=tuple(replace(s, ious=np.full(8, 0.9)) for s in report.scores))
    assert fine.passed
    harmed = [replace(s, correction=replace(s.correction, after=0.1)) for s in fine.scores if s.correction]
    assert not replace(fine, scores=tuple(harmed)).passed


def test_ious_by_hand() -> None:
    predicted, truth = np.zeros((3, 4, 4), dtype=bool), np.zeros((3, 4, 4), dtype=bool)
    predicted[0, :2], truth[0, 1:3], predicted[2] = True, True, True
    assert frame_ious(predicted, truth) == pytest.approx([4 / 12, np.nan, 0.0], nan_ok=True)


def test_clicks_and_boxes_are_drawn_on_the_object() -> None:
    mask = np.zeros((32, 40), dtype=bool)
    mask[4:10, 20:30] = True
    rng = np.random.default_rng(0)
    for _ in range(20):
        point = draw_click(mask, rng)
        assert mask[int(point.y), int(point.x)] and point.positive
        box = draw_box(mask, rng)
        assert np.abs(np.array([box.x1, box.y1, box.x2, box.y2]) - [20, 4, 29, 9]).max() <= 0.9


def test_a_correction_is_in_the_middle_of_the_thickest_mistake() -> None:
    truth, predicted = np.zeros((32, 32), dtype=bool), np.zeros((32, 32), dtype=bool)
    truth[2:13, 2:13] = True
    assert correction_click(predicted, truth) == Point(7, 7)
    predicted[2:13, 2:10] = True  # three columns are missed,
    predicted[20:29, 20:29] = True  # nine by nine are too much
    assert correction_click(predicted, truth) == Point(24, 24, positive=False)
    assert correction_click(truth, truth) is None
    whole = np.ones((8, 8), dtype=bool)
    click = correction_click(~whole, whole)
    assert click is not None and 3 <= click.x <= 4 and 3 <= click.y <= 4


def test_the_bundled_model_finds_what_is_pointed_at_and_takes_corrections(tmp_path: Path) -> None:
    model = unipixel.load("unipixel-tiny")
    report = evaluate(model.session, 8, tmp_path)
    assert report.passed, str(report)
    assert report.corrections, "something is bad, so that a correction is tried"
