"""Tests that every mutant still applies; the long proof runs them."""

from __future__ import annotations

import pytest

from tests.proof.conftest import LONG
from tests.proof.house import say
from tests.proof.mutants import MUTANTS, Mutant, run

pytestmark = pytest.mark.proof


def named(mutant: Mutant) -> str:
    return mutant.breaks


def test_each_mutant_still_fits_its_place() -> None:
    assert [each.breaks for each in MUTANTS if not each.applies()] == []
    assert len({each.breaks for each in MUTANTS}) == len(MUTANTS) >= 14


if LONG:  # minutes: `make proof` alone runs them

    @pytest.mark.parametrize("mutant", MUTANTS, ids=named)
    def test_it_is_noticed(mutant: Mutant) -> None:
        noticed, seconds = run(mutant)
        say(f"{mutant.breaks}: {'noticed' if noticed else 'SURVIVED'} in {seconds:.0f} s")
        assert noticed
