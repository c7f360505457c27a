"""Print what a golden log folds to: run by other Pythons and under other hash seeds."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from tests.golden_logs import folded_messages, read_log, summary

if __name__ == "__main__":
    _, messages = read_log(Path(sys.argv[1]))
    print(json.dumps(asdict(summary(folded_messages(messages)))))  # noqa: T201 - its answer
