"""How the parts of an agent tell the log what they did and saw."""

from collections.abc import Awaitable, Callable, Sequence

from placement.core.event import Event

Report = Callable[[Sequence[Event]], Awaitable[None]]
"""Takes events durably: they reach the log sooner or later once this returns.

Raises PlacementError when they were not taken: report the same events again.
"""
