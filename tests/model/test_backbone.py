"""Qwen2.5-VL behind its seam: rotary positions, the order of attention windows, and batches of clips."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from unipixel.loading import load
from unipixel.model.backbone import Backbone
from unipixel.model.inputs import Grid, Inputs, LanguageView, collate
from unipixel.model.qwen2_5_vl import Qwen2_5_VL

PATCH_VALUES = 3 * 2 * 14 * 14
TEXT, VIDEO, IMAGE, PAD = 5, 373, 372, 360
TOLERANCE = {"rtol": 0.0, "atol": 2e-5}


@pytest.fixture(scope="module")
def backbone(golden_checkpoint: Path) -> Backbone:
    return load(golden_checkpoint).model.backbone


@pytest.fixture(scope="module")
def qwen(backbone: Backbone) -> Qwen2_5_VL:
    assert isinstance(backbone, Qwen2_5_VL)
    return backbone


def view(*grids: Grid, seconds: float = 1.0, is_image: bool = False, seed: int = 0) -> LanguageView:
    generator = torch.Generator().manual_seed(seed)
    patches = torch.randn(sum(grid.num_patches for grid in grids), PATCH_VALUES, generator=generator)
    return LanguageView(patches, grids, (seconds,) * len(grids), (is_image,) * len(grids))


def inputs(tokens: list[int], seen: LanguageView) -> Inputs:
    token_ids = torch.tensor([tokens])
    return Inputs(token_ids, torch.ones_like(token_ids).bool(), seen)


# Positions -----------------------------------------------------------------------------------------------

GRID = Grid(2, 4, 6)  # two pairs of frames, 2 x 3 merged cells
CELLS = [(time, row, column) for time in (0, 2) for row in (0, 1) for column in (0, 1, 2)]
"""One temporal step is one second, and a second counts 2."""


def video_sample() -> Inputs:
    return inputs([TEXT, TEXT, *[VIDEO] * 12, TEXT, TEXT], view(GRID))


def wanted_positions(cells: list[tuple[int, int, int]], before: int, after: int) -> Tensor:
    """Text, clip, text: by the published rule, written out."""
    rows = [(i, i, i) for i in range(before)]
    rows += [(before + t, before + y, before + x) for t, y, x in cells]
    start = 1 + max(max(row) for row in rows)
    rows += [(start + i,) * 3 for i in range(after)]
    return torch.tensor(rows).T


def test_text_goes_on_behind_the_largest_position_of_a_clip(backbone: Backbone) -> None:
    positions = backbone.positions(video_sample())
    assert torch.equal(positions[:, 0], wanted_positions(CELLS, before=2, after=2))
    assert positions[:, 0, -2:].tolist() == [[5, 6]] * 3, "time 2 + 2 is the largest, so text goes on at 5"


@pytest.mark.parametrize("pad_left", [True, False])
def test_padding_moves_nothing(backbone: Backbone, pad_left: bool) -> None:
    short, long = video_sample(), inputs([TEXT] * 5 + [VIDEO] * 12 + [TEXT] * 4, view(GRID, seed=1))
    positions = backbone.positions(collate([short, long], PAD, pad_left))
    length, missing = 16, 21 - 16
    read = slice(missing, None) if pad_left else slice(0, length)
    padding = slice(0, missing) if pad_left else slice(length, None)
    assert torch.equal(positions[:, 0, read], backbone.positions(short)[:, 0])
    assert (positions[:, 0, padding] == 1).all()
    assert torch.equal(positions[:, 1], backbone.positions(long)[:, 0])


def test_an_image_has_no_time(backbone: Backbone) -> None:
    cells = [(0, row, column) for row in (0, 1) for column in (0, 1, 2)]
    sample = inputs([TEXT, *[IMAGE] * 6, TEXT], view(Grid(1, 4, 6), is_image=True))
    assert torch.equal(backbone.positions(sample)[:, 0], wanted_positions(cells, before=1, after=1))


def test_clips_of_one_sample_follow_each_other(backbone: Backbone) -> None:
    seen = LanguageView(torch.zeros(24 + 48, PATCH_VALUES), (Grid(1, 4, 6), GRID), (1.0, 1.0), (True, False))
    positions = backbone.positions(inputs([TEXT, *[IMAGE] * 6, TEXT, *[VIDEO] * 12, TEXT], seen))[:, 0]
    assert positions[:, 1].tolist() == [1, 1, 1]
    assert positions[:, 7].tolist() == [4, 4, 4], "behind column 2 of the image at 1 + 2"
    assert positions[:, 8].tolist() == [5, 5, 5]
    assert positions[:, 19].tolist() == [7, 6, 7], "the last cell: second pair, row 1, column 2"
    assert positions[:, 20].tolist() == [8, 8, 8]


@pytest.mark.parametrize(("variant", "ticks"), [("published", [0, 0, 0]), ("fractional", [0, 1, 2])])
def test_seconds_below_one_vanish_in_the_published_variant(
    qwen: Qwen2_5_VL, monkeypatch: pytest.MonkeyPatch, variant: str, ticks: list[int]
) -> None:
    monkeypatch.setattr(qwen, "seconds", variant)
    sample = inputs([VIDEO] * 3, view(Grid(3, 2, 2), seconds=0.5))
    assert qwen.positions(sample)[0, 0].tolist() == ticks


# Visual features -----------------------------------------------------------------------------------------


def test_window_order_is_hand_made_on_a_small_grid(qwen: Qwen2_5_VL) -> None:
    """5 merged columns: windows of 4 and 1."""
    order = qwen.window_order((Grid(1, 4, 10),))
    assert order.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 4, 9]


def test_window_order_is_a_permutation_inside_each_clip(qwen: Qwen2_5_VL) -> None:
    grids = (Grid(2, 12, 20), Grid(1, 4, 10))
    order = qwen.window_order(grids)
    assert sorted(order.tolist()) == list(range(130))
    assert sorted(order[:60].tolist()) == list(range(60)), "pairs of frames must not mix"
    assert sorted(order[120:].tolist()) == list(range(120, 130))


def test_window_order_agrees_with_raster_up_to_four_columns(qwen: Qwen2_5_VL) -> None:
    assert qwen.window_order((Grid(2, 12, 8),)).tolist() == list(range(48))
    assert qwen.window_order((Grid(1, 2, 20),)).tolist() == list(range(10))


@torch.inference_mode()
def test_unmerged_features_are_in_raster_order(qwen: Qwen2_5_VL) -> None:
    """What enters the merger's MLP in raster order gives the merged tokens; in window order it does not."""
    grid = Grid(1, 24, 40)  # 12 x 20 merged cells
    seen = qwen.see(view(grid))
    torch.testing.assert_close(qwen.visual.merger.mlp(seen.unmerged), seen.merged, **TOLERANCE)
    mixed = qwen.visual.merger.mlp(seen.windowed)
    displaced = ((mixed - seen.merged).abs().amax(1) > 1e-3).float().mean()
    assert displaced > 0.85, "about 90 % of the tokens (docs/parity.md)"
    order = qwen.window_order((grid,))
    assert torch.equal(seen.unmerged[order], seen.windowed)


