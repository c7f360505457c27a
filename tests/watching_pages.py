"""What a real service says of itself while crowds come: its memory and its figures."""

from pathlib import Path
from urllib.request import urlopen

MIB = 1 << 20


def rss_bytes(process_id: int) -> int:
    """Return how much memory a process has in use."""
    status = Path(f"/proc/{process_id}/status").read_text()
    [line] = [each for each in status.splitlines() if each.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def figure(metrics: str, name: str) -> float:
    """Return a figure without labels from the page of *metrics*, HOST:PORT."""
    with urlopen(f"http://{metrics}/metrics", timeout=10) as page:
        for line in page.read().decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
    raise AssertionError(name)
