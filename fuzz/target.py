"""What a fuzzer is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeAlias

Check: TypeAlias = Callable[[bytes, Path], str]
"""Reads one input, with an empty folder for its files. Returns in a word or two what came of it, raises a
UniPixelError where the input is refused. Anything else that comes out is a finding."""


@dataclass(frozen=True)
class Target:
    """One door through which strangers' bytes come in.

    Attributes:
        seeds: good inputs to begin with.
        change: an input and randomness -> an input that may be bad.
        prepare: what is done once in each child process, a model opened for example; gives the check.
        seconds: of the processor; longer, and an input hangs.
        gigabytes: address space that the child process may have.
    """

    seeds: Callable[[], list[bytes]]
    change: Callable[[bytes, Random], bytes]
    prepare: Callable[[], Check]
    seconds: float = 20.0
    gigabytes: float = 8.0