@torch.inference_mode()
def test_clips_do_not_see_each_other(qwen: Qwen2_5_VL) -> None:
    one, two = view(Grid(2, 8, 10), seed=1), view(Grid(1, 12, 6), seed=2)
    both = LanguageView(torch.cat([one.patches, two.patches]), one.grids + two.grids, (1.0, 1.0))
    together, alone = qwen.see(both), [qwen.see(one), qwen.see(two)]
    for name in ("merged", "unmerged", "windowed"):
        separate = torch.cat([getattr(seen, name) for seen in alone])
        torch.testing.assert_close(getattr(together, name), separate, **TOLERANCE)


# Thinking ------------------------------------------------------------------------------------------------


@torch.inference_mode()
@pytest.mark.parametrize("pad_left", [True, False])
def test_padding_changes_no_thought(backbone: Backbone, pad_left: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(0, 350, (length,), generator=generator).tolist() for length in (4, 9)]
    empty = LanguageView(torch.zeros(0, PATCH_VALUES), (), ())
    samples = [inputs(row, empty) for row in rows]
    batch = collate(samples, PAD, pad_left)
    hidden = backbone.think(
        backbone.embed(batch.token_ids), backbone.positions(batch), batch.attention_mask
    ).hidden
    for row, sample in enumerate(samples):
        alone = backbone.think(
            backbone.embed(sample.token_ids), backbone.positions(sample), sample.attention_mask
        ).hidden[0]
        torch.testing.assert_close(hidden[row, batch.attention_mask[row]], alone, **TOLERANCE)


@torch.inference_mode()
def test_a_cache_changes_no_thought(backbone: Backbone) -> None:
    sample = replace(video_sample(), token_ids=torch.arange(16)[None])
    tokens, positions = backbone.embed(sample.token_ids), backbone.positions(sample)
    whole = backbone.think(tokens, positions, sample.attention_mask).hidden
    cache = backbone.new_cache()
    first = backbone.think(tokens[:, :10], positions[..., :10], sample.attention_mask[:, :10], cache)
    rest = backbone.think(tokens[:, 10:], positions[..., 10:], sample.attention_mask, first.cache)
    torch.testing.assert_close(torch.cat([first.hidden, rest.hidden], dim=1), whole, **TOLERANCE)


def test_placeholders_count_merged_cells() -> None:
    assert Grid(3, 8, 10).num_tokens == 60


def test_patches_must_fill_their_grids() -> None:
    with pytest.raises(AssertionError, match="24 patches, but the grids hold 48"):
        LanguageView(torch.zeros(24, PATCH_VALUES), (GRID,), (1.0,))
