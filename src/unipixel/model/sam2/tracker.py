"""Masks over time: one `step` per frame, the primitive for images, clips, streams and training alike.

What is remembered is in `TrackState`, a value the caller holds; a step returns a new one and changes nothing.

Letters: O objects, N prompt tokens, c channels, m memory channels, S image side, h w = S/16.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from unipixel.errors import RequestError
from unipixel.model.sam2.mask_decoder import DecodedMasks
from unipixel.model.sam2.memory import MemoryTokens
from unipixel.model.sam2.prompt_encoder import PADDING
from unipixel.model.sam2.sam2 import FrameFeatures, Sam2
from unipixel.model.sam2.state import FrameMasks, MaskPrompt, Memory, Pointer, Sighting, TrackState

ABSENT = -1024.0  # mask logit of an object that is not in the frame
MASK_SCALE, MASK_OFFSET = (
    20.0,
    -10.0,
)  # probabilities 0..1 enter the memory, and masks become logits, as -10..10
PREVIOUS_LIMIT = 32.0  # earlier logits are clamped before they are given back as a prompt


@dataclass(frozen=True)
class _Answer:
    """Masks that are not remembered yet; `token_pointer` ignores absence, `full` are logits [O, 1, S, S]."""

    logits: Tensor
    candidates: Tensor
    ious: Tensor
    object_score: Tensor
    token_pointer: Tensor
    full: Tensor


class MaskTracker:
    """Finds and follows objects frame by frame, with the parameters of `sam2` and no state of its own."""

    def __init__(self, sam2: Sam2) -> None:
        self.sam2 = sam2

    def start(self, num_frames: int | None, direction: int = 1, frame: int | None = None) -> TrackState:
        """A state that remembers nothing and is about to see `frame` (default: the first in `direction`).

        num_frames scales the distances of object pointers; None, for a stream, behaves as 16 or more.
        Raises RequestError for a direction other than +1 and -1, or a frame outside the clip.
        """
        if direction not in (1, -1):
            raise RequestError(f"direction is {direction}; expected 1 (forward) or -1 (backward).")
        if frame is None:
            frame = num_frames - 1 if direction < 0 and num_frames is not None else 0
        if num_frames is not None and not 0 <= frame < num_frames:
            raise RequestError(
                f"tracking cannot start at frame {frame} of {num_frames}; expected 0..{num_frames - 1}."
            )
        return TrackState(frame=frame, num_frames=num_frames, direction=direction)

    def step(
        self,
        state: TrackState,
        features: FrameFeatures,
        prompt: MaskPrompt | None = None,
        hide_absent: bool = True,
    ) -> tuple[FrameMasks, TrackState]:
        """Answer one frame and remember it.

        features: one frame shared by all objects (batch 1), or one per object (batch O, objects of several
        clips of equal length). A prompt makes the frame a conditioning frame; it is decoded without memory,
        unless it refines `previous` logits. Without a prompt the memory is read.
        hide_absent: inference replaces the mask logits of absent objects (score <= 0) by -1024, in the answer
        and in what the memory sees; training (False) keeps them in both. Either way the pointer of an absent
        object is `no_obj_ptr` and its memory carries the no-object mark.
        Raises RequestError when nothing was prompted yet, or when clip length or object number do not fit.
        """
        self._check(state, features, prompt)
        if prompt is not None and prompt.mask is not None:
            conditioned = features.top
            answer = self._take(features, prompt.mask)
        else:
            conditioned = self._condition(state, features, prompt)
            answer = self._decode(features, conditioned, prompt, hide_absent)
        present = (answer.object_score > 0).to(answer.token_pointer.dtype)[:, None]
        pointer = self._where_present(present, answer.token_pointer)
        memory = self._memorise(features, answer.full, present)
        kept = Memory(state.frame, memory.flatten(2).mT.contiguous(), pointer)
        masks = FrameMasks(
            logits=answer.logits,
            candidates=answer.candidates,
            ious=answer.ious,
            object_score=answer.object_score,
            pointer=pointer,
            memory=memory,
            conditioned=conditioned,
        )
        return masks, self._advance(state, kept, is_conditioning=prompt is not None)

    def look(self, features: FrameFeatures, prompt: MaskPrompt) -> Sighting:
        """Answer one frame on its own, as `step` would a first frame with this prompt, and remember nothing:
        no memory is read or encoded.

        features: one frame shared by all objects (batch 1), or one per object (batch O).
        Raises RequestError when features and prompt do not fit.
        """
        state = self.start(None)
        self._check(state, features, prompt)
        if prompt.mask is not None:
            answer = self._take(features, prompt.mask)
        else:
            answer = self._decode(features, self._condition(state, features, prompt), prompt, True)
        return Sighting(answer.logits, answer.candidates, answer.ious, answer.object_score)

    def remember(self, state: TrackState, prompted: Sequence[Memory]) -> TrackState:
        """The state with more conditioning frames, of the same objects; they may lie on either side of it."""
        return replace(state, conditioning=(*state.conditioning, *prompted))

    def forget_prompts(self, state: TrackState, most: int) -> TrackState:
        """The state with at most `most` conditioning frames: the first, and the latest ones."""
        first, *others = state.conditioning
        latest = others[len(others) - min(len(others), most - 1) :]
        return replace(state, conditioning=(first, *latest))

    def skip(self, state: TrackState) -> TrackState:
        """The state behind a frame that was prompted, and so is remembered already."""
        return self._forget(replace(state, frame=state.frame + state.direction))

    def _check(self, state: TrackState, features: FrameFeatures, prompt: MaskPrompt | None) -> None:
        objects = state.num_objects if prompt is None else prompt.num_objects
        if objects is None:
            raise RequestError("nothing is tracked yet; give a MaskPrompt with the first frame.")
        if state.num_frames is not None and not 0 <= state.frame < state.num_frames:
            raise RequestError(
                f"frame {state.frame} is outside the clip of {state.num_frames} frames; start with its true "
                "length, or with None for a stream."
            )
        if state.num_objects not in (None, objects) or len(features) not in (1, objects):
            raise RequestError(
                f"{len(features)} frames and {objects} prompted objects meet a state of {state.num_objects}; "
                "expected the same number of objects, with one frame in all or one frame for each."
            )

    def _condition(self, state: TrackState, features: FrameFeatures, prompt: MaskPrompt | None) -> Tensor:
        """Features that know the past: [1 or O, c, h, w]."""
        refines = prompt is not None and prompt.previous is not None
        if state.conditioning and (prompt is None or refines):
            conditioned: Tensor = self.sam2.memory_attention(features.top, self._recall(state))
            return conditioned
        return features.top + self.sam2.no_mem_embed[0, 0, :, None, None]

    def _recall(self, state: TrackState) -> MemoryTokens:
        """Conditioning frames, recent frames oldest first, then pointers: the order of SAM 2.1."""
        slots = self.sam2.maskmem_tpos_enc[:, 0]  # row d - 1 for distance d; the last row for prompted frames
        rows = [len(slots) - 1] * len(state.conditioning)
        rows += [state.distance(memory.frame) - 1 for memory in state.recent]
        place = self.sam2.memory_encoder.position.value.to(slots.dtype)
        pointers, times = self._recall_pointers(state)
        maps = [memory.tokens for memory in (*state.conditioning, *state.recent)]
        return MemoryTokens(
            tokens=torch.cat([*maps, pointers], dim=1),
            position=torch.cat([*(place + slots[row] for row in rows), times[None]], dim=1),
            num_pointer_tokens=pointers.shape[1],
        )

    def _recall_pointers(self, state: TrackState) -> tuple[Tensor, Tensor]:
        """Pointers cut into memory-wide tokens [O, n, m], and the encoding of their distances [n, m]."""
        limit = self.sam2.config.max_object_pointers
        limit = limit if state.num_frames is None else min(limit, state.num_frames)
        # Prompted frames that lie ahead give their maps, but no pointer, as in SAM 2.1.
        behind = [memory for memory in state.conditioning if state.distance(memory.frame) >= 0]
        held = [Pointer(memory.frame, memory.pointer) for memory in behind]
        held += [pointer for pointer in state.pointers if state.distance(pointer.frame) < limit]
        distances = torch.tensor([state.distance(pointer.frame) for pointer in held], dtype=torch.float32)
        # A clip of one frame reads no memory, except to refine its own mask: avoid dividing by zero there.
        times = self.sam2.time_encoding((distances / max(limit - 1, 1)).to(held[0].value.device))
        width = times.shape[1]
        tokens = torch.stack([pointer.value for pointer in held], dim=1)
        parts = tokens.shape[2] // width
        return tokens.view(len(tokens), len(held) * parts, width), times.repeat_interleave(parts, dim=0)

    def _decode(
        self, features: FrameFeatures, conditioned: Tensor, prompt: MaskPrompt | None, hide_absent: bool
    ) -> _Answer:
        """Three candidates, and the best of them by predicted quality."""
        objects = len(conditioned) if prompt is None else prompt.num_objects
        sparse, dense = self._encode_prompt(prompt, objects)
        decoded = self._run_decoder(features, conditioned, sparse, dense)
        candidates, ious = decoded.logits[:, 1:], decoded.ious[:, 1:]
        if hide_absent:
            candidates = candidates.masked_fill((decoded.object_score <= 0)[:, None, None, None], ABSENT)
        every, best = torch.arange(objects, device=ious.device), ious.argmax(dim=1)
        logits = candidates[every, best]
        side = self.sam2.config.image_size
        return _Answer(
            logits=logits,
            candidates=candidates,
            ious=ious,
            object_score=decoded.object_score,
            token_pointer=self.sam2.obj_ptr_proj(decoded.tokens[every, best + 1]),
            full=low_res_to_size(logits, side, side)[:, None],
        )

    def _take(self, features: FrameFeatures, mask: Tensor) -> _Answer:
        """A given mask is the answer; the decoder only reads a pointer from it, with its first mask token."""
        mask = mask.to(features.top.dtype)
        sparse, _ = self._encode_prompt(None, len(mask))
        dense = self.sam2.sam_prompt_encoder.encode_masks(self.sam2.mask_downsample(mask))
        decoded = self._run_decoder(features, features.top, sparse, dense)
        # The pointer is lost if the decoder sees no object, and later if the mask is empty.
        believed = (decoded.object_score > 0).to(mask.dtype)[:, None]
        full = mask * MASK_SCALE + MASK_OFFSET
        side = self.sam2.config.mask_size
        low = F.interpolate(full.float(), (side, side), mode="bilinear", align_corners=False, antialias=True)
        is_there = (mask > 0).flatten(1).any(dim=1).to(mask.dtype)
        return _Answer(
            logits=low[:, 0],
            candidates=low.expand(-1, 3, -1, -1),
            ious=mask.new_ones(len(mask), 3),
            object_score=is_there * MASK_SCALE + MASK_OFFSET,
            token_pointer=self._where_present(believed, self.sam2.obj_ptr_proj(decoded.tokens[:, 0])),
            full=full,
        )

    def _run_decoder(
        self, features: FrameFeatures, conditioned: Tensor, sparse: Tensor, dense: Tensor
    ) -> DecodedMasks:
        position = self.sam2.sam_prompt_encoder.dense_position_encoding()
        decoded: DecodedMasks = self.sam2.sam_mask_decoder(
            conditioned, position, features.high_res, sparse, dense
        )
        return decoded

    def _encode_prompt(self, prompt: MaskPrompt | None, objects: int) -> tuple[Tensor, Tensor]:
        """Sparse [O, N, c]: points or one empty click, a pad, hidden tokens; dense [1 or O, c, h, w]."""
        encoder = self.sam2.sam_prompt_encoder
        points, labels = (None, None) if prompt is None else (prompt.points, prompt.labels)
        if points is None or labels is None:
            points = self.sam2.no_obj_ptr.new_zeros(objects, 1, 2)
            labels = torch.full((objects, 1), PADDING, device=points.device)
        sparse = encoder.encode_points(points, labels, pad=True)
        if prompt is not None and prompt.hidden is not None:
            sparse = torch.cat([sparse, prompt.hidden.to(sparse.dtype)], dim=1)
        if prompt is not None and prompt.previous is not None:
            return sparse, encoder.encode_masks(prompt.previous.clamp(-PREVIOUS_LIMIT, PREVIOUS_LIMIT))
        return sparse, encoder.no_mask_dense()

    def _where_present(self, present: Tensor, pointer: Tensor) -> Tensor:
        """`no_obj_ptr` for absent objects; `present` [O, 1] is 0 or 1."""
        return present * pointer + (1 - present) * self.sam2.no_obj_ptr

    def _memorise(self, features: FrameFeatures, full: Tensor, present: Tensor) -> Tensor:
        """Features and mask probabilities → memory [O, m, h, w]; absence leaves a mark."""
        mask = full.sigmoid() * MASK_SCALE + MASK_OFFSET
        memory: Tensor = self.sam2.memory_encoder(features.top, mask)
        return memory + ((1 - present) * self.sam2.no_obj_embed_spatial)[:, :, None, None]

    def _advance(self, state: TrackState, kept: Memory, is_conditioning: bool) -> TrackState:
        """The state for the next frame."""
        if is_conditioning:
            conditioning, recent, pointers = (*state.conditioning, kept), state.recent, state.pointers
        else:
            conditioning, recent = state.conditioning, (*state.recent, kept)
            pointers = (Pointer(kept.frame, kept.pointer), *state.pointers)
        frame = state.frame + state.direction
        return self._forget(
            replace(state, frame=frame, conditioning=conditioning, recent=recent, pointers=pointers)
        )

    def _forget(self, state: TrackState) -> TrackState:
        """The state without what is too far away."""
        maps, reach = self.sam2.config.num_maskmem, self.sam2.config.max_object_pointers
        return replace(
            state,
            recent=tuple(memory for memory in state.recent if state.distance(memory.frame) < maps),
            pointers=tuple(pointer for pointer in state.pointers if state.distance(pointer.frame) < reach),
        )


def low_res_to_size(logits: Tensor, height: int, width: int) -> Tensor:
    """Mask logits [..., h', w'] → [..., height, width] in one bilinear step without antialias."""
    flat = logits.reshape(-1, 1, *logits.shape[-2:])
    resized = F.interpolate(flat.float(), size=(height, width), mode="bilinear", align_corners=False)
    return resized.to(logits.dtype).view(*logits.shape[:-2], height, width)
