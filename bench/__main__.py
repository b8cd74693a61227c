"""Entry point of `make bench`: starts servers, compares both sides and writes docs/bench.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.table import format_report
from bench.turns import compare
from deploy.servers import server_urls

REPORT = Path(__file__).resolve().parent.parent / "docs" / "bench.md"


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as home,
        server_urls(Path(home), durable=False) as (database, redis),
    ):
        report = format_report(
            [compare(database, redis, nouns=nouns, times=15, rounds=4, say=_say) for nouns in (2, 60)]
        )
    REPORT.write_text(report)
    print(report)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
