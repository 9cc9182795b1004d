"""Replies and the option that they name, in both readings."""

import pytest

from unipixel.errors import UniPixelError
from unipixel.evaluation.metrics.choice import Tally, accuracy, letter, letter_upstream, tally


@pytest.mark.parametrize(
    ("reply", "published", "upstream"),
    [
        ("A", "A", "A"),
        ("b", "B", "B"),
        ("(C)", "C", "C"),
        ("(C) The red car.", "C", "C"),
        ("D. A dog", "D", "D"),
        ("B) a dog", "B", "B"),
        ("A)The dog", "A", "A"),
        ("Apple", "A", "A"),  # a word: its first character
        ("The best option is (B)", None, "B"),  # as published T, which is no option
        ("A or (B)", "A", "B"),
        ("see C) not (D)", None, "D"),  # as published S; brackets on both sides go first
        ("(e)", None, "("),  # upstream looks for capitals only
        (" A", None, " "),  # as published nothing stands before the first space
        ("A\nbecause", "A", "A"),
        ("...", None, None),
        ("", None, None),
        ("5", None, "5"),
    ],
)
def test_letters(reply: str, published: str | None, upstream: str | None) -> None:
    assert letter(reply, 4) == published
    assert letter_upstream(reply) == upstream


def test_the_number_of_options_decides() -> None:
    assert letter("E", 5) == "E" and letter("E", 4) is None
    with pytest.raises(UniPixelError, match="1 to 26"):
        letter("A", 0)


def test_failed_replies_stay_in_the_denominator() -> None:
    counted = tally(["A", None, "C", "B"], ["A", "A", "c", "A"])
    assert counted == Tally(correct=2, failed=1, total=4) and counted.accuracy == 0.5


def test_accuracy_is_micro_and_by_type() -> None:
    found = accuracy(["A", "B", None], ["A", "A", "A"], ["reasoning", "basic", "reasoning"])
    assert found.overall == Tally(1, 1, 3)
    assert list(found.by_type.items()) == [("basic", Tally(0, 0, 1)), ("reasoning", Tally(1, 1, 2))]


def test_lists_that_do_not_pair_are_refused() -> None:
    with pytest.raises(UniPixelError, match="1 replies and 2 answers"):
        tally(["A"], ["A", "B"])
    with pytest.raises(UniPixelError, match="0 replies"):
        tally([], [])
    with pytest.raises(UniPixelError, match="1 types for 2"):
        accuracy(["A", "B"], ["A", "B"], ["x"])
    with pytest.raises(UniPixelError, match="cannot be"):
        Tally(3, 1, 3)
