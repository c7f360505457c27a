"""Where in a table a key is looked for first: a hash that nobody can choose keys for.

Keys come from callers, and whoever knew the hash could send keys that all begin at one
place. So each 32-bit word of a key is multiplied by a number that the seed makes, and
the high half of the sum is used: for any two keys the chance that they meet there is
one in 2^32, whatever they are. Source: Lemire and Kaser, "Strongly universal string
hashing is fast", 2014.
"""

from collections.abc import Callable
from functools import lru_cache
from operator import mul
from struct import Struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Words = NDArray[np.uint32]
"""Keys, a row each, in little-endian words."""

HASHES_KEPT: Final = 128
"""All tables of a state have the same seed, and keys of a few sizes."""

_MASK: Final = 2**64 - 1
_PAIR_WORDS: Final = 2
HALF: Final = 32
"""By so many bits a sum is shifted into itself."""
MIX: Final = 0x9E3779B97F4A7C15
"""And then multiplied by this."""


def factors(seed: int, count: int) -> list[int]:
    """Return *count* numbers below 2^64 for *seed*.

    Source: SplitMix64; Steele, Lea and Flood, "Fast splittable pseudorandom number
    generators", 2014.
    """
    found, state = [], seed
    for _ in range(count):
        state = (state + MIX) & _MASK
        mixed = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & _MASK
        found.append(mixed ^ mixed >> 31)
    return found


@lru_cache(HASHES_KEPT)
def hash_of_one(seed: int, word_count: int) -> Callable[[bytes], int]:
    """Return the hash of single keys of *word_count* words."""
    by = tuple(factors(seed, word_count))
    if word_count == _PAIR_WORDS:
        return _hash_of_a_pair(*by)
    unpack = Struct(f"<{word_count}I").unpack

    def hashed(key: bytes) -> int:
        total: int = sum(map(mul, unpack(key), by)) & _MASK
        return (total ^ total >> HALF) * MIX & _MASK

    return hashed


def _hash_of_a_pair(by_first: int, by_second: int) -> Callable[[bytes], int]:
    """Return the same, written out, as most keys are of two words."""
    unpack = Struct("<2I").unpack

    def hashed(key: bytes) -> int:
        first, second = unpack(key)
        total: int = first * by_first + second * by_second & _MASK
        return (total ^ total >> HALF) * MIX & _MASK

    return hashed
