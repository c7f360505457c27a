"""What finds many keys: numpy, or compiled code, which is quicker and does the same."""

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Final

import numpy as np

from placement.core.tables import finding
from placement.core.tables.hashing import HASHES_KEPT, Hashes, Words, factors


class _Compiled:
    kernels: ModuleType = finding


COMPILED: Final = _Compiled()


def use_compiled() -> bool:
    """Let many keys be found by compiled code; say whether that can be.

    That is so if the extra ``fast`` is installed, and what numba kept is as the source
    is now. The first call takes about a second, and several where it kept nothing.
    """
    try:
        from placement.core.tables import kernels  # noqa: PLC0415 - it may be missing, and takes so long
    except ImportError:
        return False
    kernels.warm_up()
    words, by = np.array([[7, 9]], np.uint32), np.array(factors(1, 2), np.uint64)
    if (kernels.hashed(words, by) != finding.hashed(words, by)).any():
        return False
    COMPILED.kernels = kernels
    return True


def use_numpy() -> None:
    """Let many keys be found by numpy again."""
    COMPILED.kernels = finding


@lru_cache(HASHES_KEPT)
def hash_of_many(seed: int, word_count: int) -> Callable[[Words], Hashes]:
    """Return the hash of many keys of *word_count* words, the same as of each one."""
    by = np.array(factors(seed, word_count), np.uint64)

    def hashed(words: Words) -> Hashes:
        found: Hashes = COMPILED.kernels.hashed(words, by)
        return found

    return hashed
