"""Random tests (Hypothesis): thousands of days; the invariants hold after every step, both sides agree at the end."""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.house import ENDS, House, say
from tests.proof.machine import Everything

pytestmark = pytest.mark.proof

EXAMPLES, STEPS = int(os.environ.get("PROOF_EXAMPLES") or 10), int(os.environ.get("PROOF_STEPS") or 20)


OFTEN = {"confirmed", "expired", "settled"}  # in so few days; the stories reach every end on purpose


def test_whatever_happens_the_money_is_true(build: Callable[[], House]) -> None:
    """Reproduce a run of `make proof` with the seed that it prints: PROOF_SEED=… make proof."""
    Everything.build, Everything.reached, Everything.steps = build, Counter(), Counter()
    told = os.environ.get("PROOF_SEED") or (secrets.randbelow(2**32) if os.environ.get("PROOF_EXAMPLES") else 0)
    began = time.monotonic()
    rules = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=[*HealthCheck],
        phases=[Phase.generate, Phase.shrink],
    )
    say(f"\nPROOF_SEED={told}")
    try:
        run_state_machine_as_test(seed(int(told))(type("Everything", (Everything,), {})), settings=rules)
    finally:
        say(f"{dict(Everything.steps)}, {time.monotonic() - began:.0f} s")
        for name, times in sorted(Everything.reached.items()):
            say(f"{times:6} {name}")
    missed = (ENDS if EXAMPLES >= 500 else OFTEN) - set(Everything.reached)
    assert not missed, f"These days never came to {sorted(missed)}."
