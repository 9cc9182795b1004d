"""At the start of training, tokens and cells attend to what is near."""

import torch

from unipixel.model.sam2 import Sam2
from unipixel.training.tiny.following import POSITIVE
from unipixel.training.tiny.model import SIDE
from unipixel.training.tiny.places import align_places
from unipixel.training.tiny.workshop import Workshop

STRIDE = 16


def nearest_cells(sam2: Sam2) -> list[float]:
    """For every attention between tokens and cells: the share of cells whose own code draws most attention,
    mean over heads."""
    encoder, transformer = sam2.sam_prompt_encoder, sam2.sam_mask_decoder.transformer
    codes = encoder.dense_position_encoding().flatten(2).mT
    attentions = [transformer.final_attn_token_to_image]
    for layer in transformer.layers:
        attentions += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    shares = []
    for attention in attentions:
        q, k, _ = attention.project(codes, codes, codes)
        found = (q @ k.mT)[0].argmax(-1)
        shares.append((found == torch.arange(codes.shape[1])).float().mean().item())
    return shares


@torch.no_grad()
def test_every_head_looks_where_a_code_points() -> None:
    sam2 = Workshop.open().model.sam2
    assert min(nearest_cells(sam2)) > 0.9


@torch.no_grad()
def test_random_projections_do_not() -> None:
    torch.manual_seed(0)
    sam2 = Sam2(Workshop.open().model.sam2.config)
    assert max(nearest_cells(sam2)) < 0.2
    align_places(sam2)
    assert min(nearest_cells(sam2)) > 0.9


@torch.no_grad()
def test_most_clicks_are_nearest_to_the_cell_they_lie_in() -> None:
    sam2 = Workshop.open().model.sam2
    encoder = sam2.sam_prompt_encoder
    attention = sam2.sam_mask_decoder.transformer.layers[0].cross_attn_token_to_image
    side = SIDE // STRIDE
    middles = torch.arange(side) * STRIDE + STRIDE / 2 - 0.5
    y, x = torch.meshgrid(middles, middles, indexing="ij")
    clicks = torch.stack([x, y], dim=-1).flatten(0, 1)[:, None]
    tokens = encoder.encode_points(clicks, torch.full((side**2, 1), POSITIVE), pad=False)[:, 0]
    codes = encoder.dense_position_encoding().flatten(2).mT
    q, k, _ = attention.project(tokens[None], codes, codes)
    attended = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1).mean(1)[0]
    # Not all: what kind of click it is, is random too.
    assert (attended.argmax(-1) == torch.arange(side**2)).float().mean() > 0.6
    assert attended.diagonal().mean() > 5 / side**2
