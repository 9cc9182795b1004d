"""How masks are made of answers: mask options, with what they need."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from unipixel.core.mask_options import PUBLISHED_WAY, MaskOptions
from unipixel.core.media import Clip
from unipixel.core.request import Request
from unipixel.core.response import Response, SegmentedObject
from unipixel.core.sampling import change_indices
from unipixel.core.splitting import split_track
from unipixel.inference.encoded_clip import EncodedClip
from unipixel.inference.frames import EncodedFrames
from unipixel.inference.propagation import Propagator
from unipixel.inference.starting import STARTERS, choose_starts
from unipixel.model.unipixel import UniPixel
from unipixel.processing.processor import Processor


@dataclass(frozen=True)
class MaskWay:
    """Mask options, opened. propagator: the weights that the options name to follow objects."""

    options: MaskOptions = PUBLISHED_WAY
    propagator: Propagator | None = None

    def encoded(self, model: UniPixel, processor: Processor, clip: Clip, keep_bytes: int = 0) -> EncodedClip:
        """A clip of which nothing is computed yet."""
        return EncodedClip(model, processor, clip, keep_bytes, self.propagator)

    def showing(self, request: Request, processor: Processor, clip: EncodedClip) -> Request:
        """The request with the frames that the language model is to see, unless they were chosen before."""
        if self.options.language_frames == "uniform" or request.frames is not None:
            return request
        if clip.clip.num_frames <= processor.num_shown(request):
            return request
        return replace(request, frames=tuple(change_indices(clip.changes, processor.num_shown(request))))

    def starts(self, frames: EncodedFrames, shown: Sequence[int], hidden: Tensor) -> list[int]:
        """From which frame each of n objects is followed, hidden tokens [n, h, c]; `shown`: the frames that
        the language model saw."""
        return choose_starts(STARTERS[self.options.start], frames, shown, hidden)

    def split(self, response: Response, next_id: int, pointed: Container[int] = ()) -> Response:
        """The response with its objects split, if that is wanted, but for those that were `pointed` at: the
        largest part keeps an object's number, the others get new ones from `next_id` on."""
        if not self.options.split:
            return response
        kept: list[SegmentedObject] = []
        parts_of: list[SegmentedObject] = []
        for one in response.objects:
            first, *others = (one.masks,) if one.id in pointed else split_track(one.masks)
            kept.append(replace(one, masks=first, part_of=one.id) if others else one)
            parts_of += [SegmentedObject(0, masks, one.name, one.id) for masks in others]
        numbered = [replace(one, id=number) for number, one in enumerate(parts_of, next_id)]
        return replace(response, objects=(*kept, *numbered))
