"""Private images through the router: who may have what, and the clients people use."""

import asyncio
import base64
import json
import shutil
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from placement.core.topology import Region
from tests.builders import FRA, IAD, SYD, WEB
from tests.docker_registry import needs_openssl, needs_registry
from tests.oci_layout import write_image
from tests.routing import SKOPEO, World, copy, until, world_of
from tests.token_service import TokenService, User, make_certificate

PODMAN = shutil.which("podman")
CONTAINERD, CTR = shutil.which("containerd"), shutil.which("ctr")

pytestmark = [
    needs_registry,
    # A connection that was being made when its deadline came is left to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    needs_openssl,
    pytest.mark.skipif(SKOPEO is None, reason="skopeo is not installed"),
]
USERS = {
    "alice": User("wonder"),
    "reader": User("secret", ("pull",), ("acme/",)),
    "stranger": User("secret", ("pull",), ("other/",)),
}


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[TokenService]:
    """The one token service of all registries."""
    with TokenService(tmp_path / "tokens", USERS) as service:
        yield service


@pytest.fixture
async def world(tmp_path: Path, tokens: TokenService) -> AsyncIterator[World]:
    """Three regions that want tokens; an image is in fra."""
    own = {"user": "alice", "password": "wonder", "token_realms": (tokens.realm,)}
    async with world_of(tmp_path, tokens.registry_section(), own) as found:
        write_image(tmp_path / "app", "v1", (3_000_000, 20_000), seed=1)
        await found.push(FRA, tmp_path / "app")
        yield found


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is left at the end of the test."""
    with ExitStack() as found:
        yield found


async def token(tokens: TokenService, user: str, *repositories: str) -> dict[str, str]:
    """Return the header with a user's token for reading *repositories*."""
    scope = " ".join(f"repository:{name}:pull" for name in repositories)
    auth = httpx.BasicAuth(user, USERS[user].password)
    async with httpx.AsyncClient(auth=auth) as client:
        answer = await client.get(tokens.realm, params={"scope": scope})
    return {"Authorization": f"Bearer {answer.json()['token']}"}


async def test_unknown_and_forbidden_look_the_same(
    world: World, tokens: TokenService
) -> None:
    """By status, headers and bytes; with a token for neither, and with none."""
    digest = world.known.tags[WEB, "v1"][0]
    paths = ("manifests/v1", f"manifests/{digest}", f"blobs/{digest}", "tags/list")
    headers = await token(tokens, "stranger", WEB, "acme/not")
    async with world.router() as (_, address), httpx.AsyncClient() as client:
        for path in paths:
            for sent in ({}, headers):
                forbidden, unknown = [
                    await client.get(f"http://{address}/v2/{name}/{path}", headers=sent)
                    for name in (WEB, "acme/not")
                ]
                assert forbidden.status_code == unknown.status_code == 401
                assert forbidden.content == unknown.content
                asked = str(forbidden.headers["WWW-Authenticate"])
                assert asked.startswith(f'Bearer realm="{tokens.realm}"')
                same = unknown.headers["WWW-Authenticate"].replace("acme/not", WEB)
                assert asked == same
                assert forbidden.headers.keys() == unknown.headers.keys()


async def test_nobody_joins_a_fetch_without_rights_of_their_own(
    world: World, tokens: TokenService
) -> None:
    """While a reader's fetch is on its way, a stranger is refused all the same."""
    held = [d for _, d in world.known.held]
    layer = max(held, key=lambda d: world.servers[FRA].blob_path(d).stat().st_size)
    url = f"/v2/{WEB}/blobs/{layer}"
    world.links[FRA].delay_s = 0.05
    reader = await token(tokens, "reader", WEB)
    stranger = await token(tokens, "stranger", WEB)
    async with world.router() as (router, address), httpx.AsyncClient() as client:
        first = asyncio.create_task(
            client.get(f"http://{address}{url}", headers=reader)
        )
        await until(lambda: world.links[FRA].received_bytes > 500_000)

        refused = await client.get(f"http://{address}{url}", headers=stranger)
        joined = await client.get(f"http://{address}{url}", headers=reader)

        assert refused.status_code == 401
        assert joined.content == (await first).content
        assert router.counts["joined"] == 1
    assert world.links[FRA].gets("/blobs/") == {url: 1}


