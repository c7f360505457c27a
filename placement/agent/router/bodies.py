"""One unbroken body, however many sources it takes: each goes on where the last ended.

Source of the ranges: RFC 9110, section 14.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import httpx

from placement.agent.registry.asking import count_of
from placement.agent.registry.errors import RegistryUnreachableError
from placement.agent.router.asking import Asker
from placement.agent.router.asks import Answer, Ask, Client, Refusal
from placement.core.oci import Digest
from placement.core.topology import Region

FRUITLESS_MAX: Final = 5
"""So often a body is gone on with and nothing comes, before it is broken off."""
PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0)
"""Between attempts to find whoever goes on; a registry that restarts needs a while."""

_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/(?:[0-9]+|\*)")


class BrokenError(RegistryUnreachableError):
    """No source was left that could go on with a body."""


def span_of(response: httpx.Response) -> tuple[int, int] | None:
    """Return where in the content a body begins, and where it ends, exclusively.

    None: the registry does not say, or sends no bytes of the content.
    """
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        matched = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        return (int(matched[1]), int(matched[2]) + 1) if matched else None
    length = response.headers.get("Content-Length", "")
    if response.status_code != httpx.codes.OK or not length.isdigit():
        return None
    return 0, count_of(length)


async def flowing(
    response: httpx.Response, stall_seconds: float
) -> AsyncGenerator[bytes, None]:
    """Give the bytes of *response*; raises TimeoutError when they stand still."""
    chunks = response.aiter_raw()
    while True:
        async with asyncio.timeout(stall_seconds):
            chunk = await anext(chunks, None)
        if chunk is None:
            return
        yield chunk


async def verified(
    chunks: AsyncGenerator[bytes, None], digest: Digest, judged: Callable[[bool], None]
) -> AsyncGenerator[bytes, None]:
    """Give *chunks*, the last one only if all are those of *digest*.

    Otherwise raises BrokenError. *judged* is told which it was.
    """
    algorithm, _, expected = digest.partition(":")
    hashed = hashlib.new(algorithm)
    held = b""
    async with aclosing(chunks):
        async for chunk in chunks:
            hashed.update(chunk)
            if held:
                yield held
            held = chunk
    right = hashed.hexdigest() == expected
    judged(right)
    if not right:
        message = f"other bytes than those of {digest} came"
        raise BrokenError(message)
    yield held


@dataclass
class Body:
    """The bytes of a content from *start* to *end*, begun by one registry's answer."""

    asker: Asker
    path: str
    client: Callable[[], Client]
    """Whose rights to go on with."""
    sources: Callable[[], Sequence[Region]]
    """Whom to ask to go on, best first."""
    first: Answer
    start: int
    end: int
    used: list[Region] = field(default_factory=list)
    """The regions that bytes came from."""

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Give all of the bytes, or raise BrokenError."""
        at, answer, fruitless = self.start, self.first, 0
        while True:
            self.used.append(answer.region)
            before = at
            cause: Exception | None = None
            # Where nobody else has it, a stream that others starve must be waited for.
            patience_s = self.asker.stall_seconds * 2**fruitless
            try:
                span = span_of(answer.response)
                skipped = at - span[0] if span else 0
                async for raw in flowing(answer.response, patience_s):
                    self.asker.hear(answer.region)
                    chunk = raw[skipped:]
                    skipped = max(0, skipped - len(raw))
                    chunk = chunk[: self.end - at]
                    at += len(chunk)
                    if chunk:
                        yield chunk
            except (httpx.HTTPError, httpx.StreamError, TimeoutError) as error:
                cause = error  # the next source goes on
            finally:
                await answer.response.aclose()
            if at >= self.end:
                return
            fruitless = 0 if at > before else fruitless + 1
            if fruitless == FRUITLESS_MAX:
                raise self._broken(at)
            self.asker.suspect(answer.region, "broke", cause)
            answer = await self._continued(at)

    async def _continued(self, at: int) -> Answer:
        """Return the answer of whoever goes on, after a pause if need be.

        Others first; then those that gave bytes, though they are suspected by now: what
        only they have they may give again.
        """
        headers = {"Range": f"bytes={at}-{self.end - 1}"}
        for pause_s in PAUSES_S:
            given = list(dict.fromkeys(reversed(self.used)))
            others = [one for one in self.sources() if one not in given]
            ask = Ask("GET", self.path, self.client(), headers)
            answer = await self.asker.first([*others, *given], ask, (200, 206))
            if isinstance(answer, Refusal):
                await asyncio.sleep(pause_s)
                continue
            span = span_of(answer.response)
            if span is not None and span[0] <= at:
                return answer
            await answer.response.aclose()
            break
        raise self._broken(at)

    def _broken(self, at: int) -> BrokenError:
        return BrokenError(f"{self.path} broke at byte {at} of {self.end}")
