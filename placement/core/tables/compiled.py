"""What finds many keys: numpy, or compiled code, which is quicker and does the same."""

from types import ModuleType
from typing import Final

from placement.core.tables import finding


class _Compiled:
    kernels: ModuleType = finding


COMPILED: Final = _Compiled()


def use_compiled() -> bool:
    """Let many keys be found by compiled code; say whether that can be.

    That is so if the extra ``fast`` is installed. The first call takes about a second,
    and several where numba has not kept what it compiled.
    """
    try:
        from placement.core.tables import kernels  # noqa: PLC0415 - it may be missing, and takes so long
    except ImportError:
        return False
    kernels.warm_up()
    COMPILED.kernels = kernels
    return True


def use_numpy() -> None:
    """Let many keys be found by numpy again."""
    COMPILED.kernels = finding
