"""Our client of a registry's API against a real docker-registry, guarded or not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from placement.agent.registry.client import Registry
from placement.agent.registry.errors import (
    ContentDamagedError,
    NotThereError,
    RegistryError,
    RegistryRefusedError,
    RegistryUnreachableError,
)
from placement.agent.registry.manifests import digest_of
from placement.agent.registry.opening import opened
from placement.agent.registry.settings import RegistrySettings
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region
from tests.docker_registry import DockerRegistry, needs_openssl, needs_registry
from tests.link_proxy import LinkProxy
from tests.registry_images import (
    WEB,
    chunks_of,
    push_blob,
    push_image,
    push_index,
    read_blob,
)
from tests.token_service import TokenService, User, make_certificate

pytestmark = [needs_registry, needs_openssl]

API = Repository("acme/api")
ABSENT = Digest(f"sha256:{'0' * 64}")
HTPASSWD = "robot:$2b$05$abcdefghijklmnopqrstuui5PKfyfQgOg68LtCF/ghk5ZVL95daHi\n"
"""The password is beep; Python has no bcrypt to make one."""


@asynccontextmanager
async def client(
    registry: DockerRegistry,
    **settings: Any,  # noqa: ANN401 - the fields of RegistrySettings
) -> AsyncIterator[Registry]:
    """Give our client of *registry*."""
    async with opened(registry.settings(**settings)) as found:
        yield found


def who(user: str, password: str) -> dict[str, str]:
    """Return a user of the tests, as settings name one."""
    return {"user": user, "password": password}


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[DockerRegistry]:
    """Run a registry that lets anybody in."""
    with DockerRegistry(tmp_path / "registry") as registry:
        yield registry


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[TokenService]:
    """Run a token service that knows a robot, a reader and a stranger."""
    users = {
        "robot": User("beep"),
        "reader": User("read", ("pull",)),
        "other": User("mine", prefixes=("other/",)),
    }
    with TokenService(tmp_path / "tokens", users) as service:
        yield service


@pytest.fixture
def guarded(tmp_path: Path, tokens: TokenService) -> Iterator[DockerRegistry]:
    """Run a registry that wants tokens of that service."""
    sections = {"auth": tokens.registry_section()}
    with DockerRegistry(tmp_path / "registry", sections=sections) as registry:
        yield registry


async def test_image_is_stored_and_read_as_it_was(plain: DockerRegistry) -> None:
    """Manifests keep their bytes, digest, media type and references; so do blobs."""
    async with client(plain) as registry:
        pushed = await push_image(registry, (100_000, 5))

        found = await registry.manifest(WEB, pushed.descriptor.digest)
        described = await registry.find_manifest(WEB, pushed.descriptor.digest)
        layer = pushed.references[1]

        assert found == pushed
        assert described == pushed.descriptor
        assert await registry.find_blob(WEB, layer.digest) == 100_000
        assert len(await read_blob(registry, WEB, layer.digest)) == 100_000


async def test_index_is_read_with_its_platforms(plain: DockerRegistry) -> None:
    """An index refers to manifests, each for a platform."""
    async with client(plain) as registry:
        children = [await push_image(registry, (10,), seed=seed) for seed in (1, 2)]
        pushed = await push_index(registry, children)

        found = await registry.manifest(WEB, pushed.descriptor.digest)

        assert found.is_index
        platforms = [str(one.platform) for one in found.references]
        assert platforms == ["linux/amd64", "linux/arm64"]


async def test_what_is_not_there_is_no_error_to_ask_for(plain: DockerRegistry) -> None:
    """To look is answered with None; to read raises NotThereError."""
    async with client(plain) as registry:
        assert await registry.find_blob(WEB, ABSENT) is None
        assert await registry.find_manifest(WEB, ABSENT) is None
        assert not await registry.delete_manifest(WEB, ABSENT)
        with pytest.raises(NotThereError):
            await registry.manifest(WEB, Tag("v1"))
        with pytest.raises(NotThereError):
            await read_blob(registry, WEB, ABSENT)


async def test_blob_is_read_from_the_middle(plain: DockerRegistry) -> None:
    """A Range gives the rest, and how large the whole is."""
    async with client(plain) as registry:
        blob = await push_blob(registry, WEB, bytes(range(256)) * 10)

        async with registry.open_blob(WEB, blob.digest, 2_500) as rest:
            read = b"".join([chunk async for chunk in rest.chunks])

        assert (rest.start, rest.size_bytes) == (2_500, 2_560)
        assert read == bytes(range(256))[-60:]


async def test_blob_is_mounted_from_another_repository(plain: DockerRegistry) -> None:
    """A mount needs no bytes; one that misses is an upload that can be finished."""
    async with client(plain) as registry:
        blob = await push_blob(registry, WEB, b"shared")
        other = replace(blob, digest=ABSENT)

        mounted = await registry.mount(API, blob.digest, WEB)
        missed = await registry.mount(API, other.digest, WEB)
        await registry.cancel_upload(API, missed)

        assert mounted == ""
        assert missed.startswith(plain.url)
        assert await registry.find_blob(API, blob.digest) == 6


async def test_registry_refuses_bytes_of_another_digest(plain: DockerRegistry) -> None:
    """What does not match its digest is not stored, and is said to be damaged."""
    async with client(plain) as registry:
        blob = await push_blob(registry, WEB, b"right")
        claimed = replace(blob, digest=ABSENT)
        address = await registry.begin_upload(WEB)

        with pytest.raises(ContentDamagedError):
            await registry.finish_upload(WEB, address, claimed, chunks_of(b"wrong"))

        assert await registry.find_blob(WEB, ABSENT) is None


async def test_damaged_manifest_is_recognised(plain: DockerRegistry) -> None:
    """A manifest whose bytes are not those of its digest is not handed on."""
    async with client(plain) as registry:
        pushed = await push_image(registry, (10,))
        path = plain.blob_path(pushed.descriptor.digest)
        path.write_bytes(pushed.body.replace(b"schemaVersion", b"schemaversion"))

        with pytest.raises((ContentDamagedError, RegistryError)):
            await registry.manifest(WEB, pushed.descriptor.digest)


async def test_listing_comes_in_pages(plain: DockerRegistry) -> None:
    """Repositories and tags are listed a page at a time, each name once."""
    async with client(plain) as registry:
        pushed = await push_image(registry, (10,))
        for name in ("v1", "v2", "v3"):
            await registry.put_manifest(WEB, Tag(name), pushed)
        await push_image(registry, (10,), API)

        tags = await registry.tags(WEB, count=2)
        names = await registry.repositories(count=1)
        more = await registry.repositories(names.next_after or "", count=1)

        assert tags.names == ("v1", "v2", "v3"), "2.8.2 pages the catalogue alone"
        assert (*names.names, *more.names) == (API, WEB)


async def test_deleted_manifest_is_gone_with_its_tags(plain: DockerRegistry) -> None:
    """A manifest is removed by digest, and a blob from its repository."""
    async with client(plain) as registry:
        pushed = await push_image(registry, (10,))
        layer = pushed.references[1].digest
        await registry.put_manifest(WEB, Tag("v1"), pushed)

        assert await registry.delete_manifest(WEB, pushed.descriptor.digest)
        assert await registry.delete_blob(WEB, layer)

        assert await registry.find_manifest(WEB, Tag("v1")) is None
        assert await registry.find_blob(WEB, layer) is None


async def test_registry_that_is_gone_is_unreachable(plain: DockerRegistry) -> None:
    """A refused connection and a broken answer are told from a 404."""
    async with client(plain) as registry, LinkProxy(plain.address) as link:
        blob = await push_blob(registry, WEB, bytes(1_000_000))
        behind = replace(plain.settings(), url=link.url)
        async with opened(behind) as far:
            link.cuts = [link.received + 500_000]
            with pytest.raises(RegistryUnreachableError):
                await read_blob(far, WEB, blob.digest)
        plain.kill()

        with pytest.raises(RegistryUnreachableError):
            await registry.reachable()


async def test_basic_authentication_of_many_requests_at_once(tmp_path: Path) -> None:
    """All of the first requests are let in, also those that came together."""
    passwords = tmp_path / "passwords"
    passwords.write_text(HTPASSWD)
    sections = {"auth": {"htpasswd": {"realm": "r", "path": str(passwords)}}}

    with DockerRegistry(tmp_path / "registry", sections=sections) as server:
        async with client(server, **who("robot", "beep")) as registry:
            asked = [registry.find_blob(WEB, ABSENT) for _ in range(8)]
            assert await asyncio.gather(*asked) == [None] * 8
            await push_image(registry, (100_000,))
        async with client(server, **who("robot", "boop")) as registry:
            with pytest.raises(RegistryRefusedError):
                await registry.find_blob(WEB, ABSENT)
        async with client(server) as registry:
            await registry.reachable()
            with pytest.raises(RegistryRefusedError):
                await registry.find_blob(WEB, ABSENT)


async def test_tokens_are_asked_for_once_a_scope(
    guarded: DockerRegistry, tokens: TokenService
) -> None:
    """Many requests at once need one token; a whole push needs as many as scopes."""
    async with client(guarded, **who("robot", "beep")) as registry:
        asked = [registry.find_blob(WEB, ABSENT) for _ in range(8)]
        await asyncio.gather(*asked)
        once = tokens.counts["robot"]
        await push_image(registry, (100_000, 20_000))
        pushed = tokens.counts["robot"]

    assert once == 1
    assert pushed == 2, "to pull, and to pull and push"


async def test_upload_after_a_missed_mount_has_its_token_before(
    guarded: DockerRegistry,
) -> None:
    """A stream cannot be sent twice: its token, not the mount's, comes first."""
    async with client(guarded, **who("robot", "beep")) as registry:
        source = await push_blob(registry, API, b"something else")
        body = b"not there yet" * 1000

    async with client(guarded, **who("robot", "beep")) as registry:
        blob = replace(source, digest=digest_of(body), size_bytes=len(body))
        address = await registry.mount(WEB, blob.digest, API)
        await registry.finish_upload(WEB, address, blob, chunks_of(body))

        assert await registry.find_blob(WEB, blob.digest) == len(body)


