"""tools/docs makes the site of the pages, and takes a broken link for an error."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.documented import ROOT

SPHINX = ROOT / ".venv/docs/bin/python"
BROKEN = (
    "[to nowhere](nowhere.md)",
    "[to no heading](#no-such-heading)",
    "`docs/nowhere.md`",
)


def made(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Return how a command ended, and what it said."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
@pytest.mark.timeout(900)
def test_site_is_made_and_a_broken_page_is_refused(tmp_path: Path) -> None:
    """Of the pages as they are, offline to look at; and not of a page in pieces."""
    done = made("tools/docs")
    assert done.returncode == 0, done.stdout + done.stderr
    front = (ROOT / "site/index.html").read_text()
    assert "Your first pair of regions" in front
    assert not re.search(r'(?:src|rel="stylesheet" href)="https?:', front)

    pages = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", pages)
    told = "\n\n".join(BROKEN)
    (pages / "lab.md").write_text(f"# The lab\n\n{told}\n")
    options = ("-b", "html", "-W", "--keep-going", "-q", "-E", "-c", pages / "site")
    broken = made(SPHINX, "-m", "sphinx", *options, pages, tmp_path / "site")
    assert broken.returncode != 0
    faults = [line for line in broken.stderr.splitlines() if "lab.md" in line]
    assert len(faults) == len(BROKEN), broken.stderr
