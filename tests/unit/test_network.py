"""What an answer knows of the network: shares of what may leave a region."""

from dataclasses import replace

from placement.core.event import (
    DurationNs,
    Identifier,
    ReplicationCompleted,
    ReplicationPlanned,
    ReplicationStarted,
    ReplicationSubject,
)
from placement.core.network import Network
from placement.core.oci import Repository
from placement.core.topology import Topology
from tests.builders import AMS, IAD, START_NS, SYD, TOPOLOGY, digest, event, folded

SUBJECT = ReplicationSubject(
    Identifier("r-1"), Repository("acme/web"), digest("a"), SYD
)


def limited(bytes_per_second: float) -> Topology:
    """Return the usual catalogue, with a limit on what leaves Ashburn."""
    home = replace(TOPOLOGY.regions[IAD], egress_bytes_per_second=bytes_per_second)
    return Topology({**TOPOLOGY.regions, IAD: home}, IAD)


def test_copies_under_way_share_what_may_leave_a_region() -> None:
    """With one copy leaving, the next one gets half; once it is there, all."""
    planned = event(AMS, ReplicationPlanned(SUBJECT, IAD, 1_000, trigger_sequence=1))
    started = event(SYD, ReplicationStarted(SUBJECT, IAD, attempt=1))
    ended = event(SYD, ReplicationCompleted(SUBJECT, 1_000, DurationNs(1), attempt=1))
    limit = 1e6

    shares = [
        1 / Network(state, limited(limit), START_NS).route(IAD, SYD).seconds_per_byte
        for state in (
            folded(planned),
            folded(planned, started),
            folded(planned, started, ended),
        )
    ]

    assert [round(share) for share in shares] == [1_000_000, 500_000, 1_000_000]


def test_limit_is_no_news_where_the_route_is_slower() -> None:
    """A region that may send a lot is as fast as its routes are."""
    free = Network(folded(), TOPOLOGY, START_NS).route(IAD, SYD)

    assert Network(folded(), limited(1e12), START_NS).route(IAD, SYD) == free
