"""The clients that machines pull with, each beginning with nothing of its own.

Each pull is a process in its region, with a fresh root for what it stores and without a
memory of earlier pulls: what a machine finds that never ran the image.
"""

import asyncio
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.lab.children import Children, LabError
from tests.lab.network import Network, moved_into
from tests.lab.registries import DEPLOYER, MACHINE, Users

PULL_SECONDS_MAX: Final = 180.0
MEMORY: Final = Path("/var/lib/containers/cache/blob-info-cache-v1.boltdb")
"""Where skopeo and podman remember, as root, which registry has which blob; without
root, that is under XDG_DATA_HOME."""
ERROR_SHOWN: Final = 600
OVERHEAD_BYTES: Final = 300_000
"""A pull is local if less than this came from other regions meanwhile: nothing of any
layer but the smallest, and some talk."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull took, and what crossed the ocean into its region meanwhile."""

    seconds: float
    ocean_bytes: int

    @property
    def local(self) -> bool:
        """Whether nothing but talk came from elsewhere."""
        return self.ocean_bytes < OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class Place:
    """From where a client pulls: a registry as the image's name has it, or its mirror.

    skopeo knows no mirrors: it is addressed to the mirror itself.
    """

    registry: str
    mirror: str = ""


def has(client: str) -> bool:
    """Return whether the program is here."""
    return shutil.which("ctr" if client == "containerd" else client) is not None


class PullError(LabError):
    """A client did not get the image; the message has what it printed."""


class Clients:
    """Runs skopeo, podman and containerd inside regions."""

    def __init__(
        self, network: Network, children: Children, folder: Path, users: Users
    ) -> None:
        """Keep where everything goes."""
        self._network = network
        self._children = children
        self._folder = folder
        self._users = users
        self._number = 0

    async def pull(self, client: str, region: str, place: Place, image: str) -> Pulled:
        """Pull *image* (REPOSITORY@DIGEST) in *region*, from nothing.

        Raises PullError when it does not get it.
        """
        self._number += 1
        root = self._folder / f"{client}-{self._number}"
        root.mkdir(parents=True)
        try:
            if client == "containerd":
                return await self._containerd(region, root, place, image)
            MEMORY.unlink(missing_ok=True)
            chosen = self._skopeo if client == "skopeo" else self._podman
            return await self._timed(region, chosen(root, place, image))
        finally:
            shutil.rmtree(root, ignore_errors=True)

    async def push(self, region: str, address: str, layout: Path, image: str) -> None:
        """Push an OCI *layout* as *image* from within *region*."""
        MEMORY.unlink(missing_ok=True)
        auth = self._users.auth_file(self._folder, DEPLOYER, (address,))
        tag = image.rpartition(":")[2]
        command = ["skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false"]
        command += ["--dest-authfile", str(auth), f"oci:{layout}:{tag}"]
        await self._run(region, [*command, f"docker://{address}/{image}"])

    def _skopeo(self, root: Path, place: Place, image: str) -> list[str]:
        address = place.mirror or place.registry
        auth = self._users.auth_file(root, MACHINE, (address,))
        command = ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false"]
        command += ["--src-authfile", str(auth), f"docker://{address}/{image}"]
        return [*command, f"oci:{root}/image"]

    def _podman(self, root: Path, place: Place, image: str) -> list[str]:
        hosts = [host for host in (place.registry, place.mirror) if host]
        auth = self._users.auth_file(root, MACHINE, hosts)
        lines = ["[[registry]]", f'location = "{place.registry}"', "insecure = true"]
        if place.mirror:
            lines += ["[[registry.mirror]]", f'location = "{place.mirror}"']
            lines += ["insecure = true"]
        known = root / "registries.conf"
        known.write_text("\n".join([*lines, ""]), "utf-8")
        command = ["env", f"CONTAINERS_REGISTRIES_CONF={known}"]
        command += ["podman", "--root", f"{root}/root", "--runroot", f"{root}/run"]
        command += ["--cgroup-manager", "cgroupfs", "--events-backend", "none"]
        command += ["--tmpdir", f"{root}/work", "pull", "--quiet", "--tls-verify=false"]
        return [*command, "--authfile", str(auth), f"{place.registry}/{image}"]

    async def _containerd(
        self, region: str, root: Path, place: Place, image: str
    ) -> Pulled:
        """Pull with ctr, by a containerd that was started for it."""
        socket = root / "socket"
        configuration = root / "config.toml"
        configuration.write_text(
            "version = 2\n"
            f'root = "{root}/root"\nstate = "{root}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{socket}"\n[ttrpc]\naddress = "{socket}.ttrpc"\n',
            "utf-8",
        )
        hosts = root / "hosts" / place.registry
        hosts.mkdir(parents=True)
        nearest = place.mirror or place.registry
        (hosts / "hosts.toml").write_text(
            f'server = "http://{place.registry}"\n'
            f'[host."http://{nearest}"]\ncapabilities = ["pull", "resolve"]\n',
            "utf-8",
        )
        daemon = self._children.start(
            f"containerd-{region}-{self._number}",
            [*self._network.inside(region), "containerd", "-c", str(configuration)],
        )
        try:
            await daemon.said("containerd successfully booted")
            user = f"{MACHINE}:{self._users.passwords[MACHINE]}"
            command = ["ctr", "--address", str(socket), "image", "pull"]
            command += ["--hosts-dir", f"{root}/hosts", "--user", user]
            return await self._timed(region, [*command, f"{place.registry}/{image}"])
        finally:
            daemon.stop()

    async def _timed(self, region: str, command: Sequence[str]) -> Pulled:
        before = moved_into(self._network, region)
        began = time.monotonic()
        await self._run(region, command)
        took = time.monotonic() - began
        return Pulled(took, moved_into(self._network, region) - before)

    async def _run(self, region: str, command: Sequence[str]) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._network.inside(region),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PULL_SECONDS_MAX):
                _, said = await process.communicate()
        except TimeoutError:
            message = f"{command[0]} in {region} took over {PULL_SECONDS_MAX} s"
            raise PullError(message) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            shown = said.decode(errors="replace")[-ERROR_SHOWN:]
            message = f"{command[0]} in {region} failed: {shown}"
            raise PullError(message)
