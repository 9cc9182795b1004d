"""Rotary positions: what holds for any order of text and clips, and where transformers says the same."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.properties.few import few
from torch import Tensor
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel

from unipixel.loading import load
from unipixel.model.inputs import Grid, Inputs, LanguageView, collate
from unipixel.model.qwen2_5_vl import Qwen2_5_VL

TEXT, PAD = 5, 360
CELLS = st.integers(1, 4)
CLIPS = st.lists(
    st.tuples(st.integers(1, 5), st.integers(1, 3), CELLS, CELLS, st.sampled_from([0.3, 0.5, 1.0, 2.0, 7.9])),
    min_size=0,
    max_size=3,
)
"""For each clip: words before it, pairs of frames, rows and columns of merged cells, seconds between
pairs."""


@pytest.fixture(scope="module")
def qwen(golden_checkpoint: Path) -> Qwen2_5_VL:
    backbone = load(golden_checkpoint).model.backbone
    assert isinstance(backbone, Qwen2_5_VL)
    return backbone


def sample(
    qwen: Qwen2_5_VL, clips: Sequence[tuple[int, int, int, int, float]], words: int, is_image: bool = False
) -> Inputs:
    """Text with clips in it, and `words` more behind."""
    pad = qwen.config.image_token_id if is_image else qwen.config.video_token_id
    tokens: list[int] = []
    for before, time, rows, columns, _ in clips:
        tokens += [TEXT] * before + [pad] * (time * rows * columns)
    tokens += [TEXT] * words
    grids = tuple(Grid(time, 2 * rows, 2 * columns) for _, time, rows, columns, _ in clips)
    patches = torch.zeros(sum(grid.num_patches for grid in grids), 1)
    view = LanguageView(patches, grids, tuple(clip[-1] for clip in clips), (is_image,) * len(clips))
    token_ids = torch.tensor([tokens])
    return Inputs(token_ids, torch.ones_like(token_ids).bool(), view)


def is_text(inputs: Inputs) -> Tensor:
    return inputs.token_ids[0] == TEXT


def test_text_runs_on_and_cells_come_after_what_is_before_them(qwen: Qwen2_5_VL) -> None:
    @few
    @given(CLIPS, st.integers(1, 6), st.sampled_from(["published", "fractional"]))
    def holds(clips: list[tuple[int, int, int, int, float]], words: int, variant: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(qwen, "seconds", variant)
            inputs = sample(qwen, clips, words)
            positions = qwen.positions(inputs)[:, 0]
        text = is_text(inputs)
        assert (positions[:, text] == positions[0, text]).all(), "text moves all three axes together"
        assert (positions[0].diff() >= 0).all() or len(clips) > 0
        assert (positions[0, text].diff() >= 1).all()
        highest = -1
        for at in range(positions.shape[1]):
            if text[at]:
                assert positions[0, at] == positions[:, :at].max().item() + 1 if at else positions[0, 0] == 0
                highest = int(positions[0, at])
            else:
                assert (positions[:, at] > highest).all(), "no cell lies before the text that it follows"

    holds()


def test_time_never_runs_back_inside_a_clip(qwen: Qwen2_5_VL) -> None:
    @few
    @given(
        st.integers(1, 6),
        CELLS,
        CELLS,
        st.floats(0.01, 20, allow_nan=False),
        st.sampled_from(["published", "fractional"]),
    )
    def holds(time: int, rows: int, columns: int, seconds: float, variant: str) -> None:
        inputs = sample(qwen, [(1, time, rows, columns, seconds)], 1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(qwen, "seconds", variant)
            cells = qwen.positions(inputs)[:, 0, 1:-1].view(3, time, rows, columns)
        ticks = cells[0, :, 0, 0]
        assert (cells[0] == ticks[:, None, None]).all() and (ticks.diff() >= 0).all()
        speed = qwen.vision_config.tokens_per_second
        pace = (int(seconds) if variant == "published" else seconds) * speed
        late = ticks.double() - 1 - pace * torch.arange(time)
        assert ((late > -1) & (late < 1e-3)).all(), "each at its time, rounded down"
        assert (cells[1] == 1 + torch.arange(rows)[:, None]).all()
        assert (cells[2] == 1 + torch.arange(columns)).all()

    holds()


def test_transformers_gives_stills_the_same_positions(qwen: Qwen2_5_VL) -> None:
    """Of videos with several steps it does not: see docs/parity.md."""
    stub = SimpleNamespace(config=qwen.config)
    stub.get_vision_position_ids = Qwen2_5_VLModel.get_vision_position_ids.__get__(stub)

    @few
    @given(CLIPS.filter(bool), st.integers(1, 6), st.booleans())
    def agrees(clips: list[tuple[int, int, int, int, float]], words: int, is_image: bool) -> None:
        stills = [(before, 1, rows, columns, 1.0) for before, _, rows, columns, _ in clips]
        inputs = sample(qwen, stills, words, is_image)
        kinds = torch.where(is_text(inputs), 0, 1 if is_image else 2)[None]
        grids = torch.tensor([[1, 2 * rows, 2 * columns] for _, _, rows, columns, _ in stills])
        name = "image_grid_thw" if is_image else "video_grid_thw"
        seconds = torch.ones(len(stills))
        theirs, _ = Qwen2_5_VLModel.get_rope_index(
            stub, inputs.token_ids, kinds, second_per_grid_ts=seconds, **{name: grids}
        )
        assert torch.equal(qwen.positions(inputs), theirs)

    agrees()


def test_padding_of_any_batch_moves_nothing(qwen: Qwen2_5_VL) -> None:
    @few
    @given(st.lists(st.tuples(CLIPS, st.integers(1, 5)), min_size=1, max_size=3), st.booleans())
    def holds(parts: list[tuple[list[tuple[int, int, int, int, float]], int]], pad_left: bool) -> None:
        samples = [sample(qwen, clips, words) for clips, words in parts]
        batch = collate(samples, PAD, pad_left)
        positions = qwen.positions(batch)
        for row, one in enumerate(samples):
            own = positions[:, row, batch.attention_mask[row]]
            assert torch.equal(own, qwen.positions(one)[:, 0])
            assert (positions[:, row, ~batch.attention_mask[row]] == 1).all()

    holds()
