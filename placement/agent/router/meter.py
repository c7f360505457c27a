"""What a router gave its clients: how soon, and how much of it from where."""

from time import perf_counter_ns
from typing import Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from placement.agent.serving import Serving
from placement.timings import Timings

FIRST_BYTE_SECONDS: Final = (0.005, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0)


class Meter:
    """Counts the answers to reads and pushes."""

    def __init__(self, serving: Serving) -> None:
        """Begin with none; whoever is sent one is counted in *serving*."""
        self.serving = serving
        self.first_byte = Timings(FIRST_BYTE_SECONDS)
        """From a request to the first byte of its answer."""
        self.sent_bytes = 0
        self.answers: dict[int, int] = dict.fromkeys(range(1, 6), 0)
        """By the first digit of their status."""

    def measured(self, response: Response, began_ns: int) -> "Measured":
        """Return *response* as one that is counted while it is sent."""
        return Measured(self, response, began_ns)

    def began(self, status: int, began_ns: int) -> None:
        """Count an answer that is sent from now on."""
        self.first_byte.add(perf_counter_ns() - began_ns)
        self.answers[status // 100] += 1


class Measured(Response):
    """A response that another one sends."""

    def __init__(self, meter: Meter, response: Response, began_ns: int) -> None:
        """Count in *meter*."""
        self._meter = meter
        self._response = response
        self._began_ns = began_ns
        self.status_code = response.status_code
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        meter = self._meter

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                meter.began(message["status"], self._began_ns)
            else:
                meter.sent_bytes += len(message.get("body", b""))
            await send(message)

        with meter.serving.one():
            await self._response(scope, receive, counted)
