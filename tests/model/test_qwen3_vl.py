"""Qwen3-VL behind the same seam: equal to transformers for text, pictures and clips, with and without cache;
how a clip stands in its text; what the object memory reads; real sizes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.small_qwen3 import CELL
from torch import Tensor
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLForConditionalGeneration

from unipixel.core.conversation import user
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.request import PixelBudget, RememberedObject, Request
from unipixel.errors import ConfigError
from unipixel.loading import load
from unipixel.model.checkpoint import build_backbone, published_config
from unipixel.model.generate import advance, prefill, read_prefix
from unipixel.model.inputs import NO_CLIP, Grid, Inputs, collate
from unipixel.model.presets import Qwen3Size, qwen3_config
from unipixel.model.qwen3_vl import Qwen3_VL, StampedLayout
from unipixel.model.unipixel import UniPixel
from unipixel.model.weights import published_state
from unipixel.predictor import Predictor
from unipixel.training.parameters import group_parameters
from unipixel.training.plan import planned_model
from unipixel.training.recipes import recipes

TOLERANCE = {"rtol": 0.0, "atol": 1e-5}
PIXELS = PixelBudget(6 * CELL, 12 * CELL, None)


@pytest.fixture(scope="module")
def predictor(qwen3_checkpoint: Path) -> Predictor:
    return load(qwen3_checkpoint)


@pytest.fixture(scope="module")
def model(predictor: Predictor) -> UniPixel:
    return predictor.model


@pytest.fixture(scope="module")
def oracle(model: UniPixel) -> Qwen3VLForConditionalGeneration:
    """Transformers' own model with the same weights."""
    theirs = Qwen3VLForConditionalGeneration(model.backbone.config).eval()
    state = {in_transformers(name): tensor for name, tensor in published_state(model).items()}
    missing, unexpected = theirs.load_state_dict({n: t for n, t in state.items() if n}, strict=False)
    assert not unexpected and missing == ["lm_head.weight"], "tied to the embeddings"
    return theirs


def in_transformers(name: str) -> str:
    if name.startswith("model."):
        return "model.language_model." + name.removeprefix("model.")
    return "model." + name if name.startswith("visual.") else ""


def clip(frames: int, seed: int = 0) -> Clip:
    noise = np.random.default_rng(seed).integers(0, 256, (frames, 48, 80, 3), dtype=np.uint8)
    return Clip.open(noise, fps=4.0) if frames > 1 else Clip.open(noise)


def prepared(predictor: Predictor, frames: int, text: str = "What is this?", seed: int = 0) -> Inputs:
    request = Request(clip(frames, seed), (user(text),), pixels=PIXELS)
    return predictor.processor.prepare(request).inputs


def given_to_transformers(model: UniPixel, x: Inputs) -> dict[str, Any]:
    """The same batch in transformers' form; pictures and clips are two lists there."""
    ids, view = x.token_ids, x.view
    types = (ids == model.tokens.image).int() + 2 * (ids == model.tokens.video).int()
    given: dict[str, Any] = {"input_ids": ids, "attention_mask": x.attention_mask.long()}
    patches = view.patches.split([grid.num_patches for grid in view.grids]) if view.grids else ()
    for is_image, pixels, grids in (
        (True, "pixel_values", "image_grid_thw"),
        (False, "pixel_values_videos", "video_grid_thw"),
    ):
        mine = [place for place, kind in enumerate(view.is_image) if kind == is_image]
        if mine:
            given[pixels] = torch.cat([patches[place] for place in mine])
            sizes = [view.grids[place] for place in mine]
            given[grids] = torch.tensor([[grid.time, grid.height, grid.width] for grid in sizes])
            given["mm_token_type_ids"] = types
    return given


# Equal to transformers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 5], ids=["picture", "one step", "three steps"])
@torch.inference_mode()
def test_logits_features_and_positions_are_transformers(
    predictor: Predictor, model: UniPixel, oracle: Qwen3VLForConditionalGeneration, frames: int
) -> None:
    x = prepared(predictor, frames)
    given = given_to_transformers(model, x)
    torch.testing.assert_close(model(x).logits, oracle(**given).logits, **TOLERANCE)
    positions, _ = oracle.model.get_rope_index(**{k: v for k, v in given.items() if "pixel" not in k})
    assert torch.equal(model.backbone.positions(x), positions)
    grids = given.get("video_grid_thw", given.get("image_grid_thw"))
    seen, theirs = model.backbone.see(x.view), oracle.model.visual(x.view.patches, grids)
    torch.testing.assert_close(seen.merged, theirs.pooler_output, **TOLERANCE)
    assert len(seen.deep) == len(theirs.deepstack_features) == 2
    for ours, level in zip(seen.deep, theirs.deepstack_features, strict=True):
        torch.testing.assert_close(ours, level, **TOLERANCE)