async def test_our_own_credentials_are_never_a_clients(
    world: World, tokens: TokenService
) -> None:
    """The agent may push; a reader through its router may not."""
    headers = await token(tokens, "reader", WEB)
    async with world.router() as (_, address), httpx.AsyncClient() as client:
        await client.get(f"http://{address}/v2/{WEB}/manifests/v1", headers=headers)
        pushed = await client.put(
            f"http://{address}/v2/{WEB}/manifests/v2", content=b"{}", headers=headers
        )
        begun = await client.post(f"http://{address}/v2/{WEB}/blobs/uploads/")

    assert (pushed.status_code, begun.status_code) == (401, 401)


async def test_skopeo_pulls_a_private_image(world: World, tmp_path: Path) -> None:
    """With its own user, and then again from the region's own registry."""
    login = ("--src-creds", "reader:secret")
    async with world.router() as (router, address):
        await copy(f"docker://{address}/{WEB}:v1", f"oci:{tmp_path}/one:v1", *login)
        await until(lambda: router.counts["image_filled"] == 1)
        crossed = world.links[FRA].gets("/blobs/")
        await copy(f"docker://{address}/{WEB}:v1", f"oci:{tmp_path}/two:v1", *login)

    assert world.links[FRA].gets("/blobs/") == crossed


@pytest.mark.skipif(PODMAN is None, reason="podman is not installed")
async def test_podman_pulls_a_private_image_through_its_mirror(
    world: World, tmp_path: Path, stack: ExitStack
) -> None:
    """The image's name is another registry's; nobody answers there."""
    login = base64.b64encode(b"reader:secret").decode()
    short = stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
    async with world.router() as (router, address):
        auth = {"auths": {address: {"auth": login}}}
        (tmp_path / "auth.json").write_text(json.dumps(auth))
        (tmp_path / "registries.conf").write_text(
            '[[registry]]\nlocation = "images.test"\n'
            f'[[registry.mirror]]\nlocation = "{address}"\ninsecure = true\n'
        )
        await run(
            *(str(PODMAN), "--root", f"{tmp_path}/podman", "--storage-driver", "vfs"),
            *("--runroot", f"{short}/run", "--cgroup-manager", "cgroupfs"),
            *(
                "--events-backend",
                "none",
                "pull",
                "--authfile",
                f"{tmp_path}/auth.json",
            ),
            f"images.test/{WEB}:v1",
            CONTAINERS_REGISTRIES_CONF=f"{tmp_path}/registries.conf",
        )

    assert router.counts["streamed"] == 4


@pytest.mark.skipif(CTR is None, reason="containerd is not installed")
@pytest.mark.parametrize("region", [SYD, FRA])
async def test_containerd_pulls_a_private_image_through_its_mirror(
    world: World, tmp_path: Path, region: Region
) -> None:
    """Streamed from elsewhere; redirected, and logged in anew, where it is at hand."""
    hosts = tmp_path / "hosts" / "images.test"
    hosts.mkdir(parents=True)
    async with world.router(region) as (router, address):
        (hosts / "hosts.toml").write_text(
            'server = "http://127.0.0.1:1"\n'
            f'[host."http://{address}"]\ncapabilities = ["pull", "resolve", "push"]\n'
        )
        with containerd(tmp_path) as socket:
            await run(
                *(str(CTR), "--address", socket, "content", "fetch", "--user"),
                *("reader:secret", "--hosts-dir", f"{tmp_path}/hosts"),
                f"images.test/{WEB}:v1",
            )

            if region == SYD:
                pushed = f"images.test/{WEB}:pushed"
                await run(
                    *(str(CTR), "--address", socket, "images", "push", "--user"),
                    *("alice:wonder", "--hosts-dir", f"{tmp_path}/hosts"),
                    *(pushed, f"images.test/{WEB}:v1"),
                )
                tags = world.servers[SYD].directory.glob("store/**/tags/pushed")
                assert len(list(tags)) == 1

    assert bool(router.counts["redirected"]) == (region == FRA)
    assert router.counts["streamed"] + router.counts["local"] >= 3


