"""Connecting to NATS ends in time, whatever nats-py does with a cancellation."""

import asyncio
import time
from typing import Any

import pytest

from placement.adapters.jetstream import connection
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.ports import LogUnavailableError


class DeafClient:
    """A client that takes its cancellation for a failure to connect."""

    is_connected = False
    is_closed = True

    async def connect(self, **_options: Any) -> None:  # noqa: ANN401 - nats-py's own
        """Fail once told to stop, by another word."""
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            message = "refused"
            raise OSError(message) from None

    async def close(self) -> None:
        """Do nothing."""


async def test_time_to_connect_ends_though_the_client_is_deaf(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else who asks a broker that is gone would wait for ever, now and then."""
    monkeypatch.setattr(connection, "LeanClient", DeafClient)
    settings = JetStreamSettings(("nats://127.0.0.1:9",), connect_timeout_seconds=0.05)
    opened = connection.Connection(settings)
    began_s = time.monotonic()

    with pytest.raises(LogUnavailableError, match="refused"):
        async with asyncio.timeout(5):
            await opened.api("INFO")
    await opened.close()

    assert time.monotonic() - began_s < 4
