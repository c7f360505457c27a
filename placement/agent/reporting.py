"""How every part of an agent tells the log what it saw or did."""

from collections.abc import Awaitable, Callable, Sequence

from placement.core.event import Event

Report = Callable[[Sequence[Event]], Awaitable[None]]
"""Takes events; they are durable (spooled) once it returns. Raises PlacementError when
they are not; the same events may then be given again, and are the same."""
