"""Who comes first among near-equals: an order that asker and content choose for good.

Of every content's first 64 bits and of each pair of asker and source a number is mixed;
the lower one comes first. So askers spread evenly over near-equals, no answer flaps
between them, and one content is ordered as fast as a thousand.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from placement.core.oci import Digest
from placement.core.topology import REGION_COUNT_MAX, Region

Words = NDArray[np.uint64]

MULTIPLIER: Final = 0x9E3779B97F4A7C15
"""Odd, and its bits look like chance: 2^64 over the golden ratio."""
PLACE_BITS: Final = 57
"""What a place takes; the rest of a word has room for the number of a source."""
_SPARE_BITS: Final = 64 - PLACE_BITS
_MASK: Final = 2**64 - 1
_WORD: Final = slice(7, 23)
"""Of a digest's text, after ``sha256:`` or ``sha512:``, its first 64 bits."""


@lru_cache(maxsize=REGION_COUNT_MAX**2)
def seed_of(asker: Region, source: Region) -> int:
    """Return the number of 64 bits that stands for *source* where *asker* asks."""
    named = f"{asker}\0{source}".encode()
    return int.from_bytes(blake2b(named, digest_size=8).digest())


def word_of(digest: Digest) -> int:
    """Return the first 64 bits of *digest*."""
    return int(digest[_WORD], 16)


def place_of(seed: int, word: int) -> int:
    """Return the place of a source among its near-equals, below 2^PLACE_BITS."""
    mixed = ((seed ^ word) * MULTIPLIER) & _MASK
    return (((mixed ^ (mixed >> 32)) * MULTIPLIER) & _MASK) >> _SPARE_BITS


def places_of(seeds: Words, words: Words) -> Words:
    """Return ``place_of`` each of *seeds* and *words*, which broadcast."""
    multiplier = np.uint64(MULTIPLIER)
    mixed = (seeds ^ words) * multiplier
    mixed = (mixed ^ (mixed >> np.uint64(32))) * multiplier
    return mixed >> np.uint64(_SPARE_BITS)