async def test_expired_token_is_replaced(
    guarded: DockerRegistry, tokens: TokenService
) -> None:
    """A token that the registry refuses any longer is asked for again, once."""
    tokens.life_seconds = -120
    async with client(guarded, **who("robot", "beep")) as registry:
        with pytest.raises(RegistryRefusedError):
            await registry.find_blob(WEB, ABSENT)
        tokens.life_seconds = 300

        assert await registry.find_blob(WEB, ABSENT) is None


@pytest.mark.parametrize(
    ("user", "password"),
    [("other", "mine"), ("reader", "wrong"), ("", "")],
    ids=["another's repositories", "wrong password", "nobody"],
)
async def test_who_may_not_is_refused(
    guarded: DockerRegistry, user: str, password: str
) -> None:
    """A token service that grants nothing, or gives none, is a refusal."""
    async with client(guarded, **who(user, password)) as registry:
        with pytest.raises(RegistryRefusedError):
            await registry.find_blob(WEB, ABSENT)


async def test_reader_may_read_and_not_write(guarded: DockerRegistry) -> None:
    """What is granted counts, and not what was asked for."""
    async with client(guarded, **who("reader", "read")) as registry:
        assert await registry.find_blob(WEB, ABSENT) is None
        with pytest.raises(RegistryRefusedError):
            await registry.begin_upload(WEB)


