"""How keys of several parts are packed, and how much each table remembers."""

from struct import Struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from placement.core.oci import Tag
from placement.core.tables.table import Row

Numbers = NDArray[np.int64]

EVENT_IDS_REMEMBERED: Final = 2**20
REQUESTS_REMEMBERED: Final = 2**16
STOPPED_REMEMBERED: Final = 2**16
DECISIONS_REMEMBERED: Final = 2**20
SET_ASIDE_REMEMBERED: Final = 10_000
POLICIES_REMEMBERED: Final = 16
TRANSFERS_PER_ROUTE: Final = 32
VOCABULARY_MAX: Final = 1_000
"""Media types, platforms, policies and reasons; further ones are kept as unknown."""
START_DAYS_REMEMBERED: Final = 2**18
REGION_BITS: Final = 60
"""Regions of one column of a decision's start regions."""

TAG_OWNER_BYTES: Final = 4
"""Of a tag's key: its repository's row, before its name."""
TRIAL_REGIONS: Final = 60
"""Regions of one row of trials: fifteen in each of four columns."""
TRIAL_CLASS_COLUMNS: Final = 4
TRIAL_COLUMNS: Final = (
    "order",
    "time",
    *(f"classes_{number}" for number in range(TRIAL_CLASS_COLUMNS)),
)
VERSIONS_OPEN_MAX: Final = 256
"""Versions of one app whose outcomes may be open; an older one counts as skipped."""
SHAPES_MAX: Final = 10_000
"""Tag shapes by name; further ones are kept as one."""

PAIR: Final = Struct("<II")
TRIPLE: Final = Struct("<III")
START_DAY: Final = Struct("<IIII")

HASH_BYTES: Final = 16
"""Of the keys of events, requests and machines: their ids' BLAKE2b-16."""
ROW_BYTES: Final = 4
SHA256_BYTES: Final = 32

_SHA256: Final = b"sha256:"


def digest_key(digest: bytes) -> bytes:
    """Return the key of a digest: what a SHA-256 is in bytes, or its text."""
    if not digest.startswith(_SHA256):
        return digest
    return bytes.fromhex(digest[len(_SHA256) :].decode())


def digest_text(key: bytes) -> str:
    """Return the digest whose key is *key*."""
    if len(key) == SHA256_BYTES:
        return f"sha256:{key.hex()}"
    return key.decode()


def pair_keys(first: Numbers, second: Numbers) -> NDArray[np.uint8]:
    """Return the keys of PAIR for many pairs of rows, a row of bytes each."""
    return _row_keys(first, second)


def triple_keys(first: Numbers, second: Numbers, third: Numbers) -> NDArray[np.uint8]:
    """Return the keys of TRIPLE for many triples of rows, a row of bytes each."""
    return _row_keys(first, second, third)


def start_day_keys(
    app: Numbers, region: Numbers, outcome: Numbers, day: Numbers
) -> NDArray[np.uint8]:
    """Return the keys of START_DAY for many starts, a row of bytes each."""
    return _row_keys(app, region, outcome, day)


def _row_keys(*parts: Numbers) -> NDArray[np.uint8]:
    rows = np.empty((len(parts[0]), len(parts)), "<u4")
    for column, part in enumerate(parts):
        rows[:, column] = part
    return rows.view(np.uint8)


def tag_key(repository: Row, tag: Tag) -> bytes:
    """Return the key of a tag in ``tags``."""
    return repository.to_bytes(TAG_OWNER_BYTES, "little") + tag.encode()


def tag_owner(key: bytes) -> Row:
    """Return the repository's row of the tag with that key."""
    return Row(int.from_bytes(key[:TAG_OWNER_BYTES], "little"))


def tag_name(key: bytes) -> Tag:
    """Return the name of the tag with that key."""
    return Tag(key[TAG_OWNER_BYTES:].decode())


def version_key(placement: Row) -> bytes:
    """Return the key of a version in ``versions``."""
    return placement.to_bytes(4, "little")