@torch.inference_mode()
def test_text_alone_is_transformers(model: UniPixel, oracle: Qwen3VLForConditionalGeneration) -> None:
    ids = torch.arange(30, 50)[None]
    x = Inputs(ids, torch.ones_like(ids).bool(), NO_CLIP)
    torch.testing.assert_close(model(x).logits, oracle(input_ids=ids).logits, **TOLERANCE)


@torch.inference_mode()
def test_a_cache_is_transformers(
    predictor: Predictor, model: UniPixel, oracle: Qwen3VLForConditionalGeneration
) -> None:
    """Token by token behind a clip, and behind a clip that was read apart from its question."""
    x, answer = prepared(predictor, 5), torch.tensor([40, 41, 42])
    whole = torch.cat([x.token_ids, answer[None]], dim=1)
    given = given_to_transformers(model, Inputs(whole, torch.ones_like(whole).bool(), x.view))
    wanted = oracle(**given).logits[0, -4:]
    request = predictor.processor.prepare(Request(clip(5), (user("What is this?"),), pixels=PIXELS))
    prefix = read_prefix(model, request.clip.inputs)
    for state in (prefill(model, x), prefill(model, request.question.inputs, prefix)):
        logits = [model.backbone.speak(state.hidden)[0]]
        for token in answer:
            advance(model, state, token[None])
            logits.append(model.backbone.speak(state.hidden)[0])
        torch.testing.assert_close(torch.stack(logits), wanted, **TOLERANCE)
    assert not prefix.seen.deep, "what only the clip is read with is not kept"


@pytest.mark.parametrize("pad_left", [True, False])
@torch.inference_mode()
def test_a_batch_of_pictures_and_clips_is_transformers(
    predictor: Predictor, model: UniPixel, oracle: Qwen3VLForConditionalGeneration, pad_left: bool
) -> None:
    samples = [prepared(predictor, 5), prepared(predictor, 1, "And what may this be here?", 1)]
    batch = collate(samples, model.tokens.end_of_text, pad_left)
    logits, theirs = model(batch).logits, oracle(**given_to_transformers(model, batch)).logits
    read = batch.attention_mask
    torch.testing.assert_close(logits[read], theirs[read], **TOLERANCE)
    for row, sample in enumerate(samples):
        torch.testing.assert_close(logits[row, read[row]], model(sample).logits[0], **TOLERANCE)


@torch.inference_mode()
def test_every_level_is_heard(predictor: Predictor, model: UniPixel) -> None:
    """Without the deep levels, and with them in the other order, the model says something else."""
    x = prepared(predictor, 2)
    read, positions = model.read(x), model.backbone.positions(x)
    assert read.deep is not None and int(read.deep.slots.sum()) == x.view.grids[0].num_tokens

    def hidden(deep: Any) -> Tensor:
        return model.backbone.think(read.tokens, positions, x.attention_mask, None, deep).hidden

    whole, swapped = hidden(read.deep), type(read.deep)(read.deep.slots, read.deep.levels[::-1])
    assert (whole - hidden(None)).abs().max() > 1e-2
    assert (whole - hidden(swapped)).abs().max() > 1e-2


# The clip in the text --------------------------------------------------------------------------------------


def test_every_temporal_step_stands_behind_its_time(predictor: Predictor) -> None:
    """Frames 0 to 4 of 4 a second: steps of two, the last one alone."""
    x = prepared(predictor, 5)
    grid = x.view.grids[0]
    count = grid.num_tokens // 3
    shown = predictor.processor.tokenizer.decode(x.token_ids[0].tolist(), keep_control=True)
    steps = "".join(
        f"<{time} seconds><|vision_start|>{'<|video_pad|>' * count}<|vision_end|>"
        for time in ("0.1", "0.6", "1.0")
    )
    assert f"<|im_start|>user\n{steps}What is this?<|im_end|>" in shown
    assert x.view.is_image == (False,) and (grid.time, grid.layout.cell) == (3, 32)


def test_the_time_is_the_frames_own(predictor: Predictor) -> None:
    """Two of many frames, far apart: the step between pairs that a request names moves nothing."""
    for step in (1.0, 7.0):
        request = Request(clip(9), (user("What?"),), pixels=PIXELS, num_frames=2, seconds_per_step=step)
        shown = predictor.processor.tokenizer.decode(
            predictor.processor.prepare(request).inputs.token_ids[0].tolist(), keep_control=True
        )
        assert "<1.0 seconds><|vision_start|>" in shown, "between 0.0 and 2.0"


