"""Names that are not to be told: HMAC-SHA256 of each under a key of the operator's.

The same name has the same hash in every column, table and run, so that joins still
work; who has not the key cannot try names until one fits. Texts for people may hold any
name, so that they are left out, save the rules that the program itself names.
"""

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from placement.core.break_even import CERTAIN_REASONS
from placement.core.deciding.eviction import REASONS
from placement.core.deciding.wants import PINNED, REPAIR, REQUESTED
from placement.core.errors import InputError
from placement.core.oci import is_digest
from placement.export.kinds import Kind
from placement.export.schema import Table

HASH_DIGITS: Final = 32
"""Of the hash, in hex: 128 bits."""
PREFIX: Final = "h-"
KEY_BYTES_MIN: Final = 16
KEY_BYTES_MAX: Final = 4096
KEPT: Final = 2**16
"""Names whose hashes are remembered."""
RULES: Final = frozenset(
    {
        *CERTAIN_REASONS,
        *REASONS,
        *("start-forecast", "pull-forecast", "unknown"),
        *(PINNED, REPAIR, REQUESTED),
    }
)
"""Of decisions: what they say is no text of a user's."""
REFERENCE: Final = "reference"
"""The column that holds a tag, which is a name, or a digest, which is none."""
_FINGERPRINT: Final = b"placement export"

_OCI: Final = "application/vnd.oci."
_DOCKER: Final = "application/vnd.docker."
_TARS: Final = ("tar", "tar+gzip", "tar+zstd")
MEDIA_TYPES: Final = frozenset(
    {
        f"{_OCI}descriptor.v1+json",
        f"{_OCI}empty.v1+json",
        f"{_OCI}artifact.manifest.v1+json",
        *(f"{_OCI}image.{what}.v1+json" for what in ("config", "index", "manifest")),
        *(f"{_OCI}image.layer.v1.{tar}" for tar in _TARS),
        *(f"{_OCI}image.layer.v1.{tar}+encrypted" for tar in _TARS),
        *(f"{_OCI}image.layer.nondistributable.v1.{tar}" for tar in _TARS),
        f"{_DOCKER}distribution.manifest.v1+json",
        f"{_DOCKER}distribution.manifest.v1+prettyjws",
        f"{_DOCKER}distribution.manifest.v2+json",
        f"{_DOCKER}distribution.manifest.list.v2+json",
        f"{_DOCKER}container.image.v1+json",
        f"{_DOCKER}plugin.v1+json",
        *(f"{_DOCKER}image.rootfs.diff.{tar}" for tar in ("tar", "tar.gzip")),
        *(f"{_DOCKER}image.rootfs.foreign.diff.{tar}" for tar in ("tar", "tar.gzip")),
        "application/vnd.cncf.helm.config.v1+json",
        "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
        "application/vnd.cncf.helm.chart.provenance.v1.prov",
        "application/vnd.cncf.notary.signature",
    }
)
"""Those that are standard, whole: one that merely begins so may name somebody."""
_SYSTEMS: Final = "linux|windows|darwin|freebsd|netbsd|openbsd|solaris|wasip1|unknown"
_PROCESSORS: Final = (
    "386|amd64|arm|arm64|loong64|mips64|mips64le|ppc64|ppc64le|riscv64|s390x|wasm"
    "|unknown"
)
_PLATFORM: Final = re.compile(rf"(?:{_SYSTEMS})/(?:{_PROCESSORS})(?:/v[1-9])?")

Row = dict[str, Any]
Hide = Callable[[Any], Any]


@dataclass(frozen=True)
class NameKey:
    """The key that names are hashed with."""

    secret: bytes

    @property
    def fingerprint(self) -> str:
        """Return what tells this key from others, and does not help to find it."""
        return hmac.digest(self.secret, _FINGERPRINT, "sha256").hex()[:HASH_DIGITS]

    def hider(self) -> Hide:
        """Return what hashes a name, and remembers the latest ones."""

        @lru_cache(maxsize=KEPT)
        def hidden(name: str) -> str:
            digest = hmac.digest(self.secret, name.encode(), "sha256")
            return PREFIX + digest.hex()[:HASH_DIGITS]

        return hidden


def read_name_key(path: Path) -> NameKey:
    """Return the key in the file at *path*; raises InputError, which never tells it."""
    field = "--hash-key-file"
    try:
        with path.open("rb") as file:
            secret = file.read(KEY_BYTES_MAX + 1).strip()
    except OSError as error:
        remedy = f"give a file that can be read ({error.strerror})"
        raise InputError(field, str(path), remedy) from None
    if not KEY_BYTES_MIN <= len(secret) <= KEY_BYTES_MAX:
        remedy = (
            f"put {KEY_BYTES_MIN} to {KEY_BYTES_MAX} random bytes into it, such as by "
            "`openssl rand -hex 32`"
        )
        raise InputError(field, f"{path} with {len(secret)} bytes", remedy)
    return NameKey(secret)


def hider_of(table: Table, hidden: Hide) -> Callable[[Row], Row]:
    """Return what hides the names in a row of *table*."""
    ways: Mapping[Kind, Hide] = {
        Kind.NAME: hidden,
        Kind.MEDIA: lambda said: _unusual(said, hidden),
        Kind.DESCRIPTORS: lambda entries: [_described(e, hidden) for e in entries],
        Kind.WORDS: lambda words: words if words in RULES else None,
        Kind.CONTENTS: lambda entries: [_content(each, hidden) for each in entries],
        Kind.ABSENCES: lambda entries: [_named(each, hidden) for each in entries],
        Kind.GROUPS: lambda entries: [_group(each, hidden) for each in entries],
    }
    hides = {
        column.name: ways[column.kind]
        for column in table.columns
        if column.kind in ways
    }
    if REFERENCE in hides:
        hides[REFERENCE] = lambda name: name if is_digest(name) else hidden(name)

    def hide(row: Row) -> Row:
        for name in hides.keys() & row.keys():
            if row[name] is not None:
                row[name] = hides[name](row[name])
        return row

    return hide


def _named(entry: Row, hidden: Hide) -> Row:
    repository = entry["repository"]
    return entry | {"repository": None if repository is None else hidden(repository)}


def _unusual(said: str | None, hidden: Hide) -> Any:  # noqa: ANN401 - as it is hidden
    usual = said is None or said in MEDIA_TYPES or _PLATFORM.fullmatch(said)
    return said if usual else hidden(said)


def _described(entry: Row, hidden: Hide) -> Row:
    said = {name: _unusual(entry[name], hidden) for name in ("media_type", "platform")}
    return entry | said


def _content(entry: Row, hidden: Hide) -> Row:
    tags = [hidden(tag) for tag in entry["tags"]]
    return _named(_described(entry, hidden), hidden) | {"tags": tags}


def _group(entry: Row, hidden: Hide) -> Row:
    machines = [hidden(machine) for machine in entry["machine_ids"]]
    return _named(entry, hidden) | {"machine_ids": machines}
