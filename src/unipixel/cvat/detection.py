"""A detection function for CVAT: each label is asked for in words, and what is found comes back as masks.

CVAT finds `create` by the module's name; its parameters are those of `--function-parameter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unipixel.core.masks import RLE
from unipixel.cvat.shapes import cvat, polygons_of, shape_of
from unipixel.errors import ConfigError
from unipixel.predictor import Predictor

if TYPE_CHECKING:
    from PIL.Image import Image

SEPARATOR = ";"
QUESTION = "Please segment the {label} in this image."
DEFAULT_CONFIDENCE = 0.0
"""Of the mask decoder's own estimate of its IoU, where CVAT asks for no other."""


def create(
    labels: str,
    model: str = "unipixel-tiny",
    device: str = "auto",
    dtype: str = "auto",
    question: str = QUESTION,
) -> Detection:
    """A detection function with a model that is opened now. labels: separated by semicolons. Raises
    ConfigError and WeightsError."""
    from unipixel.loading import load

    names = [name.strip() for name in labels.split(SEPARATOR) if name.strip()]
    return Detection(load(model, device=device, dtype=dtype), names, question)


class Detection:
    """Finds what its labels say on single pictures (CVAT's `DetectionFunction`). question: `{label}` stands
    for the label."""

    def __init__(self, predictor: Predictor, labels: Sequence[str], question: str = QUESTION) -> None:
        if not labels or len(set(labels)) < len(labels):
            raise ConfigError(f"the labels are {list(labels)}; give different ones, at least one")
        if "{label}" not in question:
            raise ConfigError(f"the question {question!r} does not say {{label}}, where the label stands")
        self._predictor = predictor
        self._labels = tuple(labels)
        self._question = question

    @property
    def spec(self) -> Any:
        """CVAT's `DetectionFunctionSpec`: the labels by their places."""
        auto = cvat("auto_annotation")
        labels = [auto.label_spec(name, number) for number, name in enumerate(self._labels)]
        return auto.DetectionFunctionSpec(labels=labels)

    def detect(self, context: Any, image: Image) -> list[Any]:
        """Masks on a picture, or polygons if CVAT wants those: a `LabeledShapeRequest` for each object, and
        for each polygon of one in several parts."""
        auto = cvat("auto_annotation")
        least = DEFAULT_CONFIDENCE if context.conf_threshold is None else context.conf_threshold
        found: list[Any] = []
        with self._predictor.session(np.asarray(image.convert("RGB"))) as session:
            for number, label in enumerate(self._labels):
                response = session.ask(self._question.replace("{label}", label))
                for one in response.objects:
                    mask = one.masks.frames[0]
                    if not mask.present or mask.score < least:
                        continue
                    if context.conv_mask_to_poly:
                        found += [auto.polygon(number, points) for points in polygons_of(mask.rle)]
                    else:
                        found += _masks(auto, number, mask.rle)
        return found


def _masks(auto: Any, label: int, rle: RLE) -> list[Any]:
    shape = shape_of(rle, "mask")
    return [] if shape is None else [auto.mask(label, list(shape.points))]
