"""Channels to the services that may be asked: one after another, and opened anew.

gRPC's own channel has one target, and certificates that never change. Stubs are made of
``Channels`` as of one channel; each call goes to the target that is preferred by then.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc

from placement.client.errors import unreadable_error
from placement.client.tls import ClientTls, Stamp, credentials, stamp, usable
from placement.core.errors import InputError

RESPONSE_BYTES_MAX: Final = 16 * 1024 * 1024
"""The largest is BatchRankSources of 1,024 digests with 32 sources each."""
CONNECT_AGAIN_MS: Final = 100
CONNECT_AGAIN_MS_MAX: Final = 1_000
CONNECT_MS_MAX: Final = 5_000
"""For a handshake; across an ocean one takes four round trips, most of a second."""
KEEPALIVE_MS: Final = 20_000
"""A connection without a word for so long is asked whether it is still there."""
KEEPALIVE_TIMEOUT_MS: Final = 10_000
TARGETS_MAX: Final = 16
LOOK_AGAIN_S: Final = 1.0
"""Certificates are looked at so often at the most, when a call is made."""
OLD_CHANNEL_S: Final = 30.0
"""So long calls over an old certificate may go on; a watch then begins again."""

OPTIONS: Final = (
    ("grpc.max_receive_message_length", RESPONSE_BYTES_MAX),
    ("grpc.initial_reconnect_backoff_ms", CONNECT_AGAIN_MS),
    ("grpc.min_reconnect_backoff_ms", CONNECT_MS_MAX),
    ("grpc.max_reconnect_backoff_ms", CONNECT_AGAIN_MS_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),  # of gRPC's other pings, too
)


def open_channel(target: str, tls: ClientTls | None) -> grpc.aio.Channel:
    """Return a channel to *target*; raises InputError for files that cannot be read."""
    if tls is None:
        return grpc.aio.insecure_channel(target, OPTIONS)
    return grpc.aio.secure_channel(target, credentials(tls), OPTIONS)


class Channels:
    """A channel to each target, opened when it is needed.

    Made and used in one event loop. Calls go to the first target until it fails them,
    then to the next one, and so on in a circle.
    """

    def __init__(self, target: str | Sequence[str], tls: ClientTls | None) -> None:
        """Ask at *target*, HOST:PORT, or several in the order of preference.

        Raises InputError for none, or more than TARGETS_MAX.
        """
        self.targets = (target,) if isinstance(target, str) else tuple(target)
        if not 0 < len(self.targets) <= TARGETS_MAX or not all(self.targets):
            remedy = f"give 1 to {TARGETS_MAX} addresses, HOST:PORT"
            raise InputError("target", ",".join(self.targets), remedy)
        self._tls = tls
        self._place = 0
        self._open: dict[int, grpc.aio.Channel] = {}
        self._stamp: Stamp | None = None
        self._look_s = float("-inf")
        self._closing: dict[asyncio.Task[None], grpc.aio.Channel] = {}
        self._closed = False

    @property
    def place(self) -> int:
        """The position of the target that is asked now."""
        return self._place

    def avoid(self, place: int) -> None:
        """Ask the next target from now on, unless that is so already."""
        if place == self._place:
            self._place = (place + 1) % len(self.targets)

    def chosen(self) -> grpc.aio.Channel:
        """Return the channel for the next call.

        Raises InputError for files that cannot be read when it is opened, and
        RuntimeError when all is closed.
        """
        if self._closed:
            message = (
                "this client is closed: make another one, and ask inside its block"
            )
            raise RuntimeError(message)
        if self._tls is not None:
            self._look(self._tls)
        channel = self._open.get(self._place)
        if channel is None:
            channel = open_channel(self.targets[self._place], self._tls)
            self._open[self._place] = channel
        return channel

    def _look(self, tls: ClientTls) -> None:
        """Open channels anew where the certificates are others, and can be used."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._look_s < LOOK_AGAIN_S:
            return
        self._look_s, found = now_s, stamp(tls)
        if found is None or found == self._stamp:
            return
        if self._open and not usable(tls):
            return
        self._stamp = found
        for old in self._open.values():
            task = asyncio.create_task(old.close(OLD_CHANNEL_S))
            self._closing[task] = old
            task.add_done_callback(self._closing.pop)
        self._open.clear()

    async def close(self) -> None:
        """Cancel what is under way, and close every channel."""
        self._closed = True
        channels = [*self._closing.values(), *self._open.values()]
        tasks = [*self._closing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for channel in channels:
            await channel.close()
        self._open.clear()

    def unary_unary(self, *said: Any, **more: Any) -> "Method":  # noqa: ANN401 - as gRPC's
        """Return a method with one request and one response."""
        return Method(self, lambda channel: channel.unary_unary(*said, **more))

    def unary_stream(self, *said: Any, **more: Any) -> "Method":  # noqa: ANN401 - as gRPC's
        """Return a method with one request and a stream of responses."""
        return Method(self, lambda channel: channel.unary_stream(*said, **more))

    def stream_stream(self, *said: Any, **more: Any) -> "Method":  # noqa: ANN401 - as gRPC's
        """Return a method with streams of requests and responses."""
        return Method(self, lambda channel: channel.stream_stream(*said, **more))


class Method:
    """A method of a service, called at the target that is preferred by then."""

    def __init__(
        self, channels: Channels, make: Callable[[grpc.aio.Channel], Any]
    ) -> None:
        """Call by *channels* what *make* makes of one of them."""
        self.channels = channels
        self._make = make
        self._made: tuple[grpc.aio.Channel, Any] | None = None

    def __call__(self, *said: Any, **more: Any) -> Any:  # noqa: ANN401 - as gRPC's
        """Begin a call.

        Raises PlacementCallError, UNAVAILABLE, for files that cannot be read now, and
        RuntimeError when all is closed.
        """
        place = self.channels.place
        try:
            channel = self.channels.chosen()
        except InputError as error:  # they may be about to be renewed
            self.channels.avoid(place)
            raise unreadable_error(error) from None
        if self._made is None or self._made[0] is not channel:
            self._made = channel, self._make(channel)
        return self._made[1](*said, **more)
