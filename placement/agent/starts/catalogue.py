"""Every scheduler that posts to the agent, by its name: for ``/v1/starts/{name}``.

Kubernetes and Nomad are not here: they are read (``kubernetes_reader``,
``nomad_reader``).
"""

from collections.abc import Awaitable, Callable, Mapping

from placement.agent.feeds.cloud_events import decoded
from placement.agent.feeds.translation import Malformed, Translation
from placement.agent.starts import fly, machines
from placement.agent.starts.images import Image
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.sightings import Find, found_digests, settled
from placement.core.errors import InputError
from placement.core.oci import Digest, Repository, Tag

Check = Callable[[bytes], tuple[Malformed, ...]]
"""What of a body cannot be understood; pure, and raises nothing."""

Starts = Callable[[bytes, Mapping[str, str]], Awaitable[Translation]]
"""What a body and its headers mean; may ask for the digests of tags. Raises nothing."""


def starts(
    settings: StartSettings, find: Find, fly_images: Mapping[str, Image] | None = None
) -> dict[str, Starts]:
    """Return what each kind of body means; *find* is asked for the digests of tags.

    *fly_images*, by machine, may grow meanwhile (``fly.images_in``).
    """

    async def from_machines(body: bytes, _headers: Mapping[str, str]) -> Translation:
        return await _from_machines(body, settings, find)

    async def from_fly(body: bytes, _headers: Mapping[str, str]) -> Translation:
        lines = body.decode("utf-8", "replace").splitlines()
        found = fly.translate(lines, settings, fly_images or {})
        return await settled(found, find, settings)

    return {"machines": from_machines, "fly": from_fly}


def checks(settings: StartSettings) -> dict[str, Check]:
    """Return what is looked at before a body is taken, by the kind of the body.

    Of those whose senders can mend what they said: a registry or a log shipper cannot.
    """

    def machines_in(body: bytes) -> tuple[Malformed, ...]:
        try:
            document = decoded(body)
        except InputError as error:
            return (Malformed.of(None, error),)
        return machines.translate(document, settings, lambda *_: None).malformed

    return {"machines": machines_in}


async def _from_machines(
    body: bytes, settings: StartSettings, find: Find
) -> Translation:
    """Return what a body of plain JSON means, in two passes: counts name tags too."""
    wanted: dict[tuple[Repository, Tag], Digest | None] = {}

    def noting(repository: Repository, tag: Tag) -> Digest | None:
        return wanted.setdefault((repository, tag), None)

    try:
        document = decoded(body)
    except InputError as error:
        return Translation(malformed=(Malformed.of(None, error),))
    found = machines.translate(document, settings, noting)
    if wanted:
        known = await found_digests(wanted, find)
        found = machines.translate(document, settings, lambda *key: known.get(key))
    return await settled(found, find, settings)