async def test_passed_rights_are_not_ours(
    guarded: DockerRegistry, tokens: TokenService
) -> None:
    """With somebody else's rights nothing is asked for in our name."""
    access = [{"type": "repository", "name": WEB, "actions": ["pull"]}]
    async with client(guarded, **who("robot", "beep")) as registry:
        theirs = registry.passing(f"Bearer {tokens.signed('reader', access)}")

        assert await theirs.find_blob(WEB, ABSENT) is None
        with pytest.raises(RegistryRefusedError):
            await theirs.find_blob(API, ABSENT)
        with pytest.raises(RegistryRefusedError):
            await registry.passing(None).find_blob(WEB, ABSENT)
        assert not tokens.counts


async def test_password_goes_to_no_other_host(tokens: TokenService) -> None:
    """A token service on another host is named, or it gets no password."""
    settings = RegistrySettings(
        region=Region("iad"),
        url="http://localhost:1",
        user="robot",
        password="beep",  # noqa: S106 - a test's
    )
    trusting = replace(settings, token_realms=(tokens.realm,))
    challenge = [f'Bearer realm="{tokens.realm}",service="registry"']

    async with opened(settings) as registry:
        with pytest.raises(RegistryRefusedError, match="token_realms"):
            await authority(registry).learned(challenge, "", None)
    async with opened(trusting) as registry:
        assert await authority(registry).learned(challenge, "", None)


async def test_registry_with_tls_of_its_own_authority(tmp_path: Path) -> None:
    """A certificate is verified by the named authorities, and only by those."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make_certificate(key, certificate)
    tls = {"certificate": str(certificate), "key": str(key)}

    with DockerRegistry(
        tmp_path / "registry", sections={"http": {"tls": tls}}
    ) as server:
        async with AsyncExitStack() as stack:
            trusted = client(server, ca_file=certificate)
            known = await stack.enter_async_context(trusted)
            unknown = await stack.enter_async_context(client(server))

            await known.reachable()
            await push_image(known, (100_000,))
            with pytest.raises(RegistryUnreachableError):
                await unknown.reachable()


def authority(registry: Registry) -> Any:  # noqa: ANN401 - what it holds inside
    """Return what answers challenges for *registry*."""
    return registry._exchange._authority  # noqa: SLF001 - no registry names another host here
