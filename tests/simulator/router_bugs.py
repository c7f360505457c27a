"""Bugs to plant in the routers of agents; they show in worlds of registries only."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

from placement.agent.registry.errors import RegistryError
from placement.agent.router.asks import Client, Refusal
from placement.agent.router.bodies import Body
from placement.agent.router.flights import Flights
from placement.agent.router.places import Places, Wanted
from placement.agent.router.reports import Reports
from placement.agent.router.spool import Spool
from placement.agent.router.tags import Pointed, Tags
from placement.core.oci import Repository, Tag
from placement.core.topology import Region


@contextmanager
def give_what_came() -> Iterator[None]:
    """Take whatever a far registry sends for what was asked for."""

    async def broken(
        flights: Flights, body: Body, wanted: Wanted, spool: Spool
    ) -> bool:
        del flights, wanted
        try:
            async for chunk in body.chunks():
                spool.write(chunk)
        except RegistryError:
            return False
        finally:
            if spool.written_bytes == spool.size_bytes:
                spool.verified()
            else:
                spool.failed()
        return True

    with patch.object(Flights, "_filled", broken):
        yield


@contextmanager
def answer_a_tag_from_memory() -> Iterator[None]:
    """Resolve each tag once, and then never again."""
    original = Tags.resolve
    known: dict[tuple[Tags, Repository, Tag], Pointed] = {}

    async def broken(
        tags: Tags, client: Client, repository: Repository, tag: Tag
    ) -> Pointed | Refusal:
        found = known.get((tags, repository, tag))
        if found is not None:
            return found
        pointed = await original(tags, client, repository, tag)
        if isinstance(pointed, Pointed):
            known[tags, repository, tag] = pointed
        return pointed

    with patch.object(Tags, "resolve", broken):
        yield


@contextmanager
def ask_nobody_else() -> Iterator[None]:
    """Ask the own registry alone for what is not there."""

    def broken(
        places: Places, wanted: Wanted, hint: Region | None = None
    ) -> list[Region]:
        del wanted, hint
        return [places.region]

    with patch.object(Places, "candidates", broken):
        yield


@contextmanager
def report_a_pull_twice() -> Iterator[None]:
    """Tell of each pull from elsewhere when it begins and when it ends."""
    original = Reports.pulled

    def broken(
        reports: Reports,
        wanted: Wanted,
        source: Region,
        transferred_bytes: int,
        user_agent: str,
    ) -> None:
        for _ in range(2):
            original(reports, wanted, source, transferred_bytes, user_agent)

    with patch.object(Reports, "pulled", broken):
        yield


ROUTER_BUGS: Final = (
    give_what_came,
    answer_a_tag_from_memory,
    ask_nobody_else,
    report_a_pull_twice,
)
