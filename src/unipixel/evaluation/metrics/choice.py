"""Which option a reply names (VideoRefer-Bench-Q, PixelQA, MVBench, Video-MME)."""

import re

from unipixel.errors import UniPixelError

_MARKS = str.maketrans("", "", "().")


def letter(reply: str, num_options: int) -> str | None:
    """The option that a reply names ("A", "B", ...), as the published evaluation reads it.

    What stands before the first space, in lower case, without brackets and full stops; of a longer word its
    first character ("Apple" names A). None if that is none of the `num_options` letters. The published script
    stops at a reply without a word; here it names no option.

    Raises:
        UniPixelError: fewer than one option, or more than the alphabet has letters.
    """
    if not 1 <= num_options <= 26:
        raise UniPixelError(
            f"A question with {num_options} options cannot be lettered; there can be 1 to 26."
        )
    word = reply.lower().split(" ")[0].translate(_MARKS)[:1]
    is_option = bool(word) and 0 <= ord(word) - ord("a") < num_options
    return word.upper() if is_option else None


def letter_upstream(reply: str) -> str | None:
    """The option that a reply names, as VideoRefer's own script reads it: the first capital in brackets,
    "(A)"; else the first before a closing bracket, "A)"; else the first character that is no full stop. None
    for a reply without one. It may be no letter at all."""
    named = re.search(r"\(([A-Z])\)", reply) or re.search(r"([A-Z])\)", reply)
    if named:
        return named[1]
    return reply.replace(".", "")[:1].upper() or None
