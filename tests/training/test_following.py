"""Objects of several clips, prompted on any frame and followed from there to both ends."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from unipixel.core.prompts import Box, Point
from unipixel.model.sam2 import MaskPrompt, MaskTracker, Sam2
from unipixel.training.tiny.following import Clicks, Footage, find, follow, mean_iou, start
from unipixel.training.tiny.mask_phase import _certain, _click_again, _neighbours, _spoil
from unipixel.training.tiny.model import SIDE
from unipixel.training.tiny.scenes import BatchPlan, draw_batch
from unipixel.training.tiny.workshop import Workshop


@pytest.fixture(scope="module")
def sam2() -> Sam2:
    return Workshop.open().model.sam2.eval()


@pytest.fixture(scope="module")
def footage(sam2: Sam2) -> Footage:
    frames = draw_batch(BatchPlan(num_scenes=2, num_frames=3, side=SIDE), 0).frames
    with torch.no_grad():
        return Footage(sam2.encode(frames.flatten(0, 1)), 3, torch.tensor([0, 0, 1]))


def click(x: float, y: float, count: int = 3) -> MaskPrompt:
    clicks = Clicks.of([Point(x, y)] * count)
    return MaskPrompt(points=clicks.points, labels=clicks.labels)


@torch.no_grad()
def test_the_last_frame_leads_back_and_the_first_one_forth(sam2: Sam2, footage: Footage) -> None:
    tracker = MaskTracker(sam2)
    for first, direction in ((0, 1), (2, -1)):
        batch = find(sam2, footage, click(40, 50), first)
        state = tracker.start(3, direction)
        for step in range(3):
            frame = first + direction * step
            alone = footage.features[3 + frame]  # the second clip, whose only object is the third
            prompt = click(40, 50, 1) if step == 0 else None
            masks, state = tracker.step(state, alone, prompt, hide_absent=False)
            assert torch.allclose(batch[frame].logits[2:], masks.logits, atol=1e-4)


@torch.no_grad()
def test_a_middle_frame_reaches_both_ends_by_its_memory(sam2: Sam2, footage: Footage) -> None:
    here, there = (find(sam2, footage, click(x, 60), 1) for x in (30, 90))
    for frame in range(3):
        assert not torch.allclose(here[frame].logits, there[frame].logits)


@torch.no_grad()
def test_a_correction_reads_what_it_corrects_and_both_are_followed(sam2: Sam2, footage: Footage) -> None:
    prompt = replace(click(90, 60), previous=torch.zeros(3, 1, SIDE // 4, SIDE // 4))
    for frame in (0, 2):
        first = start(sam2, footage, click(30, 60), 1)
        corrected = start(sam2, footage, prompt, frame, [first])
        alone = start(sam2, footage, prompt, frame)
        assert not torch.allclose(corrected.masks.logits, alone.masks.logits)
        frames = follow(sam2, footage, [first, corrected])
        assert frames[1] is first.masks and frames[frame] is corrected.masks
        last = 2 - frame
        assert not torch.allclose(frames[last].logits, follow(sam2, footage, [first])[last].logits)


def test_clicks_are_what_the_tracker_takes() -> None:
    clicks = Clicks.of([Point(1, 2), Point(3, 4, positive=False), None])
    assert clicks.points.tolist() == [[[1, 2]], [[3, 4]], [[0, 0]]]
    assert clicks.labels.tolist() == [[1], [0], [-1]]
    both = Clicks.of([Box(1, 2, 3, 4)] * 3).and_then(clicks)
    assert both.labels.tolist() == [[2, 3, 1], [2, 3, 0], [2, 3, -1]] and both.points.shape == (3, 3, 2)


def test_a_correction_clicks_where_the_mask_is_wrong() -> None:
    truth = torch.zeros(2, 32, 32, dtype=torch.bool)
    truth[:, 8:16, 8:16] = True
    previous = torch.full((2, 8, 8), -1.0)
    previous[1, 2:4, 2:8] = 1.0
    clicks = _click_again(None, previous, truth)
    assert clicks.labels.tolist() == [[1], [0]]
    (missed,), (extra,) = clicks.points.tolist()
    assert min(missed) >= 8 and max(missed) < 16
    assert extra[0] >= 16 and 8 <= extra[1] < 16


def test_neighbours_are_of_the_same_scene() -> None:
    assert _neighbours(torch.tensor([0, 0, 0, 2, 5, 5])).tolist() == [1, 2, 0, 3, 5, 4]


def test_mean_iou_counts_frames_that_hold_something() -> None:
    masks = torch.zeros(1, 2, 8, 8, dtype=torch.bool)
    masks[0, 0, :, :4] = True
    logits = torch.full((1, 2, 2), -1.0)
    logits[0, :, 0] = 1.0
    assert mean_iou([logits, logits], masks) == pytest.approx(1.0)
    assert np.isclose(mean_iou([-logits, logits], masks), 0.0)


def test_spoilt_masks_are_anothers_or_both() -> None:
    scene = torch.tensor([0, 0])
    logits = torch.stack([torch.full((2, 2), 3.0), torch.full((2, 2), -3.0)])
    told, untold = (
        {
            tuple(_spoil(logits, scene, is_told, np.random.default_rng(seed))[:, 0, 0].tolist())
            for seed in range(20)
        }
        for is_told in (True, False)
    )
    assert told == {(3.0, -3.0), (-3.0, 3.0), (3.0, 3.0)}
    assert untold == {(3.0, -3.0), (3.0, 3.0)}, "another thing's mask alone says nothing"


def test_a_mask_that_is_given_back_is_certain() -> None:
    logits = torch.full((1, 8, 8), -0.1)
    logits[:, 2:6, 2:6] = 0.2
    given = _certain(logits, 32)
    assert given.min() == -10 and given.max() == 10 and ((given > 0) == (logits > 0)).all()
