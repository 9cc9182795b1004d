"""Functions for CVAT, with CVAT's own library: what it takes, what it gives, and whether CVAT would accept
it."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unipixel.core.masks import RLE
from unipixel.core.prompts import Box, RegionMask
from unipixel.cvat import detection, tracking
from unipixel.cvat.shapes import SHAPES, Shape, prompt_of, shape_of
from unipixel.data.synthetic.scene import Scene, evaluation_seed, make_scene
from unipixel.data.synthetic.world import WorldConfig
from unipixel.errors import ConfigError, PromptError
from unipixel.evaluation.metrics.region import box_iou

auto = pytest.importorskip("cvat_sdk.auto_annotation", reason="needs unipixel[cvat]")

HOW = SimpleNamespace(frame_name="a.png", conf_threshold=None, conv_mask_to_poly=False)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(evaluation_seed(0), WorldConfig(num_frames=3, area=(0.05, 0.08), leave=0, enter=0))


@pytest.fixture(scope="module")
def pictures(scene: Scene) -> list[Image.Image]:
    return [Image.fromarray(frame) for frame in scene.frames]


@pytest.fixture(scope="module")
def target(scene: Scene) -> str:
    return scene.expression(scene.target)


@pytest.fixture(scope="module")
def detect(target: str) -> detection.Detection:
    return detection.create(f"{target}; {target} again", device="cpu")


@pytest.fixture(scope="module")
def follow() -> tracking.Tracking:
    return tracking.create(device="cpu")


def mask_of(shape: Any, scene: Scene) -> RLE:
    prompt = prompt_of(Shape(shape.type, tuple(shape.points)), *scene.frames[0].shape[1::-1])
    assert isinstance(prompt, RegionMask)
    return RLE.from_mask(prompt.mask)


# Detection


def test_what_is_found_is_accepted_by_cvats_driver(
    detect: detection.Detection, pictures: list[Image.Image], scene: Scene, target: str
) -> None:
    from cvat_sdk import models
    from cvat_sdk.auto_annotation import driver

    labels = [models.Label(name=target, id=70, type="any", attributes=[], sublabels=[])]
    mapper = driver._AnnotationMapper(
        logging.getLogger(), detect.spec.labels, labels, allow_unmatched_labels=True, conv_mask_to_poly=False
    )
    tags, shapes = mapper.validate_and_remap(detect.detect(HOW, pictures[0]), 5)
    assert not tags and len(shapes) == 1
    assert (shapes[0].frame, shapes[0].label_id, shapes[0].type.value) == (5, 70, "mask")
    truth = RLE.from_mask(scene.masks[scene.target, 0])
    assert mask_of(SimpleNamespace(type="mask", points=shapes[0].points), scene).iou(truth) > 0.5


def test_polygons_and_confidence_are_as_cvat_wants_them(
    detect: detection.Detection, pictures: list[Image.Image]
) -> None:
    polygons = detect.detect(SimpleNamespace(**{**vars(HOW), "conv_mask_to_poly": True}), pictures[0])
    assert polygons and {shape.type.value for shape in polygons} == {"polygon"}
    assert detect.detect(SimpleNamespace(**{**vars(HOW), "conf_threshold": 1.0}), pictures[0]) == []


def test_a_question_may_have_braces_of_its_own(target: str, pictures: list[Image.Image]) -> None:
    asked = detection.create(target, question="Please segment the {label} {one} in this image.", device="cpu")
    assert [shape.label_id for shape in asked.detect(HOW, pictures[0])] == [0]


def test_labels_must_be_different_ones_and_the_question_must_name_them() -> None:
    with pytest.raises(ConfigError, match="different"):
        detection.create(" ; ")
    with pytest.raises(ConfigError, match="does not say"):
        detection.create("dog", question="Where?")


# Tracking


@pytest.mark.parametrize("kind", SHAPES)
def test_a_shape_is_followed_as_a_shape_of_its_type(
    follow: tracking.Tracking, pictures: list[Image.Image], scene: Scene, kind: Any
) -> None:
    assert follow.spec.supported_shape_types == set(SHAPES)
    truth = [RLE.from_mask(mask) for mask in scene.masks[scene.target]]
    given = shape_of(truth[0], kind)
    assert given is not None
    encoded = [follow.preprocess_image(None, picture) for picture in pictures]
    shape = auto.TrackableShape(type=given.type, points=list(given.points))
    state = follow.init_tracking_state(None, encoded[0], shape)
    for frame in (1, 2):
        found = follow.track(None, encoded[frame], state)
        assert isinstance(found, auto.TrackableShape) and found.type == kind
        wanted = shape_of(truth[frame], kind)
        assert wanted is not None
        if kind == "rectangle":
            assert box_iou(tuple(found.points), wanted.points) > 0.4
        else:
            assert mask_of(found, scene).iou(truth[frame]) > 0.5


def test_two_shapes_on_one_frame_do_not_know_each_other(
    follow: tracking.Tracking, pictures: list[Image.Image], scene: Scene
) -> None:
    encoded = [follow.preprocess_image(None, picture) for picture in pictures]
    shapes = [shape_of(RLE.from_mask(masks[0]), "mask") for masks in scene.masks[:2]]
    states = [
        follow.init_tracking_state(
            None, encoded[0], auto.TrackableShape(type=one.type, points=list(one.points))
        )
        for one in shapes
        if one is not None
    ]
    together = [follow.track(None, encoded[1], state) for state in states]
    first = shapes[0]
    assert first is not None
    again = follow.init_tracking_state(
        None, encoded[0], auto.TrackableShape(type=first.type, points=list(first.points))
    )
    assert follow.track(None, encoded[1], again) == together[0] != together[1]


def test_nothing_is_found_where_nothing_is(follow: tracking.Tracking, scene: Scene) -> None:
    height, width = scene.frames[0].shape[:2]
    assert shape_of(RLE.from_mask(np.zeros((height, width), np.bool_)), "mask") is None


# Shapes


def test_shapes_and_prompts_fit_each_other() -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[4:9, 6:16] = mask[12:14, 2:4] = True
    rle = RLE.from_mask(mask)
    shapes = {kind: shape_of(rle, kind) for kind in SHAPES}
    assert shapes["rectangle"] == Shape("rectangle", (2, 4, 16, 14))
    assert prompt_of(shapes["rectangle"], 30, 20) == Box(2, 4, 16, 14)
    given, outline = (prompt_of(shapes[kind], 30, 20) for kind in ("mask", "polygon"))
    assert isinstance(given, RegionMask) and (given.mask == mask).all()
    assert isinstance(outline, RegionMask) and outline.mask.sum() == 50, "the largest part alone"


def test_a_mask_of_another_picture_is_refused() -> None:
    with pytest.raises(PromptError, match="does not fit a picture of 30x20"):
        prompt_of(Shape("mask", (0, 4, 100, 100, 101, 101)), 30, 20)
