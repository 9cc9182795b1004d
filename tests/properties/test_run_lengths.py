"""Run lengths: what holds for any mask, and for any text that claims to be one."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco
from tests.properties.few import few

from unipixel.core.masks import RLE
from unipixel.core.pixels import Mask
from unipixel.errors import PromptError

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=20))
STRIPES = st.lists(st.integers(1, 3000), min_size=1, max_size=6)
"""Lengths of runs, so long that COCO spells them with several letters."""


def striped(lengths: list[int], upright: bool) -> Mask:
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return values[:, None] if upright else values[None]


@few
@given(MASKS)
def test_ours_and_cocos_are_the_same_letters(mask: Mask) -> None:
    rle = RLE.from_mask(mask)
    theirs = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    assert rle.counts == theirs["counts"]
    assert (coco.decode(rle.to_coco()) == mask).all() and (rle.decode() == mask).all()
    assert rle.area == coco.area(theirs) == mask.sum()


@few
@given(STRIPES, st.booleans())
def test_long_runs_are_cocos_too(lengths: list[int], upright: bool) -> None:
    mask = striped(lengths, upright)
    rle = RLE.from_mask(mask)
    assert rle.counts == coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    assert (rle.decode() == mask).all()
    assert [(int(a), int(b)) for a, b in rle.runs] == [
        (start, stop)
        for number, (start, stop) in enumerate(itertools.pairwise([0, *itertools.accumulate(lengths)]))
        if number % 2
    ]


@few
@given(arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(1, 12))))
def test_a_union_is_the_union_of_the_pixels(masks: Mask) -> None:
    first, *others = [RLE.from_mask(mask) for mask in masks]
    union = first.union(*others)
    assert (union.decode() == masks.any(axis=0)).all()
    assert union == first.union(*reversed(others)), "in whatever order"
    assert union.union(first) == union
    assert max(one.area for one in (first, *others)) <= union.area <= sum(o.area for o in (first, *others))


@few
@given(arrays(np.bool_, st.tuples(st.just(2), st.integers(1, 12), st.integers(1, 12))))
def test_overlap_is_cocos(masks: Mask) -> None:
    one, other = (RLE.from_mask(mask) for mask in masks)
    assert one.iou(other) == other.iou(one)
    assert one.iou(one) == 1.0
    if masks.any():
        assert one.iou(other) == coco.iou([one.to_coco()], [other.to_coco()], [0])[0, 0]


@few
@given(MASKS, st.integers(0, 60), st.integers(48, 111))
def test_a_changed_letter_is_refused_or_read_as_coco_reads_it(mask: Mask, at: int, letter: int) -> None:
    counts = bytearray(RLE.from_mask(mask).counts)
    counts[at % len(counts)] = letter
    try:
        rle = RLE(*mask.shape, bytes(counts))
    except PromptError:
        return
    assert (rle.decode() == coco.decode(rle.to_coco())).all()
    assert rle.area == rle.decode().sum()


@few
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
    st.lists(st.integers(-1, 9) | st.just(2**70), max_size=3),
)
def test_anything_else_is_refused(counts: object, size: list[int]) -> None:
    try:
        rle = RLE.from_coco({"size": size, "counts": counts})
    except PromptError:
        return
    assert rle.decode().shape == tuple(size)
