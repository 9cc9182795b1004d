"""How many objects the mask decoder is asked for at a time."""

import pytest
from torch import Tensor

from unipixel.predictor import Predictor


def count_decoded(model: Predictor, patch: pytest.MonkeyPatch) -> list[int]:
    """A list that each call of a model's mask decoder adds to, until the patch is undone."""
    sizes: list[int] = []
    decoder = model.model.sam2.sam_mask_decoder
    decode = decoder.forward

    def counting(
        features: Tensor, position: Tensor, high_res: object, sparse: Tensor, dense: Tensor
    ) -> object:
        sizes.append(len(sparse))
        return decode(features, position, high_res, sparse, dense)

    patch.setattr(decoder, "forward", counting)
    return sizes
