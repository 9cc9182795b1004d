"""Numbers that last through a recording."""

import numpy as np

from unipixel.archive.linking import Linker
from unipixel.archive.units import FoundMask, FoundObject, Unit
from unipixel.core.masks import RLE

SIDE = 40


def square(x: int, y: int, side: int = 10) -> RLE:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[y : y + side, x : x + side] = True
    return RLE.from_mask(mask)


def thing(places: dict[int, tuple[int, int]]) -> FoundObject:
    """Where an object is, by frame."""
    masks = tuple(FoundMask(frame, square(*place), 0.9) for frame, place in places.items())
    return FoundObject(min(places), masks)


def test_objects_are_paired_one_to_one_by_their_masks_in_the_overlap() -> None:
    linker = Linker(5)
    left, right = thing({0: (0, 0), 8: (2, 0), 9: (4, 0)}), thing({0: (30, 0), 8: (28, 0), 9: (26, 0)})
    assert linker.number(0, [left, right], ()) == [5, 6]
    later_right, later_left = thing({8: (28, 1), 9: (26, 1)}), thing({8: (2, 1), 9: (4, 1)})
    assert linker.number(0, [later_right, later_left], (8, 9)) == [6, 5]


def test_the_best_pairs_as_a_whole_are_taken() -> None:
    """Each by itself would take the same partner."""
    linker = Linker(0)
    linker.number(0, [thing({4: (0, 0)}), thing({4: (5, 0)})], ())
    assert linker.number(0, [thing({4: (2, 0)}), thing({4: (1, 0)})], (4,)) == [1, 0]


def test_an_object_elsewhere_at_the_same_time_is_another_one() -> None:
    linker = Linker(0)
    assert linker.number(0, [thing({8: (0, 0)})], ()) == [0]
    assert linker.number(0, [thing({8: (30, 30)})], (8, 9)) == [1]


def test_the_only_object_of_the_words_keeps_its_number_while_out_of_sight() -> None:
    linker = Linker(0)
    assert linker.number(0, [thing({1: (0, 0)})], ()) == [0]
    assert linker.number(0, [], (8, 9)) == []  # gone
    assert linker.number(0, [thing({30: (20, 20)})], (16, 17)) == [0]  # back


def test_one_of_several_does_not_take_over_a_number_it_was_not_seen_with() -> None:
    linker = Linker(0)
    assert linker.number(0, [thing({1: (0, 0)}), thing({1: (20, 20)})], ()) == [0, 1]
    assert linker.number(0, [thing({30: (20, 20)})], (8, 9)) == [2]


def test_queries_do_not_share_numbers() -> None:
    linker = Linker(0)
    assert linker.number(0, [thing({1: (0, 0)})], ()) == [0]
    assert linker.number(1, [thing({1: (0, 0)})], ()) == [1]
    assert linker.number(1, [thing({8: (0, 0)})], (8,)) == [1]


def test_a_text_speaks_of_the_numbers_of_the_item() -> None:
    unit = Unit(0, 0, "It is [0], or [1].", (FoundObject(3), FoundObject(None)), spans=((6, 9), (14, 17)))
    assert unit.said([12, None]) == "It is [12], or [not seen]."


def test_the_parts_of_a_mask_that_was_split_stand_beside_each_other() -> None:
    objects = (FoundObject(3, part_of=0), FoundObject(None), FoundObject(3, part_of=0))
    unit = Unit(0, 0, "It is [0], or [1].", objects, spans=((6, 9), (14, 17)))
    assert unit.said([4, None, 9]) == "It is [4], [9], or [not seen]."
    assert unit.said([None, 2, 9]) == "It is [9], or [2]."
