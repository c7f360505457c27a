"""The ocean: forwards the packets of every region, late and no faster than its links.

    python -m tests.lab.wan CONFIGURATION

Each region is a network namespace whose only way out is a TUN device, held open here.
A packet leaves when its link is free, after its bytes at the link's rate, and half
a round trip later; what would queue longer than QUEUE_SECONDS is dropped. Both ends run
the kernel's own TCP, so that handshakes, slow start and loss are real. Seat 0 is the
lab's own, in the namespace it runs in, at no distance from anywhere.
"""

import fcntl
import heapq
import json
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TUNSETIFF: Final = 0x400454CA
TUNSETOFFLOAD: Final = 0x400454D0
IFF_TUN_NO_PI_VNET_HDR: Final = 0x0001 | 0x1000 | 0x4000
TUN_F_CSUM_TSO4: Final = 0x01 | 0x02
"""With these, segments arrive in pieces of up to 64 KB, their checksums still to do."""
VNET_HEADER_BYTES: Final = 10
PACKET_BYTES_MAX: Final = VNET_HEADER_BYTES + (1 << 16)
READS_AT_ONCE: Final = 64
QUEUE_SECONDS: Final = 0.2
WAKE_SECONDS_MAX: Final = 0.5
SEATS_MAX: Final = 250
NETWORK: Final = (10, 60)
SEAT_OF_THE_LAB: Final = "lab"
COUNT: Final = struct.Struct("<Q")


@dataclass(slots=True)
class Way:
    """One direction of a link, and until when it is busy."""

    seconds_per_byte: float
    delay_s: float
    free_s: float = 0.0


@dataclass(slots=True)
class Wan:
    """The devices, what lies between them, and what is on its way."""

    devices: Sequence[int]
    ways: Sequence[Sequence[Way]]
    counts: mmap.mmap
    """Bytes from seat to seat, row by row, as 64-bit numbers; readers map the file."""
    _due: list[tuple[float, int, int, bytes]] = field(default_factory=list)
    _number: int = 0

    def run(self) -> None:
        """Forward until a signal ends the process."""
        poll = select.epoll()
        seats = {device: seat for seat, device in enumerate(self.devices)}
        for device in self.devices:
            poll.register(device, select.EPOLLIN)
        while True:
            wait = WAKE_SECONDS_MAX
            if self._due:
                wait = max(0.0, min(wait, self._due[0][0] - time.monotonic()))
            for device, _ in poll.poll(wait):
                self._take(device, seats[device])
            self._release()

    def _take(self, device: int, source: int) -> None:
        for _ in range(READS_AT_ONCE):
            try:
                packet = os.read(device, PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            target = _target(packet, len(self.devices))
            if target is None or target == source:
                continue
            way, now = self.ways[source][target], time.monotonic()
            begins = max(now, way.free_s)
            if begins - now > QUEUE_SECONDS:
                continue
            size = len(packet) - VNET_HEADER_BYTES
            way.free_s = begins + size * way.seconds_per_byte
            self._number += 1
            due = (way.free_s + way.delay_s, self._number, target, packet)
            heapq.heappush(self._due, due)
            self._count(source * len(self.devices) + target, size)

    def _release(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            _, _, target, packet = heapq.heappop(self._due)
            try:
                os.write(self.devices[target], packet)
            except OSError:  # its queue is full, as a router's might be
                continue

    def _count(self, cell: int, size: int) -> None:
        offset = cell * COUNT.size
        (before,) = COUNT.unpack_from(self.counts, offset)
        COUNT.pack_into(self.counts, offset, before + size)


def _target(packet: bytes, seats: int) -> int | None:
    """Return the seat that an IPv4 packet is for; None: it is for nobody here."""
    ip = VNET_HEADER_BYTES
    if len(packet) < ip + 20 or packet[ip] >> 4 != 4:
        return None
    if (packet[ip + 16], packet[ip + 17]) != NETWORK:
        return None
    seat = packet[ip + 18]
    return seat if seat < seats else None


def address_of(seat: int) -> str:
    """Return a seat's address."""
    return f"{NETWORK[0]}.{NETWORK[1]}.{seat}.1"


def opened(name: str, namespace: str, seat: int) -> int:
    """Return a TUN device, moved to *namespace* (empty: left here) and up."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    wanted = struct.pack("16sH22x", name.encode(), IFF_TUN_NO_PI_VNET_HDR)
    fcntl.ioctl(device, TUNSETIFF, wanted)
    fcntl.ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM_TSO4)
    inside = ["-n", namespace] if namespace else []
    if namespace:
        _ip("link", "set", name, "netns", namespace)
    _ip(*inside, "addr", "add", f"{address_of(seat)}/16", "dev", name)
    _ip(*inside, "link", "set", name, "up", "txqueuelen", "1000")
    _ip(*inside, "link", "set", "lo", "up")
    return device


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def main() -> None:
    """Open what the configuration lists, say so on stdout, and forward."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    told = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    seats: list[str] = told["seats"]
    assert len(seats) <= SEATS_MAX
    devices = [
        opened(f"w-{seat}", f"r-{seat}" if number else "", number)
        for number, seat in enumerate(seats)
    ]
    ways = [
        [Way(8 / way["bits_per_second"], way["delay_s"]) for way in row]
        for row in told["ways"]
    ]
    with Path(told["counts"]).open("r+b") as file:
        counts = mmap.mmap(file.fileno(), 0)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    Wan(devices, ways, counts).run()


if __name__ == "__main__":
    main()
