"""A tracking function for CVAT: a mask, polygon or rectangle on one frame is followed through the next ones.

CVAT finds `create` by the module's name; its parameters are those of `--function-parameter`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from unipixel.core.media import Clip
from unipixel.core.objects import Pointing, SessionObject
from unipixel.cvat.shapes import SHAPES, Shape, ShapeType, cvat, prompt_of, shape_of
from unipixel.inference.frames import encode_frames
from unipixel.inference.prompting import groups
from unipixel.inference.tracking import read_masks
from unipixel.model.sam2 import FrameFeatures, TrackState
from unipixel.predictor import Predictor

if TYPE_CHECKING:
    from PIL.Image import Image


def create(model: str = "unipixel-tiny", device: str = "auto", dtype: str = "auto") -> Tracking:
    """A tracking function with a model that is opened now. Raises ConfigError and WeightsError."""
    from unipixel.loading import load

    return Tracking(load(model, device=device, dtype=dtype))


@dataclass(frozen=True)
class Picture:
    """A frame that was encoded once, for all shapes on it."""

    clip: Clip
    features: FrameFeatures


@dataclass
class State:
    """A shape on its way. CVAT keeps it from frame to frame, and lets it be changed there."""

    track: TrackState
    type: ShapeType


class Tracking:
    """Follows shapes, each by itself (CVAT's `TrackingFunction`). What is remembered of one stays bounded, as
    for live frames. Frames must come in the order of time."""

    def __init__(self, predictor: Predictor) -> None:
        self._model = predictor.model
        self._tracker = predictor.model.tracker

    @property
    def spec(self) -> Any:
        """CVAT's `TrackingFunctionSpec`."""
        return cvat("auto_annotation").TrackingFunctionSpec(supported_shape_types=SHAPES)

    def preprocess_image(self, context: Any, image: Image) -> Picture:
        """Encode a frame."""
        clip = Clip.open(np.asarray(image.convert("RGB")))
        return Picture(clip, encode_frames(self._model, [clip.frame(0)]))

    @torch.inference_mode()
    def init_tracking_state(self, context: Any, pp_image: Picture, shape: Any) -> State:
        """Begin with a shape on its frame. PromptError for one that does not fit it."""
        given = Shape(shape.type, tuple(shape.points))
        clip = pp_image.clip
        prompt = prompt_of(given, clip.width, clip.height)
        prompt.check(clip.width, clip.height, clip.num_frames)
        known = SessionObject(0, "pointed", pointings=(Pointing((prompt,)),))
        ((_, followed),) = groups([known], clip, self._model)
        fresh = self._tracker.start(None)
        _, after = self._tracker.step(fresh, pp_image.features, followed.prompted[0].steps[0])
        return State(after, given.type)

    @torch.inference_mode()
    def track(self, context: Any, pp_image: Picture, state: State) -> Any | None:
        """Where the shape is on the next frame, a `TrackableShape` of its type; None where it is not seen."""
        masks, state.track = self._tracker.step(state.track, pp_image.features)
        (mask,) = read_masks(masks, 0, pp_image.clip)
        shape = shape_of(mask.rle, state.type) if mask.present else None
        if shape is None:
            return None
        return cvat("auto_annotation").TrackableShape(type=shape.type, points=list(shape.points))
