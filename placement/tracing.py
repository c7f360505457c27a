"""Spans of whoever is traced, and where one span's context is told to the next.

A context is a ``traceparent`` of W3C Trace Context, a short text. It travels beside a
fact, in a header or a note, and never in it: what is folded does not depend on it. This
module knows no library. Until ``use`` is given a tracer nothing is traced, and asking
costs next to nothing.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple, Protocol

HEADER: Final = "traceparent"
LINKS_MAX: Final = 16
"""A span that follows from more is linked to so many of them."""
KNOWN_MAX: Final = 4_096
_SHAPE: Final = re.compile(
    r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_SAMPLED: Final = 1

Attributes = Mapping[str, str | int]


class Ids(NamedTuple):
    """Which trace and which span, as log lines name them."""

    trace_id: str
    span_id: str


class Tracer(Protocol):
    """What makes spans, and sends them somewhere."""

    def span(
        self, name: str, parent: str, links: Iterable[str], attributes: Attributes
    ) -> AbstractContextManager[None]:
        """Be in a span within the block: of *parent*, else of the current one."""

    def told(
        self, name: str, parent: str, began_ns: int, attributes: Attributes
    ) -> str:
        """Make a span that ends now, and return its context."""

    def current(self) -> str:
        """Return the context of the span that we are in; empty: of none."""


class _Chosen:
    """The one tracer of the process, if there is one."""

    tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """Trace by *tracer* from now on; None: no more."""
    _Chosen.tracer = tracer


def active() -> bool:
    """Say whether anything is traced."""
    return _Chosen.tracer is not None


def span(
    name: str,
    *,
    parent: str = "",
    links: Iterable[str] = (),
    attributes: Attributes | None = None,
) -> AbstractContextManager[None]:
    """Be in a span within the block.

    It is of *parent*, else of the span that we are in; and linked to *links*.
    """
    tracer = _Chosen.tracer
    if tracer is None:
        return nullcontext()
    return tracer.span(name, parent, links, attributes or {})


def told(name: str, parent: str, began_ns: int, **attributes: str | int) -> str:
    """Make a span of *parent* that began at a time and ends now; return its context."""
    tracer = _Chosen.tracer
    return "" if tracer is None else tracer.told(name, parent, began_ns, attributes)


def current() -> str:
    """Return the context of the span that we are in; empty: of none."""
    tracer = _Chosen.tracer
    return "" if tracer is None else tracer.current()


def headers() -> dict[str, str]:
    """Return the header that tells the span that we are in; none unless sampled."""
    context = current()
    return {HEADER: context} if sampled(context) else {}


def parsed(text: str | None) -> str:
    """Return *text* if it is a context, else an empty one: it comes from anybody."""
    return text if text and len(text) < 64 and _SHAPE.fullmatch(text) else ""  # noqa: PLR2004 - a context has 55


def sampled(context: str) -> bool:
    """Say whether whoever made *context* wants to see what follows from it."""
    return bool(context) and bool(int(context[-2:], 16) & _SAMPLED)


def ids_of(context: str) -> Ids | None:
    """Return what a log line says of *context*."""
    return Ids(context[3:35], context[36:52]) if context else None


class Traces:
    """Contexts of messages that were folded lately, by their sequence; bounded."""

    def __init__(self) -> None:
        """Know of none."""
        self._known: OrderedDict[int, str] = OrderedDict()

    def note(self, sequence: int, context: str) -> None:
        """Remember what a message came with; the oldest is forgotten."""
        self._known[sequence] = context
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def of(self, sequences: Iterable[int]) -> list[str]:
        """Return the contexts of *sequences* as far as they are known, each once."""
        if not self._known:
            return []
        found = (self._known.get(sequence, "") for sequence in sequences)
        return list(dict.fromkeys(context for context in found if context))
