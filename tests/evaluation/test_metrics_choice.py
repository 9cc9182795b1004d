"""Replies and the option that they name, in both readings."""

import pytest

from unipixel.errors import UniPixelError
from unipixel.evaluation.metrics.choice import letter, letter_upstream


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
