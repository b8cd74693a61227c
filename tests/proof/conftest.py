"""Fixtures for the proof: a practice that is emptied quickly, and how much of the proof to run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from tests.proof.house import House, at_home

LONG = bool(os.environ.get("PROOF_EXAMPLES"))  # `make proof`


@pytest.fixture
def build(app: Flask, kept: list[str]) -> Iterator[Callable[[], House]]:
    """Return a function that gives a fresh practice, several times within a test."""
    with at_home(kept) as build:
        yield build


@pytest.fixture
def house(build: Callable[[], House]) -> House:
    return build()
