"""What the lab does with figures, images and packets, without running it."""

import io
import json
import struct
import tomllib
from pathlib import Path

from rich.console import Console

from tests.lab.baselines import LOCAL, ORIGIN
from tests.lab.checks import PREDICTED, ratios
from tests.lab.clients import OVERHEAD_BYTES, Pulled
from tests.lab.images import SIZES, made
from tests.lab.network import Counts
from tests.lab.places import FULL, LINKS, link_between
from tests.lab.product import toml_of
from tests.lab.rows import Row, table_of, write_json
from tests.lab.wan import VNET_HEADER_BYTES, address_of, target_of


def row(route: str, seconds: float, *, local: bool = False, client: str = "x") -> Row:
    """Return a pull of a second version, 30 s after its push."""
    scenario = "30 s after its push" if route == PREDICTED else "without us"
    return Row(scenario, "big", "second", route, seconds, local, client, "syd", 10**6)


def test_repeated_pulls_are_one_line_with_their_spread() -> None:
    """The table shows the median, the least and the most, and how many were local."""
    rows = [row(LOCAL, 2.0, local=True), row(LOCAL, 1.0), row(LOCAL, 12.0)]
    screen = Console(width=200, file=io.StringIO())

    screen.print(table_of("Pulls", rows))

    assert isinstance(screen.file, io.StringIO)
    line = next(one for one in screen.file.getvalue().splitlines() if LOCAL in one)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells[5:] == ["2.00", "1.00-12.0", "3", "1.0 MB", "1 of 3"]


def test_every_pull_is_an_object_in_the_file() -> None:
    """The file is a list, with the fields that were promised, a pull each."""
    file = io.StringIO()

    write_json([row(ORIGIN, 9.0)], file)

    (found,) = json.loads(file.getvalue())
    assert found["route"] == ORIGIN
    assert (found["image"], found["first_or_second_version"]) == ("big", "second")
    assert (found["seconds"], found["local"]) == (9.0, False)


def test_ratios_are_of_medians_by_the_same_client() -> None:
    """Other clients, which pull once, are not mixed in."""
    rows = [row(LOCAL, 1.0), row(LOCAL, 3.0), row(LOCAL, 2.0)]
    rows += [row(ORIGIN, 15.9), row(PREDICTED, 3.0), row(PREDICTED, 90.0, client="y")]

    origin, predicted = ratios(rows)

    assert (origin.seen, origin.kept) == ("8.0 times", False)
    assert (predicted.seen, predicted.kept) == ("1.50 times", True)


def test_versions_share_their_first_layers(tmp_path: Path) -> None:
    """The second version brings the last two layers anew, and none of others."""
    versions = (
        *made(tmp_path, "tiny", "a/b", seed=1),
        *made(tmp_path, "tiny", "c/d", seed=2),
    )

    layers = [
        [layer["digest"] for layer in manifest_of(version.layout)["layers"]]
        for version in versions
    ]

    assert layers[0][:-2] == layers[1][:-2]
    assert set(layers[0][-2:]).isdisjoint(layers[1][-2:])
    assert set(layers[0] + layers[1]).isdisjoint(layers[2] + layers[3])
    assert [len(found) for found in layers] == [len(SIZES["tiny"])] * 4


def manifest_of(layout: Path) -> dict[str, list[dict[str, str]]]:
    """Return the one manifest of a layout."""
    index = json.loads((layout / "index.json").read_text())
    digest = index["manifests"][0]["digest"].partition(":")[2]
    found = json.loads((layout / "blobs" / "sha256" / digest).read_text())
    assert isinstance(found, dict)
    return found


def test_changed_layers_are_more_than_talk() -> None:
    """What makes a pull local is less than any second version brings."""
    assert all(sum(sizes[-2:]) > OVERHEAD_BYTES for sizes in SIZES.values())
    assert Pulled(1.0, OVERHEAD_BYTES - 1).local
    assert not Pulled(1.0, OVERHEAD_BYTES).local


def test_all_regions_are_joined() -> None:
    """There is one link between any two regions of the plan, whichever comes first."""
    for one in FULL.regions:
        for other in FULL.regions:
            if one != other:
                assert link_between(one, other) is link_between(other, one)
    assert len({frozenset(link.ends) for link in LINKS}) == len(LINKS)


def packet(address: str, version: int = 4) -> bytes:
    """Return an IP packet for *address*, as a TUN device gives it."""
    header = bytearray(20)
    header[0] = version << 4 | 5
    header[16:20] = bytes(map(int, address.split(".")))
    return bytes(VNET_HEADER_BYTES) + bytes(header)


def test_packets_go_to_the_seat_of_their_address() -> None:
    """What is not IPv4, not of our network or for no seat is nobody's."""
    assert target_of(packet(address_of(2)), 3) == 2
    assert target_of(packet(address_of(3)), 3) is None
    assert target_of(packet("10.61.1.1"), 3) is None
    assert target_of(packet(address_of(1), version=6), 3) is None
    assert target_of(b"", 3) is None


def test_bytes_are_read_by_their_ends(tmp_path: Path) -> None:
    """The forwarding process writes them row by row; we read them while it does."""
    counts = Counts.made(tmp_path / "counts", ["lab", "iad", "syd"])

    with (tmp_path / "counts").open("r+b") as file:
        file.seek(8 * (1 * 3 + 2))
        file.write(struct.pack("<Q", 7))

    assert counts.moved_bytes("iad", "syd") == 7
    assert counts.moved_bytes("syd", "iad") == 0


def test_configurations_are_toml() -> None:
    """Tables within tables, lists, numbers and keys with dots come back as given."""
    told = {
        "listen": "10.60.1.1:7450",
        "allow_plaintext": True,
        "agent": {
            "receiver": {"client_regions": {"10.60.1.1/32": "iad"}},
            "sources": {"fra": {"token_realms": ["http://a/token"], "count": 3}},
        },
    }

    assert tomllib.loads(toml_of(told)) == told
