"""Tests of numbering: no gaps and no duplicates, also with concurrent and rolled back transactions."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from flask import Flask

from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.numbering import next_number


def test_a_series_counts_by_kind_and_year(app: Flask) -> None:
    year = clock.today().year
    with transaction():
        assert [next_number("BK"), next_number("BK"), next_number("B")] == [
            f"BK-{year}-000001",
            f"BK-{year}-000002",
            f"B-{year}-000001",
        ]
    with clock.frozen_at(datetime(2031, 1, 1, tzinfo=UTC)), transaction():
        assert next_number("BK") == "BK-2031-000001"


def test_a_change_of_mind_leaves_no_gap_and_a_crowd_no_twin(app: Flask) -> None:
    def ask(seed: int) -> str | None:
        with app.app_context():
            try:
                with transaction():
                    mine = next_number("X")
                    if random.Random(seed).random() < 0.3:
                        raise ZeroDivisionError
                return mine
            except ZeroDivisionError:
                return None
            finally:
                session.remove()

    with ThreadPoolExecutor(4) as crowd:
        given = sorted(each for each in crowd.map(ask, range(80)) if each)
    assert given == [f"X-{clock.today().year}-{n:06d}" for n in range(1, len(given) + 1)]
