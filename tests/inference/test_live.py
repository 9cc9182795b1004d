"""Frames one by one: objects come and go, and nothing grows."""

import numpy as np
import pytest
from tests.inference.noise_clips import noise

from unipixel.core.prompts import Box, Point
from unipixel.errors import MediaError, PromptError, SessionError
from unipixel.predictor import Predictor


def test_objects_may_begin_on_any_frame_and_be_dropped(model: Predictor) -> None:
    clip, live = noise(8), model.live()
    assert live.step(clip.frame(0)) == {}
    assert sorted(live.step(clip.frame(1), {4: Point(9, 9)})) == [4]
    assert sorted(live.step(clip.frame(2), {1: [Box(3, 3, 30, 30), Point(8, 8)]})) == [1, 4]
    live.drop(4)
    found = live.step(clip.frame(3))
    assert sorted(found) == [1]
    assert found[1].index == 3
    with pytest.raises(SessionError, match=r"no object \[4\]; followed are \[1\]"):
        live.drop(4)


def test_what_is_remembered_does_not_grow(model: Predictor) -> None:
    clip, live = noise(4), model.live()
    sizes = []
    for index in range(40):
        prompts = {0: Point(20, 20)} if index % 5 == 0 else None
        live.step(clip.frame(index % 4), prompts)
        sizes.append(live.nbytes)
    assert sizes[-1] == sizes[24], "recent frames, pointers and prompted frames are all bounded"


def test_a_click_corrects_a_known_object(model: Predictor) -> None:
    clip = noise(6)
    plain, corrected = model.live(), model.live()
    for index in range(4):
        one = plain.step(clip.frame(index), {0: Point(20, 20)} if index == 0 else None)
        click = {0: Point(20, 20)} if index == 0 else {0: Point(50, 35)} if index == 2 else None
        other = corrected.step(clip.frame(index), click)
        same = np.array_equal(one[0].rle.decode(), other[0].rle.decode())
        assert same == (index < 2), f"frame {index}"


def test_bad_frames_and_prompts(model: Predictor) -> None:
    clip, live = noise(2), model.live()
    with pytest.raises(PromptError, match="negative clicks alone"):
        live.step(clip.frame(0), {0: Point(3, 3, positive=False)})
    with pytest.raises(PromptError, match="outside"):
        live.step(clip.frame(0), {0: Point(99, 3)})
    assert live.num_frames == 0
    live.step(clip.frame(0))
    with pytest.raises(MediaError, match="those before it"):
        live.step(np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(MediaError, match="a frame is uint8"):
        live.step(np.zeros((40, 60), np.uint8))
