"""How the agent's parts say what happened: durably, whoever takes it on from there."""

from collections.abc import Awaitable, Callable, Sequence

from placement.core.event import Event

Report = Callable[[Sequence[Event]], Awaitable[None]]
"""Keeps events so that they are published, whatever ends the process.

They are on disk once it returns. An event of the same id is the same event, however
often it is reported. Raises PlacementError when they could not be kept.
"""
