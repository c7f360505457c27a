"""``tools/lab``: choose what the machine allows, run the lab in it, leave nothing.

python -m tests.lab [--quick] [--proxies] [--json FILE]
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NEEDED: Final = ("docker-registry", "skopeo", "openssl")
INSIDE_FOLDER: Final = "/run/lab"
"""In the lab's own mount namespace, in memory: it is gone with the namespace."""
MEMORY_BYTES_LEAST: Final = 6 << 30
"""With less available, what registries and clients store goes to disk instead."""
ROUNDS_MAX: Final = 5
TRIED_SECONDS: Final = 10.0
LEAVE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What the lab stands on: a command to be within it, and why it is no better."""

    unshare: tuple[str, ...]
    shortcoming: str = ""


def namespaces() -> Ground:
    """Return namespaces if this machine gives any, with a TUN device; else nothing."""
    user = () if os.geteuid() == 0 else ("-Ur",)
    command = ("unshare", *user, "-nmpf", "--mount-proc", "--kill-child")
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return Ground((), "unshare and ip (util-linux, iproute2) are not installed")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return Ground((), "/dev/net/tun cannot be opened")
    tried = (
        "mount -t tmpfs tmpfs /run && ip netns add tried && ip tuntap add t mode tun"
    )
    try:
        done = subprocess.run(
            [*command, "sh", "-c", tried],
            check=False,
            capture_output=True,
            timeout=TRIED_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Ground((), f"unshare did nothing for {TRIED_SECONDS:.0f} s")
    if done.returncode:
        return Ground((), f"unshare refused: {done.stderr.decode().strip()}")
    return Ground(command)


def say(what: str) -> None:
    """Tell it at once: the inner lab prints, too."""
    sys.stdout.write(f"lab: {what}\n")
    sys.stdout.flush()


def available_bytes() -> int:
    """Return how much memory may be used."""
    for line in Path("/proc/meminfo").read_text("utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


@contextlib.contextmanager
def signals_raise() -> Iterator[None]:
    """Let a signal to end raise KeyboardInterrupt, so that everything is put away."""

    def leave(number: int, _frame: object) -> None:
        for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    yield


def run(command: list[str], descriptors: tuple[int, ...]) -> int:
    """Run the inner lab until it ends; put an end to it if we are told to end."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, pass_fds=descriptors, start_new_session=True
    )
    assert process.stdin is not None
    try:
        return process.wait()
    finally:
        process.stdin.close()  # it notices, and ends what it started
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LEAVE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def within(ground: Ground, order: str) -> list[str]:
    """Return the command that runs the inner lab on *ground*."""
    command = [sys.executable, "-m", "tests.lab.inside", order]
    if not ground.unshare:
        return command
    mounts = ["mount -t tmpfs tmpfs /run"]
    if Path("/var/lib/containers").is_dir():  # skopeo's memory: not the machine's own
        mounts.append("mount -t tmpfs tmpfs /var/lib/containers")
    script = " && ".join([*mounts, 'exec "$@"'])
    return [*ground.unshare, "sh", "-c", script, "sh", *command]


def main() -> int:
    """Read the arguments; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tools/lab", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 regions, a small image")
    parser.add_argument("--proxies", action="store_true", help="without namespaces")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row")
    parser.add_argument(
        "--rounds",
        type=int,
        choices=range(1, ROUNDS_MAX + 1),
        default=1,
        help="take each figure so many times as often",
    )
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep all logs there")
    parser.add_argument(
        "--part",
        choices=("baselines", "ours"),
        action="append",
        help="only this part of it; may be given twice",
    )
    asked = parser.parse_args()
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        sys.stderr.write(f"lab: install {', '.join(missing)}\n")
        return 2
    ground = Ground((), "as asked") if asked.proxies else namespaces()
    if ground.unshare:
        say("network namespaces, joined by a userspace ocean on TUN devices")
    else:
        say(f"slow loopback proxies, no ocean: {ground.shortcoming}")
    with contextlib.ExitStack() as stack:
        stack.enter_context(signals_raise())
        folder = INSIDE_FOLDER
        if not ground.unshare or available_bytes() < MEMORY_BYTES_LEAST:
            made = tempfile.TemporaryDirectory(
                prefix="placement-lab-", ignore_cleanup_errors=True
            )
            folder = stack.enter_context(made)
        descriptors: tuple[int, ...] = ()
        if asked.json:
            file = stack.enter_context(asked.json.open("w", encoding="utf-8"))
            descriptors = (file.fileno(),)
        order = {
            "plan": "quick" if asked.quick else "full",
            "tun": bool(ground.unshare),
            "folder": folder,
            "json_descriptor": descriptors[0] if descriptors else -1,
            "logs": str(asked.logs.absolute()) if asked.logs else "",
            "rounds": asked.rounds,
            "root": os.geteuid() == 0,
            "parts": asked.part or ["baselines", "ours"],
        }
        command = within(ground, json.dumps(order))
        try:
            code = run(command, descriptors)
        except KeyboardInterrupt as interrupt:
            code = 128 + int(interrupt.args[0])
    say("nothing of it is left running")
    return code


if __name__ == "__main__":
    sys.exit(main())
