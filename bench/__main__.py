"""`make bench`: servers and databases of its own, both sides by turns, and the table of docs/bench.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.table import written
from bench.turns import compared
from deploy.servers import servers

REPORT = Path(__file__).resolve().parent.parent / "docs" / "bench.md"


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as home,
        servers(Path(home), durable=False) as (database, redis),
    ):
        told = written([compared(database, redis, nouns=nouns, times=15, rounds=4, say=_say) for nouns in (2, 60)])
    REPORT.write_text(told)
    print(told)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
