"""Scores of answers that are right, wrong, empty or late, known beforehand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import unipixel
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.request import Request
from unipixel.core.response import Response, SegmentedObject
from unipixel.data.synthetic.scene import Scene, evaluation_seed, make_scene
from unipixel.evaluation.fresh_clips import LEAST_IOU, MOST_WRONG, WORLD, evaluate, mean_iou, score


def respond(masks: np.ndarray | None) -> Response:
    objects: tuple[SegmentedObject, ...] = ()
    if masks is not None:
        frames = tuple(FrameMask(i, RLE.from_mask(mask), 1.0, True) for i, mask in enumerate(masks))
        objects = (SegmentedObject(0, MaskTrack(frames)),)
    return Response("", objects, (), "", (0,), "stop")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(evaluation_seed(0), WORLD)


def test_right_wrong_and_no_masks(scene: Scene) -> None:
    right = score(scene, respond(scene.masks[scene.target]))
    assert right.iou == 1.0 and right.wrong == 0.0 and right.name == scene.expression(scene.target)
    other = next(i for i in range(3) if i != scene.target)
    wrong = score(scene, respond(scene.masks[other]))
    assert wrong.iou == 0.0 and wrong.wrong == 0.5
    nothing = score(scene, respond(None))
    assert nothing.iou == 0.0 and nothing.wrong == 0.0


def test_the_repeated_first_mask_is_scored_like_an_answer(scene: Scene) -> None:
    truth = scene.masks[scene.target]
    repeated = np.broadcast_to(truth[0], truth.shape)
    scored = score(scene, respond(repeated))
    assert scored.iou == scored.repeated


def test_iou_by_hand() -> None:
    predicted, truth = np.zeros((2, 4, 4), dtype=bool), np.zeros((2, 4, 4), dtype=bool)
    predicted[0, :2], truth[0, 1:3] = True, True
    assert mean_iou(predicted, truth) == pytest.approx((4 / 12 + 1) / 2)
    assert mean_iou(predicted, truth, both_empty=0.0) == pytest.approx(4 / 12 / 2)


def test_clips_come_from_files_and_are_asked_about_by_name(tmp_path: Path) -> None:
    seen: list[str] = []

    def answer(requests: Sequence[Request]) -> list[Response]:
        for request in requests:
            assert (tmp_path / request.clip.name).is_file() or Path(request.clip.name).is_file()
            seen.append("".join(part for part in request.turns[0].parts if isinstance(part, str)))
        return [respond(None) for _ in requests]

    report = evaluate(answer, 3, tmp_path)
    names = [clip.name for clip in report.clips]
    assert seen == [f"Please segment the {name} in this video." for name in names]
    assert report.iou == 0.0 and "fresh clips: 3" in str(report)
    assert not report.passed and str(report).endswith("FAIL")


def test_the_bundled_model_finds_what_it_is_asked_for(tmp_path: Path) -> None:
    model = unipixel.load("unipixel-tiny")
    report = evaluate(model.answer, 20, tmp_path)
    assert report.passed, str(report)


def test_the_bundled_model_finds_things_in_stills(tmp_path: Path) -> None:
    model = unipixel.load("unipixel-tiny")
    report = evaluate(model.answer, 20, tmp_path, replace(WORLD, num_frames=1))
    assert report.iou >= LEAST_IOU and report.wrong <= MOST_WRONG, f"{report.iou} {report.wrong}"