async def test_redirect_leads_only_to_a_registry_that_has_it(
    world: World, tokens: TokenService
) -> None:
    """A region that is believed to have it, and has not, is asked and passed over."""
    held = [d for _, d in world.known.held]
    layer = max(held, key=lambda d: world.servers[FRA].blob_path(d).stat().st_size)
    world.known.held[WEB, layer] = [IAD, FRA]
    headers = await token(tokens, "reader", WEB)
    headers["User-Agent"] = "containerd/1.6.20"
    async with (
        world.router(fills=False) as (router, address),
        httpx.AsyncClient() as client,
    ):
        url = f"http://{address}/v2/{WEB}/blobs/{layer}"
        redirect = await client.get(url, headers=headers)
        streamed = await client.get(url, headers={**headers, "User-Agent": "x"})

    assert redirect.status_code == 307
    target = f"{world.servers[FRA].url}/v2/{WEB}/blobs/{layer}"
    assert redirect.headers["Location"] == target
    assert streamed.status_code == 200
    assert router.counts["redirected"] == 1


async def test_ranges_and_conditions_are_passed_on(
    world: World, tokens: TokenService
) -> None:
    """Part of a blob is a part, and what the client has is not sent again."""
    manifest, _ = world.known.tags[WEB, "v1"]
    held = [d for _, d in world.known.held if d != manifest]
    headers = await token(tokens, "reader", WEB)
    async with world.router() as (_, address):
        base = f"http://{address}/v2/{WEB}"
        async with httpx.AsyncClient(headers=headers) as client:
            part = await client.get(
                f"{base}/blobs/{held[0]}", headers={"Range": "bytes=10-19"}
            )
            same = await client.get(
                f"{base}/manifests/{manifest}",
                headers={"If-None-Match": f'"{manifest}"'},
            )
            beyond = await client.get(
                f"{base}/blobs/{held[0]}", headers={"Range": "bytes=99999999-"}
            )

    assert (part.status_code, len(part.content)) == (206, 10)
    assert part.headers["Content-Range"].startswith("bytes 10-19/")
    assert (same.status_code, same.content) == (304, b"")
    assert beyond.status_code == 416


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_condition_on_a_tag_is_of_what_it_points_to(
    world: World, tokens: TokenService, method: str
) -> None:
    """Who has it is told so, and who has another version gets the new one."""
    manifest, _ = world.known.tags[WEB, "v1"]
    headers = await token(tokens, "reader", WEB)
    answers = []
    async with world.router() as (_, address), httpx.AsyncClient() as client:
        for held in (manifest, f"sha256:{'0' * 64}"):
            condition = {"If-None-Match": f'"{held}"'}
            url = f"http://{address}/v2/{WEB}/manifests/v1"
            answers.append(
                await client.request(method, url, headers=headers | condition)
            )

    same, new = answers
    assert (same.status_code, same.content) == (304, b"")
    assert new.status_code == 200
    assert new.headers["Docker-Content-Digest"] == manifest


async def test_router_speaks_tls(world: World, tokens: TokenService) -> None:
    """With a certificate it is https, and upload addresses say so."""
    key, certificate = world.directory / "key.pem", world.directory / "cert.pem"
    make_certificate(key, certificate)
    trusted = ssl.create_default_context(cafile=str(certificate))
    async with (
        world.router(cert_file=certificate, key_file=key) as (_, address),
        httpx.AsyncClient(verify=trusted) as client,
    ):
        health = await client.get(f"https://{address}/healthz")
        version = await client.get(f"https://{address}/v2/")

    assert health.json()["status"] == "SERVING"
    assert version.status_code == 401
    assert tokens.realm in version.headers["WWW-Authenticate"]


async def run(*command: str, **environment: str) -> None:
    """Run a client to its end."""
    done = await asyncio.to_thread(
        subprocess.run,
        ["env", *(f"{name}={value}" for name, value in environment.items()), *command],
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()


@contextmanager
def containerd(directory: Path) -> Iterator[str]:
    """Run a containerd of our own; give its socket."""
    socket = f"{directory}/c.sock"
    config = {"root": f"{directory}/root", "state": f"{directory}/state"}
    text = "version = 2\n" + "".join(f'{k} = "{v}"\n' for k, v in config.items())
    text += 'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
    text += f'[grpc]\naddress = "{socket}"\n'
    (directory / "containerd.toml").write_text(text)
    command = [str(CONTAINERD), "--config", f"{directory}/containerd.toml"]
    process: subprocess.Popen[Any] = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait = 'until [ -S "$0" ]; do sleep 0.05; done'
        subprocess.run(["sh", "-c", wait, socket], check=True, timeout=20)
        yield socket
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
