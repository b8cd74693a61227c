"""What the proof stands on: a house that is emptied in a blink, and how much of it there is time for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from tests.proof.house import House, at_home

LONG = bool(os.environ.get("PROOF_EXAMPLES"))  # `make proof`


@pytest.fixture
def build(app: Flask, kept: list[str]) -> Iterator[Callable[[], House]]:
    """A practice, empty but for its price list; again and again within one test."""
    with at_home(kept) as build:
        yield build


@pytest.fixture
def house(build: Callable[[], House]) -> House:
    return build()
