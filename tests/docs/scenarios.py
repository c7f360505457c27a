"""Which pages' commands are run, and what must be there before each is read.

A scenario prepares a terminal: programs that the reader has already, and the rules by
which names of the page become names of this run.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from tests.docs.terminal import Terminal
from tests.documented import ROOT, Block, blocks
from tests.oci_layout import write_image
from tests.ports import free_port

ADDRESS: Final = re.compile(r"127\.0\.0\.1:(\d{4,5})\b")
SMALL: Final = (300_000, 20_000)
LARGE: Final = (30_000_000, 2_000_000)
"""Bytes of layers; those of a large image are worth a copy."""
REGISTRY_FILE: Final = """\
version: 0.1
storage:
  filesystem: {{ rootdirectory: {0} }}
  delete: {{ enabled: true }}
http:
  addr: {1}
"""

Prepare = Callable[[Terminal], None]


def read(terminal: Terminal, page: str) -> None:
    """Do all that *page* says, from its top to its end."""
    found = blocks(ROOT / page)
    with_own_ports(terminal, found)
    SCENARIOS[page](terminal)
    for block in found:
        if block.file:
            terminal.write(block)
        elif block.language == "console" and not (block.reason or block.tested_by):
            terminal.run(block)


def with_own_ports(terminal: Terminal, found: list[Block]) -> None:
    """Let each loopback port of the page be another one, the same each time."""
    for block in found:
        for each in ADDRESS.finditer(block.text):
            if each[0] not in terminal.rules:
                terminal.rules[each[0]] = f"127.0.0.1:{free_port()}"


def image(
    terminal: Terminal, tag: str, seed: int, layers: tuple[int, ...] = SMALL
) -> None:
    """Make an image that the reader has: an OCI layout `web` with *tag*."""
    folder = terminal.directory / f"web-{tag}"
    write_image(folder, tag, layers, seed=seed, level=0)
    terminal.rules[f"oci:web:{tag}"] = f"oci:web-{tag}:{tag}"


def own_registry(terminal: Terminal) -> None:
    """Run the registry that the reader has at port 5000, with one image in it."""
    unnamed = f"127.0.0.1:{free_port()}"
    address = terminal.rules.setdefault("127.0.0.1:5000", unnamed)
    store = terminal.directory / "registry"
    terminal.rules["/tmp/registry"] = str(store)  # noqa: S108 - the README's
    file = terminal.directory / "own.yml"
    file.write_text(REGISTRY_FILE.format(store, address))
    terminal.serve("docker-registry serve own.yml")
    image(terminal, "v1", seed=1)
    push = "skopeo --insecure-policy copy --dest-tls-verify=false"
    terminal.typed(f"{push} oci:web-v1:v1 docker://{address}/acme/web:v1")


def readme(terminal: Terminal) -> None:
    """A registry without notifications; the programs are those of this checkout."""
    own_registry(terminal)
    image(terminal, "v2", seed=2)
    terminal.rules["./tools/"] = f"{ROOT}/tools/"
    terminal.rules[".venv/bin/placement"] = f"{ROOT}/.venv/bin/placement"
    terminal.rules["skopeo copy"] = "skopeo --insecure-policy copy"


def tutorial(terminal: Terminal) -> None:
    """Two versions of an image, and nothing else."""
    image(terminal, "v1", seed=1, layers=LARGE)
    image(terminal, "v2", seed=2, layers=LARGE)
    terminal.rules["skopeo "] = "skopeo --insecure-policy "


def inventory(terminal: Terminal) -> None:
    """A service, and a registry with an image."""
    own_registry(terminal)
    terminal.serve("placement serve")


def service(terminal: Terminal) -> None:
    """A service with nothing in its log."""
    terminal.serve("placement serve")


def kept(terminal: Terminal) -> None:
    """A service; what it is backed up to, and restored into, is below our folder."""
    terminal.rules["/backup/"] = f"{terminal.directory}/backup-"
    terminal.rules["/var/lib/placement"] = str(terminal.directory / "restored")
    service(terminal)


def past(terminal: Terminal) -> None:
    """A service that was told of an image; what is long ago was a moment ago."""
    inventory(terminal)
    address = terminal.rules["127.0.0.1:5000"]
    terminal.typed(f"placement inventory --region iad --registry http://{address}")
    told = terminal.typed("placement status -o json")
    terminal.rules["4711"] = str(json.loads(told)["basis"]["sequence"])
    terminal.rules["2026-11-30T12:00:00Z"] = f"{datetime.now(UTC):%FT%TZ}"
    terminal.rules |= dict.fromkeys(("'1d12h ago'", "'2h ago'"), "'1s ago'")


def watched_service(terminal: Terminal) -> None:
    """A service that tells how it is over HTTP."""
    address = f"127.0.0.1:{free_port()}"
    terminal.rules["METRICS_LISTEN"] = address
    terminal.settings = {"PLACEMENT_METRICS_LISTEN": address}
    service(terminal)


def catalogue(terminal: Terminal) -> None:
    """A catalogue of regions: the shipped one; secrets go into the test's folder."""
    shipped = ROOT / "placement/data/regions.toml"
    (terminal.directory / "regions.toml").write_text(shipped.read_text())
    terminal.rules["/etc/nats/placement"] = str(terminal.directory / "nats")


SCENARIOS: Final[Mapping[str, Prepare]] = MappingProxyType(
    {
        "README.md": readme,
        "docs/cluster.md": service,
        "docs/inventory.md": inventory,
        "docs/nats.md": catalogue,
        "docs/operations.md": kept,
        "docs/runbooks.md": watched_service,
        "docs/time-travel.md": past,
        "docs/tutorial.md": tutorial,
    }
)
