"""Randomness of its own for everything that has a name, the same in every process."""

from __future__ import annotations

import hashlib

from numpy.random import PCG64, Generator, SeedSequence

from unipixel.data.sample import Sample


def named_generator(seed: int, *names: str | int) -> Generator:
    """For what is drawn for one purpose, which its names tell from all others."""
    return _seeded(seed, repr(names))


def once(sample: Sample, seed: int) -> Generator:
    """For what is drawn once for a sample: the same in every process, at every visit (Q14)."""
    return _seeded(seed, f"{sample.dataset}\0{sample.id}")


def _seeded(seed: int, name: str) -> Generator:
    digest = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
    return Generator(PCG64(SeedSequence([seed, digest])))
