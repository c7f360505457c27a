"""What registries say in headers and manifests: odd, huge, and never a crash."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest

from placement.agent.registry.asking import count_of
from placement.agent.registry.client import Registry
from placement.agent.registry.credentials import TOKEN_BYTES_MAX, Own
from placement.agent.registry.errors import RegistryError
from placement.agent.registry.manifests import parse_manifest
from placement.agent.registry.retry_after import WAIT_SECONDS_MAX, retry_after_s
from placement.agent.registry.settings import RegistrySettings
from placement.agent.router.bodies import span_of
from placement.agent.router.router import Router
from placement.agent.router.settings import RouterSettings
from placement.core.event import Event
from placement.core.oci import Repository, Tag
from placement.core.topology import Region
from tests.builders import SYD, TOPOLOGY
from tests.routing import KnownPlacements

WEB = Repository("acme/web")
SETTINGS = RegistrySettings(region=Region("iad"), url="https://registry.test")
DIGITS = "9" * 5_000
"""More than Python makes a number of."""


def registry(answer: Callable[[httpx.Request], httpx.Response]) -> Registry:
    """Return a registry that answers so."""
    transport = httpx.MockTransport(answer)
    return Registry(SETTINGS, httpx.AsyncClient(transport=transport, trust_env=False))


def says(
    body: bytes = b"", status: int = 200, **headers: str
) -> Callable[[httpx.Request], httpx.Response]:
    """Return what answers all the same; names of headers with _ for -."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(_request: httpx.Request) -> httpx.Response:
        stream = httpx.ByteStream(body)
        return httpx.Response(status, headers=told, stream=stream)

    return answer


def test_numbers_of_any_length_are_numbers_or_none() -> None:
    """A header of thousands of digits is no number."""
    partial = {"Content-Range": f"bytes 0-{DIGITS}/*"}

    assert count_of(DIGITS) == 0
    assert count_of("12") == 12
    assert retry_after_s({"Retry-After": DIGITS}) == WAIT_SECONDS_MAX
    assert span_of(httpx.Response(206, headers=partial)) is None


async def test_link_that_is_no_address_ends_no_listing() -> None:
    """The next page then begins after the last name."""
    body = json.dumps({"repositories": ["acme/web"]}).encode()

    page = await registry(says(body, Link='<http://[>; rel="next"')).repositories()

    assert page.next_after == "acme/web"


async def test_list_that_is_nested_without_end_is_none() -> None:
    """It is no list of names, whatever is within."""
    with pytest.raises(RegistryError, match="no list"):
        await registry(says(b"[" * 100_000)).repositories()


async def test_name_that_is_no_text_can_be_gone_on_from() -> None:
    """A lone surrogate has no bytes; the page after it is asked for all the same."""
    page = await registry(says(b'{"tags": []}')).tags(WEB, "\ud800")

    assert page.names == ()


async def test_realm_that_is_no_address_is_refused() -> None:
    """Such a registry gets no credentials, and no answer of a token service is made."""
    settings = RegistrySettings(
        region=Region("iad"),
        url="https://registry.test",
        user="robot",
        password="beep",  # noqa: S106 - a test's own
    )
    http = httpx.AsyncClient(transport=httpx.MockTransport(says()), trust_env=False)

    with pytest.raises(RegistryError):
        await Own(settings, http).learned(['Bearer realm="http://["'], "", None)


@pytest.mark.parametrize(
    "body",
    [
        b'{"token": "' + b"x" * TOKEN_BYTES_MAX + b'"}',
        b"[" * 100_000,
        b'{"token": "a\\nb"}',
        b'{"token": 1}',
        b"\xff",
    ],
    ids=["endless", "deep", "two lines", "no text", "no UTF-8"],
)
async def test_token_of_any_shape_is_one_or_is_refused(body: bytes) -> None:
    """A token service's answer is read up to a limit."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(says(body)), trust_env=False)
    challenge = ['Bearer realm="https://registry.test/token"']

    with pytest.raises(RegistryError):
        await Own(SETTINGS, http).learned(challenge, "", None)


async def test_compressed_manifest_is_refused_unread() -> None:
    """It was not asked for, and a little of it may become any amount."""
    answer = registry(says(b"\x1f\x8b", Content_Encoding="gzip"))

    with pytest.raises(RegistryError, match="gzip"):
        await answer.manifest(WEB, Tag("v1"))


def test_manifest_says_nothing_that_no_event_could_carry() -> None:
    """An image is pulled whatever its manifest says of itself."""
    digest = f"sha256:{'a' * 64}"
    platform = {"os": "\ud800", "architecture": "x" * 300}
    layer = {"mediaType": "a\nb", "digest": digest, "size": 1, "platform": platform}
    document = {"mediaType": "\ud800", "layers": [layer]}

    manifest = parse_manifest(json.dumps(document).encode(), "")

    (reference,) = manifest.references
    assert (manifest.descriptor.media_type, reference.media_type) == ("", "")
    assert reference.platform is None


@pytest.mark.parametrize(
    "location",
    [
        "https://elsewhere.test/v2/acme/web/blobs/uploads/1",
        "//elsewhere.test/v2/acme/web/blobs/uploads/1",
        "https://registry.test@elsewhere.test/uploads/1",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
async def test_upload_goes_to_no_other_host(location: str) -> None:
    """Our credentials and our bytes go to the registry alone."""
    with pytest.raises(RegistryError, match="another host"):
        await registry(says(status=202, Location=location)).begin_upload(WEB)


async def test_upload_of_a_registry_behind_a_proxy_stays_with_tls() -> None:
    """It takes itself for what it listens on; we know better where it is."""
    location = "http://registry.test:5000/v2/acme/web/blobs/uploads/1?_state=x"

    address = await registry(says(status=202, Location=location)).begin_upload(WEB)

    assert address == "https://registry.test/v2/acme/web/blobs/uploads/1?_state=x"


async def test_headers_pass_the_router_byte_by_byte() -> None:
    """A header need not be ASCII, neither a client's nor a registry's."""
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.headers.raw)[b"User-Agent"])
        headers = [(b"ETag", b"\xe8\xa7\xad"), (b"Location", b"http://[")]
        stream = httpx.ByteStream(b"")
        return httpx.Response(201, headers=headers, stream=stream)

    directory = Path("/nonexistent")  # nothing is on its way
    settings = RouterSettings(region=SYD, directory=directory, fills=False)
    router = Router(settings, KnownPlacements(TOPOLOGY), {SYD: registry(answer)}, _told)
    transport = httpx.ASGITransport(router.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        agent = {b"User-Agent": b"\x81"}
        put = await client.put("/v2/a/manifests/v1", headers=agent, content=b"{}")
        tags = await client.get(f"/v2/a/tags/list?n={DIGITS}")

    assert asked[0] == b"\x81"
    assert dict(put.headers.raw)[b"etag"] == b"\xe8\xa7\xad"
    assert (put.status_code, tags.status_code) == (201, 503)


async def _told(_events: Sequence[Event]) -> None:
    """Keep nothing."""