def test_a_single_frame_is_a_picture(predictor: Predictor, model: UniPixel) -> None:
    x = prepared(predictor, 1)
    assert (x.token_ids == model.tokens.image).sum() == x.view.grids[0].num_tokens
    assert not (x.token_ids == model.tokens.video).any() and x.view.is_image == (True,)


def test_runs_hold_every_cell_once() -> None:
    layout = StampedLayout()
    for frames in (1, 2, 3, 8):
        grid = Grid(-(-frames // 2), 4, 6, layout)
        runs = layout.runs(grid, [number / 2 for number in range(frames)])
        assert sum(run.count for run in runs) == grid.num_tokens and len(runs) == grid.time


# Object memory ---------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_memory_reads_what_enters_the_merger_in_raster_order(predictor: Predictor, model: UniPixel) -> None:
    x = prepared(predictor, 5)
    seen = model.backbone.see(x.view)
    first, second = model.backbone.merger
    merged = second(torch.nn.functional.gelu(first(seen.unmerged)))
    torch.testing.assert_close(merged, seen.merged, **TOLERANCE)
    assert seen.windowed is seen.unmerged, "without windows both orders are one"
    grid = seen.grids[0]
    time, height, width = grid.merged()
    region = torch.zeros(time, 1, height, width, dtype=torch.bool)
    region[1, 0, 0, 2] = region[1, 0, 1, 2] = True
    cells = [height * width + 2, height * width + width + 2]
    wanted = model.object_memory.project(seen.unmerged[cells].mean(0, keepdim=True))
    torch.testing.assert_close(model.object_memory(seen, [region]), wanted, **TOLERANCE)


def test_a_mask_covers_the_cells_of_32_pixels_that_see_it(predictor: Predictor) -> None:
    """A mask on frame 4, the last of 5, in the right half: one `<|mem|>`, in the third step, on the right."""
    mask = np.zeros((64, 128), dtype=np.bool_)
    mask[5:20, 70:90] = True  # column 2 of cells of 32 pixels, row 0
    film = Clip.open(np.zeros((5, 64, 128, 3), dtype=np.uint8))
    seen = MaskTrack((FrameMask(4, RLE.from_mask(mask), 1.0, True),))
    request = Request(
        film,
        (user("What is [0]?"),),
        memory=(RememberedObject(0, seen),),
        pixels=PixelBudget(CELL, 8 * CELL, None),
    )
    x = predictor.processor.prepare(request).inputs
    (region,) = x.regions
    assert region is not None and region.nonzero().tolist() == [[2, 0, 0, 2]]
    assert "[0]: <5>-<6>" in predictor.processor.tokenizer.decode(x.token_ids[0].tolist())


# Files -----------------------------------------------------------------------------------------------------


def test_the_published_layout_refuses_it(predictor: Predictor) -> None:
    with pytest.raises(ConfigError, match=r"knows Qwen2\.5-VL only, and this model's base is Qwen3-VL"):
        published_config(predictor.config)


def test_the_attention_code_is_ours(predictor: Predictor) -> None:
    """A stranger's configuration names code for attention: it is not asked."""
    content = dict(predictor.config.backbone_config)
    content |= {"text_config": content["text_config"] | {"_attn_implementation": "owner/kernel"}}
    backbone = build_backbone(replace(predictor.config, backbone_config=content))
    assert isinstance(backbone, Qwen3_VL)
    assert {part.config._attn_implementation for part in (backbone.text, backbone.visual)} == {"sdpa"}


# Real sizes ------------------------------------------------------------------------------------------------

# Numbers of parameters of the base models, added up by hand from their shapes.
BASE_COUNTS = {"qwen3-2b": 2_127_532_032, "qwen3-4b": 4_437_815_808}


@pytest.mark.parametrize("size", ["qwen3-2b", "qwen3-4b"])
def test_real_sizes_have_every_parameter_in_one_group(size: Qwen3Size) -> None:
    whole = planned_model(qwen3_config(size))
    assert sum(parameter.numel() for parameter in whole.backbone.parameters()) == BASE_COUNTS[size]
    for name in ("stage_1_3b", "stage_3_3b", "finetune", "debug_qwen3"):
        groups = group_parameters(whole, recipes()[name])
        names = [member for group in groups for member in group.names]
        assert sorted(names) == sorted(member for member, _ in whole.named_parameters()), name
        visual = next(group for group in groups if group.part == "visual")
        assert any("deepstack_merger_list" in member for member in visual.names)
