"""What each role may publish and hear: lists of what is allowed, all else is not.

Permissions of NATS are by subject, and JetStream's requests have subjects. A request
without a name in its subject says in its body what it is about, which no permission
sees: who must not have everything is given requests that name it in their subject.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from placement.core.topology import CatalogueRegion, Region
from placement.nats_authority.names import (
    DECISIONS,
    EVENTS,
    FINGERPRINTS,
    Role,
    agent_inbox,
    role_inbox,
    work_queue_name,
    work_queue_subjects,
)

ALL: Final = ">"
_API: Final = "$JS.API"


@dataclass(frozen=True, slots=True)
class Rights:
    """Patterns of subjects; what is denied is so although it is allowed.

    Who may subscribe to none is denied all: to the server, no list means everything.
    """

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    publish_denied: tuple[str, ...] = ()


def agent_rights(
    region: CatalogueRegion, stream: str, *, hears: Iterable[str] = ()
) -> Rights:
    """Return what the agents of *region* may do.

    They publish their own region's events, and may see the last of these, by which they
    learn whether the log still holds what it acknowledged: a request that is made on a
    subject which ends with theirs, and whose body says nothing. Where content is stored
    they also take, and settle, the work of their own region: a consumer whose name and
    filter are both in the subject of the request that makes it. They make no stream.
    *hears* are subjects besides, such as those of a registry that publishes to NATS.
    """
    code = region.code
    own = f"{EVENTS}.{code}.>"
    publish = [
        own,
        f"{_API}.STREAM.INFO.{stream}",
        f"{_API}.DIRECT.GET.{stream}.{own}",
    ]
    if region.stores:
        queue, subjects = work_queue_name(code), work_queue_subjects(code)
        publish += [
            f"{_API}.CONSUMER.CREATE.{stream}.{queue}.{subjects}",
            f"{_API}.CONSUMER.INFO.{stream}.{queue}",
            f"{_API}.CONSUMER.MSG.NEXT.{stream}.{queue}",
            *_acks(stream, queue),
        ]
    return Rights(tuple(publish), (f"{agent_inbox(code)}.>", *hears))


def also_in_domain(rights: Rights, domain: str) -> Rights:
    """Return *rights* with JetStream's requests allowed by the domain's name, too.

    So a leaf node spells them that maps them to the *domain* where the log is.
    """
    own, named = f"{_API}.", f"$JS.{domain}.API."
    allowed, denied = (
        (*each, *(one.replace(own, named, 1) for one in each if one.startswith(own)))
        for each in (rights.publish, rights.publish_denied)
    )
    return Rights(allowed, rights.subscribe, denied)


def feed_rights(subject: str) -> Rights:
    """Return what a registry may do that publishes to *subject*, and hears nothing."""
    return Rights((subject,), ())


def service_rights(stream: str) -> Rights:
    """Return what a service may do: append anything, read all, and make the stream.

    And compare its state with other services'.
    """
    compared = f"{FINGERPRINTS}.{stream}"
    return Rights(
        (
            f"{EVENTS}.>",
            f"{DECISIONS}.>",
            compared,
            f"{_API}.STREAM.CREATE.{stream}",
            *_reading(stream),
        ),
        (f"{role_inbox(Role.SERVICE)}.>", compared),
    )


def analyst_rights(stream: str, storing: Iterable[Region]) -> Rights:
    """Return what an analyst may do: read, and take nobody's work.

    That is by a durable consumer of its own name, by passing ones, or directly, and not
    from the work queues of the *storing* regions.
    """
    own = str(Role.ANALYST)
    queues = [work_queue_name(region) for region in storing]
    return Rights(
        (
            *_reading(stream),
            f"{_API}.DIRECT.GET.{stream}",
            f"{_API}.DIRECT.GET.{stream}.>",
            f"{_API}.CONSUMER.CREATE.{stream}.{own}",
            f"{_API}.CONSUMER.CREATE.{stream}.{own}.>",
            f"{_API}.CONSUMER.DURABLE.CREATE.{stream}.{own}",
            *_acks(stream, own),
        ),
        (f"{role_inbox(Role.ANALYST)}.>",),
        tuple(
            f"{_API}.CONSUMER.{request}.{stream}.{queue}"
            for request in ("DELETE", "MSG.NEXT")
            for queue in queues
        ),
    )


def operator_rights() -> Rights:
    """Return what an operator may do: everything, such as to purge and to delete."""
    return Rights((ALL,), (ALL,))


def _reading(stream: str) -> Iterable[str]:
    """Yield what it takes to read, by consumers that the server forgets by itself."""
    yield f"{_API}.STREAM.INFO.{stream}"
    yield f"{_API}.STREAM.MSG.GET.{stream}"
    yield f"{_API}.CONSUMER.CREATE.{stream}"
    for request in ("INFO", "DELETE", "MSG.NEXT"):
        yield f"{_API}.CONSUMER.{request}.{stream}.*"


def _acks(stream: str, consumer: str) -> Iterable[str]:
    """Yield both forms of what settles messages: servers will come to the second.

    That one names a domain and an account first. Neither form fits another consumer's.
    """
    yield f"$JS.ACK.{stream}.{consumer}.>"
    yield f"$JS.ACK.*.*.{stream}.{consumer}.>"
