"""Answers in the types of supervision and FiftyOne: checked against the real libraries, where they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from unipixel.core.exits import by_frame
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.response import Response, SegmentedObject
from unipixel.errors import ConfigError

HEIGHT, WIDTH = 20, 40


def mask_of(x: int, y: int, width: int, height: int) -> RLE:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y : y + height, x : x + width] = True
    mask[y, x] = width * height == 1  # no plain box: a corner is missing
    return RLE.from_mask(mask)


def track(*masks: RLE | None) -> MaskTrack:
    empty = RLE.from_mask(np.zeros((HEIGHT, WIDTH), np.bool_))
    return MaskTrack(
        tuple(FrameMask(index, mask or empty, 0.75, mask is not None) for index, mask in enumerate(masks))
    )


@pytest.fixture
def response() -> Response:
    """Frame 0 has both objects, frame 1 the second alone, frame 2 none."""
    objects = (
        SegmentedObject(0, track(mask_of(2, 3, 10, 5), None, None)),
        SegmentedObject(3, track(mask_of(20, 0, 4, 4), mask_of(22, 1, 4, 4), None), "the dog"),
    )
    return Response("[0] and [3]", objects, (), "", (0,), "stop")


def test_supervision_gets_what_is_seen_on_each_frame(response: Response) -> None:
    sv = pytest.importorskip("supervision", reason="needs unipixel[supervision]")
    found = response.to_supervision()
    assert list(found) == [0, 1, 2] and [len(one) for one in found.values()] == [2, 1, 0]
    first = found[0]
    assert isinstance(first, sv.Detections)
    np.testing.assert_array_equal(first.xyxy, sv.mask_to_xyxy(first.mask))
    np.testing.assert_array_equal(first.mask[1], response[3].masks.to_array()[0])
    assert first.tracker_id.tolist() == [0, 3] and first.confidence.tolist() == [0.75, 0.75]
    assert first["class_name"].tolist() == ["[0]", "the dog"]
    assert found[1].tracker_id.tolist() == [3]


def test_supervision_draws_and_filters_it(response: Response) -> None:
    sv = pytest.importorskip("supervision", reason="needs unipixel[supervision]")
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    found = response.to_supervision()[0]
    drawn = sv.MaskAnnotator(opacity=1.0).annotate(picture.copy(), found)
    np.testing.assert_array_equal(drawn.any(axis=-1), found.mask.any(axis=0))
    assert found[found.tracker_id == 3].area.tolist() == [15]
    assert len(sv.Detections.merge(list(response.to_supervision().values()))) == 3


def test_fiftyone_gets_what_is_seen_on_each_frame(response: Response) -> None:
    fo: Any = pytest.importorskip("fiftyone", reason="needs unipixel[fiftyone]", exc_type=ImportError)
    found = response.to_fiftyone()
    assert [len(one.detections) for one in found.values()] == [2, 1, 0]
    assert isinstance(found[0], fo.Detections)
    first, dog = found[0].detections
    assert (first.label, dog.label, first.index, dog.index) == ("[0]", "the dog", 0, 3)
    assert first.bounding_box == [2 / WIDTH, 3 / HEIGHT, 10 / WIDTH, 5 / HEIGHT] and first.confidence == 0.75
    assert first.mask.shape == (5, 10) and not first.mask[0, 0] and first.mask.sum() == 49
    # FiftyOne's own reading of box and mask gives the mask of the whole picture.
    whole = first.to_segmentation(frame_size=(WIDTH, HEIGHT), target=1).mask
    np.testing.assert_array_equal(whole.astype(bool), response[0].masks.to_array()[0])


def test_an_answer_without_objects_has_no_frames() -> None:
    assert by_frame([]) == {}


@pytest.mark.parametrize("name", ["supervision", "fiftyone"])
def test_a_library_that_is_missing_is_named(
    response: Response, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(wanted: str) -> Any:
        raise ModuleNotFoundError(f"No module named {wanted!r}", name=wanted)

    monkeypatch.setattr("unipixel.core.exits.import_module", missing)
    with pytest.raises(ConfigError, match=rf"pip install 'unipixel\[{name}\]'"):
        getattr(response, f"to_{name}")()
