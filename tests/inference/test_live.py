"""Frames one by one: objects come and go, and nothing grows."""

import numpy as np
import pytest
from tests.decoded import count_decoded
from tests.inference.noise_clips import noise

from unipixel.core.prompts import Box, Point
from unipixel.errors import MediaError, PromptError, SessionError
from unipixel.model.sam2 import MaskTracker
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
    with pytest.raises(MediaError, match="found 2 at once"):
        live.step(clip.read([0, 1]))
    with pytest.raises(SessionError, match="whole number"):
        live.step(clip.frame(0), {1.5: Point(3, 3)})  # type: ignore[dict-item]
    assert live.num_frames == 1


def test_a_refused_or_interrupted_frame_leaves_the_tracker_as_it_was(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, live = noise(3), model.live()
    with pytest.raises(MediaError):
        live.step(np.zeros((9, 9, 7), np.uint8))
    live.step(clip.frame(0), {0: Point(9, 9), 1: Point(30, 30)})
    step, calls = MaskTracker.step, list[int]()

    def interrupted(*given: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return step(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(MaskTracker, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        live.step(clip.frame(1), {1: Point(31, 31)})
    again = live.step(clip.frame(1), {1: Point(31, 31)})
    fresh = model.live()
    fresh.step(clip.frame(0), {0: Point(9, 9), 1: Point(30, 30)})
    assert fresh.step(clip.frame(1), {1: Point(31, 31)}) == again


def test_any_picture_is_a_frame(model: Predictor) -> None:
    """Grey, transparent and 16-bit pictures are read as everywhere."""
    frame = noise(1).frame(0)
    wanted = model.live().step(frame, {0: Point(20, 20)})
    opaque = np.concatenate([frame, np.full((40, 60, 1), 255, np.uint8)], axis=2)
    assert model.live().step(opaque, {0: Point(20, 20)}) == wanted
    assert model.live().step(frame.astype(np.uint16) * 257, {0: Point(20, 20)}) == wanted


def test_objects_are_decoded_together_and_as_alone(model: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, live = noise(4), model.live()
    places = {number: Point(2.0 + 3 * number, 20) for number in range(18)}
    live.step(clip.frame(0), places)
    sizes = count_decoded(model, monkeypatch)
    together = [
        live.step(clip.frame(index), {40: Point(5, 5)} if index == 2 else None) for index in (1, 2, 3)
    ]
    assert sorted(sizes) == sorted([16, 2, 16, 2, 1, 16, 2, 1])
    monkeypatch.undo()
    for number in (0, 17):
        alone = model.live()
        alone.step(clip.frame(0), {number: places[number]})
        for index, found in enumerate(together, 1):
            mask = alone.step(clip.frame(index))[number].rle.decode()
            assert (mask != found[number].rle.decode()).mean() < 1e-3
