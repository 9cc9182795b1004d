"""What stands in for words while the mask decoder learns: hidden tokens of names and of places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unipixel.data.synthetic.shapes import ALL_SHAPES
from unipixel.data.synthetic.world import ALL_COLOURS
from unipixel.model.sam2 import PromptEncoder

CLICK = 1
"""Label of a positive click in SAM's prompt encoder."""
THING = "thing"
"""The name that says neither colour nor shape."""


class NameTable(nn.Module):
    """Hidden tokens [n, h, c] of names: "red circle", or less: "red thing", "circle", "thing". A vector for
    the colour plus one for the shape; what is not said adds nothing."""

    def __init__(self, num_tokens: int, width: int) -> None:
        super().__init__()
        self.colours = nn.Embedding(len(ALL_COLOURS), num_tokens * width)
        self.shapes = nn.Embedding(len(ALL_SHAPES), num_tokens * width)
        self.num_tokens = num_tokens

    def forward(self, names: list[str]) -> Tensor:
        colours = self._sum(self.colours, ALL_COLOURS, names)
        split: Tensor = (colours + self._sum(self.shapes, ALL_SHAPES, names)).unflatten(
            -1, (self.num_tokens, -1)
        )
        return split

    @staticmethod
    def _sum(table: nn.Embedding, words: tuple[str, ...], names: list[str]) -> Tensor:
        said = torch.tensor([[float(word in name.split()) for word in words] for name in names])
        return said.to(table.weight.device) @ table.weight


def matches(name: str, thing: str) -> bool:
    """Whether a thing, by its full name, is meant by a name that may say less."""
    return {*name.split()} - {THING} <= {*thing.split()}


def with_places(tokens: Tensor, encoder: PromptEncoder, points: Tensor) -> Tensor:
    """Names [n, h, c] with places: every token but the first becomes that of a click at points [n, 2]."""
    labels = torch.full((len(points), 1), CLICK, device=points.device)
    clicks = encoder.encode_points(points[:, None], labels, pad=False)
    return torch.cat([tokens[:, :1], clicks.expand(-1, tokens.shape[1] - 1, -1)], dim=1)


def points_as_hidden(encoder: PromptEncoder, points: Tensor, labels: Tensor, num_tokens: int) -> Tensor:
    """Clicks or boxes [n, P, 2] in the form in which the language model says them: hidden tokens
    [n, h, c]."""
    return encoder.encode_points(points, labels, pad=True)[:, :num_tokens]


@dataclass(frozen=True)
class Told:
    """What a `<|seg|>` shall say. name: as NameTable takes it. place: (x, y) in shares of the sides where the
    first shown frame has the one thing that is meant, else None. thing: its place in the scene, if it is
    one."""

    name: str
    place: tuple[float, float] | None
    thing: int | None = None


@torch.no_grad()
def wanted_tokens(table: NameTable, encoder: PromptEncoder, told: Sequence[Told]) -> Tensor:
    """The hidden tokens [n, h, c] of names and places."""
    named = table([what.name for what in told])
    places = torch.tensor([what.place or (0.0, 0.0) for what in told]) * encoder.image_size - 0.5
    placed = with_places(named, encoder, places)
    has_place = torch.tensor([what.place is not None for what in told])
    return torch.where(has_place[:, None, None], placed, named)


@torch.no_grad()
def spread_of_tokens(table: NameTable, encoder: PromptEncoder) -> Tensor:
    """How far the hidden tokens of names and places lie from their means, [h]: mean squares. An error as
    large as that says nothing."""
    names = table([f"{colour} {shape}" for colour in ALL_COLOURS for shape in ALL_SHAPES])
    across = torch.linspace(0, encoder.image_size - 1, 9)
    places = torch.cartesian_prod(across, across)
    placed = with_places(names[:1].expand(len(places), -1, -1), encoder, places)
    return torch.cat([names.var(0)[:1], placed.var(0)[1:]]).mean(-1)
